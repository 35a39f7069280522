"""Ten thousand different strings that try a tokenizer, the same ones each time."""

import itertools
import random
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence

COUNT, SEED = 10_000, 1
END = "<|endoftext|>"
Random = random.Random
Family = Callable[[Random], str]

WHITE = [chr(c) for c in range(sys.maxunicode + 1) if chr(c).isspace()]
CONTROLS = [*map(chr, [*range(0x20), *range(0x7F, 0xA0)]), *"\u200b\u200c\u200d\u2028\u2060\ufeff\ufffe\uffff\ufffd"]
# of each script's digits, and of numbers that are no decimal digits
DIGITS = [chr(c) for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c)) in ("Nd", "Nl", "No")]
# letters and digits younger than Unicode 14, which Python 3.11 knows (Kawi, CJK's extensions H and I, Garay, Cyrillic)
YOUNG = [*map(chr, [0x11F02, 0x11F12, 0x11F50, 0x31350, 0x323AF, 0x2EBF0, 0x10D40, 0x10D4A, 0x1C89, 0xA7CB, 0x1E030])]
MARKS = [chr(c) for a, b in [(0x300, 0x370), (0x591, 0x5BD), (0x64B, 0x653), (0x93A, 0x94F), (0x20D0, 0x20F0)] for c in range(a, b)]  # fmt: skip # noqa: E501
SPECIAL = [
    END,
    "<|padding|>",
    "<|endoftext|",
    "|endoftext|>",
    "<|ENDOFTEXT|>",
    "<| endoftext |>",
    "<|end",
    "oftext|>",
    "<s>",
    "</s>",
    "<pad>",
    "<unk>",
    "<bos>",
    "<eos>",
    "[CLS]",
    "[MASK]",
    "<start_of_turn>",
    "<|im_start|>",
    "<0x0A>",
    "▁",
    "Ġ",
    "Ċ",
    "ĠĠ",
    "Ĵ",
    "ĴA",
    "६",
    "<ctrl>",
]
CONTRACTIONS = [
    "'s",
    "'t",
    "'re",
    "'ve",
    "'m",
    "'ll",
    "'d",
    "'S",
    "'T",
    "'RE",
    "'Ve",
    "'lL",
    "'M",
    "'D",
    "'ſ",
    "’s",
    "'",
    "''",
    "'r",
    "'v",
    "'l",
    "'x",
    "`s",
    "' s",
]
WORDS = ["I", "don", "they", "we", "It", "rock", "n", "Value", "the", "returns", "naïve", "Straße", "façade", "x", "a"]
CODE = [
    "def ",
    "self",
    "return ",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "):\n",
    "    ",
    "\n",
    "\n\n",
    "\t",
    "\r\n",
    " = ",
    "==",
    "!=",
    "->",
    "**kwargs",
    "_name",
    "camelCase",
    "SNAKE_CASE",
    "0x1F",
    "1e-5",
    "123456",
    "3.14",
    '"',
    "'",
    '"""',
    "# ",
    "//",
    "/*",
    "*/",
    ";",
    ",",
    ", ",
    ".",
    "...",
    ">>> ",
    "@property",
    "%s",
    "f'{x!r}'",
    "\\n",
    "~",
    "&&",
    "$",
    "for i in range(10):",
    "import numpy as np",
    "</div>",
    '<a href="#">',
    "print",
]
PEOPLE = ["👩", "👨", "🧑", "👶", "👍", "👋", "🫱", "🤝"]
TONES = [*map(chr, range(0x1F3FB, 0x1F400))]
PICTURES = ["❤", "☺", "🔥", "🚀", "🏳", "🌈", "💻", "🔬", "🏴", "🎄", "✈", "©", "™", "🥹", "🫠", "🫩"]
ZWJ, VS15, VS16, KEYCAP = "\u200d", "\ufe0e", "\ufe0f", "\u20e3"
BIDI = [*map(chr, [0x200E, 0x200F, 0x202A, 0x202B, 0x202C, 0x202D, 0x202E, 0x2066, 0x2067, 0x2069, 0x61C])]


