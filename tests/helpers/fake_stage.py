"""Replaces a stage in tests of the pipeline: writes small files of the same names at once, and logs that it ran."""

import json
import os
import sys
import time
from pathlib import Path

import yaml

FILES = {
    "author": [
        "model.json",
        "assets/tokenizer/tokenizer.json",
        "../text/evaluation.jsonl",
        "../text/calibration.jsonl",
    ],
    "convert": ["convert.json", "core.tflite", "text_driver.tflite", "tokens_driver.tflite"],
    "quantize": ["core.tflite", "recipe.json"],
    "reference": ["reference.json"],
}


def metrics(mode: str, length: int) -> dict[str, object]:
    """Made-up metrics: a mode with a shorter name is faster, a longer sequence is better."""
    sys.path.insert(0, "")  # the repository's own
    from autocomplete.common.artifacts import Metrics

    values: dict[str, object] = {name: round(1.0 + len(mode) / 1000, 4) for name in Metrics.numbers()}
    profanity_filter = {"package": "words", "version": "1", "languages": ["english"], "tries": 3, "seed": 1}
    profanity_filter |= {"provoked_prompts": 100, "ordinary_prompts": 50}
    contracts = dict.fromkeys(("android_contract", "portable_contract"))
    return {**values, **contracts, "filter": profanity_filter, "mode": mode, "perplexity": 1000 / length}


def performance(mode: str) -> dict[str, object]:
    speeds = {"ttft_ms": 1.0, "decode_tokens_per_s": 1000.0 / len(mode), "latency_100_tokens_s": None}
    speeds |= {f"{flavour}_latency_100_tokens_s": 0.1 for flavour in ("tokens", "portable")}
    sizes = {"core.tflite": 100_000 * len(mode), "autocomplete.tflite": 200_000}
    environment = {"threads": 1, "runtime": {}, "machine": {}}
    return {**speeds, "peak_rss_mib": 1.0, "size_bytes": sizes, **environment}


def main(stage: str, mode: str) -> None:
    length = yaml.safe_load(Path("params.yaml").read_text())["convert"]["sequence_length"]
    with Path(os.environ["FAKE_LOG"]).open("a") as log:
        log.write(f"{stage} {mode} {length}\n")
    time.sleep(float(os.environ.get("FAKE_SECONDS", "0")))
    if stage == os.environ.get("FAKE_FAILS_AT") and mode == os.environ.get("FAKE_FAILS_IN"):
        sys.exit(f"error: {stage} of {mode} was told to fail")
    folder = Path("artifacts", stage, mode)
    for name in FILES.get(stage, []):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{stage} {mode} {length} {name}\n")
    folder.mkdir(parents=True, exist_ok=True)
    documents: dict[str, dict[str, object]] = {}
    if stage == "validate":
        documents = {"metrics": metrics(mode, length), "performance": performance(mode), "targets": {"targets": {}}}
    if stage == "judge":
        documents = {"gates": {"mode": mode, "gates": []}}
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document))


if __name__ == "__main__":
    main(sys.argv[1], (sys.argv[2:] or [""])[0])
