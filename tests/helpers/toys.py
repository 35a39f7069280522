"""A toy GPT-2 with two layers and its own vocabulary, built in seconds."""

import argparse
import datetime
import decimal
import difflib
import doctest
import functools
import heapq
import json
import optparse
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autocomplete.common.native_log import quiet
from helpers.folders import kept

SLOTS, SEQUENCE, WINDOW, CHUNK = 64, 48, 24, 8
PROMPT_BYTES = 200  # of the bytes driver
TEXT = [str(m.__doc__) for m in (argparse, datetime.datetime, decimal, difflib.Differ, doctest, heapq, json, optparse)]
PROMPTS = ["Returns the", "Raises ValueError where", "a", "  two  blanks", "naïve café – 日本", "don't you're 's"]


@dataclass(frozen=True)
class Toy:
    """A toy preset on disk, the Keras model, and its weights in the decoder's layout."""

    preset: Path
    model: Any
    weights: Any
    vocabulary: Any
    bpe: Any
    end: int = 1


def make_toy(folder: Path) -> Toy:
    """Writes the toy's preset and vocabulary into a folder."""
    with quiet():
        import keras

        from autocomplete.model import families
        from autocomplete.presets import presets
        from autocomplete.tokenizer import tokenizer
    keras.backend.clear_session()  # as in a new process: Keras numbers the names of its layers
    tokenizer.train(TEXT, 512, folder / "tokenizer")
    vocabulary = tokenizer.read_vocabulary(folder / "tokenizer", 1, 1)
    model = _model(folder / "tokenizer", len(vocabulary.ids))
    presets.save(model, folder / "preset")
    presets.write_tokenizer(tokenizer.keras_tokenizer_json(folder / "tokenizer"), folder / "preset")
    weights = families.read_weights(folder / "preset", SLOTS)
    return Toy(folder / "preset", model, weights, vocabulary, tokenizer.from_keras_folder(folder / "tokenizer"))


def _model(vocabulary: Path, size: int) -> Any:
    """KerasHub's GPT-2 with random weights, around a vocabulary of `size` tokens."""
    with quiet():
        import keras_hub

    files = [str(vocabulary / n) for n in ("vocabulary.json", "merges.txt")]
    text = keras_hub.models.GPT2Tokenizer(*files, name="tokenizer")
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
    for weight in backbone.weights:  # random norms and biases too: values of 0 or 1 would hide a mistake
        weight.assign(random.normal(0.0, 0.25, weight.shape) + (1.0 if "gamma" in weight.path else 0.0))
    preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(text, sequence_length=96)
    return keras_hub.models.GPT2CausalLM(backbone=backbone, preprocessor=preprocessor)


@functools.cache
def authored(preset: Path) -> Path:
    """A KerasHub preset with its tokenizer.json, as author writes it."""
    from autocomplete.presets import presets
    from autocomplete.tokenizer import tokenizer

    folder = Path(shutil.copytree(preset, kept("authored") / "preset"))
    presets.write_tokenizer(tokenizer.keras_tokenizer_json(preset / tokenizer.FOLDER), folder)
    return folder


def client_tokenizer(toy: Toy) -> str:
    """The tokenizer.json of a bundle, in which nothing is a special token."""
    from autocomplete.tokenizer import tokenizer, tokenizer_json

    return tokenizer_json.client_files(tokenizer.read_tokenizer_json(toy.preset))["tokenizer.json"].decode()
