"""Shows a tuning run in progress: a progress bar, and dvclive's curves for `dvc plots` and a live report."""

import contextlib
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from autocomplete.common.progress import progress_bar

if TYPE_CHECKING:
    from autocomplete.train.tuning import Measurement, TuningCallbacks


@contextlib.contextmanager
def tuning_progress(folder: Path, steps: int) -> Iterator["TuningCallbacks"]:
    """Yields callbacks for a run; `folder` receives report.html, metrics.json and plots/metrics.

    The files of an earlier run in `folder` are replaced.
    """
    from dvclive.live import Live

    from autocomplete.train.tuning import TuningCallbacks

    logging.getLogger("dvclive").setLevel(logging.ERROR)
    smooth = held_out = first = math.nan
    with (
        Live(str(folder), report="html", save_dvc_exp=False, dvcyaml=None) as live,
        progress_bar("tuning", steps) as update,
    ):

        def on_step(step: int, loss: float) -> None:
            nonlocal smooth
            smooth = loss if math.isnan(smooth) else 0.9 * smooth + 0.1 * loss
            update(step, f"loss {smooth:.3f}, held out {held_out:.3f} (at first {first:.3f})")

        def on_measurement(measurement: "Measurement") -> None:
            nonlocal held_out, first
            held_out = measurement.held_out_loss
            first = held_out if measurement.step == 0 else first
            live.step = measurement.step
            values = {
                "loss": measurement.loss,
                "held_out_loss": held_out,
                "held_out_perplexity": measurement.perplexity,
            }
            for name, value in values.items():
                if not math.isnan(value):
                    live.log_metric(name, value)
            live.sync()

        yield TuningCallbacks(on_step, on_measurement)
