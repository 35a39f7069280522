"""The Kotlin clients of a bundle's usage/: compiled, and run on a stand-in for the interpreter, which needs Android."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from autocomplete.bundle import usage
from autocomplete.runtime.bytes_model import last_characters
from helpers.toy_bundle import FORMS, WORDS, Bundle, described, done, made, python, tool
from helpers.toys import PROMPT_BYTES, PROMPTS, Toy

pytestmark = [pytest.mark.slow, pytest.mark.network]

KOTLIN = Path(__file__).with_name("kotlin")
COMPILER = "kotlin-compiler@2.4.20"
COMPILER_CLASS = "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"


@pytest.fixture(scope="module", params=FORMS)
def bundle(request: pytest.FixtureRequest, toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return made(toy, FORMS[request.param], tmp_path_factory.mktemp("bundle") / "a folder")


@pytest.fixture(scope="module")
def kotlinc(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[str | Path]]:
    """Compiles sources and runs their main with the compiler that npm has."""
    java, npm = (tool(name, "it compiles the Kotlin client") for name in ("java", "npm"))
    folder = tmp_path_factory.mktemp("kotlin")
    done([npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, COMPILER])
    jars = folder / "node_modules/kotlin-compiler/lib"
    compiler: list[str | Path] = [
        java,
        "-cp",
        jars / "kotlin-compiler.jar",
        "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler",
    ]

    def compiled(out: Path, main: str, *sources: Path) -> list[str | Path]:
        done([*compiler, "-kotlin-home", jars.parent, "-Werror", *sources, "-d", out])
        return [java, "-cp", f"{out}:{jars / 'kotlin-stdlib.jar'}", main]

    return compiled


def with_text_model(toy: Toy, bundle: Bundle, folder: Path) -> Path:
    """The clients of a bundle that has a text model."""
    manifest = described(toy, FORMS["with a start token"], bundle.folder)
    models = manifest.models | {"autocomplete.tflite": manifest.models["tokens.tflite"]}
    shutil.copytree(bundle.folder / "tokenizer", folder / "tokenizer")
    usage.write(manifest.model_copy(update={"models": models}), folder)
    return folder


def kotlin_answers(
    command: Sequence[str | Path], prompts: Sequence[str], answers: dict[str, str], folder: Path
) -> list[str]:
    (folder / "answers").write_text("".join(f"{request}|{answer}\n" for request, answer in answers.items()))
    lines = "".join(p.encode().hex() + "\n" for p in prompts)
    return [
        bytes.fromhex(a).decode()
        for a in done(command, input=lines, env={"ANSWERS": str(folder / "answers")}).splitlines()
    ]


def test_kotlin_for_tokens(bundle: Bundle, kotlinc: Any, tmp_path: Path) -> None:
    """The client's own tokenizer and decoding; a stand-in for the interpreter answers what the model does."""
    sources = [bundle.folder / "usage/Autocomplete.kt", KOTLIN / "Interpreter.kt", KOTLIN / "MainTokens.kt"]
    command = [*kotlinc(tmp_path / "out", "MainTokensKt", *sources), bundle.folder / "tokenizer"]
    answers = {" ".join(map(str, ids)): " ".join(map(str, answer)) for ids, answer in bundle.spoken.values()}
    assert kotlin_answers(command, bundle.prompts, answers, tmp_path) == list(bundle.expected.values())


def test_kotlin_for_portable(bundle: Bundle, kotlinc: Any, tmp_path: Path) -> None:
    """The bytes that the client passes, which are the last ones of a long text, and its decoding of the answer."""
    sources = [bundle.folder / "usage/Portable.kt", KOTLIN / "Interpreter.kt", KOTLIN / "MainPortable.kt"]
    command = kotlinc(tmp_path / "out", "MainPortableKt", *sources)
    inputs = {p: last_characters(p.encode(), PROMPT_BYTES) for p in [*bundle.prompts, "a" + "é" * PROMPT_BYTES]}
    assert {len(k) for k in inputs.values()} >= {0, PROMPT_BYTES}
    continuations = {p: bundle.portable.get(p, p + "x – 👍").removeprefix(p) for p in inputs}
    answers = {inputs[p].hex(): continuations[p].encode().hex() for p in inputs}
    assert kotlin_answers(command, [*inputs], answers, tmp_path) == [p + continuations[p] for p in inputs]


@pytest.mark.parametrize("bundle", ["with a start token"], indirect=True)
def test_kotlin_for_text(toy: Toy, bundle: Bundle, kotlinc: Any, tmp_path: Path) -> None:
    """The client's decoding of a raw string tensor, as the Android demo app calls the model."""
    folder = with_text_model(toy, bundle, tmp_path)
    sources = [folder / "usage/Autocomplete.kt", KOTLIN / "Interpreter.kt", KOTLIN / "MainText.kt"]
    command = kotlinc(tmp_path / "out", "MainTextKt", *sources)
    full = "é" * (788 // 2)
    last = " ".join(f"{i}é" for i in range(WORDS - 1)) + "\n x "
    completions = {p: p + " – naïve 👍" for p in (*PROMPTS, last)} | {full: full}
    answers = {p.encode().hex(): a.encode().hex() for p, a in completions.items()}
    longer = full + "a"  # never passed to the model, because the buffer could not hold its answer
    expected = {**completions, longer: longer} | {
        f"{prefix}{last}": prefix + completions[last] for prefix in ("a\n", "word " * 500)
    }
    assert kotlin_answers(command, [*expected], answers, tmp_path) == [*expected.values()]


@pytest.mark.parametrize("bundle", ["with a start token"], indirect=True)
def test_kotlin_parses(toy: Toy, bundle: Bundle, tmp_path: Path) -> None:
    """The only check that needs no Java."""
    text = with_text_model(toy, bundle, tmp_path) / "usage/Autocomplete.kt"
    broken = tmp_path / "broken.kt"
    broken.write_text(text.read_text().replace("}", "", 1))
    code = (
        "import sys, tree_sitter as t, tree_sitter_kotlin as k; parse = t.Parser(t.Language(k.language())).parse\n"
        "print([parse(open(f, 'rb').read()).root_node.has_error for f in sys.argv[1:]])"
    )
    command = [python("tree-sitter", "tree-sitter-kotlin"), "-c", code]
    whole = [text, *(bundle.folder / "usage" / n for n in ("Autocomplete.kt", "Portable.kt"))]
    assert done([*command, *whole, broken]).strip() == "[False, False, False, True]"
