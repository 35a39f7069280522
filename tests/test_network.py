"""Tests use no network but loopback and the package index."""

import subprocess
import sys
from pathlib import Path


def test_dvc_commands_report_to_nobody(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from dvc import analytics; raise SystemExit(analytics.is_enabled())"]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0  # here no .dvc/config says so
