"""How long and how fast a model is trained: settings alone, so that reading them loads no framework."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingSettings:
    """A batch is `batch` windows of `context` tokens; `warmup`, `steps` and `checkpoint_every` count batches.

    The learning rate rises over the warm-up, then falls as a cosine to 2 % (Loshchilov and Hutter 2017, no restarts).
    """

    context: int
    batch: int
    steps: int
    learning_rate: float
    warmup: int
    weight_decay: float
    seed: int
    checkpoint_every: int
