"""Text to token ids inside the graph: every step of a tokenizer.json, in built-in integer operations."""

from collections.abc import Callable, Mapping

import tensorflow as tf

from autocomplete.graph import added_tokens, bpe, bpe_tables, bpe_words, nfc
from autocomplete.graph.bpe import Symbols, lookup
from autocomplete.graph.bpe_tables import CharacterIds
from autocomplete.graph.utf8 import characters, moved, places_of, shift, shift_bool
from autocomplete.tokenizer.pre_tokenizers import METASPACE, SPACE_MARKER
from autocomplete.tokenizer.tokenizer import Vocabulary

# (UTF-8 bytes, int32 [N], of which so many count, int32 []) → ids, int32 [M], and how many of them count, int32 []
Encode = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]

_SPACE = 0x20


def encoder(vocabulary: Vocabulary) -> Encode:
    """What encodes text as the vocabulary's tokenizer.json does; M is N, or N + 1 where "▁" is put before a text."""
    return _of_bytes(vocabulary) if vocabulary.byte_level else _of_characters(vocabulary)


def blank_id(vocabulary: Vocabulary) -> int | None:
    """The id of a blank by itself; None where it has none."""
    return vocabulary.ids.get("Ġ" if vocabulary.byte_level else SPACE_MARKER)


