"""Converts functions without their weights, and injects the weights afterwards.

The weights are inputs of the traced functions, so neither the time nor the memory of a conversion grows with the model.
Afterwards each such input becomes a constant.
"""

import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from autocomplete.tflite import edit, flatbuffer
from autocomplete.tflite.flatbuffer import Deferred

Signatures = Mapping[str, tf.types.experimental.ConcreteFunction]


def convert(signatures: Signatures, *, select_tf: bool = False, custom_ops: bool = False) -> schema.ModelT:
    """Converts traced functions to one model with a signature each."""
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(tf.Module(), folder, signatures=dict(signatures))
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(signatures))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if select_tf:
            converter.target_spec.supported_ops.append(tf.lite.OpsSet.SELECT_TF_OPS)
        converter.allow_custom_ops = custom_ops
        converter.exclude_conversion_metadata = True  # Python code that takes as long as the conversion
        return _with_sorted_attributes(flatbuffer.parse(converter.convert()))


def _with_sorted_attributes(model: schema.ModelT) -> schema.ModelT:
    """Sorts the attributes of Select TF operators, a protobuf map that the converter writes in random order.

    An operator's options are a flexbuffer of its name and a serialized NodeDef, whose length sorting does not change.
    """
    names = edit.operator_names(model)
    operators = (o for s in model.subgraphs for o in s.operators)
    for operator in (o for o in operators if edit.operator_kind(names[o.opcodeIndex]) == edit.SELECT_TF):
        options = bytes(operator.customOptions)
        node_bytes = bytes(flexbuffers.GetRoot(bytearray(options)).AsVector[1].AsStringBytes)
        node = tf.compat.v1.NodeDef.FromString(node_bytes)
        ordered = options.replace(node_bytes, node.SerializeToString(deterministic=True))
        operator.customOptions = np.frombuffer(ordered, np.uint8)
    return model


def inject(model: schema.ModelT, inputs: Mapping[str, Deferred]) -> schema.ModelT:
    """Turns inputs of signatures into constants, by name, one buffer each; changes the model in place and returns it.

    The contents are made when the file is written.
    """
    buffers: dict[str, int] = {}
    for name, value in inputs.items():
        buffer = schema.BufferT()
        buffer.data = value
        buffers[name] = len(model.buffers)
        model.buffers.append(buffer)
    for signature in model.signatureDefs:
        subgraph = model.subgraphs[signature.subgraphIndex]
        input_names = {e.tensorIndex: edit.text(e.name) for e in signature.inputs}
        for index, name in input_names.items():
            if name in buffers:
                subgraph.tensors[index].buffer = buffers[name]
                # litert-quantizer needs unique names of tensors
                subgraph.tensors[index].name = f"{edit.text(signature.signatureKey)}/{name}"
                subgraph.tensors[index].shapeSignature = None
        signature.inputs = [e for e in signature.inputs if edit.text(e.name) not in buffers]
        subgraph.inputs = [i for i in subgraph.inputs if input_names.get(int(i)) not in buffers]
        _use_embedding_lookups(model, subgraph)
        _fold_biases(model, subgraph)
        _keep_dimensions(model, subgraph)
        _drop_unused_tensors(subgraph, signature)
    return edit.share_buffers(model)


def _is_constant(model: schema.ModelT, subgraph: schema.SubGraphT, tensor: int) -> bool:
    data = model.buffers[subgraph.tensors[tensor].buffer].data
    return data is not None and len(data) > 0


def _use_embedding_lookups(model: schema.ModelT, subgraph: schema.SubGraphT) -> None:
    """Replaces GATHER of rows of a constant matrix by EMBEDDING_LOOKUP, which is quantized row by row."""
    names = edit.operator_names(model)
    for operator in subgraph.operators:
        if names[operator.opcodeIndex] != "GATHER":
            continue
        table, ids = operator.inputs
        by_rows = operator.builtinOptions.axis == 0 and len(subgraph.tensors[ids].shape) == 1
        if not by_rows or not _is_constant(model, subgraph, table) or len(subgraph.tensors[table].shape) != 2:
            continue
        operator.opcodeIndex = edit.operator_code(model, schema.BuiltinOperator.EMBEDDING_LOOKUP, 1)
        operator.inputs = [ids, table]
        operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.NONE, None


def _fold_biases(model: schema.ModelT, subgraph: schema.SubGraphT) -> None:
    """Folds ADD of a constant vector into the FULLY_CONNECTED before it; the converter does so for constants only."""
    names = edit.operator_names(model)
    readers: dict[int, list[Any]] = {}
    for operator in subgraph.operators:
        for tensor in operator.inputs:
            readers.setdefault(int(tensor), []).append(operator)
    outputs = {int(t) for t in subgraph.outputs}
    folded: list[int] = []
    for operator in subgraph.operators:
        if names[operator.opcodeIndex] != "FULLY_CONNECTED" or _has_bias(operator.inputs):
            continue
        result = int(operator.outputs[0])
        following = readers.get(result, [])
        if result in outputs or len(following) != 1 or names[following[0].opcodeIndex] != "ADD":
            continue
        add = following[0]
        other = int(add.inputs[0]) if int(add.inputs[1]) == result else int(add.inputs[1])
        width = list(subgraph.tensors[int(operator.inputs[1])].shape)[:1]
        if not _is_constant(model, subgraph, other) or list(subgraph.tensors[other].shape) != width:
            continue
        operator.inputs = [*operator.inputs[:2], other]
        operator.outputs = list(add.outputs)
        operator.builtinOptions.fusedActivationFunction = add.builtinOptions.fusedActivationFunction
        folded.append(id(add))
    subgraph.operators = [o for o in subgraph.operators if id(o) not in folded]


def _keep_dimensions(model: schema.ModelT, subgraph: schema.SubGraphT) -> None:
    """Marks a FULLY_CONNECTED of a matrix as giving a matrix; else XNNPACK copies it to make sure."""
    names = edit.operator_names(model)
    for operator in subgraph.operators:
        if (
            names[operator.opcodeIndex] == "FULLY_CONNECTED"
            and len(subgraph.tensors[int(operator.inputs[0])].shape) == 2
        ):
            operator.builtinOptions.keepNumDims = True


def _has_bias(inputs: Sequence[int]) -> bool:
    return len(inputs) > 2 and int(inputs[2]) >= 0


def _drop_unused_tensors(subgraph: schema.SubGraphT, signature: schema.SignatureDefT) -> None:
    """Removes tensors without an operator: a prefill without logits has no second half of the last layer."""
    used = {int(i) for o in subgraph.operators for i in [*o.inputs, *o.outputs]}
    used |= {int(i) for i in [*subgraph.inputs, *subgraph.outputs]}
    kept = [i for i in range(len(subgraph.tensors)) if i in used]
    new_index = {old: new for new, old in enumerate(kept)} | {-1: -1}
    subgraph.tensors = [subgraph.tensors[i] for i in kept]
    subgraph.inputs = [new_index[int(i)] for i in subgraph.inputs]
    subgraph.outputs = [new_index[int(i)] for i in subgraph.outputs]
    for operator in subgraph.operators:
        operator.inputs = [new_index[int(i)] for i in operator.inputs]
        operator.outputs = [new_index[int(i)] for i in operator.outputs]
    for entry in [*signature.inputs, *signature.outputs]:
        entry.tensorIndex = new_index[int(entry.tensorIndex)]
