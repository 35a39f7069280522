"""Constant tables of Unicode Normalization Form C (Unicode Standard Annex #15), for a graph of integer operations."""

import functools
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import normalizers

from autocomplete.common.arrays import Array
from autocomplete.graph.bpe_tables import Column, column

PAGE = 32
# Conjoining jamo and syllables, of which no table is needed (The Unicode Standard, chapter 3.12).
L_BASE, V_BASE, T_BASE, S_BASE = 0x1100, 0x1161, 0x11A7, 0xAC00
L_COUNT, V_COUNT, T_COUNT = 19, 21, 28
S_COUNT = L_COUNT * V_COUNT * T_COUNT
_SEPARATOR = ord("\n")  # a starter that neither decomposes nor composes
_HIGHEST, _LOWEST = 0x0345, 0x0334  # marks of combining classes 240 and 1
_OWN, _UNUSUAL = 1 << 16, 1 << 32  # in a number that tells the row of a code point

Pair = tuple[int, int]


@dataclass(frozen=True)
class Normalization:
    """What normalization needs to know of a code point, by its row: `pages[page_of[c // PAGE] * PAGE + c % PAGE]`.

    Most code points have row 0, those from `last` on too: starters that neither decompose nor compose. Hangul is
    computed, not looked up.
    """

    page_of: Column
    pages: Column
    last: int
    unusual: int  # the first row of code points whose NFC_Quick_Check is not Yes
    least: int  # a text of bytes below this one holds no such code point, and no mark that others would move
    combining: Column  # by row, the rank of the canonical combining class: 0 for starters
    starts: Column  # by row r, the full canonical decomposition `parts[starts[r]:starts[r + 1]]`; empty: itself
    parts: Column
    growth: tuple[int, int]  # no text of n bytes decomposes to more than n · a // b code points
    left: Column  # by row
    right: Column  # by row; a pair of rows a, b has its place at left[a] + right[b]
    owner: Column  # by place, the row a of the pair that composes there
    composed: Column  # by place, the code point that it composes to


@dataclass(frozen=True)
class _Data:
    """Unicode's data as `tokenizers` has them, less Hangul syllables.

    Combining classes stand for themselves by their rank: only their order counts.
    """

    combining: Mapping[int, int]
    decompositions: Mapping[int, tuple[int, ...]]
    pairs: Mapping[Pair, int]


