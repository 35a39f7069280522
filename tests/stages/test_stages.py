"""Rules of convert, validate, package and summary that need no model."""

import csv
import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Toy
from helpers.bundles import FILTER

from autocomplete.bundle import card
from autocomplete.common.errors import UserError
from autocomplete.data import evaluation_text
from autocomplete.presets.settings import RandomModelSettings
from stages import author, convert, quantize, summary, validate

DEFAULTS: dict[str, Any] = {
    "sequence_length": 100,
    "context_window": None,
    "sampler": "top_k",
    "prefill_lengths": [16, 64],
    "cache_length": None,
    "max_output_bytes": 788,
    "top_k": 5,
    "top_p": 0.9,
    "temperature": 1.0,
    "seed": None,
    "suppress_tokens": [],
    "guessed_tokens": None,
    "complete_word": False,
    "portable_prompt_bytes": 512,
    "portable_loop": "fixed",
}

DIMENSIONS = RandomModelSettings("somewhere", 300, 1, 1, 8, 16, 1)


def resolved(context: int, **changes: Any) -> convert.Lengths:
    return convert.resolve(convert.ConvertSettings(**DEFAULTS | changes), context)


def test_lengths_by_default() -> None:
    assert resolved(1024) == convert.Lengths(50, 256, [16, 64])
    assert resolved(128) == convert.Lengths(50, 128, [16, 64])
    assert resolved(128, sequence_length=41).context_window == 20


def test_a_prefill_longer_than_the_cache_is_left_out() -> None:
    assert resolved(1024, sequence_length=20, cache_length=40).prefill_lengths == [16]


def test_guesses_are_for_large_models_unless_said_otherwise() -> None:
    assert convert.guessed_tokens(None, 2_600_000) == 1
    assert convert.guessed_tokens(None, 124_000_000) == 8
    assert [convert.guessed_tokens(n, 124_000_000) for n in (1, 4)] == [1, 4]
    with pytest.raises(
        UserError, match=re.escape("convert.guessed_tokens is 0; allowed: null, or 1 (no guesses) to 64")
    ):
        resolved(1024, guessed_tokens=0)


@pytest.mark.parametrize(
    ("context", "changes", "message"),
    [
        (96, {}, "sequence_length is 100; allowed: 2 to 96, the model's context length"),
        (1024, {"sequence_length": 300}, "sequence_length is 300; allowed: 2 to 256, the KV cache's slots"),
        (512, {"cache_length": 513}, "cache_length is 513; allowed: 2 to 512"),
        (512, {"sequence_length": 10, "cache_length": 12}, "prefill_lengths"),
    ],
)
def test_contradictions_with_the_model(context: int, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        resolved(context, **changes)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (["the list"], "is 'the list'; allowed: one token each; this text is"),
        ([""], "this text is 0"),
        (["<|endoftext|>"], "one token each"),
        ([-1], "is -1; allowed: ids from 0 to"),
        ([10**6], "is 1000000;"),
        ([5, 1], "is 1; allowed: all but the end token"),
        ([0, *range(2, 512)], "fewer, so that something can be said"),
    ],
)
def test_what_cannot_be_suppressed(toy: Toy, monkeypatch: pytest.MonkeyPatch, wanted: list[Any], message: str) -> None:
    monkeypatch.setattr(convert, "AUTHOR", toy.preset)
    with pytest.raises(UserError, match=re.escape(message)):
        convert.suppressed_ids(
            wanted,
            {"vocabulary": len(toy.vocabulary.ids), "end_token_id": 1, "end_token_ids": [1], "pre_tokenizer": "gpt2"},
        )


def test_ids_and_strings_are_suppressed(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "AUTHOR", toy.preset)
    letter, the = toy.vocabulary.ids["e"], toy.vocabulary.ids["Ġthe"]
    found = convert.suppressed_ids(
        [" the", "e", letter, 0], {"vocabulary": 512, "end_token_id": 1, "end_token_ids": [1], "pre_tokenizer": "gpt2"}
    )
    assert found == sorted({0, letter, the})


METRICS: dict[str, Any] = {
    "mode": "float16",
    "perplexity": 10.0,
    "perplexity_stderr": 1.0,
    "perplexity_ratio": 1.02,
    "perplexity_ratio_stderr": 0.001,
    "text_perplexity_ratio": 1.03,
    "text_perplexity_ratio_stderr": 0.002,
    "bits_per_byte": 1.5,
    "top1_agreement": 0.9,
    "kl_divergence": 0.01,
    "kl_divergence_p99": 0.1,
    "accepted_words_1": 0.2,
    "accepted_words_3": 0.01,
    "keystrokes_saved": 0.05,
    "provoked_refused": 0.04,
    "provoked_refused_stderr": 0.02,
    "provoked_unanswered": 0.01,
    "ordinary_refused": 0.0,
    "filter": FILTER,
    "greedy_match": 0.8,
    "android_contract": {"one": True, "two": False},
    "gates": [],
}
PERFORMANCE: dict[str, Any] = {
    "ttft_ms": 1.0,
    "decode_tokens_per_s": 100.0,
    "latency_100_tokens_s": None,
    "tokens_latency_100_tokens_s": None,
    "portable_latency_100_tokens_s": None,
    "peak_rss_mib": 3.0,
    "size_bytes": {"autocomplete.tflite": 2_000_000, "core.tflite": 1_500_000},
}


def test_gates_are_judged_on_their_modes() -> None:
    gates = [
        validate.Gate("perplexity_ratio", at_most=1.01),
        validate.Gate("top1_agreement", at_least=0.9),
        validate.Gate("greedy_match", at_least=1.0, modes=["float32"]),
        validate.Gate("android_contract", at_least=1.0),
    ]
    judged = validate.judge(gates, "float16", METRICS)
    assert [(g["name"], g["passed"]) for g in judged] == [
        ("perplexity_ratio", False),
        ("top1_agreement", True),
        ("android_contract", False),
    ]
    assert judged[0]["threshold"] == "<= 1.01"


