"""Hides the log of native code, so that a stage's own lines are seen."""

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
    """Drops what native code writes to standard error (CUDA, delegates), and Python warnings; exceptions pass.

    With AUTOCOMPLETE_TRACEBACK set everything is shown.
    """
    if os.environ.get("AUTOCOMPLETE_TRACEBACK"):
        yield
        return
    sys.stderr.flush()
    stderr_copy = os.dup(2)
    with Path(os.devnull).open("wb") as sink, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr_copy, 2)
            os.close(stderr_copy)


@functools.cache
def quiet_exit() -> None:
    """Drops what native code writes to standard error when the process ends."""
    if not os.environ.get("AUTOCOMPLETE_TRACEBACK"):
        atexit.register(lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), 2))
