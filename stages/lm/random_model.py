"""A GPT-2 of any size with random weights: what to measure speed, memory and file sizes on without a download."""

import itertools
import json
from pathlib import Path

import keras
import keras_hub

from stages.errors import UserError
from stages.lm import tokenizer
from stages.lm.dimensions import Dimensions


def build(settings: Dimensions, scratch: Path) -> keras_hub.models.GPT2CausalLM:
    """A GPT-2 whose weights depend on the seed alone; its vocabulary's files are written to `scratch`."""
    files = [str(p) for p in _write_vocabulary(settings, scratch)]
    keras.utils.clear_session()  # Keras counts layers into their names, over all models of a process
    keras.utils.set_random_seed(settings.seed)
    text = keras_hub.models.GPT2Tokenizer(*files, name="tokenizer")
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=settings.vocabulary_size, num_layers=settings.layers, num_heads=settings.heads,
        hidden_dim=settings.hidden, intermediate_dim=4 * settings.hidden, max_sequence_length=settings.context,
        name="backbone",
    )  # fmt: skip
    preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(text, sequence_length=settings.context)
    return keras_hub.models.GPT2CausalLM(backbone=backbone, preprocessor=preprocessor)


def _write_vocabulary(settings: Dimensions, scratch: Path) -> tuple[Path, Path]:
    """vocabulary.json and merges.txt of exactly `vocabulary_size` tokens.

    Tokens that are missing are pairs of those there are, in order, merged after all others.
    """
    folder = Path(settings.vocabulary)
    if not (folder / "merges.txt").is_file():
        raise UserError(f"author.random.vocabulary is {folder}; allowed: a folder with vocabulary.json and merges.txt")
    known = tokenizer.read_vocabulary(folder, None, 0)
    ids, merges = dict(known.ids), list(known.merges)
    if len(ids) > settings.vocabulary_size:
        raise UserError(f"author.random.vocabulary_size is {settings.vocabulary_size}; {folder} has {len(ids)} tokens")
    plain = [t for t in ids if t not in (tokenizer.END_OF_TEXT, tokenizer.PADDING)]
    for left, right in itertools.product(plain, plain):
        if len(ids) == settings.vocabulary_size:
            break
        if left + right not in ids:
            ids[left + right] = len(ids)
            merges.append((left, right))
    scratch.mkdir(parents=True, exist_ok=True)
    paths = scratch / "vocabulary.json", scratch / "merges.txt"
    paths[0].write_text(json.dumps(ids, ensure_ascii=False))
    paths[1].write_text("#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in merges))
    return paths
