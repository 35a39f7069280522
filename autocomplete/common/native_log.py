"""Hiding what native code says about itself, so that a stage's own lines are seen."""

import atexit
import contextlib
import functools
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

# TensorFlow's C++ log: errors only. Read when TensorFlow is loaded, hence set here, before anything loads it.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drops standard error of native code (CUDA look-ups, delegates) and Python warnings; exceptions come through.

    With AUTOCOMPLETE_TRACEBACK set everything is shown.
    """
    if os.environ.get("AUTOCOMPLETE_TRACEBACK"):
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as sink, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


@functools.cache
def quiet_exit() -> None:
    """Drops what native code says when the process has ended, behind Python's last word."""
    if not os.environ.get("AUTOCOMPLETE_TRACEBACK"):
        atexit.register(lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), 2))
