"""reference: measures once what is the same for all modes: parity with Keras, the tokenizer, Keras' greedy answers."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from autocomplete.common import artifacts, config
from autocomplete.common.artifacts import Conversion, ModelDescription, Reference
from autocomplete.common.errors import UserError
from autocomplete.common.files import replacing
from autocomplete.common.metrics import MetricValues
from autocomplete.common.native_log import quiet
from autocomplete.common.progress import step
from autocomplete.evaluate.settings import LargeModelSettings

AUTHOR, CONVERT, OUT = Path("artifacts/author"), Path("artifacts/convert"), Path("artifacts/reference")


@dataclass(frozen=True)
class ReferenceSettings:
    """What is measured, and how much of it (params.yaml, validate, and conf/validate/*.yaml)."""

    evaluation_text: str
    parity_windows: int
    prompts: int
    prompt_tokens: int
    large: LargeModelSettings

    def __post_init__(self) -> None:
        """Refuses counts that measure nothing."""
        for key, least in (("parity_windows", 1), ("prompts", 1), ("prompt_tokens", 2)):
            if getattr(self, key) < least:
                raise UserError(f"validate.{key} is {getattr(self, key)}; allowed: at least {least}")


def run(settings: ReferenceSettings) -> None:
    """Artifacts of author and convert → reference.json."""
    from autocomplete.data import evaluation_text

    documents = evaluation_text.read_documents(Path(settings.evaluation_text), "validate.evaluation_text")
    model = ModelDescription.read(AUTHOR / artifacts.MODEL)
    conversion = Conversion.read(CONVERT / artifacts.CONVERSION)
    with quiet():
        from autocomplete.evaluate import completion, greedy, parity, tokenization
        from autocomplete.evaluate.mode_files import ModelFiles
        from autocomplete.presets import keras_preset
        from autocomplete.tokenizer import tokenizer

        keras = keras_preset.load(AUTHOR)
    bpe, boundary_tokens = tokenizer.from_preset(AUTHOR), evaluation_text.BoundaryTokens.from_description(model)
    files = ModelFiles(AUTHOR, CONVERT, bpe, model, conversion, threads=2)
    num_windows = settings.large.scaled(settings.parity_windows, model.parameters)
    num_prompts = settings.large.scaled(settings.prompts, model.parameters)
    windows = evaluation_text.windows(documents, bpe, boundary_tokens, conversion.cache_length, num_windows)
    prompts = evaluation_text.completion_prompts(documents, bpe, settings.prompt_tokens, num_prompts)
    # metrics.json holds them in this order
    values: MetricValues = {**completion.context_words(documents, bpe, conversion.context_window)}
    with step(f"the tokenizer's ids of {len(documents)} documents"), tempfile.TemporaryDirectory() as temporary:
        values |= tokenization.measure(files, documents, Path(temporary))
    with step(f"logits of {num_windows} windows, by Keras and by the float32 core"):
        values |= parity.measure(files, keras, windows)
    with step(f"greedy answers of Keras to {num_prompts} prompts"):
        continuations = greedy.keras_continuations(files, keras, prompts)
    reference = Reference(values=values, prompts=prompts, continuations=continuations)
    with replacing(OUT) as folder:
        reference.write(folder / artifacts.REFERENCE)


if __name__ == "__main__":
    config.main("reference", ReferenceSettings, run)
