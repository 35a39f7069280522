"""The progress of a sweep: a live table on a terminal, elsewhere a line for each change."""

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
from autocomplete.sweep.job_records import DONE, FAILED, RUNNING, JobRecord, JobState

_BAR_WIDTH, _SHORTEST_BAR = 24, 4  # characters
_NAME_SHARE = 0.6  # of the terminal's width that a job's name may take


@contextlib.contextmanager
def display(title: str, names: Sequence[str]) -> Iterator[Callable[[], None]]:
    """Yields a function that shows the progress of jobs; call it every now and then."""
    console = Console(stderr=True)
    progress = _Progress(title, names)
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:

            def show_table() -> None:
                progress.refresh()
                live.update(_table(progress, console), refresh=True)

            yield show_table
        return
    printed_states: dict[str, str] = {}

    def print_changes() -> None:
        progress.refresh()
        for name, record in progress.records.items():
            running = record.state == RUNNING
            state = f"{RUNNING}: {job_records.current_stage(name)}" if running else record.state
            if printed_states.get(name) != state:
                printed_states[name] = state
                line = f"{title} {progress.summary()}  {name}  {state}  {record.reason}"
                console.print(Text(line.rstrip()), soft_wrap=True)

    yield print_changes


class _Progress:
    """The jobs of a round.

    Attributes:
      title: what the round runs.
      names: of all jobs.
      records: those of the started jobs, in the order of their start.
    """

    def __init__(self, title: str, names: Sequence[str]) -> None:
        self.title, self.names = title, names
        self.records: dict[str, JobRecord] = {}
        self._start, self._most_parallel = time.monotonic(), 1

    def refresh(self) -> None:
        """Reads the records; that of an ended job is read once."""
        for name in self.names:
            if name not in self.records or self.records[name].state == RUNNING:
                record = job_records.read(name)
                if record is None:
                    self.records.pop(name, None)
                else:
                    self.records[name] = record
        self._most_parallel = max(self._most_parallel, len(self.in_state(RUNNING)))

    def in_state(self, *states: JobState) -> list[JobRecord]:
        return [record for record in self.records.values() if record.state in states]

    def summary(self) -> str:
        """Returns how many jobs ended and failed, the time since the start and the time left."""
        failed, ended = len(self.in_state(FAILED)), len(self.in_state(DONE, FAILED))
        parts = [f"{ended}/{len(self.names)}", f"{failed} failed" if failed else ""]
        parts.append(_duration(time.monotonic() - self._start))
        seconds_left = self._seconds_left()
        parts.append(f"{_duration(seconds_left)} left" if seconds_left else "")
        return ", ".join(filter(None, parts))

    def _seconds_left(self) -> float:
        """Estimates the time left by the mean of the done jobs and by how many ran in parallel; 0 where unknown."""
        durations = [record.seconds for record in self.in_state(DONE)]
        if not durations:
            return 0.0
        mean, waiting = sum(durations) / len(durations), len(self.names) - len(self.records)
        running = [max(mean - job_records.elapsed_seconds(record), 0.0) for record in self.in_state(RUNNING)]
        return max((sum(running) + waiting * mean) / self._most_parallel, *running, 0.0)


def _table(progress: _Progress, console: Console) -> Group:
    """Returns the bar, the running jobs, then the failed ones, the last first: a low terminal cuts off the end."""
    heading, summary = Table.grid(padding=(0, 1, 0, 0)), progress.summary()
    bar_width = min(_BAR_WIDTH, console.width - len(progress.title) - len(summary) - 3)
    ended = len(progress.in_state(DONE, FAILED))
    bar = [ProgressBar(len(progress.names), ended, bar_width)] if bar_width >= _SHORTEST_BAR else []
    heading.add_row(Text(progress.title), *bar, Text(summary, no_wrap=True), style="bold")
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, ratio=1)
    table.add_column(no_wrap=True, justify="right")
    for record in [*progress.in_state(RUNNING), *reversed(progress.in_state(FAILED))]:
        running = record.state == RUNNING
        name = _shortened(record.name, int(_NAME_SHARE * console.width))
        status = job_records.current_stage(record.name) if running else record.reason
        duration = _duration(job_records.elapsed_seconds(record))
        table.add_row(name, Text(status), duration, style="" if running else "red")
    return Group(heading, table)


def _shortened(name: str, width: int) -> str:
    """Cuts the middle out of a name that is too long: the end tells jobs apart."""
    end = width // 2
    return name if len(name) <= width else f"{name[: width - end - 1]}…{name[-end:]}"


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
