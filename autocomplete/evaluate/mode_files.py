"""What validate looks at: a mode's shipped files, and what they were made from."""

import filecmp
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tokenizers

from autocomplete.common import artifacts
from autocomplete.common.artifacts import Conversion, ModelDescription, ModeRecipe
from autocomplete.common.errors import UserError
from autocomplete.runtime import compiled, interpreters, text_model, tokens_model
from autocomplete.tflite import flatbuffer, linker
from autocomplete.tokenizer import tokenizer


@dataclass(frozen=True)
class Subject:
    """What is checked: a mode's folder, what it was made from, and how.

    `text_core` is the core inside the text model, with all its signatures; None for a mode without a text model.
    """

    preset: Path
    shipped: Path
    converted: Path
    text_core: Path | None
    bpe: tokenizers.Tokenizer
    model: ModelDescription
    conversion: Conversion
    threads: int

    def prompt_ids(self, prompt: str) -> list[int]:
        """The ids that the drivers read for a prompt: start token, then the last context_window tokens."""
        ids: list[int] = self.bpe.encode(prompt).ids[-self.conversion.context_window :]
        start = [] if self.model.start is None else [self.model.start]
        return [*start, *ids] or [self.model.end_token_id]

    @property
    def suppressed(self) -> list[int]:
        """The ids that the models never say."""
        return self.conversion.suppress_tokens

    @property
    def core(self) -> Path:
        """The shipped core."""
        return self.shipped / "core.tflite"

    @property
    def portable(self) -> Path:
        """The shipped portable model, which there may not be."""
        return self.shipped / "portable.tflite"

    @property
    def recipe(self) -> ModeRecipe:
        """The mode's settings, as quantize noted them."""
        return ModeRecipe.read(self.shipped / artifacts.RECIPE)

    def sampling(self, seed: int) -> tokens_model.Sampling:
        """The text model's sampler, as the tokens model is told of it: at most the 64 likeliest tokens are drawn."""
        rule = self.conversion
        if rule.sampler == "greedy":
            return tokens_model.Sampling()
        top_k = rule.top_k if rule.sampler == "top_k" else 0
        top_p = rule.top_p if rule.sampler == "top_p" else 1.0
        return tokens_model.Sampling(rule.temperature, top_k, top_p, seed)

    @functools.cached_property
    def pieces(self) -> list[bytes]:
        """What each token id says."""
        return tokenizer.read_token_bytes(self.preset)

    @functools.cached_property
    def generate(self) -> tokens_model.Generate:
        """The shipped tokens model, loaded once for all checks."""
        return tokens_model.interpreted(interpreters.litert(self.shipped / "tokens.tflite", self.threads))

    @functools.cached_property
    def complete(self) -> Callable[[bytes], bytes]:
        """The shipped text model, loaded once for all checks."""
        return text_model.interpreted(interpreters.tensorflow(self.shipped / "autocomplete.tflite", self.threads))

    def session(self, core: Path) -> compiled.CompiledSession:
        """A core in ai-edge-litert."""
        return compiled.CompiledSession(compiled.load(core, self.threads))


def text_core(shipped: Path, converted: Path, folder: Path) -> Path | None:
    """The core inside the shipped text model, with all its signatures; None where the mode has no text model.

    Raises:
      UserError: where linking it (in `folder`) does not give the shipped text model byte for byte.
    """
    text = shipped / "autocomplete.tflite"
    if not ModeRecipe.read(shipped / artifacts.RECIPE).text:
        return None
    own = shipped / "parts/text_core.tflite"
    core = own if own.exists() else shipped / "parts/core.tflite"
    driver = flatbuffer.read(converted / "text_driver.tflite")
    flatbuffer.write(linker.link(driver, flatbuffer.read(core)), folder / "text.tflite")
    if not filecmp.cmp(folder / "text.tflite", text, shallow=False):
        raise UserError(f"{text} is not what its driver and core give; run `dvc repro`")
    return core
