"""The encoder inside models gives the ids of Hugging Face's `tokenizers`, whatever a tokenizer.json asks for."""

import functools
import io
import itertools
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import tensorflow as tf
import tokenizers
from tokenizers import models, normalizers, trainers

from autocomplete.common.errors import UserError
from autocomplete.common.native_log import quiet
from autocomplete.graph import bpe_tables, encoder
from autocomplete.runtime import interpreters
from autocomplete.tflite import flatbuffer, skeleton
from autocomplete.tokenizer import pre_tokenizers, sentencepiece_model, tokenizer, tokenizer_json
from helpers import odd_texts
from helpers.folders import kept
from helpers.toys import TEXT

pytestmark = pytest.mark.slow

SIZE, COUNT, SPLICED = odd_texts.LONGEST, 1500, 250
BLANK = pre_tokenizers.SPACE_MARKER
LONE = 0x10F000  # from there on: private characters that stand for bytes of no character
UNKNOWN, END = "<unk>", "<|endoftext|>"
BYTES = [tokenizer_json.byte_token(b) for b in range(256)]
CHARACTERS = tokenizer.bytes_to_unicode()
REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": BLANK}
PREFIX = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": BLANK}, REPLACE]}
GEMMA = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
NFC = {"type": "NFC"}
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


Content = dict[str, Any]
Call = Callable[[bytes], list[int]]


@functools.cache
def odd() -> list[str]:
    """Odd texts, other ones than those that the vocabularies are learned from."""
    strings = odd_texts.strings(TEXT)
    return random.Random(5).sample([s for i, s in enumerate(strings) if i % 7], COUNT)


@functools.cache
def training() -> list[str]:
    lines = [text[i : i + 300] for text in TEXT[:3] for i in range(0, len(text), 300)]
    return [*lines, *odd_texts.strings(TEXT)[::7]]


def learned(trainer: trainers.BpeTrainer, cut: tokenizers.pre_tokenizers.PreTokenizer) -> str:
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = cut
    made.train_from_iterator(training(), trainer)
    return json.dumps(json.loads(made.to_str())["model"])


@functools.cache
def bytes_model() -> str:
    """A byte-level BPE that merges across words too: a word cut elsewhere becomes other tokens."""
    trainer = trainers.BpeTrainer(
        vocab_size=1600, initial_alphabet=list(CHARACTERS.values()), limit_alphabet=256, show_progress=False
    )
    return learned(trainer, tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False))


@functools.cache
def characters_model(fallback: bool, split: bool) -> str:
    """A BPE of characters, most of which it does not know; unless `split` it merges across "▁" too."""
    names = [UNKNOWN, *(BYTES if fallback else [])]
    size = len(names) + 800
    trainer = trainers.BpeTrainer(vocab_size=size, limit_alphabet=200, special_tokens=names, show_progress=False)
    return learned(trainer, metaspace("never", split))


def metaspace(prefix: str, split: bool) -> tokenizers.pre_tokenizers.Metaspace:
    return tokenizers.pre_tokenizers.Metaspace(prepend_scheme=prefix, split=split)


def completed(model: Content, added: Sequence[Content] = (), **parts: Any) -> Content:
    """A tokenizer.json with added tokens, those that it does not have yet behind the vocabulary."""
    ids = dict(model["vocab"])
    for one in added:
        ids.setdefault(one["content"], max(ids.values()) + 1)
    tokens = [{"id": ids[one["content"]]} | one for one in added]
    content = {"pre_tokenizer": None, "added_tokens": tokens, "model": model} | parts
    return tokenizer_json.complete(content, "", "toy")


def own(*names: str, **flags: Any) -> list[Content]:
    return [{"content": name} | flags for name in names]


def of_bytes(words: str, added: Sequence[Content] = (), normalizer: Content | None = None, **model: Any) -> Content:
    told = json.loads(bytes_model()) | model
    tokens = [*own(END, special=True), *added]
    return completed(told, tokens, normalizer=normalizer, pre_tokenizer=pre_tokenizers.pre_tokenizer(words))


def whole_words() -> Content:
    """With words that are tokens though their merges make others of them, or no merges make them."""
    model = json.loads(bytes_model())
    kept = [pair for i, pair in enumerate(model["merges"]) if i % 5]
    return of_bytes(pre_tokenizers.LLAMA3, own("<x>", " the", "in"), ignore_merges=True, merges=kept)


