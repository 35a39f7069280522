"""Names of matrix products by their weight and layer."""

import re
from pathlib import Path

import pytest

from autocomplete.tflite import flatbuffer, matmul_names
from autocomplete.tflite.matmul_names import MatMul

LAYER = ["qkv", "scores", "mix", "attention_output", "feedforward_up", "feedforward_down"]


def test_a_core_s_products_in_the_order_of_its_graph(core_path: Path) -> None:
    roles = matmul_names.roles(flatbuffer.read(core_path), "decode")
    expected = [f"layer_{i}_{part}" for i in range(2) for part in LAYER]
    assert [role for role in roles if role.startswith("layer_")] == expected
    assert (roles[0], roles[-1]) == ("embedding", "logits")


def test_prefill_ends_with_the_last_layer_s_keys_and_values(core_path: Path) -> None:
    roles = matmul_names.roles(flatbuffer.read(core_path), "prefill_8")
    expected = [*(f"layer_0_{part}" for part in LAYER), "layer_1_qkv"]
    assert [role for role in roles if role != "positions"] == ["embedding", *expected]


def test_weight_roles_are_all_but_products_of_activations(core_path: Path) -> None:
    model = flatbuffer.read(core_path)
    expected = [f"layer_{i}_{part}" for i in range(2) for part in LAYER if part not in ("scores", "mix")]
    assert [r for r in matmul_names.weight_roles(model, "decode") if r != "positions"] == expected


def test_results_are_named_after_signature_and_role(core_path: Path) -> None:
    products = list(matmul_names.matmuls(flatbuffer.read(core_path)))
    for product in products:
        assert product.activations[-1] == f"{product.signature}/{product.role}"
        attention = product.unnumbered_role.endswith(("scores", "mix"))
        assert len(product.activations) == (3 if attention else 2)
    assert "embedding" not in {product.role for product in products}


@pytest.mark.parametrize(
    ("role", "unnumbered"),
    [("layer_0_scores_1", "layer_0_scores"), ("layer_0_mix", "layer_0_mix"), ("layer_0_qkv", "layer_0_qkv")],
)
def test_parts_of_attention_have_one_role(role: str, unnumbered: str) -> None:
    assert MatMul("step", role, ()).unnumbered_role == unnumbered


@pytest.mark.parametrize(
    ("result", "matches"),
    [
        ("decode/layer_0_qkv;", True),
        ("prefill_8/logits;", True),
        ("decode/layer_0_qkv_bias;", False),
        ("decode/layer_10_qkv;", False),
        ("layer_0_qkv;", False),
    ],
)
def test_a_recipe_is_restricted_to_roles(result: str, matches: bool) -> None:
    (entry,) = matmul_names.restrict_recipe([{"regex": ".*", "operation": "*"}], ["logits", "layer_0_qkv"])
    assert (re.search(entry["regex"], result) is not None) is matches
    assert entry["operation"] == "*"


def test_the_recipe_s_own_choice_still_holds() -> None:
    (entry,) = matmul_names.restrict_recipe([{"regex": "^decode/"}], ["layer_0_qkv"])
    assert not re.search(entry["regex"], "prefill_8/layer_0_qkv;")
