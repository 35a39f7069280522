"""The core: `prefill_<n>` and `decode` in LiteRT-LM's contract, `step` for loops in a graph, `score` for measuring.

Shapes: T tokens read, S slots of the KV cache, K key and value heads, D head size, E hidden size.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from autocomplete.graph import attention, core_calls, positions
from autocomplete.graph.attention import Cache, StepMasks
from autocomplete.graph.core_calls import GrowingStepShape, StepShape
from autocomplete.model import decoder
from autocomplete.model.config import DecoderConfig
from autocomplete.model.decoder import AttentionInputs, Tensors, Weights
from autocomplete.tflite import linker, matmul_names, signatures, skeleton
from autocomplete.tflite.flatbuffer import Deferred

DECODE = "decode"
LAYER = "Layer/"
_CACHE_PREFIXES = tuple(f"{prefix}_{kind}_" for prefix in ("kv_cache", "recent", "past") for kind in "kv")


def prefill_name(length: int) -> str:
    """The signature that reads `length` tokens at once."""
    return f"prefill_{length}"


@dataclass(frozen=True)
class SignatureForm:
    """The form of a signature.

    Attributes:
      specs: its inputs without weights.
      cache: the prefix of the names of the cache that it updates, `kv_cache` or `recent`.
      has_logits: whether it returns logits.
    """

    specs: Mapping[str, tf.TensorSpec]
    cache: str
    has_logits: bool

    def selects_rows(self, config: DecoderConfig, layer: int) -> bool:
        """Whether a layer returns only the tokens whose logits are wanted: the last layer of a `step`."""
        return core_calls.LAST in self.specs and layer == config.num_layers - 1

    @property
    def position_inputs(self) -> list[str]:
        """The inputs that say where tokens stand and what they see."""
        return [n for n in self.specs if n not in ("tokens", core_calls.LAST) and not n.startswith(_CACHE_PREFIXES)]

    def cache_inputs(self, layer: int) -> dict[str, str]:
        """The inputs of a layer that hold its cache, and their names in the signature."""
        prefixes = {"": self.cache} | ({"past_": "past"} if self.cache == "recent" else {})
        return {
            f"{own_prefix}{kind}": f"{prefix}_{kind[0]}_{layer}"
            for own_prefix, prefix in prefixes.items()
            for kind in ("keys", "values")
        }


def build(
    weights: Weights,
    slots: int,
    prefill_lengths: Sequence[int],
    steps: Mapping[str, StepShape | GrowingStepShape],
    score_length: int | None = None,
) -> schema.ModelT:
    """A float32 model with all signatures, whose weights are read when it is written.

    It converts one layer for each signature and layer configuration, and links it as often as it occurs. The time of a
    conversion does not grow with the number of layers.

    Args:
      weights: the decoder's weights.
      slots: S.
      prefill_lengths: T of each prefill signature.
      steps: the forms of `step` that the drivers call, by name.
      score_length: T of `score`; None for a core without it.
    """
    config = weights.config
    forms = _forms(config, slots, prefill_lengths, steps)
    if score_length is not None:
        forms[signatures.SCORE] = SignatureForm(_fixed_specs(config, score_length, slots), "kv_cache", True)
    around = skeleton.convert({n: _trace_around_layers(weights, n, f) for n, f in forms.items()}, custom_ops=True)
    layers = [(n, f, i) for n, f in forms.items() for i in range(config.num_layers)]
    distinct = {_layer_signature(config, n, f, i): (f, i) for n, f, i in layers}
    converted = skeleton.convert({name: _trace_layer(weights, f, i) for name, (f, i) in distinct.items()})
    calls = {_layer_placeholder(n, i): _layer_call(weights, n, f, i) for n, f, i in layers}
    model = linker.link(linker.with_calls(around, calls), converted)
    contents = {
        _input_name(name): Deferred(4 * math.prod(shape), functools.partial(weights.read, name))
        for name, shape in weights.shapes.items()
    }
    core = skeleton.inject(model, contents)
    matmul_names.name_results(core)
    return core


def _forms(
    config: DecoderConfig,
    slots: int,
    prefill_lengths: Sequence[int],
    steps: Mapping[str, StepShape | GrowingStepShape],
) -> dict[str, SignatureForm]:
    """The form of each signature of the core, by name."""
    forms = {prefill_name(n): SignatureForm(_fixed_specs(config, n, slots), "kv_cache", False) for n in prefill_lengths}
    forms[DECODE] = SignatureForm(_fixed_specs(config, 1, slots), "kv_cache", True)
    for name, shape in steps.items():
        forms[name] = SignatureForm(core_calls.step_specs(config, shape), "recent", True)
    return forms


def _fixed_specs(config: DecoderConfig, tokens: int, slots: int) -> dict[str, tf.TensorSpec]:
    """The inputs of `prefill_<tokens>` or `decode` without weights."""
    cache = tf.TensorSpec([1, config.num_kv_heads, slots, config.head_dim])
    return {
        "tokens": tf.TensorSpec([1, tokens], tf.int32),
        "input_pos": tf.TensorSpec([tokens], tf.int32),
        "mask": tf.TensorSpec([1, 1, tokens, slots]),
    } | dict.fromkeys(attention.cache_names(config.num_layers), cache)


def _layer_weight_shapes(weights: Weights) -> dict[str, tuple[int, ...]]:
    """The shapes of one layer's weights, the same in every layer."""
    return {n.removeprefix("layer_0/"): shape for n, shape in weights.shapes.items() if n.startswith("layer_0/")}


