"""Settings of training and tuning; they load no framework."""

from dataclasses import asdict, dataclass

from autocomplete.common.errors import UserError, within
from autocomplete.data.own_text import OwnTextSettings

FULL, LORA = "full", "lora"


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """Settings that all training runs have in common.

    Attributes:
      context: tokens of a window.
      batch: windows of a batch.
      learning_rate: the peak of the learning rate.
      warmup: batches over which the learning rate rises.
      weight_decay: decoupled weight decay (AdamW's).
      seed: of the choice of windows, and of initial weights.
      checkpoint_every: batches between two checkpoints.
    """

    context: int
    batch: int
    learning_rate: float
    warmup: int
    weight_decay: float
    seed: int
    checkpoint_every: int


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(BatchSettings):
    """A training run of `steps` batches.

    The learning rate rises over the warm-up, then falls as a cosine to 2 % (Loshchilov and Hutter 2017, no restarts).
    """

    steps: int


@dataclass(frozen=True, kw_only=True)
class PretrainingSettings(TrainingSettings):
    """One phase of pretraining: the learning rate rises, stays constant, and falls linearly to zero at the end.

    A longer run can continue from the last checkpoint before the rate falls (Hu et al. 2024, arXiv:2404.06395,
    section 4.2).

    Attributes:
      falling: the share of the steps in which the learning rate falls.
    """

    falling: float

    @property
    def steady_steps(self) -> int:
        """The number of steps before the learning rate begins to fall."""
        return self.steps - round(self.falling * self.steps)

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        rising = min((step + 1) / max(self.warmup, 1), 1.0)
        falling = min((self.steps - step) / max(self.steps - self.steady_steps, 1), 1.0)
        return self.learning_rate * min(rising, falling)


@dataclass(frozen=True)
class Phase:
    """A phase of pretraining.

    Attributes:
      layers: number of layers that it trains.
      steps: number of batches.
      falling: the share of the steps in which the learning rate falls.
    """

    layers: int
    steps: int
    falling: float

    def settings(self, index: int, common: BatchSettings) -> PretrainingSettings:
        """The settings of the phase at an index; each phase has a seed of its own."""
        batch_settings = asdict(common) | {"seed": common.seed + index}
        return PretrainingSettings(**batch_settings, steps=self.steps, falling=self.falling)


@dataclass(frozen=True)
class TuningSettings:
    """How a preset is tuned on the user's own text.

    The held-out loss is measured every `training.checkpoint_every` steps. The run ends after `patience` measurements
    without a lower loss, after `training.steps` or after `minutes`; it keeps the weights of the lowest loss.

    Attributes:
      method: FULL or LORA.
      lora_rank: rank of the LoRA matrices.
      minutes: the longest time of a run; None: no limit.
      patience: measurements without a lower loss after which the run ends.
      held_out_windows: number of held-out windows to measure.
      text: how the text is prepared.
      training: batches and schedule.
    """

    method: str
    lora_rank: int
    minutes: float | None
    patience: int
    held_out_windows: int
    text: OwnTextSettings
    training: TrainingSettings

    def __post_init__(self) -> None:
        """Refuses values that would otherwise fail only after the model is loaded."""
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
