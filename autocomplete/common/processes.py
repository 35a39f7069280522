"""Processes beside this one that end when it does, however it ends: nothing works on for a stage that was killed."""

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any


def pool(
    count: int, prepare: Callable[..., None] | None = None, given: tuple[Any, ...] = (), *, forked: bool = False
) -> ProcessPoolExecutor:
    """A pool of `count` processes, each of which begins with `prepare(*given)`.

    `forked` ones have imported what this process has, which saves them seconds: to be asked for only before a library
    has begun threads that may hold locks. Elsewhere than on Linux it is never safe, and they are spawned all the same.
    """
    context = multiprocessing.get_context("fork" if forked and sys.platform == "linux" else "spawn")
    return ProcessPoolExecutor(count, context, _begin, (prepare, given))


def _begin(prepare: Callable[..., None] | None, given: tuple[Any, ...]) -> None:
    end_with_parent()  # else it waits for work for ever: it holds the pipe open itself that work comes from
    if prepare is not None:
        prepare(*given)


def end_with_parent() -> None:
    """Lets this process, which multiprocessing started, end as soon as the one that started it has ended."""

    def follow() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