def _layer_placeholder(signature: str, layer: int) -> str:
    return f"{LAYER}{signature}/{layer}"


def _layer_signature(config: DecoderConfig, signature: str, form: SignatureForm, layer: int) -> str:
    """The name of the converted layer that serves this layer of a signature, and all that equal it."""
    index = config.layer_pattern.index(config.layer(layer))
    return signature + (f"_kind_{index}" if index else "") + ("_last" if form.selects_rows(config, layer) else "")


def _layer_call(weights: Weights, signature: str, form: SignatureForm, layer: int) -> linker.SignatureCall:
    """What the linker puts in the place of a layer; its weights become inputs of the whole signature."""
    config = weights.config
    last = [core_calls.LAST] if form.selects_rows(config, layer) else []
    position_inputs = positions.layer_input_names(form.position_inputs, config.layer(layer))
    inputs = ["x", *position_inputs, *last, *form.cache_inputs(layer)]
    weight_inputs = {n: _input_name(f"layer_{layer}/{n}") for n in _layer_weight_shapes(weights)}
    name = _layer_signature(config, signature, form, layer)
    return linker.SignatureCall(name, inputs, ["x", "keys", "values"], weight_inputs)


def _trace_around_layers(weights: Weights, name: str, form: SignatureForm) -> Any:
    """A signature with a placeholder for each layer; the weights outside the layers are inputs."""
    config = weights.config
    specs = dict(form.specs) | {_input_name(n): tf.TensorSpec(weights.shapes[n]) for n in weights.outside_layers}

    def run(inputs: Tensors) -> Tensors:
        outside_weights = {n: inputs[_input_name(n)] for n in weights.outside_layers}
        updated: Cache = {}
        x = decoder.embed(config, outside_weights, inputs["tokens"], inputs["input_pos"])
        of_positions = {n: inputs[n] for n in form.position_inputs}
        shared = {c: positions.layer_inputs(config, c, of_positions) for c in dict.fromkeys(config.layer_pattern)}
        for i in range(config.num_layers):
            cache, layer_inputs, rows = form.cache_inputs(i), shared[config.layer(i)], None
            if form.selects_rows(config, i):
                rows = inputs[core_calls.LAST]
                layer_inputs = positions.layer_inputs(config, config.layer(i), of_positions, rows)
                layer_inputs |= {core_calls.LAST: rows}
            operands = [x, *layer_inputs.values(), *(inputs[n] for n in cache.values())]
            x, keys, values = _call_layer(_layer_placeholder(name, i), operands, len(layer_inputs), rows)
            updated |= {cache["keys"]: keys, cache["values"]: values}
        return updated | ({"logits": decoder.logits(config, outside_weights, x)} if form.has_logits else {})

    return _concrete(run, specs)


