"""Runs the clients of a bundle and its page on the same prompts."""

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

# replaces @litertjs/core in Node: one runtime and one model for all calls, and the seconds of a run
STUB = """
import * as core from '%s';
export * from '%s';
let loaded, compiled;
export const loadLiteRt = (...options) => (loaded ??= core.loadLiteRt(...options));
export const loadAndCompile = async (...options) => {
  compiled ??= await core.loadAndCompile(...options);
  const run = async (...inputs) => {
    const began = performance.now();
    const outputs = await compiled.run(...inputs);
    globalThis.ranSeconds = (performance.now() - began) / 1000;
    return outputs;
  };
  return { run, delete() {} };
};
"""

# wraps a C++ client; the linker redirects the client's calls to the functions with __wrap_
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
    *result = first; \\
    return status; \\
  }

extern "C" {
ONCE(LiteRtCreateEnvironment, (int count, const void* options, void** result), count, options)
ONCE(LiteRtCreateModelFromFile, (void* environment, const char* path, void** result), environment, path)
ONCE(LiteRtCreateCompiledModel, (void* environment, void* model, void* how, void** result), environment, model, how)

static double seconds;
int __real_LiteRtRunCompiledModel(void*, size_t, size_t, void**, size_t, void**);
int __wrap_LiteRtRunCompiledModel(void* model, size_t signature, size_t in, void** inputs, size_t out, void** result) {
  const auto began = std::chrono::steady_clock::now();
  const int status = __real_LiteRtRunCompiledModel(model, signature, in, inputs, out, result);
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
class Request:
    """The inputs of all clients, with a writable copy of the bundle's usage/."""

    bundle: Path
    copy: Path
    modules: Path
    prompts: Sequence[str]
    tokens: int  # of the page; the clients add as many as fit into sequence_length
    longest: int  # sequence_length
    complete_word: bool  # whether the clients of tokens.tflite complete words


@dataclass(frozen=True)
class Variant:
    """A client, and how it answers."""

    client: str
    model: str
    word: bool  # whether a word that the prompt ends in is completed
    tokens: int  # added at most


@dataclass(frozen=True)
class Row:
    """The answers of a client."""

    variant: Variant
    texts: Sequence[str]
    seconds: Sequence[float]  # of the model's run, by prompt
    whole: float  # seconds of the process
    peak: float  # MiB of its processes, mapped files included


def copied(bundle: Path, folder: Path) -> tuple[Path, Path]:
    """A bundle's usage/ with links to its other files, and the npm modules; clients import the stub of LiteRT.js."""
    if not (bundle / "usage/portable.py").is_file() or not (bundle / "web/models.json").is_file():
        raise SystemExit(f"error: {bundle} has no usage/portable.py or no web/: no bundle, or packaged without npm")
    modules, copy = npm_runtime.install(folder), folder / "bundle"
    shutil.copytree(bundle / "usage", copy / "usage", ignore=shutil.ignore_patterns("node_modules"))
    for name in ("portable.tflite", "tokens.tflite", "tokenizer"):
        if (bundle / name).exists():
            (copy / name).symlink_to((bundle / name).resolve())
    core, stub = modules / "@litertjs/core", copy / "usage/node_modules/@litertjs/core"
    if (version := read_json(core / "package.json")["version"]) != usage.LITERTJS:
        raise SystemExit(f"error: the page has LiteRT.js {version}, the clients {usage.LITERTJS}")
    (stub / "dist").mkdir(parents=True)
    (stub / "wasm").symlink_to(core / "wasm")
    (stub / "package.json").write_text(json.dumps({"name": "stub", "type": "module", "main": "dist/index.js"}))
    address = (core / "dist/index.js").as_uri()
    (stub / "dist/index.js").write_text(STUB % (address, address))
    return copy, modules


def answered(request: Request) -> Iterator[Row]:
    """The answers of all clients of the bundle, Python's first."""
    folder, lengths = request.copy / "usage", sorted({request.tokens, request.longest})
    variants = [Variant("Python", "portable", word, n) for n in lengths for word in (False, True)]
    changes = [{"complete_word": int(variant.word), "max_tokens": variant.tokens} for variant in variants]
    python = [sys.executable, "-m", "tests.benchmarks.same_text_python"]
    yield from watched([*python, str(folder / "portable.py")], request, variants, changes)
    names = {"portable": ("portable", True)}
    if (request.copy / "tokens.tflite").exists():
        names["complete"] = ("tokens", request.complete_word)
        variant = Variant("Python", "tokens", request.complete_word, request.longest)
        yield from watched([*python, str(folder / "complete.py")], request, [variant], [{}])
    for name, (model, word) in names.items():
        if (folder / f"{name}.mjs").exists():
            inputs = {"client": str(folder / f"{name}.mjs"), "prompts": request.prompts}
            yield from watched(by_node("client", inputs), request, [Variant("Node", model, word, request.longest)])
        if (folder / f"{name}.cc").exists():
            command = [str(built(folder, name)), *request.prompts]
            yield from watched(command, request, [Variant("C++", model, word, request.longest)])
    yield from by_chromium(request)


def by_chromium(request: Request) -> Iterator[Row]:
    """The answers of the page, served by autocomplete.cli.demo."""
    with served(request.bundle) as address:
        inputs: dict[str, Any] = {"page": address, "tokens": request.tokens, "prompts": request.prompts}
        inputs |= {"modules": str(request.modules), "chromium": tool("chromium"), "screens": str(request.modules)}
        variants = [Variant("Chromium", "portable", word, request.tokens) for word in (False, True)]
        yield from watched(by_node("page", inputs), request, variants)


def by_node(kind: str, inputs: Mapping[str, Any]) -> list[str]:
    return [tool("node"), str(NODE), kind, json.dumps(inputs)]


def tool(name: str) -> str:
    return shutil.which(name) or sys.exit(f"error: {name} is needed")


def built(folder: Path, name: str) -> Path:
    """A C++ client whose Complete the driver calls for each argument, built as usage/README.md says."""
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
            raise SystemExit(server.wait())  # it has printed the reason
        try:
            yield address[0]
        finally:
            server.terminate()


def watched(
    command: Sequence[str], request: Request, variants: Sequence[Variant], changes: Sequence[Mapping[str, int]] = ()
) -> Iterator[Row]:
    """Runs a client, which answers all prompts in each variant; a row for each variant."""
    name = f"{variants[0].client}, {variants[0].model}.tflite"
    print(f"{name} …", file=sys.stderr, flush=True)
    started_at, pipe = time.perf_counter(), subprocess.PIPE
    arguments = [part.encode() for part in command]  # whatever the locale
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(tempfile.TemporaryFile("w+"))
        started = subprocess.Popen(arguments, stdin=pipe, stdout=pipe, stderr=log, cwd=ROOT)
        process = stack.enter_context(started)
        peaks: list[float] = []
        threading.Thread(target=note_memory, args=(process.pid, peaks), daemon=True).start()
        output, _ = process.communicate(json.dumps([request.prompts, changes]).encode())
        log.seek(0)
        if process.returncode != 0:
            raise SystemExit(f"error: {name}: status {process.returncode}\n{log.read()[-3000:]}")
    whole, fields = time.perf_counter() - started_at, output.decode().split("\0")[:-1]
    texts, seconds = fields[::2], [float(s) for s in fields[1::2]]
    count = len(request.prompts)
    assert len(texts) == len(seconds) == count * len(variants), (name, len(texts))
    for i, variant in enumerate(variants):
        answers = slice(i * count, (i + 1) * count)
        yield Row(variant, texts[answers], seconds[answers], whole, max(peaks, default=0))


def note_memory(pid: int, peaks: list[float]) -> None:
    """Records the proportional memory of a process and its descendants, until it ends."""
    with contextlib.suppress(psutil.NoSuchProcess):
        top = psutil.Process(pid)
        while True:
            total = 0
            for process in [top, *top.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    total += process.memory_full_info().pss
            if not total:  # it has ended, and its status has not been read yet
                return
            peaks.append(total / 2**20)
            time.sleep(0.5)
