"""The command line, as a user's words reach a verb."""

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
    """What a verb is asked for, by its arguments; the verb itself does not run."""
    asked: list[Any] = []
    monkeypatch.setattr(verb, "run", asked.append)
    verb.command.main(arguments, standalone_mode=False)
    return asked[0]


def refused(arguments: list[str], message: str) -> None:
    """The command ends with one line on standard error, which has the message (a regular expression)."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as raised:
        lines: list[str] = []
        patch.setattr(sys, "argv", ["autocomplete", *arguments])
        patch.setattr(sys, "stderr", _Lines(lines))
        main.main()
    assert raised.value.code == 1
    (line,) = "".join(lines).splitlines()
    assert line.startswith("error: ") and re.search(message, line), line


class _Lines:
    """A stream that keeps what is written."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def write(self, text: str) -> int:
        self.lines.append(text)
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""
