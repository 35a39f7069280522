"""Hydra's part of a sweep: its grammar for values, its launchers for jobs."""

import itertools
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from autocomplete.common.errors import UserError
from autocomplete.common.overrides import quoted
from autocomplete.common.settings import one_line_errors
from autocomplete.sweep.jobs import JobOrder


def parse_combinations(arguments: Sequence[str]) -> list[dict[str, str]]:
    """Returns all combinations of the values that overrides list, each as key → value.

    Args:
      arguments: overrides in Hydra's grammar: lists, ranges, globs. Of two for one key the later counts.

    Raises:
      UserError: for an argument that is no override, and for an interval.
    """
    with one_line_errors(), _hydra():
        config_loader = GlobalHydra.instance().config_loader()
        parsed = OverridesParser.create(config_loader=config_loader).parse_overrides(list(arguments))
        values_of_key: dict[str, list[str]] = {}
        for override in parsed:
            if override.is_sweep_override() and not override.is_discrete_sweep():
                raise UserError(
                    f"{override.input_line}: an interval has no end of values; say range(…), choice(…) or a list"
                )
            if override.is_sweep_override():
                values = [str(value) for value in override.sweep_string_iterator()]
            else:
                values = [override.get_value_element_as_str()]
            values_of_key[override.get_key_element()] = values
    return [dict(zip(values_of_key, values, strict=True)) for values in itertools.product(*values_of_key.values())]


def accept_slurm_schema() -> None:
    """Silences Hydra's warning that our submitit_slurm.yaml shares its name with the plugin's schema.

    The shared name is intended: the schema fills in what our file leaves out.
    """
    warnings.filterwarnings("ignore", r"\s*'hydra/launcher/submitit_slurm' is validated")


def launch(overrides: list[str], orders: Sequence[JobOrder], run_job: Callable[[JobOrder], None]) -> None:
    """Calls `run_job` for each order by the launcher of conf/sweep.yaml or of the overrides; returns when all ended.

    Call it in a process of its own: it replaces the command line of the process by one for Hydra. Launchers start
    other processes, also on other machines, so `run_job` must be a function of a module.
    """
    accept_slurm_schema()
    jobs = ",".join(quoted(order.to_json()) for order in orders)
    sys.argv[1:] = ["--multirun", *overrides, f"+job={jobs}"]

    @hydra.main(version_base="1.3", config_path=str(Path("conf").absolute()), config_name="sweep")
    def task(config: DictConfig) -> None:
        run_job(JobOrder.from_json(config.job))

    task()


def _hydra() -> AbstractContextManager[None]:
    initialized: AbstractContextManager[None] = hydra.initialize_config_dir(
        str(Path("conf").absolute()), version_base="1.3"
    )
    return initialized
