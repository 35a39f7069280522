"""Normalization Form C in the graph equals that of the `tokenizers` library."""

import dataclasses
import random
import sys
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from tokenizers import normalizers

from autocomplete.common.native_log import quiet
from autocomplete.evaluate import targets
from autocomplete.graph import nfc, nfc_tables
from autocomplete.runtime import interpreters
from autocomplete.tflite import edit, flatbuffer, skeleton

pytestmark = pytest.mark.slow

SIZE, LONG = 96, 1024
NFC = normalizers.NFC()
LONE = 0x10F000  # of private use: these stand for bytes that are part of no character
POINTS = [c for c in range(sys.maxunicode + 1) if not 0xD800 <= c < 0xE000 and not LONE <= c < LONE + 256]
COMPOSED = [c for c in POINTS if unicodedata.normalize("NFD", chr(c)) != chr(c) and not 0xAC00 <= c < 0xD7A4]
MARKS = [c for c in POINTS if unicodedata.combining(chr(c))]
HANGUL = [range(0x1100, 0x1113), range(0x1161, 0x1176), range(0x11A8, 0x11C3), range(0xAC00, 0xD7A4, 28)]
CASES = [
    "",
    "a",
    "plain ASCII\n",
    "naïve café",
    "日本語 テキスト",
    "“quoted” – text 👍",
    "привет",
    "a\x00b\x00",
    "\x00",
    "e\u0301",
    "cafe\u0301\x00e\u0301",
    "Vie\u0323\u0302t Nam",
    "a\u0302\u0323",
    "\u1ea1\u0302",
    "\u00e2\u0323",
    "\u01b0\u0323\u0300",
    "u\u0323\u031b\u0300",
    "\u03b1\u0345\u0301\u0313",
    "\u1f00\u0345\u0301",
    "\u0390\u0316",
    "\u01d5\u0316",
    "\u212b\u2126\u1f71\u212a\u0340\u0341\u0343\u0344\u0374\u037e\u0387",
    "\uf900\U0002f800\U0002fa1d",
    "\u0958\u0959\u09dc\u0a33\u0b5c\u0f43\ufb1d\ufb2a\ufb2c\ufb4e",
    "\u0915\u093c",
    "\u2adc",
    "\u2add\u0338",
    "\U0001d15e\U0001d163\U0001d1bb",
    "\U00011131\U00011127",
    "\U000114b9\U000114ba",
    "\U0001109a",
    "\u1100\u1161",
    "\u1100\u1161\u11a8",
    "\uac00\u11a8",
    "\uac01\u11a8",
    "\uac00\u11a7",
    "\u1100\u1100\u1161\u1161",
    "\u1100\u0300\u1161",
    "\uac00\u0300\u11a8",
    "\u1161\u11a8",
    "\u1112\u1175\u11c2",
    "\ud7a3",
    "\uac00\u1161\u11a8",
    "a\u0300\u0300",
    "a\u0316\u0316\u0300",
    "a\u0327\u0316\u0301",
    "a b\u0301",
    "a\u200d\u0301",
    "\u0301\u0316a\u0301",
    "a\u0f39\u0327\u0334\u0301",
    "\u0301",
    "\u0316\u0301\u0316",
    "\u09c7\u09be",
    "\u09c7\u0334\u09be",
    "\u0b47\u0b56",
    "\u0cc6\u0cc2\u0cd5",
    "\u0dd9\u0dcf\u0dca",
    "\u0dd9\u0dca\u0dcf",
    "\u1025\u102e\u0300",
    "\u1b05\u1b35\u1b34",
    "\u0f71\u0f72\u0f74\u0f80",
    "\u0fb2\u0f71\u0f80",
    "\u0f81\u0f73\u0f75",
    "か\u3099は\u309a\u3099",
    "<\u0338=\u0338",
    "\u05d0\u05b8\u05bc\u05c1",
    "\u0628\u064e\u0651\u0654",
    "\u0627\u0655\u0653",
    "\U00011935\U00011930",
    "\u0eba\u0e38",
]
BROKEN = [
    b"\xff",
    b"\xc3",
    b"e\xcc",
    b"e\x81",
    b"e\xcc\xcc\x81",
    b"e\xff\xcc\x81",
    b"\xed\xa0\x80\xcc\x81",
    b"\x80\x80e\xcc\x81",
    b"\xf4\x90\x80\x80",
    b"\xe1\x84\x80\xe1\x85\x80\xe1\x85\xa1",
    b"\xc0\x80e\xcc\x81",
    b"e\xcc\x81\xe1\x84",
]

Call = Callable[[bytes], bytes]


