"""Producers with their servers, and consumers who share only addresses and credentials with them."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from autocomplete.common.files import tree_sha256
from helpers.folders import ROOT
from helpers.releases import BUNDLES, MODE, NAME, RELEASES, Producer, Remote, producer, readdressed, release
from helpers.servers import HOST, PASSWORD, USER, Ssh, free_port, nginx, s3, sshd


@dataclass(frozen=True)
class World:
    """The servers, the producers, and their releases.

    Attributes:
      folder: the parent of all files; nginx serves its `srv` at `web`.
      web, ssh: the servers' addresses.
      producers: by the kind of remote.
      logins: a consumer's environment with credentials, for the kinds that need them.
      trees: the SHA-256 of each version's files, by the kind that released it; other kinds have those of "folder".
      plain: the prefixes to which the same releases were written, by kind.
      keys: the private and the public key of the releases.
    """

    folder: Path
    web: str
    ssh: str
    producers: Mapping[str, Producer]
    logins: Mapping[str, Mapping[str, str]]
    trees: Mapping[str, Mapping[str, str]]
    plain: Mapping[str, str]
    keys: tuple[Path, Path]

    def tree(self, kind: str, version: str) -> str:
        return self.trees.get(kind, self.trees["folder"])[version]

    def hub(self, kind: str) -> str:
        return str(self.producers[kind].hub)

    def run(self, *command: str, login: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """A command of a consumer in a new, empty folder; without a login it has no credentials for any server."""
        place = tempfile.mkdtemp(dir=self.folder)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": place,
            "PYTHONPATH": str(ROOT),
            "DVC_SITE_CACHE_DIR": f"{place}/.cache",
            "AWS_EC2_METADATA_DISABLED": "true",
            "DVC_NO_ANALYTICS": "1",
            "TMPDIR": tempfile.mkdtemp(dir=self.folder),
        }
        done = subprocess.run(
            command,
            cwd=place,
            env=environment | dict(login or {}),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=300,
        )
        remaining = sorted(p.name for p in Path(environment["TMPDIR"]).iterdir())
        assert not remaining or "pull" not in command, f"pull leaves {remaining} behind"
        return done

    def pull(
        self, source: str, *options: str, login: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "autocomplete", "pull", source, MODE, *options, login=login)

    def dvc_get(
        self, source: str, *options: str, name: str = NAME, login: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "dvc", "artifacts", "get", source, name, *options, login=login)


@contextlib.contextmanager
def world(folder: Path, bundle: Path, keys: tuple[Path, Path]) -> Iterator[World]:
    """Starts the servers, and makes the releases on each of them."""
    served = folder / "srv"
    served.mkdir()
    with nginx(folder / "nginx", served) as web, sshd(folder / "ssh") as ssh, s3(folder / "s3") as bucket:
        ssh_address, key = f"ssh://{ssh.user}@{HOST}:{ssh.port}", str(ssh.key)
        endpoint = {"endpointurl": bucket.endpoint}
        ssh_login = _ssh_login(folder, ssh)
        remotes = {
            "folder": Remote(str(served / "store")),
            "ssh": Remote(f"{ssh_address}{folder}/ssh-store", local={"keyfile": key}, environment=ssh_login),
            "s3": Remote(
                f"s3://{bucket.bucket}/dvc",
                options=endpoint,
                environment={**bucket.environment, "AWS_ENDPOINT_URL": bucket.endpoint},
            ),
        }
        plain = {
            "folder": str(served / "plain"),
            "ssh": f"{ssh_address}{folder}/plain",
            "s3": f"s3://{bucket.bucket}/plain",
        }
        with ThreadPoolExecutor() as pool:
            running = {
                kind: pool.submit(_released, served / kind, remote, (bundle, plain[kind]), keys)
                for kind, remote in remotes.items()
            }
            producers, trees = {}, {}
            for kind, releases in running.items():
                producers[kind], trees[kind] = releases.result()
        for kind, remote in _elsewhere(folder, web).items():
            producers[kind] = readdressed(producers["folder"], served / kind.replace(" ", "_"), remote, RELEASES)
        _spoil(served / "store", folder / "spoilt", producers["folder"].folder / BUNDLES / MODE / "core.tflite")
        _garble(served / "store", folder / "garbled")
        logins = {"s3": bucket.environment, "ssh": ssh_login, "private": _http_login(folder)}
        yield World(folder, web, ssh_address, producers, logins, trees, plain, keys)


def _elsewhere(folder: Path, web: str) -> dict[str, Remote]:
    """Remotes of the same releases with another address of their data, or one that does not exist."""
    nobody = free_port()
    return {
        "http": Remote(f"{web}/store"),
        "private": Remote(f"{web}/private/store"),
        "forbidden": Remote(f"{web}/forbidden/store"),
        "http down": Remote(f"http://{HOST}:{nobody}/store"),
        "ssh down": Remote(f"ssh://{HOST}:{nobody}/store"),
        "gone": Remote(str(folder / "gone")),
        "s3 down": Remote("s3://models/dvc", options={"endpointurl": f"http://{HOST}:{nobody}"}),
        "nowhere": Remote("http://no-such-host.invalid/store"),
        "gs": Remote("gs://models/dvc"),
        "spoilt": Remote(str(folder / "spoilt")),
        "garbled": Remote(str(folder / "garbled")),
        "empty": Remote(f"{web}/nothing"),
    }


def _released(
    folder: Path, remote: Remote, bundle_and_prefix: tuple[Path, str], keys: tuple[Path, Path]
) -> tuple[Producer, dict[str, str]]:
    """Releases of a bundle, in DVC's remote and below a plain prefix."""
    bundle, prefix = bundle_and_prefix
    created, trees = producer(folder, remote, bundle, keys[1]), {}
    for version, stages in RELEASES.items():
        release(created, version, stages, keys[0], f"--prefix={prefix}")
        trees[version] = tree_sha256(folder / BUNDLES / MODE)
    return created, trees


