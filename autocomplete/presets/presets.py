"""Presets on disk: writing them in deterministic bytes, their description in model.json, and where they came from."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import keras_hub
import numpy as np

from autocomplete.common.errors import UserError
from autocomplete.common.files import sha256, tree_sha256
from autocomplete.common.native_log import quiet
from autocomplete.data.general_text import CALIBRATION_TEXT, EVALUATION_TEXT
from autocomplete.model import families
from autocomplete.presets import hub
from autocomplete.presets.loading import Loaded
from autocomplete.presets.settings import DESCRIPTION, Pin
from autocomplete.tokenizer import tokenizer, tokenizer_json, tokenizer_rules


def save(model: keras_hub.models.CausalLM, folder: Path) -> None:
    """Writes a causal LM as a KerasHub preset whose bytes depend on the model alone (no dates)."""
    # a foreign model's backbone alone: no class of KerasHub has its tokenizer
    written = model if model.preprocessor is not None else model.backbone
    with quiet():
        written.save_to_preset(str(folder))
    _keep_tie(model, folder)
    metadata = folder / "metadata.json"
    content = json.loads(metadata.read_text())
    content.pop("date_saved", None)
    metadata.write_text(json.dumps(content, indent=4) + "\n")


def write_tokenizer(content: Mapping[str, Any], folder: Path) -> None:
    """Writes the tokenizer.json of a model beside its preset."""
    path = folder / tokenizer.FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(tokenizer_json.serialize(dict(content)))


def _keep_tie(model: keras_hub.models.CausalLM, folder: Path) -> None:
    """Notes that head and embedding are tied: KerasHub 0.31 forgets it of Llama, and cannot load the preset again."""
    if not getattr(model.backbone, "tie_word_embeddings", False):
        return
    for name in ("config.json", "task.json"):
        if not (folder / name).exists():
            continue
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


def provenance(preset: str, found: hub.Found, pin: Pin) -> dict[str, Any]:
    """Where a preset is from: name, revision, and the hash of its files.

    Raises:
      UserError: where the hash is another one than the pin's.
    """
    try:
        digest = sha256(found.folder) if found.folder.is_file() else preset_sha256(found.folder)
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read: {error.strerror}; check its permissions") from None
    if pin.sha256 not in (None, digest):
        raise UserError(
            f"the files of preset {preset!r} have the SHA-256 {digest}, not {pin.sha256} (author.sha256): they are not "
            "those that were pinned; take the pinned revision, or look at what changed and pin anew"
        )
    return {
        "source": Path(preset).name if Path(preset).is_absolute() else preset,
        "source_revision": found.revision,
        "source_sha256": digest,
    }


def describe(found: Loaded, source: str, licence: str) -> dict[str, Any]:
    """What later stages need to know of a preset without loading it."""
    rules = tokenizer_rules.read_rules(found.tokenizer, tokenizer.FILE)
    return {
        "family": families.FAMILIES[type(found.model.backbone).__name__],
        "parameters": parameter_count(found.model),
        "vocabulary": found.model.backbone.vocabulary_size,
        "context_length": found.context_length,
        "pre_tokenizer": rules.pattern or rules.pre_tokenizer,
        "add_start_token": found.start is not None,
        "start_token_id": found.start,
        "end_token_id": found.ends[0],
        "end_token_ids": list(found.ends),
        "pad_token_id": found.padding,
        "special_token_ids": sorted(
            i for t, i in tokenizer_json.token_ids(found.tokenizer).items() if t in rules.special_tokens
        ),
        "source": source,
        "source_name": found.named.get("name"),
        "source_license": found.named.get("license"),
        "converted_from": found.converted_from,
        "license": licence,
    }
