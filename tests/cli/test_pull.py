"""The command line of pull; tests/clients/test_pulls.py and test_plain_pulls.py test what it does."""

from pathlib import Path

import pytest

from autocomplete.cli import pull
from autocomplete.release.versions import ReleaseQuery
from helpers.commands import refused, requested


def test_arguments_become_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["https://x.org/models/", "dynamic-range", "--version", "v1.2.0", "--key", "k.pem", "--try"]
    request = requested(monkeypatch, pull, arguments)
    query = ReleaseQuery("dynamic_range", "1.2.0")
    assert request == pull.Request("https://x.org/models", query, Path("k.pem"), Path("bundle"), True)
    assert request.has_index
    for source in ("https://x.org/models.git", "git+https://x.org/models", "ssh://x.org/models", "../models"):
        assert not requested(monkeypatch, pull, [source, "float32"]).has_index


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'SOURCE'"),
        (["a"], "Missing argument 'MODE'"),
        (["a", "b", "c"], r"unexpected extra argument \(c\)"),
        (["a", "b", "--version", "1.2", "--out", "x"], r"--version 1\.2 is no version; allowed: three numbers"),
        (["a", "b", "--version", "1.2.0", "--stage", "prod"], "--version and --stage exclude each other"),
        (["a", "b", "--key"], "Option '--key' requires an argument"),
        (["a", "b", "--keys", "x"], "No such option[: ]*'?--keys"),
    ],
)
def test_invalid_arguments_are_refused(arguments: list[str], message: str) -> None:
    refused(["pull", *arguments], message)
