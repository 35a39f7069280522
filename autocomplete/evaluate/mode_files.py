"""A mode as validate sees it: its shipped files, and what they were made from."""

import filecmp
import functools
from collections.abc import Sequence
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
class ModelFiles:
    """What all modes are made from.

    Attributes:
      preset: author's folder.
      converted: convert's folder.
      bpe: the preset's tokenizer.
      model: author's model.json.
      conversion: convert's convert.json.
      threads: of each runtime that runs a file.
    """

    preset: Path
    converted: Path
    bpe: tokenizers.Tokenizer
    model: ModelDescription
    conversion: Conversion
    threads: int

    def prompt_ids(self, prompt: str) -> list[int]:
        """The ids that the drivers read for a prompt: start token, then the last context_window tokens."""
        ids: list[int] = self.bpe.encode(prompt).ids[-self.conversion.context_window :]
        start = [] if self.model.start is None else [self.model.start]
        return [*start, *ids] or [self.model.end_token_id]

    def text_of(self, ids: Sequence[int]) -> bytes:
        """The text of generated ids, without bytes that are no whole character of UTF-8."""
        return b"".join(self.token_bytes[i] for i in ids).decode(errors="ignore").encode()

    def text_answer(self, prompt: str, ids: Sequence[int]) -> bytes:
        """The answer that the text model must give to a prompt when its core generates these ids."""
        text_bytes = max(self.conversion.max_output_bytes - len(prompt.encode()), 0)
        return prompt.encode() + self.text_of(ids)[:text_bytes].decode(errors="ignore").encode()

    @property
    def suppressed(self) -> list[int]:
        """The ids that the models never generate."""
        return self.conversion.suppress_tokens

    @functools.cached_property
    def token_bytes(self) -> list[bytes]:
        """The bytes of each token, by id."""
        return tokenizer.read_token_bytes(self.preset)

    def session(self, core: Path) -> compiled.CompiledSession:
        """A session over a core in ai-edge-litert."""
        return compiled.CompiledSession(compiled.load(core, self.threads))


@dataclass(frozen=True)
class ModeFiles(ModelFiles):
    """A mode's shipped files, and what they were made from.

    Attributes:
      shipped: quantize's folder of the mode.
      text_core: the core inside the text model, with all its signatures; None for a mode without a text model.
    """

    shipped: Path
    text_core: Path | None

    @property
    def core(self) -> Path:
        """The shipped core."""
        return self.shipped / "core.tflite"

    @property
    def all_signatures_core(self) -> Path:
        """The shipped core with the signatures that do not ship; it has the same weights, byte for byte."""
        core = self.shipped / "parts/core.tflite"
        return core if core.exists() else self.core

    @property
    def portable(self) -> Path:
        """The shipped portable model; the file does not exist where no graph knows the tokenizer."""
        return self.shipped / "portable.tflite"

    @property
    def recipe(self) -> ModeRecipe:
        """The mode's recipe.json."""
        return ModeRecipe.read(self.shipped / artifacts.RECIPE)

    def sampling(self, seed: int) -> tokens_model.Sampling:
        """The text model's sampler as inputs of the tokens model, which draws from at most the 64 likeliest tokens."""
        conversion = self.conversion
        if conversion.sampler == "greedy":
            return tokens_model.Sampling()
        top_k = conversion.top_k if conversion.sampler == "top_k" else 0
        top_p = conversion.top_p if conversion.sampler == "top_p" else 1.0
        return tokens_model.Sampling(conversion.temperature, top_k, top_p, seed)

    @functools.cached_property
    def generate(self) -> tokens_model.Generate:
        """The shipped tokens model, loaded once for all checks."""
        return tokens_model.interpreted(interpreters.litert(self.shipped / "tokens.tflite", self.threads))

    @functools.cached_property
    def complete(self) -> text_model.Complete:
        """The shipped text model, loaded once for all checks."""
        return text_model.interpreted(interpreters.tensorflow(self.shipped / "autocomplete.tflite", self.threads))


def text_core(shipped: Path, converted: Path, folder: Path) -> Path | None:
    """The core inside the shipped text model, with all its signatures; None where the mode has no text model.

    Raises:
      UserError: if the driver and that core, linked in `folder`, are not the shipped text model byte for byte.
    """
    shipped_text = shipped / "autocomplete.tflite"
    if not ModeRecipe.read(shipped / artifacts.RECIPE).text:
        return None
    separate = shipped / "parts/text_core.tflite"
    core = separate if separate.exists() else shipped / "parts/core.tflite"
    driver = flatbuffer.read(converted / "text_driver.tflite")
    flatbuffer.write(linker.link(driver, flatbuffer.read(core)), folder / "text.tflite")
    if not filecmp.cmp(folder / "text.tflite", shipped_text, shallow=False):
        raise UserError(f"{shipped_text} is not what its driver and core give; run `dvc repro`")
    return core
