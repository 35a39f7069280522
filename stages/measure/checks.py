"""The checks of one mode: shipped files against the float32 core and Keras."""

import filecmp
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from stages.arrays import Array
from stages.errors import UserError
from stages.files import read_json
from stages.lm import drivers, reference, sampler, tokenizer
from stages.measure import contract, performance, quality
from stages.progress import progress_bar
from stages.quiet import quiet
from stages.tflite import flatbuffer, linker, quantization, runner, tokens


@dataclass(frozen=True)
class Subject:
    """What is checked: a mode's folder, what it was made from, and how."""

    preset: Path
    shipped: Path
    converted: Path
    text_core: Path
    bpe: tokenizers.Tokenizer
    model: dict[str, Any]
    settings: dict[str, Any]
    threads: int

    def prompt_ids(self, prompt: str) -> list[int]:
        """The ids that the drivers read for a prompt: start token, then the last context_window tokens."""
        ids: list[int] = self.bpe.encode(prompt).ids[-self.settings["context_window"] :]
        start = [self.model["start_token_id"]] if self.model["add_start_token"] else []
        return [*start, *ids] or [self.model["end_token_id"]]

    @property
    def core(self) -> Path:
        """The shipped core."""
        return self.shipped / "core.tflite"

    def session(self, core: Path, threads: int | None = None) -> runner.Session:
        """A core in ai-edge-litert."""
        return runner.Session(runner.litert(core, threads or self.threads))


def make_text_core(shipped: Path, converted: Path, folder: Path) -> Path:
    """The core inside the shipped text model, with all its signatures, made again by its recipe in `folder`.

    Raises:
      UserError: where linking it does not give the shipped text model byte for byte.
    """
    recipe = read_json(shipped / "recipe.json")
    core, linked = folder / "text_core.tflite", folder / "text.tflite"
    made = quantization.quantize(converted / "core.tflite", recipe["text_recipe"] or recipe["recipe"])
    flatbuffer.write(made, core)
    flatbuffer.write(linker.link(flatbuffer.read(converted / "text_driver.tflite"), made), linked)
    if not filecmp.cmp(linked, shipped / "autocomplete.tflite", shallow=False):
        raise UserError(f"{shipped / 'autocomplete.tflite'} is not what its driver and recipe give; run `dvc repro`")
    linked.unlink()
    return core


def measure_quality(subject: Subject, keras: Any, windows: Array, parity_windows: int) -> dict[str, float]:
    """Perplexity and its kin over windows `[n, slots]`, and parity of the float32 core with Keras over some of them."""
    cores = list(dict.fromkeys([subject.converted / "core.tflite", subject.core, subject.text_core]))
    # one thread each, side by side: faster than two threads one after the other on matrices this small
    sessions = [subject.session(core, threads=1) for core in cores]
    scores: dict[Path, list[quality.Scores]] = {core: [] for core in cores}
    apart = []
    with progress_bar("quality", len(windows)) as show, ThreadPoolExecutor() as pool:
        for index, window in enumerate(windows):
            logits = list(pool.map(_logits, sessions, [window[:-1]] * len(cores)))
            predictions = list(pool.map(quality.log_softmax, logits))
            for core, prediction in zip(cores, predictions, strict=True):
                scores[core].append(quality.score(prediction, predictions[0], window[1:]))
            if index < parity_windows:
                apart.append(quality.difference(logits[0], reference.logits(keras, window[None, :-1])[0]))
            show(index + 1, "windows")
    lengths = np.array([len(b) for b in tokenizer.token_bytes(subject.bpe.get_vocab())])
    size = int(lengths[windows[:, 1:]].sum())
    text = quality.summarize(scores[subject.text_core], size)
    measured = {
        "parity_max": max(a for a, _ in apart),
        "parity_mean": float(np.mean([b for _, b in apart])),
        **quality.summarize(scores[subject.core], size),
        "text_perplexity_ratio": text["perplexity_ratio"],
        "text_perplexity_ratio_stderr": text["perplexity_ratio_stderr"],
    }
    return {name: quality.significant(value) for name, value in measured.items()}


def _logits(session: runner.Session, tokens: Array) -> Array:
    """Logits `[n, vocab]` after each of the tokens `[n]`."""
    session.reset()
    return np.stack([session.decode(int(t)) for t in tokens])


