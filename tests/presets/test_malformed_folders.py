"""Hugging Face folders with damaged, foreign, missing or unreadable files are refused in one line."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.folder_changes import both, config, cut, encoded, lacking, older_files, without, written
from helpers.odd_folders import CONFIG, GENERATION, SETTINGS, TOKENIZER, WEIGHTS
from helpers.refusals import LINES, NESTED, Refused, assert_refused, refusal

pytestmark = pytest.mark.timeout(60)

FOLDER: Refused = {
    **{f"{name} cut off": (cut(name, 20), f"/{name} is no JSON") for name in (CONFIG, TOKENIZER, SETTINGS, GENERATION)},
    **{f"{name} empty": (written(name, ""), f"/{name} is no JSON") for name in (CONFIG, TOKENIZER, SETTINGS)},
    **{
        f"{name} is {text}": (written(name, text), f"/{name} holds no JSON object, but {shown}; download it again")
        for name, text, shown in (
            (CONFIG, "[1]", r"\[1\]"),
            (CONFIG, "null", "None"),
            (TOKENIZER, '"x"', "'x'"),
            (SETTINGS, "[]", r"\[\]"),
            (GENERATION, "7", "7"),
        )
    },
    **{f"{name} nested": (written(name, NESTED), f"/{name} is no JSON .*recursion") for name in (CONFIG, TOKENIZER)},
    "a file that is not read, nested": (written("notes.json", NESTED), r"/notes\.json is no JSON"),
    **{f"{name} UTF-16": (encoded(name, "utf-16"), f"/{name} is no JSON in UTF-8") for name in (CONFIG, TOKENIZER)},
    "a number of 5000 digits": (written(CONFIG, '{"model_type": ' + "9" * 5000 + "}"), r"/config\.json is no JSON"),
    "no model_type": (lacking(CONFIG, "model_type"), r"/config\.json is not the configuration of .*\(model_type\)"),
    "no config.json": (without(CONFIG), r" holds no config\.json"),
    "nothing": (without(CONFIG, TOKENIZER, SETTINGS, GENERATION, WEIGHTS), r" holds no config\.json"),
    "no tokenizer.json": (without(TOKENIZER), r" has no tokenizer\.json, from which a llama gets its tokenizer"),
    "a folder as tokenizer.json": (both(without(TOKENIZER), lambda f: (f / TOKENIZER).mkdir()), r" has no tokenizer\."),
    "a pipe as tokenizer.json": (both(without(TOKENIZER), lambda f: os.mkfifo(f / TOKENIZER)), r"/\S+ is no plain"),
    "a link to itself": (lambda f: (f / "x.json").symlink_to("x.json"), r"/x\.json is no plain file"),
    "foreign files": (
        both(
            written("pytorch_model.bin", b"PK\x03\x04"),
            written("a.pt", b"\x80\x04."),
            written("b.py", "1"),
            written("old.ot", "x"),
            written("train.bin", "x"),
        ),
        r"/a\.pt is a pickle.*; b\.py is of a kind.*; old\.ot is of .*; pytorch_model\.bin is a zip archive.*; "
        r"train\.bin is of a kind that no preset needs \(\.bin\); a preset holds .*: take these files out",
    ),
    "a foreign file of two lines": (written("a\nb.py", "1"), r"/'a\\nb\.py' is of a kind that no preset needs"),
    "code": (config(auto_map={"AutoModel": "x.X"}), r"/config\.json asks for code from the model's repository"),
    "no pair in vocab.json": (
        both(without(TOKENIZER), written("vocab.json", "[]"), written("merges.txt", "")),
        r"/vocab\.json holds no JSON",
    ),
    "an id as text": (
        both(without(TOKENIZER), written("vocab.json", '{"a": "0"}'), written("merges.txt", "")),
        r"/vocab\.json: the id of 'a' in model\.vocab is '0'; allowed",
    ),
    "merges that are no text": (
        both(without(TOKENIZER), written("vocab.json", '{"a": 0}'), written("merges.txt", b"\xff\xfe")),
        r"/merges\.txt",
    ),
    "merges with a mark and one that is wrong": (
        both(older_files, lambda folder: (folder / "merges.txt").write_text("\ufeff#version: 0.2\na q\n")),
        r"/vocab\.json: model\.merges\[0\] is \['a', 'q'\]; allowed: tokens of model\.vocab",
    ),
    "a foreign class of two lines": (config(x={"class_name": "A\n\x1b[31mB"}), r"/config\.json .* class A \\x1b\[31mB"),
    "weights of two lines elsewhere": (
        written("x.json", '{"weight_map": {"a": "../b\\n\\u001bc"}}'),
        r"/x\.json names weights outside of its folder \(\.\./b \\x1bc\)",
    ),
    "an ending with a colour": (written("a.\x1b[31m", "1"), r"/'a\.\\x1b\[31m' is of a kind .*\(\.\\x1b\[31m\)"),
    "no SentencePiece model": (
        both(without(TOKENIZER), written("tokenizer.model", "x")),
        r"/tokenizer\.model is no SentencePiece model",
    ),
    "an empty SentencePiece model": (
        both(without(TOKENIZER), written("tokenizer.model", "")),
        r"/tokenizer\.model is no SentencePiece model",
    ),
}
KIND: Refused = {
    f"model_type {kind!r:.20}": (
        config(model_type=kind),
        r"/config\.json has the model_type .*"
        r"; allowed: gpt2, llama, m",
    )
    for kind in ("mamba", 5, None, ["llama"], {"a": 1}, LINES, "Llama")
}
KIND["no architectures"] = (lacking(CONFIG, "architectures"), r"/config\.json names no architectures")


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("name", FOLDER)
def test_the_refusal_of_a_file_is_one_line(name: str, folder: Path) -> None:
    change, message = FOLDER[name]
    assert_refused(folder, change, message)


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("name", KIND)
def test_the_refusal_of_a_model_type_is_one_line(name: str, folder: Path) -> None:
    change, message = KIND[name]
    assert_refused(folder, change, message)


@pytest.mark.usefixtures("no_model")
def test_a_file_is_no_folder(folder: Path) -> None:
    assert str(folder / CONFIG) in refusal(folder / CONFIG)
    assert "holds no config.json" in refusal(folder / "none")


@pytest.mark.usefixtures("no_model")
def test_a_foreign_class_is_named_in_one_line(folder: Path) -> None:
    both(lacking(CONFIG, "model_type"), config(class_name="A\n\x1b[31mB"))(folder)
    assert r"is a 'A\n\x1b[31mB'; families that can be converted: gpt2" in refusal(folder)


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """Runs the block as a user without permission to read all files."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("name", [CONFIG, TOKENIZER, SETTINGS, WEIGHTS, "."])
def test_an_unreadable_path_is_named(name: str, originals: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch).chmod(0o755)
        folder = Path(shutil.copytree(originals / "llama", Path(scratch) / "folder"))
        folder.chmod(0o755)
        for path in folder.iterdir():
            path.chmod(0o644)
        (folder / name).chmod(0)
        with nobody():
            message = refusal(folder)
        (folder / name).chmod(0o755)
    assert message.startswith(f"{folder}{'' if name == '.' else '/' + name}")
    assert "cannot be read (Permission denied)" in message
