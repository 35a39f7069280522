"""Progress of long work: a live bar on a terminal, a plain line now and then elsewhere."""

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_PLAIN_EVERY_S = 15.0


@contextlib.contextmanager
def progress_bar(title: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """Yields `show(done, note)`, which shows progress and the time left."""
    console = Console(stderr=True)
    columns = [TextColumn(title), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}")]
    if console.is_terminal:
        with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
            task = bar.add_task(title, total=total, note="")

            def live(done: int, note: str = "") -> None:
                bar.update(task, completed=done, note=note)

            yield live
        return
    last = began = time.monotonic()
    start: int | None = None  # what a resumed run had done before

    def plain(done: int, note: str = "") -> None:
        nonlocal last, start
        start = done - 1 if start is None else start
        now = time.monotonic()
        if now - last >= _PLAIN_EVERY_S:
            last = now
            left = timedelta(seconds=round((now - began) / max(done - start, 1) * (total - done)))
            console.print(f"{title} {done}/{total} {note} {left} left", highlight=False)

    yield plain


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """Shows work that has no count: a spinner on a terminal, a plain line elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(title, highlight=False)
        yield
        return
    with console.status(title):
        yield
    console.print(f"{title}: done", highlight=False)


@contextlib.contextmanager
def training_progress(log: Path) -> Iterator[Callable[[Any], None]]:
    """Yields `show(progress)` for training: smoothed loss, tokens/s and time left; each step goes to `log`.

    A resumed run appends to its log.
    """
    smooth: float | None = None
    with contextlib.ExitStack() as stack:
        lines = stack.enter_context(log.open("a", buffering=1))
        update: Callable[[int, str], None] | None = None

        def show(p: Any) -> None:
            nonlocal smooth, update
            lines.write(f"{p.step},{p.loss:.4f},{p.tokens_per_s:.0f}\n")
            smooth = p.loss if smooth is None else 0.98 * smooth + 0.02 * p.loss
            if update is None:
                update = stack.enter_context(progress_bar("training", p.steps))
            update(p.step, f"loss {smooth:.3f}  {p.tokens_per_s / 1000:.1f} k tokens/s")

        yield show
