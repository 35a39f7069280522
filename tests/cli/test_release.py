"""release: a published version is complete, signed and tagged, and never changes."""

import base64
import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from autocomplete.bundle import signature
from autocomplete.cli import release
from autocomplete.common.errors import UserError
from autocomplete.common.files import read_json, tree_sha256
from helpers.bundles import keys
from helpers.commands import stage
from helpers.folders import ROOT
from helpers.projects import MODES, Project, visible

pytestmark = pytest.mark.slow


def failure(project: Project, *arguments: str) -> str:
    """The error line of a refused release, which changes neither commits nor what is published."""
    before = project.run("git", "rev-parse", "HEAD"), visible(project)
    done = project.release(*arguments)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    assert (project.run("git", "rev-parse", "HEAD"), visible(project)) == before
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.stderr.splitlines()[-1] == line
    return line


def check_signature(content: dict[str, Any], public: Path) -> None:
    """Checks a release record as SECURITY.md says."""
    unsigned = {key: value for key, value in content.items() if key != "signature"}
    signed = json.dumps(unsigned, sort_keys=True, separators=(",", ":")).encode()
    signature.check(public, signed, base64.b64decode(content["signature"], validate=True))


def test_a_version_is_published_by_git_dvc_and_a_plain_address(fresh: Project, tmp_path: Path) -> None:
    revision = fresh.run("git", "rev-parse", "HEAD").strip()
    done = fresh.release("1.2.0", "--stage=staging")
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in MODES.values())
    assert fresh.run("git", "status", "--porcelain") == ""

    tags, index = visible(fresh)
    assert tags == {f"{name}{kind}" for name in MODES.values() for kind in ("@v1.2.0", "#staging#1")}
    record = json.loads(fresh.run("git", "show", "origin/main:releases/1.2.0.json"))
    check_signature(record, fresh.folder / "keys/release.pem")
    with pytest.raises(UserError, match="forged or damaged"):
        check_signature(record | {"version": "1.2.1"}, fresh.folder / "keys/release.pem")
    assert record["revision"] == revision
    assert index["versions"] == {"1.2.0": {"revision": revision, "modes": record["modes"]}}
    assert index["stages"] == {"staging": dict.fromkeys(sorted(MODES), "1.2.0")}

    for mode, name in MODES.items():
        folder = fresh.prefix / "releases/autocomplete" / record["modes"][mode]["path"]
        checked = stage("autocomplete", "verify", str(folder), "--key", str(fresh.folder / "keys/release.pem"))
        assert checked.returncode == 0, checked.stderr
        assert read_json(folder / "manifest.json")["release"] == {"version": "1.2.0", "revision": revision}
        assert f"Version 1.2.0, made from revision `{revision}`" in (folder / "MODEL_CARD.md").read_text()
        (archive,) = folder.glob(f"android/org/example/autocomplete/{name}/1.2.0/*.aar")
        with zipfile.ZipFile(archive) as opened:
            assert opened.read("assets/autocomplete.tflite") == (folder / "autocomplete.tflite").read_bytes()
    for choice in (["--rev", "v1.2.0"], ["--stage", "staging"]):
        pulled = tmp_path / choice[0]
        fresh.run("dvc", "artifacts", "get", str(fresh.origin), name, *choice, "--out", str(pulled))
        assert tree_sha256(pulled) == tree_sha256(folder)  # the folder of the last mode


def test_the_same_command_again_changes_nothing(fresh: Project) -> None:
    assert fresh.release("1.0.0").returncode == 0
    before = fresh.run("git", "rev-parse", "HEAD"), visible(fresh), tree_sha256(fresh.prefix)
    assert fresh.release("1.0.0").returncode == 0
    assert (fresh.run("git", "rev-parse", "HEAD"), visible(fresh), tree_sha256(fresh.prefix)) == before


