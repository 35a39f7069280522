"""A preset of a hub: retries, timeouts, pins of revision and hash, offline use, and no secret in any output."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from autocomplete.common.errors import UserError
from autocomplete.common.files import read_json, tree_sha256
from autocomplete.presets import hub
from autocomplete.presets.settings import DESCRIPTION, HubSettings, Pin
from helpers import fake_hub
from helpers.fake_hub import COMMIT, EARLIER, FakeHub
from helpers.folders import ROOT
from helpers.toys import Toy

pytestmark = pytest.mark.slow

TOKEN = "hf_secretsecretsecretsecretsecretsecret"


@pytest.fixture
def world(toy: Toy, tmp_path: Path) -> Iterator[FakeHub]:
    folder = tmp_path / "repository"
    folder.mkdir()
    for path in sorted(toy.preset.rglob("*")):
        target = folder / path.relative_to(toy.preset)
        target.mkdir() if path.is_dir() else target.write_bytes(path.read_bytes())
    (folder / "README.md").write_text("# A toy\n")
    with fake_hub.running(FakeHub(folder)) as running:
        yield running


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder in which author can run, with its own cache of downloads."""
    folder = tmp_path / "project"
    (folder / "conf").mkdir(parents=True)
    for name in ("dvc.yaml", "params.yaml"):
        (folder / name).symlink_to(ROOT / name)
    for path in (ROOT / "conf").iterdir():
        if path.name != "author":
            (folder / "conf" / path.name).symlink_to(path)
    (folder / "conf/author").mkdir()
    return folder


