"""GGUF files give the weights and the config.json from before llama.cpp's conversion."""

import math
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from autocomplete.common.errors import UserError
from autocomplete.presets import gguf_model
from helpers import ggufs
from helpers.ggufs import ARCHITECTURES

KINDS = gguf.GGMLQuantizationType
UNTIED = ("llama", "qwen2", "qwen3")  # may have an untied head
GPT2_CONFIG = {
    "n_layer": 2,
    "n_head": 4,
    "n_embd": 32,
    "n_inner": 128,
    "n_positions": 96,
    "layer_norm_epsilon": 1e-5,
    "resid_pdrop": 0.0,
    "activation_function": "gelu_new",
}
CONFIGS: dict[str, dict[str, Any]] = {
    "llama": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "intermediate_size": 96,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "rope_scaling": None,
        "max_position_embeddings": 96,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "use_sliding_window": False,
        "sliding_window": None,
    },
    "gpt2": GPT2_CONFIG,
    "qwen3": {"head_dim": 12, "hidden_act": "silu"},
    "gemma": {"head_dim": 12, "hidden_activation": "gelu_pytorch_tanh", "sliding_window": None},
    "gemma2": {
        "query_pre_attn_scalar": 12,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
        "sliding_window": 11,
    },
    "gemma3": {
        "query_pre_attn_scalar": 12,
        "attn_logit_softcapping": None,
        "final_logit_softcapping": None,
        "sliding_window": 11,
        "rope_theta": 1e6,
        "rope_local_base_freq": 10000.0,
        "sliding_window_pattern": 6,
        "layer_types": ["sliding_attention"] * 2,
    },
}


@pytest.mark.parametrize(("arch", "tied"), [*((a, True) for a in ARCHITECTURES), *((a, False) for a in UNTIED)])
def test_weights_are_as_before_the_conversion(arch: str, tied: bool, tmp_path: Path) -> None:
    file = ggufs.file(arch, tied)
    weights = ggufs.weights(arch, len(file.metadata["tokenizer.ggml.tokens"]), tied)
    checkpoint = gguf_model.read(file.write(tmp_path / "toy.gguf"))
    config = checkpoint.config
    assert config["model_type"] == ("gemma3_text" if arch == "gemma3" else arch)
    assert config["vocab_size"] == len(file.metadata["tokenizer.ggml.tokens"])
    assert config["tie_word_embeddings"] is tied
    assert len(config["architectures"]) == 1
    assert {key: config[key] for key in CONFIGS.get(arch, {})} == CONFIGS.get(arch, {})
    assert checkpoint.metadata == {"name": "Toy", "license": "mit"}
    prefix = "transformer." if arch == "gpt2" else "model."
    with checkpoint.open() as tensors:
        assert tensors.names == set(weights)
        for name, array in weights.items():
            for requested in (name, name.removeprefix(prefix)):
                tensor = tensors.get_tensor(requested)
                assert tensor.dtype == np.float32
                assert tensor.shape == array.shape
                np.testing.assert_allclose(tensor, array, rtol=0, atol=1e-6)
                assert tensors.full_name(requested) == name
        for name in ("lm_head.weight",) * tied + ("model.layers.9.mlp.up_proj.weight", "token_embd.weight", ""):
            with pytest.raises(KeyError):
                tensors.get_tensor(name)


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"])
def test_quantized_weights_are_dequantized(kind: str, tmp_path: Path) -> None:
    file = ggufs.file("llama", tied=False)
    file.kinds = {name: KINDS[kind] for name, array in file.tensors.items() if array.ndim == 2}
    weights = ggufs.weights("llama", len(file.metadata["tokenizer.ggml.tokens"]), tied=False)
    with gguf_model.read(file.write(tmp_path / "toy.gguf")).open() as tensors:
        for name, array in weights.items():
            # rows keep their blocks when they change places
            rounded = gguf.dequantize(gguf.quantize(array, KINDS[kind]), KINDS[kind]) if array.ndim == 2 else array
            np.testing.assert_array_equal(tensors.get_tensor(name), rounded)
        assert np.abs(rounded - array).max() < 0.5


