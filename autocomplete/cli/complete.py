"""complete: type the beginning of a text, see what the model answers.

Usage: python -m autocomplete.cli.complete [mode=<mode>] [file=<path>] [threads=<n>] [--] PROMPT … | -

  PROMPT      the text typed so far, in quotes; several are answered one after the other
  -           prompts from standard input, one a line
  mode=       which model of artifacts/quantize/ (default: dynamic_range)
  file=       any other autocomplete.tflite
  threads=    of the interpreter (default: 2)

Example: python -m autocomplete.cli.complete mode=dynamic_range "I'm enjoying a"
"""

import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from autocomplete.common import config
from autocomplete.common.errors import UserError

QUANTIZE = Path("artifacts/quantize")
FILE = "autocomplete.tflite"


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line."""

    path: Path
    threads: int
    prompts: Sequence[str]


def parse(arguments: Sequence[str]) -> Request:
    """Reads the command line; raises UserError with what is allowed."""
    options = {"mode": "dynamic_range", "threads": "2"}
    rest = list(arguments)
    while rest and (found := re.fullmatch(r"(mode|file|threads)=(.*)", rest[0], re.DOTALL)):
        options[found[1]] = found[2]
        rest.pop(0)
    if rest and rest[0] == "--":
        rest.pop(0)
    if not rest:
        raise UserError('no prompt; try: python -m autocomplete.cli.complete "Returns a list of" (--help says more)')
    if not options["threads"].isdecimal() or int(options["threads"]) < 1:
        raise UserError(f"threads={options['threads']}; allowed: a number of at least 1")
    path = Path(options["file"]) if "file" in options else QUANTIZE / options["mode"] / FILE
    if not path.is_file():
        there = sorted(p.parent.name for p in QUANTIZE.glob(f"*/{FILE}"))
        raise UserError(f"{path} does not exist; modes that are there: {', '.join(there) or 'none, run `dvc repro`'}")
    return Request(path, int(options["threads"]), rest)


def prompts(request: Request) -> Iterator[bytes]:
    """The prompts as bytes, those of standard input where `-` stands."""
    for prompt in request.prompts:
        if prompt == "-":
            yield from (line.removesuffix(b"\n") for line in sys.stdin.buffer)
        else:
            yield prompt.encode("utf-8", "surrogateescape")


def run(request: Request) -> None:
    """Prints the model's signatures, then each answer as the app would show it, and its time."""
    from rich.console import Console
    from rich.text import Text

    from autocomplete.runtime import interpreters
    from autocomplete.tflite import inspect

    console = Console(highlight=False, soft_wrap=True)
    for name, signature in inspect.describe(request.path)["signatures"].items():
        ends = (", ".join(f"{n} {t['type']} {t['shape']}" for n, t in signature[k].items()) for k in signature)
        console.print(f"{request.path}: signature {name}: {' → '.join(ends)}", style="dim", markup=False)
    complete = interpreters.complete(interpreters.tensorflow(request.path, request.threads))
    for prompt in prompts(request):
        began = time.perf_counter()
        answer = complete(prompt)
        elapsed = time.perf_counter() - began
        given, suggestion = (part.decode(errors="replace") for part in (prompt, answer[len(prompt) :]))
        console.print(Text(given) + Text(suggestion, style="bold green"))
        note = "" if suggestion.split() else ", no suggestion"
        console.print(f"{elapsed * 1e3:.0f} ms{note}", style="dim")


if __name__ == "__main__":
    config.command(lambda arguments: run(parse(arguments)))
