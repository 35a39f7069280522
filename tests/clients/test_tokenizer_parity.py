"""The shipped preset's tokenizer gives the same ids in every runtime; tokenizer.json is the reference.

Where a runtime differs, DIFFERENCES says on which texts and why. A new difference fails, and so does one that has
vanished. docs/app-team/signatures.md documents the differences for app teams.
"""

import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import litert_lm
import numpy as np
import pytest
import tokenizers

from autocomplete.bundle import litertlm
from autocomplete.bundle.contract import LitertLm
from autocomplete.common.native_log import quiet
from autocomplete.runtime import interpreters
from autocomplete.tflite import flatbuffer
from autocomplete.tokenizer import tokenizer
from autocomplete.tokenizer.tokenizer_json import client_files
from helpers import signs, texts

pytestmark = pytest.mark.slow

litert_lm.set_min_log_severity(litert_lm.LogSeverity.ERROR)
PRESET = Path("artifacts/presets/pydoc_gpt2")
LIMIT = 788  # bytes that the text model reads (conf/convert)
TF_LIMIT = 120  # bytes: KerasHub's graph takes a round per merge of the longest word, and memory for the longest each
IDS = list[list[int]]

_UNKNOWN_WHITE = re.compile("[ ][\x0b\x85\u1680\u2000-\u2008\u200a\u2028\u2029\u205f]")
_KNOWN_WHITE = " \xa0\u2009\u202f\u3000"
_UNSPLIT_WHITE = re.compile(r"\s[^\S ]\S")
# Which runtime differs, on which texts and why, and whether on all of them: some texts of a class need no merge there.
DIFFERENCES: dict[str, dict[str, tuple[Callable[[str], bool], bool]]] = {
    # the driver has room for the longest answer; it returns a longer prompt unchanged and does not need its tokens
    "text model": {"longer than the text model reads": (lambda t: len(t.encode()) > LIMIT, True)},
    # `tokenize` passes the text as a C string; run_prefill passes a prompt's length, and the engine reads all of it
    "LiteRT-LM": {"NUL: the text ends before it": (lambda t: "\0" in t, True)},
    "KerasHub in tf.data": {
        "the end token's name is the end token": (lambda t: signs.END in t, True),
        "NUL: the text ends before it": (lambda t: "\0" in t, True),
        # two characters that KerasHub inserts into the text as marks of its own
        "U+096C, Devanagari's six, is lost, but for that in a number": (lambda t: "\u096c" in t, False),
        "U+0134 before A becomes the end token's name": (lambda t: "\u0134A" in t, True),
        # `\s` of RE2 is ASCII's white space without \v; KerasHub adds U+00A0, U+2009, U+202F and U+3000, and no more
        "other white space takes the blank before it": (lambda t: bool(_UNKNOWN_WHITE.search(t)), False),
        # for GPT-2 the last white space before a word is another, or that word's blank: `\n\n!` is `\n`, `\n`, `!`
        "white space before a word ends in no blank: it stays whole": (lambda t: bool(_UNSPLIT_WHITE.search(t)), False),
        # GPT-2's pattern takes white space at the end of a text for one word
        "white space at the end: its last, known one stands alone": (
            lambda t: t[-2:].isspace() and t[-1:] in _KNOWN_WHITE,
            False,
        ),
    },
}

# KerasHub 0.32 outside of tf.data hands its pattern to `tokenizers` as a string to look for, not as a regular
# expression (huggingface/tokenizers#1565): no text contains it, so a text is one word, but for the end token's name.
# Its tokens differ where one lies across a border between two of GPT-2's words: the characters at such borders.
KERAS_BORDERS = {
    ("blank", "blank"),  # of several blanks the last belongs to the word after them: `  if` is ` `, ` if`
    ("newline", "blank"),  # likewise: `\n !` is `\n`, ` !`
    ("newline", "newline"),  # the last white space before a word is a word of its own: `\n\n!` is `\n`, `\n`, `!`
    # likewise, where both begin as a blank and a dash do, which is a token
    *(("blank", ascii(c)) for c in map(chr, range(0x2000, 0x3000)) if c.isspace()),
    ("quote", "letter"),  # after other signs no contraction begins: `!'s` is `!'`, `s`
    ("letter", "letter"),  # a contraction ends: `I'vex` is `I`, `'ve`, `x`
}


