"""release: a failed release publishes nothing, and the same command completes it."""

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


# Each function causes a failure and returns the path whose removal ends it.
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
    ("cause_failure", "message"),
    [
        (no_store, "dvc push failed"),
        (no_prefix, "cannot be reached or written"),
        (no_origin, "git push failed"),
        (no_index, "cannot be reached or written"),
    ],
)
def test_a_failed_release_publishes_nothing_and_the_same_command_completes_it(
    fresh: Project, cause_failure: Callable[[Project], Path], message: str
) -> None:
    obstacle = cause_failure(fresh)
    done = fresh.release("2.0.0", "--stage=prod")
    assert done.returncode == 1
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    tags, index = visible(fresh)
    assert index == {} if cause_failure is not no_index else tags  # only the index is missing then
    if cause_failure is not no_index:
        assert tags == set()
    (shutil.rmtree if obstacle.is_dir() else os.unlink)(obstacle)
    assert fresh.release("2.0.0", "--stage=prod").returncode == 0
    tags, index = visible(fresh)
    assert len(tags) == 2 * len(MODES)
    assert list(index["versions"]) == ["2.0.0"]
    assert fresh.run("git", "rev-list", "--count", "HEAD").strip() == "3"


@pytest.mark.parametrize("moment", ["adding", "pushing data", "writing"])
def test_a_killed_release_is_completed_by_the_same_command(fresh: Project, moment: str) -> None:
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
        assert line, "the release ended too early"
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
