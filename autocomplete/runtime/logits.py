"""Logits of a core, token by token as an app decodes, and their log-probabilities."""

import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.runtime.sessions import DecodeSession


def logits(session: DecodeSession, tokens: Array) -> Array:
    """Logits `[n, V]` behind each of the tokens `[n]`, decoded one by one."""
    session.reset()
    return np.stack([session.decode(int(t)) for t in tokens])


def log_softmax(logits: Array) -> Array:
    """Log-probabilities over the last axis, in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
