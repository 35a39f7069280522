"""Compares greedy texts of 50 prompts by Python, Node, C++ and Chromium, with a bundle's own clients and page.

Usage: uv run python -m tests.benchmarks.same_text BUNDLE [--prompts N] [--tokens N]

Each client answers all prompts in one process: all prompts share the runtime's objects of the first one, and the
client's own code runs for each of them. A text is compared with that of Python's client of the same model. Quantized
models may differ in WebAssembly (docs/log.md). Needs node, npm, g++ and chromium. Exit status 1 where a text differs.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from autocomplete.bundle import integrity, manifest
from autocomplete.common.errors import UserError
from autocomplete.common.files import read_json

from .same_text_clients import Request, Row, answered, copied
from .same_text_prompts import PROMPTS

HEADINGS = "client", "model", "ends words", "tokens", "equal to Python's", "s/text", "most", "s in all", "MiB"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--prompts", type=int, default=len(PROMPTS), help=f"the first N of {len(PROMPTS)}")
    parser.add_argument("--tokens", type=int, help="that the page adds at most; default: as many as the clients")
    options = parser.parse_args()
    try:
        return compared(options.bundle.resolve(), PROMPTS[: options.prompts], options.tokens)
    except UserError as error:
        raise SystemExit(f"error: {error}") from None


def compared(bundle: Path, prompts: Sequence[str], tokens: int | None) -> int:
    """Runs all clients of a bundle; returns 1 if a text differs."""
    integrity.check(bundle)
    bundle_manifest = read_json(bundle / manifest.FILE)
    longest = bundle_manifest["lengths"]["sequence_length"]
    with tempfile.TemporaryDirectory() as folder:
        copy, modules = copied(bundle, Path(folder))
        request = Request(
            bundle, copy, modules, prompts, tokens or longest, longest, bool(bundle_manifest["complete_word"])
        )
        rows = list(answered(request))
    return shown(rows, bundle.name, prompts)


def shown(rows: Sequence[Row], name: str, prompts: Sequence[str]) -> int:
    """Prints the table and the differences; returns 1 if there are any."""
    expected: dict[tuple[str, bool, int], Sequence[str]] = {}
    table = Table(box=box.SIMPLE, title=f"{name}: greedy texts of {len(prompts)} prompts")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in ("client", "model") else "right")
    differing = []
    for row in rows:
        variant, times = row.variant, sorted(row.seconds)
        python = expected.setdefault((variant.model, variant.word, variant.tokens), row.texts)
        wrong = [i for i in range(len(prompts)) if row.texts[i] != python[i]]
        differing += [f"{variant}, {prompts[i]!r}:\n{difference(row.texts[i], python[i])}" for i in wrong]
        equal = f"{len(prompts) - len(wrong)} of {len(prompts)}"
        figures = f"{times[len(times) // 2]:.2f}", f"{times[-1]:.2f}", f"{row.whole:.0f}", f"{row.peak:.0f}"
        table.add_row(
            variant.client, variant.model, "yes" if variant.word else "no", str(variant.tokens), equal, *figures
        )
    Console(width=120).print(table)
    additions = [text.removeprefix(prompt) for prompt, text in zip(prompts, rows[0].texts, strict=True)]
    print(f"Python adds {len(set(additions))} different texts, {additions.count('')} times none")
    for (model, word, tokens), texts in expected.items():
        if model == "tokens":
            pairs = zip(texts, expected["portable", word, tokens], strict=True)
            print(f"tokens.tflite says what portable.tflite says: {sum(a == b for a, b in pairs)} of {len(prompts)}")
    print(*differing, sep="\n")
    return int(bool(differing))


def difference(text: str, python: str) -> str:
    """The length of two texts' common beginning, and how each continues."""
    shared = next(
        (i for i, (a, b) in enumerate(zip(text, python, strict=False)) if a != b), min(len(text), len(python))
    )
    return f"  {shared} characters, then {text[shared : shared + 40]!r}, Python {python[shared : shared + 40]!r}"


if __name__ == "__main__":
    sys.exit(main())
