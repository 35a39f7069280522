"""pretrain: from docstrings to a described preset, the same one for the same seed."""

import json
import os
from pathlib import Path

import pytest
from conftest import stage

from stages import pretrain
from stages.lm import presets, text
from stages.lm.corpus import CorpusSettings
from stages.lm.schedule import TrainingSettings
from stages.quiet import quiet

SETTINGS = pretrain.PretrainSettings(
    CorpusSettings(40, 4000, 0.5, 150, 6, 0.5), calibration_documents=5,
    vocabulary_size=400, layers=1, heads=2, hidden=16,
    training=TrainingSettings(
        context=16, batch=4, steps=6, learning_rate=1e-2, warmup=2, weight_decay=0.01, seed=3, checkpoint_every=3
    ),
)  # fmt: skip


def trained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    folder.mkdir()
    monkeypatch.chdir(folder)
    library = Path(os.__file__).parent
    monkeypatch.setattr(pretrain, "source_files", lambda _: [library / f"{n}.py" for n in ("argparse", "heapq", "ast")])
    with quiet():
        import keras

        keras.backend.clear_session()  # as in a new process: Keras numbers the names of its layers
        pretrain.run(SETTINGS)
    return dict(json.loads((folder / pretrain.PRESET / presets.DESCRIPTION).read_text()))


def test_the_same_seed_gives_the_same_preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = trained(tmp_path / "one", monkeypatch), trained(tmp_path / "two", monkeypatch)
    assert first == second
    preset = tmp_path / "one" / pretrain.PRESET
    assert first["sha256"] == presets.preset_sha256(preset)
    assert first["tokens_seen"] == 6 * 4 * 16
    assert len(text.read_documents(preset / presets.EVALUATION_TEXT, "key")) == first["evaluation_documents"]
    assert presets.load_folder(preset).backbone.vocabulary_size == 400


def test_settings_come_from_conf() -> None:
    done = stage("stages.pretrain", "pretrain.training.steps=soon")
    assert done.returncode == 1
    assert "training.steps" in done.stderr
    assert "soon" in done.stderr
