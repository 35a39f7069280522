"""The clients of a bundle's usage/, run as an app team does: in environments of their own, from the bundle alone."""

import importlib.metadata
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ai_edge_litert
import pytest
from conftest import CHUNK, PROMPTS, SEQUENCE, SLOTS, TEXT, WINDOW, Toy

from stages.bundle import manifest, usage
from stages.lm import core, drivers, loop, tokenizer
from stages.quiet import quiet
from stages.tflite import flatbuffer, graph, inspect, linker, runner, tokens

ODD = [
    "", "a\n", " ", "x \t\n y\u3000\u00a0 z\u0085 ", "½ 12३ 3rd", "e\u0301\u200d👍🏽", "<|endoftext|>b",
    "We'll 'REally'm", '"quoted\\" {}', "-a", "\ufeff\u001c\u180e",
]  # fmt: skip
LONG = " ".join(TEXT[1].split()[:120])
KOTLIN = Path(__file__).with_name("kotlin")
KOTLIN_COMPILER = "kotlin-compiler@2.4.20"


@dataclass(frozen=True)
class Form:
    """A kind of bundle: with a start token or not, how much a prefill reads, lengths."""

    start: bool
    prefill: Sequence[int]
    sequence: int
    window: int


# in the second form two passes over 24 tokens fit the 64 slots and a third does not
FORMS = {"with a start token": Form(True, [CHUNK, 32], SEQUENCE, WINDOW), "without": Form(False, [24], 63, 62)}


@dataclass(frozen=True)
class Bundle:
    """A bundle of the toy and what its clients must say."""

    folder: Path
    prompts: Sequence[str]
    expected: dict[str, str]
    spoken: dict[str, tuple[list[int], list[int]]]  # prompt → ids that the model reads, ids it answers


def described(toy: Toy, form: Form, folder: Path) -> dict[str, Any]:
    """The parts of a manifest that the clients are written from."""
    models = {p.name: inspect.describe(p) for p in folder.glob("*.tflite")}
    lengths = {"sequence_length": form.sequence, "context_window": form.window, "cache_length": SLOTS}
    end = toy.vocabulary.end
    return {
        "name": "toy", "mode": "float32", "lengths": lengths | {"max_output_bytes": 788}, "models": models,
        "model": {"add_start_token": form.start, "start_token_id": end, "end_token_id": end},
        "versions": {package: importlib.metadata.version(package) for package in manifest.TOOLS},
    }  # fmt: skip


def write(toy: Toy, form: Form, folder: Path) -> None:
    """A bundle as package makes it, less what the clients do not read."""
    with quiet():
        built = core.build(toy.weights, SLOTS, form.prefill, {core.STEP: None})
        lengths = loop.Lengths(form.sequence, CHUNK, 4)
        driver = drivers.convert_tokens_driver(toy.weights.shape, toy.vocabulary.end, lengths)
    flatbuffer.write(linker.link(driver, built), folder / "tokens.tflite")
    flatbuffer.write(graph.without_signatures(built, [core.STEP]), folder / "core.tflite")
    shutil.copytree(toy.preset / tokenizer.FOLDER, folder / "tokenizer")
    usage.write(described(toy, form, folder), folder)


@pytest.fixture(scope="module", params=FORMS)
def bundle(request: pytest.FixtureRequest, toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    form, folder = FORMS[request.param], tmp_path_factory.mktemp("bundle") / "a folder"
    folder.mkdir()
    write(toy, form, folder)
    generate = tokens.interpreted(runner.litert(folder / "tokens.tflite", 1))
    strings = tokenizer.token_bytes(toy.vocabulary.ids)
    prompts, expected, spoken = [*PROMPTS, *ODD, LONG], {}, {}
    for prompt in prompts:
        ids = toy.bpe.encode(prompt).ids[-form.window :]
        ids = [toy.vocabulary.end, *ids] if form.start or not ids else ids
        answer = generate(ids, form.sequence, tokens.Sampling())
        added = b"".join(strings[i] for i in answer[len(ids) :])
        expected[prompt], spoken[prompt] = prompt + added.decode(errors="ignore"), (ids, answer)
    assert len(toy.bpe.encode(LONG).ids) > form.window
    assert sum(len(text) > len(prompt) for prompt, text in expected.items()) >= len(prompts) - 2
    assert len({text.removeprefix(prompt) for prompt, text in expected.items()}) > len(prompts) / 2
    return Bundle(folder, prompts, expected, spoken)


def tool(name: str, why: str) -> str:
    """The path of a program that no package index has."""
    found = (os.environ.get("UV") if name == "uv" else None) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is absent: {why}")
    return found


def run(command: Sequence[str | Path], **more: Any) -> subprocess.CompletedProcess[str]:
    """A command in an environment without this project's packages."""
    environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=600,
        env=environment | more.pop("env", {}), **more,
    )  # fmt: skip


