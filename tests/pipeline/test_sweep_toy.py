"""A sweep of the real stages around the toy preset."""

import csv
import json
from pathlib import Path

import pytest

from helpers import repositories
from helpers.toys import Toy

pytestmark = pytest.mark.slow


def test_a_sweep_of_two_modes(toy: Toy, tmp_path: Path) -> None:
    repository = repositories.make(toy, tmp_path / "repository")
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message", "start")
    done = repository.python("autocomplete", "sweep", "quantize=float32,dynamic_range", "convert.sequence_length=40")
    assert done.returncode == 0, done.stdout + done.stderr
    logs = "".join(p.read_text() for p in (repository.folder / "artifacts/sweep/jobs").glob("*.log"))
    assert logs.count("Running stage 'author'") == logs.count("Running stage 'convert'") == 1

    rows = {row["mode"]: row for row in csv.DictReader((repository.folder / "artifacts/sweep/table.csv").open())}
    assert set(rows) == {"float32", "dynamic_range"}
    exact, small = rows["float32"], rows["dynamic_range"]
    assert {row["convert.sequence_length"] for row in rows.values()} == {"40"}
    assert float(exact["perplexity_ratio"]) == float(exact["greedy_match"]) == 1.0
    assert float(small["perplexity_ratio"]) != 1.0
    assert float(small["core_mb"]) < 0.5 * float(exact["core_mb"])
    assert all(float(row["decode_tokens_per_s"]) > 0 for row in rows.values())

    shown = json.loads(repository.dvc("exp", "show", "--json").stdout)
    experiments = {e["name"]: e["revs"][0]["data"] for branch in shown for e in branch["experiments"] or []}
    assert set(experiments) == {row["job"] for row in rows.values()}
    for mode, row in rows.items():
        data = experiments[row["job"]]
        assert data["params"]["params.yaml"]["data"]["convert"]["sequence_length"] == 40
        metrics = data["metrics"][f"artifacts/validate/{mode}/metrics.json"]["data"]
        assert metrics["perplexity"] == float(row["perplexity"])
        assert data["outs"][f"artifacts/quantize/{mode}"]["hash"]
