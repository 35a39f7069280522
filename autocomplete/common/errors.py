"""The exception for a user's mistakes, how a command ends with it, and messages of other exceptions."""

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator


class UserError(Exception):
    """A mistake that the user can correct: one line that says what, where, what is allowed and what to do."""


def chain(error: BaseException) -> list[str]:
    """The messages of an exception and of its causes, a line each; the first cause is last."""
    errors = [error]
    while (cause := errors[-1].__cause__ or errors[-1].__context__) is not None and cause not in errors:
        errors.append(cause)
    return [" ".join(str(e).split()) or type(e).__name__ for e in errors]


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
