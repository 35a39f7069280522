"""A bundle's own autocomplete.litertlm in the real engine, beside the bundle's tokens model and Keras."""

from pathlib import Path

from conftest import PROMPTS, SEQUENCE, SLOTS, WINDOW, Toy, keras_greedy
from test_litert_lm import answer, engine, ids

from stages.bundle import manifest
from stages.tflite import runner, tokens


def test_the_greedy_text_is_the_same(toy: Toy, bundle: Path) -> None:
    generate = tokens.interpreted(runner.litert(bundle / "tokens.tflite", 1))
    with engine(bundle / manifest.LITERT_LM) as running:
        answers = {p: answer(running, p) for p in PROMPTS}
    for prompt, text in answers.items():
        assert len(ids(toy, prompt)) <= WINDOW  # of which tokens.tflite is given the last
        by_keras = keras_greedy(toy, ids(toy, prompt), SLOTS)
        assert text == toy.bpe.decode([t for t in by_keras if t != toy.vocabulary.end]), prompt
        # the engine goes on to the cache's end, SLOTS tokens, the tokens model to SEQUENCE
        assert generate(ids(toy, prompt), SEQUENCE, tokens.Sampling()) == [*ids(toy, prompt), *by_keras][:SEQUENCE]
