"""Training a causal language model: batches, one compiled step, checkpoints."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from autocomplete.common.arrays import Array
from autocomplete.common.errors import UserError
from autocomplete.train.settings import PretrainingSettings, TrainingSettings


@dataclass(frozen=True)
class Progress:
    """What a training run shows after each step."""

    step: int
    steps: int
    loss: float
    tokens_per_s: float


class Stream:
    """Encoded documents, each behind an end-of-text token, as one row of ids."""

    def __init__(self, documents: Sequence[Sequence[int]], end_of_text: int) -> None:
        self.starts = np.cumsum([0, *(len(d) + 1 for d in documents)])[:-1]
        self.tokens = np.concatenate([np.array([end_of_text, *d], np.int32) for d in documents])

    def batch(self, step: int, settings: TrainingSettings) -> Array:
        """The windows of one step, `[batch, context + 1]`: half begin where a document begins, half anywhere.

        They depend on the seed and the step alone, so that a resumed run reads what an unbroken one reads.
        """
        random = np.random.Generator(np.random.Philox(key=[settings.seed, step]))
        length = settings.context + 1
        last = len(self.tokens) - length
        anywhere = random.integers(0, last, settings.batch)
        starts = np.minimum(random.choice(self.starts, settings.batch), last)
        starts[::2] = anywhere[::2]
        windows: Array = self.tokens[starts[:, None] + np.arange(length)]
        return windows


class Muon(keras.optimizers.Muon):  # type: ignore[misc]
    """Keras' optimizer, which takes attention's biases, `[heads, size]`, for matrices and its kernels for none."""

    def _should_use_adamw(self, variable: Any) -> bool:
        return len(variable.shape) < 2 or "embedding" in variable.path or "bias" in variable.path

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
        """The nearest matrix with singular values near one, in the shape of `x`."""
        orthogonal = super().zeropower_via_newtonschulz5(keras.ops.reshape(x, _matrix(x.shape)), steps)
        return keras.ops.reshape(orthogonal, x.shape)

    def lr_adjust(self, x: Any) -> Any:
        """An update scaled to the size that AdamW's have."""
        return x * math.sqrt(max(_matrix(x.shape))) * self.rms_rate


def _matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    """The two dimensions of a kernel, those that belong together multiplied: the split that is nearest to a square."""
    splits = [(math.prod(shape[:i]), math.prod(shape[i:])) for i in range(1, len(shape))]
    return min(splits, key=lambda s: abs(s[0] - s[1]))


def pretrain(
    backbone: keras.Model,
    stream: Stream,
    settings: PretrainingSettings,
    checkpoints: Path,
    show: Callable[[Progress], None],
) -> None:
    """Trains the backbone in place; continues from the checkpoint of a run as long, or from a steady part.

    Args:
      backbone: what is trained.
      stream: what it reads.
      settings: the schedule.
      checkpoints: a folder for runs that differ in length alone, whose part before the learning rate falls they share.
      show: told of each step.

    Raises:
      UserError: where the steady part is longer than this run's.
    """
    optimizer = Muon(
        settings.learning_rate,
        adam_beta_2=0.98,
        weight_decay=settings.weight_decay,
        adam_weight_decay=settings.weight_decay,
        global_clipnorm=1.0,
    )
    _spare_vectors(optimizer, backbone)
    state = [*backbone.trainable_variables, *optimizer.variables]
    steady, falling = checkpoints / "steady.npz", checkpoints / f"{settings.steps}.npz"
    first = int(restore(falling if falling.exists() else steady, state).get("step", 0))
    if first > settings.steady_steps and not falling.exists():
        raise UserError(
            f"{steady} has {first} steps, more than the {settings.steady_steps} before the rate falls in "
            f"pretrain.training.steps={settings.steps}; allowed: more steps, or none kept (remove the file)"
        )
    step = compiled_step(backbone, optimizer)
    for index in range(first, settings.steps):
        began = time.perf_counter()
        optimizer.learning_rate.assign(settings.rate(index))
        loss = float(step(tf.constant(stream.batch(index, settings))))
        rate = settings.batch * settings.context / (time.perf_counter() - began)
        show(Progress(index + 1, settings.steps, loss, rate))
        if (index + 1) % settings.checkpoint_every == 0:
            done = index + 1
            save(steady if done <= settings.steady_steps else falling, state, step=np.array(done))


