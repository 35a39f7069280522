"""The one exception that stands for a user's mistake, how a command ends with it, and what other exceptions say."""

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator


class UserError(Exception):
    """A mistake that the user can mend: one line saying what, where, what is allowed and what to do."""


def chain(error: BaseException) -> list[str]:
    """What an exception and those that it came from say, a line each, the first cause last."""
    found = [error]
    while (cause := found[-1].__cause__ or found[-1].__context__) is not None and cause not in found:
        found.append(cause)
    return [" ".join(str(e).split()) or type(e).__name__ for e in found]


def within(key: str, value: float, least: float, most: float, allowed: str = "") -> None:
    """Raises UserError, naming the setting, for a number outside of `least` to `most`."""
    if not least <= value <= most:
        raise UserError(f"{key} is {value:g}; allowed: {allowed or f'{least:g} to {most:g}'}")


@contextlib.contextmanager
def user_errors() -> Iterator[None]:
    """Turns a user's mistake into one line on standard error and exit status 1."""
    try:
        yield
    except UserError as error:
        if os.environ.get("AUTOCOMPLETE_TRACEBACK"):
            traceback.print_exception(error)
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
