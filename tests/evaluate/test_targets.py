"""Each rule of targets.yaml finds the file that breaks it, and names the operator or tensor."""

from pathlib import Path
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema

from autocomplete.common.errors import UserError
from autocomplete.evaluate import targets
from autocomplete.tflite import flatbuffer, linker
from helpers.toy_models import quantized
from helpers.toys import Toy


@pytest.fixture(scope="module")
def files(
    toy: Toy, core_path: Path, greedy_driver: Any, tokens_driver: Any, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("targets")
    cores = {
        "float": flatbuffer.read(core_path),
        "channels": quantized(toy, core_path, "dynamic_range"),
        "blocks": quantized(toy, core_path, "int4_block32"),
    }
    models = {f"core {n}": c for n, c in cores.items()}
    models |= {"tokens": linker.link(tokens_driver, cores["float"])}
    models |= {f"text {n}": linker.link(greedy_driver, cores[n]) for n in ("float", "channels")}
    paths = {name: folder / f"{name}.tflite" for name in models}
    for name, model in models.items():
        flatbuffer.write(model, paths[name])
    return paths


@pytest.mark.parametrize(
    ("file", "target", "offence"),
    [
        ("text float", "android_demo", None),
        ("text float", "litert", "operator FlexDecodeRaw, DecodeRaw"),
        ("text channels", "android_demo", "has a scale for each row"),
        ("core float", "android_demo", "no signature serving_default"),
        ("core float", "litert_lm", None),
        ("core float", "web", None),
        ("core float", "gpu_delegate", "operator EMBEDDING_LOOKUP, decode/embedding"),
        ("core blocks", "litert", None),
        ("core blocks", "tflite_2.17", "tensor decode/weight_embedding is quantized in blocks"),
        ("tokens", "litert", None),
        ("tokens", "litert_lm", "no signature prefill*"),
        ("tokens", "web", None),
        ("tokens", "tflite_2.17", "changes its shape in a loop"),
        ("text float", "web", "operator FlexDecodeRaw, DecodeRaw"),
    ],
)
def test_a_file_fits_a_target_or_its_offence_is_named(
    files: dict[str, Path], file: str, target: str, offence: str | None
) -> None:
    result = targets.check(files[file])[target]
    assert result.fits == (offence is None)
    if offence is None:
        assert result.offence is None
    else:
        assert result.offence is not None
        assert offence in result.offence or "has a scale" in result.offence


def test_a_version_too_high_is_named(files: dict[str, Path], tmp_path: Path) -> None:
    model = flatbuffer.read(files["text float"])
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = (
        schema.BuiltinOperator.RANGE,
        schema.BuiltinOperator.RANGE,
        2,
    )
    model.operatorCodes.append(code)
    model.subgraphs[0].operators[0].opcodeIndex = len(model.operatorCodes) - 1
    flatbuffer.write(model, tmp_path / "new.tflite")
    result = targets.check(tmp_path / "new.tflite")["android_demo"]
    assert result.offence is not None and "operator RANGE of version 2" in result.offence


def test_buffers_by_offset(files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flatbuffer, "_INLINE_LIMIT", 1000)
    flatbuffer.write(flatbuffer.read(files["text float"]), tmp_path / "large.tflite")
    assert targets.check(tmp_path / "large.tflite")["android_demo"].offence == "buffers lie behind the flatbuffer"


def test_an_unknown_rule_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "targets.yaml").write_text("phone: {what: a phone, run: null, colour: red}\n")
    monkeypatch.setattr(targets, "_RULES", tmp_path / "targets.yaml")
    targets.targets.cache_clear()
    with pytest.raises(UserError, match=r"phone has no rule 'colour'; allowed: .*types"):
        targets.targets()
    targets.targets.cache_clear()


def test_tests_that_a_target_names_exist() -> None:
    assert all(Path(t.run).exists() for t in targets.targets().values() if t.run)
