"""Ten thousand strings of at most 200 bytes that test the tokenizers of real models, the same in each run."""

import itertools
import sys
import unicodedata
from collections.abc import Sequence
from random import Random

from helpers import signs, texts

COUNT, LONGEST, SEED = 10_000, 200, 2
YOUNG = frozenset(signs.YOUNG)  # of scripts that some tables of Unicode lack
# Characters that a normalizer changes: letters with accents, and signs that have the form of another.
CHANGED = [
    chr(c)
    for c in range(sys.maxunicode + 1)
    if not 0xD800 <= c < 0xE000 and unicodedata.normalize("NFC", chr(c)) != chr(c)
]
JAMO = [*map(chr, [*range(0x1100, 0x1200), *range(0x3131, 0x318F), *range(0xA960, 0xA97D), *range(0xD7B0, 0xD7FC)])]
SCRIPTS = [
    (0x41, 0x5B),
    (0x61, 0x7B),
    (0xC0, 0x250),
    (0x391, 0x3CA),
    (0x410, 0x450),
    (0x531, 0x557),
    (0x5D0, 0x5EB),
    (0x621, 0x64B),
    (0x905, 0x93A),
    (0xE01, 0xE2F),
    (0x10A0, 0x10C6),
    (0x1780, 0x17B4),
    (0x3041, 0x3097),
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A4),
    (0x1F300, 0x1F5FF),
    (0x1D400, 0x1D455),
    (0x10330, 0x1034B),
]


def strings(prose: Sequence[str]) -> list[str]:
    """The short strings of texts.py, and strings of Korean, normal forms, blanks and mixed scripts."""
    rng = Random(SEED)
    words = [word for text in prose for word in text.split()]
    families: list[texts.Family] = [
        texts.planes,
        texts.code,
        texts.emoji,
        texts.marks,
        texts.cjk,
        texts.rtl,
        texts.white,
        texts.controls,
        texts.contractions,
        texts.digits,
        texts.special,
        texts.young,
        korean,
        changed,
        blanks,
        indented,
        shouted,
        scripts,
        lambda r: texts.part(r, prose),
        lambda r: texts.sample(r, words, 12),
    ]
    families.append(lambda r: "".join(r.choice(families[:-1])(r)[:12] for _ in range(r.randint(2, 5))))
    selected = {text: None for text in texts.listed() if len(text.encode()) <= LONGEST}
    for family in itertools.cycle(families):
        if len(selected) == COUNT:
            return list(selected)
        selected[_cut(family(rng))] = None
    raise AssertionError


def _cut(text: str) -> str:
    """At most 200 bytes of a text, whole characters."""
    return text.encode()[:LONGEST].decode(errors="ignore")


def korean(rng: Random) -> str:
    """Syllables as one character, syllables as letters, and letters that form no syllable."""
    syllables = "".join(chr(rng.randrange(0xAC00, 0xD7A4)) for _ in range(rng.randint(1, 8)))
    decomposed = unicodedata.normalize("NFD", syllables)
    return rng.choice(
        [syllables, decomposed, f"{syllables} {decomposed}", texts.sample(rng, [*JAMO, *syllables, " "], 16)]
    )


def changed(rng: Random) -> str:
    """Characters with another normal form, without marks and with marks that normalization sorts."""
    return texts.sample(rng, [rng.choice(CHANGED), rng.choice(CHANGED), rng.choice(signs.MARKS), "a", "e", " "], 12)


def blanks(rng: Random) -> str:
    """Long runs of blanks, tabs and line ends, between, before and after words."""
    run = rng.choice([" ", " ", "\t", "\n", "\r\n", "\u00a0", "\u3000", " \n", "  \n\n"])
    parts = [run * rng.randint(1, 40), rng.choice(["", "word", "if x:", "7", "!"])]
    return "".join(parts) if rng.random() < 0.5 else "".join(reversed(parts)) + run


def indented(rng: Random) -> str:
    """Lines of code indented by blanks or tabs, with each system's line ends."""
    indent, end = rng.choice(["  ", "    ", "\t"]), rng.choice(["\n", "\r\n", "\r", "\n\n"])
    return end.join(
        indent * rng.randint(0, 5) + texts.sample(rng, signs.CODE, 4).strip() for _ in range(rng.randint(1, 6))
    )


def shouted(rng: Random) -> str:
    """Contractions with either apostrophe, in either case."""
    text = texts.contractions(rng).replace("'", rng.choice("'’ʼ"))
    return rng.choice([text, text.upper(), text.swapcase()])


def scripts(rng: Random) -> str:
    """Letters of several scripts in one word, numbers of others among them."""
    letters = [chr(rng.randrange(*rng.choice(SCRIPTS))) for _ in range(rng.randint(1, 24))]
    return "".join(c + rng.choice(["", "", "", " ", "'", "-", rng.choice(signs.DIGITS)]) for c in letters)
