"""How long and how fast a model is trained: settings alone, so that reading them loads no framework."""

from dataclasses import asdict, dataclass

from autocomplete.common.errors import UserError, within
from autocomplete.data.own_text import OwnTextSettings

FULL, LORA = "full", "lora"


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """A batch is `batch` windows of `context` tokens; `warmup` and `checkpoint_every` count batches."""

    context: int
    batch: int
    learning_rate: float
    warmup: int
    weight_decay: float
    seed: int
    checkpoint_every: int


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(BatchSettings):
    """A training over `steps` batches.

    The learning rate rises over the warm-up, then falls as a cosine to 2 % (Loshchilov and Hutter 2017, no restarts).
    """

    steps: int


@dataclass(frozen=True, kw_only=True)
class PretrainingSettings(TrainingSettings):
    """One phase of a pretraining: the learning rate rises, stays, and falls to zero over the last share of the steps.

    What was trained before it falls also begins a longer run (Hu et al. 2024, arXiv:2404.06395, section 4.2).
    """

    falling: float

    @property
    def steady_steps(self) -> int:
        """How many steps are done before the learning rate begins to fall."""
        return self.steps - round(self.falling * self.steps)

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        rising = min((step + 1) / max(self.warmup, 1), 1.0)
        left = min((self.steps - step) / max(self.steps - self.steady_steps, 1), 1.0)
        return self.learning_rate * min(rising, left)


@dataclass(frozen=True)
class Phase:
    """A phase of pretraining: how many layers it trains, over how many batches, and for which share the rate falls."""

    layers: int
    steps: int
    falling: float

    def settings(self, index: int, common: BatchSettings) -> PretrainingSettings:
        """Of the phase of an index: each draws windows of its own."""
        own = asdict(common) | {"seed": common.seed + index}
        return PretrainingSettings(**own, steps=self.steps, falling=self.falling)


@dataclass(frozen=True)
class TuningSettings:
    """How a preset is tuned on one's own text.

    Every `training.checkpoint_every` steps the loss of `held_out_windows` held-out windows is measured; the run ends
    when it has not fallen for `patience` times, after `training.steps` or `minutes`, and keeps the best weights.
    """

    method: str
    lora_rank: int
    minutes: float | None
    patience: int
    held_out_windows: int
    text: OwnTextSettings
    training: TrainingSettings

    def __post_init__(self) -> None:
        """Refuses what would fail only after the model is loaded."""
        if self.method not in (FULL, LORA):
            raise UserError(f"author.tuning.method is {self.method}; allowed: {FULL}, {LORA}")
        within("author.tuning.lora_rank", self.lora_rank, 1, 1024)
        within("author.tuning.patience", self.patience, 1, 1_000_000)
        within("author.tuning.held_out_windows", self.held_out_windows, 1, 1_000_000)
        if self.minutes is not None:
            within("author.tuning.minutes", self.minutes, 0.01, 1_000_000)
        steps = self.training.steps
        within("author.tuning.training.steps", steps, 1, 100_000_000)
        within("author.tuning.training.warmup", self.training.warmup, 0, steps - 1, "0 to fewer than training.steps")
        within("author.tuning.training.batch", self.training.batch, 1, 100_000)
        within("author.tuning.training.context", self.training.context, 2, 1_000_000)
        within("author.tuning.training.checkpoint_every", self.training.checkpoint_every, 1, 100_000_000)
        within("author.tuning.training.learning_rate", self.training.learning_rate, 1e-9, 1)
        within("author.tuning.training.weight_decay", self.training.weight_decay, 0, 1)
        within("author.tuning.training.seed", self.training.seed, 0, 2**32 - 1)
