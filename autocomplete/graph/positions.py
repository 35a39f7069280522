"""What positions mean to a kind of layer: which slots a token sees, and how far its heads are turned."""

from collections.abc import Collection

import tensorflow as tf

from autocomplete.graph.attention import MASKED
from autocomplete.model.decoder import Kind, Shape, Tensors

COSINE, SINE = "cosine", "sine"
# The positions of slots, which `step` is given where layers have windows; in a fixed cache a slot is a position.
RECENT, PAST = "recent_pos", "past_pos"
_MASKS = {"mask": None, "recent_mask": RECENT, "past_mask": PAST}


def names(small: Collection[str], kind: Kind) -> list[str]:
    """The inputs of a layer beside x, its cache and weights, of a signature's small inputs."""
    return [n for n in small if n not in (RECENT, PAST)] + ([COSINE, SINE] if kind.turns else [])


def operands(shape: Shape, kind: Kind, inputs: Tensors, rows: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
    """The values of these inputs, worked out once for all layers of a kind.

    Masks are narrowed to the window, and repeated for the query heads that share keys: `[1, 1, sharing · T, slots]`.
    With `rows`, int32 `[R]`, only these of `step`'s tokens look back: masks have R rows in the place of T.
    """
    given, looking = dict(inputs), dict(inputs)
    if rows is not None:
        looking["input_pos"] = tf.gather(inputs["input_pos"], rows)
        looking["recent_mask"] = tf.gather(inputs["recent_mask"], rows, axis=2)
    for name, slots in _MASKS.items():
        if name in inputs:
            given[name] = _shared(shape, _windowed(kind, looking, name, slots))
    if kind.turns:
        angles = tf.cast(inputs["input_pos"], tf.float32)[:, tf.newaxis] * tf.constant(kind.turns)
        given |= {COSINE: tf.cos(angles), SINE: tf.sin(angles)}
    return {name: given[name] for name in names(inputs, kind)}


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
