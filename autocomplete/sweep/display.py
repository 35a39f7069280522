"""What a sweep is at: a live table on a terminal, a line for each change elsewhere."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from autocomplete.sweep import job_records
from autocomplete.sweep.job_records import Record

_BAR, _NAME = 24, 0.6  # columns of the bar; share of a terminal's width that names may take


@contextlib.contextmanager
def display(title: str, names: Sequence[str]) -> Iterator[Callable[[], None]]:
    """Yields `show()`, to be called now and then."""
    console = Console(stderr=True)
    jobs = _Jobs(title, names)
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:

            def show() -> None:
                jobs.look()
                live.update(_table(jobs, console), refresh=True)

            yield show
        return
    told: dict[str, str] = {}

    def plain() -> None:
        jobs.look()
        for name, record in jobs.found.items():
            stage = (
                f"{job_records.RUNNING}: {job_records.stage(name)}"
                if record.state == job_records.RUNNING
                else record.state
            )
            if told.get(name) != stage:
                told[name] = stage
                line = f"{title} {jobs.progress()}  {name}  {stage}  {_reason(record)}"
                console.print(Text(line.rstrip()), soft_wrap=True)

    yield plain


class _Jobs:
    """The jobs of a round, as far as they were begun, in that order."""

    def __init__(self, title: str, names: Sequence[str]) -> None:
        self.title, self.names = title, names
        self.found: dict[str, Record] = {}
        self._began, self._abreast = time.monotonic(), 1

    def look(self) -> None:
        """Reads the records there are; those of ended jobs once."""
        for name in self.names:
            if name not in self.found or self.found[name].state == job_records.RUNNING:
                record = job_records.read(name)
                if record is None:
                    self.found.pop(name, None)
                else:
                    self.found[name] = record
        self._abreast = max(self._abreast, len(self.of(job_records.RUNNING)))

    def of(self, *states: str) -> list[Record]:
        return [record for record in self.found.values() if record.state in states]

    def progress(self) -> str:
        failed, ended = len(self.of(job_records.FAILED)), len(self.of(job_records.DONE, job_records.FAILED))
        parts = [f"{ended}/{len(self.names)}", f"{failed} failed" if failed else "", _clock(self.elapsed())]
        left = self.left()
        return ", ".join([*filter(None, parts), *([f"{_clock(left)} left"] if left else [])])

    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def left(self) -> float:
        """Seconds if jobs take as long as those that were done, as many abreast as were seen; 0 where unknown."""
        done = [record.seconds for record in self.of(job_records.DONE)]
        if not done:
            return 0.0
        mean, waiting = sum(done) / len(done), len(self.names) - len(self.found)
        begun = [max(mean - job_records.elapsed(record), 0.0) for record in self.of(job_records.RUNNING)]
        return max((sum(begun) + waiting * mean) / self._abreast, *begun, 0.0)


def _table(jobs: _Jobs, console: Console) -> Group:
    """The bar, jobs that run, then those that failed, the last first: a low terminal shows what matters most."""
    head, progress = Table.grid(padding=(0, 1, 0, 0)), jobs.progress()
    room = min(_BAR, console.width - len(jobs.title) - len(progress) - 3)
    bar = [ProgressBar(len(jobs.names), len(jobs.of(job_records.DONE, job_records.FAILED)), room)] if room > 3 else []
    head.add_row(Text(jobs.title), *bar, Text(progress, no_wrap=True), style="bold")
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, ratio=1)
    table.add_column(no_wrap=True, justify="right")
    for record in [*jobs.of(job_records.RUNNING), *reversed(jobs.of(job_records.FAILED))]:
        running = record.state == job_records.RUNNING
        stage = job_records.stage(record.name) if running else _reason(record)
        name = _short(record.name, int(_NAME * console.width))
        table.add_row(name, Text(stage), _clock(job_records.elapsed(record)), style="" if running else "red")
    return Group(head, table)


def _short(name: str, width: int) -> str:
    """A name without its middle where it is too long: its end tells jobs apart."""
    end = width // 2
    return name if len(name) <= width else f"{name[: width - end - 1]}…{name[-end:]}"


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _reason(record: Record) -> str:
    return record.reason if record.state == job_records.FAILED else ""
