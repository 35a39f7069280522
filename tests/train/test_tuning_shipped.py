"""The preset that ships, tuned on a new domain in less than two minutes: its perplexity there, on files of their own.

The domain is Python without docstrings and comments, from the standard library: the preset has read docstrings alone.
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
    """Those of conf/author/finetune.yaml, with as few steps as the test has time for."""
    given = yaml.safe_load((ROOT / "conf/author/finetune.yaml").read_text())["tuning"]
    given["training"] |= {"steps": STEPS, "warmup": 5}
    parts = {"text": OwnTextSettings(**given["text"]), "training": TrainingSettings(**given["training"])}
    return TuningSettings(**given | parts)


def perplexity(preset: Path, text: str) -> float:
    bpe = tokenizer.from_keras_folder(preset / tokenizer.FOLDER)
    tokens = np.array([1, *bpe.encode(text).ids], np.int32)[: WINDOWS * 257].reshape(WINDOWS, 257)
    with quiet():
        model = loading.load(preset).model
        return float(np.exp(tuning._held_out_loss(model.backbone, tokens, 8)()))


def test_perplexity_of_a_new_domain_falls_by_a_third_and_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finetune, "WORK", tmp_path / "work")
    modules = sorted(Path(os.__file__).parent.glob("[a-z]*.py"))
    unseen = modules[::10]
    texts = tmp_path / "texts"
    texts.mkdir()
    for path in modules:
        if path not in unseen:
            (texts / f"{path.stem}.txt").write_text(code(path))
    silent = tuning.TuningCallbacks(lambda done, loss: None, lambda point: None)
    told = finetune.run(SHIPPED, texts, settings(), tmp_path / "tuned", silent).model_dump()
    held_out = "\n\n".join(code(path) for path in unseen)
    before, after = perplexity(SHIPPED, held_out), perplexity(tmp_path / "tuned", held_out)
    print(f"\nfiles that tuning never saw: {before:.2f} → {after:.2f}; its held-out passages: {told}")
    assert after <= 0.7 * before
    assert told["held_out_perplexity_after"] <= 0.7 * told["held_out_perplexity_before"]
