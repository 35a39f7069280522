"""App teams pull releases from real remotes, by DVC alone and by `pull`, and read why where they cannot."""

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import pytest
from gto import api as gto

from autocomplete.cli import verify
from autocomplete.common.errors import UserError
from autocomplete.common.files import tree_sha256
from autocomplete.release import registry, releases, versions
from helpers.bundles import keys
from helpers.folders import ROOT
from helpers.releases import MODE, NAME, Producer, Remote, readdressed
from helpers.servers import HOST, PASSWORD
from helpers.world import World, world

pytestmark = pytest.mark.slow

PAGE, TROUBLES = ((ROOT / f"docs/app-team/{n}.md").read_text() for n in ("README", "troubleshooting"))
KINDS = ("folder", "s3", "ssh", "http", "private")


@pytest.fixture(scope="module")
def there(toy_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    with world(folder, toy_bundle, keys(folder, "release")) as made:
        yield made


@pytest.mark.parametrize("kind", KINDS)
def test_dvc_alone_pulls_a_version_and_a_stage(there: World, kind: str, tmp_path: Path) -> None:
    """By the commands that the page for app teams shows; 1.10.0 is newer than what they ask for."""
    commands = re.findall(r"^dvc artifacts get REPOSITORY autocomplete-dynamic-range (.*) --out bundle$", PAGE, re.M)
    assert [c.split()[0] for c in commands] == ["--rev", "--stage"]
    for number, options in enumerate(commands):
        out = tmp_path / str(number)
        done = there.dvc_get(there.hub(kind), *options.split(), "--out", str(out), login=there.logins.get(kind))
        assert done.returncode == 0, done.stderr
        assert tree_sha256(out) == there.tree(kind, "1.2.0")
        subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=out, check=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_release_is_pulled_and_checked(there: World, kind: str, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    done = there.pull(there.hub(kind), "--stage", "prod", "--out", str(out), login=there.logins.get(kind))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    told, signed, whole, written = done.stdout.splitlines()
    assert told == f"release     {MODE} 1.2.0, {there.hub(kind)} {NAME}@v1.2.0"
    assert signed == f"signature   by the owner of keys/release.pem of {there.hub(kind)}"
    listed = len((out / "SHA256SUMS").read_text().splitlines())
    assert whole.startswith(f"files       {listed}, all listed and unchanged")
    assert written == f"written     {out}"
    assert tree_sha256(out) == there.tree(kind, "1.2.0")
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("kind", ["folder", "s3", "ssh"])
def test_the_same_releases_are_at_a_plain_place(
    there: World, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in there.producers[kind].environment.items():
        monkeypatch.setenv(name, value)
    files, place = fsspec.url_to_fs(f"{there.plain[kind]}/releases/autocomplete", skip_instance_cache=True)
    listed = releases.parse(files.cat_file(f"{place}/index.json"), "index.json")
    assert list(listed.versions) == ["1.2.0", "1.10.0"]
    assert listed.stages == {"prod": {MODE: "1.2.0"}}
    for version, tree in there.trees[kind].items():
        out, path = tmp_path / version, listed.versions[version].modes[MODE].path
        for name in files.find(f"{place}/{path}"):
            copy = out / name.partition(f"{path}/")[2]
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(files.cat_file(name))
        assert verify.check_signature(out, there.keys[1])
        assert verify.check_files(out)
        assert tree_sha256(out) == tree


def test_every_form_of_a_repository(there: World, tmp_path: Path) -> None:
    """The newest is the newest by number: 1.10.0."""
    made = there.producers["ssh"]
    sources = {
        str(made.folder): [],
        made.hub.as_uri(): [],
        f"{there.ssh}{made.hub}": [],
        f"{there.web}/ssh.git/": [],
        f"git+{there.web}/ssh.git": ["--version", "v1.10.0"],
    }
    outs = {source: tmp_path / str(number) for number, source in enumerate(sources)}
    with ThreadPoolExecutor(2) as several:
        calls = {
            source: several.submit(there.pull, source, *options, "--out", str(outs[source]), login=there.logins["ssh"])
            for source, options in sources.items()
        }
    for source, call in calls.items():
        assert call.result().returncode == 0, f"{source}: {call.result().stderr}"
        assert tree_sha256(outs[source]) == there.tree("ssh", "1.10.0")


def test_the_tagged_commit_has_the_remote_s_address_and_git_no_way_in(there: World) -> None:
    secrets = [PASSWORD, *there.logins["s3"].values(), "PRIVATE KEY", "user_key"]
    secrets.remove("us-east-1")
    for kind in KINDS:
        made = there.producers[kind]
        config = made.run("git", "-C", str(made.hub), "show", f"{NAME}@v1.2.0:.dvc/config")
        assert "url = " in config
        history = made.run("git", "-C", str(made.hub), "log", "--all", "--patch", "--text")
        assert not [secret for secret in secrets if secret in history]


@dataclass(frozen=True)
class Failure:
    """What is asked for where and with which login; what pull advises, and what DVC says, a row of the page."""

    kind: str
    advice: str
    of_dvc: str | None = None
    login: Mapping[str, str] = field(default_factory=dict)
    pull: Sequence[str] = ()
    dvc: Sequence[str] = ("--stage", "prod")


WRONG = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "wrong"}
SILENCE = "nobody answers there: check address and network"
TEAM = "is not there or damaged: tell the model team"
FAILURES = {
    "no S3 keys": Failure("s3", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", "Unable to locate credentials"),
    "an unknown S3 key": Failure("s3", "set AWS_ACCESS_KEY_ID", None, WRONG),
    "a wrong S3 secret": Failure("s3", "set AWS_ACCESS_KEY_ID", "Forbidden", WRONG | {"AWS_ACCESS_KEY_ID": "RIGHT"}),
    "no SSH key": Failure("ssh", r"name a key .* in ~/\.ssh/config", "Permission denied for user"),
    "no password": Failure("private", "give a login that may read it", "401, message='Unauthorized'"),
    "not for you": Failure("forbidden", "give a login that may read it", "403, message='Forbidden'"),
    "S3 down": Failure("s3 down", SILENCE, "Could not connect to the endpoint URL", WRONG),
    "SSH down": Failure("ssh down", SILENCE, "Connect call failed"),
    "web server down": Failure("http down", SILENCE, "Cannot connect to host"),
    "no such host": Failure("nowhere", SILENCE),
    "data gone": Failure("gone", TEAM, "No such file or directory"),
    "data not pushed": Failure("empty", TEAM, "404, message='Not Found'"),
    "data garbled": Failure("garbled", TEAM, "is corrupted"),
    "no part of DVC for it": Failure("gs", "install DVC's part for such a remote", "is supported, but requires"),
    "no repository": Failure("none", "check the address of the repository", "No git repository was found"),
    "no such version": Failure(
        "folder",
        "has no version 9.9.9 of float32; there are 1.2.0, 1.10.0",
        "Unable to find artifact",
        pull=["--version", "9.9.9"],
        dvc=["--rev", "v9.9.9"],
    ),
    "no such stage": Failure("folder", r"stages that are there: prod \(1\.2\.0\)", pull=["--stage", "beta"]),
}


@pytest.fixture(scope="module", autouse=True)
def failures(there: World) -> Iterator[dict[str, list[Future[Any]]]]:
    """What pull and DVC say to each, in the background while other tests run: some wait long."""
    found = {}
    with ThreadPoolExecutor(2) as several:
        for name, asked in FAILURES.items():
            hub = there.hub(asked.kind) if asked.kind in there.producers else str(there.folder / "none")
            right = {key: there.logins["s3"][key] for key, value in asked.login.items() if value == "RIGHT"}
            login = {**asked.login, **right}
            found[name] = [several.submit(there.pull, hub, *asked.pull, login=login)]
            if asked.of_dvc:
                found[name].append(several.submit(there.dvc_get, hub, *asked.dvc, login=login))
        yield found
        several.shutdown(cancel_futures=True)  # where only some tests run


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_is_one_line_that_says_what_to_do(failures: dict[str, list[Future[Any]]], name: str) -> None:
    asked, (pulled, *of_dvc) = FAILURES[name], (call.result() for call in failures[name])
    assert pulled.returncode == 1
    assert re.fullmatch(rf"error: .*{asked.advice}.*\n", pulled.stderr), pulled.stderr
    assert "Studio" not in pulled.stderr
    for got in of_dvc:
        assert got.returncode != 0
        assert asked.of_dvc in got.stderr
        assert f"`{asked.of_dvc}`" in TROUBLES, "the page for app teams explains each message"


def test_what_dvc_takes_from_a_spoilt_remote_is_refused(there: World, tmp_path: Path) -> None:
    """DVC says that all is well."""
    out = tmp_path / "dvc"
    assert there.dvc_get(there.hub("spoilt"), "--rev", "v1.10.0", "--out", str(out)).returncode == 0
    assert subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=out, check=False).returncode != 0
    done = there.pull(there.hub("spoilt"), "--out", str(tmp_path / "bundle"))
    assert done.returncode == 1
    assert f"{NAME}@v1.10.0/core.tflite is damaged or was changed (SHA-256 differs)" in done.stderr
    assert list(tmp_path.iterdir()) == [out]


def test_a_key_of_somebody_else_s_and_a_login_refused_by_git(there: World, tmp_path: Path) -> None:
    _, other = keys(tmp_path, "other")
    done = there.pull(there.hub("folder"), "--key", str(other))
    assert done.returncode == 1
    assert re.fullmatch(rf"error: the signature is not by the owner of {other}: .*\n", done.stderr)
    command = f"ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile={tmp_path}/hosts"
    at = f"{there.ssh}{there.hub('ssh')}"
    done = there.pull(at, login={"GIT_SSH_COMMAND": f"{command} -o IdentityFile={tmp_path}/none"})
    assert re.fullmatch(r"error: the repository ssh://.*: name a key that the server knows in .*\n", done.stderr)
    done = there.pull(at, login={"GIT_SSH_COMMAND": f"{command.replace('=no', '=yes')}-known"})
    assert re.fullmatch(r"error: the repository ssh://.*host key.*: check the server's key and .*\n", done.stderr)


def test_a_stage_moves_and_a_version_is_withdrawn(there: World, tmp_path: Path) -> None:
    made = Producer(tmp_path / "repository")
    shutil.copytree(there.producers["folder"].folder, made.folder)
    gto.assign(made.folder, NAME, "prod", version="v1.10.0")
    gto.assign(made.folder, NAME, "staging", version="v1.2.0")
    offered = partial(registry.available, mode=MODE)
    with registry.repository(str(made.folder)) as repository:
        offer = offered(repository)
        assert sorted(offer.versions) == ["1.10.0", "1.2.0"]
        assert offer.stages == {"prod": "1.10.0", "staging": "1.2.0"}
    gto.deregister(made.folder, NAME, version="v1.2.0")
    with registry.repository(str(made.folder)) as repository:
        offer = offered(repository)
        assert (offer.versions, offer.stages) == (["1.10.0"], {"prod": "1.10.0"})
        with pytest.raises(UserError, match="no release of the mode int4; modes that are there: float32"):
            versions.choose(versions.ReleaseQuery("int4"), registry.available(repository, "int4"))


def test_a_remote_that_keeps_silent_is_given_up(there: World) -> None:
    """DVC itself waits half an hour for a word by SSH. In a process of its own, which has to end too."""
    with socket.create_server((HOST, 0)) as silent:
        url = f"ssh://me@{HOST}:{silent.getsockname()[1]}/store"
        made = readdressed(there.producers["folder"], there.folder / "srv/silent", Remote(url), {"1.2.0": []})
        code = "from autocomplete.release import registry; registry._SILENCE_S = 2; from autocomplete.cli import main; "
        code += f"import sys; sys.argv[1:] = ['pull', {str(made.hub)!r}, {MODE!r}]; main.main()"
        done = there.run(sys.executable, "-c", code)
    assert done.returncode == 1
    assert re.fullmatch(rf"error: .* at {url}: .*nothing came for 2 s: nobody answers there: .*\n", done.stderr)