def lacking(unknown: str | None, fuse: bool) -> Content:
    """A byte-level BPE without some bytes."""
    model = json.loads(bytes_model())
    absent = {CHARACTERS[b] for b in b"\x00qxZ~\x80\xa4\xc3\xe6\xf1"}
    vocabulary = [*(token for token in model["vocab"] if not absent & set(token)), UNKNOWN]
    merges = [pair for pair in model["merges"] if not absent & set("".join(pair))]
    ids = {token: i for i, token in enumerate(vocabulary)}
    return of_bytes(pre_tokenizers.GPT2, vocab=ids, merges=merges, unk_token=unknown, fuse_unk=fuse)


def of_characters(
    added: Sequence[Content] = (),
    *,
    fallback: bool = True,
    split: bool = True,
    unknown: str | None = UNKNOWN,
    fuse: bool = True,
    cut: tokenizers.pre_tokenizers.Metaspace | None = None,
    model: Content | None = None,
    **parts: Any,
) -> Content:
    told = {"byte_fallback": fallback, "unk_token": unknown, "fuse_unk": fuse}
    parts |= {} if cut is None else {"pre_tokenizer": json.loads(cut.__getstate__())}
    tokens = [*own("<|begin|>", "<|end|>", special=True), *added]
    return completed((model or json.loads(characters_model(fallback, split))) | told, tokens, **parts)


def blanks_model() -> Content:
    """With merges of blanks."""
    model: Content = json.loads(characters_model(True, True))
    size = len(model["vocab"])
    model["vocab"] |= {"▁▁": size, "▁▁▁▁": size + 1}
    model["merges"] = [["▁", "▁"], ["▁▁", "▁▁"], *model["merges"]]
    return model


def gemma() -> Content:
    """With tokens of blanks, line ends and marks of HTML."""
    tokens = own("\n\n", "\n\n\n", "▁▁▁", "<table>", "</table>", "<tab", "\t\t", "ab", "bcd")
    tokens += [*own("<start_of_turn>", special=True), *own("▁▁")]
    return of_characters(tokens, model=blanks_model(), normalizer=REPLACE, pre_tokenizer=GEMMA)


def of_sentencepiece() -> Content:
    """SentencePiece's own merges: every pair that makes a piece, so that merged tokens have merges of lower rank."""
    written = io.BytesIO()
    texts = [*training()[-150:], *TEXT]
    lines = [line for text in texts for line in text.splitlines() if line.strip() and "\0" not in line]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=written,
        vocab_size=1700,
        minloglevel=2,
        byte_fallback=True,
        model_type="BPE",
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=False,
        character_coverage=0.98,
        user_defined_symbols=["\n\n", "<turn>"],
        num_threads=1,
    )
    path = kept("sentencepiece") / sentencepiece_model.FILE
    path.write_bytes(written.getvalue())
    return tokenizer_json.complete(sentencepiece_model.to_tokenizer_json(path), "", str(path))


BLANKS = own(*(" " * size for size in range(24, 1, -1)), normalized=True)
QWEN_TOKENS = own("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim|>")
WITHOUT: dict[str, Any] = {"fallback": False, "normalizer": PREFIX}
KINDS: dict[str, Callable[[], Content]] = {
    "gpt2": lambda: of_bytes(pre_tokenizers.GPT2),
    "digits": lambda: of_bytes(pre_tokenizers.DIGITS),
    "llama3": lambda: of_bytes(pre_tokenizers.LLAMA3, ignore_merges=True),
    "llama3_whole": whole_words,
    "qwen": lambda: of_bytes(pre_tokenizers.QWEN, QWEN_TOKENS, NFC),
    "neox": lambda: of_bytes(pre_tokenizers.GPT2, BLANKS, NFC),
    "lacking_dropped": lambda: lacking(None, False),
    "lacking_unknown": lambda: lacking(UNKNOWN, False),
    "lacking_fused": lambda: lacking(UNKNOWN, True),
    "llama2": lambda: of_characters(model=blanks_model(), normalizer=PREFIX),
    "metaspace_first": lambda: of_characters(model=blanks_model(), cut=metaspace("first", True)),
    "metaspace_always_whole": lambda: of_characters(cut=metaspace("always", False), split=False),
    "metaspace_never": lambda: of_characters(cut=metaspace("never", True)),
    "gemma": gemma,
    "sentencepiece": of_sentencepiece,
    "characters_dropped": lambda: of_characters(unknown=None, **WITHOUT),
    "characters_unknown": lambda: of_characters(fuse=False, **WITHOUT),
    "characters_fused": lambda: of_characters(fallback=False, cut=metaspace("first", True)),
}


