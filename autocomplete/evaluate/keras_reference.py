"""Keras as the reference: logits and greedy continuations of the preset."""

from collections.abc import Sequence

import keras_hub
import numpy as np

from autocomplete.common.arrays import Array

_BATCH = 10  # sequences in one pass


def logits(model: keras_hub.models.CausalLM, tokens: Array) -> Array:
    """Logits of the next tokens, `[batch, length, V]`, for ids `[batch, length]`, without a cache."""
    inputs = {"token_ids": tokens, "padding_mask": np.ones_like(tokens)}
    return np.asarray(model.backbone.token_embedding(model.backbone(inputs), reverse=True))


def likeliest(logits: Array, suppressed: Sequence[int]) -> Array:
    """The ids `[…]` of the largest of logits `[…, V]`, leaving out the `suppressed` ids."""
    allowed = np.array(logits)
    allowed[..., list(suppressed)] = -np.inf
    return np.asarray(allowed.argmax(-1))


def greedy_matches(
    model: keras_hub.models.CausalLM,
    prompts: Sequence[Sequence[int]],
    continuations: Sequence[Sequence[int]],
    suppressed: Sequence[int] = (),
) -> list[bool]:
    """Whether each continuation is what greedy decoding by Keras gives without the `suppressed` ids, token for token.

    One pass over prompt and continuation decides that: if each token is the likeliest after the ones before it, then
    by induction greedy decoding generates exactly these. The padding behind a sequence has no effect (causal mask).
    """
    expected = likeliest_ids(model, prompts, continuations, suppressed)
    return [ids == list(c) for ids, c in zip(expected, continuations, strict=True)]


def likeliest_ids(
    model: keras_hub.models.CausalLM,
    prompts: Sequence[Sequence[int]],
    continuations: Sequence[Sequence[int]],
    suppressed: Sequence[int],
) -> list[list[int]]:
    """For each token of each continuation, the likeliest id after the ones before it."""
    rows = [[*p, *c] for p, c in zip(prompts, continuations, strict=True)]
    batch = np.zeros((len(rows), max(map(len, rows))), np.int32)
    for row, ids in zip(batch, rows, strict=True):
        row[: len(ids)] = ids
    parts = np.array_split(batch, -(-len(batch) // _BATCH))
    expected = np.concatenate([likeliest(logits(model, part), suppressed) for part in parts])
    return [
        expected[i, len(p) - 1 : len(p) + len(c) - 1].tolist()
        for i, (p, c) in enumerate(zip(prompts, continuations, strict=True))
    ]
