"""params.yaml in the grammar of Hydra's overrides."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from autocomplete.common import overrides
from autocomplete.common.errors import UserError


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one stage, which declares one key and one group."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf/convert").mkdir(parents=True)
    (tmp_path / "conf/convert/wide.yaml").touch()
    (tmp_path / "conf/convert/default.yaml").touch()
    stage = {"cmd": "true", "params": ["convert.top_k", "quantize", {"conf/convert/default.yaml": None}]}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"convert": stage}}))
    return tmp_path / "params.yaml"


def written_overrides(path: Path, content: dict[str, Any]) -> list[str]:
    path.write_text(yaml.safe_dump(content))
    return list(overrides.of_params(path))


def test_groups_are_chosen_and_values_set(project: Path) -> None:
    content = {"use": {"convert": "wide"}, "convert": {"top_k": 5}, "quantize": {"modes": ["a", "b"]}}
    assert written_overrides(project, content) == ["convert=wide", "++convert.top_k=5", "++quantize.modes=['a','b']"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"use": {"convort": "wide"}}, r"unknown group use\.convort; allowed: convert"),
        ({"convert": {"top_q": 5}}, r"unknown key 'convert\.top_q'; allowed: use\.\*, convert\.top_k, quantize"),
        ({"convert": {"top_k_more": 5}}, r"unknown key 'convert\.top_k_more'"),
    ],
)
def test_undeclared_keys_are_refused(content: dict[str, Any], message: str, project: Path) -> None:
    with pytest.raises(UserError, match=message):
        written_overrides(project, content)


TEXTS = ["plain", "it's", "a\\'b", "a\\b", "{a: b}", "${x}", "", " ", "1", "null", "a,b"]
VALUES = [*TEXTS, 1, 1.5, True, None, ["a'", 2]]


@pytest.mark.parametrize("value", VALUES)
def test_a_quoted_value_is_read_as_it_was(value: Any) -> None:
    (override,) = OverridesParser.create().parse_overrides([f"++a={overrides.quoted(value)}"])
    assert override.value() == value


def test_the_files_of_a_group_are_its_names() -> None:
    assert overrides.names("convert") == ["default", "wide"]
    assert overrides.names("none") == []


@pytest.mark.parametrize(
    ("content", "message"), [("a: [", "is not valid YAML"), ("- a", "must hold a mapping"), ("", "must hold a mapping")]
)
def test_a_file_that_is_no_mapping_is_one_line(content: str, message: str, project: Path) -> None:
    project.write_text(content)
    with pytest.raises(UserError, match=message) as refused:
        overrides.read_yaml(project)
    assert "\n" not in str(refused.value)
    with pytest.raises(UserError, match="run from the project's top folder"):
        overrides.read_yaml(project.with_name("none.yaml"))
