"""Hugging Face folders that transformers itself writes give the same logits and tokens as transformers."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from autocomplete.common.files import read_json
from autocomplete.common.native_log import quiet
from autocomplete.evaluate import parity
from autocomplete.graph import core
from autocomplete.model import families
from autocomplete.presets.settings import DESCRIPTION
from autocomplete.runtime import compiled
from autocomplete.tflite import flatbuffer
from autocomplete.tokenizer import tokenizer
from helpers import odd_texts, references
from helpers.toys import CHUNK, SLOTS, TEXT
from stages import author

pytestmark = [pytest.mark.slow, pytest.mark.network]

# The toys of tests/helpers/workers/transformers_toys.py: transformers' model_type and its variant.
TOYS = (
    "gpt2",
    "llama",
    "llama_tied",
    "llama2",
    "llama2_metaspace",
    "mistral",
    "qwen2",
    "qwen3",
    "gemma",
    "gemma2",
    "gemma3_text",
)
MOST, MEAN = 1e-3, 1e-4  # largest differences between logits

Ids = list[list[int]]


@pytest.fixture(scope="module")
def strings() -> list[str]:
    return odd_texts.strings(TEXT)


@pytest.fixture(scope="module")
def written(strings: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with transformers' toys, their logits and ids."""
    folder = tmp_path_factory.mktemp("toys")
    inputs = folder / "given.json"
    inputs.write_text(json.dumps({"training": [*TEXT, *strings[::7]], "strings": strings}))
    references.run("transformers_toys.py", references.transformers_python(), folder, inputs)
    assert {path.stem for path in folder.glob("*.npz")} == set(TOYS)
    return folder


@dataclass(frozen=True)
class Toy:
    """A toy's folder by transformers, the preset that author wrote, and transformers' ids and logits."""

    folder: Path
    preset: Path
    ids: np.ndarray
    logits: np.ndarray
    plain: Ids
    whole: Ids


@pytest.fixture(scope="module", params=TOYS)
def toy(request: pytest.FixtureRequest, written: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toy]:
    name, out = str(request.param), tmp_path_factory.mktemp("authored") / "author"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(author, "OUT", out)
        author.run(author.AuthorSettings(str(written / name), "MIT", True))
    arrays, ids = np.load(written / f"{name}.npz"), json.loads((written / f"{name}.json").read_text())
    yield Toy(written / name, out, arrays["ids"], arrays["logits"], ids["plain"], ids["whole"])


def encode(preset: Path, strings: list[str]) -> Ids:
    """Ids by the tokenizer that the stages read from a preset."""
    return [e.ids for e in tokenizer.from_preset(preset).encode_batch(strings)]


@pytest.fixture(scope="module")
def session(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> compiled.CompiledSession:
    """The toy's float32 core."""
    path = tmp_path_factory.mktemp("core") / "core.tflite"
    with quiet():
        flatbuffer.write(core.build(families.read_weights(toy.preset, SLOTS), SLOTS, [CHUNK], {}), path)
    return compiled.CompiledSession(compiled.load(path, threads=1))


@pytest.mark.parametrize("read_by_prefill", [0, 2 * CHUNK + 3])
def test_logits_are_transformers(toy: Toy, session: compiled.CompiledSession, read_by_prefill: int) -> None:
    session.reset()
    session.prefill(toy.ids[:read_by_prefill], CHUNK)
    decoded = np.stack([session.decode(int(t)) for t in toy.ids[read_by_prefill:]])
    expected = toy.logits[read_by_prefill:]
    maximum, mean = parity.difference(decoded[:, : expected.shape[1]], expected)
    assert (maximum <= MOST, mean <= MEAN) == (True, True), (maximum, mean)
    assert expected.std() > 0.1  # logits that are all alike would prove nothing


def test_tokens_of_odd_texts_are_transformers(toy: Toy, strings: list[str]) -> None:
    encoded = encode(toy.preset, strings)
    differing = [(t, a, b) for t, a, b in zip(strings, encoded, toy.plain, strict=True) if a != b]
    assert differing[:3] == [], f"{len(differing)} of {len(strings)}"
    used = {i for ids in encoded for i in ids}
    assert len(used) > 0.75 * toy.logits.shape[1]  # the others: bytes that UTF-8 does not use, and intermediate merges


def test_start_and_end_tokens_are_transformers(toy: Toy) -> None:
    """The token that transformers puts before a text, and those that its generate() stops at."""
    description = read_json(toy.preset / DESCRIPTION)
    start = [description["start_token_id"]] if description["add_start_token"] else []
    assert toy.whole[0] == start + toy.plain[0]
    ends = read_json(toy.folder / "generation_config.json")["eos_token_id"]
    assert description["end_token_ids"] == ends
