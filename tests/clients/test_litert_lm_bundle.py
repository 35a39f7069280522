"""A bundle's autocomplete.litertlm in the real engine, compared with the bundle's tokens model and with Keras."""

from pathlib import Path

import pytest

from autocomplete.bundle import manifest
from autocomplete.cli import verify
from autocomplete.common.errors import UserError
from autocomplete.runtime import interpreters, tokens_model
from helpers.greedy import keras_greedy
from helpers.litert_lm_engine import answer, engine, ids
from helpers.toys import PROMPTS, SEQUENCE, SLOTS, WINDOW, Toy


def test_the_greedy_text_is_the_same(toy: Toy, bundle: Path) -> None:
    generate = tokens_model.interpreted(interpreters.litert(bundle / "tokens.tflite", 1))
    with engine(bundle / manifest.LITERT_LM) as running:
        answers = {p: answer(running, p) for p in PROMPTS}
    for prompt, text in answers.items():
        assert len(ids(toy, prompt)) <= WINDOW  # tokens.tflite receives the last WINDOW
        keras_ids = keras_greedy(toy, ids(toy, prompt), SLOTS)
        assert text == toy.bpe.decode([t for t in keras_ids if t != toy.vocabulary.end_token_id]), prompt
        # the engine goes on to the cache's end, SLOTS tokens, the tokens model to SEQUENCE
        assert (
            generate(ids(toy, prompt), SEQUENCE, tokens_model.Sampling()) == [*ids(toy, prompt), *keras_ids][:SEQUENCE]
        )


def test_a_weight_cache_in_a_bundle_is_refused_by_name(bundle: Path) -> None:
    """The engine would trust its content."""
    with engine(bundle / manifest.LITERT_LM) as running:
        assert answer(running, PROMPTS[0])
    (cache,) = bundle.glob(f"{manifest.LITERT_LM}_*")
    with pytest.raises(UserError, match=f"{cache.name} is not listed .* weight cache that LiteRT-LM wrote"):
        verify.check_files(bundle)
    cache.rename(cache.with_name(f"other.litertlm_{cache.name}"))
    with pytest.raises(UserError, match="it does not belong to the bundle"):
        verify.check_files(bundle)
    cache.with_name(f"other.litertlm_{cache.name}").unlink()
    verify.check_files(bundle)
