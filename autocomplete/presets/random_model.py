"""A model of any size with random weights: what to measure speed, memory and file sizes on without a download."""

import itertools
import json
from pathlib import Path

import keras
import keras_hub

from autocomplete.common.errors import UserError
from autocomplete.presets.settings import LLAMA3, Dimensions
from autocomplete.tokenizer import tokenizer

# KerasHub's tokenizers ask for these; the base vocabulary has GPT-2's.
_SPECIAL = {LLAMA3: ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")}


def build(settings: Dimensions, scratch: Path) -> keras_hub.models.CausalLM:
    """A model whose weights depend on the seed alone; its vocabulary's files are written to `scratch`."""
    files = [str(p) for p in _write_vocabulary(settings, scratch)]
    keras.utils.clear_session()  # Keras counts layers into their names, over all models of a process
    keras.utils.set_random_seed(settings.seed)
    return (_llama3 if settings.family == LLAMA3 else _gpt2)(settings, files)


def _gpt2(settings: Dimensions, files: list[str]) -> keras_hub.models.GPT2CausalLM:
    text = keras_hub.models.GPT2Tokenizer(*files, name="tokenizer")
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=settings.vocabulary_size,
        num_layers=settings.layers,
        num_heads=settings.heads,
        hidden_dim=settings.hidden,
        intermediate_dim=4 * settings.hidden,
        max_sequence_length=settings.context,
        name="backbone",
    )
    preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(text, sequence_length=settings.context)
    return keras_hub.models.GPT2CausalLM(backbone=backbone, preprocessor=preprocessor)


def _llama3(settings: Dimensions, files: list[str]) -> keras_hub.models.Llama3CausalLM:
    text = keras_hub.models.Llama3Tokenizer(*files, name="tokenizer")
    backbone = keras_hub.models.Llama3Backbone(
        vocabulary_size=settings.vocabulary_size,
        num_layers=settings.layers,
        num_query_heads=settings.heads,
        num_key_value_heads=settings.kv_heads,
        hidden_dim=settings.hidden,
        intermediate_dim=settings.inner,
        name="backbone",
    )
    preprocessor = keras_hub.models.Llama3CausalLMPreprocessor(text, sequence_length=settings.context)
    return keras_hub.models.Llama3CausalLM(backbone=backbone, preprocessor=preprocessor)


def _write_vocabulary(settings: Dimensions, scratch: Path) -> tuple[Path, Path]:
    """vocabulary.json and merges.txt of exactly `vocabulary_size` tokens.

    Tokens that are missing are pairs of those there are, in order, merged after all others.
    """
    folder = Path(settings.vocabulary)
    if not (folder / "merges.txt").is_file():
        raise UserError(f"author.random.vocabulary is {folder}; allowed: a folder with vocabulary.json and merges.txt")
    known = tokenizer.read_vocabulary(folder, None, 0)
    ids, merges = dict(known.ids), list(known.merges)
    plain = [t for t in ids if t not in (tokenizer.END_OF_TEXT, tokenizer.PADDING)]
    for token in _SPECIAL.get(settings.family, ()):
        ids.setdefault(token, len(ids))
    if len(ids) > settings.vocabulary_size:
        raise UserError(f"author.random.vocabulary_size is {settings.vocabulary_size}; {folder} has {len(ids)} tokens")
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
