"""Training: an interrupted run ends with the same weights as an uninterrupted one."""

from dataclasses import replace
from pathlib import Path

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

from autocomplete.common.errors import UserError
from autocomplete.train import training
from autocomplete.train.settings import PretrainingSettings

pytestmark = pytest.mark.slow

SETTINGS = PretrainingSettings(
    context=16,
    batch=4,
    steps=12,
    learning_rate=1e-2,
    warmup=2,
    weight_decay=0.01,
    seed=5,
    checkpoint_every=4,
    falling=0.25,
)


class InterruptedRunError(Exception):
    pass


def backbone(precision: str = "float32", layers: int = 1) -> keras.Model:
    keras.utils.set_random_seed(3)
    return keras_hub.models.GPT2Backbone(
        vocabulary_size=30,
        num_layers=layers,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=32,
        dropout=0.0,
        max_sequence_length=16,
        dtype=precision,
    )


def stream() -> training.TokenStream:
    random = np.random.default_rng(0)
    return training.TokenStream([random.integers(2, 30, 9).tolist() for _ in range(40)], end_of_text=1)


def run(
    folder: Path, stop_after: int | None = None, settings: PretrainingSettings = SETTINGS
) -> tuple[list[np.ndarray], list[float]]:
    model = backbone()
    losses: list[float] = []

    def show(progress: training.Progress) -> None:
        losses.append(progress.loss)
        if progress.step == stop_after:
            raise InterruptedRunError

    training.pretrain(model, stream(), settings, folder, show)
    return [np.asarray(w) for w in model.weights], losses


def test_a_resumed_run_has_the_weights_of_an_uninterrupted_one_and_loss_falls(tmp_path: Path) -> None:
    uninterrupted, losses = run(tmp_path / "a")
    assert losses[-1] < losses[0]
    with pytest.raises(InterruptedRunError):
        run(tmp_path / "b", stop_after=6)
    resumed, later_losses = run(tmp_path / "b")
    assert len(later_losses) == 8  # from the checkpoint after step 4
    assert all(np.array_equal(a, b) for a, b in zip(uninterrupted, resumed, strict=True))


def test_a_longer_run_continues_from_the_steady_part_of_a_shorter_one(tmp_path: Path) -> None:
    longer = replace(SETTINGS, steps=20)  # steady for 15 steps, the shorter one for 9
    uninterrupted, _ = run(tmp_path / "a", settings=longer)
    run(tmp_path / "b")
    resumed, losses = run(tmp_path / "b", settings=longer)
    assert len(losses) == 12  # from the checkpoint after step 8
    assert all(np.array_equal(a, b) for a, b in zip(uninterrupted, resumed, strict=True))


def test_a_run_too_short_for_the_steady_part_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(UserError, match=r"has 8 steps, more than the 6 .*steps=8"):
        run(tmp_path, settings=replace(SETTINGS, steps=8))


def test_the_rate_rises_stays_and_falls_to_zero() -> None:
    rates = [SETTINGS.rate(step) for step in range(12)]
    assert rates == pytest.approx([5e-3, *[1e-2] * 9, 2e-2 / 3, 1e-2 / 3])
    assert SETTINGS.rate(12) == 0


def test_muon_makes_every_matrix_of_a_layer_orthogonal() -> None:
    model = backbone()
    optimizer = training.Muon(1e-2)
    optimizer.build(model.trainable_variables)
    by_adam = {v.path for v in model.trainable_variables if optimizer._should_use_adamw(v)}
    kernels = {v.path for v in model.trainable_variables if "kernel" in v.path}
    assert len(kernels) == 6
    assert by_adam == {v.path for v in model.trainable_variables} - kernels
    for shape, matrix in [((16, 2, 8), (16, 16)), ((2, 8, 16), (16, 16)), ((16, 32), (16, 32))]:
        gradient = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        values = np.linalg.svd(np.reshape(optimizer.zeropower_via_newtonschulz5(gradient, 5), matrix), compute_uv=False)
        assert 0.6 < values.min() <= values.max() < 1.3