def test_a_published_version_gets_a_stage_that_a_newer_version_takes_over(fresh: Project) -> None:
    assert fresh.release("1.0.0").returncode == 0
    (fresh.folder / "notes.txt").write_text("the branch goes on\n")
    fresh.commit("notes")
    done = fresh.release("1.0.0", "--stage=prod")
    assert done.returncode == 0, done.stderr
    assert visible(fresh)[1]["stages"] == {"prod": dict.fromkeys(sorted(MODES), "1.0.0")}
    fresh.package("float32", language="de")
    fresh.run("dvc", "repro", "--quiet")
    fresh.commit("another float32")
    assert fresh.release("1.10.0", "--stage=prod").returncode == 0
    tags, index = visible(fresh)
    assert index["stages"] == {"prod": dict.fromkeys(sorted(MODES), "1.10.0")}
    assert list(index["versions"]) == ["1.0.0", "1.10.0"]
    assert "autocomplete-float32@v1.0.0" in tags


def test_only_a_clean_tree_is_released(fresh: Project) -> None:
    (fresh.folder / "stages/new.py").write_text("")
    assert "git's tree is not clean: stages/new.py; commit or stash" in failure(fresh, "1.0.0")


def test_only_an_up_to_date_lock_is_released(fresh: Project) -> None:
    fresh.package("float32", language="de")
    fresh.commit("edited, not run")
    assert "dvc.lock is behind at package@float32: run `dvc repro`" in failure(fresh, "1.0.0")


def test_a_bundle_with_a_failed_gate_is_not_released(fresh: Project) -> None:
    fresh.package("dynamic_range", failed_gates=["perplexity_ratio"])
    fresh.run("dvc", "repro", "--quiet")
    fresh.commit("packaged in spite of a gate")
    assert "perplexity_ratio did not pass" in failure(fresh, "1.0.0")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": None}, "version is None; say 1.2.0"),
        ({"version": "1.2"}, "version is 1.2; say 1.2.0"),
        ({"maven_group": "a b"}, "group 'a b' is no Maven group"),
    ],
)
def test_contradictory_settings_are_refused(changes: dict[str, str], message: str) -> None:
    settings = yaml.safe_load((ROOT / "conf/release.yaml").read_text()) | {"version": "1.2.0"}
    release.ReleaseSettings(**settings)
    with pytest.raises(UserError, match=re.escape(message)):
        release.ReleaseSettings(**settings | changes)


def test_mistakes_are_one_line(fresh: Project) -> None:
    assert "Missing argument 'VERSION'" in failure(fresh)
    assert "git fetch failed" in failure(fresh, "1.2.0", "--git-remote=nobody")


def test_the_key_must_be_the_owner_s_and_outside_the_repository(fresh: Project, tmp_path: Path) -> None:
    other, _ = keys(tmp_path, "other")
    with pytest.raises(UserError, match="say key=<path of an Ed25519 private key>"):
        signature.private_key(None, fresh.folder)
    with pytest.raises(UserError, match="nowhere does not exist"):
        signature.private_key("nowhere", fresh.folder)
    assert "keys/release.pem does not belong to" in failure(fresh, "1.0.0", f"--key={other}")
    inside = fresh.folder / "made/release.key"
    shutil.copyfile(fresh.key, inside)
    assert "lies in the repository" in failure(fresh, "1.0.0", f"--key={inside}")


def test_a_version_never_changes(fresh: Project) -> None:
    assert fresh.release("1.0.0", "--git-remote=").returncode == 0
    fresh.run("git", "tag", "--delete", "autocomplete-float32@v1.0.0")  # as after an interrupted release
    fresh.package("float32", language="de")
    fresh.run("dvc", "repro", "--quiet")
    fresh.commit("another float32")
    assert "a version never changes" in failure(fresh, "1.0.0", "--git-remote=")


def test_a_version_of_another_branch_is_not_released_again(fresh: Project) -> None:
    before = fresh.run("git", "rev-parse", "HEAD").strip()
    assert fresh.release("1.0.0").returncode == 0
    fresh.run("git", "checkout", "--quiet", "-b", "other", before)
    fresh.run("dvc", "checkout", "--quiet")
    assert "version 1.0.0 is out" in failure(fresh, "1.0.0")
