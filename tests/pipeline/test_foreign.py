"""Folders as transformers saves them go from author to a bundle with all flavours, and every gate passes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file, save_file

from autocomplete.common.files import read_json
from autocomplete.tokenizer import tokenizer
from autocomplete.tokenizer.pre_tokenizers import pre_tokenizer
from helpers.commands import stage
from helpers.families import FAMILIES, quietly
from helpers.folders import ROOT
from helpers.hf_folders import write
from helpers.repositories import TINY
from helpers.toys import TEXT, Toy

pytestmark = [pytest.mark.slow, pytest.mark.network]

FLAVOURS = {
    "core.tflite",
    "tokens.tflite",
    "portable.tflite",
    "autocomplete.tflite",
    "autocomplete.litertlm",
    "manifest.json",
}
LENGTHS = ("convert.sequence_length=48", "convert.prefill_lengths=[8,16]")
DROPPED = "Q"  # a byte without a token


def padded(folder: Path, fill: float | None) -> None:
    """More rows of embeddings than the tokenizer has ids, as models have whose sizes suit a GPU."""
    config = read_json(folder / "config.json")
    weights = load_file(folder / "model.safetensors")
    embeddings = weights["model.embed_tokens.weight"]
    # larger than any other: an id that nothing suppresses would be generated at once
    extra_rows = (
        np.random.default_rng(5).normal(0, 4, (64, embeddings.shape[1]))
        if fill is None
        else np.full((64, embeddings.shape[1]), fill)
    )
    weights["model.embed_tokens.weight"] = np.concatenate([embeddings, extra_rows.astype(np.float32)])
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": len(embeddings) + 64}))


def like_smollm2(folder: Path) -> None:
    """Digits one by one, special tokens with names like ordinary ones, no start token, and a byte without a token."""
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    model = content["model"]
    merges = [pair for pair in model["merges"] if DROPPED not in "".join(pair)]
    dropped = {token for token in model["vocab"] if DROPPED in token}
    model |= {"vocab": {t: i for t, i in model["vocab"].items() if t not in dropped}, "merges": merges}
    content["pre_tokenizer"] = pre_tokenizer("digits")
    for number, token in enumerate(content["added_tokens"]):
        token["content"] = ["<|endoftext|>", "<repo_name>", "<file_sep>", "[X]", "plain"][number % 5]
    path.write_text(json.dumps(content))
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "plain", "eos_token": "<|endoftext|>"}))


def as_transformers_5_saves(folder: Path) -> None:
    """tokenizer.json in the place of vocab.json and merges.txt; only config.json has a wrong end token."""
    from autocomplete.presets import legacy_tokenizers
    from autocomplete.tokenizer import tokenizer_json

    content = legacy_tokenizers.from_vocab_and_merges(read_json(folder / "vocab.json"), folder / "merges.txt")
    complete = tokenizer_json.complete(content, "gpt2", "here")
    (folder / "tokenizer.json").write_text(tokenizer_json.serialize(complete))
    for name in ("vocab.json", "merges.txt"):
        (folder / name).unlink()
    end = {"content": "<|endoftext|>", "__type": "AddedToken"}
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": end, "eos_token": end, "pad_token": None}))
    config = read_json(folder / "config.json")
    (folder / "config.json").write_text(json.dumps(config | {"eos_token_id": 50256, "bos_token_id": 50256}))


CASES: dict[str, tuple[str, str, Callable[[Path], None], list[str]]] = {
    "padded": ("qwen2", "qwen", lambda f: padded(f, None), ["float32", "dynamic_range"]),
    "padded with zeros": ("qwen2", "qwen", lambda f: padded(f, 0.0), ["int4_block32_rtn"]),
    "like SmolLM2": ("llama", "llama3_tied", like_smollm2, ["float32", "dynamic_range"]),
    "saved by transformers 5": ("gpt2", "gpt2", as_transformers_5_saves, ["float32"]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_folder_becomes_bundles(name: str, toy: Toy, tmp_path: Path) -> None:
    kind, family, change, modes = CASES[name]
    source = toy if family == "gpt2" else quietly(FAMILIES[family], tmp_path / "toy")
    folder = write(kind, source, tmp_path / "model")
    change(folder)
    project = _project(tmp_path / "project")
    _run(project, "stages.author", f"author.preset={folder}")
    _run(project, "stages.convert", *LENGTHS)
    model = read_json(project / "artifacts/author/model.json")
    assert model["vocabulary"] == len(tokenizer.read_token_bytes(project / "artifacts/author"))
    _run(project, "stages.reference")
    for mode in modes:
        for step in ("quantize", "validate", "judge", "package"):
            _run(project, f"stages.{step}", f"quantize={mode}")
        metrics = read_json(project / f"artifacts/validate/{mode}/metrics.json")
        judged = read_json(project / f"artifacts/judge/{mode}/gates.json")
        assert metrics["tokenizer_match"] == 1.0
        assert all(gate["passed"] for gate in judged["gates"])
        text_models = set() if mode.startswith("int4") else {"autocomplete.tflite"}
        names = {p.name for p in (project / f"artifacts/package/{mode}").iterdir()}
        assert FLAVOURS - {"autocomplete.tflite"} | text_models <= names
    _check_ids(name, folder, project, model)


def _check_ids(name: str, folder: Path, project: Path, model: dict[str, Any]) -> None:
    """Ids are those of the model's own tokenizer; no text contains special tokens."""
    bpe = tokenizer.from_preset(project / "artifacts/author")
    if name == "like SmolLM2":
        vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
        assert bpe.encode("a12").ids == [vocabulary["a"], vocabulary["1"], vocabulary["2"]]
        assert bpe.encode(f"a{DROPPED}b").ids == [vocabulary["a"], vocabulary["b"]]
        assert (model["add_start_token"], model["start_token_id"]) == (False, None)
        assert len(bpe.encode("plain <repo_name>").ids) > 4
    if name == "saved by transformers 5":
        assert model["end_token_ids"] == [bpe.token_to_id("<|endoftext|>")]
    if name.startswith("padded"):
        assert model["vocabulary"] == read_json(folder / "config.json")["vocab_size"] - 64


def _project(folder: Path) -> Path:
    """Stages and configuration as they are, measured briefly."""
    folder.mkdir()
    for name in ("autocomplete", "stages"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "conf", folder / "conf")
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(ROOT / name, folder / name)
    validate = folder / "conf/validate/default.yaml"
    settings = yaml.safe_load(validate.read_text()) | TINY
    # random weights: quantization may change much
    validate.write_text(yaml.safe_dump(settings))
    package = folder / "conf/package/default.yaml"
    package.write_text(package.read_text().replace("page: true", "page: false"))
    judge = folder / "conf/judge/default.yaml"
    gates = [g for g in yaml.safe_load(judge.read_text())["gates"] if "perplexity" not in g["metric"]]
    judge.write_text(yaml.safe_dump({"gates": gates}))
    text = folder / "conf/text/wikitext2"
    for part in ("evaluation.txt", "calibration.txt"):
        (text / part).write_text("".join(f" = A = \n {' '.join(document.split())} \n" for document in TEXT))
    return folder


def _run(project: Path, *arguments: str) -> None:
    done = stage(*arguments, cwd=project)
    assert done.returncode == 0, (arguments, done.stderr[-2000:])
