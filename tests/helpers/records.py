"""Made-up records that stages write for later stages."""

from typing import Any

from autocomplete.common import metrics
from autocomplete.common.artifacts import (
    Conversion,
    GateResult,
    Gates,
    Metrics,
    ModelDescription,
    ModeRecipe,
    Performance,
)

FILTER = {
    "package": "words",
    "version": "1",
    "languages": ["english"],
    "tries": 3,
    "seed": 1,
    "provoked_prompts": 100,
    "ordinary_prompts": 50,
}


def model(**changes: Any) -> ModelDescription:
    """A GPT-2 of the toy's vocabulary, whose start and end are token 1."""
    values: dict[str, Any] = {
        "family": "gpt2",
        "parameters": 1,
        "vocabulary": 512,
        "context_length": 96,
        "pre_tokenizer": "gpt2",
        "add_start_token": True,
        "start_token_id": 1,
        "end_token_id": 1,
        "end_token_ids": [1],
        "special_token_ids": [0, 1],
        "source": "toy",
        "license": "none",
    }
    return ModelDescription(**values | changes)


def conversion(**changes: Any) -> Conversion:
    """Greedy, 48 tokens at most, 24 of them read."""
    values: dict[str, Any] = {
        "sequence_length": 48,
        "context_window": 24,
        "sampler": "greedy",
        "prefill_lengths": [8],
        "cache_length": 64,
        "max_output_bytes": 788,
        "top_k": 5,
        "top_p": 0.9,
        "temperature": 1.0,
        "seed": None,
        "suppress_tokens": [],
        "draft_tokens": 1,
        "complete_word": False,
        "portable_prompt_bytes": 200,
        "layers": 2,
    }
    return Conversion(**values | changes)


def recipe(mode: str = "float32") -> ModeRecipe:
    """The recipe of a mode that quantizes nothing."""
    values: dict[str, Any] = dict.fromkeys(("text_recipe", "calibration", "extra_recipe"))
    return ModeRecipe(mode=mode, calibration_text="", recipe=[], text=True, **values)


def measured(**changes: Any) -> Metrics:
    """Every metric is 1, every contract holds."""
    values: dict[str, Any] = dict.fromkeys(Metrics.numbers(), 1.0)
    contracts = {"android_contract": {"one": True}, "portable_contract": {"one": True}}
    return Metrics.parse(values | contracts | {"mode": "float32", "filter": FILTER} | changes, "metrics")


def performance(**changes: Any) -> Performance:
    """Every speed is 1, on one thread of a processor named p."""
    values: dict[str, Any] = dict.fromkeys(metrics.PERFORMANCE, 1.0)
    environment = {"threads": 1, "size_bytes": {}, "runtime": {"ai-edge-litert": "1"}, "machine": {"processor": "p"}}
    return Performance.parse(values | environment | changes, "performance")


def gates(mode: str = "float32", **passed: bool) -> Gates:
    """Gates on metrics, each passed or not."""
    results = [GateResult(name=name, threshold="<= 1", value=1.0, passed=ok) for name, ok in passed.items()]
    return Gates(mode=mode, gates=results)
