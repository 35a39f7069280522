"""A model of any size with random weights, to measure speed, memory and file sizes without a download."""

import itertools
import json
from pathlib import Path

import keras
import keras_hub

from autocomplete.common.errors import UserError
from autocomplete.presets.settings import LLAMA3, RandomModelSettings
from autocomplete.tokenizer import tokenizer

# Special tokens that KerasHub's tokenizers require; GPT-2's are in the base vocabulary.
_SPECIAL = {LLAMA3: ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")}


def build(settings: RandomModelSettings, scratch: Path) -> keras_hub.models.CausalLM:
    """A model whose weights depend on the seed alone; `scratch` receives the files of its vocabulary."""
    files = [str(path) for path in _write_vocabulary(settings, scratch)]
    keras.utils.clear_session()  # Keras numbers the names of layers over all models of a process
    keras.utils.set_random_seed(settings.seed)
    return (_llama3 if settings.family == LLAMA3 else _gpt2)(settings, files)


def _gpt2(settings: RandomModelSettings, files: list[str]) -> keras_hub.models.GPT2CausalLM:
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


def _llama3(settings: RandomModelSettings, files: list[str]) -> keras_hub.models.Llama3CausalLM:
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


def _write_vocabulary(settings: RandomModelSettings, scratch: Path) -> tuple[Path, Path]:
    """Writes vocabulary.json and merges.txt with exactly `vocabulary_size` tokens.

    New tokens are pairs of the base vocabulary's tokens, in order; their merges rank after all others.
    """
    folder = Path(settings.vocabulary)
    if not (folder / "merges.txt").is_file():
        raise UserError(f"author.random.vocabulary is {folder}; allowed: a folder with vocabulary.json and merges.txt")
    base = tokenizer.read_vocabulary(folder, None, 0)
    ids, merges = dict(base.ids), list(base.merges)
    ordinary = [token for token in ids if token not in (tokenizer.END_OF_TEXT, tokenizer.PADDING)]
    for token in _SPECIAL.get(settings.family, ()):
        ids.setdefault(token, len(ids))
    if len(ids) > settings.vocabulary_size:
        raise UserError(f"author.random.vocabulary_size is {settings.vocabulary_size}; {folder} has {len(ids)} tokens")
    for left, right in itertools.product(ordinary, ordinary):
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
