"""Normalization Form C in the graph equals that of the `tokenizers` library."""

import dataclasses
import random
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
from helpers.nfc_texts import BROKEN, CASES, COMPOSED, LONE, LONG, MARKS, POINTS, SIZE, fuzz, packed

pytestmark = pytest.mark.slow

NFC = normalizers.NFC()

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
        output = run(text=text, length=np.int32(len(data)))
        count = int(output["count"])
        assert not output["bytes"][count:].any()
        return bytes(output["bytes"][:count].tolist())

    return call


@pytest.fixture(scope="module")
def call(paths: dict[int, Path]) -> Call:
    return caller(interpreters.litert(paths[SIZE], 1), SIZE)


@pytest.fixture(scope="module")
def call_long(paths: dict[int, Path]) -> Call:
    return caller(interpreters.litert(paths[LONG], 1), LONG)


def check(call: Call, texts: Iterable[bytes], size: int) -> None:
    wrong = [(t, call(t), expected(t, size)) for t in texts if call(t) != expected(t, size)]
    assert wrong == [], [(t.decode(errors="replace"), a.hex(" "), b.hex(" ")) for t, a, b in wrong[:3]]


def test_cases(call: Call) -> None:
    check(call, [case.encode() for case in CASES], SIZE)
    check(call, [f"{a}{b}".encode()[:SIZE] for a in CASES for b in CASES], SIZE)


def test_random_texts(call: Call) -> None:
    check(call, fuzz(6000, seed=1), SIZE)


def test_every_code_point(call_long: Call) -> None:
    check(call_long, packed(map(chr, POINTS)), LONG)


def test_every_mark_next_to_those_of_every_class(call_long: Call) -> None:
    classes = [chr(c) for c in {unicodedata.combining(chr(c)): c for c in MARKS}.values()]
    texts = (f"o{a}{chr(c)}{b}" for c in MARKS for a in classes for b in classes[::9])
    check(call_long, packed(texts), LONG)


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
    for end in (b"", b"b", b"bc", b"bcd"):  # no part of the first remaining sign fits any more
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


def test_older_runtimes_have_all_operators(paths: dict[int, Path]) -> None:
    offences = targets.check(paths[LONG])
    assert [offences[name].offence for name in ("litert", "web", "tflite_2.17", "tflite_2.14")] == [None] * 4
    assert offences["android_demo"].offence == "no signature serving_default"
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
