"""What pull takes on its command line; what it does is in tests/clients/test_pulls.py and test_plain_pulls.py."""

from pathlib import Path

import pytest

from autocomplete.cli import pull
from autocomplete.common.errors import UserError
from autocomplete.release.versions import Wanted


def test_a_command_line() -> None:
    given = pull.parse(["https://x.org/models/", "dynamic-range", "--version", "v1.2.0", "--key", "k.pem", "--try"])
    wanted = Wanted("dynamic_range", "1.2.0")
    assert given == pull.Request("https://x.org/models", wanted, Path("k.pem"), Path("autocomplete"), True)
    assert given.plain
    for source in ("https://x.org/models.git", "git+https://x.org/models", "ssh://x.org/models", "../models"):
        assert not pull.parse([source, "float32"]).plain


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "required: SOURCE, MODE"),
        (["a"], "required: MODE"),
        (["a", "b", "c"], "unrecognized arguments: c"),
        (["a", "b", "--version", "1.2", "--out", "x"], r"--version 1\.2 is no version; allowed: three numbers"),
        (["a", "b", "--version", "1.2.0", "--stage", "prod"], "--version and --stage exclude each other"),
        (["a", "b", "--key"], "--key: expected one argument"),
        (["a", "b", "--keys", "x"], "unrecognized arguments"),
    ],
)
def test_a_command_line_that_makes_no_sense(arguments: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        pull.parse(arguments)
