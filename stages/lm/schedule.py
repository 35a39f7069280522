"""How long and how fast a model is trained: settings alone, so that reading them loads no framework."""

from dataclasses import asdict, dataclass

from stages.errors import UserError

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
class OwnTextSettings:
    """How one's own text is masked, cut and split: passages of at most `passage_bytes`, a share of them held out.

    A passage is dropped when `near_duplicate` or more of its runs of `shingle_words` words stand in earlier ones.
    """

    mask: bool
    passage_bytes: int
    held_out: float
    shingle_words: int
    near_duplicate: float
    calibration_passages: int

    def __post_init__(self) -> None:
        """Refuses what no text can be split by."""
        _within("text.passage_bytes", self.passage_bytes, 100, 1_000_000)
        _within("text.held_out", self.held_out, 0.001, 0.5)
        _within("text.shingle_words", self.shingle_words, 1, 100)
        _within("text.near_duplicate", self.near_duplicate, 0.01, 1)
        _within("text.calibration_passages", self.calibration_passages, 1, 1_000_000)


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
        _within("lora_rank", self.lora_rank, 1, 1024)
        _within("patience", self.patience, 1, 1_000_000)
        _within("held_out_windows", self.held_out_windows, 1, 1_000_000)
        if self.minutes is not None:
            _within("minutes", self.minutes, 0.01, 1_000_000)
        steps = self.training.steps
        _within("training.steps", steps, 1, 100_000_000)
        _within("training.warmup", self.training.warmup, 0, steps - 1, "0 to fewer than training.steps")
        _within("training.batch", self.training.batch, 1, 100_000)
        _within("training.context", self.training.context, 2, 1_000_000)
        _within("training.checkpoint_every", self.training.checkpoint_every, 1, 100_000_000)
        _within("training.learning_rate", self.training.learning_rate, 1e-9, 1)
        _within("training.weight_decay", self.training.weight_decay, 0, 1)
        _within("training.seed", self.training.seed, 0, 2**32 - 1)


def _within(key: str, value: float, least: float, most: float, allowed: str = "") -> None:
    if not least <= value <= most:
        raise UserError(f"author.tuning.{key} is {value:g}; allowed: {allowed or f'{least:g} to {most:g}'}")
