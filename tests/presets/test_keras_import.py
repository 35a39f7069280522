"""A model with more embeddings than its tokenizer has ids generates only these ids."""

import numpy as np

from autocomplete.common.native_log import quiet
from autocomplete.evaluate import keras_reference
from autocomplete.presets import keras_import, loading
from helpers.toys import Toy


def test_a_keras_preset_is_cut_to_its_tokenizer(toy: Toy) -> None:
    import keras_hub

    backbone = toy.model.backbone
    with quiet():
        padded = type(backbone).from_config(backbone.get_config() | {"vocabulary_size": 576})
        for new, old in zip(padded.weights, backbone.weights, strict=True):
            value = np.full(new.shape, 9.0, np.float32)
            value[tuple(slice(n) for n in old.shape)] = np.asarray(old)
            new.assign(value)
        model = keras_hub.models.GPT2CausalLM(backbone=padded, preprocessor=toy.model.preprocessor)
        loaded = loading.from_keras_model(model)
    ids = np.arange(2, 40, dtype=np.int32)[None]
    assert loaded.model.backbone.vocabulary_size == keras_import.vocabulary_size(loaded.tokenizer) == 512
    assert np.array_equal(keras_reference.logits(loaded.model, ids), keras_reference.logits(toy.model, ids))
