"""Evaluation text from files, in windows and beginnings."""

from pathlib import Path

import pytest

from autocomplete.common.errors import UserError
from autocomplete.data import evaluation_text
from helpers import records
from helpers.toys import Toy


def test_jsonl_and_plain_text(tmp_path: Path) -> None:
    lines, plain = tmp_path / "a.jsonl", tmp_path / "a.txt"
    lines.write_text('{"text": "one\\u2028still one"}\n\n{"text": "two\\n\\nmore"}\n')
    plain.write_text("one\ntwo\n\n\nthree\n")
    assert evaluation_text.read_documents(lines, "key") == ["one\u2028still one", "two\n\nmore"]
    assert evaluation_text.read_documents(plain, "key") == ["one\ntwo", "three"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"text": "x"}\n{"body": "x"}\n', r"a\.jsonl:2: each line must be"),
        ("a.jsonl", b"[]\n", r"a\.jsonl:1"),
        ("a.txt", b"\n \n", "holds no documents"),
        ("a.txt", b"caf\xe9", "not UTF-8"),
    ],
)
def test_bad_files_are_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        evaluation_text.read_documents(tmp_path / name, "key")


def test_prompts_are_lines(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text("one \n\n  two\u2028words\r\n")
    assert evaluation_text.read_prompts(path, "key") == ["one", "two\u2028words"]
    path.write_text("\n \n")
    with pytest.raises(UserError, match="holds no prompts"):
        evaluation_text.read_prompts(path, "key")
    with pytest.raises(UserError, match="is missing; key names a text file, one prompt a line"):
        evaluation_text.read_prompts(tmp_path / "elsewhere", "key")


def test_windows_do_not_overlap_and_begin_documents_with_the_end_token(toy: Toy) -> None:
    documents = ["Returns the value of it.", "Raises an error."] * 20
    windows = evaluation_text.windows(documents, toy.bpe, evaluation_text.BoundaryTokens(None, 1), length=16, limit=5)
    assert windows.shape == (5, 16)
    first = [1, *toy.bpe.encode(documents[0]).ids, 1, *toy.bpe.encode(documents[1]).ids]
    assert windows.reshape(-1)[: len(first)].tolist() == first


def test_too_little_text_for_a_window(toy: Toy) -> None:
    with pytest.raises(UserError, match="less than one window of 64"):
        evaluation_text.windows(["tiny"], toy.bpe, evaluation_text.BoundaryTokens(None, 1), length=64, limit=5)


def test_beginnings_encode_to_themselves(toy: Toy) -> None:
    prompts = evaluation_text.completion_prompts(
        ["Returns the value of the first argument " * 4, "tiny"], toy.bpe, tokens=6, limit=3
    )
    assert len(prompts) == 1
    assert len(toy.bpe.encode(prompts[0]).ids) == 6


def test_a_start_token_stands_before_every_window(toy: Toy) -> None:
    documents = ["Returns the value of it.", "Raises an error."] * 20
    windows = evaluation_text.windows(
        documents, toy.bpe, evaluation_text.BoundaryTokens(start_token_id=0, end_token_id=1), length=16, limit=5
    )
    assert windows.shape == (5, 16)
    assert windows[:, 0].tolist() == [0] * 5
    stream = [*toy.bpe.encode(documents[0]).ids, 1, *toy.bpe.encode(documents[1]).ids, 1]
    assert windows[:, 1:].reshape(-1)[: len(stream)].tolist() == stream


def test_boundary_tokens_of_a_model() -> None:
    model = records.model(start_token_id=5, end_token_id=7)
    assert evaluation_text.BoundaryTokens.from_description(model) == evaluation_text.BoundaryTokens(5, 7)
    without_start = records.model(add_start_token=False, start_token_id=5, end_token_id=7)
    assert evaluation_text.BoundaryTokens.from_description(without_start) == evaluation_text.BoundaryTokens(None, 7)
