"""Settings: precedence, the keys that a stage may read, and errors in one line."""

import shutil
from pathlib import Path

import pytest
import yaml

from helpers.commands import stage
from helpers.folders import ROOT

PROBE = """
import json, sys
from dataclasses import asdict
from autocomplete.common import config
from stages.convert import ConvertSettings
config.main("convert", ConvertSettings, lambda s: print(json.dumps(asdict(s))))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the configuration, and a stage that prints its settings."""
    for name in ("autocomplete", "conf", "stages"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    (tmp_path / "probe.py").write_text(PROBE)
    return tmp_path


def _first_line(output: str) -> str:
    """What the probe prints; the seconds that the stage took follow it."""
    return output.splitlines()[0]


def edit(path: Path, old: str, new: str) -> None:
    content = path.read_text()
    assert content.count(old) == 1
    path.write_text(content.replace(old, new))


def settings(project: Path, *arguments: str) -> dict[str, object]:
    done = stage("probe", *arguments, cwd=project)
    assert done.returncode == 0, done.stderr
    return dict(yaml.safe_load(_first_line(done.stdout)))


def failure(*arguments: str, cwd: Path) -> str:
    done = stage(*arguments, cwd=cwd)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_group_file_yields_to_params_yields_to_the_command_line(project: Path) -> None:
    assert settings(project)["top_k"] == 5
    assert settings(project)["sequence_length"] == 100
    edit(project / "params.yaml", "sequence_length: 100", "sequence_length: 80")
    assert settings(project)["sequence_length"] == 80
    assert settings(project, "convert.sequence_length=64")["sequence_length"] == 64
    assert settings(project, "convert.top_k=7")["top_k"] == 7


def test_use_chooses_the_group_file_and_the_command_line_another(project: Path) -> None:
    other = yaml.safe_load((project / "conf/convert/default.yaml").read_text()) | {"top_k": 9}
    (project / "conf/convert/wide.yaml").write_text(yaml.safe_dump(other))
    assert settings(project, "convert=wide")["top_k"] == 9
    edit(project / "params.yaml", "convert: default", "convert: wide")
    assert settings(project)["top_k"] == 9
    assert settings(project, "convert=default")["top_k"] == 5


@pytest.fixture
def no_frameworks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages that import TensorFlow or Keras, which takes seconds, end with a traceback."""
    for name in ("tensorflow", "tensorflow_text", "keras", "keras_hub", "ai_edge_litert", "litert_quantizer"):
        (tmp_path / f"{name}.py").write_text(f"raise RuntimeError('{name} is imported')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.mark.parametrize("text", ["plain", "it's \\ quoted", "a,b: {c} [d] $e"])
def test_any_string_of_params_arrives_unchanged(project: Path, text: str) -> None:
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["validate"]["evaluation_text"] = text
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    probe = PROBE.replace("convert", "validate").replace("Convert", "Validate")
    (project / "probe.py").write_text(probe)
    done = stage("probe", "quantize=float32", cwd=project)
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(_first_line(done.stdout))["evaluation_text"] == text


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_number_of_params_stays_a_number(project: Path, number: int) -> None:
    edit(project / "params.yaml", "context_window: null", f"context_window: {number}")
    done = stage("probe", cwd=project)
    if number == 0:
        assert "context_window is 0;" in done.stderr
    else:
        assert yaml.safe_load(_first_line(done.stdout))["context_window"] == number


def test_a_stage_sees_only_what_dvc_yaml_declares(project: Path) -> None:
    edit(project / "dvc.yaml", "      - convert.sampler\n", "")
    edit(project / "params.yaml", "  sampler: top_k ", "  # sampler: top_k ")
    assert "sampler" in failure("probe", cwd=project)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["stages.convert", "convert.sequence_length=abc"], ["sequence_length", "abc", "Integer"]),
        (["stages.convert", "convert.sequence_lenght=5"], ["sequence_lenght"]),
        (["stages.convert", "+convert.colour=red"], ["colour", "sequence_length"]),
        (["stages.convert", "convert.context_window=51"], ["context_window is 51", "1 to 50, half of sequence_length"]),
        (["stages.convert", "convert.context_window=0"], ["context_window is 0"]),
        (["stages.convert", "convert.sampler=beam"], ["beam", "greedy, top_k, top_p, temperature"]),
        (["stages.convert", "convert.temperature=0"], ["temperature is 0", "above 0"]),
        (["stages.convert", "convert.top_p=1.5"], ["top_p is 1.5"]),
        (["stages.convert", "convert.max_output_bytes=801"], ["801", "788"]),
        (["stages.convert", "convert.prefill_lengths=[16,8]"], ["prefill_lengths"]),
        (["stages.convert", "convert.seed=-1"], ["seed is -1"]),
        (["stages.convert", "convert.portable_prompt_bytes=8"], ["portable_prompt_bytes is 8", "16 to 4096"]),
        (["stages.convert", "convert.suppress_tokens=[1.5]"], ["a list with 1.5", "token ids and strings"]),
        (["stages.convert", "convert.suppress_tokens=[[5]]"], ["a list with [5]"]),
        (["stages.author", "author=finetune", "author.tuning.method=half"], ["tuning.method is half", "full, lora"]),
        (["stages.author", "author=finetune", "author.tuning.text.held_out=0"], ["text.held_out is 0", "0.001 to 0.5"]),
        (
            ["stages.author", "author=finetune", "author.tuning.training.warmup=300"],
            ["warmup is 300", "training.steps"],
        ),
        (["stages.author", "author=finetune", "author.tuning.minutes=soon"], ["tuning.minutes", "soon"]),
        (["stages.author", "author=finetune", "author.preset=null"], ["one of preset and random"]),
        (["stages.convert", "convert=missing"], ["convert/missing", "default"]),
        (["stages.quantize", "quantize=int5"], ["quantize/int5", "dynamic_range", "float16", "float32"]),
        (["stages.quantize"], ["quantize=<name>", "dynamic_range"]),
        (["stages.validate", "quantize=float32", "validate.windows=0"], ["windows is 0"]),
        (["stages.judge", "quantize=float32", "judge.gates=[{metric: parity_relative}]"], ["at_most"]),
        (
            ["stages.validate", "quantize=float32", "validate.filter.languages=[english,klingon]"],
            ["validate.filter.languages: no list for klingon", "english, esperanto"],
        ),
        (["stages.validate", "quantize=float32", "validate.filter.languages=[]"], ["languages is empty", "english"]),
        (["stages.validate", "quantize=float32", "validate.filter.tries=0"], ["tries is 0", "1 to 100"]),
        (["stages.validate", "quantize=float32", "validate.provoking_prompts=no.txt"], ["no.txt", "one prompt a line"]),
    ],
)
@pytest.mark.usefixtures("no_frameworks")
def test_bad_values_are_one_line_and_fast(arguments: list[str], expected: list[str]) -> None:
    line = failure(*arguments, cwd=ROOT)
    for part in expected:
        assert part in line
    assert "hydra.conf" not in line


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("sequence_length: 100", "sequence_lenght: 100", ["sequence_lenght", "convert.sequence_length"]),
        ("sequence_length: 100", "sequence_length: many", ["many", "sequence_length"]),
        ("  convert: default", "  convert: nosuch", ["nosuch", "default"]),
        ("  convert: default", "  converter: default", ["converter", "allowed"]),
        ("convert:\n  sequence", "convert: [\n  sequence", ["params.yaml", "not valid YAML"]),
    ],
)
def test_bad_params_are_one_line(project: Path, old: str, new: str, expected: list[str]) -> None:
    edit(project / "params.yaml", old, new)
    line = failure("stages.convert", cwd=project)
    for part in expected:
        assert part in line


@pytest.mark.parametrize(
    "name",
    [
        "author",
        "convert",
        "quantize",
        "reference",
        "validate",
        "judge",
        "layers",
        "page_runtime",
        "package",
        "summary",
        "pretrain",
    ],
)
@pytest.mark.usefixtures("no_frameworks")
def test_help_is_fast_and_shows_the_settings(name: str) -> None:
    done = stage(f"stages.{name}", "--help")
    assert done.returncode == 0, done.stderr
    assert f"python -m stages.{name}" in done.stdout
    assert f"{name}: " in done.stdout or name == "pretrain"


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        (["--cfg", "job"], "sequence_length: 100"),
        (["-c", "job", "convert.sequence_length=64"], "sequence_length: 64"),
        (["convert.sequence_length=64", "--cfg", "job", "--resolve"], "sequence_length: 64"),
        (["--package", "convert", "-c", "job"], "# @package convert"),
        (["--info"], "Defaults Tree"),
        (["--info", "searchpath"], "Config search path"),
        (["--hydra-help"], "--cfg,-c"),
        (["--version"], "Hydra 1.3"),
    ],
)
def test_hydra_s_own_flags_work(flags: list[str], shown: str, project: Path) -> None:
    done = stage("stages.convert", *flags, cwd=project)
    assert done.returncode == 0, done.stderr
    assert shown in done.stdout


def test_multirun_runs_each_value_with_what_dvc_yaml_declares(project: Path) -> None:
    done = stage("probe", "-m", "convert.top_k=7,8", "convert.sequence_length=64", cwd=project)
    assert done.returncode == 0, done.stderr
    printed = [yaml.safe_load(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [s["top_k"] for s in printed] == [7, 8]
    assert [s["sequence_length"] for s in printed] == [64, 64]
    assert not (project / "outputs").exists()


def test_from_another_folder_the_error_says_where_to_go(tmp_path: Path) -> None:
    for name in ("autocomplete", "stages"):
        (tmp_path / name).symlink_to(ROOT / name)
    assert "run from the project's top folder" in failure("stages.convert", cwd=tmp_path)


def test_no_key_lives_in_params_and_in_a_group_file() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for path in (ROOT / "conf").glob("*/*.yaml"):
        keys = set(yaml.safe_load(path.read_text()))
        assert not keys & set(params.get(path.parent.name) or {}), path


@pytest.mark.parametrize("path", sorted((ROOT / "conf").glob("*/*.yaml")), ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_group_file_composes(path: Path) -> None:
    group = path.parent.name
    extra = ["quantize=float32"] if group in ("validate", "package") else []
    done = stage(f"stages.{group}", f"{group}={path.stem}", *extra, "--help")
    assert done.returncode == 0, done.stderr
