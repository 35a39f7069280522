"""Text to token ids inside the graph: every step of a tokenizer.json, in integer operators that are built in.

Shapes: N bytes of the text, M ids.
"""

from collections.abc import Callable

import tensorflow as tf

from autocomplete.graph import added_tokens, bpe, bpe_tables, bpe_words, nfc
from autocomplete.graph.added_tokens import PartialTokens, Trie
from autocomplete.graph.bpe import Symbols, lookup
from autocomplete.graph.bpe_tables import CharacterIds
from autocomplete.graph.utf8 import characters, compacted_places, over_characters, scatter, shift, shift_bool
from autocomplete.tokenizer.pre_tokenizers import METASPACE, SPACE_MARKER
from autocomplete.tokenizer.tokenizer import Vocabulary

# (UTF-8 bytes int32 [N], their number int32 []) → (ids int32 [M], their number int32 [])
Encode = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def encoder(vocabulary: Vocabulary) -> Encode:
    """A function that encodes text as the vocabulary's tokenizer.json does; M is N, or N + 1 if it prepends a "▁"."""
    return _byte_level(vocabulary) if vocabulary.byte_level else _character_level(vocabulary)


def blank_id(vocabulary: Vocabulary) -> int | None:
    """The id of a single blank; None if there is no such token."""
    return vocabulary.ids.get("Ġ" if vocabulary.byte_level else SPACE_MARKER)


