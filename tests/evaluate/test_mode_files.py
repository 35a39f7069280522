"""The ids that a prompt becomes for the drivers, and the sampler that the tokens model is told."""

import dataclasses
from pathlib import Path

import pytest

from autocomplete.evaluate.mode_files import Subject
from helpers import records
from helpers.toy_models import subject_of
from helpers.toys import Toy


@pytest.fixture
def subject(toy: Toy, core_path: Path) -> Subject:
    made = subject_of(toy, core_path)
    return dataclasses.replace(made, conversion=records.conversion(context_window=3))


def test_the_start_stands_before_the_last_tokens(toy: Toy, subject: Subject) -> None:
    ids = toy.bpe.encode("Returns the parsed arguments").ids
    assert len(ids) > 3
    assert subject.prompt_ids("Returns the parsed arguments") == [1, *ids[-3:]]
    without = dataclasses.replace(subject, model=records.model(add_start_token=False))
    assert without.prompt_ids("Returns the parsed arguments") == ids[-3:]


def test_an_empty_prompt_is_one_token(subject: Subject) -> None:
    assert subject.prompt_ids("") == [1]
    without = dataclasses.replace(subject, model=records.model(add_start_token=False, end_token_id=7))
    assert without.prompt_ids("") == [7]


def test_suppressed_ids_are_convert_s(subject: Subject) -> None:
    assert dataclasses.replace(subject, conversion=records.conversion(suppress_tokens=[5])).suppressed == [5]
