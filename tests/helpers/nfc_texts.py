"""Texts that test Normalization Form C."""

import random
import sys
import unicodedata
from collections.abc import Iterable

import numpy as np

SIZE, LONG = 96, 1024

LONE = 0x10F000  # of private use: these stand for bytes that are part of no character
POINTS = [c for c in range(sys.maxunicode + 1) if not 0xD800 <= c < 0xE000 and not LONE <= c < LONE + 256]
COMPOSED = [c for c in POINTS if unicodedata.normalize("NFD", chr(c)) != chr(c) and not 0xAC00 <= c < 0xD7A4]
MARKS = [c for c in POINTS if unicodedata.combining(chr(c))]
HANGUL = [range(0x1100, 0x1113), range(0x1161, 0x1176), range(0x11A8, 0x11C3), range(0xAC00, 0xD7A4, 28)]
CASES = [
    "",
    "a",
    "plain ASCII\n",
    "naïve café",
    "日本語 テキスト",
    "“quoted” – text 👍",
    "привет",
    "a\x00b\x00",
    "\x00",
    "e\u0301",
    "cafe\u0301\x00e\u0301",
    "Vie\u0323\u0302t Nam",
    "a\u0302\u0323",
    "\u1ea1\u0302",
    "\u00e2\u0323",
    "\u01b0\u0323\u0300",
    "u\u0323\u031b\u0300",
    "\u03b1\u0345\u0301\u0313",
    "\u1f00\u0345\u0301",
    "\u0390\u0316",
    "\u01d5\u0316",
    "\u212b\u2126\u1f71\u212a\u0340\u0341\u0343\u0344\u0374\u037e\u0387",
    "\uf900\U0002f800\U0002fa1d",
    "\u0958\u0959\u09dc\u0a33\u0b5c\u0f43\ufb1d\ufb2a\ufb2c\ufb4e",
    "\u0915\u093c",
    "\u2adc",
    "\u2add\u0338",
    "\U0001d15e\U0001d163\U0001d1bb",
    "\U00011131\U00011127",
    "\U000114b9\U000114ba",
    "\U0001109a",
    "\u1100\u1161",
    "\u1100\u1161\u11a8",
    "\uac00\u11a8",
    "\uac01\u11a8",
    "\uac00\u11a7",
    "\u1100\u1100\u1161\u1161",
    "\u1100\u0300\u1161",
    "\uac00\u0300\u11a8",
    "\u1161\u11a8",
    "\u1112\u1175\u11c2",
    "\ud7a3",
    "\uac00\u1161\u11a8",
    "a\u0300\u0300",
    "a\u0316\u0316\u0300",
    "a\u0327\u0316\u0301",
    "a b\u0301",
    "a\u200d\u0301",
    "\u0301\u0316a\u0301",
    "a\u0f39\u0327\u0334\u0301",
    "\u0301",
    "\u0316\u0301\u0316",
    "\u09c7\u09be",
    "\u09c7\u0334\u09be",
    "\u0b47\u0b56",
    "\u0cc6\u0cc2\u0cd5",
    "\u0dd9\u0dcf\u0dca",
    "\u0dd9\u0dca\u0dcf",
    "\u1025\u102e\u0300",
    "\u1b05\u1b35\u1b34",
    "\u0f71\u0f72\u0f74\u0f80",
    "\u0fb2\u0f71\u0f80",
    "\u0f81\u0f73\u0f75",
    "か\u3099は\u309a\u3099",
    "<\u0338=\u0338",
    "\u05d0\u05b8\u05bc\u05c1",
    "\u0628\u064e\u0651\u0654",
    "\u0627\u0655\u0653",
    "\U00011935\U00011930",
    "\u0eba\u0e38",
]
BROKEN = [
    b"\xff",
    b"\xc3",
    b"e\xcc",
    b"e\x81",
    b"e\xcc\xcc\x81",
    b"e\xff\xcc\x81",
    b"\xed\xa0\x80\xcc\x81",
    b"\x80\x80e\xcc\x81",
    b"\xf4\x90\x80\x80",
    b"\xe1\x84\x80\xe1\x85\x80\xe1\x85\xa1",
    b"\xc0\x80e\xcc\x81",
    b"e\xcc\x81\xe1\x84",
]


def packed(pieces: Iterable[str]) -> list[bytes]:
    """Joins short texts, one per line, to texts of up to LONG bytes."""
    lines = [f"{piece}\n".encode() for piece in pieces]
    ends = np.cumsum([0, *map(len, lines)])
    joined, texts, begin = b"".join(lines), [], 0
    while begin < len(joined):
        end = int(ends[np.searchsorted(ends, begin + LONG, side="right") - 1])
        texts.append(joined[begin:end])
        begin = end
    return texts


def fuzz(count: int, seed: int) -> list[bytes]:
    """Random texts of code points that normalization mostly changes, cut at any byte."""
    rng = random.Random(seed)
    latin = [c for c in COMPOSED if c < 0x250 or 0x1E00 <= c < 0x2000]
    common = [*range(0x300, 0x346), 0x0338, 0x0653, 0x093C, 0x3099, 0x309A]
    pools = [
        range(0x20, 0x7F),
        latin,
        common,
        COMPOSED,
        MARKS,
        POINTS,
        *HANGUL,
        [0, 0x20, 0x61, 0x65, 0x6F, 0x75, 0x3B1],
    ]
    texts = []
    for _ in range(count):
        chosen = rng.sample(pools, rng.randint(1, 4))
        text = "".join(chr(rng.choice(rng.choice(chosen))) for _ in range(rng.randint(1, SIZE)))
        text = unicodedata.normalize(rng.choice(["NFD", "NFC"]), text) if rng.random() < 0.5 else text
        texts.append(text.encode()[: rng.choice([SIZE, rng.randint(1, SIZE)])])
    return texts
