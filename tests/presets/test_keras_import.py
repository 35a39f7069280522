"""A model with more embeddings than its tokenizer has ids can say these ids alone."""

import numpy as np

from autocomplete.common.native_log import quiet
from autocomplete.evaluate import keras_reference
from autocomplete.presets import keras_import, loading
from helpers.toys import Toy


def test_a_keras_preset_is_cut_to_its_tokenizer(toy: Toy) -> None:
    import keras_hub

    given = toy.model.backbone
    with quiet():
        padded = type(given).from_config(given.get_config() | {"vocabulary_size": 576})
        for new, old in zip(padded.weights, given.weights, strict=True):
            value = np.full(new.shape, 9.0, np.float32)
            value[tuple(slice(n) for n in old.shape)] = np.asarray(old)
            new.assign(value)
        model = keras_hub.models.GPT2CausalLM(backbone=padded, preprocessor=toy.model.preprocessor)
        found = loading.from_keras_model(model)
    ids = np.arange(2, 40, dtype=np.int32)[None]
    assert found.model.backbone.vocabulary_size == keras_import.vocabulary_size(found.tokenizer) == 512
    assert np.array_equal(keras_reference.logits(found.model, ids), keras_reference.logits(toy.model, ids))
