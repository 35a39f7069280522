"""convert: re-authors the model over a KV cache and converts it to core.tflite, and traces the loop around it."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stages import config
from stages.errors import UserError
from stages.files import read_json, replacing, write_json
from stages.quiet import quiet

AUTHOR = Path("artifacts/author")
OUT = Path("artifacts/convert")
SAMPLERS = ("greedy", "top_k", "top_p", "temperature")
# Long enough for text, short enough for a phone's memory; perplexities over equal windows compare.
_LONGEST_DEFAULT_CACHE = 256


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

    def __post_init__(self) -> None:
        """Refuses contradictions that need no model to be seen."""
        _require(self.sequence_length >= 2, "sequence_length", self.sequence_length, "at least 2")
        half = self.sequence_length // 2
        _require(
            self.context_window is None or 1 <= self.context_window <= half, "context_window", self.context_window,
            f"1 to {half}, half of sequence_length, so that as much is written as is read (null means {half})",
        )  # fmt: skip
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
    _require(settings.sequence_length <= context, "sequence_length", settings.sequence_length,
             f"2 to {context}, the model's context length")  # fmt: skip
    _require(2 <= cache <= context, "cache_length", cache, f"2 to {context}, the model's context length")
    _require(settings.sequence_length <= cache, "sequence_length", settings.sequence_length,
             f"2 to {cache}, the KV cache's slots; raise convert.cache_length (to at most {context})")  # fmt: skip
    window = settings.sequence_length // 2 if settings.context_window is None else settings.context_window
    fitting = [n for n in settings.prefill_lengths if n <= cache]
    _require(bool(fitting), "prefill_lengths", settings.prefill_lengths, f"at least one of 2 to {cache} (cache_length)")
    return Lengths(window, cache, fitting)


def run(settings: ConvertSettings) -> None:
    """artifacts/author → core.tflite, the drivers of tokens and text, and the latter's greedy twin for validate."""
    model = read_json(AUTHOR / "model.json")
    lengths = resolve(settings, int(model["context_length"]))
    with quiet(), replacing(OUT) as folder:
        layers = _write_models(folder, settings, lengths, model)
        write_json(folder / "convert.json", asdict(settings) | asdict(lengths) | {"layers": layers})
    sizes = {p.name: f"{p.stat().st_size / 1e6:.2f} MB" for p in sorted(OUT.glob("*.tflite"))}
    print(f"{OUT}: {sizes}")


def _write_models(folder: Path, settings: ConvertSettings, lengths: Lengths, model: dict[str, Any]) -> int:
    """Writes core.tflite, and tokens_driver, text_driver and greedy_driver; returns the number of layers."""
    from stages.lm import core, drivers, fixed_loop, gpt2, loop, tokenizer
    from stages.lm.sampler import Sampler
    from stages.tflite import flatbuffer

    weights = gpt2.weights(AUTHOR, lengths.cache_length)
    start = model["start_token_id"] if model["add_start_token"] else None
    vocabulary = tokenizer.read_vocabulary(AUTHOR / tokenizer.FOLDER, start, model["end_token_id"])
    short, long = (
        loop.Lengths(settings.sequence_length, n) for n in (lengths.prefill_lengths[0], lengths.prefill_lengths[-1])
    )
    limits = drivers.Limits(short, lengths.context_window, settings.max_output_bytes)
    samplers = {
        "text_driver": Sampler(settings.sampler, settings.top_k, settings.top_p, settings.temperature, settings.seed),
        "greedy_driver": Sampler("greedy", 1, 1.0, 1.0, None),
    }
    steps = fixed_loop.rooms(short) | {core.STEP: None}
    flatbuffer.write(core.build(weights, lengths.cache_length, lengths.prefill_lengths, steps), folder / "core.tflite")
    driver = drivers.convert_tokens_driver(weights.shape, vocabulary.end, long)
    flatbuffer.write(driver, folder / "tokens_driver.tflite")
    for name, sampler in samplers.items():
        driver = drivers.convert_text_driver(vocabulary, weights.shape, limits, sampler)
        flatbuffer.write(driver, folder / f"{name}.tflite")
    return weights.shape.layers


if __name__ == "__main__":
    config.main("convert", ConvertSettings, run)
