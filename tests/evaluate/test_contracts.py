"""Each rule of the demo app catches the model that breaks it."""

from collections.abc import Callable
from itertools import count

import pytest

from autocomplete.evaluate import contracts

PROMPTS = [b"one two", b"three"]


def model(new: Callable[[int], bytes]) -> Callable[[bytes], bytes]:
    calls = count()
    return lambda p: p if len(p) > 788 else p + new(next(calls))[: 788 - len(p)]


def failed(complete: Callable[[bytes], bytes], samples: bool = True) -> set[str]:
    return {name for name, passed in contracts.android_answers(complete, PROMPTS, samples).items() if not passed}


def test_a_good_model_passes_all_rules() -> None:
    assert failed(model(lambda n: b" word %d" % n)) == set()


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (lambda p: b" " + p, "answer_begins_with_prompt"),
        (lambda p: p + b" x" * 500, "fits_the_buffer"),
        (lambda p: p + b" \xc3", "new_text_is_utf8"),
        (lambda p: p + b" \n ", "suggests_words"),
        (lambda p: p + b" x", "long_prompt_returns_itself"),
        (lambda p: p + b" same", "retry_differs"),
    ],
)
def test_a_broken_rule_is_reported(broken: Callable[[bytes], bytes], rule: str) -> None:
    assert rule in failed(broken)


def test_a_greedy_model_need_not_differ() -> None:
    assert failed(model(lambda _: b" same"), samples=False) == set()
