"""Tuning toys of several families: resumed runs, early stopping, the best weights, merged LoRA."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from autocomplete.common.errors import UserError
from autocomplete.common.files import tree_sha256
from autocomplete.common.native_log import quiet
from autocomplete.data import evaluation_text
from autocomplete.data.own_text import OwnTextSettings
from autocomplete.presets import loading, presets
from autocomplete.train import finetune, tuning
from autocomplete.train.settings import TrainingSettings, TuningSettings
from helpers.families import FAMILIES, quietly
from helpers.toys import TEXT, Toy

pytestmark = pytest.mark.slow

SETTINGS = TuningSettings(
    method="full",
    lora_rank=4,
    minutes=None,
    patience=9,
    held_out_windows=8,
    text=OwnTextSettings(
        mask=True, passage_bytes=200, held_out=0.2, shingle_words=6, near_duplicate=0.4, calibration_passages=5
    ),
    training=TrainingSettings(
        context=16, batch=4, steps=24, learning_rate=1e-2, warmup=2, weight_decay=0.01, seed=5, checkpoint_every=6
    ),
)


class KilledError(Exception):
    pass


def silent(points: list[tuning.Measurement] | None = None, kill_at: int | None = None) -> tuning.TuningCallbacks:
    def step(done: int, loss: float) -> None:
        assert math.isfinite(loss)
        if done == kill_at:
            raise KilledError

    return tuning.TuningCallbacks(step, lambda point: None if points is None else points.append(point))


@pytest.fixture(scope="module")
def own_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "text.txt"
    path.write_text("\n\n".join(TEXT))
    return path


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(finetune, "WORK", tmp_path / "work")
    return tmp_path / "work"


def run(
    preset: Path, own_text: Path, settings: TuningSettings, folder: Path, watch: tuning.TuningCallbacks | None = None
) -> Any:
    keras.backend.clear_session()  # as in a new process: Keras numbers the names of its layers
    folder.mkdir(parents=True)
    return finetune.run(preset, own_text, settings, folder, watch or silent()).model_dump()


def dropping_out(toy: Toy, folder: Path) -> Path:
    """The toy with dropout, whose random state a checkpoint must hold too."""
    with quiet():
        model = loading.load(toy.preset).model
        config = model.backbone.get_config() | {"dropout": 0.2}
        backbone = type(model.backbone).from_config(config)
        for new, old in zip(backbone.weights, model.backbone.weights, strict=True):
            new.assign(old)
        presets.save(type(model)(backbone=backbone, preprocessor=model.preprocessor), folder)
    return folder


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_resumed_run_ends_with_the_bytes_of_an_uninterrupted_one(
    toy: Toy, own_text: Path, work: Path, tmp_path: Path, method: str
) -> None:
    preset, settings = dropping_out(toy, tmp_path / "preset"), replace(SETTINGS, method=method)
    uninterrupted = run(preset, own_text, settings, tmp_path / "whole")
    assert not list(work.glob("*.npz"))
    with pytest.raises(KilledError):
        run(preset, own_text, settings, tmp_path / "killed", silent(kill_at=15))
    assert len(list(work.glob("*.npz"))) == 1
    points: list[tuning.Measurement] = []
    steps_run = []
    resumed = run(
        preset,
        own_text,
        settings,
        tmp_path / "resumed",
        tuning.TuningCallbacks(lambda d, _: steps_run.append(d), points.append),
    )
    assert steps_run == list(range(13, 25))  # from the checkpoint after step 12
    assert [p.step for p in points] == [0, 6, 12, 18, 24]
    assert resumed == uninterrupted
    assert tree_sha256(tmp_path / "resumed") == tree_sha256(tmp_path / "whole")
    assert uninterrupted["held_out_perplexity_after"] < uninterrupted["held_out_perplexity_before"]


def test_a_checkpoint_of_another_text_or_setting_is_not_used(
    toy: Toy, own_text: Path, work: Path, tmp_path: Path
) -> None:
    with pytest.raises(KilledError):
        run(toy.preset, own_text, SETTINGS, tmp_path / "a", silent(kill_at=9))
    other = tmp_path / "other.txt"
    other.write_text(own_text.read_text() + "\n\nOne paragraph more, which is new.")
    for folder, text_path, settings in (("b", other, SETTINGS), ("c", own_text, replace(SETTINGS, patience=8))):
        points: list[tuning.Measurement] = []
        with pytest.raises(KilledError):
            run(toy.preset, text_path, settings, tmp_path / folder, silent(points, kill_at=1))
        assert [p.step for p in points] == [0]


def test_a_run_that_gets_worse_ends_early_and_keeps_the_weights_of_the_preset(
    toy: Toy, own_text: Path, work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = replace(SETTINGS, patience=2, training=replace(SETTINGS.training, learning_rate=1.0, steps=100))
    tuned = run(toy.preset, own_text, settings, tmp_path / "out")
    assert (tuned["best_step"], tuned["steps_made"], tuned["ended_by"]) == (0, 12, "patience")
    assert tuned["held_out_perplexity_after"] == tuned["held_out_perplexity_before"]
    assert "the held-out loss never fell" in capsys.readouterr().out
    for name in ("config.json", "tokenizer.json"):
        assert (tmp_path / "out" / name).read_bytes() == (toy.preset / name).read_bytes()
    assert all(np.array_equal(a, b) for a, b in zip(kernels(tmp_path / "out"), kernels(toy.preset), strict=True))


def test_the_best_weights_are_kept_not_the_last(toy: Toy, own_text: Path, work: Path, tmp_path: Path) -> None:
    """On a short text, training soon overfits and the held-out loss rises."""
    settings = replace(
        SETTINGS, patience=3, training=replace(SETTINGS.training, steps=600, learning_rate=3e-2, checkpoint_every=10)
    )
    points: list[tuning.Measurement] = []
    tuned = run(toy.preset, own_text, settings, tmp_path / "out", silent(points))
    assert tuned["ended_by"] == "patience"
    best = min(points, key=lambda p: p.held_out_loss)
    assert 0 < tuned["best_step"] == best.step < tuned["steps_made"] == points[-1].step
    with quiet():
        model = loading.load(tmp_path / "out").model
        documents = evaluation_text.read_documents(tmp_path / "out/evaluation.jsonl", "key")
        encoded = [[1, *toy.bpe.encode(d).ids] for d in documents]
    tokens = np.array([t for e in encoded for t in e])[: 8 * 17].reshape(8, 17)
    loss = tuning._held_out_loss(model.backbone, tokens, 4)()
    assert loss == pytest.approx(best.held_out_loss, abs=1e-4)


def test_a_run_ends_at_the_first_step_after_its_minutes(toy: Toy, own_text: Path, work: Path, tmp_path: Path) -> None:
    training = replace(SETTINGS.training, steps=100_000, checkpoint_every=100_000)
    settings = replace(SETTINGS, minutes=0.01, training=training)
    tuned = run(toy.preset, own_text, settings, tmp_path / "out")
    assert tuned["ended_by"] == "minutes"
    assert 0 < tuned["steps_made"] < 100_000


@pytest.mark.parametrize("name", ["gpt_neo_x", "llama3_tied", "gemma2"])
def test_lora_of_each_family_is_merged_into_an_ordinary_preset(
    own_text: Path, work: Path, tmp_path: Path, name: str
) -> None:
    toy = quietly(FAMILIES[name], tmp_path / "toy")
    settings = replace(SETTINGS, method="lora", training=replace(SETTINGS.training, steps=12))
    tuned = run(toy.preset, own_text, settings, tmp_path / "out")
    assert tuned["held_out_perplexity_after"] < tuned["held_out_perplexity_before"]
    assert (tmp_path / "out/config.json").read_bytes() == (toy.preset / "config.json").read_bytes()
    before, after = kernels(toy.preset), kernels(tmp_path / "out")
    assert [k.shape for k in before] == [k.shape for k in after]  # no weights of LoRA
    changed = sum(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert 0 < changed < len(before)
    with quiet():
        model = loading.load(tmp_path / "out").model
    assert not any("lora" in w.path for w in model.backbone.weights)


def test_a_model_without_a_layer_for_lora_is_refused() -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    model.enable_lora = lambda rank, target_layer_names: setattr(model.layers[1], "trainable", False)
    with pytest.raises(UserError, match=r"has no layer for LoRA; allowed: author\.tuning\.method=full"):
        tuning.enable_lora(model, 4, "some")


def test_texts_and_measurements_are_written_with_the_preset(
    toy: Toy, own_text: Path, work: Path, tmp_path: Path
) -> None:
    tuned = run(toy.preset, own_text, SETTINGS, tmp_path / "out")
    evaluation, calibration = (
        evaluation_text.read_documents(tmp_path / "out" / name, "key")
        for name in ("evaluation.jsonl", "calibration.jsonl")
    )
    assert len(evaluation) == tuned["held_out_passages"]
    assert len(calibration) == 5
    assert not set(evaluation) & set(calibration)
    assert tuned["preset_sha256"] == presets.preset_sha256(toy.preset)
    lines = (tmp_path / "out/tuning.csv").read_text().splitlines()
    assert lines[0] == "step,loss,held_out_loss,held_out_perplexity"
    assert [line.split(",")[0] for line in lines[1:]] == ["0", "6", "12", "18", "24"]


@pytest.mark.parametrize(
    ("words", "context", "message"),
    [
        ("A few words.", 16, "is too short: .* fewer than a window of 17"),
        ("\n\n".join(TEXT), 900, "context is 900; allowed: 2 to 96, the positions of the preset"),
    ],
)
def test_texts_and_contexts_that_do_not_fit_are_refused_before_weights_are_read(
    toy: Toy, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, context: int, message: str
) -> None:
    monkeypatch.setattr(loading, "load", lambda _: pytest.fail("the preset was loaded"))
    path = tmp_path / "text.txt"
    path.write_text(words)
    with pytest.raises(UserError, match=message):
        run(toy.preset, path, replace(SETTINGS, training=replace(SETTINGS.training, context=context)), tmp_path / "out")


def kernels(preset: Path) -> list[np.ndarray]:
    """All weights of a preset, in the order of its file."""
    weights: list[np.ndarray] = []
    with h5py.File(preset / "model.weights.h5") as file:
        file.visititems(lambda _, item: weights.append(item[()]) if isinstance(item, h5py.Dataset) else None)
    return weights
