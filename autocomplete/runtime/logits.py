"""Logits of a core behind every token of a text, and their log-probabilities."""

import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.runtime.compiled import CompiledSession
from autocomplete.runtime.sessions import DecodeSession


def decoded(session: DecodeSession, tokens: Array) -> Array:
    """Logits `[n, V]` behind each of the tokens `[n]`, decoded one by one as an app does."""
    session.reset()
    return np.stack([session.decode(int(t)) for t in tokens])


def scored(session: CompiledSession, tokens: Array) -> Array:
    """The same by the signature `score`, many tokens at once, where the core has it."""
    return session.score(tokens) if session.can_score else decoded(session, tokens)


def log_softmax(logits: Array) -> Array:
    """Log-probabilities over the last axis, in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
