"""Schedules and bounds of training."""

from typing import Any

import pytest

from autocomplete.common.errors import UserError
from autocomplete.data.own_text import OwnTextSettings
from autocomplete.train.settings import BatchSettings, Phase, PretrainingSettings, TrainingSettings, TuningSettings

BATCH: dict[str, Any] = {
    "context": 16,
    "batch": 4,
    "learning_rate": 0.1,
    "warmup": 4,
    "weight_decay": 0.01,
    "seed": 3,
    "checkpoint_every": 10,
}


def test_the_rate_rises_stays_and_falls_to_almost_zero() -> None:
    phase = PretrainingSettings(**BATCH, steps=20, falling=0.25)
    rates = [phase.rate(step) for step in range(20)]
    assert rates[:4] == pytest.approx([0.025, 0.05, 0.075, 0.1])
    assert phase.steady_steps == 15
    assert rates[3:16] == pytest.approx([0.1] * 13)
    assert rates[16:] == pytest.approx([0.08, 0.06, 0.04, 0.02])


@pytest.mark.parametrize(("warmup", "falling"), [(0, 0.0), (0, 1.0), (100, 0.5)])
def test_extreme_schedules_stay_between_0_and_the_peak(warmup: int, falling: float) -> None:
    phase = PretrainingSettings(**BATCH | {"warmup": warmup}, steps=10, falling=falling)
    assert all(0 < phase.rate(step) <= 0.1 for step in range(10))


def test_phases_share_common_settings_and_have_different_seeds() -> None:
    common = BatchSettings(**BATCH)
    first, second = (Phase(2, 7, 0.5).settings(index, common) for index in (0, 1))
    assert (first.steps, first.falling, first.batch) == (7, 0.5, 4)
    assert (first.seed, second.seed) == (3, 4)


TEXT = OwnTextSettings(
    mask=True, passage_bytes=200, held_out=0.2, shingle_words=3, near_duplicate=0.4, calibration_passages=5
)


def tuning(training: dict[str, Any] | None = None, **changes: Any) -> TuningSettings:
    settings: dict[str, Any] = {
        "method": "full",
        "lora_rank": 8,
        "minutes": None,
        "patience": 3,
        "held_out_windows": 4,
        "text": TEXT,
        "training": TrainingSettings(**BATCH | {"steps": 10} | (training or {})),
    }
    return TuningSettings(**settings | changes)


def test_settings_at_their_bounds_are_accepted() -> None:
    tuning(minutes=0.01, lora_rank=1, patience=1)
    tuning(method="lora", lora_rank=1024)
    tuning({"warmup": 9, "context": 2, "weight_decay": 1.0})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "half"}, "method is half; allowed: full, lora"),
        ({"lora_rank": 0}, "lora_rank is 0"),
        ({"minutes": 0.0}, "minutes is 0"),
        ({"minutes": float("nan")}, "minutes is nan"),
        ({"patience": 0}, "patience is 0"),
        ({"held_out_windows": 0}, "held_out_windows is 0"),
        ({"training": {"steps": 0}}, r"training\.steps is 0"),
        ({"training": {"warmup": 10}}, r"training\.warmup is 10; allowed: 0 to fewer than training\.steps"),
        ({"training": {"context": 1}}, r"training\.context is 1"),
        ({"training": {"learning_rate": 0.0}}, r"training\.learning_rate is 0"),
        ({"training": {"seed": 2**32}}, r"training\.seed is"),
    ],
)
def test_settings_out_of_bounds_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=rf"author\.tuning\.{message}"):
        tuning(**changes)
