"""release: what fails on the way is not seen, and the same command ends it."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from autocomplete.cli import verify
from helpers.projects import MODES, Project, visible

pytestmark = pytest.mark.slow


# What fails, how it is mended, and what is told.
def no_store(project: Project) -> Path:
    shutil.rmtree(project.store, ignore_errors=True)
    project.store.write_text("a file where a folder should be")
    return project.store


def no_prefix(project: Project) -> Path:
    project.prefix.write_text("a file where a folder should be")
    return project.prefix


def no_index(project: Project) -> Path:
    place = project.prefix / "releases/autocomplete/index.json"
    place.mkdir(parents=True)
    return place


def no_origin(project: Project) -> Path:
    hook = project.origin / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho no >&2\nexit 1\n")
    hook.chmod(0o755)
    return hook


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (no_store, "dvc push failed"),
        (no_prefix, "cannot be reached or written"),
        (no_origin, "git push failed"),
        (no_index, "cannot be reached or written"),
    ],
)
def test_what_fails_is_not_seen_and_the_same_command_ends_it(
    fresh: Project, spoil: Callable[[Project], Path], told: str
) -> None:
    spoilt = spoil(fresh)
    done = fresh.release("2.0.0", "--stage=prod")
    assert done.returncode == 1
    assert told in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    tags, index = visible(fresh)
    assert index == {} if spoil is not no_index else tags  # all but the index is there then
    if spoil is not no_index:
        assert tags == set()
    (shutil.rmtree if spoilt.is_dir() else os.unlink)(spoilt)
    assert fresh.release("2.0.0", "--stage=prod").returncode == 0
    tags, index = visible(fresh)
    assert len(tags) == 2 * len(MODES)
    assert list(index["versions"]) == ["2.0.0"]
    assert fresh.run("git", "rev-list", "--count", "HEAD").strip() == "3"


@pytest.mark.parametrize("moment", ["adding", "pushing data", "writing"])
def test_a_killed_release_is_ended_by_the_same_command(fresh: Project, moment: str) -> None:
    process = subprocess.Popen(
        fresh.command("2.0.0"),
        cwd=fresh.folder,
        env=fresh.environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    while not (line := process.stderr.readline()).startswith(moment):
        assert line, "it ended before that"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert visible(fresh)[1] == {}
    done = fresh.release("2.0.0")
    assert done.returncode == 0, done.stderr
    tags, index = visible(fresh)
    assert tags == {f"{name}@v2.0.0" for name in MODES.values()}
    place = fresh.prefix / "releases/autocomplete"
    for mode in MODES:
        folder = place / index["versions"]["2.0.0"]["modes"][mode]["path"]
        assert verify.check_signature(folder, fresh.folder / "keys/release.pem")
        assert verify.check_files(folder)
    assert fresh.run("git", "rev-list", "--count", "HEAD").strip() == "3"
