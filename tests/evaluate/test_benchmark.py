"""Timings and memory are measured on the intended calls and models."""

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from autocomplete.evaluate import benchmark, peak_memory
from autocomplete.runtime import compiled


def test_only_answers_of_full_length_count() -> None:
    answers = iter([b"short", b"long answer"] * 10)
    checked_answers: list[bytes] = []

    def reached(answer: bytes) -> bool:
        checked_answers.append(answer)
        return answer == b"long answer"

    assert benchmark.full_length_latency(lambda _: next(answers), reached, [b"p"] * 12, 2) is not None
    assert checked_answers.count(b"long answer") == 2


def test_too_few_full_answers_are_no_figure() -> None:
    assert benchmark.full_length_latency(lambda p: p, lambda _: False, [b"p"] * 9, 1) is None


def test_a_core_has_every_speed(core_path: Path) -> None:
    session = compiled.CompiledSession(compiled.load(core_path, 1))
    speed = benchmark.core_speed(session, np.arange(2, 12, dtype=np.int32), 5)
    assert all(v > 0 for v in speed.values())
    assert speed["decode_tokens_per_s_p90"] <= speed["decode_tokens_per_s"]


def test_the_empty_model_runs() -> None:
    Interpreter(model_content=peak_memory.empty_model()).allocate_tensors()


def test_peak_memory_grows_with_the_model(core_path: Path, tmp_path: Path) -> None:
    peak = benchmark.peak_rss_mib(core_path)
    assert 0 < peak < 100
