"""Settings as frozen dataclasses, checked for unknown keys, for types, and by the classes' own rules."""

import contextlib
import dataclasses
import re
import typing
from collections.abc import Iterator
from typing import TypeVar, cast

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from autocomplete.common.errors import UserError

Settings = TypeVar("Settings")
# keys that sound like a credential: conf/ is in git, and a stage's settings are in dvc.lock
_SECRET = re.compile("token|secret|password|credential|username|key")
_NO_SECRETS = (
    "; credentials come from the environment alone (HF_TOKEN, KAGGLE_API_TOKEN, KAGGLE_USERNAME and KAGGLE_KEY)"
)


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Turns the many-line errors of Hydra and OmegaConf into a UserError."""
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(_one_line(error)) from error


def typed(stage: str, settings: type[Settings], values: DictConfig) -> Settings:
    """The settings as a checked dataclass.

    Raises:
      UserError: for an unknown key, a wrong type or a broken rule of the dataclass.
    """
    try:
        return cast(Settings, OmegaConf.to_object(OmegaConf.merge(_schema(settings, values), values)))
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or getattr(error, "key", None)
        known = ", ".join(getattr(settings, "__dataclass_fields__", {}))
        advice = _NO_SECRETS if _SECRET.search(str(key)) else ""
        raise UserError(f"{stage}.{key}: {_one_line(error)}; known settings: {known}{advice}") from None


def _schema(settings: type, values: DictConfig) -> DictConfig:
    """A schema that values can be merged into: OmegaConf makes every frozen dataclass read-only, also nested ones."""
    schema: DictConfig = OmegaConf.structured(settings)
    OmegaConf.set_readonly(schema, False)
    for key, hint in typing.get_type_hints(settings).items():
        part = values.get(key) if key in values else None
        classes = [t for t in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(t)]
        if not isinstance(part, DictConfig) or not classes:
            continue
        nested = cast(type, classes[0])
        if typing.get_origin(hint) is dict:
            schema[key] = {name: _schema(nested, part[name]) for name in part if isinstance(part[name], DictConfig)}
        else:
            schema[key] = _schema(nested, part)
    return schema


def _one_line(error: Exception) -> str:
    """The first sentences of Hydra's and OmegaConf's many-line messages, with the list of allowed values."""
    lines = [line.strip() for line in str(error).splitlines()]
    lines = [line for line in lines if line and not line.startswith(("full_key:", "object_type=", "reference_type="))]
    return re.sub(r" Config search path:.*", "", " ".join(lines)) or type(error).__name__
