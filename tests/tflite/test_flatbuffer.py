"""Files are read completely or refused, and written for old runtimes."""

from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from autocomplete.common.errors import UserError
from autocomplete.quantize import recipes
from autocomplete.runtime import interpreters, sessions
from autocomplete.tflite import edit, flatbuffer


@pytest.mark.parametrize("size", [0, 3, 7, 8, 100, 5000, 0.5, 0.99])
def test_a_truncated_file_is_refused_in_one_line(core_path: Path, tmp_path: Path, size: float) -> None:
    data = core_path.read_bytes()
    path = tmp_path / "cut.tflite"
    path.write_bytes(data[: int(size if size > 1 else size * len(data))])
    for load in (flatbuffer.read, lambda p: interpreters.litert(p, 1), lambda p: interpreters.tensorflow(p, 1)):
        with pytest.raises(UserError, match=r"cut\.tflite .*dvc repro") as error:
            load(path)
        assert "\n" not in str(error.value)


def test_a_complete_file_is_checked_again_only_when_it_changes(
    core_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "core.tflite"
    data = core_path.read_bytes()
    path.write_bytes(data)
    read: list[Path] = []
    with monkeypatch.context() as patched:
        patched.setattr(flatbuffer, "read", read.append)
        for _ in range(3):
            interpreters.litert(path, 1)
    assert read == [path]
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match="not a whole TensorFlow Lite file"):
        interpreters.litert(path, 1)
    path.unlink()
    with pytest.raises(UserError, match="is missing"):
        interpreters.litert(path, 1)


def test_a_missing_file_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is missing; run `dvc repro`"):
        flatbuffer.read(tmp_path / "no.tflite")


def test_a_round_trip_keeps_the_bytes(core_path: Path) -> None:
    assert flatbuffer.serialize(flatbuffer.read(core_path)) == core_path.read_bytes()


def test_a_model_beyond_2_gb_has_its_buffers_after_the_flatbuffer(
    core_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside, inside = tmp_path / "outside.tflite", tmp_path / "inside.tflite"
    with monkeypatch.context() as patched:
        patched.setattr(flatbuffer, "_INLINE_LIMIT", 0)  # in fact 2 GB
        flatbuffer.write(flatbuffer.read(core_path), outside)
    assert not flatbuffer.buffers_inline(outside)
    flatbuffer.write(flatbuffer.read(outside), inside)
    assert flatbuffer.buffers_inline(inside)
    assert inside.read_bytes() == core_path.read_bytes()
    logits = [sessions.InterpreterSession(interpreters.litert(p, 1)).decode(3) for p in (outside, inside)]
    assert np.array_equal(logits[0], logits[1])


def test_deferred_content_is_computed_when_written(core_path: Path, tmp_path: Path) -> None:
    model = flatbuffer.read(core_path)
    largest = max(model.buffers, key=lambda b: 0 if b.data is None else len(b.data))
    make = mock.Mock(return_value=largest.data)
    largest.data = flatbuffer.Deferred(len(largest.data), make)
    make.assert_not_called()
    flatbuffer.write(model, tmp_path / "written.tflite")
    make.assert_called_once_with()
    assert (tmp_path / "written.tflite").read_bytes() == core_path.read_bytes()


def test_deferred_content_of_another_size_is_refused(core_path: Path, tmp_path: Path) -> None:
    model = flatbuffer.read(core_path)
    model.buffers[1].data = flatbuffer.Deferred(len(model.buffers[1].data) + 4, lambda: np.zeros(4, np.uint8))
    with pytest.raises(ValueError, match="bytes, not"):
        flatbuffer.write(model, tmp_path / "written.tflite")
    assert not list(tmp_path.iterdir())


def test_equal_bytes_are_stored_once(core_path: Path) -> None:
    model = flatbuffer.read(core_path)
    contents = [bytes(b.data) for b in model.buffers if b.data is not None]
    assert len(set(contents)) == len(contents)


def test_metadata_is_set_read_and_removed(core_path: Path) -> None:
    model = edit.with_metadata(flatbuffer.read(core_path), "note", b"hello")
    assert edit.metadata(model, "note") == b"hello"
    assert edit.metadata(flatbuffer.parse(flatbuffer.serialize(model)), "note") == b"hello"
    assert edit.metadata(edit.with_metadata(model, "note", None), "note") is None


def test_a_refused_recipe_is_reported_in_one_line(core_path: Path) -> None:
    with pytest.raises(UserError, match="litert-quantizer refuses the recipe"):
        recipes.quantize(core_path, [{"regex": ".*", "operation": "*", "algorithm_key": "magic"}])
