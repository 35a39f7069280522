"""Whether Python, Node, C++ and Chromium say the same greedy text of 50 prompts, by a bundle's own clients and page.

Usage: uv run python -m tests.benchmarks.same_text BUNDLE [--prompts N] [--tokens N]

Each client answers all prompts in one process: what it creates of the runtime the first time serves the other prompts
too, its own code runs for each of them. A text is compared with that of Python's client of the same model. Quantized
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

from .same_text_clients import Asked, Row, answered, copied
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
    """Asks all clients of a bundle; 1 where a text differs."""
    integrity.check(bundle)
    described = read_json(bundle / manifest.FILE)
    longest = described["lengths"]["sequence_length"]
    with tempfile.TemporaryDirectory() as folder:
        copy, modules = copied(bundle, Path(folder))
        asked = Asked(bundle, copy, modules, prompts, tokens or longest, longest, bool(described["complete_word"]))
        rows = list(answered(asked))
    return shown(rows, bundle.name, prompts)


def shown(rows: Sequence[Row], name: str, prompts: Sequence[str]) -> int:
    """Prints the table and what differs; 1 where something does."""
    expected: dict[tuple[str, bool, int], Sequence[str]] = {}
    table = Table(box=box.SIMPLE, title=f"{name}: greedy texts of {len(prompts)} prompts")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in ("client", "model") else "right")
    differing = []
    for row in rows:
        way, times = row.way, sorted(row.seconds)
        python = expected.setdefault((way.model, way.word, way.tokens), row.texts)
        wrong = [i for i in range(len(prompts)) if row.texts[i] != python[i]]
        differing += [f"{way}, {prompts[i]!r}:\n{difference(row.texts[i], python[i])}" for i in wrong]
        equal = f"{len(prompts) - len(wrong)} of {len(prompts)}"
        figures = f"{times[len(times) // 2]:.2f}", f"{times[-1]:.2f}", f"{row.whole:.0f}", f"{row.peak:.0f}"
        table.add_row(way.client, way.model, "yes" if way.word else "no", str(way.tokens), equal, *figures)
    Console(width=120).print(table)
    told = [text.removeprefix(prompt) for prompt, text in zip(prompts, rows[0].texts, strict=True)]
    print(f"Python adds {len(set(told))} different texts, {told.count('')} times none")
    for (model, word, tokens), texts in expected.items():
        if model == "tokens":
            pairs = zip(texts, expected["portable", word, tokens], strict=True)
            print(f"tokens.tflite says what portable.tflite says: {sum(a == b for a, b in pairs)} of {len(prompts)}")
    print(*differing, sep="\n")
    return int(bool(differing))


def difference(text: str, python: str) -> str:
    """Where two texts part, and how they go on."""
    shared = next(
        (i for i, (a, b) in enumerate(zip(text, python, strict=False)) if a != b), min(len(text), len(python))
    )
    return f"  {shared} characters, then {text[shared : shared + 40]!r}, Python {python[shared : shared + 40]!r}"


if __name__ == "__main__":
    sys.exit(main())
