"""Tokens in the graph equal those of the `tokenizers` library and of KerasHub."""

import dataclasses
import random
import sys
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
import tokenizers

from autocomplete.graph import bpe, bpe_tables, bpe_words
from autocomplete.tokenizer import pre_tokenizers, tokenizer
from helpers.toys import PROMPTS, Toy
from helpers.vocabularies import gpt2_vocabulary

pytestmark = pytest.mark.slow

SIZE = 200
PIECES = [
    *"abcxyzsretvmld\n\t.,'!?19 ",
    "  ",
    "é",
    "ß",
    "д",
    "文",
    "字",
    "\u3000",
    "\u2009",
    "👍",
    "\u0301",
    "½",
    "\x85",
    "\x0b",
    "\x1c",
    "ل",
]
CASES = [
    "",
    " ",
    "   ",
    "a",
    "Hello world",
    "don't you're we'll '' 's's  's   'll I'D",
    "a  b",
    "a \n b\n\n  ",
    "  leading",
    "trailing  ",
    "日本語 text 123abc",
    "'start",
    "x's're",
    "a" * 20,
    "<|endoftext|>",
    "a\x00b",
]
LINES = [
    "!\n\n  x",
    "a\n\n\nb",
    "x \n \n  y",
    "!\r\n z",
    " !\nq",
    "1234567 89",
    "٣٤٥٦٧",
    "!hello !hello !!hello",
    "\thi\t\thi",
    "'Ss 'LLx I'VE DON'T 'ſ",
    "  1",
    " \n",
    "\n ",
    "a \t\n\n b",
    "½½½½",
    "''s",
    "x'!s",
    "\u3000\u3000a",
    "é!é",
]


