"""The clients of a bundle and its page, asked for the same texts."""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ai_edge_litert
import psutil

from autocomplete.bundle import usage
from autocomplete.common.files import read_json
from autocomplete.page import npm_runtime

from .models import ROOT

NODE = Path(__file__).with_name("same_text.mjs")

# stands for @litertjs/core in Node: one runtime and one model, and the seconds of a run
STUB = """
import * as core from '%s';
export * from '%s';
let loaded, compiled;
export const loadLiteRt = (...given) => (loaded ??= core.loadLiteRt(...given));
export const loadAndCompile = async (...given) => {
  compiled ??= await core.loadAndCompile(...given);
  const run = async (...inputs) => {
    const began = performance.now();
    const outputs = await compiled.run(...inputs);
    globalThis.ranSeconds = (performance.now() - began) / 1000;
    return outputs;
  };
  return { run, delete() {} };
};
"""

# around a C++ client; the linker leads what the client calls to the functions with __wrap_
DRIVER = """
#define main client_main
#include "%s"
#undef main
#include <chrono>

#define ONCE(function, parameters, ...) \\
  int __real_##function parameters; \\
  int __wrap_##function parameters { \\
    static void* first = nullptr; \\
    const int status = first ? 0 : __real_##function(__VA_ARGS__, &first); \\
    *made = first; \\
    return status; \\
  }

extern "C" {
ONCE(LiteRtCreateEnvironment, (int count, const void* options, void** made), count, options)
ONCE(LiteRtCreateModelFromFile, (void* environment, const char* path, void** made), environment, path)
ONCE(LiteRtCreateCompiledModel, (void* environment, void* model, void* how, void** made), environment, model, how)

static double seconds;
int __real_LiteRtRunCompiledModel(void*, size_t, size_t, void**, size_t, void**);
int __wrap_LiteRtRunCompiledModel(void* compiled, size_t signature, size_t in, void** given, size_t out, void** made) {
  const auto began = std::chrono::steady_clock::now();
  const int status = __real_LiteRtRunCompiledModel(compiled, signature, in, given, out, made);
  seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return status;
}
}

int main(int count, char** arguments) {
  const auto bundle = std::filesystem::weakly_canonical(arguments[0]).parent_path().parent_path();
  for (int i = 1; i < count; ++i) {
    const std::string text = Complete(bundle, arguments[i]);
    std::printf("%%s%%c%%f%%c", text.c_str(), 0, seconds, 0);
  }
}
"""

WRAPPED = ("CreateEnvironment", "CreateModelFromFile", "CreateCompiledModel", "RunCompiledModel")


@dataclass(frozen=True)
class Asked:
    """What all clients are asked, of a copy of the bundle's usage/ that may be written into."""

    bundle: Path
    copy: Path
    modules: Path
    prompts: Sequence[str]
    tokens: int  # the page's; the clients add as many as fit into sequence_length
    longest: int  # sequence_length
    complete_word: bool  # what the clients of tokens.tflite do


@dataclass(frozen=True)
class Way:
    """Who answers, and how."""

    client: str
    model: str
    word: bool  # whether a word that the prompt ends in is completed
    tokens: int  # added at most


@dataclass(frozen=True)
class Row:
    """What a client said."""

    way: Way
    texts: Sequence[str]
    seconds: Sequence[float]  # of the model's run alone, by prompt
    whole: float  # seconds of the process
    peak: float  # MiB of its processes, mapped files included


def copied(bundle: Path, folder: Path) -> tuple[Path, Path]:
    """A bundle's usage/ beside links to the rest, and what npm brought; the clients import the stub of LiteRT.js."""
    if not (bundle / "usage/portable.py").is_file() or not (bundle / "web/models.json").is_file():
        raise SystemExit(f"error: {bundle} has no usage/portable.py or no web/: no bundle, or packaged without npm")
    modules, copy = npm_runtime.install(folder), folder / "bundle"
    shutil.copytree(bundle / "usage", copy / "usage", ignore=shutil.ignore_patterns("node_modules"))
    for name in ("portable.tflite", "tokens.tflite", "tokenizer"):
        if (bundle / name).exists():
            (copy / name).symlink_to((bundle / name).resolve())
    core, stub = modules / "@litertjs/core", copy / "usage/node_modules/@litertjs/core"
    if (found := read_json(core / "package.json")["version"]) != usage.LITERTJS:
        raise SystemExit(f"error: the page has LiteRT.js {found}, the clients {usage.LITERTJS}")
    (stub / "dist").mkdir(parents=True)
    (stub / "wasm").symlink_to(core / "wasm")
    (stub / "package.json").write_text(json.dumps({"name": "stub", "type": "module", "main": "dist/index.js"}))
    address = (core / "dist/index.js").as_uri()
    (stub / "dist/index.js").write_text(STUB % (address, address))
    return copy, modules