def done(command: Sequence[str | Path], **more: Any) -> str:
    """What a command that must succeed writes to standard output."""
    finished = run(command, **more)
    assert finished.returncode == 0, finished.stderr[-2000:]
    return finished.stdout


def python() -> list[str]:
    packages = [f"ai-edge-litert=={importlib.metadata.version('ai-edge-litert')}", "tokenizers", "numpy"]
    uv = tool("uv", "it makes the client's environment (run the tests by `uv run pytest`)")
    return [uv, "run", "--quiet", "--no-project", "--isolated", *(p for n in packages for p in ("--with", n)), "python"]


def python_client(folder: Path) -> list[str | Path]:
    return [*python(), folder / "usage/complete.py"]


def javascript_client(folder: Path) -> list[str | Path]:
    node, npm = (tool(name, "it runs the JavaScript client") for name in ("node", "npm"))
    installed = f"@litertjs/core@{usage.LITERTJS}"
    done([npm, "install", "--no-audit", "--no-fund", "--prefix", folder / "usage", installed], cwd=folder)
    return [node, folder / "usage/complete.mjs"]


def cpp_client(folder: Path) -> list[str | Path]:
    compiler, library = tool("g++", "it compiles the C++ client"), Path(ai_edge_litert.__file__).parent
    options = ["-std=c++17", "-Wall", "-Wextra", "-Werror", f"-Wl,-rpath,{library}"]
    program = folder / "usage/complete"
    done([compiler, *options, folder / "usage/complete.cc", library / "libLiteRt.so", "-o", program])
    return [program]


CLIENTS = {"Python": python_client, "JavaScript": javascript_client, "C++": cpp_client}


@pytest.mark.parametrize("language", CLIENTS)
def test_text_is_that_of_our_own_call(bundle: Bundle, language: str, tmp_path: Path) -> None:
    command: list[str | Path] = CLIENTS[language](bundle.folder)
    end_of_options = ["--"] if language == "Python" else []
    for prompt in bundle.prompts:  # in a folder of no meaning: a client finds its bundle by itself
        said = done([*command, *end_of_options, prompt], cwd=tmp_path)
        assert said == bundle.expected[prompt] + "\n", prompt


