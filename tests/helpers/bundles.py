"""A toy bundle, complete but for what was measured, which is made up."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from autocomplete.bundle import card, litertlm, manifest
from autocomplete.evaluate import benchmark
from autocomplete.runtime import interpreters
from autocomplete.tflite import edit, flatbuffer, inspect, linker
from autocomplete.tokenizer import tokenizer, tokenizer_json
from helpers.toy_models import steps
from helpers.toys import PROMPT_BYTES, SEQUENCE, SLOTS, WINDOW, Toy
from stages import validate

FILTER = {
    "package": "words",
    "version": "1",
    "languages": ["english"],
    "tries": 3,
    "seed": 1,
    "provoked_prompts": 100,
    "ordinary_prompts": 50,
}


def facts(toy: Toy) -> manifest.Facts:
    conversion = {
        "sampler": "greedy",
        "top_k": 5,
        "top_p": 0.9,
        "temperature": 1.0,
        "seed": None,
        "sequence_length": SEQUENCE,
        "context_window": WINDOW,
        "cache_length": SLOTS,
        "max_output_bytes": 788,
        "suppress_tokens": [],
        "complete_word": False,
        "portable_prompt_bytes": PROMPT_BYTES,
    }
    model = {
        "family": "gpt2",
        "parameters": 1,
        "vocabulary": len(toy.vocabulary.ids),
        "context_length": 96,
        "pre_tokenizer": "gpt2",
        "add_start_token": True,
        "start_token_id": toy.vocabulary.start_token_id,
        "end_token_id": toy.vocabulary.end_token_id,
        "end_token_ids": [toy.vocabulary.end_token_id],
        "special_token_ids": [0, 1],
        "source": "toy",
        "license": "none",
    }
    metrics = dict.fromkeys(validate.METRICS, 1.0) | {"mode": "float32", "gates": [], "filter": FILTER}
    speed = {"machine": benchmark.machine(), "runtime": interpreters.versions(), "threads": 1, "size_bytes": {}}
    recipe: Mapping[str, Any] = {"mode": "float32", "recipe": [], "text_recipe": None}
    fits = {name: {} for name in ("core.tflite", "tokens.tflite", "portable.tflite", "autocomplete.tflite")}
    return manifest.Facts(model, conversion, recipe, metrics, speed, fits)


@pytest.fixture(scope="session")
def toy_bundle(
    toy: Toy,
    core_path: Path,
    greedy_driver: Any,
    tokens_driver: Any,
    bytes_driver: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A bundle with all models, as package writes it."""
    folder, known = tmp_path_factory.mktemp("bundle") / "bundle", facts(toy)
    (folder / "tokenizer").mkdir(parents=True)
    core = flatbuffer.read(core_path)
    flatbuffer.write(edit.without_signatures(core, set(steps())), folder / "core.tflite")
    flatbuffer.write(linker.link(tokens_driver, core), folder / "tokens.tflite")
    flatbuffer.write(linker.link(bytes_driver, core), folder / "portable.tflite")
    flatbuffer.write(linker.link(greedy_driver, core), folder / "autocomplete.tflite")
    for name, data in tokenizer_json.client_files(tokenizer.read_tokenizer_json(toy.preset)).items():
        (folder / "tokenizer" / name).write_bytes(data)
    told = litertlm.Facts(**manifest.litert_lm(known.model, known.conversion))
    litertlm.write(folder / "core.tflite", folder / "tokenizer/tokenizer.json", told, folder / manifest.LITERT_LM)
    described = {p.name: inspect.describe(p) for p in folder.glob("*.tflite")}
    seal(folder, manifest.build(manifest.Names("toy", "Toy", "en"), known, described, folder))
    return folder


def seal(folder: Path, content: dict[str, Any]) -> None:
    """Card, manifest and hashes, last of all."""
    (folder / manifest.CARD).write_text(card.render(content))
    manifest.seal(content, folder, known={})


@pytest.fixture
def bundle(toy_bundle: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(toy_bundle, tmp_path / "bundle"))


def keys(folder: Path, name: str) -> tuple[Path, Path]:
    """A pair of keys: private, public."""
    key, private, public = Ed25519PrivateKey.generate(), folder / f"{name}.key", folder / f"{name}.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public
