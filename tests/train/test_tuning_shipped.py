"""The shipped preset is tuned on a new domain in less than two minutes, and measured on unseen files of it.

The domain is Python without docstrings and comments, from the standard library; the preset knows only docstrings.
"""

import ast
import os
from pathlib import Path

import numpy as np
import pytest
import yaml

from autocomplete.common.native_log import quiet
from autocomplete.data.own_text import OwnTextSettings
from autocomplete.presets import loading
from autocomplete.tokenizer import tokenizer
from autocomplete.train import finetune, tuning
from autocomplete.train.settings import TrainingSettings, TuningSettings
from helpers.folders import ROOT

pytestmark = pytest.mark.slow

SHIPPED = ROOT / "artifacts/presets/pydoc_gpt2"
STEPS, WINDOWS = 25, 32


def code(path: Path) -> str:
    """A module without its docstrings and comments."""
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = node.body[ast.get_docstring(node, clean=False) is not None :] or [ast.Pass()]
    return ast.unparse(tree)


def settings() -> TuningSettings:
    """The settings of conf/author/finetune.yaml, with few steps."""
    content = yaml.safe_load((ROOT / "conf/author/finetune.yaml").read_text())["tuning"]
    content["training"] |= {"steps": STEPS, "warmup": 5}
    parts = {"text": OwnTextSettings(**content["text"]), "training": TrainingSettings(**content["training"])}
    return TuningSettings(**content | parts)


def perplexity(preset: Path, text: str) -> float:
    bpe = tokenizer.from_keras_folder(preset / tokenizer.FOLDER)
    tokens = np.array([1, *bpe.encode(text).ids], np.int32)[: WINDOWS * 257].reshape(WINDOWS, 257)
    with quiet():
        model = loading.load(preset).model
        return float(np.exp(tuning._held_out_loss(model.backbone, tokens, 8)()))


def test_perplexity_of_a_new_domain_falls_by_a_third_and_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finetune, "WORK", tmp_path / "work")
    modules = sorted(Path(os.__file__).parent.glob("[a-z]*.py"))
    unseen_modules = modules[::10]
    texts = tmp_path / "texts"
    texts.mkdir()
    for path in modules:
        if path not in unseen_modules:
            (texts / f"{path.stem}.txt").write_text(code(path))
    silent = tuning.TuningCallbacks(lambda done, loss: None, lambda point: None)
    tuned = finetune.run(SHIPPED, texts, settings(), tmp_path / "tuned", silent).model_dump()
    held_out = "\n\n".join(code(path) for path in unseen_modules)
    before, after = perplexity(SHIPPED, held_out), perplexity(tmp_path / "tuned", held_out)
    print(f"\nfiles that tuning never saw: {before:.2f} → {after:.2f}; its held-out passages: {tuned}")
    assert after <= 0.7 * before
    assert tuned["held_out_perplexity_after"] <= 0.7 * tuned["held_out_perplexity_before"]