@pytest.mark.parametrize("bundle", ["with a start token"], indirect=True)
@pytest.mark.parametrize("language", CLIENTS)
def test_mistakes_are_one_clear_line(bundle: Bundle, language: str, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(bundle.folder, folder, symlinks=True)
    command: list[str | Path] = CLIENTS[language](folder)

    def complaint(*arguments: str | bytes) -> str:
        finished = run([*command, *arguments])
        assert finished.returncode not in (0, 1), finished.stderr  # 1: an exception nobody caught
        assert finished.stdout == ""
        (line,) = finished.stderr.splitlines()
        assert line.startswith("error: ")
        return line

    assert "prompt" in complaint()
    assert complaint("one", "two")
    if language != "JavaScript":  # Node hands on what is no UTF-8 as U+FFFD
        assert "not UTF-8" in complaint(b"a\xff")
    model = "core.tflite" if language == "JavaScript" else "tokens.tflite"
    for name in (model, "tokenizer/merges.txt"):
        (folder / name).rename(folder / "elsewhere")
        assert name in complaint("a")
        (folder / "elsewhere").rename(folder / name)
    assert run([*command, "a"]).returncode == 0


@pytest.mark.parametrize("bundle", ["with a start token"], indirect=True)
def test_a_missing_package_is_one_clear_line(bundle: Bundle, tmp_path: Path) -> None:
    shutil.copytree(bundle.folder, tmp_path / "bundle", ignore=shutil.ignore_patterns("node_modules"))
    node, usage_folder = tool("node", "it runs the JavaScript client"), tmp_path / "bundle/usage"
    python_alone = [*python(), "-S", usage_folder / "complete.py"]
    for command, package in ((python_alone, "numpy"), ([node, usage_folder / "complete.mjs"], "@litertjs/core")):
        finished = run([*command, "a"])
        assert (finished.returncode, finished.stdout) == (2, "")
        (line,) = finished.stderr.splitlines()
        assert line.startswith("error: ") and package in line


def test_python_needs_neither_tensorflow_nor_this_project(tmp_path: Path) -> None:
    code = "import importlib.util as u; print([n for n in ('tensorflow', 'keras', 'stages') if u.find_spec(n)])"
    assert done([*python(), "-c", code], cwd=tmp_path).strip() == "[]"


@pytest.mark.parametrize("bundle", ["with a start token"], indirect=True)
def test_python_draws_by_seed(bundle: Bundle) -> None:
    command = [*python_client(bundle.folder), "--temperature", "1", "--top-k", "20", "Returns the", "--seed"]
    first, again, other = (done([*command, seed]) for seed in "112")
    assert first == again
    assert len({first, other, bundle.expected["Returns the"] + "\n"}) == 3


@pytest.fixture(scope="module")
def kotlinc(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Compiles sources and runs their main with the compiler that npm has."""
    java, npm = (tool(name, "it compiles the Kotlin client") for name in ("java", "npm"))
    folder = tmp_path_factory.mktemp("kotlin")
    done([npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, KOTLIN_COMPILER])
    jars = folder / "node_modules/kotlin-compiler/lib"
    compiler = [java, "-cp", jars / "kotlin-compiler.jar", "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"]

    def compiled(out: Path, main: str, *sources: Path) -> list[str | Path]:
        done([*compiler, "-kotlin-home", jars.parent, "-Werror", *sources, "-d", out])
        return [java, "-cp", f"{out}:{jars / 'kotlin-stdlib.jar'}", main]

    return compiled


def with_text_model(toy: Toy, bundle: Bundle, folder: Path) -> Path:
    """The clients of a bundle that has a text model."""
    facts = described(toy, FORMS["with a start token"], bundle.folder)
    facts["models"] = facts["models"] | {"autocomplete.tflite": {}}
    shutil.copytree(bundle.folder / "tokenizer", folder / "tokenizer")
    usage.write(facts, folder)
    return folder


def kotlin_answers(
    command: Sequence[str | Path], prompts: Sequence[str], answers: dict[str, str], folder: Path
) -> list[str]:
    (folder / "answers").write_text("".join(f"{given}|{made}\n" for given, made in answers.items()))
    given = "".join(p.encode().hex() + "\n" for p in prompts)
    return [
        bytes.fromhex(a).decode()
        for a in done(command, input=given, env={"ANSWERS": str(folder / "answers")}).splitlines()
    ]


def test_kotlin_for_tokens(bundle: Bundle, kotlinc: Any, tmp_path: Path) -> None:
    """The client's own tokenizer and decoding; a stand-in for the interpreter answers what the model does."""
    sources = [bundle.folder / "usage/Autocomplete.kt", KOTLIN / "Interpreter.kt", KOTLIN / "MainTokens.kt"]
    command = [*kotlinc(tmp_path / "out", "MainTokensKt", *sources), bundle.folder / "tokenizer"]
    answers = {" ".join(map(str, ids)): " ".join(map(str, made)) for ids, made in bundle.spoken.values()}
    assert kotlin_answers(command, bundle.prompts, answers, tmp_path) == list(bundle.expected.values())


@pytest.mark.parametrize("bundle", ["with a start token"], indirect=True)
def test_kotlin_for_text(toy: Toy, bundle: Bundle, kotlinc: Any, tmp_path: Path) -> None:
    """The client's reading of a raw string tensor, the way the Android demo app calls the model."""
    folder = with_text_model(toy, bundle, tmp_path)
    sources = [folder / "usage/Autocomplete.kt", KOTLIN / "Interpreter.kt", KOTLIN / "MainText.kt"]
    command = kotlinc(tmp_path / "out", "MainTextKt", *sources)
    full = "é" * (788 // 2)
    made = {p: p + " – naïve 👍" for p in PROMPTS} | {full: full}
    answers = {p.encode().hex(): a.encode().hex() for p, a in made.items()}
    longer = full + "a"  # never asked of the model, whose answer the buffer could not hold
    assert kotlin_answers(command, [*made, longer], answers, tmp_path) == [*made.values(), longer]


@pytest.mark.parametrize("bundle", ["with a start token"], indirect=True)
def test_kotlin_parses(toy: Toy, bundle: Bundle, tmp_path: Path) -> None:
    """All that can be said of it where there is no Java."""
    text = with_text_model(toy, bundle, tmp_path) / "usage/Autocomplete.kt"
    broken = tmp_path / "broken.kt"
    broken.write_text(text.read_text().replace("}", "", 1))
    code = (
        "import sys, tree_sitter as t, tree_sitter_kotlin as k; parse = t.Parser(t.Language(k.language())).parse\n"
        "print([parse(open(f, 'rb').read()).root_node.has_error for f in sys.argv[1:]])"
    )
    command = [*python()[:-1], "--with", "tree-sitter", "--with", "tree-sitter-kotlin", "python", "-c", code]
    assert done([*command, text, bundle.folder / "usage/Autocomplete.kt", broken]).strip() == "[False, False, True]"


def test_what_the_clients_call_special_is_what_the_tokenizer_does() -> None:
    assert set(usage.WITHOUT_TEXT) == {tokenizer.END_OF_TEXT, tokenizer.PADDING}
