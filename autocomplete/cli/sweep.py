"""sweep: many pipelines as DVC experiments, side by side; then a table, a picture and the best job."""

import contextlib
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from filelock import FileLock, Timeout

from autocomplete.common import config, metrics
from autocomplete.common.artifacts import Gates, Metrics, Performance
from autocomplete.common.errors import UserError
from autocomplete.evaluate import table
from autocomplete.sweep import job_records, jobs, ranking, report, runner, slurm, snapshot, supervise
from autocomplete.sweep.display import display
from autocomplete.sweep.jobs import Job
from autocomplete.sweep.launcher import accept_slurm_schema, combinations, launch
from autocomplete.sweep.snapshot import Snapshot

OUT = Path("artifacts/sweep")


@dataclass(frozen=True)
class SweepSettings:
    """What is swept, run, shared and looked for (conf/sweep.yaml)."""

    set: str | None
    sets: dict[str, dict[str, Any]]
    targets: list[str]
    shared: list[str]
    objective: str
    constraints: dict[str, str]
    pull: bool
    pareto: list[str]

    def __post_init__(self) -> None:
        """Refuses a set that is not kept, metrics that are not measured, and bounds that are none."""
        if self.set is not None and self.set not in self.sets:
            raise UserError(f"sweep.set is {self.set}; allowed: {', '.join(self.sets)} (sweep.sets in conf/sweep.yaml)")
        if len(self.pareto) != 3:
            raise UserError("sweep.pareto must name three metrics: across, up and colour of the picture")
        for metric in (self.objective, *self.pareto, *self.constraints):
            metrics.require(metric, metrics.RANKED, "sweep")
        for metric, text in self.constraints.items():
            ranking.constraint(metric, text)


@click.command("sweep")
@click.argument("values", nargs=-1, metavar="KEY=VALUES...")
@click.option("--set", "kept", help="A set of values of conf/sweep.yaml; KEY=VALUES adds to it and wins.")
@click.option("--launcher", help="Who runs the jobs: joblib (the default), basic, or submitit_slurm on a cluster.")
def command(values: tuple[str, ...], kept: str | None, launcher: str | None) -> None:
    r"""Run a pipeline for each combination of values, as DVC experiments, then print the table and name the best job.

    KEY=VALUES is any key of params.yaml, or quantize, with values in Hydra's grammar: lists, range(40,101,20),
    glob(int4*). sweep.KEY=VALUE changes a setting of conf/sweep.yaml. The same command again runs what is missing.

    \b
    autocomplete sweep quantize=float16,int4_block32 convert.sequence_length=64,100
    autocomplete sweep --set modes --launcher submitit_slurm
    """
    accept_slurm_schema()
    own = [v for v in values if re.match(r"[+~]*(hydra[./]|sweep\.)", v)]
    own += [f"sweep.set={kept}"] if kept is not None else []
    own += [f"hydra/launcher={launcher}"] if launcher is not None else []
    settings = config.composed_with("sweep", SweepSettings, own)
    from_set = [f"{key}={value}" for key, value in settings.sets.get(settings.set or "", {}).items()]
    run(settings, combinations([*from_set, *(v for v in values if v not in own)]), own)


def run(settings: SweepSettings, combinations: list[dict[str, str]], overrides: list[str]) -> None:
    """params.yaml and the combinations → experiments, and artifacts/sweep with the table and the picture."""
    if combinations == [{}]:
        sets = ", ".join(settings.sets)
        raise UserError(f"say what to sweep: quantize=float16,int4_block32, or sweep.set=<name>; kept sets: {sets}")
    start = snapshot.take()
    identity = snapshot.identity(start)
    wanted = jobs.make(combinations, settings.targets, identity)
    kept = snapshot.experiments(start.head)
    missing = [job for job in wanted if not (job.name in kept and _done(job))]
    print(f"{len(wanted)} jobs, {len(wanted) - len(missing)} of them done before")
    with _only_sweep():
        if missing:
            shared = jobs.shared(missing, settings.shared, identity)
            _run(["shared stages"] * len(shared) + ["jobs"], [*shared, missing], start, overrides, settings.pull)
    _report(settings, [r for job in wanted if (r := job_records.read(job.name)) is not None])


def _done(job: Job) -> bool:
    record = job_records.read(job.name)
    return record is not None and record.state == job_records.DONE


@contextlib.contextmanager
def _only_sweep() -> Iterator[None]:
    """One sweep at a time in a repository; what one that was killed left behind is cleared away."""
    lock = FileLock(Path(".dvc/tmp/sweep.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError("another sweep runs in this repository; wait for it, or interrupt it") from None
    try:
        shutil.rmtree(runner.SCRATCH, ignore_errors=True)
        yield
    finally:
        shutil.rmtree(runner.SCRATCH, ignore_errors=True)
        lock.release()


def _run(titles: Sequence[str], rounds: Sequence[Sequence[Job]], start: Snapshot, own: list[str], pull: bool) -> None:
    """Runs rounds of jobs one after another; Ctrl-C and SIGTERM end them and leave what is done."""
    os.environ[slurm.NAME] = f"sweep-{socket.gethostname()}-{os.getpid()}"
    cache = snapshot.cache_folder()
    for name in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(name) is signal.SIG_DFL:  # not under nohup
            signal.signal(name, _interrupt)
    names: list[str] = []
    try:
        for title, some in zip(titles, rounds, strict=True):
            names = [job.name for job in some]
            orders = {job.name: runner.order(job, start, cache, pull) for job in some}
            with display(title, names) as show:
                supervise.see_through(supervise.starter(launch, own, orders, runner.work), names, show)
    except KeyboardInterrupt:
        for record in filter(None, map(job_records.read, names)):
            if record.state == job_records.RUNNING:
                job_records.forget(record.name)
        raise UserError("interrupted; what is done is kept, and the same command goes on from there") from None


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _report(settings: SweepSettings, ended: Sequence[job_records.Record]) -> None:
    """Writes and prints the table, names the best job and the failed ones; ends with an error where there are such."""
    rows = [row for record in ended for row in _rows(record)]
    bounds = [ranking.constraint(metric, text) for metric, text in settings.constraints.items()]
    wish = report.Wish(settings.objective, bounds, settings.pareto)
    if rows:
        best = report.write(rows, table.COLUMNS, wish, OUT)
        print(f"{OUT}/table.csv, table.md, pareto.png; timings: one job at a time, the others standing still")
        if best is None:
            print(f"best by {wish}: none, as no row that passed its gates keeps the bounds")
        else:
            print(f"best by {wish}: {best['mode']} of {best['job']}, {best[settings.objective]:g}")
            print(f"apply it: dvc exp apply {best['job']}; dvc repro   (which makes what the job was not run for)")
    failed = [record for record in ended if record.state == job_records.FAILED]
    for record in failed:
        print(f"failed: {record.name}: {record.reason} (log: {job_records.log(record.name)})", file=sys.stderr)
    if failed:
        raise UserError(f"{len(failed)} of {len(ended)} jobs failed; the same command runs them again")


def _rows(record: job_records.Record) -> list[dict[str, Any]]:
    """A row for each mode of a job, with what was swept."""
    swept = {key: value for key, value in record.values.items() if key != jobs.MODES}
    found = (
        table.row(
            Metrics.parse(r["metrics"], record.name),
            Performance.parse(r["performance"], record.name),
            Gates.parse(r["gates"], record.name),
        )
        for r in record.results.values()
    )
    return [{**row, "job": record.name, "label": record.name.rpartition("-")[0], "values": swept} for row in found]
