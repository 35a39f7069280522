"""Signatures, operators and runtime of a file."""

from pathlib import Path

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from autocomplete.evaluate import peak_memory
from autocomplete.tflite import flatbuffer, inspect
from autocomplete.tflite.inspect import TensorDescription
from helpers.toys import CHUNK, SLOTS


def test_a_core_s_signatures_are_described(core_path: Path) -> None:
    description = inspect.describe(core_path)
    assert {"decode", f"prefill_{CHUNK}", "prefill_32"} <= set(description.signatures)
    decode = description.signatures["decode"]
    assert decode.inputs["tokens"] == TensorDescription([1, 1], "int32")
    assert decode.inputs["mask"] == TensorDescription([1, 1, 1, SLOTS], "float32")
    assert "logits" in decode.outputs
    assert "FULLY_CONNECTED" in description.builtin_operators
    assert description.builtin_operators == sorted(description.builtin_operators)
    assert description.select_tf_operators == description.custom_operators == []


def with_codes(path: Path, *names: str) -> Path:
    """A model without operators, whose file declares operator codes."""
    model = flatbuffer.parse(peak_memory.empty_model())
    for name in names:
        code = schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.customCode = schema.BuiltinOperator.CUSTOM, 32, name
        model.operatorCodes = [*(model.operatorCodes or []), code]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def test_operators_are_described_by_the_library_that_has_them(tmp_path: Path) -> None:
    description = inspect.describe(with_codes(tmp_path / "a.tflite", "FlexSubstr", "Mine"))
    assert description.select_tf_operators == ["Substr"]
    assert description.custom_operators == ["Mine"]
    assert description.runtime == "TensorFlow Lite with Select TF operators"
    without_operators = inspect.describe(with_codes(tmp_path / "b.tflite"))
    assert (without_operators.signatures, without_operators.runtime) == ({}, "any TensorFlow Lite or LiteRT runtime")
