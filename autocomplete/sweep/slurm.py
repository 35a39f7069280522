"""What SLURM's queue says of a sweep's jobs: submitit asks for accounts instead, which many clusters do not keep."""

import os
import shutil
import subprocess

NAME = "AUTOCOMPLETE_SWEEP"  # the variable that names a sweep's jobs (conf/hydra/launcher/submitit_slurm.yaml)
_OVER = {
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "TIMEOUT",
}


def states() -> list[str]:
    """The states of this sweep's jobs, of those that ended some minutes ago at most too; empty without SLURM."""
    if not shutil.which("squeue") or NAME not in os.environ:
        return []
    command = ["squeue", "--noheader", "--states=all", f"--name={os.environ[NAME]}", "--format=%T"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()


def waiting(found: list[str]) -> bool:
    """Is any of these states that of a job that runs or will run?"""
    return any(state not in _OVER for state in found)


def cancel() -> None:
    """Cancels all jobs of this sweep."""
    if waiting(states()):
        subprocess.run(["scancel", f"--name={os.environ[NAME]}"], capture_output=True, check=False)
