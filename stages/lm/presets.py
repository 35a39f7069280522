"""KerasHub presets on disk: the files, their description in model.json, and deterministic bytes."""

import json
import math
import os
import socket
from pathlib import Path
from typing import Any

import keras_hub

from stages.errors import UserError
from stages.files import tree_sha256
from stages.lm import families, tokenizer

DESCRIPTION = "model.json"
EVALUATION_TEXT = "evaluation.jsonl"
CALIBRATION_TEXT = "calibration.jsonl"
# How the models were trained; KerasHub's own tokenizers do not cut texts into words outside of tf.data.
_TOKENIZERS = {
    "GPT2Tokenizer": tokenizer.GPT2,
    "OPTTokenizer": tokenizer.GPT2,
    "GPTNeoXTokenizer": tokenizer.GPT2,
    "Llama3Tokenizer": tokenizer.LLAMA3,
    "QwenTokenizer": tokenizer.QWEN,
    "Qwen3Tokenizer": tokenizer.QWEN,
    "LlamaTokenizer": tokenizer.SENTENCEPIECE,
    "MistralTokenizer": tokenizer.SENTENCEPIECE,
    "GemmaTokenizer": tokenizer.SENTENCEPIECE,
    "Gemma3Tokenizer": tokenizer.SENTENCEPIECE,
}

_ALTERNATIVES = (
    "author.preset takes a hub name (with a network), a local preset folder, "
    "or artifacts/presets/pydoc_gpt2, which ships with the project (use.author=pydoc_gpt2)"
)


def save(model: keras_hub.models.CausalLM, folder: Path) -> None:
    """Writes a causal LM as a KerasHub preset whose bytes depend on the model alone (no dates)."""
    model.save_to_preset(str(folder))
    _keep_tie(model, folder)
    metadata = folder / "metadata.json"
    content = json.loads(metadata.read_text())
    content.pop("date_saved", None)
    metadata.write_text(json.dumps(content, indent=4) + "\n")


def _keep_tie(model: keras_hub.models.CausalLM, folder: Path) -> None:
    """Notes that head and embedding are tied: KerasHub 0.31 forgets it of Llama, and cannot load the preset again."""
    if not getattr(model.backbone, "tie_word_embeddings", False):
        return
    for name in ("config.json", "task.json"):
        content = json.loads((folder / name).read_text())
        backbone = content if name == "config.json" else content["config"]["backbone"]
        if backbone["config"].setdefault("tie_word_embeddings", True):
            (folder / name).write_text(json.dumps(content, indent=4))


def preset_sha256(folder: Path) -> str:
    """The hash of a preset's files, its own description left out."""
    return tree_sha256(folder, leave_out=[DESCRIPTION])


def parameter_count(model: keras_hub.models.CausalLM) -> int:
    """The number of weights, a tied matrix counted once."""
    return sum(math.prod(v.shape) for v in model.backbone.weights)


def to_jsonl(documents: list[str]) -> str:
    """One JSON string a line: documents may hold line ends."""
    return "".join(json.dumps({"text": d}, ensure_ascii=False) + "\n" for d in documents)


def special_ids(tokenizer: Any) -> dict[str, int | None]:
    """The ids of start, end and padding tokens, null where a tokenizer has none."""
    names = ("start_token_id", "end_token_id", "pad_token_id")
    return {n: getattr(tokenizer, n, None) for n in names}


def load(preset: str) -> keras_hub.models.CausalLM:
    """Loads a causal LM by hub name, handle or folder; raises UserError with what to do where that fails."""
    folder = Path(preset)
    local = folder.is_dir()
    if not local and (preset.startswith((".", "/")) or ("/" in preset and "://" not in preset)):
        raise UserError(f"preset folder {preset} does not exist; {_ALTERNATIVES}")
    if local and not (folder / "config.json").is_file():
        raise UserError(f"{preset} holds no config.json: not a KerasHub preset; {_ALTERNATIVES}")
    if local:
        families.check(preset, _backbone_class(folder / "config.json"))  # before any weight is read
    offline = not local and not _online(preset)
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"  # downloads kept from earlier still load; others fail at once
    try:
        model = keras_hub.models.CausalLM.from_preset(preset)
    except Exception as error:  # hubs and loaders raise whatever they like; the user needs one line
        detail = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        reason = f"there is no network and no earlier download ({detail})" if offline else detail
        raise UserError(f"preset {preset!r} cannot be loaded: {reason}; {_ALTERNATIVES}") from None
    families.check(preset, type(model.backbone).__name__)
    if model.preprocessor is None:
        raise UserError(f"preset {preset!r} has no tokenizer; {_ALTERNATIVES}")
    return model


def _backbone_class(path: Path) -> str:
    try:
        return str(json.loads(path.read_text())["class_name"])
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path} is not the configuration of a KerasHub preset; {_ALTERNATIVES}") from None


def _online(preset: str) -> bool:
    """Whether the hub's name resolves (or a proxy would do that for us)."""
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True
    try:
        socket.getaddrinfo("huggingface.co" if preset.startswith("hf://") else "api.kaggle.com", 443)
    except OSError:
        return False
    return True


def tokenizer_kind(model: keras_hub.models.CausalLM) -> str:
    """How a model's tokenizer cuts a text into words: a name of stages/lm/tokenizer.py."""
    name = type(model.preprocessor.tokenizer).__name__
    if name not in _TOKENIZERS:
        raise UserError(f"the preset has a {name}; tokenizers that can be converted: {', '.join(_TOKENIZERS)}")
    return _TOKENIZERS[name]


def _context_length(model: keras_hub.models.CausalLM) -> int:
    """The rows of the table of positions, or how long a text the preprocessor makes where positions are rotary."""
    learned = getattr(model.backbone, "max_sequence_length", None)
    return int(model.preprocessor.sequence_length if learned is None else learned)


def describe(model: keras_hub.models.CausalLM, source: str, licence: str) -> dict[str, Any]:
    """What later stages need to know of a preset without loading it."""
    return {
        "family": families.FAMILIES[type(model.backbone).__name__],
        "parameters": parameter_count(model),
        "vocabulary": model.backbone.vocabulary_size,
        "context_length": _context_length(model),
        "pre_tokenizer": tokenizer_kind(model),
        "add_start_token": bool(model.preprocessor.add_start_token),
        **special_ids(model.preprocessor.tokenizer),
        "source": source,
        "license": licence,
    }