def _call_layer(name: str, operands: list[tf.Tensor], num_layer_inputs: int, rows: tf.Tensor | None) -> list[tf.Tensor]:
    """A placeholder for a layer, whose operands are x, its inputs, then its cache; returns x, keys and values."""

    def results(operands: Sequence[tf.Tensor], used: tf.Tensor) -> list[tf.Tensor]:
        x = operands[0] if rows is None else tf.gather(operands[0], operands[num_layer_inputs])
        return [o + used for o in (x, *operands[1 + num_layer_inputs : 3 + num_layer_inputs])]

    return core_calls.placeholder(name, operands, results)


def _trace_layer(weights: Weights, form: SignatureForm, layer: int) -> Any:
    """A layer of a signature."""
    config, layer_config = weights.config, weights.config.layer(layer)
    cache = {own_name: form.specs[name] for own_name, name in form.cache_inputs(0).items()}
    specs = {"x": tf.TensorSpec([form.specs["tokens"].shape[1], config.hidden_size])}
    specs |= _layer_input_specs(config, form, layer) | cache
    specs |= {n: tf.TensorSpec(shape) for n, shape in _layer_weight_shapes(weights).items()}

    def run(inputs: Tensors) -> Tensors:
        recent = inputs["keys"], inputs["values"]
        if form.cache == "recent":
            static_shapes = form.specs["tokens"].shape[1] is not None
            mask_inputs = inputs["recent_mask"], inputs["past_mask"], inputs["slots"]
            masks = StepMasks(*mask_inputs, static_shapes, config.attention_soft_cap)
            past = inputs["past_keys"], inputs["past_values"]
            attend, updated = attention.over_past_and_recent(recent, past, masks)
        else:
            attend, updated = attention.over_fixed_cache(
                recent, inputs["input_pos"], inputs["mask"], config.attention_soft_cap
            )
        rotation = (inputs[positions.COSINE], inputs[positions.SINE]) if layer_config.inv_freq else None
        attention_inputs = AttentionInputs(attend, rotation, inputs.get(core_calls.LAST))
        x = decoder.layer(config, inputs, inputs["x"], attention_inputs)
        return {"x": x, "keys": updated[0], "values": updated[1]}

    return _concrete(run, specs)


def _layer_input_specs(config: DecoderConfig, form: SignatureForm, layer: int) -> dict[str, tf.TensorSpec]:
    """The specs of a layer's inputs beside x, its cache and its weights."""
    layer_config = config.layer(layer)
    last = {core_calls.LAST: form.specs[core_calls.LAST]} if form.selects_rows(config, layer) else {}

    def run(inputs: Tensors) -> Tensors:
        of_positions = {n: inputs[n] for n in form.position_inputs}
        return positions.layer_inputs(config, layer_config, of_positions, inputs.get(core_calls.LAST))

    outputs = _concrete(run, {n: form.specs[n] for n in form.position_inputs} | last).structured_outputs
    names = positions.layer_input_names(form.position_inputs, layer_config)
    return {n: tf.TensorSpec(outputs[n].shape, outputs[n].dtype) for n in names} | last


def _concrete(run: Callable[[Tensors], Tensors], specs: Mapping[str, tf.TensorSpec]) -> Any:
    @tf.function(autograph=False)
    def traced(**inputs: tf.Tensor) -> Tensors:
        return dict(run(inputs))

    return traced.get_concrete_function(**{n: tf.TensorSpec(s.shape, s.dtype, name=n) for n, s in specs.items()})


def _input_name(weight: str) -> str:
    """The name of a weight as an input of a traced function."""
    return matmul_names.WEIGHT + weight.replace("/", "_")
