"""A cache with objects whose content does not match their names."""

import subprocess
import sys
from pathlib import Path

import pytest

from helpers import repositories
from helpers.repositories import Repository


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    fake = repositories.make_fake(tmp_path_factory.mktemp("cache") / "repository")
    assert fake.dvc("repro", "convert").returncode == 0
    return fake


def verify(repository: Repository, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "autocomplete", "verify-cache", *arguments],
        cwd=repository.folder,
        env=repository.environment,
        capture_output=True,
        text=True,
        check=False,
    )


def cached_object(repository: Repository, content: bytes) -> Path:
    (path,) = (p for p in repository.folder.glob(".dvc/cache/files/md5/*/*") if p.read_bytes() == content)
    return path


def test_damage_that_dvc_restores_is_reported_removed_and_rebuilt(repository: Repository) -> None:
    done = verify(repository)
    assert done.returncode == 0, done.stderr
    assert "objects, all sound" in done.stdout
    core = repository.folder / "artifacts/convert/core.tflite"
    content = core.read_bytes()
    damaged = cached_object(repository, content)
    mode = damaged.stat().st_mode
    damaged.chmod(0o644)
    damaged.write_bytes(content[:-2] + b"!\n")
    damaged.chmod(mode)
    core.unlink()
    assert repository.dvc("checkout", "convert").returncode == 0
    assert core.read_bytes() != content  # DVC trusted it
    (damaged.parent / "tmpabcdef").write_text("left by a transfer that was killed")

    done = verify(repository)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [f"damaged: {damaged}"]
    assert done.stderr.splitlines()[-1].endswith("objects are damaged; --remove removes them")
    assert damaged.exists()
    assert verify(repository, "--remove").returncode == 0
    assert not damaged.exists()
    assert verify(repository).returncode == 0
    core.unlink()
    assert repository.dvc("repro", "convert").returncode == 0
    assert core.read_bytes() == content


def test_an_unknown_argument_is_one_line(repository: Repository) -> None:
    done = verify(repository, "--delete")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: No such option") and "--delete" in line and "verify-cache --help" in line