def expected(data: bytes, room: int) -> bytes:
    text = data.decode(errors="surrogateescape")
    form = NFC.normalize_str("".join(chr(LONE - 0xDC00 + ord(c)) if "\udc80" <= c <= "\udcff" else c for c in text))
    pieces = [bytes([ord(c) - LONE]) if LONE <= ord(c) < LONE + 256 else c.encode() for c in form]
    ends = np.cumsum([0, *map(len, pieces)])
    return b"".join(pieces[int(np.argmax(ends >= ends[-1] - room)) :])


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """One file for texts of each size."""
    folder = tmp_path_factory.mktemp("nfc")
    with quiet():
        return {size: converted(size, folder / f"{size}.tflite") for size in (SIZE, LONG)}


def converted(size: int, path: Path) -> Path:
    @tf.function(
        autograph=False,
        input_signature=[tf.TensorSpec([size], tf.int32, name="text"), tf.TensorSpec([], tf.int32, name="length")],
    )
    def normalized(text: tf.Tensor, length: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(("bytes", "count"), nfc.normalized(text, length), strict=True))

    flatbuffer.write(skeleton.convert({"nfc": normalized.get_concrete_function()}), path)
    return path


def caller(interpreter: Any, size: int) -> Call:
    run = interpreter.get_signature_runner("nfc")

    def call(data: bytes) -> bytes:
        text = np.zeros(size, np.int32)
        text[: len(data)] = list(data)
        made = run(text=text, length=np.int32(len(data)))
        count = int(made["count"])
        assert not made["bytes"][count:].any()
        return bytes(made["bytes"][:count].tolist())

    return call


@pytest.fixture(scope="module")
def call(paths: dict[int, Path]) -> Call:
    return caller(interpreters.litert(paths[SIZE], 1), SIZE)


@pytest.fixture(scope="module")
def call_long(paths: dict[int, Path]) -> Call:
    return caller(interpreters.litert(paths[LONG], 1), LONG)


def packed(pieces: Iterable[str]) -> list[bytes]:
    """Short texts, a line each, put together to texts of up to LONG bytes."""
    lines = [f"{piece}\n".encode() for piece in pieces]
    ends = np.cumsum([0, *map(len, lines)])
    whole, texts, begin = b"".join(lines), [], 0
    while begin < len(whole):
        end = int(ends[np.searchsorted(ends, begin + LONG, side="right") - 1])
        texts.append(whole[begin:end])
        begin = end
    return texts


def check(call: Call, texts: Iterable[bytes], size: int) -> None:
    wrong = [(t, call(t), expected(t, size)) for t in texts if call(t) != expected(t, size)]
    assert wrong == [], [(t.decode(errors="replace"), a.hex(" "), b.hex(" ")) for t, a, b in wrong[:3]]


def fuzz(count: int, seed: int) -> list[bytes]:
    """Texts of code points that do something, most of them: in a random order, cut at any byte."""
    rng = random.Random(seed)
    latin = [c for c in COMPOSED if c < 0x250 or 0x1E00 <= c < 0x2000]
    common = [*range(0x300, 0x346), 0x0338, 0x0653, 0x093C, 0x3099, 0x309A]
    pools = [
        range(0x20, 0x7F),
        latin,
        common,
        COMPOSED,
        MARKS,
        POINTS,
        *HANGUL,
        [0, 0x20, 0x61, 0x65, 0x6F, 0x75, 0x3B1],
    ]
    texts = []
    for _ in range(count):
        chosen = rng.sample(pools, rng.randint(1, 4))
        text = "".join(chr(rng.choice(rng.choice(chosen))) for _ in range(rng.randint(1, SIZE)))
        text = unicodedata.normalize(rng.choice(["NFD", "NFC"]), text) if rng.random() < 0.5 else text
        texts.append(text.encode()[: rng.choice([SIZE, rng.randint(1, SIZE)])])
    return texts


def test_cases(call: Call) -> None:
    check(call, [case.encode() for case in CASES], SIZE)
    check(call, [f"{a}{b}".encode()[:SIZE] for a in CASES for b in CASES], SIZE)


def test_random_texts(call: Call) -> None:
    check(call, fuzz(6000, seed=1), SIZE)


def test_every_code_point(call_long: Call) -> None:
    check(call_long, packed(map(chr, POINTS)), LONG)


def test_every_mark_beside_those_of_every_class(call_long: Call) -> None:
    classes = [chr(c) for c in {unicodedata.combining(chr(c)): c for c in MARKS}.values()]
    beside = (f"o{a}{chr(c)}{b}" for c in MARKS for a in classes for b in classes[::9])
    check(call_long, packed(beside), LONG)


def test_every_pair_of_halves(call_long: Call) -> None:
    whole = [[int(c, 16) for c in unicodedata.decomposition(chr(c)).split()] for c in COMPOSED]
    lefts, rights = ({p[i] for p in whole if len(p) == 2} for i in (0, 1))
    check(call_long, packed(f"{chr(a)}{chr(b)}" for a in sorted(lefts) for b in sorted(rights)), LONG)


