"""What the positions of tokens mean to a layer: its attention masks, and its rotary embeddings.

Shapes: T tokens read, R rows that go on, H query heads, K key and value heads.
"""

from collections.abc import Collection

import tensorflow as tf

from autocomplete.graph.attention import MASKED
from autocomplete.model.config import DecoderConfig, LayerConfig
from autocomplete.model.decoder import Tensors

COSINE, SINE = "cosine", "sine"
# Inputs of `step` with the positions of slots, for layers with a sliding window. In a fixed cache a slot is a position.
RECENT_POS, PAST_POS = "recent_pos", "past_pos"
_MASKS = {"mask": None, "recent_mask": RECENT_POS, "past_mask": PAST_POS}


def layer_input_names(position_inputs: Collection[str], layer: LayerConfig) -> list[str]:
    """The inputs of a layer beside x, its cache and its weights, for a signature's inputs about positions."""
    rotation = [COSINE, SINE] if layer.inv_freq else []
    return [name for name in position_inputs if name not in (RECENT_POS, PAST_POS)] + rotation


def layer_inputs(
    config: DecoderConfig, layer: LayerConfig, inputs: Tensors, rows: tf.Tensor | None = None
) -> dict[str, tf.Tensor]:
    """The values of these inputs, computed once for all layers of one configuration.

    Masks are narrowed to the sliding window, and repeated for query heads that share keys: `[1, 1, H/K · T, slots]`.

    Args:
      config: the decoder's configuration.
      layer: the configuration of the layers.
      inputs: a signature's inputs about positions.
      rows: int32 `[R]`, the tokens of `step` that attend; masks then have R rows. None for all T.
    """
    values, of_queries = dict(inputs), dict(inputs)
    if rows is not None:
        of_queries["input_pos"] = tf.gather(inputs["input_pos"], rows)
        of_queries["recent_mask"] = tf.gather(inputs["recent_mask"], rows, axis=2)
    for name, slot_positions in _MASKS.items():
        if name in inputs:
            values[name] = _repeated_for_heads(config, _windowed(layer, of_queries, name, slot_positions))
    if layer.inv_freq:
        angles = tf.cast(inputs["input_pos"], tf.float32)[:, tf.newaxis] * tf.constant(layer.inv_freq)
        values |= {COSINE: tf.cos(angles), SINE: tf.sin(angles)}
    return {name: values[name] for name in layer_input_names(inputs, layer)}


def _windowed(layer: LayerConfig, inputs: Tensors, name: str, slot_positions: str | None) -> tf.Tensor:
    """A mask `[1, 1, T or 1, slots]` that also hides what lies before the sliding window."""
    mask = inputs[name]
    if layer.sliding_window is None:
        return mask
    positions = tf.range(mask.shape[-1]) if slot_positions is None else inputs[slot_positions]
    is_near = inputs["input_pos"][:, tf.newaxis] - positions < layer.sliding_window
    return tf.where(is_near[tf.newaxis, tf.newaxis], mask, MASKED)


def _repeated_for_heads(config: DecoderConfig, mask: tf.Tensor) -> tf.Tensor:
    """A mask repeated for each query head of a group; a mask of one row broadcasts."""
    repeats = config.heads_per_kv_head
    return mask if repeats == 1 or mask.shape[2] == 1 else tf.tile(mask, [1, 1, repeats, 1])
