"""Trains the small GPT-2 that ships with the project, on docstrings; resumes where an earlier run was stopped.

The stage is frozen in dvc.yaml: `dvc repro` never trains. To train anew: `python -m stages.pretrain`.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages import config
from stages.files import replacing, tree_sha256, write_json
from stages.lm.corpus import Corpus, CorpusSettings, build, docstrings, source_files
from stages.lm.schedule import TrainingSettings
from stages.progress import training_progress
from stages.quiet import quiet

PRESET = Path("artifacts/presets/pydoc_gpt2")
WORK = Path("artifacts/pretrain")


@dataclass(frozen=True)
class PretrainSettings:
    """The corpus, the shape of the model and the schedule (conf/pretrain/*.yaml)."""

    corpus: CorpusSettings
    calibration_documents: int
    vocabulary_size: int
    layers: int
    heads: int
    hidden: int
    training: TrainingSettings


def run(settings: PretrainSettings) -> None:
    """Corpus → tokenizer → training → preset with its description."""
    with quiet():
        import keras

        from stages.lm import tokenizer, training

    print("reading docstrings (a minute or two)", flush=True)
    corpus = build(docstrings(source_files(Path("uv.lock"))), settings.corpus)
    tokenizer.train(corpus.train, settings.vocabulary_size, WORK / "tokenizer")
    bpe = tokenizer.load(WORK / "tokenizer")
    keras.utils.set_random_seed(settings.training.seed)
    model = _new_model(settings)
    end = model.preprocessor.tokenizer.end_token_id
    stream = training.Stream([e.ids for e in bpe.encode_batch(corpus.train)], end)
    print(f"{len(corpus.train)} documents, {len(stream.tokens)} tokens, {model.count_params()} parameters", flush=True)
    with training_progress() as show:
        training.train(model.backbone, stream, settings.training, _checkpoint(settings, corpus), show)
    held_out = training.Stream([e.ids for e in bpe.encode_batch(corpus.evaluation)], end)
    lengths = [len(b) for b in tokenizer.token_bytes(bpe.get_vocab())]
    bits = training.bits_per_byte(model.backbone, held_out.tokens, lengths, settings.training.context)
    _write(model, corpus, settings, bits)


def _new_model(settings: PretrainSettings) -> Any:
    """A GPT-2 with random weights, its tokenizer and preprocessor."""
    import keras_hub

    files = [str(WORK / "tokenizer" / name) for name in ("vocabulary.json", "merges.txt")]
    text = keras_hub.models.GPT2Tokenizer(*files, name="tokenizer")
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=settings.vocabulary_size, num_layers=settings.layers, num_heads=settings.heads,
        hidden_dim=settings.hidden, intermediate_dim=4 * settings.hidden, dropout=0.0,
        max_sequence_length=settings.training.context, name="backbone",
    )  # fmt: skip
    preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(text, sequence_length=settings.training.context)
    return keras_hub.models.GPT2CausalLM(backbone=backbone, preprocessor=preprocessor)


def _checkpoint(settings: PretrainSettings, corpus: Corpus) -> Path:
    """A checkpoint belongs to one text, one tokenizer and one configuration."""
    parts = f"{settings}{corpus.sha256}{tree_sha256(WORK / 'tokenizer')}"
    return WORK / f"checkpoint-{hashlib.sha256(parts.encode()).hexdigest()[:16]}.npz"


def _write(model: Any, corpus: Corpus, settings: PretrainSettings, bits: float) -> None:
    from stages.lm import presets

    with replacing(PRESET) as folder:
        presets.save(model, folder)
        (folder / presets.EVALUATION_TEXT).write_text(presets.to_jsonl(corpus.evaluation))
        calibration = corpus.train[: settings.calibration_documents]  # in the order of hashes: any part is a sample
        (folder / presets.CALIBRATION_TEXT).write_text(presets.to_jsonl(calibration))
        description = {
            "license": "that of the texts: PSF-2.0, Apache-2.0, BSD and MIT for the most part",
            "source": "docstrings of the Python standard library and of the packages in uv.lock",
            "documents": len(corpus.train),
            "training_text_bytes": sum(len(t.encode()) for t in corpus.train),
            "evaluation_documents": len(corpus.evaluation),
            "calibration_documents": len(calibration),
            "tokens_seen": settings.training.steps * settings.training.batch * settings.training.context,
            "evaluation_bits_per_byte": round(bits, 4),
            "corpus_sha256": corpus.sha256,
            "seed": settings.training.seed,
            "parameters": presets.parameter_count(model),
            "sha256": presets.preset_sha256(folder),
        }
        write_json(folder / presets.DESCRIPTION, description)
    print(f"{PRESET}: {description}")


if __name__ == "__main__":
    config.main("pretrain", PretrainSettings, run)
