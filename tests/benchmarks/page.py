"""Measures the page in Chromium on this machine: a cold load, and a suggestion of 8 tokens after a key press.

Usage: python -m tests.benchmarks.page [BUNDLE …]   (default: artifacts/package/dynamic_range; on an idle machine)
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from autocomplete.page import npm_runtime

SCRIPT = Path("tests/web/speed.mjs")
EVALUATION = Path("artifacts/presets/pydoc_gpt2/evaluation.jsonl")
LINES, LETTERS, VISITS = 4, 40, 7


def lines() -> list[str]:
    """Beginnings of held-out documents, which are typed letter by letter."""
    documents = [json.loads(line)["text"] for line in EVALUATION.read_text().splitlines()]
    return [d[:LETTERS].replace("\n", " ") for d in documents[10 : 10 + LINES]]


def measure(bundle: Path, modules: Path) -> dict[str, list[float]]:
    """Chromium's report on one bundle's page."""
    node, chromium = shutil.which("node"), shutil.which("chromium")
    if node is None or chromium is None:
        raise SystemExit("error: node and chromium are needed (Debian: nodejs, chromium)")
    command = [sys.executable, "-m", "autocomplete", "demo", "--port=0", "--no-open", str(bundle)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().split()
        if not address:
            raise SystemExit(server.wait())  # it has printed the reason
        inputs = {
            "page": address[0],
            "modules": str(modules),
            "chromium": chromium,
            "screens": str(modules),
            "lines": lines(),
            "visits": VISITS,
        }
        done = subprocess.run([node, SCRIPT, json.dumps(inputs)], capture_output=True, text=True, check=False)
        server.terminate()
    if done.returncode != 0:
        raise SystemExit(f"error: {done.stderr.strip().splitlines()[-1]}")
    return dict(json.loads(done.stdout))


def main(bundles: Sequence[Path]) -> None:
    """Prints a row for each bundle."""
    with tempfile.TemporaryDirectory() as folder:
        modules = npm_runtime.install(Path(folder))
        print("| bundle | key to suggestion, ms: median | p90 | most | keys | cold load, ms: median | most |")
        print("|---|---|---|---|---|---|---|")
        for bundle in bundles:
            report = measure(bundle, modules)
            keys, cold = sorted(report["found"]), sorted(report["cold"])
            figures = [statistics.median(keys), keys[len(keys) * 9 // 10], keys[-1], len(keys)]
            figures += [statistics.median(cold), cold[-1]]
            print(f"| {bundle.name} | {' | '.join(f'{f:.0f}' for f in figures)} |")
            print(" ".join(str(report["shown"]).split()), file=sys.stderr)


if __name__ == "__main__":
    main([Path(a) for a in sys.argv[1:]] or [Path("artifacts/package/dynamic_range")])
