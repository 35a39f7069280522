"""params.yaml as overrides in Hydra's grammar, and the groups of conf/."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from autocomplete.common.errors import UserError
from autocomplete.common.json_files import JsonObject


def of_params(path: Path) -> Iterator[str]:
    """The values of params.yaml as Hydra's overrides; those of the command line come behind them and win."""
    params = read_yaml(path)
    declared = [p for s in read_yaml(Path("dvc.yaml"))["stages"].values() for p in s.get("params", [])]
    keys = [d for d in declared if isinstance(d, str)]
    for group, name in params.pop("use", {}).items():
        if not names(group):
            groups = sorted(p.name for p in Path("conf").iterdir() if p.is_dir())
            raise UserError(f"{path}: unknown group use.{group}; allowed: {', '.join(groups)}")
        yield f"{group}={name}"
    for key, value in _leaves(params):
        if not any(key == k or key.startswith(k + ".") for k in keys):
            raise UserError(f"{path}: unknown key {key!r}; allowed: use.*, {', '.join(sorted(set(keys)))}")
        yield f"++{key}={quoted(value)}"


def names(group: str) -> list[str]:
    """The files of a group of conf/, without their ending."""
    return sorted(p.stem for p in (Path("conf") / group).glob("*.yaml"))


def read_yaml(path: Path) -> JsonObject:
    """A YAML file that holds a mapping; raises UserError for anything else."""
    try:
        value: JsonObject = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path} not found in {Path.cwd()}; run from the project's top folder") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} must hold a mapping of keys to values")
    return value


def quoted(value: object) -> str:
    """A value in the grammar of Hydra's overrides."""
    if isinstance(value, list):
        return f"[{','.join(quoted(v) for v in value)}]"
    if isinstance(value, str):
        return "'" + re.sub(r"(\\*)'", r"\1\1\\'", value) + "'"
    return json.dumps(value)  # null, true, numbers


def _leaves(tree: JsonObject, prefix: str = "") -> Iterator[tuple[str, object]]:
    """The values of nested mappings, by their keys joined by dots."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
