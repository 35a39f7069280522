"""Scores of cores over windows of text, token by token as an app decodes, in several processes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stages.arrays import Array
from stages.measure import quality
from stages.processes import pool
from stages.progress import progress_bar
from stages.tflite import compiled

_sessions: list[compiled.Session] = []  # of a worker process


def scores(cores: Sequence[Path], windows: Array, processes: int) -> list[list[quality.Scores]]:
    """For each core its scores over each of the windows `[n, slots]`, against the first core."""
    made: list[list[quality.Scores]] = []
    with (
        progress_bar("quality", len(windows)) as show,
        pool(processes, _load, (list(cores),)) as beside,
    ):
        for window_scores in beside.map(_score, windows):
            made.append(window_scores)
            show(len(made), "windows")
    return [list(of_core) for of_core in zip(*made, strict=True)]


def _load(cores: Sequence[Path]) -> None:
    _sessions.extend(compiled.Session(compiled.load(core, threads=1)) for core in cores)


def _score(window: Array) -> list[quality.Scores]:
    predictions = [quality.log_softmax(logits(session, window[:-1])) for session in _sessions]
    return [quality.score(p, predictions[0], window[1:]) for p in predictions]


def logits(session: compiled.Session, tokens: Array) -> Array:
    """Logits `[n, vocab]` after each of the tokens `[n]`, decoded one by one."""
    session.reset()
    return np.stack([session.decode(int(t)) for t in tokens])
