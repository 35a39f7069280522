"""The text of ids, joined in the graph, and UTF-8 as Python decodes it."""

import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import tensorflow as tf

from autocomplete.graph import bpe_tables, token_bytes, utf8
from helpers.toys import Toy
from helpers.vocabularies import gpt2_vocabulary

pytestmark = pytest.mark.slow

ROOM = 64


@tf.function(autograph=False, input_signature=[tf.TensorSpec([ROOM], tf.int32)])
def characters(text: tf.Tensor) -> list[tf.Tensor]:
    decoded = utf8.characters(text)
    return [decoded.lead, decoded.valid, decoded.point]


def decoder(table: token_bytes.TokenBytes, ids: int, room: int) -> Callable[[Sequence[int], int, int], bytes]:
    """token_bytes.text_of as a call; behind the bytes there must be zeros."""
    number = tf.TensorSpec([], tf.int32)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([ids], tf.int32), number, number])
    def text_of(ids: tf.Tensor, first: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return token_bytes.text_of(ids, first, count, table, room)

    def call(ids: Sequence[int], first: int, count: int) -> bytes:
        text, length = (t.numpy() for t in text_of(tf.constant(ids, tf.int32), first, count))
        assert not text[int(length) :].any()
        return bytes(text[: int(length)].tolist())

    return call


@tf.function(autograph=False, input_signature=[tf.TensorSpec([ROOM], tf.int32), *[tf.TensorSpec([], tf.int32)] * 2])
def cleaned(text: tf.Tensor, first: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return token_bytes.without_invalid(text, first, length)


def broken(rng: random.Random) -> bytes:
    """Characters of all lengths, some cut; stray bytes, surrogates, overlong encodings, too large code points."""
    odd = [
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\x80",
        b"\xff",
    ]
    parts: list[bytes] = []
    while sum(map(len, parts)) < ROOM - 8:
        whole = rng.choice("aé文👍\u0800\uffff\U00010000\U0010ffff\x00\x7f\x80").encode()
        parts.append(
            rng.choice([whole, whole, whole[: rng.randint(1, 4)], bytes([rng.randrange(256)]), rng.choice(odd)])
        )
    return b"".join(parts)


def test_characters_are_those_of_python() -> None:
    """Byte by byte: what "surrogateescape" keeps is part of no character."""
    rng = random.Random(1)
    for data in (broken(rng) for _ in range(2000)):
        text = np.zeros(ROOM, np.int32)
        text[: len(data)] = list(data)
        lead, valid, point = (t.numpy() for t in characters(text))
        expected = data.decode("utf-8", "surrogateescape")
        sizes = [1 if "\udc80" <= c <= "\udcff" else len(c.encode()) for c in expected]
        leads = np.cumsum([0, *sizes[:-1]])
        invalid = [position for position, c in zip(leads, expected, strict=True) if "\udc80" <= c <= "\udcff"]
        assert np.flatnonzero(lead[: len(data)]).tolist() == leads.tolist(), data
        assert np.flatnonzero(~valid[: len(data)]).tolist() == invalid, data
        points = [ord(c) for c in expected if not "\udc80" <= c <= "\udcff"]
        assert point[[position for position in leads if position not in invalid]].tolist() == points, data


def test_invalid_bytes_are_left_out_as_python_does() -> None:
    rng = random.Random(2)
    for data in (broken(rng) for _ in range(1000)):
        first, length = sorted((rng.randint(0, len(data)), rng.randint(0, len(data))))
        text, size = cleaned(np.resize(list(data), ROOM).astype(np.int32), first, length)
        expected = data[first:length].decode(errors="ignore").encode()
        assert bytes(text.numpy()[: int(size)].tolist()) == expected, data
        assert not text.numpy()[int(size) :].any()


@pytest.mark.parametrize("suppressed", [(), (5, 300, 17)])
def test_ids_become_their_bytes(toy: Toy, suppressed: tuple[int, ...]) -> None:
    pieces = toy.vocabulary.token_bytes
    table = token_bytes.table(pieces, len(pieces) + 3, suppressed)
    call = decoder(table, 24, ROOM)
    random_ids = np.random.default_rng(1)
    for _ in range(200):
        ids = random_ids.integers(0, len(pieces) + 3, 24)
        first, count = sorted(random_ids.integers(0, 25, 2).tolist())
        expected = b"".join(pieces[i] for i in ids[first:count] if i < len(pieces))
        assert call(ids.tolist(), first, count) == expected[:ROOM]


def test_all_of_gpt2s_tokens_become_their_bytes() -> None:
    vocabulary = gpt2_vocabulary()
    call = decoder(token_bytes.table(vocabulary.token_bytes, 50257), 32, 32 * 128)
    for first in range(0, 50257, 32):
        ids = [i if i < 50257 else vocabulary.end_token_id for i in range(first, first + 32)]
        assert call(ids, 0, 32) == b"".join(vocabulary.token_bytes[i] for i in ids)


@pytest.mark.parametrize(
    ("least", "most", "kind"),
    [(0, 255, np.uint8), (-1, 254, np.uint8), (0, 65535, np.int16), (-1, 65534, np.int16), (0, 65536, np.int32)],
)
def test_columns_are_as_narrow_as_their_numbers_allow(least: int, most: int, kind: type) -> None:
    from autocomplete.graph.bpe import lookup

    numbers = np.array([least, most, 0, 7], np.int64)
    column = bpe_tables.compact_ints(numbers)
    assert column.values.dtype == kind
    assert lookup(column, tf.range(4)).numpy().tolist() == numbers.tolist()
