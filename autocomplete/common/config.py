"""Settings of a stage: Hydra composes conf/ and params.yaml, and dvc.yaml says which part a stage may see.

Precedence: group file < params.yaml < command line.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from autocomplete.common import overrides, stage_seconds
from autocomplete.common.errors import UserError, user_errors
from autocomplete.common.settings import one_line_errors, typed

Settings = TypeVar("Settings")
HELP, MULTIRUN = ("-h", "--help"), ("-m", "--multirun")
# Hydra 1.3's flags that a value follows; https://hydra.cc/docs/advanced/hydra-command-line-flags/
_FLAGS_WITH_VALUE = (
    *("-c", "--cfg", "-p", "--package", "-cp", "--config-path", "-cn", "--config-name", "-cd", "--config-dir"),
    "--experimental-rerun",
)
_INFO, _INFO_TOPICS = ("-i", "--info"), ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


def main(stage: str, settings: type[Settings], run: Callable[[Settings], None]) -> None:
    """Runs a stage with its settings, or ends with one line on standard error and exit status 1.

    `-m` runs it once for each combination of values (Hydra's multirun).
    """
    arguments = [a for a in sys.argv[1:] if a not in HELP]
    asks_for_help = len(arguments) < len(sys.argv) - 1
    os.environ["HYDRA_FULL_ERROR"] = "1"  # else Hydra prints exceptions instead of raising them
    with user_errors(), one_line_errors():
        if asks_for_help and not any(a.startswith("quantize=") for a in arguments):
            arguments.append(f"quantize={overrides.names('quantize')[0]}")  # any mode shows the settings of a mode
        # Hydra's parser needs the overrides together, behind its flags
        flags, values = _split(arguments)
        of_params = [] if "--hydra-help" in flags else overrides.of_params(Path("params.yaml"))
        sys.argv[1:] = [*flags, *of_params, *values]

        @hydra.main(version_base="1.3", config_path=str(Path("conf").absolute()), config_name="config")
        def job(config: DictConfig) -> None:
            with user_errors(), one_line_errors():
                visible = _visible(stage, config)
                if asks_for_help:
                    _print_help(stage, visible)
                else:
                    with stage_seconds.noted(stage, visible.get("mode", "")):
                        run(typed(stage, settings, visible))

        job()
        if set(MULTIRUN) & set(flags):
            print(
                f"{stage} ran outside DVC: dvc.lock does not know what it wrote, and `dvc repro` would write it anew; "
                f"to keep it, put its values and modes into params.yaml, then `dvc commit {stage}`",
                file=sys.stderr,
            )


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Hydra's flags with their values, and the overrides."""
    flags: list[str] = []
    values: list[str] = []
    for before, argument in zip(["", *arguments], arguments, strict=False):
        is_value = before in _FLAGS_WITH_VALUE or (before in _INFO and argument in _INFO_TOPICS)
        (flags if argument.startswith("-") or is_value else values).append(argument)
    if flags and flags[-1] in _INFO:
        flags.append("all")  # else Hydra takes the first override for the topic
    return flags, values


def composed(name: str, settings: type[Settings], changes: Mapping[str, object]) -> Settings:
    """The settings of conf/<name>.yaml, or of its section <name> where it has one, with some of them changed."""
    return composed_with(name, settings, [f"{key}={overrides.quoted(value)}" for key, value in changes.items()])


def composed_with(name: str, settings: type[Settings], changes: Sequence[str]) -> Settings:
    """As `composed`, with changes in Hydra's grammar."""
    with one_line_errors():
        with hydra.initialize_config_dir(str(Path("conf").absolute()), version_base="1.3"):
            config = hydra.compose(name, list(changes))
        return typed(name, settings, config.get(name) or config)


def _visible(stage: str, config: DictConfig) -> DictConfig:
    """The part of the configuration that dvc.yaml declares for a stage, so that all that it reads re-runs it."""
    declared = overrides.read_yaml(Path("dvc.yaml"))["stages"][stage]
    params = overrides.read_yaml(Path("params.yaml"))
    visible: dict[str, Any] = {}
    for entry in declared.get("params", []):
        if isinstance(entry, str):
            value = OmegaConf.select(config, entry)
            visible |= value if isinstance(value, DictConfig) else {entry.rpartition(".")[2]: value}
            continue
        for file, keys in entry.items():
            group = Path(file).parts[1]
            if HydraConfig.get().runtime.choices.get(group) is None:
                _missing_choice(group)
            of_file = {k: v for k, v in config[group].items() if k not in (params.get(group) or {})}
            visible |= {k: v for k, v in of_file.items() if not keys or k in keys}
    if "matrix" in declared:
        visible["mode"] = HydraConfig.get().runtime.choices["quantize"] or _missing_choice("quantize")
    return OmegaConf.create(visible)


def _missing_choice(group: str) -> NoReturn:
    raise UserError(f"say {group}=<name>; allowed: {', '.join(overrides.names(group))}")


def _print_help(stage: str, visible: DictConfig) -> None:
    module = sys.modules["__main__"]
    print(f"{(module.__doc__ or '').strip()}\n\nUsage: python -m stages.{stage} [key=value …] [-m]\n")
    print(f"Settings now (from params.yaml and conf/; `{stage}.key=value` on the command line wins):\n")
    print(OmegaConf.to_yaml(visible))
