"""SLURM's queue of a sweep's jobs.

submitit asks SLURM's accounting, which many clusters do not keep; the queue knows recent jobs without it.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence

# The environment variable that holds the name of a sweep's jobs (conf/hydra/launcher/submitit_slurm.yaml).
JOB_NAME_VARIABLE = "AUTOCOMPLETE_SWEEP"
_ENDED_STATES = {
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


def job_states() -> list[str]:
    """Returns the states of this sweep's jobs, those that ended in the last minutes too; none without SLURM."""
    if not shutil.which("squeue") or JOB_NAME_VARIABLE not in os.environ:
        return []
    name = os.environ[JOB_NAME_VARIABLE]
    command = ["squeue", "--noheader", "--states=all", f"--name={name}", "--format=%T"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()


def any_unfinished(states: Sequence[str]) -> bool:
    """Whether one of the states is that of a job that runs or will run."""
    return any(state not in _ENDED_STATES for state in states)


def cancel_jobs() -> None:
    """Cancels all jobs of this sweep."""
    if any_unfinished(job_states()):
        subprocess.run(["scancel", f"--name={os.environ[JOB_NAME_VARIABLE]}"], capture_output=True, check=False)
