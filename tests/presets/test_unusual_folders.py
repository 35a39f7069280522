"""Hugging Face folders that are unusual but valid are read."""

import json
import shutil
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file

from autocomplete.presets import huggingface, loading, model_types
from helpers.folder_changes import (
    Change,
    arrays,
    both,
    bpe,
    cast,
    config,
    encoded,
    fewer,
    keys,
    lacking,
    more,
    older_files,
    parts,
    read,
    settings,
    sharded,
    without,
    written,
)
from helpers.odd_folders import (
    CONFIG,
    END,
    FIRST,
    FULL,
    GENERATION,
    HEAD_ROWS,
    INDEX,
    LLAMA3,
    MERGES,
    PADDING,
    QUERY,
    SEQUENCE,
    SETTINGS,
    START,
    TABLE,
    TOKENIZER,
    TOKENS,
    WEIGHTS,
    WIDTH,
)

pytestmark = pytest.mark.timeout(60)

READ = {key for kind in model_types.MODEL_TYPES.values() for key in (*kind.sizes, *kind.defaults, "rope_scaling")}


def contents(folder: Path) -> dict[str, Any]:
    """All values that are read from a folder."""
    checkpoint = huggingface.read(folder)
    with checkpoint.open() as file:
        weights = {name.removeprefix("model."): np.asarray(file.get_tensor(name), np.float32) for name in file.names}
    return {key: checkpoint.config.get(key) for key in READ} | {
        "tokenizer": checkpoint.tokenizer,
        "start": checkpoint.start_token_id,
        "ends": checkpoint.end_token_ids,
        "padding": checkpoint.pad_token_id,
        "weights": weights,
    }


def assert_same(actual: dict[str, Any], expected: dict[str, Any]) -> None:
    weights, expected_weights = actual["weights"], expected["weights"]
    assert actual | {"weights": None} == expected | {"weights": None}
    assert {name: array.shape for name, array in weights.items()} == {
        n: array.shape for n, array in expected_weights.items()
    }
    assert [name for name, array in weights.items() if not np.array_equal(array, expected_weights[name])] == []


def lacking_in_model(*removed: str) -> Change:
    """Removes keys of the model in tokenizer.json."""

    def change(folder: Path) -> None:
        model = read(folder / TOKENIZER)["model"]
        parts(model={key: value for key, value in model.items() if key not in removed})(folder)

    return change