@dataclass(frozen=True)
class Kind:
    """A tokenizer.json, what `tokenizers` makes of it, its vocabulary for graphs, and a graph of it."""

    content: Content
    known: tokenizers.Tokenizer
    vocabulary: tokenizer.Vocabulary
    path: Path


def function(content: Content, size: int) -> Any:
    """The encoder of a tokenizer.json as a function of TensorFlow."""
    encode = encoder.encoder(tokenizer.parse_vocabulary(content, None, (0,)))
    specs = [tf.TensorSpec([size], tf.int32, name="text"), tf.TensorSpec([], tf.int32, name="length")]

    @tf.function(autograph=False, input_signature=specs)
    def run(text: tf.Tensor, length: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(("ids", "count"), encode(text, length), strict=True))

    return run


@functools.cache
def kind(name: str) -> Kind:
    content = KINDS[name]()
    path = kept("encoder") / "encode.tflite"
    with quiet():
        flatbuffer.write(skeleton.convert({"encode": function(content, SIZE).get_concrete_function()}), path)
    vocabulary = tokenizer.parse_vocabulary(content, None, (0,))
    return Kind(content, tokenizer_json.load(content), vocabulary, path)


def caller(run: Any, size: int = SIZE) -> Call:
    def call(data: bytes) -> list[int]:
        text = np.zeros(size, np.int32)
        text[: len(data)] = list(data)
        made = run(text=text, length=np.int32(len(data)))
        return [int(i) for i in np.asarray(made["ids"])[: int(made["count"])]]

    return call


@functools.cache
def litert(name: str) -> Call:
    return caller(interpreters.litert(kind(name).path, 1).get_signature_runner("encode"))


def small_graph(content: Content, many: bool) -> Call:
    """The encoder of a small tokenizer.json, run by TensorFlow; of few texts operator by operator."""
    run = function(content, 64)
    return caller(run if many else run.python_function, 64)


def texts(name: str) -> list[str]:
    """Odd texts and, for a kind, its added tokens in them, whole and in parts."""
    rng, content = random.Random(name), kind(name).content
    names = [token["content"] for token in content["added_tokens"]]
    parts = [*names, *names, *(n[:-1] for n in names), *(n[1:] for n in names), *" ▁\n<>ab1'é", "\u0301", "日"]
    spliced = ["".join(rng.choices(parts, k=rng.randint(1, 14))) for _ in range(SPLICED)]
    found = [text for text in [*LISTED, *odd(), *spliced] if len(normal(content, text).encode()) <= SIZE]
    assert len(found) > COUNT
    return [text for text in found if len(text.encode()) <= SIZE]


def normal(content: Content, text: str) -> str:
    return normalizers.NFC().normalize_str(text) if content["normalizer"] == NFC else text


def differing(call: Call, known: tokenizers.Tokenizer, given: Sequence[str]) -> list[tuple[str, list[str], list[str]]]:
    """Texts that a graph and `tokenizers` make other ids of, with the tokens of both."""
    expected = [made.ids for made in known.encode_batch(list(given))]
    pairs = [(text, call(text.encode()), ids) for text, ids in zip(given, expected, strict=True)]
    return [(t, [known.id_to_token(i) for i in a], [known.id_to_token(i) for i in b]) for t, a, b in pairs if a != b]


@pytest.mark.parametrize("name", KINDS)
def test_ids_are_those_of_tokenizers(name: str) -> None:
    wrong = differing(litert(name), kind(name).known, texts(name))
    assert wrong[:3] == [], len(wrong)


