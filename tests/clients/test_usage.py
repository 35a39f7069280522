"""The clients of a bundle's usage/, run as an app team does: in their own environments, with only the bundle."""

import functools
import shutil
from pathlib import Path

import ai_edge_litert
import pytest

from autocomplete.bundle import usage
from helpers.folders import kept
from helpers.toy_bundle import FORMS, QUANTIZED, Bundle, done, made, python, run, tool
from helpers.toys import Toy

pytestmark = [pytest.mark.slow, pytest.mark.network]


@pytest.fixture(scope="module", params=FORMS | QUANTIZED)
def bundle(request: pytest.FixtureRequest, toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return made(toy, (FORMS | QUANTIZED)[request.param], tmp_path_factory.mktemp("bundle") / "a folder")


def python_client(folder: Path, name: str = "complete") -> list[str | Path]:
    return [python(), folder / f"usage/{name}.py"]


@functools.cache
def node_modules() -> Path:
    """The npm packages of the JavaScript clients."""
    npm, folder = tool("npm", "it runs the JavaScript client"), kept("npm")
    installed = f"@litertjs/core@{usage.LITERTJS}"
    done([npm, "install", "--no-audit", "--no-fund", "--prefix", folder, installed], cwd=folder)
    return folder / "node_modules"


def javascript_client(folder: Path, name: str = "complete") -> list[str | Path]:
    installed = folder / "usage/node_modules"
    if not installed.exists():
        installed.symlink_to(node_modules())
    return [tool("node", "it runs the JavaScript client"), folder / f"usage/{name}.mjs"]


def cpp_client(folder: Path, name: str = "complete") -> list[str | Path]:
    compiler, library = tool("g++", "it compiles the C++ client"), Path(ai_edge_litert.__file__).parent
    options = ["-std=c++17", "-Wall", "-Wextra", "-Werror", f"-Wl,-rpath,{library}"]
    program = folder / "usage" / name
    done([compiler, *options, folder / f"usage/{name}.cc", library / "libLiteRt.so", "-o", program])
    return [program]


CLIENTS = {"Python": python_client, "JavaScript": javascript_client, "C++": cpp_client}


# Quantized toys are equal too: AVX2, SSE4.1 and both builds of LiteRT.js agree on these prompts.
@pytest.mark.parametrize("language", CLIENTS)
def test_text_equals_our_runner_s(bundle: Bundle, language: str, tmp_path: Path) -> None:
    command: list[str | Path] = CLIENTS[language](bundle.folder)
    end_of_options = [] if language == "C++" else ["--"]
    for prompt in bundle.prompts:  # from an unrelated folder: a client finds its bundle itself
        text = done([*command, *end_of_options, prompt], cwd=tmp_path)
        assert text == bundle.expected[prompt] + "\n", prompt


@pytest.mark.parametrize("language", CLIENTS)
def test_portable_text_equals_our_runner_s(bundle: Bundle, language: str, tmp_path: Path) -> None:
    command: list[str | Path] = CLIENTS[language](bundle.folder, "portable")
    end_of_options = [] if language == "C++" else ["--"]
    for prompt in bundle.prompts:
        text = done([*command, *end_of_options, prompt], cwd=tmp_path)
        assert text == bundle.portable[prompt] + "\n", prompt
    (bundle.folder / "portable.tflite").rename(tmp_path / "elsewhere")
    finished = run([*command, "a"])
    (tmp_path / "elsewhere").rename(bundle.folder / "portable.tflite")
    (line,) = finished.stderr.splitlines()
    assert finished.returncode == 2 and line.startswith("error: ") and "portable.tflite" in line


@pytest.mark.parametrize("bundle", ["with a start token"], indirect=True)
@pytest.mark.parametrize("language", CLIENTS)
def test_mistakes_are_one_clear_line(bundle: Bundle, language: str, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(bundle.folder, folder, symlinks=True)
    command: list[str | Path] = CLIENTS[language](folder)

    def error_line(*arguments: str | bytes) -> str:
        finished = run([*command, *arguments])
        assert finished.returncode not in (0, 1), finished.stderr  # 1: an uncaught exception
        assert finished.stdout == ""
        (line,) = finished.stderr.splitlines()
        assert line.startswith("error: ")
        return line

    assert "prompt" in error_line()
    assert error_line("one", "two")
    if language != "JavaScript":  # Node replaces invalid UTF-8 with U+FFFD
        assert "not UTF-8" in error_line(b"a\xff")
    tokenizer = "tokenizer/tokenizer.json" if language == "Python" else "tokenizer/merges.txt"
    for name in ("tokens.tflite", tokenizer):
        (folder / name).rename(folder / "elsewhere")
        assert name in error_line("a")
        (folder / "elsewhere").rename(folder / name)
    assert run([*command, "a"]).returncode == 0


@pytest.mark.parametrize("bundle", ["with a start token"], indirect=True)
def test_a_missing_package_is_one_clear_line(bundle: Bundle, tmp_path: Path) -> None:
    shutil.copytree(bundle.folder, tmp_path / "bundle", ignore=shutil.ignore_patterns("node_modules"))
    node, usage_folder = tool("node", "it runs the JavaScript client"), tmp_path / "bundle/usage"
    python_without_packages: list[str | Path] = [python(), "-S", usage_folder / "complete.py"]
    for command, package in (
        (python_without_packages, "numpy"),
        ([node, usage_folder / "complete.mjs"], "@litertjs/core"),
    ):
        finished = run([*command, "a"])
        assert (finished.returncode, finished.stdout) == (2, "")
        (line,) = finished.stderr.splitlines()
        assert line.startswith("error: ") and package in line


def test_python_needs_neither_tensorflow_nor_this_project(tmp_path: Path) -> None:
    code = "import importlib.util as u; print([n for n in ('tensorflow', 'keras', 'stages') if u.find_spec(n)])"
    assert done([python(), "-c", code], cwd=tmp_path).strip() == "[]"


@pytest.mark.parametrize("bundle", ["with a start token"], indirect=True)
def test_a_seed_gives_the_same_draws_in_python_and_javascript(bundle: Bundle) -> None:
    texts = {}
    for client in (python_client, javascript_client):
        command = [*client(bundle.folder), "--temperature", "1", "--top-k", "20", "Returns the", "--seed"]
        texts[client] = first, again, other = tuple(done([*command, seed]) for seed in "112")
        assert first == again
        assert len({first, other, bundle.expected["Returns the"] + "\n"}) == 3
    assert texts[python_client] == texts[javascript_client]


@pytest.mark.parametrize("bundle", ["with a start token"], indirect=True)
def test_javascript_refuses_an_invalid_number(bundle: Bundle) -> None:
    finished = run([*javascript_client(bundle.folder), "--top-k", "many", "a"])
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr == "error: --top-k wants a number, not many\n"
