"""The checks of one mode: shipped files against the float32 core and Keras."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from stages.arrays import Array
from stages.lm import reference, tokenizer
from stages.measure import contract, performance, quality
from stages.progress import progress_bar
from stages.tflite import flatbuffer, linker, runner


@dataclass(frozen=True)
class Subject:
    """What is checked: a mode's folder, what it was made from, and how."""

    shipped: Path
    converted: Path
    bpe: tokenizers.Tokenizer
    model: dict[str, Any]
    settings: dict[str, Any]
    threads: int

    def prompt_ids(self, prompt: str) -> list[int]:
        """The ids that the drivers read for a prompt: start token, then the last context_window tokens."""
        ids: list[int] = self.bpe.encode(prompt).ids[-self.settings["context_window"] :]
        start = [self.model["start_token_id"]] if self.model["add_start_token"] else []
        return [*start, *ids] or [self.model["end_token_id"]]

    def session(self, folder: Path, threads: int | None = None) -> runner.Session:
        """The core of a folder in ai-edge-litert."""
        return runner.Session(runner.litert(folder / "core.tflite", threads or self.threads))


def measure_quality(subject: Subject, keras: Any, windows: Array, parity_windows: int) -> dict[str, float]:
    """Perplexity and its kin over windows `[n, slots]`, and parity of the float32 core with Keras over some of them."""
    # one thread each, side by side: twice as fast as two threads one after the other on matrices this small
    reference_core, shipped = (subject.session(f, threads=1) for f in (subject.converted, subject.shipped))
    lengths = np.array([len(b) for b in tokenizer.token_bytes(subject.bpe.get_vocab())])
    scores, apart = [], []
    with progress_bar("quality", len(windows)) as show, ThreadPoolExecutor() as pool:
        for index, window in enumerate(windows):
            base, logits = pool.map(_logits, (reference_core, shipped), (window[:-1], window[:-1]))
            scores.append(quality.score(logits, base, window[1:]))
            if index < parity_windows:
                apart.append(quality.difference(base, reference.logits(keras, window[None, :-1])[0]))
            show(index + 1, "windows")
    parity = {"parity_max": max(a for a, _ in apart), "parity_mean": float(np.mean([b for _, b in apart]))}
    measured = parity | quality.summarize(scores, int(lengths[windows[:, 1:]].sum()))
    return {name: quality.significant(value) for name, value in measured.items()}


def _logits(session: runner.Session, tokens: Array) -> Array:
    """Logits `[n, vocab]` after each of the tokens `[n]`."""
    session.reset()
    return np.stack([session.decode(int(t)) for t in tokens])


def greedy(subject: Subject, keras: Any, prompts: Sequence[str], folder: Path) -> dict[str, float]:
    """How often greedy decoding by the shipped core equals Keras's, and the text model's answer equals the core's.

    The shipped text model may sample: its driver's greedy twin is linked to the shipped core in `folder` instead.
    """
    core = flatbuffer.read(subject.shipped / "core.tflite")
    flatbuffer.write(
        linker.link(flatbuffer.read(subject.converted / "greedy_driver.tflite"), core), folder / "greedy.tflite"
    )
    answer = runner.complete(runner.tensorflow(folder / "greedy.tflite", subject.threads))
    # Both sides in one runtime: kernels of different versions round differently.
    twin = runner.Session(runner.tensorflow(subject.shipped / "core.tflite", subject.threads))
    session = subject.session(subject.shipped)
    ids = [subject.prompt_ids(p) for p in prompts]
    said = [continue_greedily(session, i, subject) for i in ids]
    equal = [
        answer(p.encode()) == _text(p, continue_greedily(twin, i, subject), subject)
        for p, i in zip(prompts, ids, strict=True)
    ]
    return {
        "greedy_match": quality.significant(float(np.mean(reference.greedy_matches(keras, ids, said)))),
        "text_greedy_match": quality.significant(float(np.mean(equal))),
    }


def continue_greedily(session: runner.Session, ids: Sequence[int], subject: Subject) -> list[int]:
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
    speed = performance.core_speed(subject.session(subject.shipped), prompt, settings.timing_repeats)
    files = sorted(subject.shipped.glob("*.tflite"))
    return {
        **{name: quality.significant(value, 4) for name, value in speed.items()},
        "latency_100_tokens_s": _latency(subject, prompts, settings),
        "peak_rss_mib": round(performance.peak_rss_mib(subject.shipped / "core.tflite"), 1),
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