@pytest.mark.parametrize("name", KINDS)
def test_texts_try_what_a_kind_has(name: str) -> None:
    """Else agreement would say little: most tokens are used, the added and unknown ones among them."""
    of = kind(name)
    used = {i for made in of.known.encode_batch(texts(name)) for i in made.ids}
    model, ids = of.content["model"], tokenizer_json.token_ids(of.content)
    assert {ids[token] for token in of.vocabulary.added_tokens} <= used
    unknown = model["unk_token"] if not model["byte_fallback"] else None
    assert unknown is None or ids[unknown] in used
    assert not model["byte_fallback"] or len({ids[token] for token in BYTES} & used) > 100
    assert not {t["id"] for t in of.content["added_tokens"] if t["special"]} & used
    assert len(used) > 0.4 * len(ids)


@pytest.mark.parametrize("name", KINDS)
def test_apps_make_the_same_ids(name: str) -> None:
    given, of = texts(name), kind(name)
    assert in_apps(of.content, given) == [made.ids for made in of.known.encode_batch(given)]


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
def test_bytes_of_no_character(name: str) -> None:
    """They become the tokens of bytes; without such, unknown ones or nothing. A byte-level BPE loses none it has."""
    rng, of = random.Random(name), kind(name)
    damaged = [bytearray(text.encode()) for text in texts(name)[-200:] if text]
    for data in damaged:
        data[rng.randrange(len(data))] = rng.randrange(128, 256)
    given = [*BROKEN, *(rng.randbytes(rng.randint(1, SIZE)) for _ in range(100)), *map(bytes, damaged)]
    for data in given:
        ids, text = litert(name)(data), normal(of.content, shown(data))
        if not of.vocabulary.byte_level:
            assert ids == single_bytes(of.known.encode(text).ids, of.content["model"]["vocab"]), data
        elif len(back(text)) <= SIZE:
            left = bytes(b for b in back(text) if CHARACTERS[b] in of.vocabulary.ids)
            assert b"".join(of.vocabulary.token_bytes[i] for i in ids) == left, data


def shown(data: bytes) -> str:
    """Bytes as text, a private character in the place of each that is part of none."""
    text = data.decode(errors="surrogateescape")
    return "".join(chr(LONE - 0xDC00 + ord(c)) if "\udc80" <= c <= "\udcff" else c for c in text)


def back(text: str) -> bytes:
    return b"".join(bytes([ord(c) - LONE]) if LONE <= ord(c) < LONE + 256 else c.encode() for c in text)


def single_bytes(ids: Sequence[int], vocabulary: Content) -> list[int]:
    """Ids with one byte's token in the place of the four of a private character; there may be no such tokens."""
    of_byte = {vocabulary[token]: b for b, token in enumerate(BYTES) if token in vocabulary}
    first, found = {chr(LONE + b).encode()[:3] for b in (0x80, 0xC0)}, list(ids)
    for i in range(len(found)):
        four = bytes(of_byte.get(index, 0) for index in found[i : i + 4])
        if four[:3] in first:
            found[i : i + 4] = [vocabulary[BYTES[ord(four.decode()) - LONE]]]
    return found


def merges(*words: str) -> list[list[str]]:
    """Merges that make the characters of words, then the words from the left, in a byte-level BPE's alphabet."""
    made: dict[tuple[str, str], None] = {}
    for word in words:
        characters = ["".join(CHARACTERS[b] for b in c.encode()) for c in word]
        for parts in [*characters, characters]:
            made |= dict.fromkeys(("".join(parts[:i]), parts[i]) for i in range(1, len(parts)))
    return [list(pair) for pair in made]


def small(*words: str, cut: str = pre_tokenizers.GPT2, added: Sequence[Content] = (), **parts: Any) -> Content:
    """A byte-level BPE of all bytes and a few words; `model` changes what is said of it."""
    pairs = merges("qq", *words)
    tokens = dict.fromkeys([*CHARACTERS.values(), *("".join(pair) for pair in pairs)])
    model = {"type": "BPE", "vocab": {token: i for i, token in enumerate(tokens)}, "merges": pairs}
    told = {"pre_tokenizer": pre_tokenizers.pre_tokenizer(cut)} | parts | {"model": model | parts.get("model", {})}
    return completed(told.pop("model"), added, **told)


