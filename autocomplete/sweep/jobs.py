"""Jobs of a sweep: their names, their values in params.yaml, and what several of them share."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from autocomplete.common.errors import UserError

MODES = "quantize.modes"
_READABLE = 80  # characters of a name before its hash


@dataclass(frozen=True)
class Job:
    """Stages to run with these values of params.yaml; `kept` as an experiment, or run for the run-cache alone."""

    name: str
    values: dict[str, str]
    targets: tuple[str, ...]
    kept: bool = True


def make(combinations: Iterable[Mapping[str, str]], targets: Sequence[str], identity: str) -> list[Job]:
    """A job for each combination that differs; raises UserError for a key or a file of conf/ that does not exist.

    `identity` stands for everything else that a result depends on: the same name, the same result.
    """
    params = _read(Path("params.yaml"))
    jobs = (_job("", _translated(c, params), targets, identity) for c in combinations)
    return list({job.name: job for job in jobs}.values())


def shared(jobs: Sequence[Job], stages: Sequence[str], identity: str) -> list[list[Job]]:
    """What several jobs would each run: rounds of jobs for the run-cache, to be run one after another beforehand.

    Jobs share a stage (of `stages`, in the pipeline's order) where all values agree that it and those before it read.
    """
    declared = _read(Path("dvc.yaml"))["stages"]
    read: set[str] = set()
    rounds: list[dict[frozenset[str], Job]] = []
    for stage in stages:
        if stage not in declared:
            raise UserError(f"sweep.shared names {stage}, which is not in dvc.yaml; allowed: {', '.join(declared)}")
        read |= _keys(declared[stage])
        groups: dict[str, list[Job]] = {}
        for job in jobs:
            groups.setdefault(json.dumps({k: v for k, v in job.values.items() if k in read}), []).append(job)
        several = {frozenset(j.name for j in g): json.loads(key) for key, g in groups.items() if len(g) > 1}
        for earlier in rounds:  # the deeper stage brings the shallower with it
            for group in several:
                earlier.pop(group, None)
        rounds.append({g: _job("shared", v, [stage], identity, kept=False) for g, v in several.items()})
    return [list(r.values()) for r in rounds if r]


def _job(prefix: str, values: dict[str, str], targets: Sequence[str], identity: str, kept: bool = True) -> Job:
    """A job whose name tells its values and is the same for the same values, stages and identity alone."""
    told = [v.strip("[]") if k == MODES else f"{k.rpartition('.')[2]}-{v}" for k, v in values.items()]
    readable = re.sub(r"[^A-Za-z0-9_]+", "-", "-".join([prefix, *([] if kept else targets), *told])).strip("-")
    unique = hashlib.sha256(json.dumps([identity, sorted(values.items()), list(targets)]).encode()).hexdigest()
    return Job(f"{readable[:_READABLE].rstrip('-')}-{unique[:6]}", values, tuple(targets), kept)


def _translated(combination: Mapping[str, str], params: dict[str, Any]) -> dict[str, str]:
    """A combination in keys of params.yaml: quantize=x is quantize.modes=[x], author=x is use.author=x."""
    groups, leaves = params.get("use", {}), set(_leaves(params))
    values = {}
    for key, value in combination.items():
        if key == "quantize":
            _file("quantize", value)
            values[MODES] = f"[{value}]"
        elif key in groups or key.removeprefix("use.") in groups:
            group = key.removeprefix("use.")
            _file(group, value)
            values[f"use.{group}"] = value
        elif key in leaves:
            values[key] = value
        else:
            allowed = ", ".join(["quantize", *groups, *sorted(k for k in leaves if not k.startswith("use."))])
            raise UserError(f"sweep: {key!r} is not a key of params.yaml; allowed: {allowed}")
    return values


def _file(group: str, name: str) -> None:
    names = sorted(p.stem for p in (Path("conf") / group).glob("*.yaml"))
    if name not in names:
        raise UserError(f"sweep: there is no conf/{group}/{name}.yaml; allowed: {', '.join(names)}")


def _keys(stage: dict[str, Any]) -> set[str]:
    """The keys of params.yaml that a stage of dvc.yaml reads or has in its paths."""
    params = {p for p in stage.get("params", []) if isinstance(p, str)}
    return params | set(re.findall(r"\$\{([\w.]+)\}", json.dumps(stage)))


def _leaves(tree: dict[str, Any], prefix: str = "") -> Iterable[str]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def _read(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = yaml.safe_load(path.read_text())
    return value
