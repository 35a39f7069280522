"""Real servers on loopback, each with its settings in its own folder, started by the test that needs it."""

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3

from helpers.environments import absent

HOST = "127.0.0.1"
USER, PASSWORD = "reader", "open-sesame"
_READY_S = 30


@dataclass(frozen=True)
class Ssh:
    """An SSH server whose user logs in with one key."""

    port: int
    user: str
    key: Path


@dataclass(frozen=True)
class S3:
    """A server of the S3 protocol, with a bucket that one pair of keys may read and write."""

    endpoint: str
    bucket: str
    key: str
    secret: str

    @property
    def environment(self) -> dict[str, str]:
        """The credentials of a client."""
        return {"AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret, "AWS_DEFAULT_REGION": "us-east-1"}


def free_port() -> int:
    """A port that no process listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def nginx(folder: Path, root: Path) -> Iterator[str]:
    """Debian's nginx serves a folder, read-only; /private/ needs a password, /forbidden/ is denied."""
    program, port = _program("nginx"), free_port()
    folder.mkdir(parents=True)
    hashed = subprocess.run(["openssl", "passwd", "-6", PASSWORD], capture_output=True, text=True, check=True).stdout
    (folder / "passwords").write_text(f"{USER}:{hashed}")
    temporary = "".join(f"{k}_temp_path {folder}/{k};" for k in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"""daemon off; pid {folder}/pid; error_log stderr; user {getpass.getuser()}; worker_processes 1;
        events {{}}
        http {{
          access_log off; {temporary}
          server {{
            listen {HOST}:{port}; root {root};
            if ($request_method !~ ^(GET|HEAD)$) {{ return 405; }}
            location /private/ {{ alias {root}/; auth_basic closed; auth_basic_user_file {folder}/passwords; }}
            location /forbidden/ {{ deny all; }}
          }}
        }}"""
    )
    with _running([program, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")], port, folder / "log"):
        yield f"http://{HOST}:{port}"


@contextlib.contextmanager
def sshd(folder: Path) -> Iterator[Ssh]:
    """Debian's openssh-server, for the user of this process, with one authorized key."""
    program, port = _program("sshd"), free_port()
    folder.mkdir(parents=True)
    for name in ("host_key", "user_key"):
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)]
        subprocess.run(make, check=True)
    (folder / "sshd_config").write_text(
        f"""ListenAddress {HOST}
        Port {port}
        HostKey {folder}/host_key
        AuthorizedKeysFile {folder}/user_key.pub
        PidFile none
        StrictModes no
        UsePAM no
        PermitRootLogin prohibit-password
        PasswordAuthentication no
        KbdInteractiveAuthentication no
        Subsystem sftp internal-sftp
        """
    )
    if os.geteuid() == 0:  # Debian's service makes it, which no test starts
        Path("/run/sshd").mkdir(exist_ok=True)
    with _running([program, "-D", "-e", "-f", str(folder / "sshd_config")], port, folder / "log"):
        yield Ssh(port, getpass.getuser(), folder / "user_key")


@contextlib.contextmanager
def s3(folder: Path) -> Iterator[S3]:
    """Moto's server, which checks keys and signatures of all later calls."""
    port, bucket = free_port(), "models"
    folder.mkdir(parents=True)
    setup = 4  # calls that pass unchecked: those below
    environment = os.environ | {"INITIAL_NO_AUTH_ACTION_COUNT": str(setup)}
    command = [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)]
    with _running(command, port, folder / "log", environment):
        endpoint = f"http://{HOST}:{port}"
        unchecked = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
        iam = boto3.client("iam", endpoint_url=endpoint, **unchecked)
        iam.create_user(UserName=USER)
        policy = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
        iam.put_user_policy(UserName=USER, PolicyName="all", PolicyDocument=policy)
        access_key = iam.create_access_key(UserName=USER)["AccessKey"]
        boto3.client("s3", endpoint_url=endpoint, **unchecked).create_bucket(Bucket=bucket)
        yield S3(endpoint, bucket, access_key["AccessKeyId"], access_key["SecretAccessKey"])


def _program(name: str) -> str:
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    return path or absent(f"{name} is absent (Debian: openssh-server, nginx-light)")


@contextlib.contextmanager
def _running(command: list[str], port: int, log: Path, environment: dict[str, str] | None = None) -> Iterator[None]:
    """Runs a server while the block runs; the block starts once the server answers."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
    try:
        deadline = time.monotonic() + _READY_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} does not serve: {log.read_text()}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()