@pytest.mark.parametrize("kind", [k.name for k in KINDS if k.name[0] in "QIT" and "_" in k.name])
def test_every_type_that_gguf_dequantizes(kind: str, tmp_path: Path) -> None:
    file = ggufs.file("llama")
    size, length = gguf.GGML_QUANT_SIZES[KINDS[kind]]
    file.metadata |= {"llama.feed_forward_length": 256}
    for i in range(2):
        file.tensors |= {f"blk.{i}.ffn_{part}.weight": np.zeros((256, 32), np.float32) for part in ("gate", "up")}
        raw = np.random.default_rng(3).integers(0, 60, (32, 256 // size * length), np.uint8)  # finite
        file.tensors[f"blk.{i}.ffn_down.weight"], file.kinds[f"blk.{i}.ffn_down.weight"] = raw, KINDS[kind]
    path = file.write(tmp_path / "toy.gguf")
    try:
        expected = gguf.dequantize(raw, KINDS[kind])
    except NotImplementedError:
        with pytest.raises(
            UserError, match=rf"tensor 'blk\.0\.ffn_down\.weight' is of the type {kind}; allowed: those"
        ):
            gguf_model.read(path)
        return
    with gguf_model.read(path).open() as tensors:
        np.testing.assert_array_equal(tensors.get_tensor("layers.1.mlp.down_proj.weight"), expected)


def divisors(factor: float, size: int = 4, theta: float = 500000.0) -> np.ndarray:
    """A copy of generate_extra_tensors of llama.cpp's LlamaModel."""
    values = []
    for i in range(size):
        frequency = theta ** -(i / size)
        wave = 2 * math.pi / frequency
        smooth = (8192 / wave - 1.0) / (4.0 - 1.0)
        values.append(1.0 if wave < 8192 / 4 else factor if wave > 8192 else 1 / ((1 - smooth) / factor + smooth))
    return np.array(values, np.float32)


@pytest.mark.parametrize("factor", [8.0, 32.0, None])
def test_rope_scaling_is_recognized_by_its_factors(factor: float | None, tmp_path: Path) -> None:
    file = ggufs.file("llama")
    file.metadata["llama.rope.freq_base"] = 500000.0
    file.tensors["rope_freqs.weight"] = np.ones(4, np.float32) if factor is None else divisors(factor)
    assert len(set(divisors(8.0))) == 3  # high, medium and low frequencies
    checkpoint = gguf_model.read(file.write(tmp_path / "toy.gguf"))
    llama3 = {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    assert checkpoint.config["rope_scaling"] == (None if factor is None else llama3)
    with checkpoint.open() as tensors:
        assert not [name for name in tensors.names if "rope" in name]


def test_a_declared_head_size_is_read(tmp_path: Path) -> None:
    file = ggufs.file("llama")
    file.metadata |= {"llama.attention.key_length": 8, "llama.rope.dimension_count": 8, "llama.vocab_size": 1}
    file.metadata |= {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 1.0, "llama.expert_count": 0}
    del file.metadata["llama.rope.freq_base"]
    config = gguf_model.read(file.write(tmp_path / "toy.gguf")).config
    assert (config["head_dim"], config["rope_theta"], config["rope_scaling"]) == (8, 10000.0, None)


def test_gpt2s_copy_of_its_embeddings_is_no_weight(tmp_path: Path) -> None:
    file = ggufs.file("gpt2")
    file.tensors["output.weight"] = file.tensors["token_embd.weight"]
    file.kinds = {"output.weight": KINDS.Q8_0, "token_embd.weight": KINDS.Q4_0}
    checkpoint = gguf_model.read(file.write(tmp_path / "toy.gguf"))
    assert checkpoint.config["tie_word_embeddings"] is True
    with checkpoint.open() as tensors:
        assert "lm_head.weight" not in tensors.names


def test_name_and_license_of_a_file_are_one_printable_line(tmp_path: Path) -> None:
    file = ggufs.file("llama")
    file.metadata |= {"general.name": "Toy\n\x1b[31mred\u202e", "general.license": " \n"}
    checkpoint = gguf_model.read(file.write(tmp_path / "toy.gguf"))
    assert checkpoint.metadata == {"name": r"Toy \x1b[31mred\u202e"}
    file.metadata["general.name"] = "x" * 10**6
    assert len(gguf_model.read(file.write(tmp_path / "long.gguf")).metadata["name"]) == 200