DEFAULTS = [
    *("rms_norm_eps", "rope_theta", "rope_scaling", "tie_word_embeddings", "attention_bias", "mlp_bias"),
    *("hidden_act", "head_dim"),
]
BARE = {"type": "TemplateProcessing", "single": [FIRST, SEQUENCE], "special_tokens": {}}
ACCEPTED: dict[str, tuple[Change, dict[str, Any]]] = {
    **{f"{name} with a mark": (encoded(name, "utf-8-sig"), {}) for name in (CONFIG, TOKENIZER, SETTINGS, GENERATION)},
    "index with a mark": (both(sharded(), encoded(INDEX, "utf-8-sig")), {}),
    **{f"no {key}": (lacking(CONFIG, key), {}) for key in DEFAULTS},
    "no defaults": (lacking(CONFIG, *DEFAULTS), {}),
    **{f"{key} null": (config(**{key: None}), {}) for key in DEFAULTS if key != "tie_word_embeddings"},
    "no longest text": (lacking(CONFIG, "max_position_embeddings"), {"max_position_embeddings": 2048}),
    "torch_dtype": (config(torch_dtype="bfloat16", transformers_version="4.40.0", use_cache=True), {}),
    "dtype": (config(dtype="bfloat16", transformers_version="5.0.0"), {}),
    "layer_types": (config(layer_types=[FULL, FULL]), {}),
    "quantization_config null": (config(quantization_config=None), {}),
    "whole numbers as factors": (config(rope_theta=10000, rms_norm_eps=1), {"rope_theta": 10000, "rms_norm_eps": 1}),
    **{
        f"{key} {value}": (config(**{key: value}), {})
        for key in ("rope_scaling", "rope_parameters")
        for value in ({}, {"type": "default"}, {"rope_type": "default"}, {"type": "default", "rope_theta": 10000.0})
    },
    "rope_theta by transformers 5": (
        both(lacking(CONFIG, "rope_theta", "rope_scaling"), config(rope_parameters={"rope_theta": 5e5})),
        {"rope_theta": 5e5},
    ),
    **{
        f"llama3 in {key} by {name}": (
            config(**{key: {name if k == "rope_type" else k: v for k, v in LLAMA3.items()}}),
            {"rope_scaling": LLAMA3},
        )
        for key in ("rope_scaling", "rope_parameters")
        for name in ("type", "rope_type")
    },
    "merges as texts": (bpe(merges=[" ".join(pair) for pair in MERGES]), {}),
    "no model.type": (both(bpe(), lacking_in_model("type")), {}),
    "flags left out": (lacking_in_model("dropout", "unk_token", "fuse_unk", "byte_fallback"), {}),
    "start as an object": (settings(bos_token={"content": START, "special": True}), {}),
    "start null": (settings(bos_token=None), {}),
    "end as an object": (settings(eos_token={"content": END}), {}),
    "end by generation_config.json": (settings(eos_token=None), {}),
    "end by config.json": (both(settings(eos_token=None), without(GENERATION), config(eos_token_id=1)), {}),
    "end by its name": (both(settings(eos_token=None), without(GENERATION)), {}),
    "no settings": (without(SETTINGS), {"padding": None}),
    "two ends": (keys(GENERATION, eos_token_id=[1, 2]), {"ends": (1, 2)}),
    "ends of another tokenizer": (keys(GENERATION, eos_token_id=[1, 5000, -1]), {}),
    "ends null": (both(keys(GENERATION, eos_token_id=None), config(eos_token_id=None)), {}),
    "padding null": (settings(pad_token=None), {"padding": None}),
    "start by the vocabulary": (parts(post_processor=BARE), {"tokenizer": {"post_processor": BARE}}),
    **{
        f"no post_processor, {key} {value}": (
            both(parts(post_processor=None), settings(**{key: value})),
            {"tokenizer": {"post_processor": None}, "start": None},
        )
        for key in ("add_bos_token", "add_eos_token")
        for value in (True, False, None)
    },
    **{
        f"weights in {kind.__name__}": (cast(kind), {"weights": kind})
        for kind in (ml_dtypes.bfloat16, np.float16, np.float64)
    },
    "two files": (sharded(), {}),
    "two files in BF16": (both(cast(ml_dtypes.bfloat16), sharded()), {"weights": ml_dtypes.bfloat16}),
    "an index that is not read": (written(INDEX, json.dumps({"weight_map": {"x": "model-9.safetensors"}})), {}),
    "a base model's names": (
        arrays(lambda stored: {n.removeprefix("model."): array for n, array in stored.items()}),
        {},
    ),
    "constants": (more("model.layers.0.self_attn.rotary_emb.inv_freq", np.ones(2, np.float32)), {}),
    "other files": (
        both(
            written("README.md", "# é"),
            written(".gitattributes", b"\x80"),
            written("chat_template.jinja", "{{ x }}"),
            written("special_tokens_map.json", "{}"),
            written("LICENSE", "MIT"),
        ),
        {},
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_unusual_folders_are_read(name: str, originals: Path, folder: Path) -> None:
    change, differing = ACCEPTED[name]
    change(folder)
    expected = contents(originals / "llama")
    for key, value in differing.items():
        if key == "weights":
            expected[key] = {n: array.astype(value).astype(np.float32) for n, array in expected[key].items()}
        else:
            expected[key] = expected[key] | value if key == "tokenizer" else value
    assert_same(contents(folder), expected)


@pytest.mark.parametrize(("value", "start"), [(True, 0), (False, None), (None, None)])
def test_settings_decide_the_start_where_there_is_no_tokenizer_json(
    value: bool | None, start: int | None, folder: Path
) -> None:
    both(older_files, settings(add_bos_token=value))(folder)
    assert contents(folder)["start"] == start


def test_a_tied_head_may_be_stored_too(folder: Path) -> None:
    config(tie_word_embeddings=True)(folder)
    fewer(HEAD_ROWS)(folder)
    expected = contents(folder)
    more(HEAD_ROWS, load_file(folder / WEIGHTS)[TABLE])(folder)
    assert_same(contents(folder), expected)
    assert HEAD_ROWS not in expected["weights"]


@pytest.mark.parametrize("prefix", ["", "transformer."])
@pytest.mark.parametrize(
    "changes", [{}, {"n_inner": 64, "activation_function": "gelu_pytorch_tanh"}, {"tie_word_embeddings": True}]
)
def test_gpt2_with_and_without_a_prefix(prefix: str, changes: dict[str, Any], originals: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(originals / "gpt2", tmp_path / "folder"))
    config(**changes)(folder)
    arrays(lambda stored: {prefix + name: array for name, array in stored.items()})(folder)
    actual, expected = contents(folder), contents(originals / "gpt2")
    weights = {name.removeprefix(prefix): array for name, array in actual["weights"].items()}
    assert_same(actual | {"weights": weights}, expected | changes)
    assert not any(name.endswith(".attn.bias") for name in weights)


def test_weights_in_half_precision_become_the_models(originals: Path, tmp_path: Path) -> None:
    """BF16, which NumPy lacks, in several files; and more rows of the vocabulary than the tokenizer has ids."""
    folder = Path(shutil.copytree(originals / "llama", tmp_path / "llama"))
    weights = load_file(folder / WEIGHTS)
    padded = {name: np.concatenate([weights[name], np.ones((58, WIDTH), np.float32)]) for name in (TABLE, HEAD_ROWS)}
    both(
        arrays(lambda stored: stored | padded), config(vocab_size=len(TOKENS) + 58), cast(ml_dtypes.bfloat16), sharded()
    )(folder)
    loaded = loading.load(folder)
    rounded = {name: array.astype(ml_dtypes.bfloat16).astype(np.float32) for name, array in weights.items()}
    embedding, layer = loaded.model.backbone.token_embedding, loaded.model.backbone.transformer_layers[0]
    assert np.array_equal(np.asarray(embedding.embeddings), rounded[TABLE])
    assert np.array_equal(np.asarray(embedding.reverse_embeddings), rounded[HEAD_ROWS].T)
    query = np.asarray(layer._self_attention_layer._query_dense.kernel)
    assert np.array_equal(query.reshape(WIDTH, WIDTH), rounded[QUERY].T)
    assert (loaded.start_token_id, loaded.end_token_ids, loaded.pad_token_id) == (0, (1,), TOKENS.index(PADDING))

    folder = Path(shutil.copytree(originals / "gpt2", tmp_path / "gpt2"))
    weights = load_file(folder / WEIGHTS)
    arrays(lambda _: {n: a.astype(np.float16) for n, a in weights.items() if not n.endswith(".attn.bias")})(folder)
    backbone = loading.load(folder).model.backbone
    table = np.asarray(backbone.token_embedding.embeddings)
    assert np.array_equal(table, weights["wte.weight"].astype(np.float16).astype(np.float32))
