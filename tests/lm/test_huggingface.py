"""A Hugging Face folder becomes a preset with the logits and tokens of the model that it was written from."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PROMPTS, Toy
from families import FAMILIES, quietly
from safetensors.numpy import save_file

from stages import author
from stages.errors import UserError
from stages.files import read_json
from stages.lm import families, presets, reference, tokenizer
from stages.lm.sources import Pin

Arrays = dict[str, np.ndarray]
# KerasHub's toys by transformers' names of model types
KINDS = {
    "gpt2": "gpt2", "llama": "llama3", "llama_tied": "llama3_tied", "mistral": "mistral", "qwen2": "qwen",
    "qwen3": "qwen3",
}  # fmt: skip


def value(variable: Any) -> np.ndarray:
    return np.array(variable, np.float32)


def gpt2_weights(backbone: Any) -> Arrays:
    """Matrices are [in, out], and query, key and value one."""
    found = {
        "wte.weight": value(backbone.token_embedding.embeddings),
        "wpe.weight": value(backbone.position_embedding.position_embeddings),
        "ln_f.weight": value(backbone.layer_norm.gamma),
        "ln_f.bias": value(backbone.layer_norm.beta),
    }
    width = backbone.hidden_dim
    for i, layer in enumerate(backbone.transformer_layers):
        attention = layer._self_attention_layer
        parts = [getattr(attention, f"{name}_dense") for name in ("query", "key", "value")]
        found |= {
            f"h.{i}.ln_1.weight": value(layer._self_attention_layer_norm.gamma),
            f"h.{i}.ln_1.bias": value(layer._self_attention_layer_norm.beta),
            f"h.{i}.ln_2.weight": value(layer._feedforward_layer_norm.gamma),
            f"h.{i}.ln_2.bias": value(layer._feedforward_layer_norm.beta),
            f"h.{i}.attn.c_attn.weight": np.concatenate([value(p.kernel).reshape(width, -1) for p in parts], 1),
            f"h.{i}.attn.c_attn.bias": np.concatenate([value(p.bias).reshape(-1) for p in parts]),
            f"h.{i}.attn.c_proj.weight": value(attention.output_dense.kernel).reshape(-1, width),
            f"h.{i}.attn.c_proj.bias": value(attention.output_dense.bias),
            f"h.{i}.mlp.c_fc.weight": value(layer._feedforward_intermediate_dense.kernel),
            f"h.{i}.mlp.c_fc.bias": value(layer._feedforward_intermediate_dense.bias),
            f"h.{i}.mlp.c_proj.weight": value(layer._feedforward_output_dense.kernel),
            f"h.{i}.mlp.c_proj.bias": value(layer._feedforward_output_dense.bias),
        }
    return {f"transformer.{name}": array for name, array in found.items()}


def llama_weights(backbone: Any) -> Arrays:
    """Llama's names, which Mistral and Qwen have too: matrices are [out, in]."""
    found = {
        "model.embed_tokens.weight": value(backbone.token_embedding.embeddings),
        "model.norm.weight": value(backbone.layer_norm.scale),
    }
    if not getattr(backbone, "tie_word_embeddings", False):
        found["lm_head.weight"] = value(backbone.token_embedding.reverse_embeddings).T
    width = backbone.hidden_dim
    for i, layer in enumerate(backbone.transformer_layers):
        attention, own = layer._self_attention_layer, f"model.layers.{i}"
        found |= {
            f"{own}.input_layernorm.weight": value(layer._self_attention_layernorm.scale),
            f"{own}.post_attention_layernorm.weight": value(layer._feedforward_layernorm.scale),
            f"{own}.self_attn.o_proj.weight": value(attention._output_dense.kernel).reshape(-1, width).T,
            f"{own}.mlp.gate_proj.weight": value(layer._feedforward_gate_dense.kernel).T,
            f"{own}.mlp.up_proj.weight": value(layer._feedforward_intermediate_dense.kernel).T,
            f"{own}.mlp.down_proj.weight": value(layer._feedforward_output_dense.kernel).T,
        }
        for name, short in (("query", "q"), ("key", "k"), ("value", "v")):
            dense = getattr(attention, f"_{name}_dense")
            found[f"{own}.self_attn.{short}_proj.weight"] = value(dense.kernel).reshape(width, -1).T
            if dense.bias is not None:
                found[f"{own}.self_attn.{short}_proj.bias"] = value(dense.bias).reshape(-1)
            norm = getattr(attention, f"_{name}_dense_layer_norm", None)
            if norm is not None:
                found[f"{own}.self_attn.{short}_norm.weight"] = value(norm.scale)
    return found


