"""Settings of a stage: Hydra composes conf/ and params.yaml, dvc.yaml says which part a stage may see; and multirun.

Precedence: group file < params.yaml < command line. This is the only file that knows Hydra and OmegaConf.
"""

import contextlib
import dataclasses
import functools
import itertools
import json
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

import hydra
import yaml
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from autocomplete.common.errors import UserError

Settings = TypeVar("Settings")
HELP, MULTIRUN = ("-h", "--help"), ("-m", "--multirun")
# conf/ is in git, and what a stage was told is in dvc.lock
_SECRET = re.compile("token|secret|password|credential|username|key")
_NO_SECRETS = (
    "; credentials come from the environment alone (HF_TOKEN, KAGGLE_API_TOKEN, KAGGLE_USERNAME and KAGGLE_KEY)"
)


def main(stage: str, settings: type[Settings], run: Callable[[Settings], None]) -> None:
    """Runs a stage with its settings, or ends with one line on standard error and exit status 1.

    `-m` runs it once for each combination of values (Hydra's multirun).
    """
    arguments = [a for a in sys.argv[1:] if a not in HELP]
    helping = len(arguments) < len(sys.argv) - 1
    os.environ["HYDRA_FULL_ERROR"] = "1"  # hand exceptions to us instead of printing them
    with user_errors():
        if helping and not any(a.startswith("quantize=") for a in arguments):
            arguments.append(f"quantize={_names('quantize')[0]}")  # any mode shows what a mode holds
        # Hydra's parser takes the overrides in one piece, behind its flags
        flags = [a for a in arguments if a.startswith("-")]
        overrides = [a for a in arguments if not a.startswith("-")]
        sys.argv[1:] = [*flags, *_as_overrides(Path("params.yaml")), *overrides]

        @hydra.main(version_base="1.3", config_path=str(Path("conf").absolute()), config_name="config")
        def job(config: DictConfig) -> None:
            with user_errors():
                visible = _visible(stage, config)
                if helping:
                    _print_help(stage, visible, f"params.yaml and conf/; `{stage}.key=value`")
                else:
                    run(_typed(stage, settings, visible))

        job()
        if set(MULTIRUN) & set(flags):
            print(
                f"{stage} ran outside DVC: dvc.lock does not know what it wrote, and `dvc repro` would write it anew; "
                f"to keep it, put its values and modes into params.yaml, then `dvc commit {stage}`",
                file=sys.stderr,
            )


def verb(name: str, settings: type[Settings], run: Callable[[Settings], None]) -> None:
    """Runs a verb that is no stage of dvc.yaml: its settings are conf/<name>.yaml and the command line."""
    overrides = [a for a in sys.argv[1:] if a not in HELP]
    with user_errors():
        with _conf():
            config = hydra.compose(name, overrides)
        if len(overrides) < len(sys.argv) - 1:
            _print_help(name, config, f"conf/{name}.yaml; `key=value`")
        else:
            run(_typed(name, settings, config))


def sweep(settings: type[Settings], run: Callable[[Settings, list[dict[str, str]], list[str]], None]) -> None:
    """Runs a verb over combinations of values, in jobs that it starts by `launch`; its settings are conf/sweep.yaml.

    `run` is given the settings, every combination as {key: value}, both as Hydra writes them, and the overrides that
    choose the launcher. What is swept is a kept set (`sets`, named by `set`) and the command line, which wins.
    """
    arguments = [a for a in sys.argv[1:] if a not in (*HELP, *MULTIRUN)]
    own = [a for a in arguments if re.match(r"[+~]*(hydra[./]|sweep\.)", a)]
    with user_errors():
        with _conf():
            config = hydra.compose("sweep", own).sweep
            chosen: Any = _typed("sweep", settings, config)
            kept = [f"{key}={value}" for key, value in chosen.sets.get(chosen.set, {}).items()]
            combinations = _combinations([*kept, *(a for a in arguments if a not in own)])
        if set(HELP) & set(sys.argv[1:]):
            _print_help("sweep", config, "conf/sweep.yaml; `sweep.key=value`")
        else:
            run(chosen, combinations, own)


