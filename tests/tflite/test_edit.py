"""Lookups and changes of the parts of a model."""

from collections.abc import Sequence

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from autocomplete.common.errors import UserError
from autocomplete.tflite import edit
from autocomplete.tflite.flatbuffer import Deferred

ADD, MUL = schema.BuiltinOperator.ADD, schema.BuiltinOperator.MUL


def model(operators: Sequence[tuple[int, list[int], list[int]]], contents: Sequence[bytes | None]) -> schema.ModelT:
    """A model of one subgraph: operators (code, inputs, outputs) and a tensor per content; the last is its output."""
    built, subgraph = schema.ModelT(), schema.SubGraphT()
    built.buffers, built.operatorCodes, built.metadata, built.signatureDefs = [schema.BufferT()], [], [], []
    subgraph.tensors, subgraph.operators = [], []
    for number, content in enumerate(contents):
        tensor, buffer = schema.TensorT(), schema.BufferT()
        buffer.data = None if content is None else np.frombuffer(content, np.uint8)
        tensor.name, tensor.buffer = f"t{number}", len(built.buffers)
        built.buffers.append(buffer)
        subgraph.tensors.append(tensor)
    for code in (ADD, MUL):
        built.operatorCodes.append(schema.OperatorCodeT())
        built.operatorCodes[-1].builtinCode = built.operatorCodes[-1].deprecatedBuiltinCode = code
    for code, inputs, outputs in operators:
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = (ADD, MUL).index(code), inputs, outputs
        subgraph.operators.append(operator)
    subgraph.inputs, subgraph.outputs = [0], [len(contents) - 1]
    built.subgraphs = [subgraph]
    return built


def buffer_indices(edited: schema.ModelT) -> list[int]:
    return [tensor.buffer for tensor in edited.subgraphs[0].tensors]


def test_equal_contents_are_stored_once_and_empty_ones_not_at_all() -> None:
    edited = edit.share_buffers(model([], [b"ab", b"ab", b"cd", None, b"", b"ab"]))
    assert buffer_indices(edited) == [1, 1, 2, 0, 0, 1]
    assert [None if b.data is None else bytes(b.data) for b in edited.buffers] == [None, b"ab", b"cd"]


def test_deferred_contents_are_equal_only_to_themselves() -> None:
    edited = model([], [b"ab", b"cd"])
    deferred = Deferred(2, lambda: np.frombuffer(b"ab", np.uint8))
    edited.buffers[1].data = edited.buffers[2].data = deferred
    assert buffer_indices(edit.share_buffers(edited)) == [1, 1]
    edited.buffers[1].data = Deferred(2, lambda: np.frombuffer(b"ab", np.uint8))
    edited.subgraphs[0].tensors[1].buffer = 2
    edited.buffers.append(schema.BufferT())
    edited.buffers[2].data = deferred
    assert buffer_indices(edit.share_buffers(edited)) == [1, 2]


def test_metadata_is_set_replaced_and_removed() -> None:
    edited = model([], [b"ab"])
    assert edit.metadata(edited, "key") is None
    edit.with_metadata(edited, "key", b"one")
    edit.with_metadata(edited, "other", b"two")
    edit.with_metadata(edited, "key", b"three")
    assert (edit.metadata(edited, "key"), edit.metadata(edited, "other")) == (b"three", b"two")
    assert len(edited.metadata) == 2
    edit.with_metadata(edited, "key", None)
    assert edit.metadata(edited, "key") is None
    edit.share_buffers(edited)
    assert edit.metadata(edited, "other") == b"two"


def test_operators_without_readers_are_removed_with_their_inputs() -> None:
    operators = [(ADD, [0, 0], [1]), (MUL, [1, 1], [2]), (ADD, [0, 0], [3])]
    edited = edit.without_dead_operators(model(operators, [None] * 4))
    assert [o.outputs for o in edited.subgraphs[0].operators] == [[3]]
    assert edit.operator_names(edited) == ["ADD"]


def test_operators_that_lead_to_an_output_are_kept() -> None:
    operators = [(ADD, [0, 0], [1]), (MUL, [1, 1], [2])]
    edited = edit.without_dead_operators(model(operators, [None] * 3))
    assert [o.outputs for o in edited.subgraphs[0].operators] == [[1], [2]]
    assert edit.operator_names(edited) == ["ADD", "MUL"]


def test_a_code_is_added_once() -> None:
    edited = model([], [None])
    first = edit.operator_code(edited, schema.BuiltinOperator.RANGE, 2)
    assert edit.operator_code(edited, schema.BuiltinOperator.RANGE, 2) == first
    assert edit.operator_code(edited, schema.BuiltinOperator.RANGE, 1) != first
    assert edit.operator_names(edited) == ["ADD", "MUL", "RANGE", "RANGE"]


def test_operators_of_a_name_move_to_the_front_in_order() -> None:
    operators = [(ADD, [0, 0], [1]), (MUL, [0, 0], [2]), (ADD, [0, 0], [3]), (MUL, [0, 0], [4])]
    edited = model(operators, [None] * 5)
    edit.move_to_front(edited, "MUL")
    assert [o.outputs[0] for o in edited.subgraphs[0].operators] == [2, 4, 1, 3]


def test_a_missing_signature_is_reported_with_the_existing_ones() -> None:
    edited = model([], [None])
    for key in (b"decode", "prefill_8"):
        edited.signatureDefs.append(schema.SignatureDefT())
        edited.signatureDefs[-1].signatureKey = key
    assert edit.signature(edited, "prefill_8") is edited.signatureDefs[1]
    with pytest.raises(UserError, match="no signature 'generate'; it has: decode, prefill_8"):
        edit.signature(edited, "generate")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ADD", edit.BUILT_IN),
        ("FlexSubstr", edit.SELECT_TF),
        ("Mine", edit.CUSTOM),
        ("add", edit.CUSTOM),
    ],
)
def test_the_kind_of_an_operator(name: str, kind: str) -> None:
    assert edit.operator_kind(name) == kind