def test_bfloat16_learns_as_well_as_float32() -> None:
    batch = tf.constant(stream().batch(0, SETTINGS))
    losses = {}
    for precision in ("float32", "mixed_bfloat16"):
        keras.utils.set_random_seed(3)
        model = backbone(precision)
        optimizer = training.Muon(1e-2)
        optimizer.build(model.trainable_variables)
        step = training.compiled_step(model, optimizer)
        losses[precision] = [float(step(batch)) for _ in range(10)]
    assert losses["float32"][-1] < 0.8 * losses["float32"][0]
    assert losses["mixed_bfloat16"] == pytest.approx(losses["float32"], rel=0.05)


def test_stacked_layers_are_those_of_the_shallow_model_in_turn() -> None:
    shallow, deep = backbone(layers=2), backbone(layers=5)
    training.stack_layers(shallow, deep)
    for index, layer in enumerate(deep.transformer_layers):
        copied, origin = layer.get_weights(), shallow.transformer_layers[index % 2].get_weights()
        assert all(np.array_equal(a, b) for a, b in zip(copied, origin, strict=True))
    for name in ("token_embedding", "position_embedding", "layer_norm"):
        copied, origin = deep.get_layer(name).get_weights(), shallow.get_layer(name).get_weights()
        assert copied
        assert all(np.array_equal(a, b) for a, b in zip(copied, origin, strict=True))
    same_depth = backbone(layers=2)
    same_depth.set_weights([w + 1 for w in same_depth.get_weights()])
    training.stack_layers(shallow, same_depth)
    assert all(np.array_equal(a, b) for a, b in zip(same_depth.get_weights(), shallow.get_weights(), strict=True))


def test_bits_per_byte_scores_each_token_once_after_half_a_window() -> None:
    model, lengths, context = backbone(), list(range(1, 31)), 8
    tokens = np.random.default_rng(1).integers(0, 30, 8 + 4 * 4 + 1 + 3).astype(np.int32)  # three are not scored
    bits, size = 0.0, 0
    for position in range(1, 25):
        first = 0 if position <= context else (position - 1) // 4 * 4 - 4
        logits = model.token_embedding(
            model(
                {"token_ids": tokens[None, first:position], "padding_mask": np.ones((1, position - first), np.int32)}
            ),
            reverse=True,
        )[0, -1]
        bits -= float(tf.nn.log_softmax(logits)[tokens[position]]) / np.log(2)
        size += lengths[tokens[position]]
    assert training.bits_per_byte(model, tokens, lengths, context) == pytest.approx(bits / size, rel=1e-5)


def test_a_checkpoint_keeps_values_of_any_type(tmp_path: Path) -> None:
    values = [tf.constant([1.5, -3.0], kind) for kind in (tf.float32, tf.bfloat16)] + [tf.constant([7, 9], tf.uint32)]
    training.save_checkpoint(tmp_path / "a.npz", [tf.Variable(v) for v in values], points=np.eye(2))
    variables = [keras.Variable(tf.zeros_like(v), dtype=v.dtype.name) for v in values[:2]]
    variables.append(tf.Variable([0, 0], dtype=tf.uint32))
    metadata = training.restore_checkpoint(tmp_path / "a.npz", variables)
    assert list(metadata) == ["points"]
    for expected, variable in zip(values, variables, strict=True):
        assert np.array_equal(expected.numpy(), variable.numpy())
    assert training.restore_checkpoint(tmp_path / "nowhere.npz", variables) == {}


def test_batches_depend_only_on_seed_and_step() -> None:
    first, second = stream().batch(7, SETTINGS), stream().batch(7, SETTINGS)
    assert first.shape == (4, 17)
    assert np.array_equal(first, second)
    assert not np.array_equal(first, stream().batch(8, SETTINGS))


def test_documents_begin_with_the_end_token() -> None:
    documents = training.TokenStream([[5, 6], [7]], end_of_text=1)
    assert documents.tokens.tolist() == [1, 5, 6, 1, 7]
    assert documents.starts.tolist() == [0, 3]