def greedy(subject: Subject, keras: Any, prompts: Sequence[str], folder: Path) -> dict[str, float]:
    """How often greedy decoding by core and tokens model equals Keras's, and the text model's answer equals its core's.

    Where the shipped text model samples, a greedy driver is linked to its core in `folder` instead.
    """
    path = subject.shipped / "autocomplete.tflite"
    if subject.settings["sampler"] != "greedy":
        greedy = sampler.Sampler("greedy", 1, 1.0, 1.0, None)
        with quiet():
            twin = drivers.text_driver_for(subject.preset, subject.model, subject.settings, greedy)
        path = folder / "greedy.tflite"
        flatbuffer.write(linker.link(twin, flatbuffer.read(subject.text_core)), path)
    answer = runner.complete(runner.tensorflow(path, subject.threads))
    # Both sides in one runtime: kernels of different versions round differently.
    alone = runner.Steps(runner.tensorflow(subject.text_core, subject.threads))
    session = subject.session(subject.core)
    ids = [subject.prompt_ids(p) for p in prompts]
    said = [continue_greedily(session, i, subject) for i in ids]
    equal = [
        answer(p.encode()) == _text(p, continue_greedily(alone, i, subject), subject)
        for p, i in zip(prompts, ids, strict=True)
    ]
    generate = tokens.interpreted(runner.litert(subject.shipped / "tokens.tflite", subject.threads))
    longest = subject.settings["sequence_length"]
    generated = [generate(i, longest, tokens.Sampling())[len(i) :] for i in ids]
    return {
        "greedy_match": quality.significant(float(np.mean(reference.greedy_matches(keras, ids, said)))),
        "tokens_greedy_match": quality.significant(float(np.mean(reference.greedy_matches(keras, ids, generated)))),
        "text_greedy_match": quality.significant(float(np.mean(equal))),
    }


def continue_greedily(session: runner.Session | runner.Steps, ids: Sequence[int], subject: Subject) -> list[int]:
    """The likeliest tokens after a prompt, to the end token (included) or to sequence_length in all."""
    session.reset()
    session.prefill(np.array(ids[:-1], np.int32), session.chunks[0])
    said = [ids[-1]]
    for _ in range(subject.settings["sequence_length"] - len(ids)):
        said.append(int(session.decode(said[-1]).argmax()))
        if said[-1] == subject.model["end_token_id"]:
            break
    return said[1:]


def _text(prompt: str, tokens: Sequence[int], subject: Subject) -> bytes:
    """What the contract says that the text model answers for these tokens."""
    pieces = tokenizer.token_bytes(subject.bpe.get_vocab())
    room = max(subject.settings["max_output_bytes"] - len(prompt.encode()), 0)
    whole = b"".join(pieces[t] for t in tokens).decode(errors="ignore").encode()
    return prompt.encode() + whole[:room].decode(errors="ignore").encode()


def android(subject: Subject, prompts: Sequence[str]) -> dict[str, bool]:
    """The demo app's rules, on the shipped text model."""
    path = subject.shipped / "autocomplete.tflite"
    complete = runner.complete(runner.tensorflow(path, subject.threads))
    samples = subject.settings["sampler"] != "greedy"
    return contract.check(complete, [p.encode() for p in prompts], samples) | contract.interface(path)


def measure_performance(subject: Subject, prompts: Sequence[str], settings: Any) -> dict[str, Any]:
    """Timings, memory and sizes of the shipped files; timings vary from run to run."""
    before = performance.machine()
    prompt = np.array(subject.prompt_ids(prompts[0]), np.int32)
    speed = performance.core_speed(subject.session(subject.core), prompt, settings.timing_repeats)
    files = sorted(subject.shipped.glob("*.tflite"))
    return {
        **{name: quality.significant(value, 4) for name, value in speed.items()},
        "latency_100_tokens_s": _latency(subject, prompts, settings),
        "peak_rss_mib": round(performance.peak_rss_mib(subject.core), 1),
        "size_bytes": {p.name: p.stat().st_size for p in files},
        "threads": subject.threads,
        "runtime": runner.versions(),
        "machine": before,
    }


def _latency(subject: Subject, prompts: Sequence[str], settings: Any) -> float | None:
    """Seconds of the shipped text model for an answer of 100 tokens; null where sequence_length is below 100.

    An answer counts as full where its text has sequence_length tokens when encoded anew: sampling may end early, and
    only the text shows what was said. A longer sequence_length is scaled to 100 tokens.
    """
    length = subject.settings["sequence_length"]
    if length < settings.full_length:
        return None
    complete = runner.complete(runner.tensorflow(subject.shipped / "autocomplete.tflite", subject.threads))

    def reached(answer: bytes) -> bool:
        tokens = len(subject.bpe.encode(answer.decode()).ids) + bool(subject.model["add_start_token"])
        return bool(tokens >= length)

    again = [p.encode() for _ in range(settings.latency_attempts) for p in prompts][: settings.latency_attempts]
    seconds = performance.full_length_latency(complete, reached, again, settings.latency_runs)
    return None if seconds is None else quality.significant(seconds * settings.full_length / length, 4)
