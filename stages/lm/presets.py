"""KerasHub presets on disk: the files, their description in model.json, and deterministic bytes."""

import json
import math
from pathlib import Path
from typing import Any

import h5py
import keras_hub
import numpy as np

from stages.errors import UserError
from stages.files import tree_sha256
from stages.lm import families, hub, huggingface, safety, tokenizer
from stages.lm.sources import ALTERNATIVES, Pin

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


def store_as_float16(folder: Path) -> None:
    """Rewrites a preset's weights in half the bytes; what loads them makes float32 of them again."""
    path = folder / "model.weights.h5"
    halved = path.with_suffix(".half")
    with h5py.File(path) as source, h5py.File(halved, "w", libver="latest") as target:

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Dataset):
                made = target.create_dataset(name, data=item[()].astype(np.float16), track_times=False)
            else:
                made = target.require_group(name)
            made.attrs.update(item.attrs)

        target.attrs.update(source.attrs)
        source.visititems(copy)
    halved.replace(path)


def preset_sha256(folder: Path) -> str:
    """The hash of what a model is loaded from: a preset's files less its description and the texts beside it."""
    return tree_sha256(folder, leave_out=[DESCRIPTION, EVALUATION_TEXT, CALIBRATION_TEXT])


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


def load_folder(folder: Path) -> keras_hub.models.CausalLM:
    """Loads a causal LM from a KerasHub preset or a Hugging Face folder that holds nothing but data."""
    foreign = _check(folder)
    try:
        if foreign:
            backbone = keras_hub.models.Backbone.from_preset(str(folder), **huggingface.corrections(folder))
            model = keras_hub.models.CausalLM.from_preset(str(folder), backbone=backbone)
        else:
            model = keras_hub.models.CausalLM.from_preset(str(folder))
    except Exception as error:  # loaders raise whatever they like; the user needs one line
        detail = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise UserError(f"preset {str(folder)!r} cannot be loaded: {detail}; {ALTERNATIVES}") from None
    families.check(str(folder), type(model.backbone).__name__)
    if model.preprocessor is None:
        raise UserError(f"preset {str(folder)!r} has no tokenizer; {ALTERNATIVES}")
    longest = huggingface.longest(folder) if foreign else None
    if longest is not None:
        model.preprocessor.sequence_length = min(longest, model.preprocessor.sequence_length)
    return model


def provenance(preset: str, found: hub.Found, pin: Pin) -> dict[str, Any]:
    """Where a preset is from: name, revision, the hash of its files, and what it was converted from.

    Raises:
      UserError: where the hash is another one than the pin's.
    """
    sha256 = preset_sha256(found.folder)
    if pin.sha256 not in (None, sha256):
        raise UserError(
            f"the files of preset {preset!r} have the SHA-256 {sha256}, not {pin.sha256} (author.sha256): they are not "
            "those that were pinned; take the pinned revision, or look at what changed and pin anew"
        )
    foreign = is_foreign(found.folder)
    kind = json.loads((found.folder / "config.json").read_bytes())["model_type"] if foreign else None
    return {
        "source": Path(preset).name if Path(preset).is_absolute() else preset,
        "source_revision": found.revision,
        "source_sha256": sha256,
        "converted_from": f"Hugging Face's {kind}, by KerasHub {keras_hub.__version__}" if foreign else None,
    }


def is_foreign(folder: Path) -> bool:
    """Whether a folder is Hugging Face's; raises UserError where it is neither that nor KerasHub's."""
    path = folder / "config.json"
    if not path.is_file():
        raise UserError(f"{folder} holds no config.json: not a KerasHub preset; {ALTERNATIVES}")
    try:
        config = json.loads(path.read_bytes())
    except ValueError:
        config = None
    if isinstance(config, dict) and huggingface.is_foreign(config):
        return True
    if not isinstance(config, dict) or not isinstance(config.get("class_name"), str):
        raise UserError(f"{path} is not the configuration of a KerasHub preset; {ALTERNATIVES}")
    families.check(str(folder), config["class_name"])
    return False


def _check(folder: Path) -> bool:
    """Refuses what cannot or must not be loaded, before any of it is; says whether the folder is Hugging Face's."""
    foreign = is_foreign(folder)
    safety.check(folder)
    if foreign:
        huggingface.check(folder)
    return foreign


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
