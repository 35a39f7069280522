"""Files are read whole or refused, and written so that old runtimes read them."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from stages.errors import UserError
from stages.tflite import flatbuffer, quantization, runner


@pytest.mark.parametrize("kept", [0, 3, 7, 8, 100, 5000, 0.5, 0.99])
def test_a_truncated_file_is_one_line(core_path: Path, tmp_path: Path, kept: float) -> None:
    data = core_path.read_bytes()
    path = tmp_path / "cut.tflite"
    path.write_bytes(data[: int(kept if kept > 1 else kept * len(data))])
    for load in (flatbuffer.read, lambda p: runner.litert(p, 1), lambda p: runner.tensorflow(p, 1)):
        with pytest.raises(UserError, match=r"cut\.tflite .*dvc repro") as error:
            load(path)
        assert "\n" not in str(error.value)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is missing; run `dvc repro`"):
        flatbuffer.read(tmp_path / "no.tflite")


def test_a_round_trip_keeps_the_bytes(core_path: Path) -> None:
    assert flatbuffer.serialize(flatbuffer.read(core_path)) == core_path.read_bytes()


def test_buffers_stored_by_offset_are_followed_and_written_inline(core_path: Path, tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside.tflite", tmp_path / "inside.tflite"
    outside.write_bytes(with_buffers_behind(core_path))
    assert not flatbuffer.buffers_inline(outside)
    model = flatbuffer.read(outside)
    assert all(t.buffer == 0 or model.buffers[t.buffer].data is not None for s in model.subgraphs for t in s.tensors)
    flatbuffer.write(model, inside)
    assert flatbuffer.buffers_inline(inside)
    token = np.array([[3]], np.int32)
    logits = [runner.Session(runner.litert(p, 1)).decode(int(token[0, 0])) for p in (outside, inside)]
    assert np.array_equal(*logits)
    assert inside.read_bytes() == core_path.read_bytes()


def with_buffers_behind(path: Path) -> bytes:
    """The form of files above 2 GB: large buffers behind the flatbuffer, by offset and size."""
    model = flatbuffer.read(path)
    moved = {i: bytes(b.data) for i, b in enumerate(model.buffers) if b.data is not None and len(b.data) > 1000}
    for index in moved:
        model.buffers[index].data, model.buffers[index].offset, model.buffers[index].size = None, 2, 2
    content = bytearray(flatbuffer.serialize(model))
    packed = schema.Model.GetRootAs(content, 0)
    for index, data in moved.items():
        content += b"\0" * (-len(content) % 16)
        packed = schema.Model.GetRootAs(content, 0)
        flatbuffer_utils.update_packed_buffer(packed.Buffers(index), len(content), len(data))
        content += data
    return bytes(content)


def test_equal_bytes_are_stored_once(core_path: Path) -> None:
    model = flatbuffer.read(core_path)
    contents = [bytes(b.data) for b in model.buffers if b.data is not None]
    assert len(set(contents)) == len(contents)


def test_metadata_is_set_read_and_removed(core_path: Path) -> None:
    model = flatbuffer.with_metadata(flatbuffer.read(core_path), "note", b"hello")
    assert flatbuffer.metadata(model, "note") == b"hello"
    assert flatbuffer.metadata(flatbuffer.parse(flatbuffer.serialize(model)), "note") == b"hello"
    assert flatbuffer.metadata(flatbuffer.with_metadata(model, "note", None), "note") is None


@pytest.mark.parametrize("mode", ["float32", "dynamic_range", "float16"])
def test_quantizing_twice_gives_the_same_bytes(core_path: Path, mode: str) -> None:
    recipe = yaml.safe_load(Path(f"conf/quantize/{mode}.yaml").read_text())["recipe"]
    first, second = (flatbuffer.serialize(quantization.quantize(core_path, recipe)) for _ in range(2))
    assert first == second


def test_a_refused_recipe_is_one_line(core_path: Path) -> None:
    with pytest.raises(UserError, match="ai-edge-quantizer refuses the recipe"):
        quantization.quantize(core_path, [{"regex": ".*", "operation": "*", "algorithm_key": "magic"}])
