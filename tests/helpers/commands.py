"""Runs of the command line, and how it parses a user's arguments."""

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from autocomplete.cli import main
from helpers.folders import ROOT


def stage(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs `python -m` with a module and its arguments."""
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )


def requested(monkeypatch: pytest.MonkeyPatch, verb: ModuleType, arguments: list[str]) -> Any:
    """The request that a verb parses from its arguments; the verb itself does not run."""
    requests: list[Any] = []
    monkeypatch.setattr(verb, "run", requests.append)
    verb.command.main(arguments, standalone_mode=False)
    return requests[0]


def refused(arguments: list[str], message: str) -> None:
    """Asserts that a command fails with one line on standard error, which matches a regular expression."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as raised:
        lines: list[str] = []
        patch.setattr(sys, "argv", ["autocomplete", *arguments])
        patch.setattr(sys, "stderr", _Lines(lines))
        main.main()
    assert raised.value.code == 1
    (line,) = "".join(lines).splitlines()
    assert line.startswith("error: ") and re.search(message, line), line


class _Lines:
    """A stream that records what is written."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def write(self, text: str) -> int:
        self.lines.append(text)
        return len(text)

    def flush(self) -> None:
        """Does nothing: no text is buffered."""
