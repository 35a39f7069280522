"""Presets load, or are refused in one line that says what to do."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from autocomplete.common.errors import UserError
from autocomplete.common.files import tree_sha256
from autocomplete.data import evaluation_text
from autocomplete.data.general_text import EVALUATION_TEXT
from autocomplete.presets import hub, loading, presets
from autocomplete.presets.settings import DESCRIPTION, HubSettings, Pin
from helpers.commands import stage
from helpers.folders import ROOT
from helpers.toys import Toy

SHIPPED = ROOT / "artifacts/presets/pydoc_gpt2"


def test_the_shipped_preset_is_the_one_described() -> None:
    description = json.loads((SHIPPED / DESCRIPTION).read_text())
    assert presets.preset_sha256(SHIPPED) == description["sha256"]
    assert description["evaluation_bits_per_byte"] <= 1.35
    assert description["evaluation_bits_per_byte"] <= 0.95 * description["five_gram_bits_per_byte"]
    assert 6_000_000 <= description["parameters"] <= 7_000_000


def test_the_shipped_preset_is_small_and_ends_texts_by_an_id_of_its_own() -> None:
    assert sum(p.stat().st_size for p in SHIPPED.rglob("*")) <= 16_000_000
    ids = json.loads((SHIPPED / "assets/tokenizer/vocabulary.json").read_text())
    assert ids["<|endoftext|>"] != 0
    assert evaluation_text.read_documents(SHIPPED / EVALUATION_TEXT, "key")


def test_saving_twice_gives_the_same_bytes(toy: Toy, tmp_path: Path) -> None:
    for name in ("one", "two"):
        presets.save(toy.model, tmp_path / name)
        presets.write_tokenizer(loading.from_keras_model(toy.model).tokenizer, tmp_path / name)
    assert tree_sha256(tmp_path / "one") == tree_sha256(tmp_path / "two") == tree_sha256(toy.preset)


def test_a_preset_is_described(toy: Toy) -> None:
    description = presets.describe(loading.load(toy.preset), presets.Provenance("here"), "MIT")
    assert description.family == "gpt2"
    assert description.context_length == 96
    assert (description.start_token_id, description.end_token_id, description.pad_token_id) == (1, 1, 0)
    assert (description.end_token_ids, description.special_token_ids) == ([1], [0, 1])
    assert description.parameters == sum(w.numpy().size for w in toy.model.backbone.weights)


@pytest.mark.parametrize("preset", ["./nowhere", "/nowhere/at/all", "no/such/folder"])
def test_a_missing_folder_is_refused(preset: str) -> None:
    with pytest.raises(UserError, match=r"does not exist; author.preset takes .*pydoc_gpt2"):
        hub.find(preset, Pin(), HubSettings())


def test_a_folder_that_is_no_preset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no config\.json"):
        loading.load(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="is no JSON in UTF-8"):
        loading.load(tmp_path)
    (tmp_path / "config.json").write_text('{"class_name": "BertBackbone"}')
    with pytest.raises(UserError, match="is a BertBackbone; families that can be converted: gpt2"):
        loading.load(tmp_path)
    shutil.copy(SHIPPED / "config.json", tmp_path)
    with pytest.raises(UserError, match="cannot be loaded"):
        loading.load(tmp_path)


def test_an_unknown_class_of_tokenizers_is_refused() -> None:
    class MistralTekkenTokenizer:
        pass

    model = SimpleNamespace(preprocessor=SimpleNamespace(tokenizer=MistralTekkenTokenizer()))
    with pytest.raises(
        UserError, match="has a MistralTekkenTokenizer; tokenizers that can be converted: GPT2Tokenizer"
    ):
        loading.tokenizer_pattern(model)


def test_a_keras_preset_whose_special_token_a_text_becomes_is_refused(toy: Toy, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(toy.preset, tmp_path / "preset"))
    assets = folder / "assets/tokenizer"
    (assets / "tokenizer.json").unlink()
    ids, lines = json.loads((assets / "vocabulary.json").read_text()), (assets / "merges.txt").read_text().splitlines()
    names = sorted(ids, key=lambda name: ids[name])
    # the tokens of the last two merges, which no other merge uses
    renamed = dict(zip(names[-2:], ("<s", "<s>"), strict=True))
    (assets / "vocabulary.json").write_text(json.dumps({renamed.get(name, name): i for name, i in ids.items()}))
    (assets / "merges.txt").write_text("\n".join([*lines[:-2], "< s", "<s >"]) + "\n")
    with pytest.raises(UserError, match=f"{folder}: a text becomes the special token '<s>'; allowed: "):
        loading.load(folder)


def test_an_authored_preset_whose_special_token_a_text_becomes_is_refused(toy: Toy, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(toy.preset, tmp_path / "preset"))
    path = folder / "assets/tokenizer/tokenizer.json"
    content = json.loads(path.read_text())
    content["added_tokens"].append({"id": content["model"]["vocab"]["in"], "content": "in", "special": True})
    path.write_text(json.dumps(content))
    (folder / DESCRIPTION).write_text("{}")
    with pytest.raises(UserError, match=f"{path}: a text becomes the special token 'in'; allowed: "):
        loading.load(folder)


def test_without_a_network_a_hub_name_fails_after_its_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLEHUB_CACHE", "/nonexistent/kaggle")
    monkeypatch.setenv("HF_HOME", "/nonexistent/hf")
    # a proxy that refuses connections: no test may reach beyond loopback, even on a machine with a network
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    done = stage("stages.author", "author=gpt2_base_en")
    assert done.returncode == 1
    assert "preset 'gpt2_base_en' cannot be loaded: 4 attempts failed" in done.stderr
    assert "use.author=pydoc_gpt2" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
