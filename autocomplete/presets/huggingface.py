"""Hugging Face's folders, as transformers saves them: config.json with a model_type, safetensors, tokenizer.json."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autocomplete.common.errors import UserError
from autocomplete.common.json_files import read_object, shown
from autocomplete.presets import legacy_tokenizers, safetensors_files, special_tokens, transformers_config
from autocomplete.presets.checkpoint import Checkpoint
from autocomplete.tokenizer import tokenizer_json, tokenizer_rules

# Ends of transformers' names of causal language models; of others the folder may lack the head, or have another.
_CAUSAL = ("ForCausalLM", "LMHeadModel")


def is_foreign(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is Hugging Face's, by KerasHub's own rule: a Keras object has a registered name."""
    return "registered_name" not in config and "model_type" in config


def read(folder: Path) -> Checkpoint:
    """Describes the model of a Hugging Face folder before any of its weights is read.

    Raises:
      UserError: where the folder is not whole, or would become another model than it says.
    """
    config = _read_config(folder)
    weights = safetensors_files.chosen(config, safetensors_files.headers(folder), folder)
    settings, generation = (_optional(folder / name) for name in ("tokenizer_config.json", "generation_config.json"))
    tokenizer = _tokenizer(folder, config["model_type"], settings)
    return Checkpoint(
        config=config,
        tokenizer=tokenizer,
        start=special_tokens.start_of(tokenizer, settings, str(folder)),
        ends=special_tokens.ends_of(
            tokenizer, settings, {"generation_config.json": generation, "config.json": config}, str(folder)
        ),
        padding=special_tokens.padding_of(tokenizer, settings, str(folder)),
        open=functools.partial(safetensors_files.opened, weights, config["tie_word_embeddings"], folder),
        named={},
    )


def _tokenizer(folder: Path, model_type: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The folder's tokenizer.json, or what older files of a tokenizer say in its form; checked."""
    path = folder / "tokenizer.json"
    if path.is_file():
        found: Mapping[str, Any] = read_object(path)
    elif (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        path = folder / "vocab.json"
        found = legacy_tokenizers.of_files(read_object(path), folder / "merges.txt")
    elif (folder / "tokenizer.model").is_file():
        path = folder / "tokenizer.model"
        found = legacy_tokenizers.of_sentencepiece(path, start=settings.get("add_bos_token") is not False)
    else:
        raise UserError(
            f"{folder} has no tokenizer.json, from which a {model_type} gets its tokenizer: download it too"
        )
    completed = tokenizer_json.complete(found, model_type, str(path))
    tokenizer_rules.read_rules(completed, str(path))
    tokenizer_json.require_unreachable_special_tokens(completed, str(path))
    return completed


def _read_config(folder: Path) -> dict[str, Any]:
    place = folder / "config.json"
    config = read_object(place)
    made = transformers_config.completed(config, str(place))
    named = config.get("architectures")
    if not named:
        raise UserError(f"{place} names no architectures; a causal language model's folder does")
    if not isinstance(named, list) or not any(isinstance(n, str) and n.endswith(_CAUSAL) for n in named):
        raise UserError(
            f"{place}: architectures is {shown(named)}; allowed: a list with a name that ends in {' or '.join(_CAUSAL)}"
        )
    if config.get("quantization_config") is not None:
        raise UserError(f"{folder} is quantized (quantization_config); author needs the weights it was made from")
    return made


def _optional(path: Path) -> dict[str, Any]:
    return read_object(path) if path.is_file() else {}
