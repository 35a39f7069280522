"""Logits by the fastest signature that gives them; log-probabilities in float64, also where numbers would overflow."""

from pathlib import Path

import numpy as np
import pytest

from autocomplete.runtime import compiled, logits
from autocomplete.tflite import edit, flatbuffer
from autocomplete.tflite.signatures import SCORE


@pytest.mark.parametrize("shift", [0.0, 1e4, -1e4])
def test_probabilities_add_up_to_1(shift: float) -> None:
    values = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]], np.float32) + np.float32(shift)
    found = logits.log_softmax(values)
    assert found.dtype == np.float64
    np.testing.assert_allclose(np.exp(found).sum(axis=-1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(found[1], np.log(1 / 3), rtol=1e-12)


TOKENS = np.arange(4, 40, dtype=np.int32)


def test_a_core_is_read_by_its_score_where_that_is_decode(core_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = logits.decoded(compiled.CompiledSession(compiled.load(core_path, 1)), TOKENS)
    read = logits.reader(core_path, core_path, TOKENS[:5])
    monkeypatch.delattr(compiled.CompiledSession, "decode")
    np.testing.assert_allclose(read(TOKENS), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_a_core_without_score_and_one_whose_score_differs_are_decoded(
    core_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = tmp_path / "without.tflite"
    flatbuffer.write(edit.without_signatures(flatbuffer.read(core_path), {SCORE}), without)
    expected = logits.decoded(compiled.CompiledSession(compiled.load(core_path, 1)), TOKENS)
    assert np.array_equal(logits.reader(core_path, without, TOKENS[:5])(TOKENS), expected)
    score = compiled.CompiledSession.score
    monkeypatch.setattr(compiled.CompiledSession, "score", lambda session, tokens: 1.001 * score(session, tokens))
    assert np.array_equal(logits.reader(core_path, core_path, TOKENS[:5])(TOKENS), expected)


def test_what_cannot_be_keeps_no_probability() -> None:
    found = logits.log_softmax(np.array([0.0, -1e30], np.float32))
    assert found[0] == 0
    assert np.exp(found[1]) == 0
