"""The core's signatures: `prefill_<n>` and `decode` in LiteRT-LM's contract, and `step` for the loop in the graph."""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from autocomplete.graph import attention, core_calls, positions
from autocomplete.graph.attention import Cache, Place
from autocomplete.graph.core_calls import Growing, Room
from autocomplete.model import decoder
from autocomplete.model.decoder import Shape, Tensors, Weights
from autocomplete.tflite import linker, matmul_names, skeleton
from autocomplete.tflite.flatbuffer import Deferred

DECODE = "decode"
LAYER = "Layer/"


def prefill_name(length: int) -> str:
    """The signature that reads `length` tokens at once."""
    return f"prefill_{length}"


def build(
    weights: Weights, slots: int, prefill_lengths: Sequence[int], steps: Mapping[str, Room | Growing]
) -> schema.ModelT:
    """A float32 model of all signatures, with a KV cache of `slots` tokens; its weights are read as it is written.

    `steps` names the forms of `step` that the drivers call.

    One layer of each kind and signature is converted, and linked as often as there are layers: the time that this
    takes does not grow with their number.
    """
    shape = weights.shape
    forms = {prefill_name(n): Form(fixed_specs(shape, n, slots), "kv_cache", False) for n in prefill_lengths}
    forms[DECODE] = Form(fixed_specs(shape, 1, slots), "kv_cache", True)
    for name, room in steps.items():
        forms[name] = Form(core_calls.specs(shape, room), "recent", True)
    around = skeleton.convert({n: _trace_around(weights, n, f) for n, f in forms.items()}, custom_ops=True)
    every = [(n, f, i) for n, f in forms.items() for i in range(shape.layers)]
    kinds = {_alike(shape, n, f, i): (f, i) for n, f, i in every}
    layers = skeleton.convert({name: _trace_layer(weights, f, i) for name, (f, i) in kinds.items()})
    calls = {_layer_name(n, i): _layer_call(weights, n, f, i) for n, f, i in every}
    model = linker.link(linker.with_calls(around, calls), layers)
    contents = {
        _plain(name): Deferred(4 * math.prod(size), functools.partial(weights.read, name))
        for name, size in weights.sizes.items()
    }
    made = skeleton.inject(model, contents)
    matmul_names.name_results(made)
    return made


@dataclass(frozen=True)
class Form:
    """A signature: its inputs, the prefix of the cache's names that it writes, whether it gives logits."""

    specs: Mapping[str, tf.TensorSpec]
    written: str
    head: bool

    def narrows(self, shape: Shape, layer: int) -> bool:
        """Whether a layer gives only the rows of which logits are wanted: of a prompt the last, of guesses all."""
        return core_calls.LAST in self.specs and layer == shape.layers - 1

    @property
    def small(self) -> list[str]:
        """Inputs that say where tokens stand, and what they see."""
        return [n for n in self.specs if n not in ("tokens", core_calls.LAST) and not n.startswith(_CACHES)]

    def cache(self, layer: int) -> dict[str, str]:
        """A layer's own names of its cache, and the model's."""
        prefixes = {"": self.written} | ({"past_": "past"} if self.written == "recent" else {})
        return {
            f"{own}{kind}": f"{prefix}_{kind[0]}_{layer}"
            for own, prefix in prefixes.items()
            for kind in ("keys", "values")
        }


_CACHES = tuple(f"{prefix}_{kind}_" for prefix in ("kv_cache", "recent", "past") for kind in "kv")


def _layer_weights(weights: Weights) -> dict[str, tuple[int, ...]]:
    """The sizes of one layer's weights, in which all layers are alike."""
    return {n.removeprefix("layer_0/"): size for n, size in weights.sizes.items() if n.startswith("layer_0/")}


def _layer_name(signature: str, layer: int) -> str:
    return f"{LAYER}{signature}/{layer}"


def _alike(shape: Shape, signature: str, form: Form, layer: int) -> str:
    """What a layer of a signature, and all that are like it, are called until they are linked."""
    number, narrows = shape.kinds.index(shape.kind(layer)), form.narrows(shape, layer)
    return signature + (f"_kind_{number}" if number else "") + ("_last" if narrows else "")


def _layer_call(weights: Weights, signature: str, form: Form, layer: int) -> linker.Call:
    """What a layer's placeholder stands for: its weights become inputs of the whole signature."""
    own = {n: _plain(f"layer_{layer}/{n}") for n in _layer_weights(weights)}
    shape, last = weights.shape, [core_calls.LAST] if form.narrows(weights.shape, layer) else []
    inputs = ["x", *positions.names(form.small, shape.kind(layer)), *last, *form.cache(layer)]
    return linker.Call(_alike(shape, signature, form, layer), inputs, ["x", "keys", "values"], own)


