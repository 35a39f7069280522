"""sweep: runs many pipelines side by side as DVC experiments, then writes a table, a plot and the best job."""

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

import click
from filelock import FileLock, Timeout

from autocomplete.common import config, metrics
from autocomplete.common.errors import UserError
from autocomplete.evaluate import table
from autocomplete.sweep import job_records, jobs, ranking, report, runner, slurm, snapshot, supervise
from autocomplete.sweep.display import display
from autocomplete.sweep.job_records import JobRecord
from autocomplete.sweep.jobs import Job, JobOrder
from autocomplete.sweep.launcher import accept_slurm_schema, launch, parse_combinations
from autocomplete.sweep.ranking import JobRow
from autocomplete.sweep.snapshot import Snapshot

OUT = Path("artifacts/sweep")
# Arguments for Hydra and for conf/sweep.yaml; the others are values to sweep.
_SETTING = re.compile(r"[+~]*(hydra[./]|sweep\.)")


@dataclass(frozen=True)
class SweepSettings:
    """The section `sweep` of conf/sweep.yaml.

    Attributes:
      set: the name of one of `sets`, or null.
      sets: name → key → values to sweep.
      targets: the stages that each job runs; none stands for all.
      shared: the stages that run once for the jobs that agree in their settings.
      objective: the metric that the best row is chosen by.
      constraints: metric → bound that the best row must keep.
      pull: whether DVC fetches results that the default remote has.
      pareto: the three metrics of the Pareto front and of the plot.
    """

    set: str | None
    sets: dict[str, dict[str, str]]
    targets: list[str]
    shared: list[str]
    objective: str
    constraints: dict[str, str]
    pull: bool
    pareto: list[str]

    def __post_init__(self) -> None:
        """Refuses an unknown set, metrics without an order, and bounds that are not bounds."""
        if self.set is not None and self.set not in self.sets:
            raise UserError(f"sweep.set is {self.set}; allowed: {', '.join(self.sets)} (sweep.sets in conf/sweep.yaml)")
        if len(self.pareto) != 3:
            raise UserError("sweep.pareto must name three metrics: across, up and colour of the plot")
        for metric in (self.objective, *self.pareto, *self.constraints):
            metrics.require(metric, metrics.RANKED, "sweep")
        self.criteria()

    def criteria(self) -> report.Criteria:
        """Returns objective, constraints and Pareto metrics; raises UserError where a bound is not one."""
        constraints = [ranking.parse_constraint(metric, bound) for metric, bound in self.constraints.items()]
        return report.Criteria(self.objective, constraints, self.pareto)


@click.command("sweep")
@click.argument("arguments", nargs=-1, metavar="KEY=VALUES...")
@click.option("--set", "set_name", help="A set of values of conf/sweep.yaml; KEY=VALUES adds to it and wins.")
@click.option("--launcher", help="Who runs the jobs: joblib (the default), basic, or submitit_slurm on a cluster.")
def command(arguments: tuple[str, ...], set_name: str | None, launcher: str | None) -> None:
    r"""Run a pipeline for each combination of values, as DVC experiments, then print the table and name the best job.

    KEY=VALUES is any key of params.yaml, or quantize, with values in Hydra's grammar: lists, range(40,101,20),
    glob(int4*). sweep.KEY=VALUE changes a setting of conf/sweep.yaml. The same command again runs what is missing.

    \b
    autocomplete sweep quantize=float16,int4_block32 convert.sequence_length=64,100
    autocomplete sweep --set modes --launcher submitit_slurm
    """
    accept_slurm_schema()
    overrides = [argument for argument in arguments if _SETTING.match(argument)]
    overrides += [f"sweep.set={set_name}"] if set_name is not None else []
    overrides += [f"hydra/launcher={launcher}"] if launcher is not None else []
    settings = config.composed_with("sweep", SweepSettings, overrides)
    of_set = [f"{key}={values}" for key, values in settings.sets.get(settings.set or "", {}).items()]
    swept = [argument for argument in arguments if not _SETTING.match(argument)]
    run(settings, parse_combinations([*of_set, *swept]), overrides)


