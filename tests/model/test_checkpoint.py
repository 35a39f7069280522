"""Weights are read one by one from a preset's files; random models are built from settings."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from autocomplete.common.errors import UserError
from autocomplete.common.native_log import quiet
from autocomplete.model import checkpoint
from autocomplete.presets import loading, presets
from autocomplete.presets.settings import RandomModelSettings
from autocomplete.tokenizer import tokenizer
from helpers.toys import Toy


def test_variables_are_those_of_keras(toy: Toy) -> None:
    layers = checkpoint.open_layers(toy.preset)
    keras = toy.model.backbone
    assert np.array_equal(checkpoint.variable(layers, "token_embedding", 0), keras.token_embedding.embeddings)
    query = keras.transformer_layers[1]._self_attention_layer.query_dense
    assert np.array_equal(
        checkpoint.variable(layers, "transformer_layer_1", 1, "_self_attention_layer/query_dense"), query.bias
    )


def test_shards_are_read_as_one(toy: Toy, tmp_path: Path) -> None:
    with h5py.File(toy.preset / "model.weights.h5") as original:
        names = sorted(original["layers"])
        for index, shard_names in enumerate((names[::2], names[1::2])):
            with h5py.File(tmp_path / f"model_{index:05}.weights.h5", "w") as shard:
                for name in shard_names:
                    original.copy(f"layers/{name}", shard.require_group("layers"))
    assert set(checkpoint.open_layers(tmp_path)) == set(checkpoint.open_layers(toy.preset))


@pytest.mark.parametrize("content", [b"", b"no HDF5 at all"])
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.weights.h5").write_bytes(content)
    with pytest.raises(UserError, match=r"model\.weights\.h5 is not whole .*dvc repro"):
        checkpoint.open_layers(tmp_path)
    with pytest.raises(UserError, match=r"holds no model\.weights\.h5"):
        checkpoint.open_layers(tmp_path / "none")


def dimensions(toy: Toy, **changes: Any) -> RandomModelSettings:
    sizes = {"vocabulary_size": 700, "layers": 1, "heads": 2, "hidden": 16, "context": 32, "seed": 4}
    return RandomModelSettings(**{"vocabulary": str(toy.preset / tokenizer.FOLDER), **sizes, **changes})


def test_a_random_model_repeats_and_has_a_whole_vocabulary(toy: Toy, tmp_path: Path) -> None:
    from autocomplete.presets import random_model

    hashes = []
    for name, seed in (("a", 4), ("b", 4), ("c", 5)):
        with quiet():
            presets.save(random_model.build(dimensions(toy, seed=seed), tmp_path / "scratch"), tmp_path / name)
        hashes.append(presets.preset_sha256(tmp_path / name))
    assert hashes[0] == hashes[1] != hashes[2]
    vocabulary = tokenizer.read_vocabulary(tmp_path / "a" / tokenizer.FOLDER, 1, 1)
    assert sorted(vocabulary.ids.values()) == list(range(700))
    # the first tokens are those of the given vocabulary, and text has the same ids as before
    assert list(vocabulary.ids)[: len(toy.vocabulary.ids)] == list(toy.vocabulary.ids)
    bpe = tokenizer.from_keras_folder(tmp_path / "a" / tokenizer.FOLDER)
    assert bpe.decode(bpe.encode("Returns the value").ids) == "Returns the value"


LLAMA: dict[str, Any] = {"family": "llama3", "kv_heads": 1, "inner": 48}


def test_a_random_llama_is_whole_and_can_be_converted(toy: Toy, tmp_path: Path) -> None:
    from autocomplete.model import families
    from autocomplete.presets import random_model

    with quiet():
        presets.save(random_model.build(dimensions(toy, **LLAMA), tmp_path / "scratch"), tmp_path / "a")
        loaded = loading.load(tmp_path / "a")
    description = presets.describe(loaded, presets.Provenance("random weights"), "none")
    config = families.read_config(tmp_path / "a")
    assert (description.family, description.pre_tokenizer, description.context_length) == ("llama", "llama3", 32)
    assert (config.num_heads, config.num_kv_heads, config.intermediate_size, config.vocab_size) == (2, 1, 48, 700)
    ids = tokenizer.read_vocabulary(tmp_path / "a" / tokenizer.FOLDER, None, 0).ids
    assert sorted(ids.values()) == list(range(700))
    assert description.start_token_id == ids["<|begin_of_text|>"]
    assert description.end_token_id == ids["<|end_of_text|>"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 3}, "hidden is 16; allowed: a multiple of heads"),
        ({"layers": 0}, "layers is 0; allowed: at least 1"),
        ({"family": "bert"}, "family is bert; allowed: gpt2, llama3"),
        ({"inner": 48}, "inner is 48; allowed for gpt2: null"),
        ({"family": "llama3", "kv_heads": 1}, "inner is None; allowed for llama3: a number"),
        (LLAMA | {"kv_heads": 0}, "kv_heads is 0; allowed: at least 1"),
        (LLAMA | {"heads": 4, "kv_heads": 3}, r"heads is 4; allowed: a multiple of kv_heads \(3\)"),
    ],
)
def test_impossible_dimensions_are_refused(toy: Toy, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        dimensions(toy, **changes)


def test_a_vocabulary_that_does_not_fit_is_refused(toy: Toy, tmp_path: Path) -> None:
    from autocomplete.presets import random_model

    with pytest.raises(UserError, match=r"has \d+ tokens"):
        random_model.build(dimensions(toy, vocabulary_size=300), tmp_path)
    with pytest.raises(UserError, match=r"allowed: a folder with vocabulary\.json"):
        random_model.build(dimensions(toy, vocabulary="nowhere"), tmp_path)
