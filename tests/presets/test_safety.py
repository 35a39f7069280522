"""A preset that would run code is refused before anything is loaded; a plain one still loads."""

import base64
import io
import json
import marshal
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from autocomplete.common.errors import UserError
from autocomplete.presets import loading, safety
from helpers.families import FAMILIES, quietly
from helpers.toys import Toy

pytestmark = pytest.mark.slow

Plant = Callable[[Path, Path], object]  # writes a file into a preset's folder that would create the marker


class Runs:
    """An object that creates a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.marker,)


def pickled(name: str, protocol: int = 4) -> Plant:
    return lambda folder, marker: (folder / name).write_bytes(pickle.dumps(Runs(marker), protocol))


def torch_archive(folder: Path, marker: Path) -> None:
    with zipfile.ZipFile(folder / "pytorch_model.bin", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Runs(marker)))


def torch_archive_as_weights(folder: Path, marker: Path) -> None:
    torch_archive(folder, marker)
    (folder / "pytorch_model.bin").replace(folder / "model.weights.h5")


def numpy_objects(folder: Path, marker: Path) -> None:
    np.save(folder / "extra.npy", np.array([Runs(marker)], dtype=object), allow_pickle=True)


def numpy_archive(folder: Path, marker: Path) -> None:
    np.savez(folder / "extra.npz", a=np.array([Runs(marker)], dtype=object))


def python_source(folder: Path, marker: Path) -> None:
    (folder / "modeling.py").write_text(f"import os\nos.mkdir({str(marker)!r})\n")


def configured(name: str, change: Callable[[dict[str, Any], Path], None]) -> Plant:
    """A JSON file of the preset, changed."""

    def plant(folder: Path, marker: Path) -> None:
        content = json.loads((folder / name).read_text())
        change(content, marker)
        (folder / name).write_text(json.dumps(content))

    return plant


def code(marker: Path) -> str:
    """A function as Keras writes a lambda: marshalled byte code."""
    compiled_code = compile(f"__import__('os').mkdir({str(marker)!r})", "x", "eval")
    return base64.b64encode(marshal.dumps(compiled_code)).decode()


def keras_lambda(content: dict[str, Any], marker: Path) -> None:
    function = {"class_name": "__lambda__", "config": {"code": code(marker), "defaults": None, "closure": None}}
    content["config"]["preprocessor"] = {
        "module": "keras.layers",
        "class_name": "Lambda",
        "registered_name": None,
        "config": {"name": "x", "function": function},
    }


def bare_lambda(content: dict[str, Any], marker: Path) -> None:
    content["config"]["dropout"] = {"class_name": "__lambda__", "config": {"value": [code(marker), None, None]}}


def torch_module(content: dict[str, Any], marker: Path) -> None:
    buffer = io.BytesIO()
    pickle.dump(Runs(marker), buffer)
    content["config"]["preprocessor"] = {
        "module": "keras.layers",
        "class_name": "TorchModuleWrapper",
        "registered_name": None,
        "config": {"module": base64.b64encode(buffer.getvalue()).decode()},
    }


def elsewhere(content: dict[str, Any], marker: Path) -> None:
    content |= {"module": "os", "class_name": "mkdir", "config": {"path": str(marker)}, "registered_name": None}


def named_otherwise(content: dict[str, Any], marker: Path) -> None:
    content["registered_name"] = "evil>GPT2CausalLM"  # a registered name takes precedence over module and class


def of_a_family_elsewhere(content: dict[str, Any], marker: Path) -> None:
    content["module"] = "evil.gpt2"


def function(content: dict[str, Any], marker: Path) -> None:
    content["config"]["dropout"] = {
        "module": "keras.utils",
        "class_name": "function",
        "config": "get_file",
        "registered_name": "get_file",
    }


def compiled(content: dict[str, Any], marker: Path) -> None:
    keras_lambda(content, marker)
    content["compile_config"] = {"loss": content["config"].pop("preprocessor")}


def reads_a_file(content: dict[str, Any], marker: Path) -> None:
    content["config"]["vocabulary"] = "/etc/passwd"


def reads_from_above(content: dict[str, Any], marker: Path) -> None:
    content["config"]["config_file"] = "../../other.json"


def h5(change: Callable[[h5py.File], None]) -> Plant:
    def plant(folder: Path, marker: Path) -> None:
        with h5py.File(folder / "model.weights.h5", "a") as file:
            change(file)

    return plant


def h5_objects(file: h5py.File) -> None:
    file["objects"] = np.array([b"cos\nsystem"], dtype=np.void)


def h5_references(file: h5py.File) -> None:
    file["references"] = np.array([file["layers"].ref], dtype=h5py.ref_dtype)


def h5_link(file: h5py.File) -> None:
    file["other"] = h5py.ExternalLink("/etc/other.h5", "/")


def h5_external(file: h5py.File) -> None:
    file.create_dataset("other", (4,), np.uint8, external=[("/etc/passwd", 0, 4)])


def shard_above(folder: Path, marker: Path) -> None:
    (folder / "model.weights.json").write_text(json.dumps({"weight_map": {"/layers": ["../other.weights.h5"]}}))


def linked_folder(folder: Path, marker: Path) -> None:
    shutil.move(folder / "assets", marker.parent / "away")
    (folder / "assets").symlink_to(marker.parent / "away")


ATTACKS: dict[str, tuple[Plant, str]] = {
    "pickle": (pickled("extra.pkl"), r"extra\.pkl is a pickle"),
    "old pickle": (pickled("notes.txt", 0), r"notes\.txt is a pickle"),
    "protocol 1": (pickled("assets/tokenizer/notes.txt", 1), r"notes\.txt is a pickle"),
    "pickle as vocabulary": (pickled("assets/tokenizer/vocabulary.json"), r"vocabulary\.json is a pickle"),
    "pickle as weights": (pickled("model.weights.h5"), r"model\.weights\.h5 is a pickle"),
    "joblib": (pickled("scaler.joblib"), r"scaler\.joblib is a pickle"),
    "PyTorch": (torch_archive, r"pytorch_model\.bin is a zip archive"),
    "PyTorch as weights": (torch_archive_as_weights, r"model\.weights\.h5 is a zip archive"),
    "NumPy": (numpy_objects, r"extra\.npy is a NumPy file, which may hold pickled objects"),
    "NumPy archive": (numpy_archive, r"extra\.npz is a zip archive"),
    "Python": (python_source, r"modeling\.py is of a kind that no preset needs \(\.py\)"),
    "Lambda layer": (configured("task.json", keras_lambda), r"task\.json makes an object of the class \S+ambda"),
    "lambda": (configured("task.json", bare_lambda), r"task\.json makes an object of the class __lambda__"),
    "compile": (configured("task.json", compiled), r"makes an object of the class \S+ambda"),
    "PyTorch layer": (configured("task.json", torch_module), r"of the class TorchModuleWrapper \(module keras\.layers"),
    "other module": (configured("tokenizer.json", elsewhere), r"of the class mkdir \(module os"),
    "other name": (configured("task.json", named_otherwise), r"GPT2CausalLM .*registered as evil>GPT2CausalLM"),
    "family's name": (configured("task.json", of_a_family_elsewhere), r"GPT2CausalLM \(module evil\.gpt2"),
    "function": (configured("config.json", function), r"of the class function \(module keras\.utils"),
    "file": (configured("tokenizer.json", reads_a_file), r"GPT2Tokenizer that would read another file \(vocabulary\)"),
    "path": (configured("tokenizer.json", reads_from_above), r"GPT2Tokenizer whose configuration is not KerasHub's"),
    "HDF5 objects": (h5(h5_objects), r"model\.weights\.h5 holds objects, not numbers \(/objects\)"),
    "HDF5 references": (h5(h5_references), r"holds objects, not numbers \(/references\)"),
    "HDF5 link": (h5(h5_link), r"links to another place \(//other\)"),
    "HDF5 external": (h5(h5_external), r"takes its numbers from another file \(/other\)"),
    "shard": (shard_above, r"model\.weights\.json names weights outside of its folder"),
    "link": (linked_folder, r"assets is no plain file"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_code_and_references_to_other_files_are_refused(toy: Toy, tmp_path: Path, name: str) -> None:
    plant, message = ATTACKS[name]
    folder, marker = tmp_path / "preset", tmp_path / "ran"
    shutil.copytree(toy.preset, folder)
    plant(folder, marker)
    with pytest.raises(UserError, match=message) as refused:
        loading.load(folder)
    assert "\n" not in str(refused.value)
    assert not marker.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_the_planted_pickle_would_run_and_is_found(tmp_path: Path, protocol: int) -> None:
    """Unpickling it creates the marker; every protocol is detected."""
    pickled("x.txt", protocol)(tmp_path, tmp_path / "ran")
    with pytest.raises(UserError, match="is a pickle"):
        safety.require_plain_data(tmp_path)
    pickle.loads((tmp_path / "x.txt").read_bytes())
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("family", ["llama3", "mistral", "gemma3"])
def test_plain_presets_are_not_refused(family: str, tmp_path: Path) -> None:
    quietly(FAMILIES[family], tmp_path)
    (tmp_path / "preset/README.md").write_text("# A model\n")
    (tmp_path / "preset/LICENSE").write_text("MIT\n")
    (tmp_path / "preset/.gitattributes").write_bytes(b"\x80\x04")
    safety.require_plain_data(tmp_path / "preset")


def test_weights_in_bfloat16_are_numbers(tmp_path: Path) -> None:
    import ml_dtypes

    with h5py.File(tmp_path / "model.weights.h5", "w") as file:
        file.create_dataset("half", data=np.ones(3, ml_dtypes.bfloat16)).attrs["dtype"] = "bfloat16"
    safety.require_plain_data(tmp_path)
