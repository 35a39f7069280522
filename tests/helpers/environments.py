"""Programs and Python environments that a test needs in addition to the project's own."""

import functools
import os
import shutil
import subprocess
from typing import NoReturn

import pytest

from helpers.folders import kept


def absent(message: str) -> NoReturn:
    """Skips a test that lacks a program; in CI, which installs them all, the test fails."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(message)


@functools.cache
def isolated(*packages: str) -> str:
    """The Python 3.11 of a new environment with only these packages; each process makes it once."""
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        absent("uv is absent: it makes environments of their own (run the tests by `uv run pytest`)")
    folder = kept("isolated")
    python = str(folder / "bin/python")
    for command in (["venv", "--python", "3.11", folder], ["pip", "install", "--python", python, *packages]):
        subprocess.run([uv, *command, "--quiet"], cwd=folder, check=True)
    return python