def author(
    project: Path, world: FakeHub, settings: dict[str, Any], **variables: str
) -> subprocess.CompletedProcess[str]:
    """Runs author with a conf/author file of `settings`."""
    content = {"preset": "hf://toy/gpt2", "license": "MIT", "add_end_token": True, "hub": HUB} | settings
    (project / "conf/author/toy.yaml").write_text(yaml.safe_dump(content))
    inherited = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and not k.startswith("HF_")}
    environment = inherited | world.environment | {"HF_HOME": str(project / "hf"), "PYTHONPATH": str(ROOT)} | variables
    return subprocess.run(
        [sys.executable, "-m", "stages.author", "author=toy"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


HUB = {"attempts": 4, "timeout_s": 5.0, "pause_s": 0.05, "offline": False}


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The message of a refusal, the last line of standard error."""
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert lines[-1].startswith("error: ")
    return lines[-1]


def test_requests_to_a_busy_hub_are_retried_and_the_download_is_recorded(
    world: FakeHub, project: Path, toy: Toy
) -> None:
    world.busy = 2
    done = author(project, world, {}, HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    description = read_json(project / "artifacts/author" / DESCRIPTION)
    assert (description["source"], description["source_revision"]) == ("hf://toy/gpt2", COMMIT)
    assert (description["license"], description["converted_from"]) == ("MIT", None)
    for name in ("model.weights.h5", "config.json", "assets/tokenizer/vocabulary.json"):
        assert (project / "artifacts/author" / name).read_bytes() == (toy.preset / name).read_bytes()
    # the token from the environment went to the hub, and no file and no output contains it
    assert {authorization for _, _, authorization in world.requests} == {f"Bearer {TOKEN}"}
    written = [p for p in project.rglob("*") if p.is_file()]
    assert len(written) > 10
    assert not [p for p in written if TOKEN.encode() in p.read_bytes()]
    assert TOKEN not in done.stdout + done.stderr
    assert not [path for _, path, _ in world.requests if path.endswith((".bin", ".md"))]

    # offline, by the setting or by the variable, and without an answer, the earlier download is used
    request_count, pin = len(world.requests), description["source_sha256"]
    for settings, variables in (({"hub": HUB | {"offline": True}}, {}), ({}, {"HF_HUB_OFFLINE": "1"})):
        done = author(project, world, {"sha256": pin, **settings}, **variables)
        assert done.returncode == 0, done.stderr
    assert len(world.requests) == request_count
    described_again = read_json(project / "artifacts/author" / DESCRIPTION)
    assert described_again == description
    done = author(project, world, {"sha256": pin}, HF_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    assert "no hub answers" in done.stdout

    # changed bytes in the cache do not match the pin
    vocabulary = next((project / "hf").rglob("vocabulary.json"))
    vocabulary.write_bytes(vocabulary.read_bytes() + b"\n")
    line = refused(author(project, world, {"sha256": pin, "hub": HUB | {"offline": True}}))
    assert f"not {pin} (author.sha256)" in line
    assert read_json(project / "artifacts/author" / DESCRIPTION) == description  # the earlier preset stays


def test_the_requested_revision_is_downloaded(world: FakeHub, project: Path) -> None:
    done = author(project, world, {"revision": EARLIER})
    assert done.returncode == 0, done.stderr
    paths = [path for _, path, _ in world.requests]
    assert all(EARLIER in path for path in paths)
    assert f"/toy/gpt2/resolve/{EARLIER}/config.json" in paths
    assert {authorization for _, _, authorization in world.requests} == {None}
    assert read_json(project / "artifacts/author" / DESCRIPTION)["source_revision"] == EARLIER

    done = author(project, world, {"revision": "v1"})  # a tag's commit is recorded
    assert done.returncode == 0, done.stderr
    assert read_json(project / "artifacts/author" / DESCRIPTION)["source_revision"] == EARLIER
    assert "v1" in "".join(path for _, path, _ in world.requests)

    request_count = len(world.requests)
    line = refused(author(project, world, {"revision": "v9"}))
    assert "preset 'hf://toy/gpt2' cannot be downloaded: RevisionNotFoundError" in line
    assert len(world.requests) == request_count + 1  # a revision that does not exist is not requested again


def test_a_silent_hub_is_reported_in_one_line_after_all_attempts(world: FakeHub, project: Path) -> None:
    world.silent = True
    line = refused(author(project, world, {"hub": HUB | {"attempts": 2, "timeout_s": 0.5}}))
    assert "2 attempts failed (ReadTimeout" in line
    assert "no earlier download; author.preset takes" in line
    assert len(world.requests) == 2


def test_a_hub_that_stays_busy_or_sends_other_bytes_is_reported(world: FakeHub, project: Path) -> None:
    world.busy = 1000
    line = refused(author(project, world, {"hub": HUB | {"attempts": 3}}))
    assert "3 attempts failed (HfHubHTTPError" in line
    assert "503" in line
    assert world.busy == 997
    world.busy = 0
    line = refused(author(project, world, {"sha256": "0" * 64}))
    assert f"not {'0' * 64} (author.sha256)" in line
    assert not (project / "artifacts/author").exists()


def test_files_from_a_hub_are_checked(world: FakeHub, project: Path) -> None:
    (world.folder / "tokenizer.json").write_bytes(b"\x80\x04N.")
    assert "tokenizer.json is a pickle" in refused(author(project, world, {}))
    assert not (project / "artifacts/author").exists()


@pytest.mark.parametrize("key", ["token", "hf_token", "password", "kaggle_key"])
def test_credentials_in_conf_are_refused(world: FakeHub, project: Path, key: str) -> None:
    for settings in ({key: TOKEN}, {"hub": HUB | {key: TOKEN}}):
        line = refused(author(project, world, settings))
        assert key in line
        assert "credentials come from the environment alone" in line
        assert TOKEN not in line
    assert not world.requests


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UserError, match="'gpt3' is neither a local folder nor a name that KerasHub knows; "):
        hub.find("gpt3", Pin(), HubSettings())
    with pytest.raises(UserError, match=r"has an unknown scheme; allowed: hf://organization/name, kaggle://"):
        hub.find("s3://bucket/gpt2", Pin(), HubSettings())
    with pytest.raises(UserError, match=r"on Kaggle a revision is a version's number"):
        hub.find("gpt2_base_en", Pin(revision="main"), HubSettings())


def test_an_earlier_download_of_kaggles_needs_no_network(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    offline = HubSettings(offline=True)
    with pytest.raises(UserError, match="cannot be loaded: offline, and there is no earlier download"):
        hub.find("gpt2_base_en", Pin(), offline)
    cached = tmp_path / "models/keras/gpt2/keras/gpt2_base_en/3"
    cached.parent.mkdir(parents=True)
    cached.symlink_to(toy.preset)
    (cached.parent / "3.complete").touch()
    download = hub.find("gpt2_base_en", Pin(), offline)
    assert (download.path, download.revision) == (cached, "3")
    assert tree_sha256(download.path) == tree_sha256(toy.preset)
    with pytest.raises(UserError, match="no earlier download"):
        hub.find("gpt2_base_en", Pin(revision="2"), offline)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"attempts": 0}, "attempts is 0"),
        ({"timeout_s": 0.0}, r"timeout_s is 0\.0"),
        ({"pause_s": -1.0}, "pause_s is -1"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        HubSettings(**settings)