def small_characters(characters: str = "abc", added: Sequence[Content] = (), **parts: Any) -> Content:
    """A BPE of "▁", a few characters and all bytes."""
    tokens = [UNKNOWN, *BYTES, BLANK, *characters, "q", "qq"]
    model = {"vocab": {token: i for i, token in enumerate(tokens)}, "merges": [["q", "q"]]}
    told = {"unk_token": UNKNOWN, "byte_fallback": True, "fuse_unk": True}
    return completed(model | told, added, **({"normalizer": REPLACE} | parts))


def extended(content: Content, *pairs: tuple[str, str]) -> Content:
    """A tokenizer.json with more merges, and their tokens."""
    model = content["model"]
    ids = dict(model["vocab"])
    for pair in pairs:
        ids.setdefault("".join(pair), max(ids.values()) + 1)
    return content | {"model": model | {"vocab": ids, "merges": [*model["merges"], *map(list, pairs)]}}


def agreed(content: Content, given: Sequence[str]) -> list[list[int]]:
    """The ids of texts, which a graph and `tokenizers` agree on."""
    call, known = small_graph(content, len(given) > 15), tokenizer_json.load(content)
    assert differing(call, known, given) == []
    return [made.ids for made in known.encode_batch(list(given))]


def in_apps(content: Content, given: Sequence[str]) -> list[list[int]]:
    """The ids of texts in an app that knows nothing of special tokens."""
    known = tokenizers.Tokenizer.from_str(tokenizer_json.serialize(tokenizer_json.for_clients(content)))
    return [made.ids for made in known.encode_batch(list(given))]


def token(text: str) -> str:
    """A text in the alphabet of a byte-level BPE."""
    return "".join(CHARACTERS[b] for b in text.encode())


@pytest.mark.parametrize("name", ["llama3", "llama3_whole"])
def test_each_token_as_a_text(name: str) -> None:
    """Llama 3 looks words up before it merges, which changes nothing if merges make each token."""
    of, words = kind(name), []
    for piece in of.vocabulary.token_bytes:
        words += [piece.decode()] if piece.decode(errors="ignore").encode() == piece else []
    assert of.content["model"]["ignore_merges"] and len(words) > 800
    assert differing(litert(name), of.known, words) == []
    merged = tokenizer_json.load(of.content | {"model": of.content["model"] | {"ignore_merges": False}})
    assert (differing(litert(name), merged, words) == []) is (name == "llama3")


def whole_words_of(*names: str, added: Sequence[Content] = (), **model: Any) -> Content:
    """A byte-level BPE in which a word that is a token is not merged; these are tokens that no merges make."""
    ids = small("ab")["model"]["vocab"] | {name: 1000 + i for i, name in enumerate(names)}
    return small("ab", cut=pre_tokenizers.LLAMA3, added=added, model={"ignore_merges": True, "vocab": ids} | model)


def test_words_that_are_tokens_are_whole_where_merges_are_ignored() -> None:
    """Not parts of words, nor what goes on in an added token or behind it."""
    words = ["abc", "abcd", " abc", "é", "a'", "'ll", "\n\n"]
    content = whole_words_of(*map(token, words), added=own("cde", "<x>"))
    given = ["abc", "abcd", " abc", "xabc", "abcx", "<x>abc<x>abcd", "abcde", "é", "aé", "a'", "I'll", "x\n\n abc"]
    ids, known = agreed(content, given), tokenizer_json.token_ids(content)
    assert ids[:3] == [[1000], [1001], [1002]]
    assert not {1000, 1001, 1002} & {*ids[3], *ids[4], *ids[6]}
    assert ids[5] == [known["<x>"], 1000, known["<x>"], 1001]


def test_characters_are_refused_where_merges_are_ignored_and_do_not_make_each_token() -> None:
    content = extended(small_characters(), ("a", "b"))
    agreed(content, ["ab abc"])
    content["model"]["ignore_merges"] = True
    with pytest.raises(
        tokenizer.UnsupportedTokenizerError, match=r"takes words whole that no merges make, such as '<unk>'"
    ):
        tokenizer.parse_vocabulary(content, None, (0,))


@pytest.mark.parametrize(
    ("cut", "apart"), [(pre_tokenizers.LLAMA3, True), (pre_tokenizers.QWEN, True), (pre_tokenizers.GPT2, False)]
)
def test_the_long_s_ends_a_contraction_where_case_is_folded(cut: str, apart: bool) -> None:
    content = small("ſa", "'ſ", "Sa", cut=cut)
    given = ["don'ſa", "I'ſ", "'ſſa", "'Sa 'ſa 'Ka", "x'ſ'ſ'ſa", "’ſa", "''ſa", "ſ'ſ", " 'ſa", "\n'ſa!'ſa", "'ſ\u0301a"]
    ids = agreed(content, given)
    assert (content["model"]["vocab"][token("ſa")] not in ids[0]) is apart


