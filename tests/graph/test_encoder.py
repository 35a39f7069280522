"""The encoder inside models gives the ids of Hugging Face's `tokenizers`, whatever a tokenizer.json asks for."""

import functools
import random
from collections.abc import Sequence

import pytest

from autocomplete.graph import bpe_tables
from autocomplete.runtime import interpreters
from autocomplete.tokenizer import tokenizer_json
from helpers import odd_texts
from helpers.encoder_graphs import caller, differing, in_apps, kind, litert, normal
from helpers.learned_tokenizers import BLANK, BYTES, CHARACTERS, COUNT, END, KINDS, SIZE, SPLICED, Content
from helpers.toys import TEXT

pytestmark = pytest.mark.slow

LONE = 0x10F000  # the first of the private-use characters that stand for invalid bytes

LISTED = [
    "",
    " ",
    "  ",
    "\x00",
    "a\x00b\x00\x00",
    "\n",
    "▁",
    " ▁",
    "▁ a",
    "▁a",
    "a▁b",
    "a ▁ b",
    " a",
    "  a",
    "ab  cd   ",
    "日 本",
    " \n x",
    "a  1 b",
    "x '1's",
    "12'st 3",
    "1  2\n3",
    "don'ſa I'LL I'Ve",
    "I'ſ",
    "’ſ 's",
    " 'ſſ",
    "e\u0301 \u0301",
    "\U00011de0\U00011de1\U00011de2 7\U00011de0",
    "\U00016ff4\U00016ff5x",
    "ǅ½Ⅷ²",
    f"{END}{END}x",
    "<s>a</s><unk>",
    "<|begin|>a<|end|>",
    "<0x41>",
    "a" * SIZE,
    "\x01" * SIZE,
    "é" * (SIZE // 2),
    " " * SIZE,
    "文" * (SIZE // 3) + "ab",
    "👍" * (SIZE // 4),
    "x" + "é" * (SIZE // 2 - 1) + "y",
    "\n" * SIZE,
    "ab " * 66 + "cd",
    "7" * SIZE,
    "<|" * (SIZE // 2),
]
BROKEN = [
    b"\xff",
    b"\x80",
    b"\xc3",
    b"a\xc3",
    b"\xe6\x96",
    b"\xe6\x96a",
    b"\xf0\x9f\x91",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xff\xfe\x80 abc \xc3",
    b" \xff \xff1\xff'\xffs",
    b"\x00\xff\x00",
    bytes(range(128, 256)),
    bytes(range(200)),
    b"\xff" * SIZE,
    b"ab" * 99 + b"\xe6\x96",
    b" \xc3",
    b"\xc3 a",
]


@functools.cache
def odd() -> list[str]:
    """Odd texts, other ones than those that the vocabularies are learned from."""
    strings = odd_texts.strings(TEXT)
    return random.Random(5).sample([s for i, s in enumerate(strings) if i % 7], COUNT)


def texts(name: str) -> list[str]:
    """Odd texts and, for a kind, its added tokens in them, whole and in parts."""
    rng, content = random.Random(name), kind(name).content
    names = [token["content"] for token in content["added_tokens"]]
    parts = [*names, *names, *(n[:-1] for n in names), *(n[1:] for n in names), *" ▁\n<>ab1'é", "\u0301", "日"]
    spliced = ["".join(rng.choices(parts, k=rng.randint(1, 14))) for _ in range(SPLICED)]
    fitting = [text for text in [*LISTED, *odd(), *spliced] if len(normal(content, text).encode()) <= SIZE]
    assert len(fitting) > COUNT
    return [text for text in fitting if len(text.encode()) <= SIZE]


@pytest.mark.parametrize("name", KINDS)
def test_ids_are_those_of_tokenizers(name: str) -> None:
    wrong = differing(litert(name), kind(name).known, texts(name))
    assert wrong[:3] == [], len(wrong)


@pytest.mark.parametrize("name", KINDS)
def test_texts_use_the_tokens_of_a_kind(name: str) -> None:
    """The texts use most tokens, also added and unknown ones; otherwise agreement would prove little."""
    case = kind(name)
    used = {i for encoding in case.known.encode_batch(texts(name)) for i in encoding.ids}
    model, ids = case.content["model"], tokenizer_json.token_ids(case.content)
    assert {ids[token] for token in case.vocabulary.added_tokens} <= used
    unknown = model["unk_token"] if not model["byte_fallback"] else None
    assert unknown is None or ids[unknown] in used
    assert not model["byte_fallback"] or len({ids[token] for token in BYTES} & used) > 100
    assert not {t["id"] for t in case.content["added_tokens"] if t["special"]} & used
    assert len(used) > 0.4 * len(ids)


@pytest.mark.parametrize("name", KINDS)
def test_apps_make_the_same_ids(name: str) -> None:
    inputs, case = texts(name), kind(name)
    assert in_apps(case.content, inputs) == [encoding.ids for encoding in case.known.encode_batch(inputs)]


def test_two_kinds_merge_in_their_own_way() -> None:
    for name in KINDS:
        vocabulary = kind(name).vocabulary
        one_by_one = bpe_tables.merge_table(vocabulary.ids, vocabulary.merges).one_by_one is not None
        crosses = any(BLANK in (left + right).lstrip(BLANK) for left, right in vocabulary.merges)
        assert one_by_one == (name == "sentencepiece"), name
        assert crosses == (name == "metaspace_always_whole"), name


@pytest.mark.parametrize("name", ["qwen", "gemma", "sentencepiece"])
def test_tensorflow_runs_the_same_file(name: str) -> None:
    call = caller(interpreters.tensorflow(kind(name).path, 1).get_signature_runner("encode"))
    assert differing(call, kind(name).known, texts(name)[::3]) == []
    assert [call(data) for data in BROKEN] == [litert(name)(data) for data in BROKEN]


@pytest.mark.parametrize("name", KINDS)
def test_invalid_bytes(name: str) -> None:
    """They become byte tokens or, without such, unknown ones or nothing. A byte-level BPE loses no byte that it has."""
    rng, case = random.Random(name), kind(name)
    damaged = [bytearray(text.encode()) for text in texts(name)[-200:] if text]
    for bytes_of_text in damaged:
        bytes_of_text[rng.randrange(len(bytes_of_text))] = rng.randrange(128, 256)
    inputs = [*BROKEN, *(rng.randbytes(rng.randint(1, SIZE)) for _ in range(100)), *map(bytes, damaged)]
    for data in inputs:
        ids, text = litert(name)(data), normal(case.content, with_private_characters(data))
        if not case.vocabulary.byte_level:
            assert ids == single_bytes(case.known.encode(text).ids, case.content["model"]["vocab"]), data
        elif len(original_bytes(text)) <= SIZE:
            remaining = bytes(b for b in original_bytes(text) if CHARACTERS[b] in case.vocabulary.ids)
            assert b"".join(case.vocabulary.token_bytes[i] for i in ids) == remaining, data


def with_private_characters(data: bytes) -> str:
    """Bytes as text, with a private-use character in the place of each invalid byte."""
    text = data.decode(errors="surrogateescape")
    return "".join(chr(LONE - 0xDC00 + ord(c)) if "\udc80" <= c <= "\udcff" else c for c in text)


def original_bytes(text: str) -> bytes:
    return b"".join(bytes([ord(c) - LONE]) if LONE <= ord(c) < LONE + 256 else c.encode() for c in text)


def single_bytes(ids: Sequence[int], vocabulary: Content) -> list[int]:
    """Ids with one byte's token in the place of the four of a private character; there may be no such tokens."""
    byte_of = {vocabulary[token]: b for b, token in enumerate(BYTES) if token in vocabulary}
    prefixes, merged = {chr(LONE + b).encode()[:3] for b in (0x80, 0xC0)}, list(ids)
    for i in range(len(merged)):
        four = bytes(byte_of.get(index, 0) for index in merged[i : i + 4])
        if four[:3] in prefixes:
            merged[i : i + 4] = [vocabulary[BYTES[ord(four.decode()) - LONE]]]
    return merged


@pytest.mark.parametrize("name", ["llama3", "llama3_whole"])
def test_each_token_as_a_text(name: str) -> None:
    """Llama 3 looks words up before it merges, which changes nothing if merges make each token."""
    case, words = kind(name), []
    for piece in case.vocabulary.token_bytes:
        words += [piece.decode()] if piece.decode(errors="ignore").encode() == piece else []
    assert case.content["model"]["ignore_merges"] and len(words) > 800
    assert differing(litert(name), case.known, words) == []
    merged = tokenizer_json.load(case.content | {"model": case.content["model"] | {"ignore_merges": False}})
    assert (differing(litert(name), merged, words) == []) is (name == "llama3")
