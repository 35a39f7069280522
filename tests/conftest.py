"""A toy GPT-2 (two layers, its own vocabulary) and what the pipeline makes of it, in seconds."""

import argparse
import atexit
import datetime
import decimal
import difflib
import doctest
import functools
import heapq
import json
import optparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import yaml

from autocomplete.common.native_log import quiet

os.environ["DVC_TEST"] = "true"  # else each DVC command starts a process that reports to analytics.dvc.org

pytest_plugins = ["helpers.bundles", "helpers.projects"]
ROOT = Path(__file__).parent.parent
LONGEST = (
    "clients",
    "graph",
    "model",
    "pipeline",
    "presets",
    "quantize",
    "tokenizer",
    "train",
    "web",
)  # modules of minutes
SLOTS, SEQUENCE, WINDOW, CHUNK = 64, 48, 24, 8
PROMPT_BYTES = 200  # of the bytes driver
TEXT = [str(m.__doc__) for m in (argparse, datetime.datetime, decimal, difflib.Differ, doctest, heapq, json, optparse)]
PROMPTS = ["Returns the", "Raises ValueError where", "a", "  two  blanks", "naïve café – 日本", "don't you're 's"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with the longest modules: at the end one would keep a process at work while the others have nothing."""
    items.sort(key=lambda item: item.path.parent.name not in LONGEST)


@dataclass(frozen=True)
class Toy:
    """A toy preset on disk, the Keras model, and its weights in the decoder's layout."""

    preset: Path
    model: Any
    weights: Any
    vocabulary: Any
    bpe: Any
    end: int = 1


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    return make_toy(tmp_path_factory.mktemp("toy"))


def make_toy(folder: Path) -> Toy:
    """Writes the toy's preset and vocabulary into a folder."""
    with quiet():
        import keras
        import keras_hub

        from autocomplete.model import families
        from autocomplete.presets import presets
        from autocomplete.tokenizer import tokenizer
    keras.backend.clear_session()  # as in a new process: Keras numbers the names of its layers
    tokenizer.train(TEXT, 512, folder / "tokenizer")
    files = [str(folder / "tokenizer" / n) for n in ("vocabulary.json", "merges.txt")]
    text = keras_hub.models.GPT2Tokenizer(*files, name="tokenizer")
    size = len(tokenizer.read_vocabulary(folder / "tokenizer", 1, 1).ids)
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=size,
        num_layers=2,
        num_heads=2,
        hidden_dim=32,
        intermediate_dim=128,
        dropout=0.0,
        max_sequence_length=96,
        name="backbone",
    )
    random = np.random.default_rng(7)
    for weight in backbone.weights:  # random norms and biases too: what is 0 or 1 would hide a mistake
        weight.assign(random.normal(0.0, 0.25, weight.shape) + (1.0 if "gamma" in weight.path else 0.0))
    preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(text, sequence_length=96)
    model = keras_hub.models.GPT2CausalLM(backbone=backbone, preprocessor=preprocessor)
    presets.save(model, folder / "preset")
    presets.write_tokenizer(tokenizer.keras_tokenizer_json(folder / "tokenizer"), folder / "preset")
    vocabulary = tokenizer.read_vocabulary(folder / "tokenizer", 1, 1)
    return Toy(
        folder / "preset",
        model,
        families.weights(folder / "preset", SLOTS),
        vocabulary,
        tokenizer.from_keras_folder(folder / "tokenizer"),
    )