def _spoil(store: Path, copy: Path, file: Path) -> None:
    """Copies a remote and flips one bit of a file's data."""
    shutil.copytree(store, copy)
    content = file.read_bytes()
    (stored,) = (p for p in copy.rglob("*") if p.is_file() and p.read_bytes() == content)
    stored.chmod(0o644)
    stored.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def _garble(store: Path, copy: Path) -> None:
    """Copies a remote and replaces its lists of files by text."""
    shutil.copytree(store, copy)
    for path in copy.rglob("*.dir"):
        path.chmod(0o644)
        path.write_text("none")


def _ssh_login(folder: Path, ssh: Ssh) -> dict[str, str]:
    """A home whose SSH configuration names the key; OpenSSH does not ask HOME for it."""
    config = folder / "home/.ssh/config"
    config.parent.mkdir(parents=True)
    config.write_text(f"Host {HOST}\n  IdentityFile {ssh.key}\n  IdentitiesOnly yes\n")
    host_key = ssh.key.with_name("host_key.pub").read_text()
    config.with_name("known_hosts").write_text(f"[{HOST}]:{ssh.port} {host_key}")
    ssh_command = (
        f"ssh -F {config} -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile={folder}/known_hosts"
    )
    return {"HOME": str(folder / "home"), "GIT_SSH_COMMAND": ssh_command}


def _http_login(folder: Path) -> dict[str, str]:
    """A home whose DVC configuration holds the login; the address in the repository takes precedence over its own."""
    config = folder / "web-home/.config/dvc/config"
    config.parent.mkdir(parents=True)
    login = f"auth = basic\nuser = {USER}\npassword = {PASSWORD}\n"
    config.write_text(f"['remote \"store\"']\nurl = http://anywhere\n{login}")
    return {"HOME": str(folder / "web-home")}