@functools.cache
def normalization() -> Normalization:
    """The tables, by the Unicode of `tokenizers`, whose NFC is what a tokenizer.json means.

    In version 0.23 this Unicode is older than that of Python's unicodedata: it lacks a hundred marks. So every code
    point is normalized to find the data, which takes a second.

    Raises:
      ValueError: where that Unicode has a composition that the graph's order of work does not allow.
    """
    data = _read()
    _check(data)
    keys = _keys(data)
    some = np.flatnonzero(keys)
    last = (int(some[-1]) // PAGE + 1) * PAGE
    distinct, first, rows_of = np.unique(np.concatenate([[0], keys[some]]), return_index=True, return_inverse=True)
    points = np.concatenate([[0], some])[first].tolist()  # one of each row
    rows = np.zeros(last + PAGE, np.int32)
    rows[some] = rows_of.reshape(-1)[1:]
    pages, page_of = np.unique(rows.reshape(-1, PAGE), axis=0, return_inverse=True)
    parts = [data.decompositions.get(p, ()) for p in points]
    left, right, owner, composed = _displaced({(rows[a], rows[b]): c for (a, b), c in data.pairs.items()}, len(points))
    return Normalization(
        page_of=column(page_of.reshape(-1)),
        pages=column(pages.reshape(-1)),
        last=last,
        unusual=int(np.searchsorted(distinct, _UNUSUAL)),
        least=chr(min(*np.flatnonzero(keys >= _UNUSUAL).tolist(), *data.combining)).encode()[0],
        combining=column(np.array([data.combining.get(p, 0) for p in points])),
        starts=column(np.cumsum([0, *map(len, parts)])),
        parts=column(np.array([part for whole in parts for part in whole])),
        growth=max(((len(w), len(chr(c).encode())) for c, w in data.decompositions.items()), key=lambda g: g[0] / g[1]),
        left=column(left),
        right=column(right),
        owner=column(owner),
        composed=column(composed),
    )


def _keys(data: _Data) -> Array:
    """A number for each code point, int64; those of one number share a row, and rows are in order of the numbers."""
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


def _read() -> _Data:
    nfd, nfc = normalizers.NFD(), normalizers.NFC()
    points = np.arange(sys.maxunicode + 1, dtype=np.uint32)
    points = points[((points < 0xD800) | (points >= 0xE000)) & (points != _SEPARATOR)]  # less the surrogates
    flat, begins, sizes = _normalized(nfd, np.expand_dims(points, 1))
    same = (sizes == 1) & (flat[begins] == points)
    changed = ~same & ((points < S_BASE) | (points >= S_BASE + S_COUNT))
    decompositions = {
        int(p): tuple(flat[begin : begin + size].tolist())
        for p, begin, size in zip(points[changed], begins[changed], sizes[changed], strict=True)
    }
    return _Data(_combining(nfd, points[same]), decompositions, _pairs(nfc, decompositions))


def _normalized(normalizer: normalizers.Normalizer, texts: Array) -> tuple[Array, Array, Array]:
    """Texts `[n, k]` of code points one by one, on end, and where each begins `[n]`, and how long each is `[n]`."""
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
    """Ranks of the combining classes, from 1 on, of those points, which do not decompose, that have one.

    A mark of class 1 moves to the front of one of class 240 unless a starter stands between the two. All marks in one
    text are sorted by their classes, and those of one class keep their order: so it shows which share one.
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
    """Primary composites by what they are composed of: those that decompose, but not in this form."""
    kept = dict(zip(decompositions, _each(nfc, map(chr, decompositions)), strict=True))
    composites = [c for c, form in kept.items() if form == chr(c)]
    lefts = _each(nfc, ("".join(map(chr, decompositions[c][:-1])) for c in composites))
    rights = [chr(decompositions[c][-1]) for c in composites]
    if _each(nfc, (a + b for a, b in zip(lefts, rights, strict=True))) != [chr(c) for c in composites]:
        raise ValueError("a canonical composite of `tokenizers` is not made of its decomposition")
    return {(ord(a), ord(b)): c for a, b, c in zip(lefts, rights, composites, strict=True)}


def _each(normalizer: normalizers.Normalizer, texts: Iterable[str]) -> list[str]:
    separator = chr(_SEPARATOR)
    return list(normalizer.normalize_str(separator.join(texts)).split(separator))


def _check(data: _Data) -> None:
    """Raises ValueError unless compositions can be made in any order, as the graph makes those of all starters at once.

    No right half is a left one too; a mark that composes with a composite comes no earlier than the composite's own.
    """
    lefts, rights = {a for a, _ in data.pairs}, {b for _, b in data.pairs}
    own = {c: data.combining.get(b, 0) for (_, b), c in data.pairs.items()}
    early = [c for (a, b), c in data.pairs.items() if 0 < data.combining.get(b, 0) < own.get(a, 0)]
    if wrong := [*(lefts & rights), *(lefts & set(data.combining)), *early]:
        raise ValueError(
            f"U+{wrong[0]:04X} of Unicode as `tokenizers` has it composes in an order that is not foreseen"
        )


def _displaced(pairs: Mapping[Pair, int], rows: int) -> tuple[Array, Array, Array, Array]:
    """Pairs of rows as a sparse matrix whose rows overlap in one array (Tarjan and Yao 1979, "Storing a sparse table").

    Returns:
      Displacement of each left row, column of each right row (0: none), owner and value of each place.
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
