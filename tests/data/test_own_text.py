"""A user's own text: masking, passages, duplicates, and a split without common passages."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from autocomplete.common.errors import UserError
from autocomplete.data import own_text
from autocomplete.data.own_text import OwnTextSettings

SETTINGS = OwnTextSettings(
    mask=True, passage_bytes=200, held_out=0.2, shingle_words=3, near_duplicate=0.4, calibration_passages=5
)


def paragraph(number: int) -> str:
    words = ["salt", "harbour", "lantern", "quarry", "meadow", "copper", "violin", "glacier", "saddle", "thimble"]
    chosen = [words[(number * (i + 3) + i * i) % 10] + "abcdefg"[number * (i + 1) % 7] for i in range(14)]
    return " ".join(chosen) + "."


def write(path: Path, numbers: range) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(paragraph(n) for n in numbers))
    return path


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("to jane.doe+news@mail.example.org.", "to name@example.com."),
        ("<müller@straße.de>, a@b.co", "<name@example.com>, name@example.com"),
        ("git@github.com:x/y", "name@example.com:x/y"),
        ("@property and me@localhost stay", "@property and me@localhost stay"),
        ("call +49 (0)30 / 123 45-67 now", "call +00 (0)00 / 000 00-00 now"),
        ("account 12345, card 4111 1111 1111 1111", "account 00000, card 0000 0000 0000 0000"),
        ("born 1984-11-02, at 192.168.10.20", "born 0000-00-00, at 000.000.00.00"),
        ("in 2024, page 17, 3.14 and 10,000 stay", "in 2024, page 17, 3.14 and 10,000 stay"),
        ("1234\n5678 are two lines", "1234\n5678 are two lines"),
        ("٠١٢٣٤٥", "000000"),
    ],
)
def test_emails_and_long_numbers_are_masked(text: str, masked: str) -> None:
    assert own_text.mask(text)[0] == masked


def test_masked_values_are_counted_and_masking_again_changes_nothing() -> None:
    masked, emails, numbers = own_text.mask("a@b.de, c@d.de: 123456")
    assert (emails, numbers) == (2, 1)
    assert own_text.mask(masked)[0] == masked


@pytest.mark.timeout(60)  # where the time grows with the square of a run's length, it takes hours
def test_long_runs_are_masked() -> None:
    letters, dashes, long = "a" * 1_000_000, "- " * 500_000, 1_000_000
    masked = own_text.mask(f"{letters} {'1' * long} a@{'b.' * 100_000} {dashes}")
    assert masked == (f"{letters} {'0' * long} name@example.com. {dashes}", 1, 1)


def test_passages_end_at_blank_lines_and_lose_nothing() -> None:
    document = "\n\n".join(paragraph(n) for n in range(20))
    cut = own_text.passages(document, 300)
    assert "\n\n".join(cut) == document
    assert all(len(p.encode()) <= 300 for p in cut)
    assert all(p.endswith(".") for p in cut)
    assert len(cut) < 20  # several paragraphs share a passage


@pytest.mark.parametrize("text", ["x" * 1000, "word " * 300, "é" * 700, "a line of text\n" * 60, "日本語" * 200])
def test_text_without_blank_lines_is_cut_too(text: str) -> None:
    cut = own_text.passages(text, 100)
    assert all(0 < len(p.encode()) <= 100 for p in cut)
    assert "".join("".join(cut).split()) == "".join(text.split())


def test_an_indented_paragraph_keeps_its_indent() -> None:
    assert own_text.passages("def f():\n    a\n\n    b\n", 100) == ["def f():\n    a\n\n    b"]
    assert own_text.passages(f"{'a' * 90}\n\n    b\n", 93)[1] == "    b"


def test_the_same_paragraphs_from_text_and_jsonl_give_the_same_hash(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": paragraph(n)}) + "\n" for n in range(60)))
    (tmp_path / "b").mkdir()
    for n in range(60):
        (tmp_path / f"b/{99 - n}.txt").write_text(paragraph(n))
    one, two = (own_text.prepare(tmp_path / name, SETTINGS) for name in ("a.jsonl", "b"))
    assert one.corpus.sha256 == two.corpus.sha256
    assert one.counts == two.counts
    assert one.counts["documents"] == 60


def test_copies_and_near_copies_are_dropped_and_both_parts_are_disjoint(tmp_path: Path) -> None:
    write(tmp_path / "t/a.txt", range(60))
    original = own_text.prepare(tmp_path / "t", SETTINGS)
    assert original.corpus.evaluation
    assert not set(original.corpus.train) & set(original.corpus.evaluation)
    write(tmp_path / "t/copy.txt", range(60))
    (tmp_path / "t/near.txt").write_text("\n\n".join(paragraph(n) + " So it ends." for n in range(60)))
    with_copies = own_text.prepare(tmp_path / "t", SETTINGS)
    dropped = with_copies.counts["duplicates_dropped"] - original.counts["duplicates_dropped"]
    assert dropped >= 60
    words = {p.removesuffix(" So it ends.") for p in with_copies.corpus.train}
    assert not words & {p.removesuffix(" So it ends.") for p in with_copies.corpus.evaluation}


def test_texts_that_differ_only_in_numbers_are_duplicates(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\n\n".join(f"{paragraph(1)} Ring {10**6 + n}." for n in range(20)))
    assert own_text.prepare(path, replace(SETTINGS, passage_bytes=160)).counts["duplicates_dropped"] == 19


def test_masking_can_be_switched_off(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\n\n".join(f"{paragraph(n)} me@mail.org" for n in range(20)))
    unmasked = own_text.prepare(path, replace(SETTINGS, mask=False))
    assert unmasked.counts["emails_masked"] == 0
    assert any("me@mail.org" in p for p in unmasked.corpus.train)


def test_hidden_files_byte_order_marks_and_carriage_returns_are_left_out(tmp_path: Path) -> None:
    (tmp_path / ".hidden").write_bytes(b"\xff\xfe")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__/a.pyc").write_bytes(b"\xff\xfe")
    (tmp_path / "a.md").write_bytes(b"\xef\xbb\xbfone\r\n\r\ntwo")
    corpus = own_text.prepare(tmp_path, SETTINGS).corpus
    assert [*corpus.train, *corpus.evaluation] == ["one\n\ntwo"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", "holds no text"),
        ("a.txt", b" \n\n ", "holds no text"),
        ("a.txt", b"caf\xe9", r"a\.txt \(author\.text\) is not UTF-8 \(byte 3\)"),
        ("a.jsonl", b'{"text": "a"}\n{"txt": "b"}\n', r'a\.jsonl:2: each line must be a JSON object with a key "text"'),
        ("a.jsonl", b'{"text": null}\n', r"a\.jsonl:1"),
        ("a.jsonl", b"[1]\n", r"a\.jsonl:1"),
        ("folder/b.jsonl", b"word\n", r"folder/b\.jsonl:1"),
    ],
)
def test_a_text_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        own_text.prepare(tmp_path / name.split("/")[0], SETTINGS)


def test_a_missing_text_is_named() -> None:
    with pytest.raises(UserError, match=r"author\.text is nowhere, which does not exist; name a UTF-8 text file"):
        own_text.prepare(Path("nowhere"), SETTINGS)