def run(settings: SweepSettings, combinations: list[dict[str, str]], overrides: list[str]) -> None:
    """Runs the jobs that are not done yet as DVC experiments, and writes the report to artifacts/sweep.

    Args:
      settings: those of conf/sweep.yaml.
      combinations: key → value, one for each job.
      overrides: the command line's settings of Hydra and of conf/sweep.yaml, which a launcher composes anew.
    """
    if combinations == [{}]:
        sets = ", ".join(settings.sets)
        raise UserError(f"say what to sweep: quantize=float16,int4_block32, or sweep.set=<name>; kept sets: {sets}")
    start = snapshot.take()
    identity = snapshot.identity(start)
    all_jobs = jobs.make(combinations, settings.targets, identity)
    experiments = snapshot.experiment_names(start.head)
    missing = [job for job in all_jobs if not (job.name in experiments and _is_done(job))]
    print(f"{len(all_jobs)} jobs, {len(all_jobs) - len(missing)} of them done before")
    with _sweep_lock():
        if missing:
            shared = jobs.shared_rounds(missing, settings.shared, identity)
            rounds = [*(("shared stages", round_jobs) for round_jobs in shared), ("jobs", missing)]
            _run_rounds(rounds, start, overrides, settings.pull)
    _report(settings, [record for job in all_jobs if (record := job_records.read(job.name)) is not None])


def _is_done(job: Job) -> bool:
    record = job_records.read(job.name)
    return record is not None and record.state == job_records.DONE


@contextlib.contextmanager
def _sweep_lock() -> Iterator[None]:
    """Lets one sweep at a time run in a repository, and deletes the clones that a killed sweep left."""
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


def _run_rounds(rounds: Sequence[tuple[str, Sequence[Job]]], start: Snapshot, overrides: list[str], pull: bool) -> None:
    """Runs rounds of jobs, each with its title, one after another.

    Ctrl-C, SIGTERM and SIGHUP end the running jobs; the done ones are kept.
    """
    os.environ[slurm.JOB_NAME_VARIABLE] = f"sweep-{socket.gethostname()}-{os.getpid()}"
    cache = snapshot.cache_folder()
    for signal_number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signal_number) is signal.SIG_DFL:  # nohup ignores SIGHUP
            signal.signal(signal_number, _interrupt)
    names: list[str] = []
    try:
        for title, round_jobs in rounds:
            names = [job.name for job in round_jobs]
            orders = {job.name: JobOrder(job, start, cache, pull) for job in round_jobs}
            start_launcher = supervise.starter(launch, overrides, orders, runner.run_job)
            with display(title, names) as show:
                supervise.run_until_ended(start_launcher, names, show)
    except KeyboardInterrupt:
        for record in filter(None, map(job_records.read, names)):
            if record.state == job_records.RUNNING:
                job_records.delete(record.name)
        raise UserError("interrupted; what is done is kept, and the same command goes on from there") from None


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _report(settings: SweepSettings, records: Sequence[JobRecord]) -> None:
    """Writes and prints the table, the best job and the failed jobs; raises UserError where a job failed."""
    rows = [row for record in records for row in _rows(record)]
    if rows:
        criteria = settings.criteria()
        best = report.write(rows, table.COLUMNS, criteria, OUT)
        print(f"{OUT}/table.csv, table.md, pareto.png; timings: one job at a time, the others standing still")
        if best is None:
            print(f"best by {criteria}: none, as no row that passed its gates keeps the bounds")
        else:
            print(f"best by {criteria}: {best.cells['mode']} of {best.job}, {best.metric(settings.objective):g}")
            print(f"apply it: dvc exp apply {best.job}; dvc repro   (which makes what the job was not run for)")
    failed = [record for record in records if record.state == job_records.FAILED]
    for record in failed:
        print(f"failed: {record.name}: {record.reason} (log: {job_records.log_path(record.name)})", file=sys.stderr)
    if failed:
        raise UserError(f"{len(failed)} of {len(records)} jobs failed; the same command runs them again")


def _rows(record: JobRecord) -> list[JobRow]:
    """Returns the rows of a job, one for each mode."""
    swept = {key: value for key, value in record.values.items() if key != jobs.MODES_KEY}
    return [
        JobRow(record.name, swept, table.row(result.metrics, result.performance, result.gates))
        for result in record.results.values()
    ]