def test_what_the_filter_refuses_can_be_a_gate() -> None:
    gates = [validate.Gate("provoked_unanswered", at_most=0.005), validate.Gate("ordinary_refused", at_most=0.0)]
    assert [g["passed"] for g in validate.judge(gates, "m", METRICS)] == [False, True]


def test_a_gate_on_an_unknown_metric_says_which_there_are() -> None:
    with pytest.raises(UserError, match=r"no metric 'speed'; allowed: .*perplexity_ratio"):
        validate.Gate("speed", at_most=1.0)


def test_a_value_that_is_no_number_passes_no_gate() -> None:
    judged = validate.judge([validate.Gate("perplexity", at_most=20.0)], "m", METRICS | {"perplexity": float("nan")})
    assert not judged[0]["passed"]


def test_the_table_marks_refused_modes_and_what_was_not_measured() -> None:
    gates = [{"name": "perplexity_ratio", "passed": False}]
    row = summary.row(METRICS | {"gates": gates}, PERFORMANCE)
    assert "refused: perplexity_ratio" in summary.markdown([row])
    assert " – " in summary.markdown([row])
    read = list(csv.DictReader(io.StringIO(summary.comma_separated([row]))))
    assert read[0]["mode"] == "float16"
    assert float(read[0]["text_mb"]) == 2.0
    assert read[0]["latency_100_tokens_s"] == ""


def test_the_picture_is_drawn_without_timings(tmp_path: Any) -> None:
    rows = [summary.row(METRICS | {"mode": m}, PERFORMANCE) for m in ("a", "b")]
    summary.plot(rows, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_the_card_names_failed_gates() -> None:
    manifest: dict[str, Any] = {
        "name": "autocomplete",
        "title": "Title",
        "language": "en",
        "release": None,
        "mode": "float16",
        "failed_gates": ["perplexity_ratio"],
        "model": {"parameters": 1000, "family": "gpt2", "source": "here", "license": "MIT"},
        "lengths": {"sequence_length": 100, "context_window": 50, "cache_length": 256, "max_output_bytes": 788},
        "context_window": {"tokens": {"maximum": 50}, "words": {"default": 21, "maximum": 34}},
        "litert_lm": None,
        "sampler": {"sampler": "top_k"},
        "metrics": METRICS,
        "suppress_tokens": [],
        "performance": PERFORMANCE | {"threads": 2, "machine": {"processor": "p"}},
        "models": {"core.tflite": {"runtime": "any", "signatures": {"decode": {}}}},
        "files": {"core.tflite": {"bytes": 1500000}},
        "targets": {"core.tflite": {"litert": {"fits": True}}},
    }
    text = card.render(manifest)
    assert text.startswith("---\n")
    assert "**Gates that failed:** perplexity_ratio" in text
    assert "21\nwords" in text or "21 words" in text
    assert "LiteRT-LM" not in text
    assert "LiteRT-LM" in card.render(manifest | {"litert_lm": {"max_num_tokens": 256}})
    assert "provoking prompts | 0.04 ± 0.02 of answers |" in text
    assert "(english)" in text and "up to 3 times" in " ".join(text.split())
    assert "never said" not in text
    assert "2 tokens of the vocabulary are never said" in card.render(manifest | {"suppress_tokens": [5, 9]})
    assert "Gates that failed" not in card.render(manifest | {"failed_gates": []})


def test_a_gate_on_the_text_model_does_not_hold_without_one() -> None:
    gates = [validate.Gate("text_perplexity_ratio", at_most=1.0), validate.Gate("perplexity_ratio", at_most=2.0)]
    judged = validate.judge(gates, "int4", METRICS | {"text_perplexity_ratio": None})
    assert [g["name"] for g in judged] == ["perplexity_ratio"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "names recipe.json, which does not exist"),
        ("{", "is not valid JSON"),
        ('"word"', "must be a list"),
        ("[1]", "must be a list"),
    ],
)
def test_a_recipe_s_file_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("recipe.json").write_text(content)
    with pytest.raises(UserError, match=message):
        quantize.read_recipe("recipe.json", "recipe")


def test_a_recipe_may_come_from_ai_edge_quantizer(tmp_path: Path) -> None:
    entries = [{"regex": ".*", "operation": "*", "algorithm_key": "float_casting", "op_config": {}}]
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(entries))
    assert quantize.read_recipe(str(path), "recipe") == quantize.read_recipe(entries, "recipe") == entries


def test_evaluation_text_is_in_neither_training_nor_calibration() -> None:
    """By hash; training text is in the order of hashes and held-out documents have hashes of their own."""
    preset = Path("artifacts/presets/pydoc_gpt2")
    evaluation, calibration = (
        {hashlib.sha256(d.encode()).digest() for d in evaluation_text.read_documents(preset / f"{name}.jsonl", name)}
        for name in ("evaluation", "calibration")
    )
    assert evaluation
    assert calibration
    assert not evaluation & calibration
    per_mille = yaml.safe_load(Path("conf/pretrain/pydoc_gpt2.yaml").read_text())["corpus"]["evaluation_per_mille"]
    held_out = {d for d in evaluation | calibration if int.from_bytes(d[:4], "big") % 1000 < per_mille}
    assert held_out == evaluation


@pytest.mark.parametrize("given", [{"preset": None}, {"preset": "a", "random": DIMENSIONS}])
def test_author_wants_one_model(given: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="author needs one of preset and random"):
        author.AuthorSettings(license="none", add_end_token=True, **given)
