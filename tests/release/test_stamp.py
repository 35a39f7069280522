"""A released bundle: the files added to it, and the same bytes from the same inputs."""

import zipfile
from pathlib import Path

import pytest

from autocomplete.bundle import manifest
from autocomplete.common.errors import UserError
from autocomplete.common.files import read_json, tree_sha256
from autocomplete.release import stamp
from helpers.bundles import keys, reseal

LABEL = stamp.Stamp("1.2.0", "b" * 40, "org.example.keyboard")


def test_the_same_inputs_give_the_same_bytes(toy_bundle: Path, tmp_path: Path) -> None:
    key, _ = keys(tmp_path, "key")
    sums = [stamp.write(toy_bundle, LABEL, key, tmp_path / name) for name in ("one", "two")]
    assert sums[0] == sums[1]
    assert tree_sha256(tmp_path / "one") == tree_sha256(tmp_path / "two")
    other = stamp.write(toy_bundle, stamp.Stamp("1.2.1", LABEL.revision, LABEL.maven_group), key, tmp_path / "other")
    assert other != sums[0]


def test_a_bundle_without_text_model_brings_tokens_and_tokenizer_to_android(bundle: Path, tmp_path: Path) -> None:
    (bundle / "autocomplete.tflite").unlink()
    models = read_json(bundle / manifest.FILE)["models"]
    reseal(bundle, models={name: model for name, model in models.items() if name != "autocomplete.tflite"})
    stamp.write(bundle, LABEL, keys(tmp_path, "key")[0], tmp_path / "released")
    (archive,) = (tmp_path / "released").glob("android/org/example/keyboard/toy-float32/1.2.0/toy-float32-1.2.0.aar")
    with zipfile.ZipFile(archive) as opened:
        names = {n.removeprefix("assets/") for n in opened.namelist() if n.startswith("assets/")}
    tokenizer = {f"tokenizer/{n}" for n in ("vocabulary.json", "merges.txt", "tokenizer.json")}
    assert names == {"tokens.tflite", *tokenizer}


def test_a_damaged_bundle_or_one_with_a_failed_gate_is_not_stamped(bundle: Path, tmp_path: Path) -> None:
    key, _ = keys(tmp_path, "key")
    reseal(bundle, failed_gates=["android_contract"])
    with pytest.raises(UserError, match="android_contract did not pass"):
        stamp.write(bundle, LABEL, key, tmp_path / "released")
    (bundle / "core.tflite").write_bytes(b"TFL3")
    with pytest.raises(UserError, match="damaged"):
        stamp.write(bundle, LABEL, key, tmp_path / "released")
    with pytest.raises(UserError, match="run `dvc repro`"):
        stamp.check(bundle / "nowhere")
    assert not (tmp_path / "released").exists()
