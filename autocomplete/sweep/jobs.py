"""Jobs of a sweep: their names, their values for params.yaml, the stages that several of them share."""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter

from autocomplete.common import overrides
from autocomplete.common.errors import UserError
from autocomplete.common.json_files import JsonObject
from autocomplete.sweep.snapshot import Snapshot

MODES_KEY = "quantize.modes"
_NAME_CHARACTERS = 80  # of a job's name, before the hash


@dataclass(frozen=True)
class Job:
    """One run of the pipeline.

    Attributes:
      name: tells the values; ends with a hash of values, targets and the sweep's identity.
      values: key of params.yaml → value.
      targets: the stages to run; none stands for all.
      saves_experiment: whether the run becomes a DVC experiment, or only fills the run-cache.
    """

    name: str
    values: dict[str, str]
    targets: tuple[str, ...]
    saves_experiment: bool = True


@dataclass(frozen=True)
class JobOrder:
    """A job and what a worker needs to run it, on whichever machine a launcher starts it.

    Attributes:
      job: the job.
      snapshot: the state of the workspace that the job runs in.
      cache: the absolute path of DVC's cache.
      pull: whether DVC fetches results that the default remote has.
    """

    job: Job
    snapshot: Snapshot
    cache: Path
    pull: bool

    def to_json(self) -> str:
        """Returns the order as JSON in ASCII: launchers carry text."""
        return json.dumps(TypeAdapter(JobOrder).dump_python(self, mode="json"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote."""
        return TypeAdapter(cls).validate_json(text)


def make(combinations: Iterable[Mapping[str, str]], targets: Sequence[str], identity: str) -> list[Job]:
    """Makes a job of each combination; equal combinations make one job.

    Args:
      combinations: key → value, as on the command line: `quantize` and groups stand for keys of params.yaml.
      targets: the stages to run.
      identity: stands for code, configuration and presets; with it, equal names mean equal results.

    Raises:
      UserError: where params.yaml has no such key, or a group of conf/ has no such file.
    """
    params = overrides.read_yaml(Path("params.yaml"))
    groups, leaves = list(params.get("use", {})), set(_leaf_keys(params))
    jobs = (_job("", _as_params(combination, groups, leaves), targets, identity) for combination in combinations)
    return list({job.name: job for job in jobs}.values())


def shared_rounds(jobs: Sequence[Job], stages: Sequence[str], identity: str) -> list[list[Job]]:
    """Makes the jobs that fill the run-cache with results that several jobs need.

    Jobs share a stage where they agree in all values that this stage and those before it read.

    Args:
      jobs: the jobs of the sweep.
      stages: the stages that may be shared, in the pipeline's order.
      identity: as for `make`.

    Returns:
      Rounds of jobs; a round starts when the one before has ended.

    Raises:
      UserError: where dvc.yaml lacks a stage.
    """
    declared = overrides.read_yaml(Path("dvc.yaml"))["stages"]
    keys_read: set[str] = set()
    rounds: list[dict[frozenset[str], Job]] = []
    for stage in stages:
        if stage not in declared:
            raise UserError(f"sweep.shared names {stage}, which is not in dvc.yaml; allowed: {', '.join(declared)}")
        keys_read |= _params_read(declared[stage])
        shared = _shared_values(jobs, keys_read)
        for earlier_round in rounds:  # a run of this stage also runs the earlier ones
            for names in shared:
                earlier_round.pop(names, None)
        rounds.append({n: _job("shared", v, [stage], identity, saves_experiment=False) for n, v in shared.items()})
    return [list(jobs_of_round.values()) for jobs_of_round in rounds if jobs_of_round]


def _shared_values(jobs: Sequence[Job], keys: Collection[str]) -> dict[frozenset[str], dict[str, str]]:
    """Groups jobs that agree in the values of some keys: names of two or more jobs → these values."""
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        values = {key: value for key, value in job.values.items() if key in keys}
        groups.setdefault(json.dumps(values), []).append(job)
    return {frozenset(j.name for j in group): json.loads(v) for v, group in groups.items() if len(group) > 1}


def _job(
    prefix: str, values: dict[str, str], targets: Sequence[str], identity: str, saves_experiment: bool = True
) -> Job:
    """Makes a job whose name depends on prefix, values, targets and identity alone."""
    parts = [v.strip("[]") if k == MODES_KEY else f"{k.rpartition('.')[2]}-{v}" for k, v in values.items()]
    words = "-".join([prefix, *([] if saves_experiment else targets), *parts])
    readable = re.sub(r"[^A-Za-z0-9_]+", "-", words).strip("-")[:_NAME_CHARACTERS].rstrip("-")
    digest = hashlib.sha256(json.dumps([identity, sorted(values.items()), list(targets)]).encode()).hexdigest()
    return Job(f"{readable}-{digest[:6]}", values, tuple(targets), saves_experiment)


def _as_params(combination: Mapping[str, str], groups: Sequence[str], leaves: Collection[str]) -> dict[str, str]:
    """Names a combination's values by keys of params.yaml: quantize=x is quantize.modes=[x], author=x use.author=x."""
    values = {}
    for key, value in combination.items():
        group = key.removeprefix("use.")
        if key == "quantize":
            _require_file("quantize", value)
            values[MODES_KEY] = f"[{value}]"
        elif group in groups:
            _require_file(group, value)
            values[f"use.{group}"] = value
        elif key in leaves:
            values[key] = value
        else:
            allowed = ", ".join(["quantize", *groups, *sorted(k for k in leaves if not k.startswith("use."))])
            raise UserError(f"sweep: {key!r} is not a key of params.yaml; allowed: {allowed}")
    return values


def _require_file(group: str, name: str) -> None:
    """Raises UserError where a group of conf/ has no file of a name."""
    names = overrides.names(group)
    if name not in names:
        raise UserError(f"sweep: there is no conf/{group}/{name}.yaml; allowed: {', '.join(names)}")


def _params_read(stage: JsonObject) -> set[str]:
    """Returns the keys of params.yaml that a stage of dvc.yaml declares or has in its paths."""
    declared = {entry for entry in stage.get("params", []) if isinstance(entry, str)}
    return declared | set(re.findall(r"\$\{([\w.]+)\}", json.dumps(stage)))


def _leaf_keys(tree: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaf_keys(value, f"{prefix}{key}.")
        else:
            yield prefix + key
