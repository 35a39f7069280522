"""pretrain: from docstrings to a described preset, the same one for the same seed."""

import json
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autocomplete.common.native_log import quiet
from autocomplete.data import corpus, evaluation_text
from autocomplete.data.corpus import CorpusSettings
from autocomplete.data.general_text import EVALUATION_TEXT
from autocomplete.presets import loading, presets
from autocomplete.presets.settings import DESCRIPTION
from autocomplete.train.settings import BatchSettings, Phase
from helpers.commands import stage
from stages import pretrain

pytestmark = pytest.mark.slow

SETTINGS = pretrain.PretrainSettings(
    "packages.txt",
    CorpusSettings(40, 4000, 0.5, 150, 6, 0.5),
    calibration_documents=5,
    vocabulary_size=400,
    heads=2,
    hidden=16,
    precision="mixed_bfloat16",
    training=BatchSettings(
        context=16, batch=4, learning_rate=1e-2, warmup=2, weight_decay=0.01, seed=3, checkpoint_every=3
    ),
    phases={"shallow": Phase(1, 3, 0.0), "whole": Phase(2, 6, 0.3)},
)


def folder_with_text(folder: Path) -> Path:
    (folder / pretrain.WORK / "wheels").mkdir(parents=True)
    (folder / "packages.txt").write_text("words==1.0\n")
    library = Path(os.__file__).parent
    with zipfile.ZipFile(folder / pretrain.WORK / "wheels/words-1.0-py3-none-any.whl", "w") as archive:
        for name in ("argparse.py", "heapq.py", "ast.py"):
            archive.write(library / name, name)
    return folder


def trained(folder: Path, monkeypatch: pytest.MonkeyPatch, settings: pretrain.PretrainSettings = SETTINGS) -> Any:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(corpus, "download_wheels", lambda *_: None)
    monkeypatch.setattr(corpus, "_library_docstrings", _nothing)
    with quiet():
        pretrain.run(settings)
    return json.loads((folder / pretrain.PRESET / DESCRIPTION).read_text())


def _nothing(_: float) -> list[str]:
    return []


def steps(folder: Path, phase: str) -> int:
    log = folder / pretrain.WORK / f"{phase}.csv"
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_the_same_seed_gives_the_same_preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = folder_with_text(tmp_path / "one"), folder_with_text(tmp_path / "two")
    first, second = trained(one, monkeypatch), trained(two, monkeypatch)
    assert first == second
    preset = one / pretrain.PRESET
    assert first["sha256"] == presets.preset_sha256(preset)
    assert first["tokens_seen"] == 9 * 4 * 16
    assert len(evaluation_text.read_documents(preset / EVALUATION_TEXT, "key")) == first["evaluation_documents"]
    backbone = loading.load(preset).model.backbone
    assert backbone.vocabulary_size == 400
    assert backbone.num_layers == 2
    assert all(np.array_equal(w, w.astype(np.float16)) for w in backbone.get_weights())  # stored in half the bytes
    assert (preset / "model.weights.h5").stat().st_size < 3 * sum(w.size for w in backbone.get_weights()) + 30_000
    assert first["five_gram_bits_per_byte"] > 0
    assert (steps(one, "shallow"), steps(one, "whole")) == (3, 6)


def test_an_additional_phase_continues_from_the_preset_in_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, clone = folder_with_text(tmp_path / "done"), folder_with_text(tmp_path / "clone")
    longer = replace(SETTINGS, phases={**SETTINGS.phases, "more": Phase(2, 4, 0.5)})
    trained(original, monkeypatch)
    shutil.copytree(original / pretrain.PRESET, clone / pretrain.PRESET)
    assert trained(clone, monkeypatch, longer) == trained(original, monkeypatch, longer)
    assert [steps(clone, phase) for phase in longer.phases] == [0, 0, 4]
    assert [steps(original, phase) for phase in longer.phases] == [3, 6, 4]


def test_another_schedule_restarts_where_it_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_with_text(tmp_path / "one")
    first = trained(folder, monkeypatch)
    other = replace(SETTINGS, phases={**SETTINGS.phases, "whole": Phase(2, 9, 0.3)})
    assert trained(folder, monkeypatch, other)["phase"] != first["phase"]
    # the first phase is reused; of the second, only the steps before the rate fell
    assert (steps(folder, "shallow"), steps(folder, "whole")) == (3, 6 + 6)


def test_settings_come_from_conf() -> None:
    done = stage("stages.pretrain", "pretrain.phases.whole.steps=soon")
    assert done.returncode == 1
    assert "phases.whole.steps" in done.stderr
    assert "soon" in done.stderr