def config_of(kind: str, backbone: Any) -> dict[str, Any]:
    """config.json as transformers writes it."""
    if kind == "gpt2":
        return {
            "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": backbone.vocabulary_size,
            "n_layer": backbone.num_layers, "n_head": backbone.num_heads, "n_embd": backbone.hidden_dim,
            "n_positions": backbone.max_sequence_length, "resid_pdrop": 0.1, "layer_norm_epsilon": 1e-5,
            "activation_function": "gelu_new", "n_inner": None,
        }  # fmt: skip
    given = backbone.get_config()
    config = {
        "model_type": kind, "architectures": [f"{kind.capitalize()}ForCausalLM"], "hidden_act": "silu",
        "vocab_size": backbone.vocabulary_size, "num_hidden_layers": backbone.num_layers,
        "num_attention_heads": backbone.num_query_heads, "hidden_size": backbone.hidden_dim,
        "intermediate_size": backbone.intermediate_dim, "num_key_value_heads": backbone.num_key_value_heads,
        "rope_theta": given["rope_max_wavelength"], "rms_norm_eps": given["layer_norm_epsilon"],
        "tie_word_embeddings": getattr(backbone, "tie_word_embeddings", False), "max_position_embeddings": 96,
        "head_dim": given.get("head_dim") or backbone.hidden_dim // backbone.num_query_heads,
        "sliding_window": given.get("sliding_window"), "use_sliding_window": False,
    }  # fmt: skip
    if given.get("rope_frequency_adjustment_factor"):
        config["rope_scaling"] = {
            "rope_type": "llama3", "factor": given["rope_frequency_adjustment_factor"],
            "low_freq_factor": given["rope_low_freq_factor"], "high_freq_factor": given["rope_high_freq_factor"],
            "original_max_position_embeddings": given["rope_pretraining_sequence_length"],
        }  # fmt: skip
    return config