def launch(overrides: list[str], jobs: Sequence[dict[str, Any]], work: Callable[[dict[str, Any]], None]) -> None:
    """Calls `work` once for each job by the launcher of conf/sweep.yaml or of the overrides; back when all have ended.

    A launcher takes work to other processes and machines: it must be a function of a module, and jobs plain values.
    """
    with _conf():
        config = hydra.compose("sweep", overrides, return_hydra_config=True)
        context = HydraContext(GlobalHydra.instance().config_loader(), Callbacks(config))
        task = functools.partial(_job, work)
        launcher = Plugins.instance().instantiate_launcher(hydra_context=context, task_function=task, config=config)
        launcher.launch([[f"+job={_quoted(json.dumps(job))}"] for job in jobs], initial_job_idx=0)


def _job(work: Callable[[dict[str, Any]], None], config: DictConfig) -> None:
    work(json.loads(config.job))


def _combinations(overrides: list[str]) -> list[dict[str, str]]:
    """All combinations of the values that overrides in Hydra's grammar say: lists, ranges, globs; later ones win."""
    values: dict[str, list[str]] = {}
    for o in OverridesParser.create(config_loader=GlobalHydra.instance().config_loader()).parse_overrides(overrides):
        if o.is_sweep_override() and not o.is_discrete_sweep():
            raise UserError(f"{o.input_line}: an interval has no end of values; say range(…), choice(…) or a list")
        found = [str(v) for v in o.sweep_string_iterator()] if o.is_sweep_override() else [o.get_value_element_as_str()]
        values[o.get_key_element()] = found
    return [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]


def _conf() -> Any:
    warnings.filterwarnings("ignore", r"\s*'hydra/launcher/submitit_slurm' is validated")  # completed by it: meant
    return hydra.initialize_config_dir(str(Path("conf").absolute()), version_base="1.3")


def command(run: Callable[[list[str]], None]) -> None:
    """Runs a verb that reads its command line itself; `--help` prints what its module says of it."""
    if set(HELP) & set(sys.argv[1:2]):
        print((sys.modules["__main__"].__doc__ or "").strip())
        return
    with user_errors():
        run(sys.argv[1:])


@contextlib.contextmanager
def user_errors() -> Iterator[None]:
    """Turns a user's mistake into one line on standard error and exit status 1."""
    try:
        yield
    except (UserError, HydraException, OmegaConfBaseException) as error:
        if os.environ.get("AUTOCOMPLETE_TRACEBACK"):
            traceback.print_exception(error)
        print(f"error: {error if isinstance(error, UserError) else _one_line(error)}", file=sys.stderr)
        raise SystemExit(1) from None


def _as_overrides(path: Path) -> Iterator[str]:
    """The values of params.yaml in Hydra's override grammar; placed before the command line, they yield to it."""
    params = _read_yaml(path)
    declared = [p for s in _read_yaml(Path("dvc.yaml"))["stages"].values() for p in s.get("params", [])]
    keys = [d for d in declared if isinstance(d, str)]
    for group, name in params.pop("use", {}).items():
        if not _names(group):
            groups = sorted(p.name for p in Path("conf").iterdir() if p.is_dir())
            raise UserError(f"{path}: unknown group use.{group}; allowed: {', '.join(groups)}")
        yield f"{group}={name}"
    for key, value in _leaves(params):
        if not any(key == k or key.startswith(k + ".") for k in keys):
            raise UserError(f"{path}: unknown key {key!r}; allowed: use.*, {', '.join(sorted(set(keys)))}")
        yield f"++{key}={_quoted(value)}"


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path} not found in {Path.cwd()}; run from the project's top folder") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} must hold a mapping of keys to values")
    return value