def _of_bytes(vocabulary: Vocabulary) -> Encode:
    """A byte-level BPE."""
    split = bpe_words.starts(vocabulary.pattern, bpe_tables.character_classes(vocabulary.pattern))
    byte_ids, merges = bpe_tables.byte_ids(vocabulary), bpe_tables.merge_table(vocabulary.ids, vocabulary.merges)
    added, whole = _trie(vocabulary), _whole_words(vocabulary)
    unknown = vocabulary.unk_token_id if vocabulary.fuse_unk else None

    def encode(text: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        given = added_tokens.elements(text, length)
        if vocabulary.nfc and vocabulary.match_normalized:
            given = _normalized(given)
        given = given if added is None else added_tokens.taken(given, added)
        if vocabulary.nfc and not vocabulary.match_normalized:
            given = _normalized(given)
        starts = split(given.text, given.is_byte)
        if whole is not None:
            given, starts = added_tokens.taken_words(given, starts, whole)
        ids = tf.where(given.is_byte, tf.gather(byte_ids, given.text), given.token)
        return bpe.merge(_fused(Symbols(ids, _words(starts, given.token >= 0)), unknown), merges)

    return encode


def _of_characters(vocabulary: Vocabulary) -> Encode:
    """A BPE of characters, in which "▁" stands for a blank, and bytes for characters that have no token."""
    merges, added = bpe_tables.merge_table(vocabulary.ids, vocabulary.merges), _trie(vocabulary)
    every = vocabulary.pattern == METASPACE
    cuts = every or not _crosses(vocabulary)
    unknown = vocabulary.unk_token_id if vocabulary.fuse_unk and not vocabulary.byte_fallback else None
    table, byte_ids = bpe_tables.character_ids(vocabulary.ids), bpe_tables.byte_ids(vocabulary)

    def encode(text: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        given = added_tokens.elements(text, length)
        given = given if added is None else added_tokens.taken(given, added)
        found = characters(given.text)
        known = _character_ids(found.point, table)
        whole = tf.logical_and(given.is_byte, tf.logical_and(found.valid, tf.logical_and(found.lead, known >= 0)))
        # bytes for a character without a token, or one unknown token
        rest = tf.gather(byte_ids, given.text) if vocabulary.byte_fallback else _at(found.lead, vocabulary.unk_token_id)
        rest = tf.where(given.is_byte, rest, given.token)
        ids = tf.where(whole, known, tf.where(_over_character(whole, found.lead), -1, rest))
        blank = tf.logical_and(whole, tf.equal(known, blank_id(vocabulary)))
        behind = shift_bool(_over_character(blank, found.lead), 1)
        begins = blank if every else tf.logical_and(blank, tf.logical_not(behind))
        words = _words(begins if cuts else tf.zeros_like(begins), given.token >= 0)
        if vocabulary.space_prefix != "never":
            put = (
                length > 0
                if vocabulary.space_prefix == "always"
                else tf.logical_and(length > 0, tf.logical_not(blank[0]))
            )
            first = tf.where(put, tf.constant(blank_id(vocabulary)), -1)
            # a blank that follows is a word of its own where every one is
            word = tf.where(tf.logical_and(blank[0], every), -1, 0)
            ids, words = tf.concat([[first], ids], 0), tf.concat([[word], words], 0) + 1
        return bpe.merge(_fused(Symbols(ids, words), unknown), merges)

    return encode


def _at(flags: tf.Tensor, index: int) -> tf.Tensor:
    return tf.where(flags, index, -1)


def _words(begins: tf.Tensor, token: tf.Tensor) -> tf.Tensor:
    """The word that each place is part of, int32 `[N]`: one begins where it is told, at a token and behind one."""
    begins = tf.logical_or(begins, tf.logical_or(token, shift_bool(token, 1)))
    first = tf.equal(tf.range(begins.shape[0]), 0)
    return tf.cumsum(tf.cast(tf.logical_or(begins, first), tf.int32)) - 1


def _fused(symbols: Symbols, unknown: int | None) -> Symbols:
    """The symbols with one unknown token in the place of a run of them in a word."""
    if unknown is None or unknown < 0:
        return symbols
    places = places_of(symbols.ids >= 0)
    count = tf.reduce_sum(tf.cast(symbols.ids >= 0, tf.int32))
    ids, words = moved(symbols.ids, places), moved(symbols.words, places)
    ids = tf.where(tf.range(ids.shape[0]) < count, ids, -1)
    is_unknown = tf.equal(ids, unknown)
    again = tf.logical_and(tf.logical_and(is_unknown, shift_bool(is_unknown, 1)), tf.equal(words, shift(words, 1, -1)))
    return Symbols(tf.where(again, -1, ids), words)


def _character_ids(point: tf.Tensor, table: CharacterIds) -> tf.Tensor:
    """The token id of each code point, -1 where it has none."""
    return lookup(table.pages, lookup(table.page_of, point // 256) * 256 + point % 256)


def _over_character(flags: tf.Tensor, lead: tf.Tensor) -> tf.Tensor:
    """Flags of the bytes that begin characters, on all bytes of these."""
    for _ in range(3):
        flags = tf.where(lead, flags, shift_bool(flags, 1))
    return flags


def _crosses(vocabulary: Vocabulary) -> bool:
    """Whether some merge joins a character to a "▁" behind it: words cannot be cut there then."""
    return any(SPACE_MARKER in (left + right).lstrip(SPACE_MARKER) for left, right in vocabulary.merges)


def _normalized(given: added_tokens.Elements) -> added_tokens.Elements:
    """The text between tokens in Normalization Form C; nothing is composed with a token."""
    # numbers behind all bytes are part of no character: they stay where they are
    text = tf.where(given.token >= 0, given.token + 256, given.text)
    text, length = nfc.normalized(text, given.length)
    return added_tokens.Elements(tf.where(text >= 256, 0, text), tf.where(text >= 256, text - 256, -1), length)


def _whole_words(vocabulary: Vocabulary) -> added_tokens.Trie | None:
    """The tokens that a word is whatever its merges make of it; None where there are none."""
    pieces = vocabulary.token_bytes
    found = {pieces[vocabulary.ids[token]]: vocabulary.ids[token] for token in vocabulary.whole_words}
    return added_tokens.trie(found) if found else None


def _trie(vocabulary: Vocabulary) -> added_tokens.Trie | None:
    """The tokens that stand for themselves in a text; None where there are none."""
    found: Mapping[bytes, int] = {token.encode(): vocabulary.ids[token] for token in vocabulary.added_tokens}
    return added_tokens.trie(found) if found else None
