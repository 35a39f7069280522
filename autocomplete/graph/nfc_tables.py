"""Constant tables of Unicode Normalization Form C (Unicode Standard Annex #15), for a graph of integer operators."""

import functools
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import normalizers

from autocomplete.common.arrays import Array
from autocomplete.graph.bpe_tables import CompactInts, compact_ints

PAGE = 32
# Hangul jamo and syllables, which are computed (The Unicode Standard, chapter 3.12).
L_BASE, V_BASE, T_BASE, S_BASE = 0x1100, 0x1161, 0x11A7, 0xAC00
L_COUNT, V_COUNT, T_COUNT = 19, 21, 28
S_COUNT = L_COUNT * V_COUNT * T_COUNT
_SEPARATOR = ord("\n")  # a starter that neither decomposes nor composes
_HIGHEST, _LOWEST = 0x0345, 0x0334  # marks of combining classes 240 and 1
_OWN, _UNUSUAL = 1 << 16, 1 << 32  # bits of the key that decides the row of a code point

Pair = tuple[int, int]


@dataclass(frozen=True)
class Normalization:
    """What normalization needs to know of a code point c, by its row: `pages[page_of[c // PAGE] * PAGE + c % PAGE]`.

    Most code points have row 0: starters that neither decompose nor compose.

    Attributes:
      page_of: by code point // PAGE, the page.
      pages: the rows of code points, page by page.
      last: code points from this one on have row 0.
      first_unusual_row: rows from this one on are of code points whose NFC_Quick_Check is not Yes.
      min_byte: a text of bytes below this one has no such code point, and no mark that may need another order.
      combining: by row, the rank of the canonical combining class; 0 for starters.
      starts: by row r, the full canonical decomposition is `parts[starts[r]:starts[r + 1]]`; empty for none.
      parts: the code points of the decompositions.
      growth: (a, b), no text of n bytes decomposes to more than n · a // b code points.
      left: by row.
      right: by row; the pair of rows (a, b) has the place left[a] + right[b].
      owner: by place, the row a of the pair that composes there; -1 for none.
      composed: by place, the code point that the pair composes to.
    """

    page_of: CompactInts
    pages: CompactInts
    last: int
    first_unusual_row: int
    min_byte: int
    combining: CompactInts
    starts: CompactInts
    parts: CompactInts
    growth: tuple[int, int]
    left: CompactInts
    right: CompactInts
    owner: CompactInts
    composed: CompactInts


@dataclass(frozen=True)
class _UnicodeData:
    """The Unicode data of `tokenizers`, without Hangul syllables.

    Attributes:
      combining: code point → the rank of its combining class; only the order of classes matters.
      decompositions: code point → its full canonical decomposition.
      pairs: two code points → their primary composite.
    """

    combining: Mapping[int, int]
    decompositions: Mapping[int, tuple[int, ...]]
    pairs: Mapping[Pair, int]


