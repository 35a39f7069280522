"""Processes beside this one that end when it does, however it ends: nothing works on for a stage that was killed."""

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

_LOOKS = 0.5  # seconds from one look for the parent to the next


def pool(
    count: int, prepare: Callable[..., None] | None = None, given: tuple[Any, ...] = (), *, forked: bool = False
) -> ProcessPoolExecutor:
    """A pool of `count` processes, each of which begins with `prepare(*given)`.

    `forked` ones have imported what this process has, which saves them seconds: to be asked for only before a library
    has begun threads that may hold locks. Elsewhere than on Linux it is never safe, and they are spawned all the same.
    """
    context = multiprocessing.get_context("fork" if forked and sys.platform == "linux" else "spawn")
    return ProcessPoolExecutor(count, context, _begin, (os.getpid(), prepare, given))


def _begin(parent: int, prepare: Callable[..., None] | None, given: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if prepare is not None:
        prepare(*given)


def _end_with(parent: int) -> None:
    """An executor's processes wait for work for ever: the pipe that it comes from is held open by themselves."""
    while os.getppid() == parent:
        time.sleep(_LOOKS)
    os._exit(1)
