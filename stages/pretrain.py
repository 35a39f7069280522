"""pretrain: trains the small GPT-2 that ships with the project, on docstrings; an interrupted run resumes.

Training has phases, each of which starts with the weights of the one before: first with few layers, then with all
layers, by stacking. A run continues after the last phase that is complete, either in artifacts/pretrain or in the
preset that is in git. To train further, add a phase.

The stage is frozen in dvc.yaml: `dvc repro` never trains. To train anew: `python -m stages.pretrain`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

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

if TYPE_CHECKING:
    from keras_hub.models import CausalLM

    from autocomplete.train.training import TokenStream

PRESET = Path("artifacts/presets/pydoc_gpt2")
WORK = Path("artifacts/pretrain")


@dataclass(frozen=True)
class PretrainSettings:
    """The corpus, the dimensions of the model, and the schedule (conf/pretrain/*.yaml).

    Attributes:
      packages: a requirements file of the packages whose docstrings are read.
      corpus: how docstrings are filtered and split.
      calibration_documents: number of training documents that serve as calibration text.
      vocabulary_size: number of tokens.
      heads: number of attention heads.
      hidden: hidden size.
      precision: Keras' dtype policy in training.
      training: settings that all phases share.
      phases: the phases by name, in order.
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


class _PhaseIds(NamedTuple):
    """The ids of a phase: `steady` of its part before the learning rate falls, `end` of the complete phase."""

    steady: str
    end: str


def run(settings: PretrainSettings) -> None:
    """Corpus → tokenizer → training → preset with its description."""
    text = _read_corpus(settings)
    with quiet():
        import keras

        from autocomplete.tokenizer import tokenizer
        from autocomplete.train import training
    tokenizer.train(text.train, settings.vocabulary_size, WORK / "tokenizer")
    bpe = tokenizer.from_keras_folder(WORK / "tokenizer")
    end = bpe.get_vocab()[tokenizer.END_OF_TEXT]
    stream, held_out = (
        training.TokenStream([e.ids for e in bpe.encode_batch(part)], end) for part in (text.train, text.evaluation)
    )
    print(f"{len(text.train)} documents, {len(stream.tokens)} tokens", flush=True)
    keras.utils.set_random_seed(settings.training.seed)
    phase_ids = _phase_ids(settings, text)
    model = _train(settings, phase_ids, stream)
    lengths = [len(b) for b in tokenizer.token_bytes(bpe.get_vocab())]
    bits = training.bits_per_byte(model.backbone, held_out.tokens, lengths, settings.training.context)
    baseline = ngram_baseline.bits_per_byte(stream.tokens, held_out.tokens, lengths)
    measured = {"evaluation_bits_per_byte": round(bits, 4), "five_gram_bits_per_byte": round(baseline, 4)}
    _write_preset(model, text, settings, measured | {"phase": phase_ids[-1].end})


def _read_corpus(settings: PretrainSettings) -> Corpus:
    """The corpus; it is stored for a resumed run, under a hash of packages, settings and the code that builds it."""
    inputs = Path(settings.packages).read_bytes(), settings.corpus, Path(corpus.__file__).read_bytes()
    stored = WORK / f"corpus-{_short_hash(*inputs)}.json"
    if not stored.exists():
        with step("getting the packages, 2 GB at first"):
            corpus.download_wheels(Path(settings.packages), WORK / "wheels")
        with step("reading docstrings (some minutes)"):
            texts = corpus.docstrings(WORK / "wheels", settings.corpus.minimum_letters)
            write_json(stored, asdict(corpus.build(texts, settings.corpus)))
    return Corpus(**read_json(stored))


def _phase_ids(settings: PretrainSettings, text: Corpus) -> list[_PhaseIds]:
    """The ids of all phases.

    An id depends on the text, the tokenizer, the model's dimensions, the schedule and all phases before. It does not
    depend on the precision.
    """
    inputs = asdict(settings)
    for name in ("phases", "precision", "packages", "calibration_documents"):
        del inputs[name]
    del inputs["training"]["checkpoint_every"]
    end = _short_hash(inputs, text.sha256, tree_sha256(WORK / "tokenizer"))
    ids = []
    for phase in settings.phases.values():
        steady = _short_hash(end, phase.layers)
        end = _short_hash(steady, phase.steps, phase.falling)
        ids.append(_PhaseIds(steady, end))
    return ids


def _short_hash(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _train(settings: PretrainSettings, phase_ids: Sequence[_PhaseIds], stream: "TokenStream") -> "CausalLM":
    """The model after the last phase; continues after the last phase that is complete."""
    import keras

    completed, model = _restore_last_phase(settings, phase_ids)
    for index in range(completed, len(phase_ids)):
        model = _train_phase(settings, index, phase_ids[index], stream, model)
    assert model is not None  # settings have at least one phase
    # Keras numbers the names of layers, which a preset contains: start again from the first number
    keras.backend.clear_session()
    shipped = _new_model(settings, model.backbone.num_layers, "float32")
    shipped.backbone.set_weights(model.backbone.get_weights())
    return shipped


def _restore_last_phase(settings: PretrainSettings, phase_ids: Sequence[_PhaseIds]) -> "tuple[int, CausalLM | None]":
    """The number of phases that are complete, in WORK or in the preset, and the model after them (None: no phase)."""
    from autocomplete.presets import keras_preset
    from autocomplete.train import training

    description = PRESET / DESCRIPTION
    shipped = read_json(description).get("phase") if description.exists() else None
    for completed, phase in reversed(list(enumerate(settings.phases.values(), start=1))):
        end = phase_ids[completed - 1].end
        checkpoint = WORK / f"{end}.npz"
        if not checkpoint.exists() and end != shipped:
            continue
        model = _new_model(settings, phase.layers, "float32")
        if checkpoint.exists():
            training.restore_checkpoint(checkpoint, model.backbone.weights)
        else:
            model.backbone.set_weights(keras_preset.load(PRESET).backbone.get_weights())
        return completed, model
    return 0, None


def _train_phase(
    settings: PretrainSettings, index: int, ids: _PhaseIds, stream: "TokenStream", previous: "CausalLM | None"
) -> "CausalLM":
    """Trains one phase.

    Stores its result, rounded to float16, and returns it in float32.
    """
    from autocomplete.train import training

    name, phase = list(settings.phases.items())[index]
    model = _new_model(settings, phase.layers, settings.precision)
    if previous is not None:
        training.stack_layers(previous.backbone, model.backbone)
    print(f"{name}: {model.count_params()} parameters, {phase.steps} steps", flush=True)
    with training_progress(WORK / f"{name}.csv") as show:
        phase_settings = phase.settings(index, settings.training)
        training.pretrain(model.backbone, stream, phase_settings, WORK / f"checkpoint-{ids.steady}", show)
    rounded = _new_model(settings, phase.layers, "float32")
    rounded.backbone.set_weights([w.astype("float16") for w in model.backbone.get_weights()])
    training.save_checkpoint(WORK / f"{ids.end}.npz", rounded.backbone.weights)
    return rounded


def _new_model(settings: PretrainSettings, layers: int, precision: str) -> "CausalLM":
    """A GPT-2 with random weights, its tokenizer and its preprocessor."""
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


def _write_preset(
    model: "CausalLM", text: Corpus, settings: PretrainSettings, results: Mapping[str, float | str]
) -> None:
    from autocomplete.presets import presets

    with replacing(PRESET) as folder:
        presets.save(model, folder)
        presets.store_as_float16(folder)
        (folder / EVALUATION_TEXT).write_text(presets.to_jsonl(text.evaluation))
        calibration = text.train[: settings.calibration_documents]  # in the order of hashes, so a random sample
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
            **results,
            "corpus_sha256": text.sha256,
            "seed": settings.training.seed,
            "parameters": presets.parameter_count(model),
            "sha256": presets.preset_sha256(folder),
        }
        write_json(folder / DESCRIPTION, description)
    print(f"{PRESET}: {description}")


if __name__ == "__main__":
    config.main("pretrain", PretrainSettings, run)