def _byte_level(vocabulary: Vocabulary) -> Encode:
    """A BPE of bytes."""
    split = bpe_words.starts(vocabulary.pattern, bpe_tables.character_classes(vocabulary.pattern))
    byte_ids, merges = bpe_tables.byte_ids(vocabulary), bpe_tables.merge_table(vocabulary.ids, vocabulary.merges)
    added, whole_words = _added_tokens(vocabulary), _whole_words(vocabulary)
    unknown = vocabulary.unk_token_id if vocabulary.fuse_unk else None

    def encode(text: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        parts = added_tokens.without_tokens(text, length)
        if vocabulary.nfc and vocabulary.match_normalized:
            parts = _normalized(parts)
        parts = parts if added is None else added_tokens.replace_tokens(parts, added)
        if vocabulary.nfc and not vocabulary.match_normalized:
            parts = _normalized(parts)
        word_starts = split(parts.text, parts.is_byte)
        if whole_words is not None:
            parts, word_starts = added_tokens.replace_words(parts, word_starts, whole_words)
        ids = tf.where(parts.is_byte, tf.gather(byte_ids, parts.text), parts.token)
        symbols = Symbols(ids, _word_numbers(word_starts, parts.token >= 0))
        return bpe.merge(_with_fused_unknown(symbols, unknown), merges)

    return encode


def _character_level(vocabulary: Vocabulary) -> Encode:
    """A BPE of characters. "▁" stands for a blank, and bytes for a character that is no token."""
    merges, added = bpe_tables.merge_table(vocabulary.ids, vocabulary.merges), _added_tokens(vocabulary)
    blank, splits_at_each_blank = blank_id(vocabulary), vocabulary.pattern == METASPACE
    splits = splits_at_each_blank or not _merges_cross_words(vocabulary)
    unknown = vocabulary.unk_token_id if vocabulary.fuse_unk and not vocabulary.byte_fallback else None
    table, byte_ids = bpe_tables.character_ids(vocabulary.ids), bpe_tables.byte_ids(vocabulary)

    def encode(text: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        parts = added_tokens.without_tokens(text, length)
        parts = parts if added is None else added_tokens.replace_tokens(parts, added)
        chars = characters(parts.text)
        char_id = _character_ids(chars.point, table)
        is_token = tf.logical_and(parts.is_byte, tf.logical_and(chars.valid, tf.logical_and(chars.lead, char_id >= 0)))
        if vocabulary.byte_fallback:
            other_id = tf.gather(byte_ids, parts.text)
        else:
            other_id = tf.where(chars.lead, vocabulary.unk_token_id, -1)
        other_id = tf.where(parts.is_byte, other_id, parts.token)
        ids = tf.where(is_token, char_id, tf.where(over_characters(is_token, chars.lead), -1, other_id))
        is_blank = tf.logical_and(is_token, tf.equal(char_id, blank))
        is_behind_blank = shift_bool(over_characters(is_blank, chars.lead), 1)
        starts = is_blank if splits_at_each_blank else tf.logical_and(is_blank, tf.logical_not(is_behind_blank))
        words = _word_numbers(starts if splits else tf.zeros_like(starts), parts.token >= 0)
        symbols = Symbols(ids, words)
        if vocabulary.space_prefix != "never":
            is_wanted = length > 0
            if vocabulary.space_prefix != "always":
                is_wanted = tf.logical_and(is_wanted, tf.logical_not(is_blank[0]))
            first_id = tf.where(is_wanted, tf.constant(blank), -1)
            # A blank that follows is a word of its own if each blank is.
            first_word = tf.where(tf.logical_and(is_blank[0], splits_at_each_blank), -1, 0)
            symbols = Symbols(tf.concat([[first_id], ids], 0), tf.concat([[first_word], words], 0) + 1)
        return bpe.merge(_with_fused_unknown(symbols, unknown), merges)

    return encode


def _word_numbers(starts: tf.Tensor, is_token: tf.Tensor) -> tf.Tensor:
    """The number of the word of each place, int32 `[N]`; a token is a word too."""
    starts = tf.logical_or(starts, tf.logical_or(is_token, shift_bool(is_token, 1)))
    is_first = tf.equal(tf.range(starts.shape[0]), 0)
    return tf.cumsum(tf.cast(tf.logical_or(starts, is_first), tf.int32)) - 1


def _with_fused_unknown(symbols: Symbols, unknown: int | None) -> Symbols:
    """The symbols with one unknown token for each run of unknown tokens in a word; None leaves them as they are."""
    if unknown is None or unknown < 0:
        return symbols
    places = compacted_places(symbols.ids >= 0)
    count = tf.reduce_sum(tf.cast(symbols.ids >= 0, tf.int32))
    ids, words = scatter(symbols.ids, places), scatter(symbols.words, places)
    ids = tf.where(tf.range(ids.shape[0]) < count, ids, -1)
    is_unknown = tf.equal(ids, unknown)
    is_repeated = tf.logical_and(is_unknown, shift_bool(is_unknown, 1))
    is_repeated = tf.logical_and(is_repeated, tf.equal(words, shift(words, 1, -1)))
    return Symbols(tf.where(is_repeated, -1, ids), words)


def _character_ids(point: tf.Tensor, table: CharacterIds) -> tf.Tensor:
    """The token id of each code point, -1 for none, int32 `[N]`."""
    return lookup(table.pages, lookup(table.page_of, point // 256) * 256 + point % 256)


def _merges_cross_words(vocabulary: Vocabulary) -> bool:
    """Whether a merge joins a character to a "▁" behind it, so that words cannot be split there."""
    return any(SPACE_MARKER in (left + right).lstrip(SPACE_MARKER) for left, right in vocabulary.merges)


def _normalized(parts: PartialTokens) -> PartialTokens:
    """The bytes between tokens in Normalization Form C; nothing is composed with a token."""
    # A number above all bytes is part of no character, and stays where it is.
    text = tf.where(parts.token >= 0, parts.token + 256, parts.text)
    text, length = nfc.normalized(text, parts.length)
    return PartialTokens(tf.where(text >= 256, 0, text), tf.where(text >= 256, text - 256, -1), length)


def _whole_words(vocabulary: Vocabulary) -> Trie | None:
    """The tokens that replace a word that equals them, whatever its merges make of it; None if there are none."""
    pieces = vocabulary.token_bytes
    ids = {pieces[vocabulary.ids[token]]: vocabulary.ids[token] for token in vocabulary.whole_words}
    return added_tokens.build_trie(ids) if ids else None


def _added_tokens(vocabulary: Vocabulary) -> Trie | None:
    """The tokens that are found in a text before it is split; None if there are none."""
    ids = {token.encode(): vocabulary.ids[token] for token in vocabulary.added_tokens}
    return added_tokens.build_trie(ids) if ids else None
