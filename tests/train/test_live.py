"""The curves of a tuning run in progress."""

import json
import math
from pathlib import Path

import pytest

from autocomplete.common import progress
from autocomplete.train.live import tuning_progress
from autocomplete.train.tuning import Measurement


def test_measurements_are_written_as_curves_and_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_PLAIN_EVERY_S", 0.0)
    folder = tmp_path / "live"
    with tuning_progress(folder, 10) as callbacks:
        callbacks.on_measurement(Measurement(0, math.nan, 3.0, 0.5))
        callbacks.on_step(5, 2.5)
        callbacks.on_measurement(Measurement(10, 2.25, 2.0, 1.5))
        callbacks.on_step(10, 2.0)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert (metrics["step"], metrics["loss"], metrics["held_out_loss"]) == (10, 2.25, 2.0)
    held_out = (folder / "plots/metrics/held_out_loss.tsv").read_text().splitlines()
    assert [line.split("\t") for line in held_out] == [["step", "held_out_loss"], ["0", "3.0"], ["10", "2.0"]]
    # the first measurement has no training loss
    assert len((folder / "plots/metrics/loss.tsv").read_text().splitlines()) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "loss 2.450, held out 2.000 (at first 3.000)" in last  # 0.9 · 2.5 + 0.1 · 2