def test_invalid_utf8(call: Call) -> None:
    rng = random.Random(2)
    pieces = [*BROKEN, *(c.encode() for c in "ae\u0301\u0323\u1100\u1161\ufb2cé")]
    random_bytes = [rng.randbytes(rng.randint(1, SIZE)) for _ in range(300)]
    mixed = [b"".join(rng.choice(pieces) for _ in range(40))[-rng.randint(1, SIZE) :] for _ in range(2000)]
    check(call, [*BROKEN, *random_bytes, *mixed], SIZE)


def test_texts_that_fill_the_room_and_outgrow_it(call: Call) -> None:
    for piece in ("a", "é", "e\u0301", "\u0344", "\ufb2c", "\u0958", "\U0001d163", "\u0390", "\u1f82", "\uac00\u11a8"):
        whole = piece * (SIZE // len(piece.encode()))
        ends = [f"{whole[:-1]}b", whole, f"a{whole}", f"{'a' * (SIZE // 2)}{whole}"]
        check(call, [e.encode()[:SIZE] for e in ends], SIZE)
    assert len(expected("\ufb2c".encode() * 32, SIZE)) == SIZE
    for end in (b"", b"b", b"bc", b"bcd"):  # of the first signs that remain no part fits any more
        data = "\U0001d163".encode() * 23 + end
        assert call(data) == expected(data, SIZE)
        assert len(call(data)) == (SIZE if not end else SIZE - 4 + len(end))


def test_long_runs_take_few_rounds(call_long: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks in the wrong order, jamo, and what decomposes most, all over 1024 bytes.

    Rounds of composition are the only loop of the graph: everything else is done once for all bytes.
    """
    rng = random.Random(3)
    marks = "".join(chr(rng.choice([c for c in MARKS if c < 0x800])) for _ in range(511))
    mixed = ["a\u0301\u0345\u0316\u0334" * 113, "\u01d5\u0316" * 256, "\u1f82\u0316" * 204, "\ufb2c" * 341]
    runs = [f"a{marks}", "\u0301" * 512, "\u1100\u1161\u11a8" * 113, "\u1161" * 341, "\u1100" * 341, *mixed]
    check(call_long, [run.encode() for run in runs], LONG)
    compose = mock.Mock(side_effect=nfc._compose)
    monkeypatch.setattr(nfc, "_compose", compose)
    for run in runs:
        compose.reset_mock()
        data = run.encode()
        nfc.normalized(tf.constant([*data, *[0] * (LONG - len(data))]), tf.constant(len(data)))
        assert compose.call_count <= 3, run[:9]


def test_tensorflow_runs_the_same_file(paths: dict[int, Path]) -> None:
    call = caller(interpreters.tensorflow(paths[SIZE], 1), SIZE)
    check(call, [*(case.encode() for case in CASES), *BROKEN, *fuzz(500, seed=4)], SIZE)


def test_older_runtimes_know_all_of_it(paths: dict[int, Path]) -> None:
    offences = targets.check(paths[LONG])
    assert [offences[name]["offence"] for name in ("litert", "web", "tflite_2.17", "tflite_2.14")] == [None] * 4
    assert offences["android_demo"]["offence"] == "no signature serving_default"
    assert not {"IF", "BITWISE_XOR", "RIGHT_SHIFT"} & set(edit.operator_names(flatbuffer.read(paths[LONG])))


def test_ordinary_text_passes_the_quick_check() -> None:
    ordinary = [
        "naïve café",
        "Việt Nam",
        "“日本語” – テキスト 👍",
        "привет",
        "Ελληνικά ᾧ",
        "שלום",
        "한국어",
        "हिन्दी",
        "ไทย",
    ]
    assert [text for text in ordinary if fails_quick_check(text)] == []
    others = ["e\u0301", "\u1100\u1161", "\u0958", "q\u0301\u0316", "\u212b"]
    assert [text for text in others if not fails_quick_check(text)] == []


def fails_quick_check(text: str) -> bool:
    points = nfc.code_points(tf.constant([*text.encode(), 0], tf.int32))
    return bool(nfc.fails_quick_check(points, nfc_tables.normalization()))


def test_the_tables_are_small_and_refuse_what_the_graph_cannot_do(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = nfc_tables.normalization()
    columns = [getattr(tables, field.name) for field in dataclasses.fields(tables)]
    assert sum(c.values.nbytes for c in columns if hasattr(c, "values")) < 60_000
    read = nfc_tables._read()
    for pairs in ({(1, 2): 3, (2, 4): 5}, {(1, 0x301): 3, (3, 0x316): 5}, {(0x301, 0x316): 3}):
        monkeypatch.setattr(nfc_tables, "_read", lambda pairs=pairs: dataclasses.replace(read, pairs=pairs))
        with pytest.raises(ValueError, match="order that is not foreseen"):
            nfc_tables.normalization.__wrapped__()