@functools.cache
def normalization() -> Normalization:
    """The tables, by the Unicode data of `tokenizers`, whose NFC is what a tokenizer.json means.

    In version 0.23 these data are older than those of Python's unicodedata, and lack a hundred marks. So the function
    normalizes every code point to find them, which takes a second.

    Raises:
      ValueError: if a composition does not allow the order in which the graph composes.
    """
    data = _read()
    _check(data)
    keys = _keys(data)
    special = np.flatnonzero(keys)
    last = (int(special[-1]) // PAGE + 1) * PAGE
    distinct, first, rows_of = np.unique(np.concatenate([[0], keys[special]]), return_index=True, return_inverse=True)
    points = np.concatenate([[0], special])[first].tolist()  # one of each row
    rows = np.zeros(last + PAGE, np.int32)
    rows[special] = rows_of.reshape(-1)[1:]
    pages, page_of = np.unique(rows.reshape(-1, PAGE), axis=0, return_inverse=True)
    parts = [data.decompositions.get(p, ()) for p in points]
    left, right, owner, composed = _displaced({(rows[a], rows[b]): c for (a, b), c in data.pairs.items()}, len(points))
    return Normalization(
        page_of=compact_ints(page_of.reshape(-1)),
        pages=compact_ints(pages.reshape(-1)),
        last=last,
        first_unusual_row=int(np.searchsorted(distinct, _UNUSUAL)),
        min_byte=chr(min(*np.flatnonzero(keys >= _UNUSUAL).tolist(), *data.combining)).encode()[0],
        combining=compact_ints(np.array([data.combining.get(p, 0) for p in points])),
        starts=compact_ints(np.cumsum([0, *map(len, parts)])),
        parts=compact_ints(np.array([part for decomposition in parts for part in decomposition])),
        growth=max(((len(w), len(chr(c).encode())) for c, w in data.decompositions.items()), key=lambda g: g[0] / g[1]),
        left=compact_ints(left),
        right=compact_ints(right),
        owner=compact_ints(owner),
        composed=compact_ints(composed),
    )


def _keys(data: _UnicodeData) -> Array:
    """The key of each code point, int64: code points of one key share a row, and rows are sorted by key."""
    keys = np.zeros(sys.maxunicode + 1, np.int64)
    keys[list(data.combining)] = list(data.combining.values())
    own = [*data.decompositions, *(point for pair in data.pairs for point in pair)]
    keys[own] = _OWN + np.array(own)
    composed = set(data.pairs.values())
    keys[[c for c in data.decompositions if c not in composed]] |= _UNUSUAL  # NFC_Quick_Check=No
    keys[[b for _, b in data.pairs]] |= _UNUSUAL  # Maybe
    keys[V_BASE : V_BASE + V_COUNT] |= _UNUSUAL
    keys[T_BASE + 1 : T_BASE + T_COUNT] |= _UNUSUAL
    return keys


def _read() -> _UnicodeData:
    nfd, nfc = normalizers.NFD(), normalizers.NFC()
    points = np.arange(sys.maxunicode + 1, dtype=np.uint32)
    points = points[((points < 0xD800) | (points >= 0xE000)) & (points != _SEPARATOR)]  # no surrogate
    flat, begins, sizes = _normalized(nfd, np.expand_dims(points, 1))
    is_same = (sizes == 1) & (flat[begins] == points)
    is_changed = ~is_same & ((points < S_BASE) | (points >= S_BASE + S_COUNT))
    decompositions = {
        int(p): tuple(flat[begin : begin + size].tolist())
        for p, begin, size in zip(points[is_changed], begins[is_changed], sizes[is_changed], strict=True)
    }
    return _UnicodeData(_combining(nfd, points[is_same]), decompositions, _pairs(nfc, decompositions))


def _normalized(normalizer: normalizers.Normalizer, texts: Array) -> tuple[Array, Array, Array]:
    """Texts `[n, k]` of code points, normalized and concatenated; where each begins `[n]`, and its size `[n]`."""
    ended = np.concatenate([texts, np.full((len(texts), 1), _SEPARATOR)], axis=1)
    flat = _points(normalizer.normalize_str(_text(ended)))
    ends = np.flatnonzero(flat == _SEPARATOR)
    begins = np.concatenate([[0], ends[:-1] + 1])
    return flat, begins, ends - begins


def _text(points: Array) -> str:
    return points.astype(np.uint32).tobytes().decode("utf-32-le")


def _points(text: str) -> Array:
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)