YOUNG = "\U00011de0\U00011de1\U00016ff4"  # digits to the pre-tokenizer Digits, not yet to regular expressions
YOUNG_TEXTS = [YOUNG[:2], f"{YOUNG} 7{YOUNG}x", f"a {YOUNG} b", f"  {YOUNG}  ", f"'{YOUNG[0]}s", f"1{YOUNG[0]}!"]


@pytest.mark.parametrize("cut", tokenizer.BYTE_LEVEL_PATTERNS)
def test_digits_younger_than_the_regular_expressions(cut: str) -> None:
    content = small(YOUNG[:2], f" {YOUNG[0]}", f"7{YOUNG[0]}", "  ", cut=cut)
    ids = agreed(content, YOUNG_TEXTS)
    assert (ids[0] == [content["model"]["vocab"][token(YOUNG[:2])]]) is (cut != pre_tokenizers.DIGITS)


def test_of_added_tokens_that_overlap_the_leftmost_and_longest_are_taken() -> None:
    names = ["ab", "abc", "bcd", "cdab", "aa", "aab", "dd d", "é", "\u0301"]
    content = small("cd", "bc", "ab", added=own(*names))
    every = ["".join(signs) for size in range(6) for signs in itertools.product("abcd", repeat=size)]
    made = agreed(content, ["aabcdab", *every, "ddd ddd d", "dd dd dd d", "aé\u0301éb", "\u00c3\u00a9é", "e\u0301ab"])
    ids = tokenizer_json.token_ids(content)
    assert {ids[name] for name in names} <= {i for found in made for i in found}
    assert made[0] == [ids["aab"], ids["cdab"]]


@pytest.mark.parametrize("made", [small, small_characters])
def test_added_tokens_are_not_merged(made: Callable[..., Content]) -> None:
    """Even if merges make them, and others make more of them."""
    pairs = [("a", "b"), ("c", "ab"), ("ab", "c"), ("ab", "ab"), ("b", "a"), ("cab", "c")]
    plain = extended(made(), *pairs)
    content = completed(plain["model"], own("ab"), normalizer=plain["normalizer"], pre_tokenizer=plain["pre_tokenizer"])
    given = ["cab", "abc", "abab", "cabc", "babac", "aab", "abb", "c ab c"]
    ids = agreed(content, given)
    assert [len(found) for found in ids[:4]] == [2, 2, 2, 3]
    assert [len(found) for found in agreed(plain, given)[:4]] == [1, 1, 1, 1]


@pytest.mark.parametrize("seed", range(6))
def test_merges_in_any_order(seed: int) -> None:
    """Whatever rank merges have, and however many make one token: SentencePiece's are like that."""
    rng, content = random.Random(seed), small()
    known, pairs = ["a", "b", "c"], set[tuple[str, str]]()
    while len(pairs) < 14:
        pair = rng.choice(known), rng.choice(known)
        if len("".join(pair)) < 6:
            pairs.add(pair)
            known.append("".join(pair))
    content = extended(content, *rng.sample(sorted(pairs), len(pairs)))
    every = ["".join(signs) for size in range(7) for signs in itertools.product("abc", repeat=size)]
    agreed(content, [*every, *("".join(rng.choices("abc ", k=40)) for _ in range(300))])


@pytest.mark.parametrize("cut", tokenizer.BYTE_LEVEL_PATTERNS)
def test_words_end_before_and_behind_an_added_token(cut: str) -> None:
    content = small("a ", " a", "  ", "1 ", "'s", "s ", "\n\n", "!\n", added=own("<x>"), cut=cut)
    parts = ["<x>", " ", "  ", "a", "1", "'s", "\n", "!", "<x"]
    agreed(content, ["".join(some) for some in itertools.product(parts, repeat=4)][::29])


