"""App teams pull releases from real remotes, with plain DVC and with `pull`; a failure names its cause."""

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
def remotes(toy_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    with world(folder, toy_bundle, keys(folder, "release")) as running:
        yield running


@pytest.mark.parametrize("kind", KINDS)
def test_plain_dvc_pulls_a_version_and_a_stage(remotes: World, kind: str, tmp_path: Path) -> None:
    """By the commands that the page for app teams shows; 1.10.0 is newer than the version that they name."""
    commands = re.findall(r"^dvc artifacts get REPOSITORY autocomplete-dynamic-range (.*) --out bundle$", PAGE, re.M)
    assert [c.split()[0] for c in commands] == ["--rev", "--stage"]
    for number, options in enumerate(commands):
        out = tmp_path / str(number)
        done = remotes.dvc_get(remotes.hub(kind), *options.split(), "--out", str(out), login=remotes.logins.get(kind))
        assert done.returncode == 0, done.stderr
        assert tree_sha256(out) == remotes.tree(kind, "1.2.0")
        subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=out, check=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_release_is_pulled_and_checked(remotes: World, kind: str, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    done = remotes.pull(remotes.hub(kind), "--stage", "prod", "--out", str(out), login=remotes.logins.get(kind))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    release_line, signature_line, files_line, written_line = done.stdout.splitlines()
    assert release_line == f"release     {MODE} 1.2.0, {remotes.hub(kind)} {NAME}@v1.2.0"
    assert signature_line == f"signature   by the owner of keys/release.pem of {remotes.hub(kind)}"
    listed = len((out / "SHA256SUMS").read_text().splitlines())
    assert files_line.startswith(f"files       {listed}, all listed and unchanged")
    assert written_line == f"written     {out}"
    assert tree_sha256(out) == remotes.tree(kind, "1.2.0")
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("kind", ["folder", "s3", "ssh"])
def test_the_same_releases_are_at_a_plain_address(
    remotes: World, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in remotes.producers[kind].environment.items():
        monkeypatch.setenv(name, value)
    files, root = fsspec.url_to_fs(f"{remotes.plain[kind]}/releases/autocomplete", skip_instance_cache=True)
    index = releases.parse(files.cat_file(f"{root}/index.json"), "index.json")
    assert list(index.versions) == ["1.2.0", "1.10.0"]
    assert index.stages == {"prod": {MODE: "1.2.0"}}
    for version, tree in remotes.trees[kind].items():
        out, path = tmp_path / version, index.versions[version].modes[MODE].path
        for name in files.find(f"{root}/{path}"):
            copy = out / name.partition(f"{path}/")[2]
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(files.cat_file(name))
        assert verify.check_signature(out, remotes.keys[1])
        assert verify.check_files(out)
        assert tree_sha256(out) == tree


def test_every_form_of_a_repository_s_address(remotes: World, tmp_path: Path) -> None:
    """The newest version by number is 1.10.0."""
    producer = remotes.producers["ssh"]
    sources = {
        str(producer.folder): [],
        producer.hub.as_uri(): [],
        f"{remotes.ssh}{producer.hub}": [],
        f"{remotes.web}/ssh.git/": [],
        f"git+{remotes.web}/ssh.git": ["--version", "v1.10.0"],
    }
    outs = {source: tmp_path / str(number) for number, source in enumerate(sources)}
    with ThreadPoolExecutor(2) as pool:
        calls = {
            source: pool.submit(remotes.pull, source, *options, "--out", str(outs[source]), login=remotes.logins["ssh"])
            for source, options in sources.items()
        }
    for source, call in calls.items():
        assert call.result().returncode == 0, f"{source}: {call.result().stderr}"
        assert tree_sha256(outs[source]) == remotes.tree("ssh", "1.10.0")


def test_the_tagged_commit_has_the_remote_s_address_and_git_no_credentials(remotes: World) -> None:
    secrets = [PASSWORD, *remotes.logins["s3"].values(), "PRIVATE KEY", "user_key"]
    secrets.remove("us-east-1")
    for kind in KINDS:
        producer = remotes.producers[kind]
        config = producer.run("git", "-C", str(producer.hub), "show", f"{NAME}@v1.2.0:.dvc/config")
        assert "url = " in config
        history = producer.run("git", "-C", str(producer.hub), "log", "--all", "--patch", "--text")
        assert not [secret for secret in secrets if secret in history]


@dataclass(frozen=True)
class Failure:
    """A failing pull: remote, login, options, the advice of `pull`, and DVC's message (a row of the page)."""

    kind: str
    advice: str
    dvc_message: str | None = None
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
def failures(remotes: World) -> Iterator[dict[str, list[Future[Any]]]]:
    """The results of `pull` and DVC for each failure, computed in the background because some time out slowly."""
    calls = {}
    with ThreadPoolExecutor(2) as pool:
        for name, failure in FAILURES.items():
            hub = remotes.hub(failure.kind) if failure.kind in remotes.producers else str(remotes.folder / "none")
            right = {key: remotes.logins["s3"][key] for key, value in failure.login.items() if value == "RIGHT"}
            login = {**failure.login, **right}
            calls[name] = [pool.submit(remotes.pull, hub, *failure.pull, login=login)]
            if failure.dvc_message:
                calls[name].append(pool.submit(remotes.dvc_get, hub, *failure.dvc, login=login))
        yield calls
        pool.shutdown(cancel_futures=True)  # where only some tests run


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_is_one_line_that_says_what_to_do(failures: dict[str, list[Future[Any]]], name: str) -> None:
    failure, (pulled, *dvc_results) = FAILURES[name], (call.result() for call in failures[name])
    assert pulled.returncode == 1
    assert re.fullmatch(rf"error: .*{failure.advice}.*\n", pulled.stderr), pulled.stderr
    assert "Studio" not in pulled.stderr
    for result in dvc_results:
        assert result.returncode != 0
        assert failure.dvc_message in result.stderr
        assert f"`{failure.dvc_message}`" in TROUBLES, "the page for app teams explains each message"


def test_damage_that_dvc_accepts_is_refused(remotes: World, tmp_path: Path) -> None:
    """DVC itself reports no error."""
    out = tmp_path / "dvc"
    assert remotes.dvc_get(remotes.hub("spoilt"), "--rev", "v1.10.0", "--out", str(out)).returncode == 0
    assert subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=out, check=False).returncode != 0
    done = remotes.pull(remotes.hub("spoilt"), "--out", str(tmp_path / "bundle"))
    assert done.returncode == 1
    assert f"{NAME}@v1.10.0/core.tflite is damaged or was changed (SHA-256 differs)" in done.stderr
    assert list(tmp_path.iterdir()) == [out]


def test_a_foreign_key_and_a_login_refused_by_git(remotes: World, tmp_path: Path) -> None:
    _, other = keys(tmp_path, "other")
    done = remotes.pull(remotes.hub("folder"), "--key", str(other))
    assert done.returncode == 1
    assert re.fullmatch(rf"error: the signature is not by the owner of {other}: .*\n", done.stderr)
    command = f"ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile={tmp_path}/hosts"
    address = f"{remotes.ssh}{remotes.hub('ssh')}"
    done = remotes.pull(address, login={"GIT_SSH_COMMAND": f"{command} -o IdentityFile={tmp_path}/none"})
    assert re.fullmatch(r"error: the repository ssh://.*: name a key that the server knows in .*\n", done.stderr)
    done = remotes.pull(address, login={"GIT_SSH_COMMAND": f"{command.replace('=no', '=yes')}-known"})
    assert re.fullmatch(r"error: the repository ssh://.*host key.*: check the server's key and .*\n", done.stderr)


def test_a_stage_moves_and_a_version_is_withdrawn(remotes: World, tmp_path: Path) -> None:
    producer = Producer(tmp_path / "repository")
    shutil.copytree(remotes.producers["folder"].folder, producer.folder)
    gto.assign(producer.folder, NAME, "prod", version="v1.10.0")
    gto.assign(producer.folder, NAME, "staging", version="v1.2.0")
    available = partial(registry.available, mode=MODE)
    with registry.repository(str(producer.folder)) as repository:
        offer = available(repository)
        assert sorted(offer.versions) == ["1.10.0", "1.2.0"]
        assert offer.stages == {"prod": "1.10.0", "staging": "1.2.0"}
    gto.deregister(producer.folder, NAME, version="v1.2.0")
    with registry.repository(str(producer.folder)) as repository:
        offer = available(repository)
        assert (offer.versions, offer.stages) == (["1.10.0"], {"prod": "1.10.0"})
        with pytest.raises(UserError, match="no release of the mode int4; modes that are there: float32"):
            versions.choose(versions.ReleaseQuery("int4"), registry.available(repository, "int4"))


def test_a_silent_remote_times_out(remotes: World) -> None:
    """DVC itself waits half an hour for SSH. The test runs `pull` in its own process, which must end too."""
    with socket.create_server((HOST, 0)) as silent:
        url = f"ssh://me@{HOST}:{silent.getsockname()[1]}/store"
        producer = readdressed(remotes.producers["folder"], remotes.folder / "srv/silent", Remote(url), {"1.2.0": []})
        code = "from autocomplete.release import registry; registry._SILENCE_S = 2; from autocomplete.cli import main; "
        code += f"import sys; sys.argv[1:] = ['pull', {str(producer.hub)!r}, {MODE!r}]; main.main()"
        done = remotes.run(sys.executable, "-c", code)
    assert done.returncode == 1
    assert re.fullmatch(rf"error: .* at {url}: .*nothing came for 2 s: nobody answers there: .*\n", done.stderr)
