"""Snapshots of the workspace in git, and clones of them."""

import subprocess
from pathlib import Path

import pytest

from autocomplete.common.errors import UserError
from autocomplete.sweep import snapshot


def git(*arguments: str, folder: Path | None = None) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit."""
    folder = tmp_path / "workspace"
    for name, content in {
        "params.yaml": "a: 1\n",
        "conf/sweep.yaml": "objective: speed\n",
        "stages/convert.py": "1\n",
        "README.md": "# read\n",
        ".dvc/config": "",
        ".gitignore": "ignored\n.dvc/config.local\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "a")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "a@example.org")
    monkeypatch.chdir(folder)
    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "--message", "start")
    return folder


def test_a_snapshot_has_the_edits_and_leaves_git_s_index_unchanged(workspace: Path) -> None:
    before = snapshot.take()
    (workspace / "params.yaml").write_text("a: 2\n")
    after = snapshot.take()
    assert (after.head, after.tree != before.tree) == (before.head, True)
    assert git("show", f"{after.tree}:params.yaml") == "a: 2"
    assert git("diff", "--cached", "--name-only") == ""
    assert git("stash", "list") == ""


@pytest.mark.parametrize(
    ("name", "matters"),
    [("params.yaml", True), ("stages/convert.py", True), ("conf/sweep.yaml", False), ("README.md", False)],
)
def test_the_identity_depends_on_files_that_may_change_a_result(name: str, matters: bool, workspace: Path) -> None:
    before = snapshot.identity(snapshot.take())
    (workspace / name).write_text("other: 1\n")
    assert (snapshot.identity(snapshot.take()) != before) is matters


def test_untracked_files_are_refused_where_they_matter(workspace: Path) -> None:
    (workspace / "notes.txt").write_text("mine")
    (workspace / "stages/ignored").write_text("mine")
    snapshot.take()
    (workspace / "stages/new.py").write_text("")
    with pytest.raises(UserError, match=r"git does not know stages/new\.py"):
        snapshot.take()


def test_without_a_commit_there_is_nothing_to_start_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    git("init", "--quiet")
    with pytest.raises(UserError, match="a sweep starts from a commit"):
        snapshot.take()


def test_a_clone_has_the_edits_and_its_own_settings(workspace: Path, tmp_path: Path) -> None:
    (workspace / ".dvc/config.local").write_text("['remote \"store\"']\npassword = secret\n")
    (workspace / "params.yaml").write_text("a: 2\n")
    commit = snapshot.take()
    folder = tmp_path / "clones/one"
    folder.mkdir(parents=True)
    (folder / "left").write_text("by an earlier try")
    snapshot.clone(commit, folder, tmp_path / "cache")
    assert (folder / "params.yaml").read_text() == "a: 2\n"
    assert not (folder / "left").exists()
    assert git("rev-parse", "HEAD", folder=folder) == commit.head
    local = (folder / ".dvc/config.local").read_text()
    assert f"dir = {tmp_path / 'cache'}" in local
    assert "password = secret" in local


def test_an_experiment_comes_back_all_at_once(tmp_path: Path) -> None:
    commit, folder = snapshot.take(), tmp_path / "clone"
    snapshot.clone(commit, folder, tmp_path / "cache")
    git("commit", "--quiet", "--allow-empty", "--message", "experiment", folder=folder)
    git("update-ref", f"refs/exps/{commit.head[:2]}/{commit.head[2:]}/fast", "HEAD", folder=folder)
    assert snapshot.experiment_names(commit.head) == set()
    snapshot.fetch_experiment(folder, commit.head, "fast")
    assert snapshot.experiment_names(commit.head) == {"fast"}
    assert snapshot.experiment_names("0" * 40) == set()
