"""MODEL_CARD.md, filled from a manifest."""

from pathlib import Path
from typing import Any

import pytest

from autocomplete.bundle import card
from autocomplete.bundle.contract import JudgedMetrics, LitertLm, Manifest
from helpers import records


@pytest.fixture(scope="module")
def manifest(toy_bundle: Path) -> Manifest:
    """The toy bundle's manifest, with a failed gate and without a LiteRT-LM file."""
    shares: dict[str, Any] = {"provoked_refused": 0.04, "provoked_refused_stderr": 0.02}
    metrics = JudgedMetrics(**records.measured(**shares).model_dump(), gates=[])
    complete = Manifest.read(toy_bundle / "manifest.json")
    return complete.model_copy(update={"failed_gates": ["perplexity_ratio"], "litert_lm": None, "metrics": metrics})


def test_the_card_names_failed_gates(manifest: Manifest) -> None:
    text = card.render(manifest)
    assert text.startswith("---\n")
    assert "**Gates that failed:** perplexity_ratio" in text
    assert "Gates that failed" not in card.render(manifest.model_copy(update={"failed_gates": []}))


def test_the_card_describes_only_what_the_bundle_contains(manifest: Manifest) -> None:
    text = card.render(manifest)
    assert "LiteRT-LM" not in text
    engine = LitertLm(max_num_tokens=256, start_token_id=None, stop_token_ids=[1], suppress_token_ids=[])
    assert "LiteRT-LM" in card.render(manifest.model_copy(update={"litert_lm": engine}))
    assert "never said" not in text
    suppressed = manifest.model_copy(update={"suppress_tokens": [5, 9]})
    assert "2 tokens of the vocabulary are never said" in card.render(suppressed)


def test_the_card_holds_the_figures(manifest: Manifest) -> None:
    text = card.render(manifest)
    assert "provoking prompts | 0.04 ± 0.02 of answers |" in text
    assert "(english)" in text and "up to 3 times" in " ".join(text.split())
    window = manifest.context_window.words
    assert f"{window.default}\nwords" in text or f"{window.default} words" in text