def new_optimizer(backbone: keras.Model, settings: TrainingSettings) -> keras.optimizers.Optimizer:
    """AdamW over what is trainable, by the schedule of the settings; its weight decay spares norms and biases."""
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        settings.steps - settings.warmup,
        alpha=0.02,
        warmup_target=settings.learning_rate,
        warmup_steps=settings.warmup,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=settings.weight_decay, beta_2=0.98, global_clipnorm=1.0)
    _spare_vectors(optimizer, backbone)
    return optimizer


def _spare_vectors(optimizer: keras.optimizers.Optimizer, backbone: keras.Model) -> None:
    """Builds an optimizer whose weight decay leaves norms and biases alone."""
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "scale"])
    optimizer.build(backbone.trainable_variables)


def compiled_step(backbone: keras.Model, optimizer: keras.optimizers.Optimizer) -> Callable[[tf.Tensor], tf.Tensor]:
    """One step of training: token ids `[batch, context + 1]` → the loss before it, in nats per token.

    XLA makes the best of float32; of bfloat16 on a CPU it knows no product that is faster, the kernels without it do.
    """

    @tf.function(jit_compile=backbone.compute_dtype == "float32")
    def step(tokens: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(token_losses(backbone, tokens))
        gradients = tape.gradient(loss, backbone.trainable_variables)
        optimizer.apply(gradients, backbone.trainable_variables)
        return loss

    compiled: Callable[[tf.Tensor], tf.Tensor] = step
    return compiled


def token_losses(backbone: keras.Model, tokens: tf.Tensor, *, training: bool = True) -> tf.Tensor:
    """Negative log-likelihood in nats of each token but the first, `[batch, context]` from `[batch, context + 1]`.

    With `training` the model drops out what its preset says.
    """
    inputs = {"token_ids": tokens[:, :-1], "padding_mask": tf.ones_like(tokens[:, :-1])}
    logits = backbone.token_embedding(backbone(inputs, training=training), reverse=True)
    losses: tf.Tensor = tf.nn.sparse_softmax_cross_entropy_with_logits(tokens[:, 1:], tf.cast(logits, tf.float32))
    return losses


def bits_per_byte(backbone: keras.Model, tokens: Array, token_lengths: Sequence[int], context: int) -> float:
    """What a byte of tokens `[n]` costs, all scored once but the first; `token_lengths` are in bytes, by id.

    Windows of `context` tokens overlap by half, so that each token but the first ones is read behind half a window at
    least. What is left over behind the last window is left out.
    """
    fresh = context // 2
    starts = np.arange(0, len(tokens) - context, fresh)
    windows = tokens[starts[:, None] + np.arange(context + 1)]
    scored = np.zeros((len(windows), context), bool)
    scored[0], scored[1:, -fresh:] = True, True
    losses = [token_losses(backbone, tf.constant(part)) for part in np.array_split(windows, -(-len(windows) // 8))]
    nats = float(np.concatenate(losses)[scored].sum(dtype=np.float64))
    return nats / math.log(2) / float(np.asarray(token_lengths)[windows[:, 1:][scored]].sum())


def stack(shallow: keras.Model, deep: keras.Model) -> None:
    """Gives a backbone the weights of one with fewer layers: its layers in turn, again and again.

    Du et al. 2024, arXiv:2405.15319 (there G_stack): trained on, it is as good as one that had all layers from the
    first step, for fewer operations.
    """
    for layer in deep.layers:
        if layer not in deep.transformer_layers and layer.weights:
            layer.set_weights(shallow.get_layer(layer.name).get_weights())
    for index, layer in enumerate(deep.transformer_layers):
        layer.set_weights(shallow.transformer_layers[index % len(shallow.transformer_layers)].get_weights())


def save(path: Path, state: Sequence[Any], **facts: Array) -> None:
    """Writes a checkpoint: variables in order, and named arrays beside them."""
    temporary = path.with_suffix(".partial.npz")
    path.parent.mkdir(parents=True, exist_ok=True)
    values = (v.numpy() for v in state)
    # NumPy reads no bfloat16 back; float32 holds it exactly
    plain = {str(i): v.astype(np.float32) if v.dtype.kind == "V" else v for i, v in enumerate(values)}
    np.savez(temporary, **facts, **plain)
    temporary.replace(path)


def restore(path: Path, state: Sequence[Any]) -> dict[str, Array]:
    """Assigns the variables of a checkpoint; returns its named arrays, none where there is no checkpoint."""
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as saved:
        for i, variable in enumerate(state):
            variable.assign(tf.cast(saved[str(i)], variable.dtype))
        return {name: saved[name] for name in saved.files if not name.isdecimal()}
