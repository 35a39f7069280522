"""Logits of a core behind every token of a text, and their log-probabilities."""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.runtime import compiled
from autocomplete.runtime.compiled import CompiledSession
from autocomplete.runtime.sessions import DecodeSession

_ROUNDING = 1e-5  # of the largest logit: sums in another order differ by less


def decoded(session: DecodeSession, tokens: Array) -> Array:
    """Logits `[n, V]` behind each of the tokens `[n]`, decoded one by one as an app does."""
    session.reset()
    return np.stack([session.decode(int(t)) for t in tokens])


def scored(session: CompiledSession, tokens: Array) -> Array:
    """The same by the signature `score`, many tokens at once, where the core has it."""
    return session.score(tokens) if session.can_score else decoded(session, tokens)


def reader(core: Path, scoring_core: Path, probe: Array) -> Callable[[Array], Array]:
    """A function that gives a core's logits `[n, V]` behind each of the tokens `[n]`, as fast as it can be trusted.

    It reads by the signature `score` if that equals decode on the probe, else by decode.

    Args:
      core: the core that is measured.
      scoring_core: a core of the same weights with the signature `score`, which does not ship.
      probe: some tokens `[n]`.
    """
    scoring = CompiledSession(compiled.load(scoring_core, threads=1))
    decoding = scoring if core == scoring_core else CompiledSession(compiled.load(core, threads=1))
    if scoring.can_score:
        expected = decoded(decoding, probe)
        if np.abs(scoring.score(probe) - expected).max() <= _ROUNDING * np.abs(expected).max():
            return scoring.score
    return functools.partial(decoded, decoding)


def log_softmax(logits: Array) -> Array:
    """Log-probabilities over the last axis, in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
