"""Worker processes that end when this process does, also when it is killed."""

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

from autocomplete.common.progress import progress_bar


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


def before_forking() -> None:
    """Keeps `tokenizers` from starting threads, which would not survive a fork: to be called before it encodes."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@dataclass(frozen=True)
class Result:
    """What a part of some work gave, and the processor's seconds that it took: waiting for others does not count."""

    value: Any
    seconds: float


def run_parts(title: str, parts: Mapping[str, Callable[[], Any]], count: int) -> dict[str, Result]:
    """Runs functions in `count` forked processes, in their order; returns what each gave, by its name.

    It raises what the first function that fails raises; the others that have not begun are left out.
    """
    results: dict[str, Result] = {}
    with progress_bar(title, len(parts)) as show, pool(count, forked=True) as workers:
        names = {workers.submit(_timed, part): name for name, part in parts.items()}
        try:
            for future in as_completed(names):
                results[names[future]] = future.result()
                show(len(results), names[future])
        except BaseException:
            workers.shutdown(cancel_futures=True)
            raise
    return {name: results[name] for name in parts}


def _timed(part: Callable[[], Any]) -> Result:
    start = time.process_time()
    value = part()
    return Result(value, time.process_time() - start)


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
