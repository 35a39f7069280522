"""A preset tuned on one's own text: from a preset and texts to a preset, its texts' parts, and what was done."""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from autocomplete.common.arrays import Array
from autocomplete.common.errors import UserError
from autocomplete.common.files import csv_text, read_json, sha256, write_bytes, write_json
from autocomplete.common.native_log import quiet
from autocomplete.data import own_text
from autocomplete.data.general_text import CALIBRATION_TEXT, EVALUATION_TEXT
from autocomplete.presets import loading, presets
from autocomplete.presets.settings import DESCRIPTION
from autocomplete.train import training, tuning
from autocomplete.train.settings import LORA, TuningSettings

WORK = Path("artifacts/finetune")  # no stage's: DVC leaves it alone, so that a killed run can go on
POINTS = "tuning.csv"


def run(preset: Path, text: Path, settings: TuningSettings, folder: Path, watch: tuning.Watch) -> dict[str, Any]:
    """Writes the tuned preset, the held-out text, calibration text and measurements to `folder`; returns its lineage.

    Raises UserError, before any weight is read where that can be known, for a text or settings that do not fit.
    """
    own, digest = own_text.prepare(text, settings.text), presets.preset_sha256(preset)
    print(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in own.counts.items()), flush=True)
    _check_size(own, text, settings)
    _check_context(read_json(preset / "config.json").get("config", {}), settings)  # KerasHub's alone has such a part
    keras.utils.set_random_seed(settings.training.seed)
    with quiet():
        found = loading.load(preset)
        model = found.model
        _check_context(model.backbone.get_config(), settings)
        texts = _encoded(own, found, settings)
        if settings.method == LORA:
            tuning.enable_lora(model.backbone, settings.lora_rank, str(preset))
        tf.function(lambda: tf.constant(0), jit_compile=True)()  # XLA tells of its first compilation
    checkpoint = WORK / f"checkpoint-{_identity(digest, own, settings)[:16]}.npz"
    points = tuning.tune(model.backbone, texts, settings, checkpoint, watch)
    with quiet():
        presets.save(model, folder)  # Keras writes a layer's kernel with its LoRA added: an ordinary preset
        presets.write_tokenizer(found.tokenizer, folder)
        write_json(folder / DESCRIPTION, presets.describe(found, "", ""))
    _write_texts(own, settings, folder)
    write_bytes(folder / POINTS, _table(points).encode())
    checkpoint.unlink(missing_ok=True)
    lineage = _lineage(digest, own, settings, points)
    print(_verdict(lineage), flush=True)
    return lineage


def _check_size(own: own_text.OwnText, path: Path, settings: TuningSettings) -> None:
    """A token is a byte at least: refuses without a tokenizer what cannot fill a window."""
    for part, passages in (("for training", own.corpus.train), ("held out", own.corpus.evaluation)):
        _check_part(part, sum(len(p.encode()) + 1 for p in passages), settings, f"{path} (author.text)")


def _check_part(part: str, tokens: int, settings: TuningSettings, source: str) -> None:
    wanted = settings.training.context + 1
    if tokens < wanted:
        raise UserError(
            f"{source} is too short: {tokens} tokens at most {part}, fewer than a window of {wanted}; give "
            "more text, or change author.tuning.training.context or author.tuning.text.held_out"
        )


def _check_context(backbone: Mapping[str, Any], settings: TuningSettings) -> None:
    """Refuses windows that are longer than a learned table of positions."""
    rows = backbone.get("max_sequence_length")
    if rows is not None and settings.training.context > rows:
        given = settings.training.context
        raise UserError(f"author.tuning.training.context is {given}; allowed: 2 to {rows}, what the preset reads")


def _encoded(own: own_text.OwnText, found: loading.LoadedModel, settings: TuningSettings) -> tuning.Texts:
    """Both parts in tokens, as the model was trained: each passage between a start and an end, which may be one."""
    bpe, start, end = found.load_tokenizer(), found.start_token_id, found.end_token_ids[0]
    tail = [] if start in (None, end) else [end]

    def stream(passages: Sequence[str], part: str) -> training.Stream:
        made = training.Stream([[*e.ids, *tail] for e in bpe.encode_batch(passages)], end if start is None else start)
        _check_part(part, len(made.tokens), settings, "author.text")
        return made

    held_out = stream(own.corpus.evaluation, "held out")
    return tuning.Texts(stream(own.corpus.train, "for training"), _windows(held_out.tokens, settings))


def _windows(tokens: Array, settings: TuningSettings) -> Array:
    """The first windows `[n, context + 1]` of held-out text, which is in the order of hashes: any part is a sample."""
    length = settings.training.context + 1
    count = min(len(tokens) // length, settings.held_out_windows)
    return np.asarray(tokens[: count * length].reshape(count, length))


def _identity(preset_sha256: str, own: own_text.OwnText, settings: TuningSettings) -> str:
    """A checkpoint belongs to one preset, one text, one configuration and the code that trains."""
    code = [sha256(Path(str(module.__file__))) for module in (training, tuning)]
    return hashlib.sha256(f"{preset_sha256}{own.corpus.sha256}{settings}{code}".encode()).hexdigest()


def _write_texts(own: own_text.OwnText, settings: TuningSettings, folder: Path) -> None:
    """Text to measure on and text to calibrate with, of which the first was trained on by nobody."""
    parts = {
        EVALUATION_TEXT: own.corpus.evaluation,
        CALIBRATION_TEXT: own.corpus.train[: settings.text.calibration_passages],
    }
    for name, passages in parts.items():
        write_bytes(folder / name, presets.to_jsonl(passages).encode())


def _table(points: Iterable[tuning.Point]) -> str:
    rows = [(p.step, "" if math.isnan(p.loss) else p.loss, p.held_out_loss, p.perplexity) for p in points]
    return csv_text(("step", "loss", "held_out_loss", "held_out_perplexity"), rows)


def _lineage(
    preset_sha256: str, own: own_text.OwnText, settings: TuningSettings, points: list[tuning.Point]
) -> dict[str, Any]:
    best = tuning.best_of(points)
    return {
        "preset_sha256": preset_sha256,
        "text_sha256": own.corpus.sha256,
        **own.counts,
        **asdict(settings),
        "steps_made": points[-1].step,
        "best_step": best.step,
        "ended_by": tuning.ended_by(points, settings),
        "held_out_perplexity_before": round(points[0].perplexity, 4),
        "held_out_perplexity_after": round(best.perplexity, 4),
    }


def _verdict(lineage: Mapping[str, Any]) -> str:
    if lineage["best_step"] == 0:
        return "the held-out loss never fell: the preset is as it was; lower author.tuning.training.learning_rate"
    return "held-out perplexity {held_out_perplexity_before} → {held_out_perplexity_after} at step {best_step}".format(
        **lineage
    )
