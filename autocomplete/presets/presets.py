"""Presets on disk: writes them in deterministic bytes, and describes them and their origin (model.json)."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import keras_hub
import numpy as np

from autocomplete.common.artifacts import ModelDescription, Tuning
from autocomplete.common.errors import UserError
from autocomplete.common.files import sha256, tree_sha256
from autocomplete.common.native_log import quiet
from autocomplete.data.general_text import CALIBRATION_TEXT, EVALUATION_TEXT
from autocomplete.model import families
from autocomplete.presets import hub
from autocomplete.presets.loading import LoadedModel
from autocomplete.presets.settings import DESCRIPTION, Pin
from autocomplete.tokenizer import tokenizer, tokenizer_json, tokenizer_rules


def save(model: keras_hub.models.CausalLM, folder: Path) -> None:
    """Writes a causal LM as a KerasHub preset whose bytes depend on the model alone (no dates)."""
    # a model in another format comes without a preprocessor, as no class of KerasHub has its tokenizer
    saved = model if model.preprocessor is not None else model.backbone
    with quiet():
        saved.save_to_preset(str(folder))
    _record_tied_embeddings(model, folder)
    metadata = folder / "metadata.json"
    content = json.loads(metadata.read_text())
    content.pop("date_saved", None)
    metadata.write_text(json.dumps(content, indent=4) + "\n")


def write_tokenizer(content: Mapping[str, Any], folder: Path) -> None:
    """Writes the tokenizer.json of a model into its preset."""
    path = folder / tokenizer.FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(tokenizer_json.serialize(dict(content)))


def _record_tied_embeddings(model: keras_hub.models.CausalLM, folder: Path) -> None:
    """Records that head and embedding are tied; KerasHub 0.32 omits it for Llama, and cannot load the preset then."""
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
    """Rewrites a preset's weights as float16; loaders convert them to float32 again."""
    path = folder / "model.weights.h5"
    halved = path.with_suffix(".half")
    with h5py.File(path) as source, h5py.File(halved, "w", libver="latest") as target:

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Dataset):
                copied = target.create_dataset(name, data=item[()].astype(np.float16), track_times=False)
            else:
                copied = target.require_group(name)
            copied.attrs.update(item.attrs)

        target.attrs.update(source.attrs)
        source.visititems(copy)
    halved.replace(path)


def preset_sha256(folder: Path) -> str:
    """The SHA-256 over the files from which a model is loaded: all but its description and the texts beside it."""
    return tree_sha256(folder, leave_out=[DESCRIPTION, EVALUATION_TEXT, CALIBRATION_TEXT])


def parameter_count(model: keras_hub.models.CausalLM) -> int:
    """The number of weights; a tied matrix counts once."""
    return sum(math.prod(v.shape) for v in model.backbone.weights)


def to_jsonl(documents: list[str]) -> str:
    """A JSON object for each document, one a line; documents may contain line ends."""
    return "".join(json.dumps({"text": document}, ensure_ascii=False) + "\n" for document in documents)


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from, for model.json.

    Attributes:
      source: the preset's name, or what stands for it.
      revision: a hub's commit or version.
      sha256: over names and hashes of the preset's files.
    """

    source: str
    revision: str | None = None
    sha256: str | None = None


def provenance(preset: str, local: hub.LocalPreset, pin: Pin) -> Provenance:
    """The origin of a preset: its name, its revision, and the hash of its files.

    Raises:
      UserError: if the hash differs from the pinned one.
    """
    try:
        digest = sha256(local.path) if local.path.is_file() else preset_sha256(local.path)
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read: {error.strerror}; check its permissions") from None
    if pin.sha256 not in (None, digest):
        raise UserError(
            f"the files of preset {preset!r} have the SHA-256 {digest}, not {pin.sha256} (author.sha256): they are not "
            "those that were pinned; take the pinned revision, or look at what changed and pin anew"
        )
    return Provenance(Path(preset).name if Path(preset).is_absolute() else preset, local.revision, digest)


def describe(
    loaded: LoadedModel, origin: Provenance, license_name: str | None, tuning: Tuning | None = None
) -> ModelDescription:
    """The description of a model (model.json), which later stages read instead of loading the model."""
    rules = tokenizer_rules.read_rules(loaded.tokenizer, tokenizer.FILE)
    ids = tokenizer_json.token_ids(loaded.tokenizer)
    return ModelDescription(
        family=families.FAMILIES[type(loaded.model.backbone).__name__],
        parameters=parameter_count(loaded.model),
        vocabulary=loaded.model.backbone.vocabulary_size,
        context_length=loaded.context_length,
        pre_tokenizer=rules.pattern or rules.pre_tokenizer,
        add_start_token=loaded.start_token_id is not None,
        start_token_id=loaded.start_token_id,
        end_token_id=loaded.end_token_ids[0],
        end_token_ids=list(loaded.end_token_ids),
        pad_token_id=loaded.pad_token_id,
        special_token_ids=sorted(ids[token] for token in ids if token in rules.special_tokens),
        source=origin.source,
        source_name=loaded.metadata.get("name"),
        source_license=loaded.metadata.get("license"),
        source_revision=origin.revision,
        source_sha256=origin.sha256,
        converted_from=loaded.converted_from,
        license=license_name,
        tuning=tuning,
    )
