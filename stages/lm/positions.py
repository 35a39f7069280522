"""What positions mean to a kind of layer: which slots a token sees, and how far its heads are turned."""

from collections.abc import Collection

import tensorflow as tf

from stages.lm.attention import MASKED
from stages.lm.decoder import Kind, Shape, Tensors

COSINE, SINE = "cosine", "sine"
# The positions of slots, which `step` is given where layers have windows; in a fixed cache a slot is a position.
RECENT, PAST = "recent_pos", "past_pos"
_MASKS = {"mask": None, "recent_mask": RECENT, "past_mask": PAST}


def names(small: Collection[str], kind: Kind) -> list[str]:
    """The inputs of a layer beside x, its cache and weights, of a signature's small inputs."""
    return [n for n in small if n not in (RECENT, PAST)] + ([COSINE, SINE] if kind.turns else [])


def operands(shape: Shape, kind: Kind, inputs: Tensors) -> dict[str, tf.Tensor]:
    """The values of these inputs, worked out once for all layers of a kind.

    Masks are narrowed to the window, and repeated for the query heads that share keys: `[1, 1, sharing · T, slots]`.
    """
    given = dict(inputs)
    for name, slots in _MASKS.items():
        if name in inputs:
            given[name] = _shared(shape, _windowed(kind, inputs, name, slots))
    if kind.turns:
        angles = tf.cast(inputs["input_pos"], tf.float32)[:, tf.newaxis] * tf.constant(kind.turns)
        given |= {COSINE: tf.cos(angles), SINE: tf.sin(angles)}
    return {name: given[name] for name in names(inputs, kind)}


def of_rows(shape: Shape, kind: Kind, inputs: Tensors, rows: tf.Tensor) -> dict[str, tf.Tensor]:
    """The same where only some of `step`'s tokens, int32 `[R]`, look back: R rows of masks, all tokens' turns."""
    own = {
        "input_pos": tf.gather(inputs["input_pos"], rows), "recent_mask": tf.gather(inputs["recent_mask"], rows, axis=2)
    }  # fmt: skip
    every, some = operands(shape, kind, inputs), operands(shape, kind, {**inputs, **own})
    return every | {name: some[name] for name in _MASKS if name in some}


def _windowed(kind: Kind, inputs: Tensors, name: str, slots: str | None) -> tf.Tensor:
    """A mask `[1, 1, T or 1, slots]` less what lies before the window."""
    mask = inputs[name]
    if kind.window is None:
        return mask
    places = tf.range(mask.shape[-1]) if slots is None else inputs[slots]
    near = inputs["input_pos"][:, tf.newaxis] - places < kind.window
    return tf.where(near[tf.newaxis, tf.newaxis], mask, MASKED)


def _shared(shape: Shape, mask: tf.Tensor) -> tf.Tensor:
    """A mask row by row for each query head of a group; one row serves them all."""
    return mask if shape.sharing == 1 or mask.shape[2] == 1 else tf.tile(mask, [1, 1, shape.sharing, 1])
