"""A Hugging Face folder becomes a preset with the logits and tokens of the original model."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autocomplete.common.errors import UserError
from autocomplete.common.files import read_json
from autocomplete.evaluate import keras_reference
from autocomplete.model import families
from autocomplete.presets import loading, presets
from autocomplete.presets.settings import DESCRIPTION, Pin
from autocomplete.tokenizer import tokenizer
from helpers.families import FAMILIES, quietly
from helpers.hf_folders import write
from helpers.toys import PROMPTS, Toy
from stages import author

pytestmark = pytest.mark.slow

# KerasHub's toys by transformers' names of model types
KINDS = {
    "gpt2": "gpt2",
    "llama": "llama3",
    "llama_tied": "llama3_tied",
    "mistral": "mistral",
    "qwen2": "qwen",
    "qwen3": "qwen3",
}


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    return quietly(FAMILIES["llama3"], tmp_path_factory.mktemp("llama"))


@pytest.mark.parametrize("name", KINDS)
def test_the_preset_has_the_originals_logits_and_tokens(
    name: str, toy: Toy, llama: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = name.removesuffix("_tied")
    original = {"gpt2": toy, "llama": llama}.get(name) or quietly(FAMILIES[KINDS[name]], tmp_path / "toy")
    folder = write(kind, original, tmp_path / "folder", shards=2 if kind == "llama" else 1)
    monkeypatch.setattr(author, "OUT", tmp_path / "author")
    author.run(author.AuthorSettings(str(folder), "MIT", True))

    description = read_json(tmp_path / "author" / DESCRIPTION)
    assert description["converted_from"].startswith(f"Hugging Face's {kind}, by KerasHub ")
    assert description["source"] == "folder"  # no absolute path
    assert description["source_sha256"] == presets.preset_sha256(folder)
    assert description["context_length"] == 96
    loaded = loading.load(tmp_path / "author").model
    assert loading.is_hugging_face_folder(tmp_path / "author") is False
    ids = np.random.default_rng(3).integers(4, original.weights.config.vocab_size, 40).astype(np.int32)
    expected = keras_reference.logits(original.model, ids[None])[0]
    assert np.abs(keras_reference.logits(loaded, ids[None])[0] - expected).max() < 1e-5
    assert expected.std() > 0.1
    assert description["parameters"] == presets.parameter_count(original.model)
    bpe = tokenizer.from_preset(tmp_path / "author")
    assert [bpe.encode(p).ids for p in PROMPTS] == [original.bpe.encode(p).ids for p in PROMPTS]
    assert original.end in description["end_token_ids"]
    families.read_weights(tmp_path / "author", 64)  # and convert can read it


def changed(**changes: Any) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))

    return change


def without(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def planted(name: str, content: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(content)


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "unknown": (changed(model_type="mamba"), r"the model_type 'mamba'; allowed: gpt2, llama, mistral, qwen2, qwen3"),
    "not converted": (changed(model_type="bert"), r"has the model_type 'bert'; allowed: gpt2"),
    "no architecture": (changed(architectures=None), r"names no architectures"),
    "quantized": (changed(quantization_config={"bits": 4}), r"is quantized"),
    "no tokenizer": (without("tokenizer.json"), r"has no tokenizer\.json, from which a llama gets its tokenizer"),
    "no shard": (
        without("model-00002-of-00002.safetensors"),
        r"lacks model-00002-of-00002\.safetensors, which model\.s",
    ),
    "no weights": (without("model.safetensors.index.json"), r"has neither model\.safetensors nor model\.safe"),
    "cut off": (
        lambda folder: os.truncate(folder / "model-00001-of-00002.safetensors", 5000),
        r"cannot be loaded: Safetensor",
    ),
    "no safetensors": (planted("model-00001-of-00002.safetensors", "none"), r"is no safetensors file"),
    "other activation": (changed(hidden_act="gelu"), r"hidden_act is gelu; KerasHub's converter supports: silu"),
    "biases": (changed(attention_bias=True), r"attention_bias is True"),
    "other heads": (changed(head_dim=64), r"head_dim is 64"),
    "other positions": (changed(rope_scaling={"rope_type": "yarn", "factor": 4.0}), r"rope_type is yarn"),
    "code": (changed(auto_map={"AutoModel": "modeling_x.X"}), r"asks for code from the model's repository \(auto"),
    "code allowed": (changed(trust_remote_code=True), r"asks for code .*trust_remote_code"),
    "source": (planted("modeling_x.py", "import os"), r"modeling_x\.py is of a kind that no preset needs"),
    "wider than it says": (changed(intermediate_size=100), r"cannot be loaded"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_folder_that_would_give_another_model_is_refused(name: str, llama: Toy, tmp_path: Path) -> None:
    change, message = REFUSED[name]
    folder = write("llama", llama, tmp_path / "folder", shards=2)
    change(folder)
    with pytest.raises(UserError, match=message) as refused:
        loading.load(folder)
    assert "\n" not in str(refused.value)


def test_rope_parameters_of_transformers_5_are_read(llama: Toy, tmp_path: Path) -> None:
    folder = write("llama", llama, tmp_path / "folder")
    config = json.loads((folder / "config.json").read_text())
    config["rope_parameters"] = config.pop("rope_scaling") | {"rope_theta": config.pop("rope_theta")}
    (folder / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 1e-3}))
    loaded = loading.load(folder).model.backbone.get_config()
    original = llama.model.backbone.get_config()
    differing = {key for key in original if loaded[key] != original[key]}
    assert differing - {"name", "dtype"} == {"layer_norm_epsilon"}
    assert loaded["layer_norm_epsilon"] == 1e-3


def test_a_folder_is_pinned_by_its_hash(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(author, "OUT", tmp_path / "author")
    sha256 = presets.preset_sha256(toy.preset)
    with pytest.raises(UserError, match=rf"have the SHA-256 {sha256}, not {'0' * 64} \(author.sha256\)"):
        author.run(author.AuthorSettings(str(toy.preset), "MIT", True, sha256="0" * 64))
    assert not (tmp_path / "author").exists()
    author.run(author.AuthorSettings(str(toy.preset), "MIT", True, sha256=sha256))
    description = read_json(tmp_path / "author" / DESCRIPTION)
    assert (description["source_sha256"], description["converted_from"]) == (sha256, None)
    with pytest.raises(UserError, match=r"is a folder: pin it by author\.sha256"):
        author.run(author.AuthorSettings(str(toy.preset), "MIT", True, revision="main"))
    with pytest.raises(UserError, match="allowed: null, or 64 hexadecimal digits"):
        Pin(sha256="abc")