@pytest.fixture(scope="module")
def vocabulary() -> tokenizer.Vocabulary:
    return tokenizer.read_vocabulary(PRESET / tokenizer.FOLDER, 1, 1)


@pytest.fixture(scope="module")
def strings(vocabulary: tokenizer.Vocabulary) -> list[str]:
    lines = (PRESET / "evaluation.jsonl").read_text().splitlines()
    pieces = [b.decode(errors="ignore") for b in tokenizer.token_bytes(vocabulary.ids)]
    return texts.texts([json.loads(line)["text"] for line in lines], pieces)


@pytest.fixture(scope="module")
def tokenizer_json() -> str:
    return client_files(tokenizer.keras_tokenizer_json(PRESET / tokenizer.FOLDER))["tokenizer.json"].decode()


@pytest.fixture(scope="module")
def expected(strings: list[str], tokenizer_json: str) -> IDS:
    """What Hugging Face's `tokenizers` makes of tokenizer.json."""
    return [e.ids for e in tokenizers.Tokenizer.from_str(tokenizer_json).encode_batch(strings)]


@pytest.fixture(scope="module")
def keras() -> Any:
    with quiet():
        import keras_hub

        return keras_hub.models.GPT2Tokenizer.from_preset(str(PRESET))


def assert_differs_as_documented(name: str, strings: Sequence[str], expected: IDS, actual: IDS) -> None:
    """Texts of no class have equal ids; those of a single class differ, all or some, as its entry says."""
    differs = {t: a != b for t, a, b in zip(strings, expected, actual, strict=True)}
    classes = {t: [c for c, (member, _) in DIFFERENCES[name].items() if member(t)] for t in strings}
    assert [t for t in strings if differs[t] and not classes[t]] == [], "a difference that no class explains"
    assert sum(not c for c in classes.values()) > len(strings) / 2
    for difference, (_, always) in DIFFERENCES[name].items():
        results = [differs[t] for t in strings if classes[t] == [difference]]
        assert any(results), f"no longer differs: {difference}"
        assert not always or all(results), f"not on every text: {difference}"


def test_the_strings_cover_unicode_and_the_vocabulary(
    strings: list[str], expected: IDS, vocabulary: tokenizer.Vocabulary
) -> None:
    assert len(set(strings)) == len(strings) == texts.COUNT
    assert "" in strings
    assert {len(f"{ord(max(t, default='a')):x}") for t in strings} >= {2, 3, 4, 5, 6}
    assert {ord(c) >> 16 for t in strings for c in t} == set(range(17))
    used = {i for ids in expected for i in ids}
    never = {vocabulary.ids[t] for t in (tokenizer.PADDING, tokenizer.END_OF_TEXT)}
    assert not used & never
    assert len(used) > 0.9 * len(vocabulary.ids)  # the others: bytes that UTF-8 does not use, parts of longer tokens
    pieces = tokenizer.token_bytes(vocabulary.ids)
    assert all(b"".join(pieces[i] for i in ids) == t.encode() for t, ids in zip(strings, expected, strict=True))


@pytest.fixture(scope="module")
def text_model(
    vocabulary: tokenizer.Vocabulary, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[bytes], list[int]]:
    """The text driver's encoder of prompts, converted without changes, in TF 2.18's interpreter."""
    with quiet():
        import tensorflow as tf

        from autocomplete.graph import text_driver
        from autocomplete.tflite import skeleton

    @tf.function(input_signature=[tf.TensorSpec(None, tf.string, name="prompt")], autograph=False)
    def read(prompt: tf.Tensor) -> dict[str, tf.Tensor]:
        ids, count, _ = text_driver.read_prompt(tf.reshape(prompt, []), LIMIT, vocabulary)
        return {"count_and_ids": tf.concat([[count], ids], 0)}

    path = tmp_path_factory.mktemp("reader") / "reader.tflite"
    with quiet():
        flatbuffer.write(skeleton.convert({"read": read.get_concrete_function()}, select_tf=True), path)
    interpreter = interpreters.tensorflow(path, 1)
    input_index, output_index = (
        interpreter.get_input_details()[0]["index"],
        interpreter.get_output_details()[0]["index"],
    )
    interpreter.resize_tensor_input(input_index, [1])
    interpreter.allocate_tensors()

    def call(text: bytes) -> list[int]:
        interpreter.set_tensor(input_index, np.array([text], dtype=object))
        interpreter.invoke()
        count, *ids = interpreter.get_tensor(output_index).tolist()
        return list(ids[:count])

    return call


