"""Norms, means and scales are folded into matrices without a change of the results."""

import dataclasses

import numpy as np
import pytest

from autocomplete.common.arrays import Array
from autocomplete.model import folding
from autocomplete.model.config import DecoderConfig
from autocomplete.model.folding import OptionalWeights

GPT2 = DecoderConfig(1, 8, 2, 2, 4, 16, 11, 1e-5, "gelu", layer_norm=True)
LLAMA = DecoderConfig(1, 8, 2, 1, 4, 16, 11, 1e-5, "silu", gated=True)
X = np.random.default_rng(1).normal(size=8)


class Family:
    """A family's weights, drawn by name; matrices are [out, in]."""

    def __init__(self, config: DecoderConfig) -> None:
        kv = config.num_kv_heads * config.head_dim
        attended, inner, hidden = config.num_heads * config.head_dim, config.intermediate_size, config.hidden_size
        self.sizes = {"query": (attended, hidden), "key": (kv, hidden), "value": (kv, hidden)}
        self.sizes |= {"attention_output": (hidden, attended), "feedforward_down": (hidden, inner)}
        self.sizes |= dict.fromkeys(("feedforward_up", "feedforward_gate"), (inner, hidden))
        self.sizes |= dict.fromkeys(("embedding", "logits"), (config.vocab_size, hidden))
        self.hidden = hidden

    def read(self, name: str) -> Array:
        kind = name.rpartition("/")[2]
        matrix = self.sizes.get(kind.removesuffix("_bias"), (self.hidden,))
        shape = matrix[:1] if kind.endswith("_bias") else matrix
        return np.random.default_rng(sum(kind.encode())).normal(size=shape)


def normed(x: Array) -> Array:
    return (x - x.mean()) / x.std()


@pytest.mark.parametrize("part", ["qkv", "feedforward_up"])
def test_a_layer_norm_before_a_matrix_is_folded_into_it(part: str) -> None:
    family = Family(GPT2)
    folded = folding.decoder_weights(GPT2, OptionalWeights(), family.read)
    names, norm = {
        "qkv": (("query", "key", "value"), "attention_norm"),
        "feedforward_up": (("feedforward_up",), "feedforward_norm"),
    }[part]
    activations = normed(X) * family.read(norm) + family.read(f"{norm}_bias")
    expected = np.concatenate([family.read(name) @ activations + family.read(f"{name}_bias") for name in names])
    if part == "qkv":
        expected[:8] /= np.sqrt(GPT2.head_dim)  # attention's scale is in the query
    result = folded.read(f"layer_0/{part}") @ normed(X) + folded.read(f"layer_0/{part}_bias")
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("part", ["attention_output", "feedforward_down"])
def test_additions_to_the_residual_stream_have_a_mean_of_zero(part: str) -> None:
    folded = folding.decoder_weights(GPT2, OptionalWeights(), Family(GPT2).read)
    matrix, bias = folded.read(f"layer_0/{part}"), folded.read(f"layer_0/{part}_bias")
    added = matrix @ np.ones(matrix.shape[1]) + bias
    assert abs(added.mean()) < 1e-6
    raw = Family(GPT2)
    unfolded = raw.read(part) @ np.ones(matrix.shape[1]) + raw.read(f"{part}_bias")
    np.testing.assert_allclose(added, unfolded - unfolded.mean(), atol=1e-6)


def test_the_last_norm_s_offset_becomes_a_bias_of_the_head() -> None:
    for optional, head in ((OptionalWeights(), "embedding"), (OptionalWeights(untied_head=True), "logits")):
        family = Family(GPT2)
        folded = folding.decoder_weights(GPT2, optional, family.read)
        np.testing.assert_allclose(folded.read("head_bias"), family.read(head) @ family.read("norm_bias"))


def test_gate_and_up_are_one_matrix_without_biases() -> None:
    family = Family(LLAMA)
    folded = folding.decoder_weights(LLAMA, OptionalWeights(), family.read)
    expected = np.concatenate([family.read("feedforward_gate"), family.read("feedforward_up")])
    np.testing.assert_allclose(folded.read("layer_0/feedforward_up"), expected * family.read("feedforward_norm"))
    assert not [name for name in folded.shapes if name.endswith("_bias")]


def test_values_are_divided_by_their_soft_caps() -> None:
    config = dataclasses.replace(LLAMA, attention_soft_cap=5.0, logit_soft_cap=8.0)
    plain, capped = (folding.decoder_weights(c, OptionalWeights(), Family(c).read) for c in (LLAMA, config))
    np.testing.assert_allclose(capped.read("norm_gamma") * 8, plain.read("norm_gamma"), rtol=1e-6)
    queries = slice(0, 8)
    np.testing.assert_allclose(capped.read("layer_0/qkv")[queries] * 5, plain.read("layer_0/qkv")[queries], rtol=1e-6)


@pytest.mark.parametrize("config", [GPT2, LLAMA], ids=["GPT-2", "Llama"])
@pytest.mark.parametrize(
    "optional",
    [OptionalWeights(), OptionalWeights(num_positions=3, qkv_bias=True, untied_head=True)],
    ids=["plain", "more"],
)
def test_weights_have_the_declared_shapes(config: DecoderConfig, optional: OptionalWeights) -> None:
    family = Family(config)
    family.sizes["positions"] = (7, config.hidden_size)
    folded = folding.decoder_weights(config, optional, family.read)
    assert {name: folded.read(name).shape for name in folded.shapes} == dict(folded.shapes)