def encoder(vocabulary: tokenizer.Vocabulary) -> Callable[[bytes], list[int]]:
    byte_ids, classes = bpe_tables.byte_ids(vocabulary), bpe_tables.character_classes()
    split = bpe_words.starts(vocabulary.pattern, classes)
    merges = bpe_tables.merge_table(vocabulary.ids, vocabulary.merges)

    @tf.function(input_signature=[tf.TensorSpec([SIZE], tf.int32), tf.TensorSpec([], tf.int32)], autograph=False)
    def encode(text: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return bpe.encode(text, length, byte_ids, split, merges)

    def call(data: bytes) -> list[int]:
        text = np.zeros(SIZE, np.int32)
        text[: len(data)] = list(data)
        ids, count = encode(text, len(data))
        return list(ids.numpy()[: int(count)])

    return call


@pytest.fixture(scope="module")
def encode(toy: Toy) -> Callable[[bytes], list[int]]:
    return encoder(toy.vocabulary)


def fuzz(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    texts = ["".join(rng.choice(PIECES) for _ in range(rng.randint(1, 40))) for _ in range(count)]
    return [t for t in texts if len(t.encode()) <= SIZE]


@pytest.mark.parametrize("text", CASES + PROMPTS)
def test_cases(toy: Toy, encode: Callable[[bytes], list[int]], text: str) -> None:
    assert encode(text.encode()) == toy.bpe.encode(text).ids


def test_random_texts(toy: Toy, encode: Callable[[bytes], list[int]]) -> None:
    texts = fuzz(1000, seed=1)
    assert [encode(t.encode()) for t in texts] == [toy.bpe.encode(t).ids for t in texts]


def test_every_code_point_begins_and_ends_words_as_in_tokenizers() -> None:
    """Next to a letter, a digit and another sign; a comparison of ids would hide most differences.

    All of the first two planes, and a sample of the others, which hold long ranges of one class.
    """
    classes, wrong, size = bpe_tables.character_classes(), [], 4096
    split = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    sample = [c for c in range(sys.maxunicode + 1) if c < 0x20000 or c % 16 == 0]
    points = [chr(c) for c in sample if not 0xD800 <= c < 0xE000]
    for first in range(0, len(points), size):
        text = "".join(f"a{c}7{c}!" for c in points[first : first + size])
        words = split.pre_tokenize_str(text)  # in one character for each byte
        expected = np.cumsum([0, *(len(word) for word, _ in words[:-1])])
        data = tf.constant(np.frombuffer(text.encode(), np.uint8).astype(np.int32))
        starts = np.flatnonzero(bpe_words.gpt2_starts(data, tf.ones(data.shape, tf.bool), classes))
        if not np.array_equal(starts, expected):
            wrong.append(hex(ord(points[first])))
    assert wrong == []


def test_kerashub_agrees_on_plain_prose(toy: Toy, encode: Callable[[bytes], list[int]]) -> None:
    """On prose only: KerasHub 0.32 takes a text for one word (tests/clients/test_tokenizer_parity.py)."""
    keras = toy.model.preprocessor.tokenizer
    prompts = [p for p in PROMPTS if "  " not in p] + ["The quick brown fox jumps over the lazy dog; isn't it?"]
    assert [encode(p.encode()) for p in prompts] == [list(np.asarray(keras(p))) for p in prompts]


@pytest.fixture(scope="module", params=[pre_tokenizers.LLAMA3, pre_tokenizers.QWEN])
def words(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_words_of_llama3_and_qwen(toy: Toy, words: str) -> None:
    """Where words begin, and ids: on cases, on random texts and next to code points."""
    vocabulary = dataclasses.replace(toy.vocabulary, pattern=words)
    expected = tokenizer.from_keras_folder(toy.preset / tokenizer.FOLDER, words)
    encode = encoder(vocabulary)
    texts = CASES + PROMPTS + LINES + fuzz(600, seed=3)
    assert [encode(t.encode()) for t in texts] == [expected.encode(t).ids for t in texts]
    assert [toy.bpe.encode(t).ids for t in texts] != [expected.encode(t).ids for t in texts]
    starts = bpe_words.starts(words, bpe_tables.character_classes())
    split = tf.function(lambda text, inside: starts(text, inside), autograph=False)
    for text in [*texts, *fuzz(3000, seed=4), *around_code_points()]:
        pieces = expected.pre_tokenizer.pre_tokenize_str(text)  # in one character for each byte
        begins = np.cumsum([0, *(len(word) for word, _ in pieces[:-1])]).tolist() if text else []
        data = np.frombuffer(text.encode(), np.uint8).astype(np.int32)
        padded = np.pad(data, (0, max(SIZE - len(data), 0)))
        flags = split(tf.constant(padded), tf.range(len(padded)) < len(data))
        assert np.flatnonzero(flags).tolist() == begins, repr(text[:300])


def around_code_points() -> list[str]:
    """Every 37th character, in several places."""
    points = [chr(c) for c in range(0, sys.maxunicode + 1, 37) if not 0xD800 <= c < 0xE000]
    size = 2000
    parts = [points[i : i + size] for i in range(0, len(points), size)]
    return ["".join(f"a{c}b 7{c}8{c}!x {c}y\n{c}z!{c}\n\t" for c in part) for part in parts]


def test_invalid_utf8_encodes_every_byte(toy: Toy, encode: Callable[[bytes], list[int]]) -> None:
    pieces = tokenizer.token_bytes(toy.vocabulary.ids)
    for data in (b"\xff\xfe\x80 abc \xc3", bytes(range(128, 256)), b"\xf4\x90\x80\x80", b"\xc3"):
        assert b"".join(pieces[i] for i in encode(data)) == data


def test_a_special_token_in_the_text_stays_text(toy: Toy, encode: Callable[[bytes], list[int]]) -> None:
    assert toy.vocabulary.end_token_id not in encode(b"<|endoftext|>")


def test_gpt2_vocabulary() -> None:
    vocabulary = gpt2_vocabulary()
    expected = tokenizers.ByteLevelBPETokenizer(vocabulary.ids, vocabulary.merges)
    encode = encoder(vocabulary)
    texts = CASES + PROMPTS + fuzz(300, seed=2)
    assert [encode(t.encode()) for t in texts] == [expected.encode(t).ids for t in texts]


def test_merge_table_stays_within_int32() -> None:
    vocabulary = {chr(0x4E00 + i): i for i in range(200)} | {"ab": 250_000, "a": 249_998, "b": 249_999}
    table = bpe_tables.merge_table(vocabulary, [("a", "b")])
    assert 249_999 * table.multiplier + 249_999 < 2**31


def test_bytes_without_a_token_are_dropped_or_unknown() -> None:
    vocabulary = tokenizer.Vocabulary({"a": 0, "<unk>": 1}, [], None, 0)
    assert bpe_tables.byte_ids(vocabulary)[[0x61, 0x62]].tolist() == [0, -1]
    with_unknown = dataclasses.replace(vocabulary, unk_token="<unk>")
    assert bpe_tables.byte_ids(with_unknown)[[0x61, 0x62]].tolist() == [0, 1]
