"""Training of a causal language model: batches, optimizers, one compiled step, checkpoints."""

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
    """The progress of a training run after a step; `loss` is in nats per token."""

    step: int
    steps: int
    loss: float
    tokens_per_s: float


class TokenStream:
    """Encoded documents as one sequence of ids, with an end-of-text token before each document."""

    def __init__(self, documents: Sequence[Sequence[int]], end_of_text: int) -> None:
        self.starts = np.cumsum([0, *(len(d) + 1 for d in documents)])[:-1]
        self.tokens = np.concatenate([np.array([end_of_text, *d], np.int32) for d in documents])

    def batch(self, step: int, settings: TrainingSettings) -> Array:
        """The windows of one step, `[batch, context + 1]`: half begin with a document, half anywhere.

        They depend on the seed and the step alone, so that a resumed run gets the batches of an uninterrupted one.
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
    """Muon for KerasHub's transformers, whose attention kernels have three dimensions.

    Keras' optimizer would treat attention's biases, `[heads, size]`, as matrices, and its kernels not as matrices.
    Source: Jordan et al. 2024 (github.com/KellerJordan/Muon), scaled as in Liu et al. 2025 (arXiv:2502.16982),
    section 2.2, so that matrices (Muon) and all other weights (AdamW) share one learning rate and one weight decay.
    """

    def _should_use_adamw(self, variable: Any) -> bool:
        return len(variable.shape) < 2 or "embedding" in variable.path or "bias" in variable.path

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
        """The nearest matrix with singular values near one, in the shape of `x`."""
        orthogonal = super().zeropower_via_newtonschulz5(keras.ops.reshape(x, _matrix_shape(x.shape)), steps)
        return keras.ops.reshape(orthogonal, x.shape)

    def lr_adjust(self, x: Any) -> Any:
        """An update, scaled to the size of AdamW's updates."""
        return x * math.sqrt(max(_matrix_shape(x.shape))) * self.rms_rate


def _matrix_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """The shape of a kernel as a matrix: neighbouring dimensions are merged so that it is as square as possible."""
    splits = [(math.prod(shape[:i]), math.prod(shape[i:])) for i in range(1, len(shape))]
    return min(splits, key=lambda s: abs(s[0] - s[1]))


def pretrain(
    backbone: keras.Model,
    stream: TokenStream,
    settings: PretrainingSettings,
    checkpoints: Path,
    on_step: Callable[[Progress], None],
) -> None:
    """Trains the backbone in place.

    It continues from a checkpoint of a run of the same length, or else from one before the learning rate falls.

    Args:
      backbone: the model to train.
      stream: the text to train on.
      settings: the schedule.
      checkpoints: a folder for runs that differ in length alone; they share the part before the learning rate falls.
      on_step: called after each step.

    Raises:
      UserError: if the shared part is longer than this run's.
    """
    optimizer = _new_muon(backbone, settings)
    state = [*backbone.trainable_variables, *optimizer.variables]
    steady, falling = checkpoints / "steady.npz", checkpoints / f"{settings.steps}.npz"
    first = int(restore_checkpoint(falling if falling.exists() else steady, state).get("step", 0))
    if first > settings.steady_steps and not falling.exists():
        raise UserError(
            f"{steady} has {first} steps, more than the {settings.steady_steps} before the rate falls in "
            f"pretrain.training.steps={settings.steps}; allowed: more steps, or no such checkpoint (remove the file)"
        )
    train_step = compiled_step(backbone, optimizer)
    for step in range(first, settings.steps):
        began = time.perf_counter()
        optimizer.learning_rate.assign(settings.rate(step))
        loss = float(train_step(tf.constant(stream.batch(step, settings))))
        tokens_per_s = settings.batch * settings.context / (time.perf_counter() - began)
        done = step + 1
        on_step(Progress(done, settings.steps, loss, tokens_per_s))
        if done % settings.checkpoint_every == 0:
            save_checkpoint(steady if done <= settings.steady_steps else falling, state, step=np.array(done))


def _new_muon(backbone: keras.Model, settings: PretrainingSettings) -> Muon:
    optimizer = Muon(
        settings.learning_rate,
        adam_beta_2=0.98,
        weight_decay=settings.weight_decay,
        adam_weight_decay=settings.weight_decay,
        global_clipnorm=1.0,
    )
    _build_without_vector_decay(optimizer, backbone)
    return optimizer


