"""Wheels of pinned packages from the index: what the shipped preset's text is read from."""

import shutil
import subprocess
from pathlib import Path

from autocomplete.common.errors import UserError


def fetch(packages: Path, folder: Path) -> None:
    """Downloads the packages of a requirements file, pinned by version, without what they need; keeps what is there.

    Raises:
      UserError: where uv is missing, or a package cannot be had.
    """
    if shutil.which("uv") is None:
        raise UserError("uv is missing: it brings the packages to read; install it (pip install uv)")
    folder.mkdir(parents=True, exist_ok=True)
    pip = ["uv", "tool", "run", "--python", "3.11", "pip", "download", "--quiet", "--disable-pip-version-check"]
    chosen = ["--no-deps", "--only-binary=:all:", "--requirement", str(packages), "--dest", str(folder)]
    done = subprocess.run([*pip, *chosen], capture_output=True, text=True, check=False)
    if done.returncode:
        why = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise UserError(f"the packages of {packages} cannot be downloaded: {why[-1] if why else 'pip failed'}")
