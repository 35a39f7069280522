"""What a sweep runs, in Hydra's grammar, and Hydra's launchers, which run it."""

import itertools
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from autocomplete.common.errors import UserError
from autocomplete.common.overrides import quoted
from autocomplete.common.settings import one_line_errors


def combinations(values: Sequence[str]) -> list[dict[str, str]]:
    """All combinations of the values that overrides say, as {key: value}: lists, ranges, globs; later ones win.

    Raises:
      UserError: for what is no override, and for an interval.
    """
    with one_line_errors(), _conf():
        config_loader = GlobalHydra.instance().config_loader()
        parsed = OverridesParser.create(config_loader=config_loader).parse_overrides(list(values))
        chosen: dict[str, list[str]] = {}
        for override in parsed:
            if override.is_sweep_override() and not override.is_discrete_sweep():
                raise UserError(
                    f"{override.input_line}: an interval has no end of values; say range(…), choice(…) or a list"
                )
            several = override.is_sweep_override()
            found = map(str, override.sweep_string_iterator()) if several else [override.get_value_element_as_str()]
            chosen[override.get_key_element()] = list(found)
    return [dict(zip(chosen, some, strict=True)) for some in itertools.product(*chosen.values())]


def accept_slurm_schema() -> None:
    """Silences Hydra's warning that our submitit_slurm.yaml shares its name with the plugin's schema.

    The shared name is intended: the schema fills in what our file leaves out.
    """
    warnings.filterwarnings("ignore", r"\s*'hydra/launcher/submitit_slurm' is validated")


def launch(overrides: list[str], jobs: Sequence[dict[str, Any]], work: Callable[[dict[str, Any]], None]) -> None:
    """Calls `work` once for each job by the launcher of conf/sweep.yaml or of the overrides; back when all have ended.

    A launcher takes work to other processes and machines: it must be a function of a module, and jobs plain values.
    It replaces this process's command line by one of Hydra's: call it in a process of its own.
    """
    accept_slurm_schema()
    sys.argv[1:] = ["--multirun", *overrides, f"+job={','.join(quoted(json.dumps(job)) for job in jobs)}"]

    @hydra.main(version_base="1.3", config_path=str(Path("conf").absolute()), config_name="sweep")
    def task(config: DictConfig) -> None:
        work(json.loads(config.job))

    task()


def _conf() -> Any:
    return hydra.initialize_config_dir(str(Path("conf").absolute()), version_base="1.3")
