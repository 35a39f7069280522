"""The project's modules, run as a user runs them."""

import subprocess
import sys
from pathlib import Path

from helpers.folders import ROOT


def stage(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs `python -m` with a module and its arguments."""
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )
