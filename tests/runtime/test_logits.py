"""Logits from the fastest signature that returns them; log-probabilities in float64, also where exp would overflow."""

from pathlib import Path

import numpy as np
import pytest

from autocomplete.runtime import compiled, logits
from autocomplete.tflite import edit, flatbuffer
from autocomplete.tflite.signatures import SCORE


@pytest.mark.parametrize("shift", [0.0, 1e4, -1e4])
def test_probabilities_add_up_to_1(shift: float) -> None:
    values = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]], np.float32) + np.float32(shift)
    log_probabilities = logits.log_softmax(values)
    assert log_probabilities.dtype == np.float64
    np.testing.assert_allclose(np.exp(log_probabilities).sum(axis=-1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(log_probabilities[1], np.log(1 / 3), rtol=1e-12)


TOKENS = np.arange(4, 40, dtype=np.int32)


def test_a_core_is_scored_where_score_equals_decode(core_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = logits.decoded(compiled.CompiledSession(compiled.load(core_path, 1)), TOKENS)
    read = logits.reader(core_path, core_path, TOKENS[:5])
    monkeypatch.delattr(compiled.CompiledSession, "decode")
    np.testing.assert_allclose(read(TOKENS), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_a_core_without_score_and_one_whose_score_differs_are_decoded(
    core_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_score = tmp_path / "without.tflite"
    flatbuffer.write(edit.without_signatures(flatbuffer.read(core_path), {SCORE}), without_score)
    expected = logits.decoded(compiled.CompiledSession(compiled.load(core_path, 1)), TOKENS)
    assert np.array_equal(logits.reader(core_path, without_score, TOKENS[:5])(TOKENS), expected)
    score = compiled.CompiledSession.score
    monkeypatch.setattr(compiled.CompiledSession, "score", lambda session, tokens: 1.001 * score(session, tokens))
    assert np.array_equal(logits.reader(core_path, core_path, TOKENS[:5])(TOKENS), expected)


def test_an_impossible_token_has_probability_0() -> None:
    log_probabilities = logits.log_softmax(np.array([0.0, -1e30], np.float32))
    assert log_probabilities[0] == 0
    assert np.exp(log_probabilities[1]) == 0