def texts(prose: Sequence[str], pieces: Sequence[str]) -> list[str]:
    """The strings: those listed, then each family's in turn.

    Args:
      prose: documents of which parts are taken.
      pieces: texts of tokens: side by side they try the merges.
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
    families += [lambda r: part(r, prose), lambda r: some(r, pieces, 12)]
    families += [lambda r: "".join(r.choice(families[:14])(r)[:12] for _ in range(r.randint(2, 5)))]
    strings = dict.fromkeys(itertools.chain(listed(), tokens(pieces)))
    for family in itertools.cycle(families):
        strings[family(rng)] = None
        if len(strings) == COUNT:
            return list(strings)
    raise AssertionError


def listed() -> Iterator[str]:
    """The empty string, every white space and control character in its places, and very long words."""
    yield ""
    for c in [*WHITE, *CONTROLS]:
        yield from (c, c * 2, c * 3, f"word{c}word", f"word{c}{c}word", f"word {c}word", f"word{c} word", f"word  {c}word", f"9{c}9", f"word{c}", f"{c}!")  # fmt: skip # noqa: E501
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
    """Every token's text once, with a sign between that is part of few."""
    for first in range(0, len(pieces), 16):
        yield "|".join(pieces[first : first + 16])


def some(rng: Random, characters: Sequence[str], most: int) -> str:
    return "".join(rng.choices(characters, k=rng.randint(1, most)))


def planes(rng: Random) -> str:
    """Any code points but surrogates, every plane as often: assigned, private, noncharacters."""
    points = [rng.randrange(17) * 0x10000 + rng.randrange(0x10000) for _ in range(rng.randint(1, 16))]
    return "".join(chr(c) for c in points if not 0xD800 <= c < 0xE000)


def code(rng: Random) -> str:
    return some(rng, CODE, 20)


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
    """Letters under any number of combining marks, and composed text taken apart."""
    piled = "".join(rng.choice("aeiouxאبक 1-") + "".join(rng.choices(MARKS, k=rng.randint(0, 3))) for _ in range(6))
    return rng.choice([piled, unicodedata.normalize("NFD", some(rng, ["é", "ü", "Å", "ệ", "각", "n", " "], 12))])


def cjk(rng: Random) -> str:
    ranges = [(0x4E00, 0xA000), (0x3041, 0x3097), (0x30A1, 0x30FB), (0xAC00, 0xD7A4), (0x20000, 0x2A6E0), (0xFF01, 0xFF5F)]  # fmt: skip # noqa: E501
    drawn = [chr(rng.randrange(*rng.choice(ranges))) for _ in range(rng.randint(1, 20))]
    return "".join(c + rng.choice(["", "", "", "。", "、", "\u3000", " ", "a", "１"]) for c in drawn)


def rtl(rng: Random) -> str:
    ranges = [(0x5D0, 0x5EB), (0x621, 0x64B), (0x671, 0x6D4), (0x710, 0x730), (0x780, 0x7A6), (0xFB50, 0xFBB2)]
    letters = [chr(rng.randrange(*rng.choice(ranges))) for _ in range(rng.randint(1, 20))]
    return "".join(c + rng.choice(["", "", "", " ", "،", "؟", "٣", "1", rng.choice(BIDI), rng.choice(MARKS)]) for c in letters)  # fmt: skip # noqa: E501


def white(rng: Random) -> str:
    return some(rng, [rng.choice(WHITE), " ", "\n", rng.choice(WHITE), "a", "word", "1", "!"], 12)


def controls(rng: Random) -> str:
    return some(rng, [rng.choice(CONTROLS), rng.choice(CONTROLS), "a", "Word", " ", "7", "."], 12)


def contractions(rng: Random) -> str:
    return "".join(rng.choice(WORDS) + rng.choice(CONTRACTIONS) + rng.choice(["", " ", "  "]) for _ in range(4))


def digits(rng: Random) -> str:
    return "".join(some(rng, DIGITS, 6) + rng.choice(["", " ", ".", ",", "a", "\n"]) for _ in range(4))


def special(rng: Random) -> str:
    return some(rng, [*SPECIAL, " ", "a", "\n"], 5)


def young(rng: Random) -> str:
    return some(rng, [*YOUNG, "a", "1", "文", " ", "!"], 12)


def part(rng: Random, documents: Sequence[str]) -> str:
    document = rng.choice(documents)
    first = rng.randrange(len(document))
    return document[first : first + rng.randint(1, 300)]
