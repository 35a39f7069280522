"""Ten thousand different strings that test a tokenizer, the same in each run."""

import itertools
import random
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from helpers.signs import (
    BIDI,
    CODE,
    CONTRACTIONS,
    CONTROLS,
    DIGITS,
    KEYCAP,
    MARKS,
    PEOPLE,
    PICTURES,
    SPECIAL,
    TONES,
    VS15,
    VS16,
    WHITE,
    WORDS,
    YOUNG,
    ZWJ,
)

COUNT, SEED = 10_000, 1

Random = random.Random
Family = Callable[[Random], str]


def texts(prose: Sequence[str], pieces: Sequence[str]) -> list[str]:
    """The strings: those listed, then each family's in turn.

    Args:
      prose: documents from which parts are drawn.
      pieces: texts of tokens: joined, they test the merges.
    """
    rng = Random(SEED)
    families: list[Family] = [
        planes,
        code,
        emoji,
        marks,
        cjk,
        rtl,
        white,
        controls,
        contractions,
        digits,
        special,
        young,
    ]
    families += [lambda r: part(r, prose), lambda r: sample(r, pieces, 12)]
    families += [lambda r: "".join(r.choice(families[:14])(r)[:12] for _ in range(r.randint(2, 5)))]
    strings = dict.fromkeys(itertools.chain(listed(), tokens(pieces)))
    for family in itertools.cycle(families):
        strings[family(rng)] = None
        if len(strings) == COUNT:
            return list(strings)
    raise AssertionError


def listed() -> Iterator[str]:
    """The empty string, every white space and control character in several positions, and very long words."""
    yield ""
    for c in [*WHITE, *CONTROLS]:
        yield from (c, c * 2, c * 3, f"word{c}word", f"word{c}{c}word", f"word {c}word", f"word{c} word")
        yield from (f"word  {c}word", f"9{c}9", f"word{c}", f"{c}!")
    for c in CONTRACTIONS:
        yield from (c, f"I{c}", f"I{c}x", f" {c}", f"1{c}", f"!{c}", f"I{c}{c}")
    for c in SPECIAL:
        yield from (c, c * 2, f" {c} ", f"a{c}b", f"{c}\n", f"\n{c}")
    for c in DIGITS:
        yield from (c, c * 3 + " " + c * 4)
    for length in (100, 200, 400, 700, 787, 788, 789, 1_000, 5_000):
        yield from (c * length for c in ("a", "ab", "-", "9", " ", "\n", "é", "文", "👍", "\u0301"))
        yield "".join(Random(length).choices("etaoinshrdlu", k=length))


def tokens(pieces: Sequence[str]) -> Iterator[str]:
    """Every token's text once, joined by a character that few tokens have."""
    for first in range(0, len(pieces), 16):
        yield "|".join(pieces[first : first + 16])


def sample(rng: Random, characters: Sequence[str], most: int) -> str:
    return "".join(rng.choices(characters, k=rng.randint(1, most)))


def planes(rng: Random) -> str:
    """Any code points but surrogates, from all planes alike: assigned, private, noncharacters."""
    points = [rng.randrange(17) * 0x10000 + rng.randrange(0x10000) for _ in range(rng.randint(1, 16))]
    return "".join(chr(c) for c in points if not 0xD800 <= c < 0xE000)


def code(rng: Random) -> str:
    return sample(rng, CODE, 20)


def emoji(rng: Random) -> str:
    def one() -> str:
        person = rng.choice(PEOPLE) + rng.choice([*TONES, ""])
        picture = rng.choice(PICTURES) + rng.choice([VS15, VS16, ""])
        flag = "".join(rng.choices([*map(chr, range(0x1F1E6, 0x1F200))], k=2))
        region = "🏴" + "".join(chr(0xE0000 + ord(c)) for c in "gbsct") + "\U000e007f"
        family = ZWJ.join(rng.choices(PEOPLE, k=rng.randint(2, 4)))
        keycap = rng.choice("0123456789#*") + VS16 + KEYCAP
        return rng.choice([person, picture, flag, region, family, keycap, person + ZWJ + picture, " ", "wow"])

    return "".join(one() for _ in range(rng.randint(1, 8)))


def marks(rng: Random) -> str:
    """Letters with up to three combining marks, and decomposed text."""
    piled = "".join(rng.choice("aeiouxאبक 1-") + "".join(rng.choices(MARKS, k=rng.randint(0, 3))) for _ in range(6))
    return rng.choice([piled, unicodedata.normalize("NFD", sample(rng, ["é", "ü", "Å", "ệ", "각", "n", " "], 12))])


def cjk(rng: Random) -> str:
    ranges = [(0x4E00, 0xA000), (0x3041, 0x3097), (0x30A1, 0x30FB), (0xAC00, 0xD7A4), (0x20000, 0x2A6E0)]
    ranges.append((0xFF01, 0xFF5F))
    drawn = [chr(rng.randrange(*rng.choice(ranges))) for _ in range(rng.randint(1, 20))]
    return "".join(c + rng.choice(["", "", "", "。", "、", "\u3000", " ", "a", "１"]) for c in drawn)


def rtl(rng: Random) -> str:
    ranges = [(0x5D0, 0x5EB), (0x621, 0x64B), (0x671, 0x6D4), (0x710, 0x730), (0x780, 0x7A6), (0xFB50, 0xFBB2)]
    letters = [chr(rng.randrange(*rng.choice(ranges))) for _ in range(rng.randint(1, 20))]
    signs = ["", "", "", " ", "،", "؟", "٣", "1"]
    return "".join(c + rng.choice([*signs, rng.choice(BIDI), rng.choice(MARKS)]) for c in letters)


def white(rng: Random) -> str:
    return sample(rng, [rng.choice(WHITE), " ", "\n", rng.choice(WHITE), "a", "word", "1", "!"], 12)


def controls(rng: Random) -> str:
    return sample(rng, [rng.choice(CONTROLS), rng.choice(CONTROLS), "a", "Word", " ", "7", "."], 12)


def contractions(rng: Random) -> str:
    return "".join(rng.choice(WORDS) + rng.choice(CONTRACTIONS) + rng.choice(["", " ", "  "]) for _ in range(4))


def digits(rng: Random) -> str:
    return "".join(sample(rng, DIGITS, 6) + rng.choice(["", " ", ".", ",", "a", "\n"]) for _ in range(4))


def special(rng: Random) -> str:
    return sample(rng, [*SPECIAL, " ", "a", "\n"], 5)


def young(rng: Random) -> str:
    return sample(rng, [*YOUNG, "a", "1", "文", " ", "!"], 12)


def part(rng: Random, documents: Sequence[str]) -> str:
    document = rng.choice(documents)
    first = rng.randrange(len(document))
    return document[first : first + rng.randint(1, 300)]
