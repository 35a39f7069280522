"""complete: shows what a model answers to the beginning of a text."""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from autocomplete.common.errors import UserError

QUANTIZE = Path("artifacts/quantize")
FILE = "autocomplete.tflite"


@dataclass(frozen=True)
class Request:
    """The arguments of the command line.

    Attributes:
      path: the text model.
      threads: of the interpreter.
      prompts: the texts typed so far; `-` stands for the lines of standard input.
    """

    path: Path
    threads: int
    prompts: Sequence[str]


@click.command("complete")
@click.argument("prompts", nargs=-1, required=True, metavar="PROMPT...|-")
@click.option("--mode", default="dynamic_range", show_default=True, help="Which model of artifacts/quantize/.")
@click.option("--file", type=click.Path(path_type=Path), help="Any other autocomplete.tflite.")
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True, help="Threads of the interpreter.")
def command(prompts: tuple[str, ...], mode: str, file: Path | None, threads: int) -> None:
    """Complete texts: each PROMPT is the text typed so far, in quotes; `-` reads one from each line of standard input.

    Example: autocomplete complete --mode dynamic_range "I'm enjoying a"
    """
    path = file or QUANTIZE / mode / FILE
    if not path.is_file():
        modes = sorted(model.parent.name for model in QUANTIZE.glob(f"*/{FILE}"))
        raise UserError(f"{path} does not exist; modes that are there: {', '.join(modes) or 'none, run `dvc repro`'}")
    run(Request(path, threads, prompts))


def prompts(request: Request) -> Iterator[bytes]:
    """Yields the prompts as UTF-8, and the lines of standard input in the place of `-`."""
    for prompt in request.prompts:
        if prompt == "-":
            yield from (line.removesuffix(b"\n") for line in sys.stdin.buffer)
        else:
            yield prompt.encode("utf-8", "surrogateescape")


def run(request: Request) -> None:
    """Prints the model's signatures, then each answer as the app would show it, and its time."""
    from rich.console import Console
    from rich.text import Text

    from autocomplete.runtime import interpreters, text_model
    from autocomplete.tflite import inspect

    console = Console(highlight=False, soft_wrap=True)
    signatures = inspect.describe(request.path).signatures
    if "serving_default" not in signatures:
        raise UserError(
            f"{request.path} has the signatures {', '.join(signatures)}; allowed: a text model, autocomplete.tflite, "
            "with serving_default; usage/portable.py and usage/complete.py of a bundle run the other files"
        )
    for name, signature in signatures.items():
        sides = (signature.inputs, signature.outputs)
        ends = (", ".join(f"{name} {t.type} {t.shape}" for name, t in side.items()) for side in sides)
        console.print(f"{request.path}: signature {name}: {' → '.join(ends)}", style="dim", markup=False)
    complete = text_model.interpreted(interpreters.tensorflow(request.path, request.threads))
    for prompt in prompts(request):
        start = time.perf_counter()
        answer = complete(prompt)
        seconds = time.perf_counter() - start
        typed, suggestion = (part.decode(errors="replace") for part in (prompt, answer[len(prompt) :]))
        console.print(Text(typed) + Text(suggestion, style="bold green"))
        note = "" if suggestion.split() else ", no suggestion"
        console.print(f"{seconds * 1e3:.0f} ms{note}", style="dim")
