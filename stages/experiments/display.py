"""What a sweep is at: a live table on a terminal, a line for each change elsewhere."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from stages.experiments import records
from stages.experiments.records import Record


@contextlib.contextmanager
def display(title: str, names: Sequence[str]) -> Iterator[Callable[[], None]]:
    """Yields `show()`, to be called now and then."""
    console = Console(stderr=True)
    found: dict[str, Record] = {}
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            yield lambda: live.update(_table(title, names, _look(names, found)), refresh=True)
        return
    told: dict[str, str] = {}

    def plain() -> None:
        current = _look(names, found)
        for name, record in current.items():
            stage = f"{records.RUNNING}: {records.stage(name)}" if record.state == records.RUNNING else record.state
            if told.get(name) != stage:
                told[name] = stage
                line = f"{_progress(title, names, current)}  {name}  {stage}  {_reason(record)}"
                console.print(Text(line.rstrip()), soft_wrap=True)

    yield plain


def _look(names: Sequence[str], found: dict[str, Record]) -> dict[str, Record]:
    """The records there are; those of ended jobs are read once."""
    for name in names:
        if name not in found or found[name].state == records.RUNNING:
            record = records.read(name)
            if record is None:
                found.pop(name, None)
            else:
                found[name] = record
    return found


def _progress(title: str, names: Sequence[str], found: dict[str, Record]) -> str:
    ended = [r for r in found.values() if r.state != records.RUNNING]
    text = f"{title} {len(ended)}/{len(names)}"
    failed = sum(r.state == records.FAILED for r in ended)
    text += f", {failed} failed" if failed else ""
    left = _left(names, found)
    return text + (f", {left} left" if left else "")


def _left(names: Sequence[str], found: dict[str, Record]) -> timedelta | None:
    """The time left if jobs take as long as those that ended, as many at a time as now; None before any has ended."""
    ended = [r.seconds for r in found.values() if r.state == records.DONE]
    running = [records.elapsed(r) for r in found.values() if r.state == records.RUNNING]
    if not ended or not running:
        return None
    mean, waiting = sum(ended) / len(ended), len(names) - len(found)
    begun = sum(max(mean - seconds, 0.0) for seconds in running)
    return timedelta(seconds=round((begun + waiting * mean) / len(running)))


def _table(title: str, names: Sequence[str], found: dict[str, Record]) -> Group:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for record in found.values():
        if record.state != records.DONE:
            seconds = timedelta(seconds=round(records.elapsed(record)))
            stage = records.stage(record.name) if record.state == records.RUNNING else _reason(record)
            table.add_row(
                record.name, Text(stage, overflow="ellipsis", no_wrap=True), str(seconds),
                style="red" if record.state == records.FAILED else "",
            )  # fmt: skip
    return Group(Text(_progress(title, names, found), style="bold"), table)


def _reason(record: Record) -> str:
    return record.reason if record.state == records.FAILED else ""
