"""What the word-list filter refuses, and how often."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from autocomplete.common.errors import UserError
from autocomplete.data import evaluation_text
from autocomplete.evaluate import word_filter
from autocomplete.runtime import interpreters, tokens_model
from autocomplete.tokenizer import tokenizer
from helpers import records
from helpers.commands import stage
from helpers.folders import ROOT
from helpers.toy_models import mode_files_of
from helpers.toys import Toy

RUDE = "wtf"


def test_whole_words_in_any_case() -> None:
    refuses = word_filter.word_filter(["english"])
    assert all(refuses(t) for t in (RUDE, "This sucks.", "WTF?!", '"wtf"'))
    assert not any(
        refuses(t) for t in ("", "of that", "@tf.function", "co_*, im_*", "should use _lut", "classes assist")
    )


def test_only_the_chosen_languages() -> None:
    assert word_filter.word_filter(["german"])("So ein Arsch!")
    assert not word_filter.word_filter(["english"])("So ein Arsch!")
    assert word_filter.word_filter(["english", "german"])("So ein Arsch!")
    with pytest.raises(UserError, match=r"key: no list for en, klingon; allowed: arabic, .*english"):
        word_filter.check_languages(["english", "klingon", "en"], "key")


def answers(*tries: Sequence[str]) -> word_filter.Answer:
    """A model with these answers: for each prompt in turn, one for each of three tries."""
    return lambda prompt, draw: f"{prompt} {tries[draw // 3][draw % 3]}"


def test_a_refused_answer_is_drawn_again() -> None:
    answer = answers(["good"], [RUDE, "good"], [RUDE, RUDE, RUDE], [RUDE, RUDE, "good"])
    shares = word_filter.measure(answer, ["a", "b", "c", "d"], word_filter.word_filter(["english"]), 3)
    assert (shares["refused"], shares["unanswered"]) == (0.75, 0.25)
    assert shares["refused_stderr"] == shares["unanswered_stderr"] == pytest.approx((0.75 * 0.25 / 4) ** 0.5)


def test_a_refused_prompt_is_left_out() -> None:
    refuses = word_filter.word_filter(["english"])
    shares = word_filter.measure(answers([RUDE, "good"]), [f"the {RUDE}", "a"], refuses, 3)
    assert (shares["refused"], shares["unanswered"]) == (1.0, 0.5)
    with pytest.raises(UserError, match="refuses every prompt itself"):
        word_filter.measure(answers(), [RUDE], refuses, 3)


def test_a_word_across_the_border_of_prompt_and_answer_is_refused() -> None:
    shares = word_filter.measure(lambda prompt, _: prompt + "tf", ["say w"], word_filter.word_filter(["english"]), 2)
    assert shares["unanswered"] == 1.0


def test_the_prompts_that_come_with_the_project() -> None:
    prompts = evaluation_text.read_prompts(ROOT / "conf/validate/provoking_prompts.txt", "key")
    assert len(set(prompts)) == len(prompts) == 100
    refuses = word_filter.word_filter(["english"])
    assert not [p for p in prompts if refuses(p)]


def test_answers_are_the_model_s_and_repeat(toy: Toy, core_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model generates a rude word for some seeds."""
    rule = records.conversion(sampler="top_k", top_k=7, temperature=0.5)
    mode = dataclasses.replace(mode_files_of(toy, core_path), conversion=rule)
    good, rude = toy.bpe.encode(" fine").ids, toy.bpe.encode(f" {RUDE}").ids
    samplings: list[tokens_model.Sampling] = []

    def generate(ids: Sequence[int], longest: int, sampling: tokens_model.Sampling) -> list[int]:
        samplings.append(sampling)
        return [*ids, *(rude if sampling.seed % 5 == 0 else good)]

    monkeypatch.setattr(interpreters, "litert", lambda path, threads: path)
    monkeypatch.setattr(tokens_model, "interpreted", lambda path: generate)
    prompts = ["one", "two", "three", "four", "five"]
    shares = word_filter.measure_tokens_model(mode, prompts, ["english"], 3, 100)
    assert shares == word_filter.measure_tokens_model(mode, prompts, ["english"], 3, 100)
    # the seeds of first answers are 100, 103, … 112
    assert (shares["refused"], shares["unanswered"]) == (0.2, 0.0)
    assert [s.seed for s in samplings[:6]] == [100, 101, 103, 106, 109, 112]
    assert {(s.temperature, s.top_k, s.top_p) for s in samplings} == {(0.5, 7, 1.0)}


@pytest.mark.parametrize(
    ("name", "rule"), [("top_p", (0.5, 0, 0.3)), ("temperature", (0.5, 0, 1.0)), ("greedy", (0.0, 0, 1.0))]
)
def test_the_sampler_is_the_text_model_s(toy: Toy, core_path: Path, name: str, rule: tuple[float, int, float]) -> None:
    conversion = records.conversion(sampler=name, top_k=7, top_p=0.3, temperature=0.5)
    sampling = dataclasses.replace(mode_files_of(toy, core_path), conversion=conversion).sampling(3)
    assert (sampling.temperature, sampling.top_k, sampling.top_p) == rule


def test_listed_words_that_are_one_token_are_printed(tmp_path: Path) -> None:
    folder = tmp_path / "tokenizer"
    tokenizer.train([f"It sucks. It Sucks; {RUDE}! "] * 20, 400, folder)
    printed = stage("autocomplete", "words", str(folder), "english")
    assert printed.returncode == 0, printed.stderr
    words = yaml.safe_load(printed.stdout)
    assert {" sucks", " Sucks", f" {RUDE}"} <= set(words)
    bpe = tokenizer.from_keras_folder(folder)
    assert all(len(bpe.encode(word).ids) == 1 for word in words)
    assert {word.strip().lower() for word in words} == {"sucks", RUDE}
    for arguments in ([str(folder), "klingon"], [str(folder)], [str(tmp_path), "english"], []):
        done = stage("autocomplete", "words", *arguments)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith("error: ")
