"""A cache whose objects are not what their names say."""

import subprocess
import sys
from pathlib import Path

import pytest

from helpers import repositories
from helpers.repositories import Repository


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    made = repositories.make_fake(tmp_path_factory.mktemp("cache") / "repository")
    assert made.dvc("repro", "convert").returncode == 0
    return made


def verify(repository: Repository, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "autocomplete", "verify-cache", *arguments],
        cwd=repository.folder,
        env=repository.environment,
        capture_output=True,
        text=True,
        check=False,
    )


def an_object(repository: Repository, content: bytes) -> Path:
    (found,) = (p for p in repository.folder.glob(".dvc/cache/files/md5/*/*") if p.read_bytes() == content)
    return found


def test_damage_that_dvc_restores_is_found_removed_and_made_again(repository: Repository) -> None:
    done = verify(repository)
    assert done.returncode == 0, done.stderr
    assert "objects, all sound" in done.stdout
    core = repository.folder / "artifacts/convert/core.tflite"
    content = core.read_bytes()
    wrong = an_object(repository, content)
    mode = wrong.stat().st_mode
    wrong.chmod(0o644)
    wrong.write_bytes(content[:-2] + b"!\n")
    wrong.chmod(mode)
    core.unlink()
    assert repository.dvc("checkout", "convert").returncode == 0
    assert core.read_bytes() != content  # DVC trusted it
    (wrong.parent / "tmpabcdef").write_text("left by a transfer that was killed")

    done = verify(repository)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [f"damaged: {wrong}"]
    assert done.stderr.splitlines()[-1].endswith("objects are damaged; --remove removes them")
    assert wrong.exists()
    assert verify(repository, "--remove").returncode == 0
    assert not wrong.exists()
    assert verify(repository).returncode == 0
    core.unlink()
    assert repository.dvc("repro", "convert").returncode == 0
    assert core.read_bytes() == content


def test_an_unknown_argument_is_one_line(repository: Repository) -> None:
    done = verify(repository, "--delete")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: No such option") and "--delete" in line and "verify-cache --help" in line
