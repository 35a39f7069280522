"""Parts of a model that are looked up and changed, as objects."""

from collections.abc import Sequence

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from autocomplete.common.errors import UserError
from autocomplete.tflite import edit
from autocomplete.tflite.flatbuffer import Deferred

ADD, MUL = schema.BuiltinOperator.ADD, schema.BuiltinOperator.MUL


def model(operators: Sequence[tuple[int, list[int], list[int]]], contents: Sequence[bytes | None]) -> schema.ModelT:
    """A model of one subgraph: operators (code, inputs, outputs), and a tensor for each content; the last is read."""
    made, subgraph = schema.ModelT(), schema.SubGraphT()
    made.buffers, made.operatorCodes, made.metadata, made.signatureDefs = [schema.BufferT()], [], [], []
    subgraph.tensors, subgraph.operators = [], []
    for number, content in enumerate(contents):
        tensor, buffer = schema.TensorT(), schema.BufferT()
        buffer.data = None if content is None else np.frombuffer(content, np.uint8)
        tensor.name, tensor.buffer = f"t{number}", len(made.buffers)
        made.buffers.append(buffer)
        subgraph.tensors.append(tensor)
    for code in (ADD, MUL):
        made.operatorCodes.append(schema.OperatorCodeT())
        made.operatorCodes[-1].builtinCode = made.operatorCodes[-1].deprecatedBuiltinCode = code
    for code, inputs, outputs in operators:
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = (ADD, MUL).index(code), inputs, outputs
        subgraph.operators.append(operator)
    subgraph.inputs, subgraph.outputs = [0], [len(contents) - 1]
    made.subgraphs = [subgraph]
    return made


def placed(made: schema.ModelT) -> list[int]:
    return [tensor.buffer for tensor in made.subgraphs[0].tensors]


def test_equal_contents_are_stored_once_and_empty_ones_not_at_all() -> None:
    made = edit.share_buffers(model([], [b"ab", b"ab", b"cd", None, b"", b"ab"]))
    assert placed(made) == [1, 1, 2, 0, 0, 1]
    assert [None if b.data is None else bytes(b.data) for b in made.buffers] == [None, b"ab", b"cd"]


def test_contents_that_are_not_made_yet_are_equal_to_themselves_alone() -> None:
    made = model([], [b"ab", b"cd"])
    deferred = Deferred(2, lambda: np.frombuffer(b"ab", np.uint8))
    made.buffers[1].data = made.buffers[2].data = deferred
    assert placed(edit.share_buffers(made)) == [1, 1]
    made.buffers[1].data = Deferred(2, lambda: np.frombuffer(b"ab", np.uint8))
    made.subgraphs[0].tensors[1].buffer = 2
    made.buffers.append(schema.BufferT())
    made.buffers[2].data = deferred
    assert placed(edit.share_buffers(made)) == [1, 2]


def test_metadata_is_set_replaced_and_removed() -> None:
    made = model([], [b"ab"])
    assert edit.metadata(made, "key") is None
    edit.with_metadata(made, "key", b"one")
    edit.with_metadata(made, "other", b"two")
    edit.with_metadata(made, "key", b"three")
    assert (edit.metadata(made, "key"), edit.metadata(made, "other")) == (b"three", b"two")
    assert len(made.metadata) == 2
    edit.with_metadata(made, "key", None)
    assert edit.metadata(made, "key") is None
    edit.share_buffers(made)
    assert edit.metadata(made, "other") == b"two"


def test_operators_whose_results_nobody_reads_are_dropped_with_what_only_they_read() -> None:
    operators = [(ADD, [0, 0], [1]), (MUL, [1, 1], [2]), (ADD, [0, 0], [3])]
    made = edit.without_dead_operators(model(operators, [None] * 4))
    assert [o.outputs for o in made.subgraphs[0].operators] == [[3]]
    assert edit.operator_names(made) == ["ADD"]


def test_a_chain_that_is_read_stays() -> None:
    operators = [(ADD, [0, 0], [1]), (MUL, [1, 1], [2])]
    made = edit.without_dead_operators(model(operators, [None] * 3))
    assert [o.outputs for o in made.subgraphs[0].operators] == [[1], [2]]
    assert edit.operator_names(made) == ["ADD", "MUL"]


def test_a_code_is_added_once() -> None:
    made = model([], [None])
    first = edit.operator_code(made, schema.BuiltinOperator.RANGE, 2)
    assert edit.operator_code(made, schema.BuiltinOperator.RANGE, 2) == first
    assert edit.operator_code(made, schema.BuiltinOperator.RANGE, 1) != first
    assert edit.operator_names(made) == ["ADD", "MUL", "RANGE", "RANGE"]


def test_operators_of_a_name_go_to_the_front_in_their_order() -> None:
    operators = [(ADD, [0, 0], [1]), (MUL, [0, 0], [2]), (ADD, [0, 0], [3]), (MUL, [0, 0], [4])]
    made = model(operators, [None] * 5)
    edit.move_to_front(made, "MUL")
    assert [o.outputs[0] for o in made.subgraphs[0].operators] == [2, 4, 1, 3]


def test_a_signature_that_is_not_there_is_named_with_those_that_are() -> None:
    made = model([], [None])
    for key in (b"decode", "prefill_8"):
        made.signatureDefs.append(schema.SignatureDefT())
        made.signatureDefs[-1].signatureKey = key
    assert edit.signature(made, "prefill_8") is made.signatureDefs[1]
    with pytest.raises(UserError, match="no signature 'generate'; it has: decode, prefill_8"):
        edit.signature(made, "generate")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ADD", edit.BUILT_IN),
        ("FlexSubstr", edit.SELECT_TF),
        ("Mine", edit.CUSTOM),
        ("add", edit.CUSTOM),
    ],
)
def test_who_has_an_operator(name: str, kind: str) -> None:
    assert edit.operator_kind(name) == kind