@pytest.fixture(scope="session")
def core_path(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy's float32 core with prefill_8, prefill_32 and decode."""
    from autocomplete.graph import core
    from autocomplete.tflite import flatbuffer

    path = tmp_path_factory.mktemp("core") / "core.tflite"
    with quiet():
        flatbuffer.write(core.build(toy.weights, SLOTS, [CHUNK, 32], steps()), path)
    return path


def steps(sequence: int = SEQUENCE) -> Any:
    """The forms of `step` that the drivers of the toy call."""
    from autocomplete.graph import fixed_loop, growing_loop

    lengths = growing_loop.Lengths(sequence, CHUNK, 4, guessed=8)
    return fixed_loop.rooms(lengths) | growing_loop.rooms(lengths)


def driver(
    toy: Toy,
    name: str = "greedy",
    seed: int | None = None,
    sequence: int = SEQUENCE,
    window: int = WINDOW,
    suppressed: Sequence[int] = (),
) -> Any:
    """A text driver for the toy."""
    from autocomplete.graph import drivers, growing_loop
    from autocomplete.graph.sampler import Sampler

    limits = drivers.Limits(growing_loop.Lengths(sequence, CHUNK, 4), window, 788)
    rule = Sampler(name, 5, 0.9, 1.0, seed, suppressed)
    with quiet():
        return drivers.convert_text_driver(toy.vocabulary, toy.weights.shape, limits, rule)


@pytest.fixture(scope="session")
def greedy_driver(toy: Toy) -> Any:
    return driver(toy)


@pytest.fixture(scope="session")
def tokens_driver(toy: Toy) -> Any:
    """The tokens driver for the toy."""
    from autocomplete.graph import drivers, growing_loop

    with quiet():
        return drivers.convert_tokens_driver(
            toy.weights.shape, toy.vocabulary.end_token_ids, growing_loop.Lengths(SEQUENCE, CHUNK, 4)
        )


@pytest.fixture(scope="session")
def bytes_driver(toy: Toy) -> Any:
    """The bytes driver for the toy."""
    return bytes_driver_of(toy)


def bytes_driver_of(toy: Toy, growing: bool = False, suppressed: Sequence[int] = (), guessed: int = 1) -> Any:
    """A bytes driver for the toy, around either loop."""
    from autocomplete.graph import bytes_driver, growing_loop

    lengths = growing_loop.Lengths(SEQUENCE, CHUNK, 4, guessed)
    limits = bytes_driver.Limits(lengths, WINDOW, PROMPT_BYTES, growing)
    with quiet():
        return bytes_driver.convert(toy.vocabulary, toy.weights.shape, limits, suppressed)


MODES = sorted(p.stem for p in Path("conf/quantize").glob("*.yaml"))


def settings(mode: str) -> dict[str, Any]:
    """What a mode's file says."""
    return dict(yaml.safe_load(Path(f"conf/quantize/{mode}.yaml").read_text()))


def quantized(toy: Toy, core: Path, mode: str, text: bool = False) -> Any:
    """The toy's core in a mode, or the core inside its text model, calibrated where the mode asks for it."""
    from autocomplete.data import evaluation_text as documents
    from autocomplete.quantize import recipes

    chosen = settings(mode)
    recipe = (text and chosen.get("text_recipe")) or chosen["recipe"]
    windows = documents.windows(TEXT, toy.bpe, documents.BoundaryTokens(None, toy.vocabulary.end_token_id), SLOTS, 4)
    return recipes.quantize(core, recipe, recipes.calibrate(core, recipe, windows.tolist()))


def absent(message: str) -> NoReturn:
    """Skips a test that lacks a program; in the gate, which installs them all, that is a failure."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(message)


def gpt2_vocabulary() -> Any:
    """GPT-2's published vocabulary, which lies beside the project and is no part of it."""
    from autocomplete.tokenizer import tokenizer

    found = [p / "shared/data/gpt2_bpe" for p in Path(__file__).parents if (p / "shared/data/gpt2_bpe").is_dir()]
    if not found:
        pytest.skip("shared/data/gpt2_bpe is absent: GPT-2's published vocabulary is not part of the project")
    ids = json.loads((found[0] / "encoder.json").read_text())
    lines = (found[0] / "vocab.bpe").read_text().split("\n")[1:]
    end = ids[tokenizer.END_OF_TEXT]
    return tokenizer.Vocabulary(ids, [(a, b) for a, b in (line.split(" ") for line in lines if line)], end, end)


def client_tokenizer(toy: Toy) -> str:
    """The tokenizer.json of a bundle, in which nothing is a special token."""
    from autocomplete.tokenizer import tokenizer, tokenizer_json

    return tokenizer_json.client_files(tokenizer.read_tokenizer_json(toy.preset))["tokenizer.json"].decode()


@functools.cache
def authored(preset: Path) -> Path:
    """A KerasHub preset with its tokenizer.json beside it, as author writes it."""
    from autocomplete.presets import presets
    from autocomplete.tokenizer import tokenizer

    folder = Path(shutil.copytree(preset, kept("authored") / "preset"))
    presets.write_tokenizer(tokenizer.keras_tokenizer_json(preset / tokenizer.FOLDER), folder)
    return folder


def kept(name: str) -> Path:
    """A new folder for what several tests share; gone when the tests are."""
    folder = Path(tempfile.mkdtemp(prefix=name))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def isolated(*packages: str) -> str:
    """A Python 3.11 with these packages alone, none of this project's; made once."""
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        absent("uv is absent: it makes environments of their own (run the tests by `uv run pytest`)")
    folder = kept("isolated")
    python = str(folder / "bin/python")
    for command in (["venv", "--python", "3.11", folder], ["pip", "install", "--python", python, *packages]):
        subprocess.run([uv, *command, "--quiet"], cwd=folder, check=True)
    return python


def stage(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs `python -m stages.…` as a user does."""
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )


def keras_greedy(toy: Toy, ids: list[int], length: int, suppressed: Sequence[int] = ()) -> list[int]:
    """Greedy decoding by KerasHub's own generate(), the end token included, without the suppressed ids."""
    tokens = np.zeros((1, length), np.int32)
    tokens[0, : len(ids)] = ids
    mask = (np.arange(length) < len(ids))[None]
    end = toy.end
    with quiet():
        out = _generating(toy.model, tuple(suppressed))(
            {"token_ids": tokens, "padding_mask": mask}, stop_token_ids=[end]
        )
    said = np.asarray(out["token_ids"])[0][np.asarray(out["padding_mask"])[0].astype(bool)][len(ids) :].tolist()
    return said[: said.index(end) + 1] if end in said else said


@functools.cache
def _generating(model: Any, suppressed: tuple[int, ...]) -> Any:
    """The function inside generate(), which without a preprocessor fails on what Gemma 3's returns; traced once."""
    from keras_hub.samplers import GreedySampler

    class Sampler(GreedySampler):
        def get_next_token(self, probabilities: Any) -> Any:
            return super().get_next_token(probabilities * ~np.isin(np.arange(probabilities.shape[-1]), suppressed))

    bare = type(model)(backbone=model.backbone, preprocessor=None)
    bare.compile(sampler=Sampler(), jit_compile=False)
    return bare.make_generate_function()


def subject_of(toy: Toy, core_path: Path) -> Any:
    """The toy as validate looks at it, its float32 core alone."""
    from autocomplete.evaluate.mode_files import Subject

    model = {
        "start_token_id": 1,
        "end_token_id": 1,
        "end_token_ids": [1],
        "pre_tokenizer": "gpt2",
        "add_start_token": True,
    }
    settings = {
        "sequence_length": SEQUENCE,
        "context_window": 24,
        "max_output_bytes": 788,
        "sampler": "greedy",
        "suppress_tokens": [],
        "complete_word": False,
        "portable_loop": "fixed",
    }
    return Subject(toy.preset, core_path.parent, core_path.parent, core_path, toy.bpe, model, settings, 1)
