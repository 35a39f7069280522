"""Trains the small GPT-2 that ships with the project, on docstrings; resumes where an earlier run was stopped.

It is trained in phases, each from the weights of the one before: few layers first, then stacked to all of them. A run
goes on behind the last phase that is done, here or in the preset that is in git: to train on, add a phase.

The stage is frozen in dvc.yaml: `dvc repro` never trains. To train anew: `python -m stages.pretrain`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from autocomplete.common import config
from autocomplete.common.files import read_json, replacing, tree_sha256, write_json
from autocomplete.common.native_log import quiet
from autocomplete.common.progress import step, training_progress
from autocomplete.data import corpus
from autocomplete.data.corpus import Corpus, CorpusSettings
from autocomplete.data.general_text import CALIBRATION_TEXT, EVALUATION_TEXT
from autocomplete.presets.settings import DESCRIPTION
from autocomplete.train import ngram_baseline
from autocomplete.train.settings import BatchSettings, Phase

PRESET = Path("artifacts/presets/pydoc_gpt2")
WORK = Path("artifacts/pretrain")


@dataclass(frozen=True)
class PretrainSettings:
    """The corpus, the shape of the model and the schedule (conf/pretrain/*.yaml).

    `packages` is a file of requirements; `precision` is Keras' policy of types while training.
    """

    packages: str
    corpus: CorpusSettings
    calibration_documents: int
    vocabulary_size: int
    heads: int
    hidden: int
    precision: str
    training: BatchSettings
    phases: dict[str, Phase]


class _Names(NamedTuple):
    """What a phase's files are called by: its checkpoints before the learning rate falls, and its end."""

    steady: str
    end: str


def run(settings: PretrainSettings) -> None:
    """Corpus → tokenizer → training → preset with its description."""
    text = _corpus(settings)
    with quiet():
        import keras

        from autocomplete.tokenizer import tokenizer
        from autocomplete.train import training
    tokenizer.train(text.train, settings.vocabulary_size, WORK / "tokenizer")
    bpe = tokenizer.from_keras_folder(WORK / "tokenizer")
    end = bpe.get_vocab()[tokenizer.END_OF_TEXT]
    stream, held_out = (
        training.Stream([e.ids for e in bpe.encode_batch(part)], end) for part in (text.train, text.evaluation)
    )
    print(f"{len(text.train)} documents, {len(stream.tokens)} tokens", flush=True)
    keras.utils.set_random_seed(settings.training.seed)
    names = _names(settings, text)
    model = _trained(settings, names, stream)
    lengths = [len(b) for b in tokenizer.token_bytes(bpe.get_vocab())]
    bits = training.bits_per_byte(model.backbone, held_out.tokens, lengths, settings.training.context)
    baseline = ngram_baseline.bits_per_byte(stream.tokens, held_out.tokens, lengths)
    measured = {"evaluation_bits_per_byte": round(bits, 4), "five_gram_bits_per_byte": round(baseline, 4)}
    _write(model, text, settings, measured | {"phase": names[-1].end})


def _corpus(settings: PretrainSettings) -> Corpus:
    """The text, kept for a run that goes on."""
    made_by = Path(settings.packages).read_bytes(), settings.corpus, Path(corpus.__file__).read_bytes()
    kept = WORK / f"corpus-{_hashed(*made_by)}.json"
    if not kept.exists():
        with step("getting the packages, 2 GB at first"):
            corpus.download_wheels(Path(settings.packages), WORK / "wheels")
        with step("reading docstrings (some minutes)"):
            found = corpus.build(corpus.docstrings(WORK / "wheels", settings.corpus.minimum_letters), settings.corpus)
        write_json(kept, asdict(found))
    return Corpus(**read_json(kept))


def _names(settings: PretrainSettings, text: Corpus) -> list[_Names]:
    """The names of each phase: of text, tokenizer, shape, schedule and all phases before, not of how products round."""
    shape = asdict(settings)
    for name in ("phases", "precision", "packages", "calibration_documents"):
        del shape[name]
    del shape["training"]["checkpoint_every"]
    end = _hashed(shape, text.sha256, tree_sha256(WORK / "tokenizer"))
    names = []
    for phase in settings.phases.values():
        steady = _hashed(end, phase.layers)
        end = _hashed(steady, phase.steps, phase.falling)
        names.append(_Names(steady, end))
    return names


def _hashed(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _trained(settings: PretrainSettings, names: Sequence[_Names], stream: Any) -> Any:
    """The model behind the last phase; goes on behind the last one that is done."""
    import keras

    done, model = _done(settings, names)
    for index in range(done, len(names)):
        model = _phase(settings, index, names[index], stream, model)
    # as if it were the first of its process: Keras numbers the names of layers, and they are among a preset's bytes
    keras.backend.clear_session()
    shipped = _new_model(settings, model.backbone.num_layers, "float32")
    shipped.backbone.set_weights(model.backbone.get_weights())
    return shipped


def _done(settings: PretrainSettings, names: Sequence[_Names]) -> tuple[int, Any]:
    """How many phases have ended, here or before the preset was written, and the model behind them."""
    from autocomplete.presets import keras_preset
    from autocomplete.train import training

    description = PRESET / DESCRIPTION
    shipped = read_json(description).get("phase") if description.exists() else None
    for done, phase in reversed(list(enumerate(settings.phases.values(), start=1))):
        end = names[done - 1].end
        kept = WORK / f"{end}.npz"
        if not kept.exists() and end != shipped:
            continue
        model = _new_model(settings, phase.layers, "float32")
        if kept.exists():
            training.restore(kept, model.backbone.weights)
        else:
            model.backbone.set_weights(keras_preset.load(PRESET).backbone.get_weights())
        return done, model
    return 0, None


def _phase(settings: PretrainSettings, index: int, names: _Names, stream: Any, before: Any) -> Any:
    """Trains one phase; its end, rounded to what float16 holds, is kept and returned in float32."""
    from autocomplete.train import training

    name, phase = list(settings.phases.items())[index]
    model = _new_model(settings, phase.layers, settings.precision)
    if before is not None:
        training.stack(before.backbone, model.backbone)
    print(f"{name}: {model.count_params()} parameters, {phase.steps} steps", flush=True)
    with training_progress(WORK / f"{name}.csv") as show:
        schedule = phase.settings(index, settings.training)
        training.pretrain(model.backbone, stream, schedule, WORK / f"checkpoint-{names.steady}", show)
    ended = _new_model(settings, phase.layers, "float32")
    ended.backbone.set_weights([w.astype("float16") for w in model.backbone.get_weights()])
    training.save(WORK / f"{names.end}.npz", ended.backbone.weights)
    return ended


def _new_model(settings: PretrainSettings, layers: int, precision: str) -> Any:
    """A GPT-2 with random weights, its tokenizer and preprocessor."""
    import keras_hub

    files = [str(WORK / "tokenizer" / name) for name in ("vocabulary.json", "merges.txt")]
    text = keras_hub.models.GPT2Tokenizer(*files, name="tokenizer")
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=settings.vocabulary_size,
        num_layers=layers,
        num_heads=settings.heads,
        hidden_dim=settings.hidden,
        intermediate_dim=4 * settings.hidden,
        dropout=0.0,
        max_sequence_length=settings.training.context,
        dtype=precision,
        name="backbone",
    )
    preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(text, sequence_length=settings.training.context)
    return keras_hub.models.GPT2CausalLM(backbone=backbone, preprocessor=preprocessor)


def _write(model: Any, text: Corpus, settings: PretrainSettings, found: Mapping[str, float | str]) -> None:
    from autocomplete.presets import presets

    with replacing(PRESET) as folder:
        presets.save(model, folder)
        presets.store_as_float16(folder)
        (folder / EVALUATION_TEXT).write_text(presets.to_jsonl(text.evaluation))
        calibration = text.train[: settings.calibration_documents]  # in the order of hashes: any part is a sample
        (folder / CALIBRATION_TEXT).write_text(presets.to_jsonl(calibration))
        steps = sum(phase.steps for phase in settings.phases.values())
        description = {
            "license": "that of the texts: PSF-2.0, Apache-2.0, BSD and MIT for the most part",
            "source": f"docstrings of the Python standard library and of the packages in {settings.packages}",
            "documents": len(text.train),
            "training_text_bytes": sum(len(t.encode()) for t in text.train),
            "evaluation_documents": len(text.evaluation),
            "calibration_documents": len(calibration),
            "tokens_seen": steps * settings.training.batch * settings.training.context,
            **found,
            "corpus_sha256": text.sha256,
            "seed": settings.training.seed,
            "parameters": presets.parameter_count(model),
            "sha256": presets.preset_sha256(folder),
        }
        write_json(folder / DESCRIPTION, description)
    print(f"{PRESET}: {description}")


if __name__ == "__main__":
    config.main("pretrain", PretrainSettings, run)
