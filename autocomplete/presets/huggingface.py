"""Reads folders in Hugging Face's format: config.json with a model_type, safetensors files, and a tokenizer."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autocomplete.common.errors import UserError
from autocomplete.common.json_files import JsonObject, read_object, shown
from autocomplete.presets import legacy_tokenizers, safetensors_files, special_tokens, transformers_config
from autocomplete.presets.checkpoint import Checkpoint
from autocomplete.tokenizer import tokenizer_json, tokenizer_rules, unreachable_tokens

# Endings of transformers' names of causal language models; models of other classes have another head, or none.
_CAUSAL = ("ForCausalLM", "LMHeadModel")


def is_transformers_config(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is Hugging Face's, by KerasHub's own rule: a Keras object has a registered name."""
    return "registered_name" not in config and "model_type" in config


def read(folder: Path) -> Checkpoint:
    """The checkpoint of a Hugging Face folder; reads everything but the weights.

    Raises:
      UserError: if the folder is incomplete, or would become another model than it describes.
    """
    config = _read_config(folder)
    weights = safetensors_files.select_weights(config, safetensors_files.read_headers(folder), folder)
    settings, generation = (_read_optional(folder / n) for n in ("tokenizer_config.json", "generation_config.json"))
    tokenizer = _read_tokenizer(folder, config["model_type"], settings)
    end_configs = {"generation_config.json": generation, "config.json": config}
    return Checkpoint(
        config=config,
        tokenizer=tokenizer,
        start_token_id=special_tokens.start_token_id(
            tokenizer, settings, str(folder), by_settings=not (folder / "tokenizer.json").is_file()
        ),
        end_token_ids=special_tokens.end_token_ids(tokenizer, settings, end_configs, str(folder)),
        pad_token_id=special_tokens.pad_token_id(tokenizer, settings, str(folder)),
        open=functools.partial(safetensors_files.open_weights, weights, config["tie_word_embeddings"], folder),
        metadata={},
    )


def _read_tokenizer(folder: Path, model_type: str, settings: Mapping[str, Any]) -> JsonObject:
    """The folder's complete tokenizer.json, converted from older files if it has none; checked."""
    path = folder / "tokenizer.json"
    if path.is_file():
        content: Mapping[str, Any] = read_object(path)
    elif (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        path = folder / "vocab.json"
        content = legacy_tokenizers.from_vocab_and_merges(read_object(path), folder / "merges.txt")
    elif (folder / "tokenizer.model").is_file():
        path = folder / "tokenizer.model"
        content = legacy_tokenizers.from_sentencepiece(path, start=settings.get("add_bos_token") is not False)
    else:
        raise UserError(
            f"{folder} has no tokenizer.json, from which a {model_type} gets its tokenizer: download it too"
        )
    tokenizer = tokenizer_json.complete(content, model_type, str(path))
    tokenizer_rules.read_rules(tokenizer, str(path))
    unreachable_tokens.require(tokenizer, str(path))
    return tokenizer


def _read_config(folder: Path) -> JsonObject:
    path = folder / "config.json"
    config = read_object(path)
    completed = transformers_config.complete(config, str(path))
    architectures = config.get("architectures")
    if not architectures:
        raise UserError(f"{path} names no architectures; a causal language model's folder does")
    if not isinstance(architectures, list) or not any(
        isinstance(name, str) and name.endswith(_CAUSAL) for name in architectures
    ):
        raise UserError(
            f"{path}: architectures is {shown(architectures)}; allowed: a list with a name that ends in "
            f"{' or '.join(_CAUSAL)}"
        )
    if config.get("quantization_config") is not None:
        raise UserError(f"{folder} is quantized (quantization_config); author needs the weights it was made from")
    return completed


def _read_optional(path: Path) -> JsonObject:
    return read_object(path) if path.is_file() else {}
