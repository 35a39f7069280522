"""A SLURM cluster of one node on this machine, from Debian's packages, without systemd or accounting."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from helpers.environments import absent

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")
SETTINGS = """
ClusterName=toy
SlurmctldHost={host}
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SchedulerParameters=sched_interval=1
ReturnToService=2
MpiDefault=none
NodeName={host} NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory=1000 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""


@dataclass(frozen=True)
class Cluster:
    """The environment that SLURM's commands need."""

    environment: dict[str, str]

    def ask(self, *command: str) -> str:
        done = subprocess.run(command, env=os.environ | self.environment, capture_output=True, text=True, check=True)
        return done.stdout


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Runs munge and SLURM, with all their files in a folder, until the block ends."""
    missing = [p for p in PROGRAMS if not shutil.which(p, path=_path())]
    if missing or os.geteuid():
        absent(
            f"SLURM cannot be started: {', '.join(missing) + ' absent' if missing else 'only root can'} "
            "(Debian: apt-get install munge slurmctld slurmd slurm-client)"
        )
    host = socket.gethostname().partition(".")[0]
    ports = {"controller": _free_port(), "node": _free_port()}
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    settings = SETTINGS.format(host=host, folder=folder, cores=os.cpu_count(), **ports)
    (folder / "slurm.conf").write_text(settings)
    cluster = Cluster({"SLURM_CONF": str(folder / "slurm.conf"), "PATH": _path()})
    munge = [
        "munged",
        "--foreground",
        "--force",
        f"--key-file={key}",
        f"--socket={folder}/munge.socket",
        f"--pid-file={folder}/munge.pid",
        f"--log-file={folder}/munge.log",
        f"--seed-file={folder}/munge.seed",
    ]
    with contextlib.ExitStack() as stack:
        stack.enter_context(_program(munge, cluster, folder))
        _wait(lambda: (folder / "munge.socket").exists(), folder)
        stack.enter_context(_program(["slurmctld", "-D", "-i"], cluster, folder))
        stack.enter_context(_program(["slurmd", "-D", "-N", host], cluster, folder))
        _wait(lambda: "idle" in _quietly(cluster, "sinfo", "--noheader", "--format=%t"), folder)
        yield cluster


def _path() -> str:
    return f"{os.environ['PATH']}{os.pathsep}/usr/sbin"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _program(command: list[str], cluster: Cluster, folder: Path) -> Iterator[None]:
    with (folder / f"{command[0]}.out").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | cluster.environment, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _quietly(cluster: Cluster, *command: str) -> str:
    try:
        return cluster.ask(*command)
    except subprocess.CalledProcessError:
        return ""


def _wait(ready: Callable[[], bool], folder: Path) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        if time.monotonic() > deadline:
            logs = [p.read_text(errors="replace")[-1500:] for p in (*folder.glob("*.log"), *folder.glob("*.out"))]
            raise AssertionError("SLURM did not start:\n" + "\n".join(logs))
        time.sleep(0.2)