def _combining(nfd: normalizers.Normalizer, points: Array) -> dict[int, int]:
    """The ranks of the combining classes, from 1 on, of the marks among points that do not decompose.

    A mark of class 1 moves before one of class 240 unless a starter stands between the two, which shows the marks. A
    text of all marks is sorted by class, and marks of one class keep their order. So the marks, sorted once forwards
    and once backwards, show which of them share a class.
    """
    around = np.stack([np.full_like(points, _HIGHEST), points, np.full_like(points, _LOWEST)], axis=1)
    flat, begins, _ = _normalized(nfd, around)
    marks = points[flat[begins] != _HIGHEST]
    forwards, backwards = (_points(nfd.normalize_str(_text(order))) for order in (marks, marks[::-1]))
    place = dict(zip(backwards.tolist(), range(len(marks)), strict=True))
    places = np.array([place[mark] for mark in forwards.tolist()])
    ranks = np.cumsum(np.concatenate([[1], places[1:] > places[:-1]]))
    return dict(zip(forwards.tolist(), ranks.tolist(), strict=True))


def _pairs(nfc: normalizers.Normalizer, decompositions: Mapping[int, tuple[int, ...]]) -> dict[Pair, int]:
    """The primary composites: characters that decompose, and are themselves in Form C."""
    forms = dict(zip(decompositions, _each(nfc, map(chr, decompositions)), strict=True))
    composites = [c for c, form in forms.items() if form == chr(c)]
    lefts = _each(nfc, ("".join(map(chr, decompositions[c][:-1])) for c in composites))
    rights = [chr(decompositions[c][-1]) for c in composites]
    if _each(nfc, (a + b for a, b in zip(lefts, rights, strict=True))) != [chr(c) for c in composites]:
        raise ValueError("a canonical composite of `tokenizers` is not made of its decomposition")
    return {(ord(a), ord(b)): c for a, b, c in zip(lefts, rights, composites, strict=True)}


def _each(normalizer: normalizers.Normalizer, texts: Iterable[str]) -> list[str]:
    separator = chr(_SEPARATOR)
    return list(normalizer.normalize_str(separator.join(texts)).split(separator))


def _check(data: _UnicodeData) -> None:
    """Raises ValueError unless compositions can be made in any order: the graph composes all starters at once.

    No right half may be a left half too. A mark that composes with a composite must not have a lower class than the
    mark that is part of the composite.
    """
    lefts, rights = {a for a, _ in data.pairs}, {b for _, b in data.pairs}
    class_of_part = {c: data.combining.get(b, 0) for (_, b), c in data.pairs.items()}
    early = [c for (a, b), c in data.pairs.items() if 0 < data.combining.get(b, 0) < class_of_part.get(a, 0)]
    if wrong := [*(lefts & rights), *(lefts & set(data.combining)), *early]:
        raise ValueError(
            f"U+{wrong[0]:04X} of Unicode as `tokenizers` has it composes in an order that is not foreseen"
        )


def _displaced(pairs: Mapping[Pair, int], rows: int) -> tuple[Array, Array, Array, Array]:
    """Pairs of rows as a sparse matrix whose rows overlap in one array (Tarjan and Yao 1979, Storing a sparse table).

    Returns:
      The displacement of each left row, the column of each right row (0 for none), the owner and the value of each
      place.
    """
    rights = [b for _, b in pairs]
    number = {b: i + 1 for i, b in enumerate(sorted(set(rights), key=lambda b: (-rights.count(b), b)))}
    columns: dict[int, list[int]] = {}
    for a, b in pairs:
        columns.setdefault(a, []).append(number[b])
    left, taken = np.zeros(rows, np.int64), set[int]()
    for a in sorted(columns, key=lambda a: (-len(columns[a]), a)):
        left[a] = _first_fit(taken, columns[a])
        taken.update(int(left[a]) + c for c in columns[a])
    right = np.zeros(rows, np.int64)
    right[list(number)] = list(number.values())
    size = int(left.max()) + len(number) + 1
    owner, composed = np.full(size, -1), np.zeros(size, np.int64)
    for (a, b), c in pairs.items():
        owner[left[a] + right[b]], composed[left[a] + right[b]] = a, c
    return left, right, owner, composed


def _first_fit(taken: set[int], columns: Sequence[int]) -> int:
    place = 0
    while any(place + c in taken for c in columns):
        place += 1
    return place