def _leaves(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _quoted(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(_quoted(v) for v in value)}]"
    if isinstance(value, str):
        return "'" + re.sub(r"(\\*)'", r"\1\1\\'", value) + "'"
    return json.dumps(value)  # null, true, numbers


def _visible(stage: str, config: DictConfig) -> DictConfig:
    """The part of the configuration that dvc.yaml declares for a stage: whatever it may read re-runs it."""
    declared = _read_yaml(Path("dvc.yaml"))["stages"][stage]
    params = _read_yaml(Path("params.yaml"))
    visible: dict[str, Any] = {}
    for entry in declared.get("params", []):
        if isinstance(entry, str):
            value = OmegaConf.select(config, entry)
            visible |= value if isinstance(value, DictConfig) else {entry.rpartition(".")[2]: value}
            continue
        for file in entry:
            group = Path(file).parts[1]
            if HydraConfig.get().runtime.choices.get(group) is None:
                _missing_choice(group)
            visible |= {k: v for k, v in config[group].items() if k not in (params.get(group) or {})}
    if "matrix" in declared:
        visible["mode"] = HydraConfig.get().runtime.choices["quantize"] or _missing_choice("quantize")
    return OmegaConf.create(visible)


def _missing_choice(group: str) -> NoReturn:
    raise UserError(f"say {group}=<name>; allowed: {', '.join(_names(group))}")


def _names(group: str) -> list[str]:
    """The files of a group."""
    return sorted(p.stem for p in (Path("conf") / group).glob("*.yaml"))


def _typed(stage: str, settings: type[Settings], visible: DictConfig) -> Settings:
    """The settings as a checked dataclass; raises UserError for an unknown key, a wrong type or a broken rule."""
    try:
        schema = OmegaConf.structured(settings)
        _unfreeze(schema, visible)
        return cast(Settings, OmegaConf.to_object(OmegaConf.merge(schema, visible)))
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or getattr(error, "key", None)
        known = ", ".join(getattr(settings, "__dataclass_fields__", {}))
        advice = _NO_SECRETS if _SECRET.search(str(key)) else ""
        raise UserError(f"{stage}.{key}: {_one_line(error)}; known settings: {known}{advice}") from None


def _unfreeze(schema: DictConfig, given: DictConfig) -> None:
    """Lets values be merged into a schema: OmegaConf marks every frozen dataclass read-only, nested ones too.

    Optional and named parts that are given are made first: what merging makes has read-only parts.
    """
    OmegaConf.set_readonly(schema, False)
    for key in schema:
        node, part = schema._get_node(key), given.get(key) if OmegaConf.is_dict(given) else None
        if not isinstance(node, DictConfig):
            continue
        if isinstance(part, DictConfig):
            named = node._metadata.element_type
            if node._is_none():
                schema[key] = OmegaConf.structured(node._metadata.ref_type)
            elif dataclasses.is_dataclass(named):
                schema[key] = {name: OmegaConf.structured(named) for name in part}
            node = cast(DictConfig, schema._get_node(key))
        _unfreeze(node, cast(DictConfig, part))


def _one_line(error: Exception) -> str:
    """The first sentences of Hydra's and OmegaConf's many-line messages, with the list of allowed values."""
    lines = [line.strip() for line in str(error).splitlines()]
    lines = [line for line in lines if line and not line.startswith(("full_key:", "object_type=", "reference_type="))]
    return re.sub(r" Config search path:.*", "", " ".join(lines)) or type(error).__name__


def _print_help(stage: str, visible: DictConfig, source: str) -> None:
    module = sys.modules["__main__"]
    print(f"{(module.__doc__ or '').strip()}\n\nUsage: python -m stages.{stage} [key=value …] [-m]\n")
    print(f"Settings now (from {source} on the command line wins):\n")
    print(OmegaConf.to_yaml(visible))
