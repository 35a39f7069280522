"""Configuration becomes frozen dataclasses, or a line that names the key."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import pytest
from omegaconf import OmegaConf

from autocomplete.common.errors import UserError
from autocomplete.common.settings import typed


@dataclass(frozen=True)
class Inner:
    size: int
    name: str = "x"

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UserError(f"size is {self.size}; allowed: at least 1")


@dataclass(frozen=True)
class Settings:
    count: int
    inner: Inner
    maybe: Inner | None = None
    each: dict[str, Inner] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)


def read(**content: Any) -> Settings:
    return typed("stage", Settings, OmegaConf.create({"count": 1, "inner": {"size": 2}} | content))


def test_nested_settings_are_dataclasses_of_their_own() -> None:
    settings = read(maybe={"size": 3}, each={"a": {"size": 4, "name": "y"}}, names=["b"])
    assert settings == Settings(1, Inner(2), Inner(3), {"a": Inner(4, "y")}, ["b"])
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.count = 2  # type: ignore[misc]


def test_an_omitted_setting_has_its_default() -> None:
    assert read() == Settings(1, Inner(2))
    assert read(maybe=None).maybe is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"colour": "red"}, r"^stage\.colour: .*known settings: count, inner, maybe, each, names$"),
        ({"count": "many"}, r"^stage\.count: .*many"),
        ({"inner": {"size": 2, "colour": "red"}}, r"^stage\.\S*colour"),
        ({"inner": {"size": "big"}}, r"^stage\.\S*size: .*big"),
        ({"each": {"a": {"size": "big"}}}, r"big"),
        ({"inner": {"size": 0}}, r"^size is 0; allowed: at least 1$"),
        ({"hf_token": "x"}, "credentials come from the environment alone"),
    ],
)
def test_mistakes_name_the_key_in_one_line(content: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        read(**content)
    assert "\n" not in str(refused.value)
