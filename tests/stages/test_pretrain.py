"""pretrain: from docstrings to a described preset, the same one for the same seed."""

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import stage

from stages import pretrain
from stages.lm import presets, text
from stages.lm.corpus import CorpusSettings
from stages.lm.schedule import PretrainingSettings
from stages.quiet import quiet

SETTINGS = pretrain.PretrainSettings(
    "packages.txt", CorpusSettings(40, 4000, 0.5, 150, 6, 0.5), calibration_documents=5,
    vocabulary_size=400, layers=1, heads=2, hidden=16, precision="mixed_bfloat16",
    training=PretrainingSettings(
        context=16, batch=4, steps=6, learning_rate=1e-2, warmup=2, weight_decay=0.01, seed=3, checkpoint_every=3,
        falling=0.3,
    ),
)  # fmt: skip


def trained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    (folder / pretrain.WORK / "wheels").mkdir(parents=True)
    monkeypatch.chdir(folder)
    (folder / "packages.txt").write_text("words==1.0\n")
    library = Path(os.__file__).parent
    with zipfile.ZipFile(folder / pretrain.WORK / "wheels/words-1.0-py3-none-any.whl", "w") as archive:
        for name in ("argparse.py", "heapq.py", "ast.py"):
            archive.write(library / name, name)
    monkeypatch.setattr(pretrain.wheels, "fetch", lambda *_: None)
    monkeypatch.setattr(pretrain.corpus, "_of_library", _nothing)
    with quiet():
        import keras

        keras.backend.clear_session()  # as in a new process: Keras numbers the names of its layers
        pretrain.run(SETTINGS)
    return dict(json.loads((folder / pretrain.PRESET / presets.DESCRIPTION).read_text()))


def _nothing(_: float) -> list[str]:
    return []


def test_the_same_seed_gives_the_same_preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = trained(tmp_path / "one", monkeypatch), trained(tmp_path / "two", monkeypatch)
    assert first == second
    preset = tmp_path / "one" / pretrain.PRESET
    assert first["sha256"] == presets.preset_sha256(preset)
    assert first["tokens_seen"] == 6 * 4 * 16
    assert len(text.read_documents(preset / presets.EVALUATION_TEXT, "key")) == first["evaluation_documents"]
    backbone = presets.load_folder(preset).backbone
    assert backbone.vocabulary_size == 400
    assert all(np.array_equal(w, w.astype(np.float16)) for w in backbone.get_weights())  # stored in half the bytes
    assert (preset / "model.weights.h5").stat().st_size < 3 * sum(w.size for w in backbone.get_weights()) + 30_000
    assert first["five_gram_bits_per_byte"] > 0
    assert len((tmp_path / "one" / pretrain.WORK / "log.csv").read_text().splitlines()) == 6


def test_settings_come_from_conf() -> None:
    done = stage("stages.pretrain", "pretrain.training.steps=soon")
    assert done.returncode == 1
    assert "training.steps" in done.stderr
    assert "soon" in done.stderr
