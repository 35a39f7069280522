"""Describes a .tflite file: its signatures, its operators and the runtime that it needs."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ai_edge_litert import schema_py_generated as schema

from autocomplete.tflite import edit, flatbuffer


@dataclass(frozen=True)
class TensorDescription:
    """A tensor: its shape, and the name of its type in lower case (`float32`)."""

    shape: list[int]
    type: str


@dataclass(frozen=True)
class SignatureDescription:
    """The inputs and outputs of a signature by name."""

    inputs: dict[str, TensorDescription]
    outputs: dict[str, TensorDescription]


@dataclass(frozen=True)
class FileDescription:
    """A .tflite file: its signatures by name, its operators in alphabetical order, and the runtime that it needs."""

    signatures: dict[str, SignatureDescription]
    builtin_operators: list[str]
    select_tf_operators: list[str]
    custom_operators: list[str]
    runtime: str


def describe(path: Path) -> FileDescription:
    """Describes a file; operators of Select TF have TensorFlow's names, without the prefix `Flex`."""
    model = flatbuffer.read(path)
    operators = sorted(set(edit.operator_names(model)))
    built_in, select_tf, custom = (
        [o for o in operators if edit.operator_kind(o) == kind] for kind in (edit.BUILT_IN, edit.SELECT_TF, edit.CUSTOM)
    )
    return FileDescription(
        signatures={edit.text(s.signatureKey): _signature(model, s) for s in model.signatureDefs or []},
        builtin_operators=built_in,
        select_tf_operators=[o.removeprefix("Flex") for o in select_tf],
        custom_operators=custom,
        runtime=_runtime(model, bool(select_tf)),
    )


def _runtime(model: schema.ModelT, select_tf: bool) -> str:
    """The runtime that a file needs: XNNPACK of older ones is silently wrong on shapes that change in a loop."""
    if select_tf:
        return "TensorFlow Lite with Select TF operators"
    has_loop = "WHILE" in edit.operator_names(model)
    shapes = [t.shapeSignature for s in model.subgraphs for t in s.tensors if t.shapeSignature is not None]
    if has_loop and any(-1 in shape for shape in shapes):
        return "LiteRT (tested in 2.3); older ones compute wrongly on tensors that grow"
    return "any TensorFlow Lite or LiteRT runtime"


def _signature(model: schema.ModelT, signature: schema.SignatureDefT) -> SignatureDescription:
    tensors = model.subgraphs[signature.subgraphIndex].tensors

    def by_name(entries: Iterable[schema.TensorMapT]) -> dict[str, TensorDescription]:
        return {edit.text(e.name): _tensor(tensors[e.tensorIndex]) for e in entries}

    return SignatureDescription(inputs=by_name(signature.inputs), outputs=by_name(signature.outputs))


def _tensor(tensor: schema.TensorT) -> TensorDescription:
    shape = [] if tensor.shape is None else [int(n) for n in tensor.shape]
    return TensorDescription(shape, edit.type_name(tensor).lower())
