"""A run that was interrupted ends with the weights of one that was not."""

from pathlib import Path

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

from stages.lm import training
from stages.lm.schedule import TrainingSettings

SETTINGS = TrainingSettings(16, 4, 12, 1e-2, 2, 0.01, 5, 4)


class InterruptedRunError(Exception):
    pass


def backbone() -> keras.Model:
    keras.utils.set_random_seed(3)
    return keras_hub.models.GPT2Backbone(
        vocabulary_size=30, num_layers=1, num_heads=2, hidden_dim=16, intermediate_dim=32, dropout=0.0,
        max_sequence_length=16,
    )  # fmt: skip


def stream() -> training.Stream:
    random = np.random.default_rng(0)
    return training.Stream([random.integers(2, 30, 9).tolist() for _ in range(40)], end_of_text=1)


def run(
    folder: Path, stop_after: int | None = None, model: keras.Model | None = None
) -> tuple[list[np.ndarray], list[float]]:
    model = model or backbone()
    losses: list[float] = []

    def show(progress: training.Progress) -> None:
        losses.append(progress.loss)
        if progress.step == stop_after:
            raise InterruptedRunError

    training.train(model, stream(), SETTINGS, folder / "checkpoint.npz", show)
    return [np.asarray(w) for w in model.weights], losses


def test_resumed_weights_equal_unbroken_ones_and_loss_falls(tmp_path: Path) -> None:
    whole, losses = run(tmp_path / "a")
    assert losses[-1] < losses[0]
    with pytest.raises(InterruptedRunError):
        run(tmp_path / "b", stop_after=6)
    resumed, later = run(tmp_path / "b")
    assert len(later) == 8  # from the checkpoint after step 4
    assert all(np.array_equal(a, b) for a, b in zip(whole, resumed, strict=True))


def test_a_checkpoint_keeps_values_of_any_type(tmp_path: Path) -> None:
    values = [tf.constant([1.5, -3.0], kind) for kind in (tf.float32, tf.bfloat16)] + [tf.constant([7, 9], tf.uint32)]
    training.save(tmp_path / "a.npz", [tf.Variable(v) for v in values], points=np.eye(2))
    empty = [keras.Variable(tf.zeros_like(v), dtype=v.dtype.name) for v in values[:2]]
    empty.append(tf.Variable([0, 0], dtype=tf.uint32))
    facts = training.restore(tmp_path / "a.npz", empty)
    assert list(facts) == ["points"]
    for expected, found in zip(values, empty, strict=True):
        assert np.array_equal(expected.numpy(), found.numpy())
    assert training.restore(tmp_path / "nowhere.npz", empty) == {}


def test_batches_depend_on_seed_and_step_alone() -> None:
    one, two = stream().batch(7, SETTINGS), stream().batch(7, SETTINGS)
    assert one.shape == (4, 17)
    assert np.array_equal(one, two)
    assert not np.array_equal(one, stream().batch(8, SETTINGS))


def test_documents_begin_with_the_end_token() -> None:
    documents = training.Stream([[5, 6], [7]], end_of_text=1)
    assert documents.tokens.tolist() == [1, 5, 6, 1, 7]
    assert documents.starts.tolist() == [0, 3]
