"""What app teams install: `pull` and `verify` without TensorFlow, Keras and DVC."""

import shutil
import subprocess
from pathlib import Path

import pytest

from helpers.environments import absent
from helpers.folders import ROOT, kept

LARGEST_MB = 100

pytestmark = pytest.mark.network  # uv fetches the build backend and wheels


@pytest.fixture(scope="module")
def command() -> Path:
    """The command `autocomplete` in an environment with only the project's base dependencies."""
    uv = shutil.which("uv") or absent("uv is absent: it makes the environment (run the tests by `uv run pytest`)")
    folder = kept("installed")
    for arguments in (["venv", "--python", "3.11"], ["pip", "install", str(ROOT), "--python"]):
        subprocess.run([uv, *arguments, str(folder), "--quiet"], cwd=folder, check=True)
    return folder / "bin/autocomplete"


def run(command: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([command, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


def test_it_is_small(command: Path) -> None:
    files = [p for p in command.parents[1].rglob("*") if p.is_file() and not p.is_symlink()]
    assert sum(p.stat().st_size for p in files) < LARGEST_MB * 1e6
    names = {p.name for p in (command.parents[1] / "lib/python3.11/site-packages").iterdir()}
    assert not {"tensorflow", "keras", "dvc", "numpy"} & names


def test_hashes_and_signature_are_verified(command: Path, toy_bundle: Path, tmp_path: Path) -> None:
    done = run(command, "verify", str(toy_bundle), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "all listed and unchanged; the manifest agrees" in done.stdout
    assert "not loaded: this environment has no LiteRT" in done.stdout


def test_a_changed_file_is_reported(command: Path, bundle: Path, tmp_path: Path) -> None:
    (bundle / "core.tflite").write_bytes(b"other")
    done = run(command, "verify", str(bundle), cwd=tmp_path)
    assert done.returncode == 1
    assert "core.tflite" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["sweep", "quantize=float32"], ["complete", "--file", __file__, "Returns"]])
def test_commands_that_need_more_packages_say_so(command: Path, arguments: list[str], tmp_path: Path) -> None:
    done = run(command, *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert "this environment has no" in done.stderr and "`uv sync`" in done.stderr and done.stderr.count("\n") == 1
