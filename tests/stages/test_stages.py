"""Rules of convert, validate, package and summary that need no model."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from autocomplete.common.errors import UserError
from autocomplete.data import evaluation_text
from autocomplete.presets.settings import RandomModelSettings
from helpers import records
from helpers.toys import Toy
from stages import author, convert, quantize

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
    "draft_tokens": None,
    "complete_word": False,
    "portable_prompt_bytes": 512,
}

DIMENSIONS = RandomModelSettings("somewhere", 300, 1, 1, 8, 16, 1)


def resolved(context: int, **changes: Any) -> convert.Lengths:
    return convert.resolve(convert.ConvertSettings(**DEFAULTS | changes), context)


def test_default_lengths() -> None:
    assert resolved(1024) == convert.Lengths(50, 256, [16, 64])
    assert resolved(128) == convert.Lengths(50, 128, [16, 64])
    assert resolved(128, sequence_length=41).context_window == 20


def test_a_prefill_longer_than_the_cache_is_left_out() -> None:
    assert resolved(1024, sequence_length=20, cache_length=40).prefill_lengths == [16]


def test_drafts_are_for_large_models_unless_set() -> None:
    assert convert.draft_tokens(None, 2_600_000) == 1
    assert convert.draft_tokens(None, 124_000_000) == 8
    assert [convert.draft_tokens(n, 124_000_000) for n in (1, 4)] == [1, 4]
    with pytest.raises(UserError, match=re.escape("convert.draft_tokens is 0; allowed: null, or 1 (no drafts) to 64")):
        resolved(1024, draft_tokens=0)


@pytest.mark.parametrize(
    ("context", "changes", "message"),
    [
        (1, {}, "the model has a context length of 1; allowed: at least 2"),
        (96, {}, "sequence_length is 100; allowed: 2 to 96, the model's context length"),
        (1024, {"sequence_length": 300}, "sequence_length is 300; allowed: 2 to 256, the KV cache's slots"),
        (512, {"cache_length": 513}, "cache_length is 513; allowed: 2 to 512"),
        (512, {"sequence_length": 10, "cache_length": 12}, "prefill_lengths"),
    ],
)
def test_contradictions_with_the_model_are_refused(context: int, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        resolved(context, **changes)


@pytest.mark.parametrize(
    ("suppressed", "message"),
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
def test_invalid_suppressed_tokens_are_refused(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, suppressed: list[Any], message: str
) -> None:
    monkeypatch.setattr(convert, "AUTHOR", toy.preset)
    with pytest.raises(UserError, match=re.escape(message)):
        convert.suppressed_ids(
            suppressed,
            records.model(vocabulary=len(toy.vocabulary.ids)),
        )


def test_ids_and_strings_are_suppressed(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "AUTHOR", toy.preset)
    letter_id, the_id = toy.vocabulary.ids["e"], toy.vocabulary.ids["Ġthe"]
    ids = convert.suppressed_ids([" the", "e", letter_id, 0], records.model())
    assert ids == sorted({0, letter_id, the_id})


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


def test_a_recipe_may_come_from_litert_quantizer(tmp_path: Path) -> None:
    entries = [{"regex": ".*", "operation": "*", "algorithm_key": "float_casting", "op_config": {}}]
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(entries))
    assert quantize.read_recipe(str(path), "recipe") == quantize.read_recipe(entries, "recipe") == entries


def test_evaluation_text_is_in_neither_training_nor_calibration() -> None:
    """Compares hashes: training text is in the order of hashes, and a range of hashes is held out."""
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


@pytest.mark.parametrize("settings", [{"preset": None}, {"preset": "a", "random": DIMENSIONS}])
def test_author_wants_one_model(settings: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="author needs one of preset and random"):
        author.AuthorSettings(license="none", add_end_token=True, **settings)
