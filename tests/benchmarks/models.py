"""The models of the benchmark: GPT-2 base, random weights, one vocabulary, made by us and by each peer."""

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
# setuptools: TF 2.12 imports pkg_resources. numpy: TF 2.12.1 wants less than 1.24.
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
# regex: keras-nlp 0.5.2 imports it without asking for it
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

Facts = dict[str, float]


def make(work: Path) -> dict[str, Facts]:
    """Makes what is not there yet; size, seconds and peak memory of each conversion, by file."""
    noted = work / "made.json"
    made: dict[str, Facts] = json.loads(noted.read_text()) if noted.exists() else {}
    for name, build in {"own": _own, "original.tflite": _original, **{f"{k}.gguf": _gguf for k in GGUF}}.items():
        if name not in made:
            print(f"making {name} …", flush=True)
            made[name] = {}
            made |= build(work, name)
            write_json(noted, made)
    return made


def by_contender(made: dict[str, Facts], contenders: Iterable[str]) -> dict[str, Facts]:
    """The same facts by the names of what is measured."""
    named = {}
    for name in contenders:
        mode = name.split(", ")[1] if ", " in name else ""
        flavour = "autocomplete" if name.startswith("text") else "tokens"
        own = f"{mode}/{flavour}.tflite"
        key = "original.tflite" if name.startswith("original") else f"{name.removeprefix('llama.cpp ')}.gguf"
        named[name] = made.get(own if name.startswith(("text", "tokens")) else key, {})
    return named


def _own(work: Path, _: str) -> dict[str, Facts]:
    """Our stages in a folder of their own; a conversion is convert and the mode's quantize together."""
    shutil.rmtree(work / "artifacts", ignore_errors=True)
    (work / "artifacts").mkdir(parents=True)
    for name in ("autocomplete", "stages", "conf", "dvc.yaml", "params.yaml", "artifacts/presets"):
        (work / name).unlink(missing_ok=True)
        (work / name).symlink_to(ROOT / name)
    _run([*_stage("author"), "author=random_gpt2_base", *_published_vocabulary(work)], work)
    convert = _run(_stage("convert"), work)
    made: dict[str, Facts] = {"convert": convert, "own": {}}
    for mode in MODES:
        quantize = _run([*_stage("quantize"), f"quantize={mode}"], work)
        seconds = convert["convert_s"] + quantize["convert_s"]
        peak = max(convert["convert_peak_mib"], quantize["convert_peak_mib"])
        for path in (work / "artifacts/quantize" / mode).glob("*.tflite"):
            size = {"size_mb": path.stat().st_size / 1e6}
            made[f"{mode}/{path.name}"] = size | {"convert_s": seconds, "convert_peak_mib": peak}
    return made


def _stage(name: str) -> list[str]:
    return [sys.executable, "-m", f"stages.{name}"]


def _published_vocabulary(work: Path) -> list[str]:
    """The setting for GPT-2's own vocabulary."""
    published, folder = HERE.parent / "published/gpt2_bpe", work / "vocabulary"
    folder.mkdir(exist_ok=True)
    for theirs, ours in {"encoder.json": "vocabulary.json", "vocab.bpe": "merges.txt"}.items():
        (folder / ours).write_bytes(gzip.decompress((published / f"{theirs}.gz").read_bytes()))
    return ["author.random.vocabulary=vocabulary"]


def _vocabulary(work: Path) -> list[str]:
    folder = work / "artifacts/author/assets/tokenizer"
    return [str(folder / "vocabulary.json"), str(folder / "merges.txt")]


def _original(work: Path, name: str) -> dict[str, Facts]:
    facts = _told(
        [*_OLD_KERAS, "python", str(HERE / "original_convert.py"), *_vocabulary(work), str(work / name)], work
    )
    return {name: facts}


def _gguf(work: Path, name: str) -> dict[str, Facts]:
    arguments = [str(work / name), name.removesuffix(".gguf"), *_vocabulary(work)]
    return {name: _told([*_GGUF, "python", str(HERE / "llama_convert.py"), *arguments], work)}


def _told(command: list[str], work: Path) -> Facts:
    """What a peer's converter says of itself: uv and imports are not counted."""
    told = json.loads(_output(command, work).splitlines()[-1])
    return {
        "size_mb": told["size_bytes"] / 1e6,
        "convert_s": told["convert_s"],
        "convert_peak_mib": told["peak_rss_mib"],
    }


def _run(command: list[str], work: Path) -> Facts:
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