def new_adamw(backbone: keras.Model, settings: TrainingSettings) -> keras.optimizers.Optimizer:
    """AdamW over the trainable weights, with the schedule of the settings; norms and biases do not decay."""
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        settings.steps - settings.warmup,
        alpha=0.02,
        warmup_target=settings.learning_rate,
        warmup_steps=settings.warmup,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=settings.weight_decay, beta_2=0.98, global_clipnorm=1.0)
    _build_without_vector_decay(optimizer, backbone)
    return optimizer


def _build_without_vector_decay(optimizer: keras.optimizers.Optimizer, backbone: keras.Model) -> None:
    """Builds an optimizer, and excludes norms and biases from its weight decay."""
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "scale"])
    optimizer.build(backbone.trainable_variables)


def compiled_step(backbone: keras.Model, optimizer: keras.optimizers.Optimizer) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function for one training step: token ids `[batch, context + 1]` → the loss before it, in nats per token.

    XLA is used for float32 alone: on a CPU its bfloat16 products are slower than TensorFlow's own kernels.
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
    """The negative log-likelihood in nats of each token but the first: `[batch, context + 1]` → `[batch, context]`.

    If `training` is true, the model applies the dropout of its preset.
    """
    inputs = {"token_ids": tokens[:, :-1], "padding_mask": tf.ones_like(tokens[:, :-1])}
    logits = backbone.token_embedding(backbone(inputs, training=training), reverse=True)
    losses: tf.Tensor = tf.nn.sparse_softmax_cross_entropy_with_logits(tokens[:, 1:], tf.cast(logits, tf.float32))
    return losses


def bits_per_byte(backbone: keras.Model, tokens: Array, token_lengths: Sequence[int], context: int) -> float:
    """The bits per byte of a text, in which each token but the first is scored once.

    Windows overlap by half, so that all but the first tokens have at least half a window before them. An incomplete
    last window is not scored.

    Args:
      backbone: the model.
      tokens: the text, int32 `[n]`.
      token_lengths: the bytes of each token id.
      context: tokens of a window.
    """
    stride = context // 2
    starts = np.arange(0, len(tokens) - context, stride)
    windows = tokens[starts[:, None] + np.arange(context + 1)]
    scored = np.zeros((len(windows), context), bool)
    scored[0], scored[1:, -stride:] = True, True
    losses = [token_losses(backbone, tf.constant(part)) for part in np.array_split(windows, -(-len(windows) // 8))]
    nats = float(np.concatenate(losses)[scored].sum(dtype=np.float64))
    return nats / math.log(2) / float(np.asarray(token_lengths)[windows[:, 1:][scored]].sum())


def stack_layers(shallow: keras.Model, deep: keras.Model) -> None:
    """Initializes a backbone from one with fewer layers, by repeating its layers in order.

    Source: Du et al. 2024, arXiv:2405.15319 (G_stack). Trained further, it becomes as good as a model that had all
    layers from the first step, for less computation.
    """
    for layer in deep.layers:
        if layer not in deep.transformer_layers and layer.weights:
            layer.set_weights(shallow.get_layer(layer.name).get_weights())
    for index, layer in enumerate(deep.transformer_layers):
        layer.set_weights(shallow.transformer_layers[index % len(shallow.transformer_layers)].get_weights())


def save_checkpoint(path: Path, state: Sequence[Any], **arrays: Array) -> None:
    """Writes a checkpoint: variables in order, and named arrays."""
    temporary = path.with_suffix(".partial.npz")
    path.parent.mkdir(parents=True, exist_ok=True)
    values = (v.numpy() for v in state)
    # NumPy cannot read bfloat16 back; float32 holds it exactly
    variables = {str(i): v.astype(np.float32) if v.dtype.kind == "V" else v for i, v in enumerate(values)}
    np.savez(temporary, **arrays, **variables)
    temporary.replace(path)


def restore_checkpoint(path: Path, state: Sequence[Any]) -> dict[str, Array]:
    """Assigns the variables of a checkpoint; returns its named arrays. Does nothing if there is no checkpoint."""
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as saved:
        for i, variable in enumerate(state):
            variable.assign(tf.cast(saved[str(i)], variable.dtype))
        return {name: saved[name] for name in saved.files if not name.isdecimal()}