@pytest.mark.parametrize("cut", [pre_tokenizers.LLAMA3, pre_tokenizers.QWEN])
def test_line_ends_go_with_signs_or_with_white_space(cut: str) -> None:
    content = small("!\n", "\n ", " \n", "\n\n", "\r\n", "\n!", "!!", " x", "\nx", "!x", "  ", "\n1", cut=cut)
    lines = ["".join(some) for some in itertools.product("!\n \rx1", repeat=6)]
    agreed(content, [*lines[::47], *(line for line in lines if line[0] == "!" and "\n \n" in line)])


def test_special_tokens_in_a_text_stay_text() -> None:
    """Also those whose names are words, or parts of words that merges make."""
    content = small(" he", "hell", "lo", "world", added=own("<|x|>", "hello", "orl", "a b", special=True) + own("<b>"))
    given = ["hello world", " hello", "<|x|><b>hello", "a b", "orl", "<|x|>", "world hello<b>"]
    used = {i for ids in agreed(content, given) for i in ids}
    hidden = [token["id"] for token in content["added_tokens"] if token["special"]]
    assert len(hidden) == 4 and not set(hidden) & used
    assert [tokenizer.parse_vocabulary(content, None, (0,)).token_bytes[i] for i in hidden] == [b""] * 4


def test_tokens_with_angle_brackets_that_are_not_special_are_text() -> None:
    names = ["<|fim|>", "</s>", "<table>", "<pad>", "<eos>"]
    for content in (small("ab", added=own(*names)), small_characters(added=own(*names))):
        ids, vocabulary = tokenizer_json.token_ids(content), tokenizer.parse_vocabulary(content, None, (0,))
        made = agreed(content, [*names, "".join(names), f"a{names[0]} {names[1]}"])
        assert made[: len(names)] == [[ids[name]] for name in names]
        assert [vocabulary.token_bytes[ids[name]] for name in names] == [name.encode() for name in names]


def test_a_nul_is_a_character_and_tokens_and_ends_are_none() -> None:
    content = small_characters("ab\0", own("<x>"))
    ids = agreed(content, ["a\0b", "\0", "\0<x>\0a", "<x>", "ab", ""])
    assert ids[1:4] == [[content["model"]["vocab"]["\0"]], [*ids[1], *ids[3], *ids[1], *ids[4][:1]], [ids[3][0]]]


def test_nothing_is_merged_with_what_is_behind_the_end() -> None:
    content = small("!!", "1!")
    assert content["model"]["vocab"]["!"] == 0  # as are the places behind
    ids = agreed(content, ["!", "!!", "!!!", "1", "1!"])
    assert [len(found) for found in ids] == [1, 1, 2, 1, 2]


def test_ids_with_holes_are_those_of_the_file() -> None:
    content = small("ab", added=[*own("<x>", "<y>"), *own("<z>", special=True)])
    model = content["model"]
    model["vocab"] = {token: 2 * i + 5 for token, i in model["vocab"].items()}
    for number, told in zip((2000, 1000, 1500), content["added_tokens"], strict=True):
        told["id"] = number
    raw = tokenizers.Tokenizer.from_str(tokenizer_json.serialize(content))
    assert raw.token_to_id("<x>") != 2000  # `tokenizers` numbers it anew
    assert tokenizer_json.load(content).get_vocab() == tokenizer_json.token_ids(content)
    made = agreed(content, ["ab<x><y>", "ab<x>b<y><z>", "<y>"])
    assert made[0] == [model["vocab"]["ab"], 2000, 1000]


def with_step(step: Content, content: Content) -> Content:
    return content | {"pre_tokenizer": step}


def split(pattern: str) -> Content:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def without(content: Content, *tokens: str) -> Content:
    """A tokenizer.json whose vocabulary lacks some tokens of which nothing is made."""
    vocabulary = {t: i for t, i in content["model"]["vocab"].items() if t not in tokens}
    return content | {"model": content["model"] | {"vocab": vocabulary}}


