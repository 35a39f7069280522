"""Trains the small GPT-2 that ships with the project, on docstrings; resumes where an earlier run was stopped.

The stage is frozen in dvc.yaml: `dvc repro` never trains. To train anew: `python -m stages.pretrain`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stages import config
from stages.files import read_json, replacing, tree_sha256, write_json
from stages.lm import corpus, wheels
from stages.lm.corpus import Corpus, CorpusSettings
from stages.lm.schedule import PretrainingSettings
from stages.measure import ngram
from stages.progress import step, training_progress
from stages.quiet import quiet

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
    layers: int
    heads: int
    hidden: int
    precision: str
    training: PretrainingSettings


def run(settings: PretrainSettings) -> None:
    """Corpus → tokenizer → training → preset with its description."""
    text = _corpus(settings)
    with quiet():
        import keras

        from stages.lm import tokenizer, training
    tokenizer.train(text.train, settings.vocabulary_size, WORK / "tokenizer")
    bpe = tokenizer.load(WORK / "tokenizer")
    keras.utils.set_random_seed(settings.training.seed)
    trained = _new_model(settings, settings.precision)
    end = trained.preprocessor.tokenizer.end_token_id
    stream, held_out = (
        training.Stream([e.ids for e in bpe.encode_batch(part)], end) for part in (text.train, text.evaluation)
    )
    print(f"{len(text.train)} documents, {len(stream.tokens)} tokens, {trained.count_params()} parameters", flush=True)
    with training_progress(WORK / "log.csv") as show:
        training.pretrain(trained.backbone, stream, settings.training, _checkpoints(settings, text), show)
    model = _new_model(settings, "float32")
    model.backbone.set_weights([w.astype("float16") for w in trained.backbone.get_weights()])
    lengths = [len(b) for b in tokenizer.token_bytes(bpe.get_vocab())]
    bits = training.bits_per_byte(model.backbone, held_out.tokens, lengths, settings.training.context)
    baseline = ngram.bits_per_byte(stream.tokens, held_out.tokens, lengths)
    _write(model, text, settings, {"evaluation_bits_per_byte": bits, "five_gram_bits_per_byte": baseline})


def _corpus(settings: PretrainSettings) -> Corpus:
    """The text, kept for a run that goes on."""
    made_by = [Path(settings.packages).read_bytes(), repr(settings.corpus).encode(), Path(corpus.__file__).read_bytes()]
    kept = WORK / f"corpus-{hashlib.sha256(b'|'.join(made_by)).hexdigest()[:16]}.json"
    if not kept.exists():
        with step("getting the packages, 2 GB at first"):
            wheels.fetch(Path(settings.packages), WORK / "wheels")
        with step("reading docstrings (some minutes)"):
            found = corpus.build(corpus.docstrings(WORK / "wheels", settings.corpus.minimum_letters), settings.corpus)
        write_json(kept, asdict(found))
    return Corpus(**read_json(kept))


def _new_model(settings: PretrainSettings, precision: str) -> Any:
    """A GPT-2 with random weights, its tokenizer and preprocessor."""
    import keras_hub

    files = [str(WORK / "tokenizer" / name) for name in ("vocabulary.json", "merges.txt")]
    text = keras_hub.models.GPT2Tokenizer(*files, name="tokenizer")
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=settings.vocabulary_size, num_layers=settings.layers, num_heads=settings.heads,
        hidden_dim=settings.hidden, intermediate_dim=4 * settings.hidden, dropout=0.0,
        max_sequence_length=settings.training.context, dtype=precision, name="backbone",
    )  # fmt: skip
    preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(text, sequence_length=settings.training.context)
    return keras_hub.models.GPT2CausalLM(backbone=backbone, preprocessor=preprocessor)


def _checkpoints(settings: PretrainSettings, text: Corpus) -> Path:
    """The folder of one text, one tokenizer and one configuration, but for the run's length."""
    shape, schedule = asdict(settings), asdict(settings.training)
    for name in ("steps", "falling", "checkpoint_every"):
        del schedule[name]
    parts = f"{shape | {'training': schedule}}{text.sha256}{tree_sha256(WORK / 'tokenizer')}"
    return WORK / f"checkpoint-{hashlib.sha256(parts.encode()).hexdigest()[:16]}"


def _write(model: Any, text: Corpus, settings: PretrainSettings, measured: Mapping[str, float]) -> None:
    from stages.lm import presets

    with replacing(PRESET) as folder:
        presets.save(model, folder)
        presets.store_as_float16(folder)
        (folder / presets.EVALUATION_TEXT).write_text(presets.to_jsonl(text.evaluation))
        calibration = text.train[: settings.calibration_documents]  # in the order of hashes: any part is a sample
        (folder / presets.CALIBRATION_TEXT).write_text(presets.to_jsonl(calibration))
        description = {
            "license": "that of the texts: PSF-2.0, Apache-2.0, BSD and MIT for the most part",
            "source": f"docstrings of the Python standard library and of the packages in {settings.packages}",
            "documents": len(text.train),
            "training_text_bytes": sum(len(t.encode()) for t in text.train),
            "evaluation_documents": len(text.evaluation),
            "calibration_documents": len(calibration),
            "tokens_seen": settings.training.steps * settings.training.batch * settings.training.context,
            **{name: round(bits, 4) for name, bits in measured.items()},
            "corpus_sha256": text.sha256,
            "seed": settings.training.seed,
            "parameters": presets.parameter_count(model),
            "sha256": presets.preset_sha256(folder),
        }
        write_json(folder / presets.DESCRIPTION, description)
    print(f"{PRESET}: {description}")


if __name__ == "__main__":
    config.main("pretrain", PretrainSettings, run)