def answered(asked: Asked) -> Iterator[Row]:
    """All clients that the bundle has, Python's first."""
    folder, lengths = asked.copy / "usage", sorted({asked.tokens, asked.longest})
    ways = [Way("Python", "portable", word, n) for n in lengths for word in (False, True)]
    changes = [{"complete_word": int(way.word), "max_tokens": way.tokens} for way in ways]
    python = [sys.executable, "-m", "tests.benchmarks.same_text_python"]
    yield from watched([*python, str(folder / "portable.py")], asked, ways, changes)
    names = {"portable": ("portable", True)}
    if (asked.copy / "tokens.tflite").exists():
        names["complete"] = ("tokens", asked.complete_word)
        way = Way("Python", "tokens", asked.complete_word, asked.longest)
        yield from watched([*python, str(folder / "complete.py")], asked, [way], [{}])
    for name, (model, word) in names.items():
        if (folder / f"{name}.mjs").exists():
            told = {"client": str(folder / f"{name}.mjs"), "prompts": asked.prompts}
            yield from watched(by_node("client", told), asked, [Way("Node", model, word, asked.longest)])
        if (folder / f"{name}.cc").exists():
            command = [str(built(folder, name)), *asked.prompts]
            yield from watched(command, asked, [Way("C++", model, word, asked.longest)])
    yield from by_chromium(asked)


def by_chromium(asked: Asked) -> Iterator[Row]:
    """The page, served as autocomplete.cli.demo does."""
    with served(asked.bundle) as address:
        told: dict[str, Any] = {"page": address, "tokens": asked.tokens, "prompts": asked.prompts}
        told |= {"modules": str(asked.modules), "chromium": tool("chromium"), "screens": str(asked.modules)}
        ways = [Way("Chromium", "portable", word, asked.tokens) for word in (False, True)]
        yield from watched(by_node("page", told), asked, ways)


def by_node(kind: str, told: Mapping[str, Any]) -> list[str]:
    return [tool("node"), str(NODE), kind, json.dumps(told)]


def tool(name: str) -> str:
    return shutil.which(name) or sys.exit(f"error: {name} is needed")


def built(folder: Path, name: str) -> Path:
    """A C++ client around which the driver calls its Complete for each argument, built as usage/README.md says."""
    library, program = Path(ai_edge_litert.__file__).parent, folder / name
    source = folder / f"{name}_driver.cc"
    source.write_text(DRIVER % f"{name}.cc")
    wraps = [f"-Wl,--wrap=LiteRt{function}" for function in WRAPPED]
    command = [tool("g++"), "-std=c++17", "-O2", str(source), str(library / "libLiteRt.so"), f"-Wl,-rpath,{library}"]
    subprocess.run([*command, *wraps, "-o", str(program)], check=True)
    return program


@contextlib.contextmanager
def served(bundle: Path) -> Iterator[str]:
    """The address of the bundle's page."""
    command = [sys.executable, "-m", "autocomplete", "demo", "--port=0", "--no-open", str(bundle)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().split()
        if not address:
            raise SystemExit(server.wait())  # it has said why
        try:
            yield address[0]
        finally:
            server.terminate()


def watched(
    command: Sequence[str], asked: Asked, ways: Sequence[Way], changes: Sequence[Mapping[str, int]] = ()
) -> Iterator[Row]:
    """Runs a client, which answers all prompts in each way; a row for each of them."""
    name = f"{ways[0].client}, {ways[0].model}.tflite"
    print(f"{name} …", file=sys.stderr, flush=True)
    began, pipe = time.perf_counter(), subprocess.PIPE
    words = [part.encode() for part in command]  # whatever the locale
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(tempfile.TemporaryFile("w+"))
        started = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=log, cwd=ROOT)
        process = stack.enter_context(started)
        peaks: list[float] = []
        threading.Thread(target=note_memory, args=(process.pid, peaks), daemon=True).start()
        said, _ = process.communicate(json.dumps([asked.prompts, changes]).encode())
        log.seek(0)
        if process.returncode != 0:
            raise SystemExit(f"error: {name}: status {process.returncode}\n{log.read()[-3000:]}")
    whole, fields = time.perf_counter() - began, said.decode().split("\0")[:-1]
    texts, seconds = fields[::2], [float(s) for s in fields[1::2]]
    count = len(asked.prompts)
    assert len(texts) == len(seconds) == count * len(ways), (name, len(texts))
    for i, way in enumerate(ways):
        own = slice(i * count, (i + 1) * count)
        yield Row(way, texts[own], seconds[own], whole, max(peaks, default=0))


def note_memory(pid: int, peaks: list[float]) -> None:
    """Notes the proportional memory of a process and those that it started, until it ends."""
    with contextlib.suppress(psutil.NoSuchProcess):
        top = psutil.Process(pid)
        while True:
            total = 0
            for process in [top, *top.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    total += process.memory_full_info().pss
            if not total:  # it has ended, and nobody has asked for its status yet
                return
            peaks.append(total / 2**20)
            time.sleep(0.5)
