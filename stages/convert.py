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
# Long enough for text, short enough for a phone's memory; perplexities over equal windows compare.
_LONGEST_DEFAULT_CACHE = 256
# Where reading the weights takes most of a token's time, so that several tokens in one pass cost little more than one.
_DRAFTS_PAY = 50_000_000  # parameters
_DRAFT_TOKENS = 8
_NO_TEXT = "no text and portable models: {}; core, tokens and .litertlm are made"
_PROMPT_BYTES = 16, 4096  # of portable.tflite: each round of merges looks at all of them


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
    suppress_tokens: list[Any]
    draft_tokens: int | None
    complete_word: bool
    portable_prompt_bytes: int

    def __post_init__(self) -> None:
        """Refuses contradictions that need no model to be seen."""
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


def _require(fine: bool, key: str, value: Any, allowed: str) -> None:
    if not fine:
        raise UserError(f"convert.{key} is {value}; allowed: {allowed}")


@dataclass(frozen=True)
class Lengths:
    """The lengths that a model and the settings give together."""

    context_window: int
    cache_length: int
    prefill_lengths: list[int]


def resolve(settings: ConvertSettings, context: int) -> Lengths:
    """Fills in what depends on the model's context length; raises UserError where the two contradict."""
    cache = min(context, _LONGEST_DEFAULT_CACHE) if settings.cache_length is None else settings.cache_length
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


def suppressed_ids(wanted: Sequence[Any], model: ModelDescription) -> list[int]:
    """The ids that are never said, rising: those of convert.suppress_tokens, and those that no token has.

    Raises UserError for what is no token, and where too little is left.

    A string is the one token that it is encoded to: " word" with the blank before it is another one than "word".
    """
    from autocomplete.tokenizer import tokenizer, tokenizer_json

    content = tokenizer.read_tokenizer_json(AUTHOR)
    bpe, known = tokenizer_json.load(content), set(tokenizer_json.token_ids(content).values())
    size, ends = model.vocabulary, model.end_token_ids
    holes = set(range(size)) - known
    found = {entry for entry in wanted if isinstance(entry, int)}
    for text in (entry for entry in wanted if isinstance(entry, str)):
        ids = bpe.encode(text).ids
        pieces = ", ".join(repr(bpe.decode([i])) for i in ids)
        _require(len(ids) == 1, "suppress_tokens", repr(text), f"one token each; this text is {len(ids)}: {pieces}")
        found |= set(ids)
    for index in found:
        _require(0 <= index < size, "suppress_tokens", index, f"ids from 0 to {size - 1}, and strings of one token")
    for end in ends:
        _require(end not in found, "suppress_tokens", end, "all but the end token, without which no text ends")
    left = size - len(ends)
    _require(len(found | holes) < left, "suppress_tokens", f"all {left} tokens", "fewer, so that something can be said")
    return sorted(found | holes)


def draft_tokens(wanted: int | None, parameters: int) -> int:
    """How many tokens the tokens model reads at once where greedy text repeats itself; 1: no drafts."""
    return (_DRAFT_TOKENS if parameters >= _DRAFTS_PAY else 1) if wanted is None else wanted


def run(settings: ConvertSettings) -> None:
    """artifacts/author → core.tflite, and the drivers of tokens, text and bytes."""
    model = ModelDescription.read(AUTHOR / artifacts.MODEL)
    lengths = resolve(settings, model.context_length)
    reason = no_graph()
    if reason is not None:
        print(_NO_TEXT.format(reason), flush=True)
    suppressed = suppressed_ids(settings.suppress_tokens, model)
    resolved = asdict(settings) | asdict(lengths) | {"suppress_tokens": suppressed}
    resolved["draft_tokens"] = draft_tokens(settings.draft_tokens, model.parameters)
    # TensorFlow imports Keras for nothing else than this: nothing here needs it, and it takes seconds.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    with quiet(), replacing(OUT) as folder:
        conversion = Conversion.parse(resolved | {"layers": _num_layers()}, artifacts.CONVERSION)
        conversion.write(folder / artifacts.CONVERSION)
        _write_models(folder, model, conversion, text=reason is None)
    sizes = {p.name: f"{p.stat().st_size / 1e6:.2f} MB" for p in sorted(OUT.glob("*.tflite"))}
    print(f"{OUT}: {sizes}")


def no_graph() -> str | None:
    """Why the tokenizer of artifacts/author cannot be done in a graph; None where it can."""
    from autocomplete.tokenizer import graph_support, tokenizer, tokenizer_rules

    content = tokenizer.read_tokenizer_json(AUTHOR)
    return graph_support.unsupported_reason(content, tokenizer_rules.read_rules(content, tokenizer.FILE))


def _num_layers() -> int:
    from autocomplete.model import families

    return families.read_config(AUTHOR).num_layers


def _write_models(folder: Path, model: ModelDescription, conversion: Conversion, *, text: bool) -> None:
    """Writes core.tflite, and the drivers in a process beside it, as they need no weights."""
    from autocomplete.graph import core, fixed_loop, growing_loop
    from autocomplete.model import families
    from autocomplete.tflite import flatbuffer

    slots, chunks = conversion.cache_length, conversion.prefill_lengths
    fixed, growing = fixed_loop.lengths_for(conversion), growing_loop.lengths_for(conversion)
    steps = fixed_loop.step_shapes(fixed) | growing_loop.step_shapes(growing)
    with pool(1, forked=True) as beside:  # TensorFlow is imported, and has begun nothing yet
        written = beside.submit(_write_drivers, folder, model, conversion, text)
        weights = families.read_weights(AUTHOR, slots)
        flatbuffer.write(core.build(weights, slots, chunks, steps, score_length=chunks[-1]), folder / "core.tflite")
        written.result()


def _write_drivers(folder: Path, model: ModelDescription, conversion: Conversion, text: bool) -> None:
    """Writes tokens_driver.tflite and, where a graph can do the tokenizer, those of text and bytes."""
    from autocomplete.graph import bytes_driver, text_driver, tokens_driver
    from autocomplete.graph.sampler import Sampler
    from autocomplete.tflite import flatbuffer

    flatbuffer.write(tokens_driver.convert_for(AUTHOR, model, conversion), folder / "tokens_driver.tflite")
    if text:
        rule = Sampler(
            conversion.sampler,
            conversion.top_k,
            conversion.top_p,
            conversion.temperature,
            conversion.seed,
            conversion.suppress_tokens,
        )
        flatbuffer.write(text_driver.convert_for(AUTHOR, model, conversion, rule), folder / "text_driver.tflite")
        flatbuffer.write(bytes_driver.convert_for(AUTHOR, model, conversion), folder / "bytes_driver.tflite")


if __name__ == "__main__":
    config.main("convert", ConvertSettings, run)
