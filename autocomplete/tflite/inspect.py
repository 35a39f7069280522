"""Describes a .tflite file as plain data: its inputs, outputs, operators and the runtime that it needs."""

from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from autocomplete.tflite import edit, flatbuffer


def describe(path: Path) -> dict[str, Any]:
    """The signatures (shape and type of each input and output), the operators by kind, and the runtime."""
    model = flatbuffer.read(path)
    operators = sorted(set(edit.operator_names(model)))
    built_in, select_tf, custom = (
        [o for o in operators if edit.operator_kind(o) == kind] for kind in (edit.BUILT_IN, edit.SELECT_TF, edit.CUSTOM)
    )
    return {
        "signatures": {edit.text(s.signatureKey): _signature(model, s) for s in model.signatureDefs or []},
        "builtin_operators": built_in,
        "select_tf_operators": [o.removeprefix("Flex") for o in select_tf],
        "custom_operators": custom,
        "runtime": _runtime(model, bool(select_tf)),
    }


def _runtime(model: schema.ModelT, select_tf: bool) -> str:
    """The runtime that a file needs: XNNPACK of older ones is silently wrong on shapes that change in a loop."""
    if select_tf:
        return "TensorFlow Lite with Select TF operators"
    has_loop = "WHILE" in edit.operator_names(model)
    shapes = [t.shapeSignature for s in model.subgraphs for t in s.tensors if t.shapeSignature is not None]
    if has_loop and any(-1 in shape for shape in shapes):
        return "LiteRT (tested in 2.3); older ones compute wrongly on tensors that grow"
    return "any TensorFlow Lite or LiteRT runtime"


def _signature(model: schema.ModelT, signature: schema.SignatureDefT) -> dict[str, Any]:
    tensors = model.subgraphs[signature.subgraphIndex].tensors
    entries = {"inputs": signature.inputs, "outputs": signature.outputs}
    return {kind: {edit.text(e.name): _tensor(tensors[e.tensorIndex]) for e in some} for kind, some in entries.items()}


def _tensor(tensor: schema.TensorT) -> dict[str, Any]:
    shape = [] if tensor.shape is None else [int(n) for n in tensor.shape]
    return {"shape": shape, "type": edit.type_name(tensor).lower()}
