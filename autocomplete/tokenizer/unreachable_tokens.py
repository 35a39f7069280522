"""Checks that no text becomes a special token, and that no added token is lost where a text holds a special one's name.

What tokenizer.json marks special is nobody's text. Graphs and apps do not know which tokens are special: they rely on
these checks.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from autocomplete.common.errors import UserError
from autocomplete.common.json_files import shown
from autocomplete.tokenizer import tokenizer_json, tokenizer_rules
from autocomplete.tokenizer.pre_tokenizers import SPACE_MARKER
from autocomplete.tokenizer.word_automaton import Automaton

_BYTE_TOKEN = re.compile(r"<0x[0-9A-F]{2}>")


def require(content: Mapping[str, Any], source: str) -> None:
    """Loads a complete tokenizer.json and checks its special tokens.

    Raises:
      UserError: if it cannot be loaded, if merges or whole words turn a text into a special token, or if an added token
        overlaps a special one.
    """
    loaded = tokenizer_json.load(content, source)
    byte_level = tokenizer_rules.read_rules(content, source).byte_level
    unk_token = content["model"]["unk_token"]
    special = [t["content"] for t in content["added_tokens"] if t["special"] and t["content"] != unk_token]
    reached = next(_merged(content, special, byte_level), None) or next(_encoded(content, special, byte_level), None)
    if reached is not None:
        raise UserError(
            f"{source}: a text becomes the special token {shown(reached)}; allowed: special tokens that neither "
            "merges nor ignore_merges can produce from a text"
        )
    for is_normalized in (False, True):
        _require_apart([t for t in content["added_tokens"] if t["normalized"] is is_normalized], loaded, source)


def merge_alone(content: Mapping[str, Any], tokens: Sequence[str]) -> list[list[int]]:
    """The ids that the merges alone make of the characters of tokens, each one word."""
    model = content["model"]
    bpe = tokenizers.Tokenizer(models.BPE(model["vocab"], [(left, right) for left, right in model["merges"]]))
    return [encoding.ids for encoding in bpe.encode_batch(tokens)]


def _merged(content: Mapping[str, Any], special: Sequence[str], byte_level: bool) -> Iterator[str]:
    """The special tokens that merges, single characters or byte fallback make of some text.

    Inside a longer word, no merge crosses the ends of a token that is left in the end. So the merges inside it are
    those of its own characters alone: a token that they do not make of its name is never made. A token is refused even
    if the pre-tokenizer cuts every text inside it, so that no word has it.
    """
    model, results = content["model"], {left + right for left, right in content["model"]["merges"]}
    alphabet = set(pre_tokenizers.ByteLevel.alphabet())
    names = []
    for name in special:
        if model["byte_fallback"] and _BYTE_TOKEN.fullmatch(name):
            yield name
        # Merges may join tokens that stand for other characters than their own, too. No known model has such merges.
        joins_others = _BYTE_TOKEN.search(name) or (model["unk_token"] is not None and model["unk_token"] in name)
        if name in results and joins_others:
            yield name
        is_in_texts = set(name) <= alphabet if byte_level else " " not in name  # a space is "Ġ" or "▁"
        if is_in_texts and (name in results or (len(name) == 1 and name in model["vocab"])):
            names.append(name)
    if names:
        ids = merge_alone(content, names)
        yield from (name for name, found in zip(names, ids, strict=True) if found == [model["vocab"][name]])


def _encoded(content: Mapping[str, Any], special: Sequence[str], byte_level: bool) -> Iterator[str]:
    """The special tokens that an app makes of their own texts; with `ignore_merges` a whole word may be one."""
    client = tokenizer_json.parse(tokenizer_json.for_clients(content), "tokenizer.json")
    ids = tokenizer_json.token_ids(content)
    added = [token["content"] for token in content["added_tokens"] if not token["special"]]
    # a word begins otherwise at the beginning of a text, behind a space, a line end or an added token
    before = ["", " ", "\n", *added[:1]]
    decoder = decoders.ByteLevel()
    for name in special:
        text = decoder.decode([name]) if byte_level else name.replace(SPACE_MARKER, " ")
        texts = [start + form for form in dict.fromkeys((name, text, text.removeprefix(" "))) for start in before]
        if any(ids[name] in encoding.ids for encoding in client.encode_batch(texts)):
            yield name


def _require_apart(tokens: Sequence[Mapping[str, Any]], loaded: tokenizers.Tokenizer, source: str) -> None:
    """Refuses an added token that begins inside the name of a special token.

    `tokenizers` finds the special token first there, takes it for text, and passes over the added one. Apps find the
    added one.

    Args:
      tokens: the added tokens that are sought together: in the raw text, or in the normalized text.
      loaded: the tokenizer.
      source: the file, for error messages.
    """
    normalizer = loaded.normalizer

    def sought(token: Mapping[str, Any]) -> str:
        name: str = token["content"]
        return normalizer.normalize_str(name) if token["normalized"] and normalizer is not None else name

    automaton = Automaton({sought(token): token["content"] for token in tokens if not token["special"]})
    for token in tokens:
        added = automaton.word_that_begins_inside(sought(token)) if token["special"] else None
        if added is not None:
            raise UserError(
                f"{source}: the added token {shown(added)} can begin inside the special token "
                f"{shown(token['content'])}; allowed: added tokens that do not overlap a special one"
            )
