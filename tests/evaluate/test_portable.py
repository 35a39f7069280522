"""validate's checks of the portable model accept a correct model and reject a wrong one."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

from autocomplete.evaluate import contracts, greedy
from autocomplete.evaluate.mode_files import ModeFiles
from autocomplete.runtime import interpreters
from autocomplete.tflite import flatbuffer, linker
from helpers.toy_models import bytes_driver_of, mode_files_of
from helpers.toys import PROMPTS, Toy

ENCODED_PROMPTS = [p.encode() for p in PROMPTS]


@pytest.fixture
def mode(toy: Toy, core_path: Path, bytes_driver: Any, tmp_path: Path) -> ModeFiles:
    """The toy's mode as quantize writes it, for both runtimes."""
    (tmp_path / "parts").mkdir()
    shutil.copyfile(core_path, tmp_path / "core.tflite")
    shutil.copyfile(core_path, tmp_path / "parts/core.tflite")
    flatbuffer.write(linker.link(bytes_driver, flatbuffer.read(core_path)), tmp_path / "portable.tflite")
    return dataclasses.replace(mode_files_of(toy, core_path), shipped=tmp_path, text_core=core_path)


WRONG_ANSWERS = [[0]] * len(PROMPTS)  # so that the core itself must answer
RUNTIMES = [interpreters.litert, interpreters.tensorflow]


@pytest.mark.parametrize("load", RUNTIMES)
def test_greedy_text_is_the_cores(mode: ModeFiles, load: greedy.Load) -> None:
    assert greedy.match_portable(mode, PROMPTS, WRONG_ANSWERS, load) == 1.0
    answers = [greedy.continue_prompt(mode.session(mode.core), mode.prompt_ids(p), mode) for p in PROMPTS]
    assert greedy.match_portable(mode, PROMPTS, answers, load) == 1.0


def test_a_mode_that_tf_cannot_run_is_tried_in_litert_only(mode: ModeFiles) -> None:
    without_text = dataclasses.replace(mode, text_core=None)
    shares = [greedy.match_portable(without_text, PROMPTS, WRONG_ANSWERS, load) for load in RUNTIMES]
    assert shares == [1.0, None]


@pytest.mark.parametrize("load", RUNTIMES)
def test_another_models_text_does_not_match(toy: Toy, mode: ModeFiles, core_path: Path, load: greedy.Load) -> None:
    other = bytes_driver_of(toy, suppressed=range(2, 200))
    flatbuffer.write(linker.link(other, flatbuffer.read(core_path)), mode.portable)
    share = greedy.match_portable(mode, PROMPTS, WRONG_ANSWERS, load)
    assert share is not None and share < 1


def test_no_portable_model_has_no_figures(mode: ModeFiles) -> None:
    mode.portable.unlink()
    assert [greedy.match_portable(mode, PROMPTS, WRONG_ANSWERS, load) for load in RUNTIMES] == [None, None]
    assert contracts.check_portable(mode, PROMPTS) is None


def test_the_rules_hold(mode: ModeFiles) -> None:
    rules = contracts.check_portable(mode, PROMPTS)
    assert rules is not None and all(rules.values()) and len(rules) == 7


@pytest.mark.parametrize(
    ("rule", "answer"),
    [
        ("new_text_is_utf8", lambda p, n, s, w: b"x\xc3"),
        ("no_tokens_no_text", lambda p, n, s, w: b"x"),
        ("suggests_words", lambda p, n, s, w: b" "),
        ("completes_words", lambda p, n, s, w: b"" if w else b"x"),
    ],
)
def test_a_broken_rule_is_named(rule: str, answer: Any) -> None:
    assert not contracts.portable_answers(answer, ENCODED_PROMPTS)[rule]


def test_a_seed_that_does_not_repeat_breaks_a_rule() -> None:
    numbers = iter(range(10_000))
    assert not contracts.portable_answers(
        lambda p, n, s, w: str(next(numbers)).encode() if n else b"", ENCODED_PROMPTS
    )["seed_repeats"]


def test_another_signature_and_foreign_operators_are_reported(
    mode: ModeFiles, greedy_driver: Any, core_path: Path
) -> None:
    flatbuffer.write(linker.link(greedy_driver, flatbuffer.read(core_path)), mode.portable)
    assert contracts.portable_interface(mode.portable) == {"signature_generate": False, "built_in_operators": False}
