"""The ids of a prompt for the drivers, and the tokens that they suppress."""

import dataclasses
from pathlib import Path

import pytest

from autocomplete.evaluate.mode_files import ModeFiles
from helpers import records
from helpers.toy_models import mode_files_of
from helpers.toys import Toy


@pytest.fixture
def mode(toy: Toy, core_path: Path) -> ModeFiles:
    files = mode_files_of(toy, core_path)
    return dataclasses.replace(files, conversion=records.conversion(context_window=3))


def test_the_start_stands_before_the_last_tokens(toy: Toy, mode: ModeFiles) -> None:
    ids = toy.bpe.encode("Returns the parsed arguments").ids
    assert len(ids) > 3
    assert mode.prompt_ids("Returns the parsed arguments") == [1, *ids[-3:]]
    without_start = dataclasses.replace(mode, model=records.model(add_start_token=False))
    assert without_start.prompt_ids("Returns the parsed arguments") == ids[-3:]


def test_an_empty_prompt_is_one_token(mode: ModeFiles) -> None:
    assert mode.prompt_ids("") == [1]
    without_start = dataclasses.replace(mode, model=records.model(add_start_token=False, end_token_id=7))
    assert without_start.prompt_ids("") == [7]


def test_suppressed_ids_come_from_convert(mode: ModeFiles) -> None:
    assert dataclasses.replace(mode, conversion=records.conversion(suppress_tokens=[5])).suppressed == [5]
