"""Tunes a preset on the user's own text: writes the tuned preset, the held-out text, and the measurements."""

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
from autocomplete.common.artifacts import Tuning
from autocomplete.common.errors import UserError
from autocomplete.common.files import csv_text, read_json, sha256, write_bytes
from autocomplete.common.native_log import quiet
from autocomplete.data import own_text
from autocomplete.data.general_text import CALIBRATION_TEXT, EVALUATION_TEXT
from autocomplete.presets import loading, presets
from autocomplete.presets.settings import DESCRIPTION
from autocomplete.train import training, tuning
from autocomplete.train.settings import LORA, TuningSettings

WORK = Path("artifacts/finetune")  # belongs to no stage, so that DVC keeps it and a killed run can continue
MEASUREMENTS = "tuning.csv"


def run(preset: Path, text: Path, settings: TuningSettings, folder: Path, callbacks: tuning.TuningCallbacks) -> Tuning:
    """Tunes a preset on a file or folder of texts; returns the lineage of the tuned preset for model.json.

    Writes the tuned preset, evaluation text, calibration text and measurements to `folder`.

    Raises:
      UserError: for a text or settings that do not fit; before a weight is read, if that can be known.
    """
    own, digest = own_text.prepare(text, settings.text), presets.preset_sha256(preset)
    print(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in own.counts.items()), flush=True)
    _require_enough_bytes(own, text, settings)
    _require_context(read_json(preset / "config.json").get("config", {}), settings)  # only KerasHub's has this key
    keras.utils.set_random_seed(settings.training.seed)
    with quiet():
        loaded = loading.load(preset)
        model = loaded.model
        _require_context(model.backbone.get_config(), settings)
        data = _encode(own, loaded, settings)
        if settings.method == LORA:
            tuning.enable_lora(model.backbone, settings.lora_rank, str(preset))
        tf.function(lambda: tf.constant(0), jit_compile=True)()  # XLA prints a message at its first compilation
    checkpoint = WORK / f"checkpoint-{_run_id(digest, own, settings)[:16]}.npz"
    measurements = tuning.tune(model.backbone, data, settings, checkpoint, callbacks)
    with quiet():
        presets.save(model, folder)  # Keras merges LoRA into the kernels: the result is an ordinary preset
        presets.write_tokenizer(loaded.tokenizer, folder)
        presets.describe(loaded, presets.Provenance(""), "").write(folder / DESCRIPTION)
    _write_texts(own, settings, folder)
    write_bytes(folder / MEASUREMENTS, _table(measurements).encode())
    checkpoint.unlink(missing_ok=True)
    lineage = _lineage(digest, own, settings, measurements)
    print(_summary(tuning.best_measurement(measurements), lineage), flush=True)
    return lineage


def _require_enough_bytes(own: own_text.OwnText, path: Path, settings: TuningSettings) -> None:
    """Refuses a text that cannot fill a window even if each byte is a token; this needs no tokenizer."""
    for part, passages in (("for training", own.corpus.train), ("held out", own.corpus.evaluation)):
        _require_window(part, sum(len(p.encode()) + 1 for p in passages), settings, f"{path} (author.text)")


def _require_window(part: str, tokens: int, settings: TuningSettings, source: str) -> None:
    length = settings.training.context + 1
    if tokens < length:
        raise UserError(
            f"{source} is too short: {tokens} tokens at most {part}, fewer than a window of {length}; give "
            "more text, or change author.tuning.training.context or author.tuning.text.held_out"
        )


def _require_context(backbone: Mapping[str, Any], settings: TuningSettings) -> None:
    """Refuses windows that are longer than a learned position table."""
    positions, context = backbone.get("max_sequence_length"), settings.training.context
    if positions is not None and context > positions:
        raise UserError(
            f"author.tuning.training.context is {context}; allowed: 2 to {positions}, the positions of the preset"
        )


def _encode(own: own_text.OwnText, loaded: loading.LoadedModel, settings: TuningSettings) -> tuning.TuningData:
    """Both parts as tokens, in the form in which the model was trained.

    Each passage stands between a start token and an end token. A model without a start token, or with one token for
    both, has a single token between passages.
    """
    bpe, start, end = loaded.load_tokenizer(), loaded.start_token_id, loaded.end_token_ids[0]
    tail = [] if start in (None, end) else [end]

    def encode(passages: Sequence[str], part: str) -> training.TokenStream:
        documents = [[*encoding.ids, *tail] for encoding in bpe.encode_batch(passages)]
        stream = training.TokenStream(documents, end if start is None else start)
        _require_window(part, len(stream.tokens), settings, "author.text")
        return stream

    held_out = encode(own.corpus.evaluation, "held out")
    return tuning.TuningData(encode(own.corpus.train, "for training"), _windows(held_out.tokens, settings))


def _windows(tokens: Array, settings: TuningSettings) -> Array:
    """The first windows `[n, context + 1]` of held-out text; it is ordered by hash, so they are a random sample."""
    length = settings.training.context + 1
    count = min(len(tokens) // length, settings.held_out_windows)
    return np.asarray(tokens[: count * length].reshape(count, length))


def _run_id(preset_sha256: str, own: own_text.OwnText, settings: TuningSettings) -> str:
    """A hash of all that a checkpoint depends on: the preset, the text, the settings and the code that trains."""
    code = [sha256(Path(str(module.__file__))) for module in (training, tuning)]
    return hashlib.sha256(f"{preset_sha256}{own.corpus.sha256}{settings}{code}".encode()).hexdigest()


def _write_texts(own: own_text.OwnText, settings: TuningSettings, folder: Path) -> None:
    """Writes evaluation text, on which the model was not trained, and calibration text."""
    parts = {
        EVALUATION_TEXT: own.corpus.evaluation,
        CALIBRATION_TEXT: own.corpus.train[: settings.text.calibration_passages],
    }
    for name, passages in parts.items():
        write_bytes(folder / name, presets.to_jsonl(passages).encode())


def _table(measurements: Iterable[tuning.Measurement]) -> str:
    rows = [(m.step, "" if math.isnan(m.loss) else m.loss, m.held_out_loss, m.perplexity) for m in measurements]
    return csv_text(("step", "loss", "held_out_loss", "held_out_perplexity"), rows)


def _lineage(
    preset_sha256: str, own: own_text.OwnText, settings: TuningSettings, measurements: list[tuning.Measurement]
) -> Tuning:
    best = tuning.best_measurement(measurements)
    content = {
        "preset_sha256": preset_sha256,
        "text_sha256": own.corpus.sha256,
        **own.counts,
        **asdict(settings),
        "steps_made": measurements[-1].step,
        "best_step": best.step,
        "ended_by": tuning.stop_reason(measurements, settings),
        "held_out_perplexity_before": round(measurements[0].perplexity, 4),
        "held_out_perplexity_after": round(best.perplexity, 4),
    }
    return Tuning.parse(content, f"{DESCRIPTION}, tuning")


def _summary(best: tuning.Measurement, lineage: Tuning) -> str:
    if best.step == 0:
        return "the held-out loss never fell: the preset is unchanged; lower author.tuning.training.learning_rate"
    before, after = lineage.held_out_perplexity_before, lineage.held_out_perplexity_after
    return f"held-out perplexity {before} → {after} at step {best.step}"
