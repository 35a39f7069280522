"""The models of the benchmark: GPT-2 base with random weights, built by this project and by each peer."""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from autocomplete.common.files import write_json

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
MODES = ("float32", "float16", "dynamic_range", "int4_block32_rtn")
GGUF = ("Q8_0", "Q4_0")
VERSIONS = {"original": "tensorflow 2.12.1, keras-nlp 0.5.2", "llama-cpp-python": "0.3.36", "gguf": "0.19.0"}

_UV = ["uv", "run", "--quiet", "--no-project", "--isolated", "--python", "3.11"]
# setuptools: TF 2.12 imports pkg_resources. numpy: TF 2.12.1 requires less than 1.24.
_OLD = [
    "--with",
    "tensorflow==2.12.1",
    "--with",
    "tensorflow-text==2.12.1",
    "--with",
    "setuptools<70",
    "--with",
    "numpy<1.24",
]
OLD = [*_UV, *_OLD]
# regex: keras-nlp 0.5.2 imports it without requiring it
_OLD_KERAS = [*_UV, *_OLD, "--with", "keras-nlp==0.5.2", "--with", "regex"]
_NUMPY = ["--with", "numpy==2.4.6"]
LLAMA = [
    *_UV,
    "-C",
    "cmake.define.LLAVA_BUILD=OFF",
    "-C",
    "cmake.define.GGML_NATIVE=ON",
    "--with",
    "llama-cpp-python==0.3.36",
    *_NUMPY,
]
_GGUF = [*_UV, "--with", "gguf==0.19.0", *_NUMPY]

Figures = dict[str, float]


def make(work: Path) -> dict[str, Figures]:
    """Builds the missing models; returns size, seconds and peak memory of each conversion, by file."""
    record = work / "made.json"
    figures: dict[str, Figures] = json.loads(record.read_text()) if record.exists() else {}
    for name, build in {"own": _own, "original.tflite": _original, **{f"{k}.gguf": _gguf for k in GGUF}}.items():
        if name not in figures:
            print(f"making {name} …", flush=True)
            figures[name] = {}
            figures |= build(work, name)
            write_json(record, figures)
    return figures


def by_contender(figures: dict[str, Figures], contenders: Iterable[str]) -> dict[str, Figures]:
    """The same figures by the names of the contenders."""
    by_name = {}
    for name in contenders:
        mode = name.split(", ")[1] if ", " in name else ""
        flavour = "autocomplete" if name.startswith("text") else "tokens"
        path = f"{mode}/{flavour}.tflite"
        key = "original.tflite" if name.startswith("original") else f"{name.removeprefix('llama.cpp ')}.gguf"
        by_name[name] = figures.get(path if name.startswith(("text", "tokens")) else key, {})
    return by_name


def _own(work: Path, _: str) -> dict[str, Figures]:
    """Runs this project's stages in their own folder; a conversion is convert and the mode's quantize together."""
    shutil.rmtree(work / "artifacts", ignore_errors=True)
    (work / "artifacts").mkdir(parents=True)
    for name in ("autocomplete", "stages", "conf", "dvc.yaml", "params.yaml", "artifacts/presets"):
        (work / name).unlink(missing_ok=True)
        (work / name).symlink_to(ROOT / name)
    _run([*_stage("author"), "author=random_gpt2_base", *_published_vocabulary(work)], work)
    convert = _run(_stage("convert"), work)
    figures: dict[str, Figures] = {"convert": convert, "own": {}}
    for mode in MODES:
        quantize = _run([*_stage("quantize"), f"quantize={mode}"], work)
        seconds = convert["convert_s"] + quantize["convert_s"]
        peak = max(convert["convert_peak_mib"], quantize["convert_peak_mib"])
        for path in (work / "artifacts/quantize" / mode).glob("*.tflite"):
            size = {"size_mb": path.stat().st_size / 1e6}
            figures[f"{mode}/{path.name}"] = size | {"convert_s": seconds, "convert_peak_mib": peak}
    return figures


def _stage(name: str) -> list[str]:
    return [sys.executable, "-m", f"stages.{name}"]


def _published_vocabulary(work: Path) -> list[str]:
    """The setting for GPT-2's own vocabulary."""
    published, folder = HERE.parent / "published/gpt2_bpe", work / "vocabulary"
    folder.mkdir(exist_ok=True)
    for published_name, file_name in {"encoder.json": "vocabulary.json", "vocab.bpe": "merges.txt"}.items():
        (folder / file_name).write_bytes(gzip.decompress((published / f"{published_name}.gz").read_bytes()))
    return ["author.random.vocabulary=vocabulary"]


def _vocabulary(work: Path) -> list[str]:
    folder = work / "artifacts/author/assets/tokenizer"
    return [str(folder / "vocabulary.json"), str(folder / "merges.txt")]


def _original(work: Path, name: str) -> dict[str, Figures]:
    figures = _reported(
        [*_OLD_KERAS, "python", str(HERE / "original_convert.py"), *_vocabulary(work), str(work / name)], work
    )
    return {name: figures}


def _gguf(work: Path, name: str) -> dict[str, Figures]:
    arguments = [str(work / name), name.removesuffix(".gguf"), *_vocabulary(work)]
    return {name: _reported([*_GGUF, "python", str(HERE / "llama_convert.py"), *arguments], work)}


def _reported(command: list[str], work: Path) -> Figures:
    """The figures that a peer's converter prints, without uv and imports."""
    report = json.loads(_output(command, work).splitlines()[-1])
    return {
        "size_mb": report["size_bytes"] / 1e6,
        "convert_s": report["convert_s"],
        "convert_peak_mib": report["peak_rss_mib"],
    }


def _run(command: list[str], work: Path) -> Figures:
    """Seconds and peak memory of a whole process, imports included."""
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=work, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"error: {' '.join(command)} failed in {work}; run it there by hand")
    return {"convert_s": time.perf_counter() - started, "convert_peak_mib": usage.ru_maxrss / 1024}


def _output(command: list[str], work: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"error: {' '.join(command)} failed: {re.sub(chr(10), ' ', done.stderr[-500:])}")
    return done.stdout