def _trace_around(weights: Weights, name: str, form: Form) -> Any:
    """A signature with a placeholder for each layer, and the weights outside the layers."""
    shape = weights.shape
    specs = dict(form.specs) | {_plain(n): tf.TensorSpec(weights.sizes[n]) for n in weights.outer}

    def run(inputs: Tensors) -> Tensors:
        given = {n: inputs[_plain(n)] for n in weights.outer}
        updated: Cache = {}
        x = decoder.embed(shape, given, inputs["tokens"], inputs["input_pos"])
        small = {n: inputs[n] for n in form.small}
        known = {kind: positions.operands(shape, kind, small) for kind in dict.fromkeys(shape.kinds)}
        for i in range(shape.layers):
            cache, read, rows = form.cache(i), known[shape.kind(i)], None
            if form.narrows(shape, i):
                rows = inputs[core_calls.LAST]
                read = positions.operands(shape, shape.kind(i), small, rows) | {core_calls.LAST: rows}
            operands = [x, *read.values(), *(inputs[n] for n in cache.values())]
            x, keys, values = _call_layer(_layer_name(name, i), operands, len(read), rows)
            updated |= {cache["keys"]: keys, cache["values"]: values}
        return updated | ({"logits": decoder.logits(shape, given, x)} if form.head else {})

    return _concrete(run, specs)


def _call_layer(name: str, operands: list[tf.Tensor], small: int, rows: tf.Tensor | None) -> list[tf.Tensor]:
    """A stand-in for a layer: x, or `rows` of it, keys and values, shaped as they come in."""

    def results(operands: Sequence[tf.Tensor], used: tf.Tensor) -> list[tf.Tensor]:
        x = operands[0] if rows is None else tf.gather(operands[0], operands[small])
        return [o + used for o in (x, *operands[1 + small : 3 + small])]

    return core_calls.call(name, operands, results)


def _trace_layer(weights: Weights, form: Form, layer: int) -> Any:
    """A layer of a signature."""
    shape, kind = weights.shape, weights.shape.kind(layer)
    cache = {own: form.specs[outer] for own, outer in form.cache(0).items()}
    specs = {"x": tf.TensorSpec([form.specs["tokens"].shape[1], shape.hidden])}
    specs |= _operand_specs(shape, form, layer) | cache
    specs |= {n: tf.TensorSpec(size) for n, size in _layer_weights(weights).items()}

    def run(inputs: Tensors) -> Tensors:
        pair = inputs["keys"], inputs["values"]
        if form.written == "recent":
            fixed_shape = form.specs["tokens"].shape[1] is not None
            masks = inputs["recent_mask"], inputs["past_mask"]
            place = Place(*masks, inputs["slots"], fixed_shape, shape.score_cap)
            attend, updated = attention.growing(pair, (inputs["past_keys"], inputs["past_values"]), place)
        else:
            attend, updated = attention.fixed(pair, inputs["input_pos"], inputs["mask"], shape.score_cap)
        turn = (inputs[positions.COSINE], inputs[positions.SINE]) if kind.turns else None
        x = decoder.layer(shape, inputs, inputs["x"], attend, turn, inputs.get(core_calls.LAST))
        return {"x": x, "keys": updated[0], "values": updated[1]}

    return _concrete(run, specs)


def _operand_specs(shape: Shape, form: Form, layer: int) -> dict[str, tf.TensorSpec]:
    """The specs of what a layer is given of a signature's small inputs."""
    kind = shape.kind(layer)
    last = {core_calls.LAST: form.specs[core_calls.LAST]} if form.narrows(shape, layer) else {}

    def run(inputs: Tensors) -> Tensors:
        return positions.operands(shape, kind, {n: inputs[n] for n in form.small}, inputs.get(core_calls.LAST))

    made = _concrete(run, {n: form.specs[n] for n in form.small} | last).structured_outputs
    return {n: tf.TensorSpec(made[n].shape, made[n].dtype) for n in positions.names(form.small, kind)} | last


def _concrete(run: Any, specs: Mapping[str, tf.TensorSpec]) -> Any:
    @tf.function(autograph=False)
    def traced(**inputs: tf.Tensor) -> Tensors:
        return dict(run(inputs))

    return traced.get_concrete_function(**{n: tf.TensorSpec(s.shape, s.dtype, name=n) for n, s in specs.items()})


def _plain(name: str) -> str:
    return matmul_names.WEIGHT + name.replace("/", "_")


def fixed_specs(shape: Shape, tokens: int, slots: int) -> dict[str, tf.TensorSpec]:
    """Inputs of `prefill_<tokens>` or `decode`, weights left out."""
    cache = tf.TensorSpec([1, shape.kv_heads, slots, shape.head_dim])
    return {
        "tokens": tf.TensorSpec([1, tokens], tf.int32),
        "input_pos": tf.TensorSpec([tokens], tf.int32),
        "mask": tf.TensorSpec([1, 1, tokens, slots]),
    } | dict.fromkeys(attention.names(shape.layers), cache)
