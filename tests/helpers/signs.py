"""Characters and words that are unusual for a tokenizer."""

import sys
import unicodedata

END = "<|endoftext|>"

WHITE = [chr(c) for c in range(sys.maxunicode + 1) if chr(c).isspace()]
CONTROLS = [*map(chr, [*range(0x20), *range(0x7F, 0xA0)]), *"\u200b\u200c\u200d\u2028\u2060\ufeff\ufffe\uffff\ufffd"]

# each script's digits, and numbers that are not decimal digits
DIGITS = [chr(c) for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c)) in ("Nd", "Nl", "No")]

# letters and digits newer than Unicode 14, Python 3.11's version (Kawi, CJK's extensions H and I, Garay, Cyrillic)
YOUNG = [*map(chr, [0x11F02, 0x11F12, 0x11F50, 0x31350, 0x323AF, 0x2EBF0, 0x10D40, 0x10D4A, 0x1C89, 0xA7CB, 0x1E030])]
_MARKED = [(0x300, 0x370), (0x591, 0x5BD), (0x64B, 0x653), (0x93A, 0x94F), (0x20D0, 0x20F0)]
MARKS = [chr(c) for first, last in _MARKED for c in range(first, last)]
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