MARK = "\u0338"  # composes with the sign > before it
SHORT = [r"\p{N}", pre_tokenizers.PATTERNS[0].steps[1][0]]
NUMBERS = {
    "type": "Sequence",
    "pretokenizers": [*map(split, SHORT), pre_tokenizers.pre_tokenizer(pre_tokenizers.GPT2) | {"use_regex": False}],
}
FROM_METASPACE = {"type": "Metaspace", "replacement": BLANK, "prepend_scheme": "first", "split": True}
# What is done exactly or refused; no real model is known to have most of it.
CORNERS: dict[str, tuple[Callable[[], Content], list[str]]] = {
    "a mark behind a token": (
        lambda: small("ab", added=own("<x>", "<y>"), normalizer=NFC),
        [f"<x>{MARK}", f"a<x>\u0323{MARK}<y>", f"<x{MARK}>", "e\u0301<x>e\u0301\u0323<y>e\u0301", "\u0301<x>\u0301"],
    ),
    "a token in another form": (
        lambda: small("ab", added=own("e\u0301") + own("o\u0301", normalized=True), normalizer=NFC),
        ["e\u0301", "é", "o\u0301", "ó", "ae\u0301\u0323o\u0301b", "o\u0323\u0301"],
    ),
    "tokens of the raw text before those of the normalized": (
        lambda: small("ab", added=own("a b", "ab", normalized=True) + own("b c", "bc")),
        ["a b c", "a b", "abc", "ab", "b c", "abbc", "a abc"],
    ),
    "the same in characters": (
        lambda: small_characters("abcd", own("ab", "da", normalized=True) + own("bc", "cd")),
        ["abc", "ab", "abcd", "dabcd", "cda"],
    ),
    "a special token over an added one": (
        lambda: small("ab", added=own("<s>", "abx", special=True) + own("bxc", "<s")),
        ["abxc", "<s>", "abxbxc"],
    ),
    "a special token that is a character": (
        lambda: small_characters(added=own("☃", special=True)),
        ["☃", "a☃b"],
    ),
    "a special token that is a word": (
        lambda: without(small("ab", added=own("abc", special=True), model={"ignore_merges": True}), "qqq"),
        ["abc", "ab abc"],
    ),
    "the same behind a hole": (
        lambda: small("ab", added=[{"id": 999, "content": "abc", "special": True}], model={"ignore_merges": True}),
        ["abc", "ab abc"],
    ),
    "a special token of the vocabulary that is a word": (
        lambda: whole_words_of("abc", added=own("abc", special=True)),
        ["abc", "abc abcd"],
    ),
    "an unknown token beside whole words": (
        lambda: whole_words_of(UNKNOWN, unk_token=UNKNOWN),
        [UNKNOWN, "unk", "<unk", "ab"],
    ),
    "an unknown token that is a word": (
        lambda: whole_words_of("unk", unk_token="unk"),
        [UNKNOWN, "unk", " unk", "ab"],
    ),
    "whole words in other signs": (
        lambda: whole_words_of("☃", " a", "Ġab", "日本"),
        ["☃", " a", " ab", "日本", "a☃ b"],
    ),
    "whole words of what has no token": (
        lambda: without(whole_words_of("xa"), "x"),
        ["xa", "xab"],
    ),
    "no blank": (lambda: without(small_characters(), BLANK), ["ab", "a b"]),
    "no blank to put before": (lambda: without(small_characters(normalizer=PREFIX), BLANK), ["ab", "a b"]),
    "no blank to cut at": (
        lambda: without(small_characters(normalizer=None, pre_tokenizer=FROM_METASPACE), BLANK),
        ["ab", "a b"],
    ),
    "digits by a regular expression": (
        lambda: with_step(NUMBERS, small(YOUNG[:2], "77", f"7{YOUNG[0]}", "  ", "½½")),
        ["77 ½½", *YOUNG_TEXTS],
    ),
    "no merges": (lambda: small(model={"merges": []}), ["ab", "qq"]),
    "bytes for characters that stand for bytes": (
        lambda: without(small("ab", *BYTES, model={"byte_fallback": True}), CHARACTERS[0]),
        ["a\0b", "\0"],
    ),
}


# In the graph a text is normalized before its tokens are sought, in `tokenizers` behind those that are not normalized.
@pytest.mark.parametrize("name", list(CORNERS))
def test_corners_are_done_exactly_or_refused(name: str) -> None:
    content, given = CORNERS[name][0](), CORNERS[name][1]
    try:
        tokenizer_json.load(content)
        tokenizer.parse_vocabulary(content, None, (0,))
    except (tokenizer.UnsupportedTokenizerError, UserError):
        return
    assert in_apps(content, given) == agreed(content, given)
