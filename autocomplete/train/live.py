"""A tuning run as it goes on: a bar, and dvclive's curves for `dvc plots` and on a page that renews itself."""

import contextlib
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from autocomplete.common.progress import progress_bar

if TYPE_CHECKING:
    from autocomplete.train.tuning import Point, Watch


@contextlib.contextmanager
def tuning_progress(folder: Path, steps: int) -> Iterator["Watch"]:
    """Yields what a run tells its steps and measurements; `folder` gets report.html, metrics.json and plots/metrics.

    What an earlier run left there is replaced.
    """
    from dvclive.live import Live

    from autocomplete.train.tuning import Watch

    logging.getLogger("dvclive").setLevel(logging.ERROR)
    smooth = held_out = first = math.nan
    with (
        Live(str(folder), report="html", save_dvc_exp=False, dvcyaml=None) as live,
        progress_bar("tuning", steps) as update,
    ):

        def step(done: int, loss: float) -> None:
            nonlocal smooth
            smooth = loss if math.isnan(smooth) else 0.9 * smooth + 0.1 * loss
            update(done, f"loss {smooth:.3f}, held out {held_out:.3f} (at first {first:.3f})")

        def point(measured: "Point") -> None:
            nonlocal held_out, first
            held_out = measured.held_out_loss
            first = held_out if measured.step == 0 else first
            live.step = measured.step
            values = {"loss": measured.loss, "held_out_loss": held_out, "held_out_perplexity": measured.perplexity}
            for name, value in values.items():
                if not math.isnan(value):
                    live.log_metric(name, value)
            live.sync()

        yield Watch(step, point)