def test_text_model(strings: list[str], expected: IDS, text_model: Callable[[bytes], list[int]]) -> None:
    assert_differs_as_documented("text model", strings, expected, [text_model(t.encode()) for t in strings])


@pytest.fixture(scope="module")
def engine(
    tokenizer_json: str, core_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[litert_lm.Engine]:
    """The engine with the shipped tokenizer and the toy's core, as these tests generate nothing."""
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "tokenizer.json").write_text(tokenizer_json)
    settings = LitertLm(max_num_tokens=64, start_token_id=1, stop_token_ids=[1], suppress_token_ids=[])
    litertlm.write(core_path, folder / "tokenizer.json", settings, folder / "a.litertlm")
    processor = litert_lm.Backend.CPU(thread_count=1)
    with litert_lm.Engine(str(folder / "a.litertlm"), processor, cache_dir=str(folder)) as running:
        yield running


def test_litert_lm(strings: list[str], expected: IDS, engine: litert_lm.Engine) -> None:
    actual = [engine.tokenize(t) for t in strings]
    assert_differs_as_documented("LiteRT-LM", strings, expected, actual)
    for text, ids, reference in zip(strings, actual, expected, strict=True):
        assert ids == (engine.tokenize(text.split("\0")[0]) if "\0" in text else reference)


def test_keras_hub_in_tf_data(strings: list[str], expected: IDS, keras: Any) -> None:
    """KerasHub's graph, which reads the text that a model is trained on in `fit`."""
    import tensorflow as tf

    chosen = sorted((i for i, t in enumerate(strings) if len(t.encode()) <= TF_LIMIT), key=lambda i: len(strings[i]))
    actual: IDS = []
    with quiet():
        for first in range(0, len(chosen), 1000):
            batch = tf.constant([strings[i].encode() for i in chosen[first : first + 1000]])
            actual += [list(map(int, ids)) for ids in keras._tokenize_tf(batch)]
    assert len(chosen) > 0.8 * len(strings)
    assert_differs_as_documented(
        "KerasHub in tf.data", [strings[i] for i in chosen], [expected[i] for i in chosen], actual
    )


def test_keras_hub(strings: list[str], expected: IDS, tokenizer_json: str, keras: Any) -> None:
    """KerasHub in Python: what `generate` does with a prompt."""
    actual = [list(map(int, ids)) for ids in keras(strings)]
    content = json.loads(tokenizer_json)
    assert content["pre_tokenizer"]["use_regex"]
    content["pre_tokenizer"]["use_regex"] = False
    one_word = tokenizers.Tokenizer.from_str(json.dumps(content))
    one_word.add_special_tokens([signs.END])
    assert actual == [e.ids for e in one_word.encode_batch(strings)]
    plain = [i for i, t in enumerate(strings) if signs.END not in t]
    assert all(actual[i] != expected[i] for i in set(range(len(strings))) - set(plain))
    crossed = [crossed_borders(strings[i], actual[i], one_word) for i in plain]
    assert [i for i, borders in zip(plain, crossed, strict=True) if (actual[i] != expected[i]) != bool(borders)] == []
    assert {pair for borders in crossed for pair in borders} == KERAS_BORDERS
    assert 0 < sum(map(bool, crossed)) < len(strings) / 2


def crossed_borders(text: str, ids: Sequence[int], bpe: tokenizers.Tokenizer) -> set[tuple[str, str]]:
    """The kinds of the characters around each border of GPT-2's words that a token lies across.

    `tokenizers` represents each byte by one character, in words and in tokens.
    """
    words = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True).pre_tokenize_str(text)
    ends = set(itertools.accumulate(len(word) for word, _ in words))
    cuts = set(itertools.accumulate(len(bpe.id_to_token(i) or "") for i in ids))
    data = text.encode()
    return {(kind(data[:end].decode()[-1]), kind(data[end:].decode()[0])) for end in ends - cuts}


def kind(character: str) -> str:
    names = {" ": "blank", "\n": "newline", "'": "quote"}
    return names.get(character) or ("letter" if character.isalpha() else ascii(character))