def write_tokenizer(kind: str, toy: Toy, folder: Path) -> None:
    """The tokenizer's files, by transformers' names."""
    assets = toy.preset / tokenizer.FOLDER
    if kind == "mistral":
        (folder / "tokenizer.model").write_bytes((assets / "vocabulary.spm").read_bytes())
        return
    ids = json.loads((assets / "vocabulary.json").read_text())
    merges = [line for line in (assets / "merges.txt").read_text().splitlines() if not line.startswith("#")]
    if kind == "gpt2":
        (folder / "vocab.json").write_text(json.dumps(ids))
        (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
        return
    special = tokenizer.special(ids)
    whole = {
        "model": {
            "type": "BPE",
            "vocab": {t: i for t, i in ids.items() if t not in special},
            "merges": [m.split(" ") for m in merges],
        },
        "added_tokens": [{"id": ids[t], "content": t, "special": True} for t in special],
    }
    (folder / "tokenizer.json").write_text(json.dumps(whole))
    named = {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"} if kind == "llama" else {}
    (folder / "tokenizer_config.json").write_text(json.dumps(named))


def write(kind: str, toy: Toy, folder: Path, shards: int = 1) -> Path:
    """A Hugging Face folder of a toy."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config_of(kind, toy.model.backbone)))
    arrays = (gpt2_weights if kind == "gpt2" else llama_weights)(toy.model.backbone)
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    numbered = [f"model-{i + 1:05}-of-{shards:05}.safetensors" for i in range(shards)]
    names = numbered if shards > 1 else ["model.safetensors"]
    parts: list[Arrays] = [{} for _ in names]
    for number, name in enumerate(arrays):
        parts[number % shards][name] = arrays[name]
    for name, part in zip(names, parts, strict=True):
        save_file(part, folder / name, {"format": "pt"})
    if shards > 1:
        placed = {array: name for name, part in zip(names, parts, strict=True) for array in part}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    write_tokenizer(kind, toy, folder)
    return folder


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    return quietly(FAMILIES["llama3"], tmp_path_factory.mktemp("llama"))


@pytest.mark.parametrize("name", KINDS)
def test_the_preset_has_the_originals_logits_and_tokens(
    name: str, toy: Toy, llama: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = name.removesuffix("_tied")
    made = {"gpt2": toy, "llama": llama}.get(name) or quietly(FAMILIES[KINDS[name]], tmp_path / "toy")
    for variable in made.model.backbone.weights if kind == "mistral" else ():
        variable.assign(np.array(variable).astype(np.float16))  # KerasHub's converter rounds Mistral's weights so
    folder = write(kind, made, tmp_path / "folder", shards=2 if kind == "llama" else 1)
    monkeypatch.setattr(author, "OUT", tmp_path / "author")
    author.run(author.AuthorSettings(str(folder), "MIT", True))

    described = read_json(tmp_path / "author" / presets.DESCRIPTION)
    assert described["converted_from"].startswith(f"Hugging Face's {kind}, by KerasHub ")
    assert described["source"] == "folder"  # no absolute path
    assert described["source_sha256"] == presets.preset_sha256(folder)
    assert described["context_length"] == 96
    again = presets.load_folder(tmp_path / "author")
    assert presets.is_foreign(tmp_path / "author") is False
    given = np.random.default_rng(3).integers(4, made.weights.shape.vocabulary, 40).astype(np.int32)
    expected = reference.logits(made.model, given[None])[0]
    assert np.abs(reference.logits(again, given[None])[0] - expected).max() < 1e-5
    assert expected.std() > 0.1
    assert described["parameters"] == presets.parameter_count(made.model)
    words = described["pre_tokenizer"]
    bpe = tokenizer.load(tmp_path / "author" / tokenizer.FOLDER, words)
    assert [bpe.encode(p).ids for p in PROMPTS] == [made.bpe.encode(p).ids for p in PROMPTS]
    assert described["end_token_id"] == made.end
    families.weights(tmp_path / "author", 64)  # and convert can read it


def changed(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))

    return change


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def planted(name: str, content: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(content) and None


def byte_fallback(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["byte_fallback"] = True
    (folder / "tokenizer.json").write_text(json.dumps(content))


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "unknown": (changed(model_type="mamba"), r"the model_type 'mamba'; allowed: gpt2, llama, mistral, qwen2, qwen3"),
    "not converted": (changed(model_type="bert"), r"has the model_type 'bert'; allowed: gpt2"),
    "no architecture": (changed(architectures=None), r"names no architectures"),
    "quantized": (changed(quantization_config={"bits": 4}), r"is quantized"),
    "no tokenizer": (without("tokenizer.json"), r"has no tokenizer\.json, from which a llama gets its tokenizer"),
    "no shard": (
        without("model-00002-of-00002.safetensors"), r"lacks model-00002-of-00002\.safetensors, which model\.s"
    ),
    "no weights": (without("model.safetensors.index.json"), r"has neither model\.safetensors nor model\.safe"),
    "cut off": (
        lambda folder: os.truncate(folder / "model-00001-of-00002.safetensors", 5000), r"cannot be loaded: Safetensor"
    ),
    "no safetensors": (planted("model-00001-of-00002.safetensors", "none"), r"is no safetensors file"),
    "other activation": (changed(hidden_act="gelu"), r"hidden_act is gelu; KerasHub's converter knows: silu"),
    "biases": (changed(attention_bias=True), r"attention_bias is True"),
    "other heads": (changed(head_dim=64), r"head_dim is 64"),
    "other positions": (changed(rope_scaling={"rope_type": "yarn", "factor": 4.0}), r"rope_type is yarn"),
    "Llama 2": (byte_fallback, r"is a Llama with a SentencePiece tokenizer"),
    "code": (changed(auto_map={"AutoModel": "modeling_x.X"}), r"asks for code from the model's repository \(auto"),
    "code allowed": (changed(trust_remote_code=True), r"asks for code .*trust_remote_code"),
    "source": (planted("modeling_x.py", "import os"), r"modeling_x\.py is of a kind that no preset needs"),
    "wider than it says": (changed(intermediate_size=100), r"cannot be loaded"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_not_be_the_same_model_is_refused(name: str, llama: Toy, tmp_path: Path) -> None:
    change, message = REFUSED[name]
    folder = write("llama", llama, tmp_path / "folder", shards=2)
    change(folder)
    with pytest.raises(UserError, match=message) as refused:
        presets.load_folder(folder)
    assert "\n" not in str(refused.value)


def test_positions_as_transformers_5_writes_them(llama: Toy, tmp_path: Path) -> None:
    folder = write("llama", llama, tmp_path / "folder")
    config = json.loads((folder / "config.json").read_text())
    config["rope_parameters"] = config.pop("rope_scaling") | {"rope_theta": config.pop("rope_theta")}
    (folder / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 1e-3}))
    again = presets.load_folder(folder).backbone.get_config()
    original = llama.model.backbone.get_config()
    differing = {key for key in original if again[key] != original[key]}
    assert differing - {"name", "dtype"} == {"layer_norm_epsilon"}
    assert again["layer_norm_epsilon"] == 1e-3


def test_a_folder_is_pinned_by_its_hash(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(author, "OUT", tmp_path / "author")
    right = presets.preset_sha256(toy.preset)
    with pytest.raises(UserError, match=rf"have the SHA-256 {right}, not {'0' * 64} \(author.sha256\)"):
        author.run(author.AuthorSettings(str(toy.preset), "MIT", True, sha256="0" * 64))
    assert not (tmp_path / "author").exists()
    author.run(author.AuthorSettings(str(toy.preset), "MIT", True, sha256=right))
    described = read_json(tmp_path / "author" / presets.DESCRIPTION)
    assert (described["source_sha256"], described["converted_from"]) == (right, None)
    with pytest.raises(UserError, match=r"is a folder: pin it by author\.sha256"):
        author.run(author.AuthorSettings(str(toy.preset), "MIT", True, revision="main"))
    with pytest.raises(UserError, match="allowed: null, or 64 hexadecimal digits"):
        Pin(sha256="abc")
