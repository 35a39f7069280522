"""A complete toy bundle, with made-up measurements."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from autocomplete.bundle import card, litertlm, manifest
from autocomplete.bundle.contract import Manifest, TfliteModel
from autocomplete.common.artifacts import Targets
from autocomplete.common.files import read_json
from autocomplete.evaluate import benchmark
from autocomplete.runtime import interpreters
from autocomplete.tflite import edit, flatbuffer, inspect, linker
from autocomplete.tflite.signatures import SCORE
from autocomplete.tokenizer import tokenizer, tokenizer_json
from helpers import records
from helpers.toy_models import steps
from helpers.toys import PROMPT_BYTES, SEQUENCE, SLOTS, WINDOW, Toy


def facts(toy: Toy) -> manifest.Records:
    """The records that earlier stages would write for the toy."""
    vocabulary = toy.vocabulary
    model = records.model(
        vocabulary=len(vocabulary.ids),
        start_token_id=vocabulary.start_token_id,
        end_token_id=vocabulary.end_token_id,
        end_token_ids=[vocabulary.end_token_id],
    )
    conversion = records.conversion(
        sequence_length=SEQUENCE, context_window=WINDOW, cache_length=SLOTS, portable_prompt_bytes=PROMPT_BYTES
    )
    speed = records.performance(machine=benchmark.machine(), runtime=interpreters.versions())
    targets: Targets = {name: {} for name in ("core.tflite", "tokens.tflite", "portable.tflite", "autocomplete.tflite")}
    return manifest.Records(model, conversion, records.recipe(), records.measured(), speed, targets, records.gates())


@pytest.fixture(scope="session")
def toy_bundle(
    toy: Toy,
    core_path: Path,
    greedy_driver: Any,
    tokens_driver: Any,
    bytes_driver: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A bundle with all models, as the stage package writes it."""
    folder, stage_records = tmp_path_factory.mktemp("bundle") / "bundle", facts(toy)
    (folder / "tokenizer").mkdir(parents=True)
    core = flatbuffer.read(core_path)
    flatbuffer.write(edit.without_signatures(core, {*steps(), SCORE}), folder / "core.tflite")
    flatbuffer.write(linker.link(tokens_driver, core), folder / "tokens.tflite")
    flatbuffer.write(linker.link(bytes_driver, core), folder / "portable.tflite")
    flatbuffer.write(linker.link(greedy_driver, core), folder / "autocomplete.tflite")
    for name, data in tokenizer_json.client_files(tokenizer.read_tokenizer_json(toy.preset)).items():
        (folder / "tokenizer" / name).write_bytes(data)
    litert_lm = manifest.litert_lm(stage_records.model, stage_records.conversion)
    litertlm.write(folder / "core.tflite", folder / "tokenizer/tokenizer.json", litert_lm, folder / manifest.LITERT_LM)
    models = {p.name: TfliteModel(**asdict(inspect.describe(p))) for p in folder.glob("*.tflite")}
    seal(folder, manifest.build(manifest.Names("toy", "Toy", "en"), stage_records, models, folder))
    return folder


def reseal(folder: Path, **changes: Any) -> None:
    """Changes the manifest, and writes the hashes that belong to it."""
    content = read_json(folder / manifest.FILE) | changes
    manifest.seal(Manifest.parse(content, manifest.FILE), folder, known_files={})


def seal(folder: Path, content: Manifest) -> None:
    """Writes card, manifest and hashes, after all other files."""
    (folder / manifest.CARD).write_text(card.render(content))
    manifest.seal(content, folder, known_files={})


@pytest.fixture
def bundle(toy_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the bundle, which a test may damage."""
    return Path(shutil.copytree(toy_bundle, tmp_path / "bundle"))


def keys(folder: Path, name: str) -> tuple[Path, Path]:
    """The paths of a new pair of keys: private, public."""
    key, private, public = Ed25519PrivateKey.generate(), folder / f"{name}.key", folder / f"{name}.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public
