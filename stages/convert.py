"""convert: re-authors the model over a KV cache and converts it to core.tflite, and traces the loop around it."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autocomplete.common import artifacts, config
from autocomplete.common.artifacts import Conversion, ModelDescription
from autocomplete.common.errors import UserError
from autocomplete.common.files import replacing
from autocomplete.common.native_log import quiet
from autocomplete.common.processes import pool

AUTHOR = Path("artifacts/author")
OUT = Path("artifacts/convert")
SAMPLERS = ("greedy", "top_k", "top_p", "temperature")
# Long enough for text, short enough for a phone's memory. Equal caches make perplexities comparable.
_MAX_DEFAULT_CACHE = 256
# From this size on, reading the weights takes most of a token's time, and several tokens in one pass cost little more.
_DRAFTS_MIN_PARAMETERS = 50_000_000
_DRAFT_TOKENS = 8
_NO_TEXT = "no text and portable models: {}; core, tokens and .litertlm are made"
_PROMPT_BYTES = 16, 4096  # the bounds for portable.tflite, where each round of merges reads the whole prompt


@dataclass(frozen=True)
class ConvertSettings:
    """Lengths (in tokens, max_output_bytes in bytes) and sampler (params.yaml and conf/convert/*.yaml)."""

    sequence_length: int
    context_window: int | None
    sampler: str
    prefill_lengths: list[int]
    cache_length: int | None
    max_output_bytes: int
    top_k: int
    top_p: float
    temperature: float
    seed: int | None
    suppress_tokens: list[Any]  # ids and strings, as checked below
    draft_tokens: int | None
    complete_word: bool
    portable_prompt_bytes: int

    def __post_init__(self) -> None:
        """Refuses contradictions that can be seen without the model."""
        _require(self.sequence_length >= 2, "sequence_length", self.sequence_length, "at least 2")
        half = self.sequence_length // 2
        _require(
            self.context_window is None or 1 <= self.context_window <= half,
            "context_window",
            self.context_window,
            f"1 to {half}, half of sequence_length, so that as much is written as is read (null means {half})",
        )
        _require(self.sampler in SAMPLERS, "sampler", self.sampler, ", ".join(SAMPLERS))
        _require(self.top_k >= 1, "top_k", self.top_k, "at least 1")
        _require(0 < self.top_p <= 1, "top_p", self.top_p, "above 0, at most 1")
        _require(self.temperature > 0, "temperature", self.temperature, "above 0 (sampler=greedy for the likeliest)")
        _require(self.seed is None or 0 <= self.seed < 2**31, "seed", self.seed, f"null or 0 to {2**31 - 1}")
        _require(
            1 <= self.max_output_bytes <= 788, "max_output_bytes", self.max_output_bytes, "1 to 788 (the demo app)"
        )
        lengths = self.prefill_lengths
        ordered = bool(lengths) and lengths == sorted(set(lengths)) and lengths[0] >= 2
        _require(ordered, "prefill_lengths", lengths, "a rising list of numbers of at least 2")
        draft_count = self.draft_tokens
        _require(
            draft_count is None or 1 <= draft_count <= 64, "draft_tokens", draft_count, "null, or 1 (no drafts) to 64"
        )
        least, most = _PROMPT_BYTES
        fits = least <= self.portable_prompt_bytes <= most
        _require(fits, "portable_prompt_bytes", self.portable_prompt_bytes, f"{least} to {most}")
        for entry in self.suppress_tokens:
            _require(type(entry) in (int, str), "suppress_tokens", f"a list with {entry}", "token ids and strings")


def _require(condition: bool, key: str, value: object, allowed: str) -> None:
    if not condition:
        raise UserError(f"convert.{key} is {value}; allowed: {allowed}")


@dataclass(frozen=True)
class Lengths:
    """The lengths, in tokens, that follow from the settings and the model."""

    context_window: int
    cache_length: int
    prefill_lengths: list[int]


def resolve(settings: ConvertSettings, context: int) -> Lengths:
    """Fills in the lengths that depend on the model's context length; raises UserError if settings contradict it."""
    if context < 2:  # a prompt and what follows it
        raise UserError(f"the model has a context length of {context}; allowed: at least 2; take another model")
    cache = min(context, _MAX_DEFAULT_CACHE) if settings.cache_length is None else settings.cache_length
    _require(
        settings.sequence_length <= context,
        "sequence_length",
        settings.sequence_length,
        f"2 to {context}, the model's context length",
    )
    _require(2 <= cache <= context, "cache_length", cache, f"2 to {context}, the model's context length")
    _require(
        settings.sequence_length <= cache,
        "sequence_length",
        settings.sequence_length,
        f"2 to {cache}, the KV cache's slots; raise convert.cache_length (to at most {context})",
    )
    window = settings.sequence_length // 2 if settings.context_window is None else settings.context_window
    fitting = [n for n in settings.prefill_lengths if n <= cache]
    _require(bool(fitting), "prefill_lengths", settings.prefill_lengths, f"at least one of 2 to {cache} (cache_length)")
    return Lengths(window, cache, fitting)


def suppressed_ids(entries: Sequence[int | str], model: ModelDescription) -> list[int]:
    """The ids that are never generated, in ascending order: those of convert.suppress_tokens, and ids without a token.

    A string stands for the one token that it is encoded to. " word" with a blank is another token than "word".

    Raises:
      UserError: for an entry that is not one token, and if no token is left.
    """
    from autocomplete.tokenizer import tokenizer, tokenizer_json

    content = tokenizer.read_tokenizer_json(AUTHOR)
    bpe, size, end_ids = tokenizer_json.load(content), model.vocabulary, model.end_token_ids
    unused = set(range(size)) - set(tokenizer_json.token_ids(content).values())
    suppressed = {entry for entry in entries if isinstance(entry, int)}
    for text in (entry for entry in entries if isinstance(entry, str)):
        ids = bpe.encode(text).ids
        pieces = ", ".join(repr(bpe.decode([i])) for i in ids)
        _require(len(ids) == 1, "suppress_tokens", repr(text), f"one token each; this text is {len(ids)}: {pieces}")
        suppressed |= set(ids)
    for index in suppressed:
        _require(0 <= index < size, "suppress_tokens", index, f"ids from 0 to {size - 1}, and strings of one token")
    for end in end_ids:
        _require(end not in suppressed, "suppress_tokens", end, "all but the end token, without which no text ends")
    most, suppressed = size - len(end_ids), suppressed | unused
    _require(len(suppressed) < most, "suppress_tokens", f"all {most} tokens", "fewer, so that something can be said")
    return sorted(suppressed)


def draft_tokens(setting: int | None, parameters: int) -> int:
    """How many tokens the tokens model reads in one pass where greedy text repeats itself; 1: no drafts."""
    return (_DRAFT_TOKENS if parameters >= _DRAFTS_MIN_PARAMETERS else 1) if setting is None else setting


def run(settings: ConvertSettings) -> None:
    """artifacts/author → core.tflite, and the drivers of tokens, text and bytes."""
    model = ModelDescription.read(AUTHOR / artifacts.MODEL)
    lengths = resolve(settings, model.context_length)
    reason = unsupported_tokenizer()
    if reason is not None:
        print(_NO_TEXT.format(reason), flush=True)
    suppressed = suppressed_ids(settings.suppress_tokens, model)
    resolved = asdict(settings) | asdict(lengths) | {"suppress_tokens": suppressed}
    resolved["draft_tokens"] = draft_tokens(settings.draft_tokens, model.parameters)
    # Else TensorFlow imports Keras, which nothing here needs, and which takes seconds.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    with quiet(), replacing(OUT) as folder:
        conversion = Conversion.parse(resolved | {"layers": _num_layers()}, artifacts.CONVERSION)
        conversion.write(folder / artifacts.CONVERSION)
        _write_models(folder, model, conversion, text=reason is None)
    sizes = {p.name: f"{p.stat().st_size / 1e6:.2f} MB" for p in sorted(OUT.glob("*.tflite"))}
    print(f"{OUT}: {sizes}")


def unsupported_tokenizer() -> str | None:
    """Why a graph cannot do what the tokenizer of artifacts/author does; None if one can."""
    from autocomplete.tokenizer import graph_support, tokenizer, tokenizer_rules

    content = tokenizer.read_tokenizer_json(AUTHOR)
    return graph_support.unsupported_reason(content, tokenizer_rules.read_rules(content, tokenizer.FILE))


def _num_layers() -> int:
    from autocomplete.model import families

    return families.read_config(AUTHOR).num_layers


def _write_models(folder: Path, model: ModelDescription, conversion: Conversion, *, text: bool) -> None:
    """Writes core.tflite, and the drivers in another process, as they need no weights."""
    from autocomplete.graph import core, fixed_loop, growing_loop
    from autocomplete.model import families
    from autocomplete.tflite import flatbuffer

    slots, chunks = conversion.cache_length, conversion.prefill_lengths
    fixed, growing = fixed_loop.lengths_for(conversion), growing_loop.lengths_for(conversion)
    steps = fixed_loop.step_shapes(fixed) | growing_loop.step_shapes(growing)
    with pool(1, forked=True) as other_process:  # TensorFlow is imported, but has started no threads yet
        drivers = other_process.submit(_write_drivers, folder, model, conversion, text)
        weights = families.read_weights(AUTHOR, slots)
        flatbuffer.write(core.build(weights, slots, chunks, steps, score_length=chunks[-1]), folder / "core.tflite")
        drivers.result()


def _write_drivers(folder: Path, model: ModelDescription, conversion: Conversion, text: bool) -> None:
    """Writes tokens_driver.tflite and, with `text`, the drivers of text and bytes, which have a tokenizer."""
    from autocomplete.graph import bytes_driver, text_driver, tokens_driver
    from autocomplete.tflite import flatbuffer

    flatbuffer.write(tokens_driver.convert_for(AUTHOR, model, conversion), folder / "tokens_driver.tflite")
    if text:
        flatbuffer.write(text_driver.convert_for(AUTHOR, model, conversion), folder / "text_driver.tflite")
        flatbuffer.write(bytes_driver.convert_for(AUTHOR, model, conversion), folder / "bytes_driver.tflite")


if __name__ == "__main__":
    config.main("convert", ConvertSettings, run)
