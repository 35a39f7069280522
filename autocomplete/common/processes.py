"""Worker processes that end when this process does, also when it is killed."""

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any


def pool(
    count: int, initializer: Callable[..., None] | None = None, arguments: tuple[Any, ...] = (), *, forked: bool = False
) -> ProcessPoolExecutor:
    """A pool of `count` processes, each of which begins with `initializer(*arguments)`.

    Forked processes share what this process has imported, which saves them seconds. Ask for them only before a library
    has started threads, which may hold locks. Forking is never safe on other systems than Linux: there the processes
    are spawned.
    """
    context = multiprocessing.get_context("fork" if forked and sys.platform == "linux" else "spawn")
    return ProcessPoolExecutor(count, context, _begin, (initializer, arguments))


def _begin(initializer: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    end_with_parent()  # else it waits for work for ever: it holds the pipe itself open that work comes from
    if initializer is not None:
        initializer(*arguments)


def end_with_parent() -> None:
    """Ends this process, which multiprocessing started, as soon as its parent has ended."""

    def wait_for_parent() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait_for_parent, daemon=True).start()
