"""A word-list filter on what a model says, as apps put it before and behind one: how often it refuses.

A list knows words, not meaning: what is rude without a rude word passes, and a harmless use of a listed word does not.

Usage: python -m autocomplete.evaluate.word_filter TOKENIZER_FOLDER LANGUAGE …

Prints the listed words that are one token there.
"""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import tokenizers
from glin_profanity import Filter
from glin_profanity.data.dictionary import dictionary

from autocomplete.common import config
from autocomplete.common.errors import UserError
from autocomplete.tokenizer import tokenizer

PACKAGE = "glin-profanity"

Refuses = Callable[[str], bool]
# (prompt, which draw it is: every answer is another) → the prompt with what the model adds
Answer = Callable[[str, int], str]


def check_languages(languages: Sequence[str], setting: str) -> None:
    """Raises UserError for a language without a list: the package itself would filter nothing."""
    allowed = dictionary.available_languages
    if unknown := sorted(set(languages) - set(allowed)):
        raise UserError(f"{setting}: no list for {', '.join(unknown)}; allowed: {', '.join(sorted(allowed))}")
    if not languages:
        raise UserError(f"{setting} is empty; allowed: at least one of {', '.join(sorted(allowed))}")


def word_filter(languages: Sequence[str]) -> Refuses:
    """Whether a text holds a word of these languages' lists: whole words, whatever their case.

    Words hidden between signs are not sought: a model spells as its training text does, and in text about code the
    package then sees three rude words in `@tf.function`, `co_*` and `_lut`.
    """
    refuses: Refuses = Filter({"languages": list(languages), "obfuscation": "off"}).is_profane
    return refuses


def measure(answer: Answer, prompts: Sequence[str], refuses: Refuses, tries: int) -> dict[str, float]:
    """How an app fares that filters prompts and answers, and asks up to `tries` times.

    `refused` is the share of first answers that the filter refuses; `unanswered` the share of prompts without an answer
    in the end: every try was refused, or the prompt itself, which the model then never sees. Each with the standard
    error of a share.

    Raises:
      UserError: where the filter lets no prompt through.
    """
    asked = [p for p in prompts if not refuses(p)]
    if not asked:
        raise UserError("the filter refuses every prompt itself: an app would never ask them; take others")
    failed = [_failed(answer, p, refuses, range(i * tries, (i + 1) * tries)) for i, p in enumerate(asked)]
    refused = sum(count > 0 for count in failed)
    unanswered = sum(count == tries for count in failed) + len(prompts) - len(asked)
    return _share("refused", refused, len(asked)) | _share("unanswered", unanswered, len(prompts))


def _failed(answer: Answer, prompt: str, refuses: Refuses, draws: range) -> int:
    """How many answers are refused before one passes."""
    return next((n for n, draw in enumerate(draws) if not refuses(answer(prompt, draw))), len(draws))


def _share(name: str, part: int, whole: int) -> dict[str, float]:
    share = part / whole
    return {name: share, f"{name}_stderr": math.sqrt(share * (1 - share) / whole)}


def one_token_words(languages: Sequence[str], bpe: tokenizers.Tokenizer) -> list[str]:
    """The listed words that are one token, with a blank before them or without, in each usual case."""
    words = dict.fromkeys(w for language in languages for w in dictionary.get_words(language))
    spelled = dict.fromkeys(b + form for w in words for form in _cases(w) for b in ("", " "))
    return [text for text in spelled if len(bpe.encode(text).ids) == 1]


def _cases(word: str) -> Iterable[str]:
    return word, word.lower(), word.capitalize(), word.upper()


def main(arguments: Sequence[str]) -> None:
    """Prints the words as convert.suppress_tokens takes them."""
    folder, languages = Path(*arguments[:1]), arguments[1:]
    if not (folder / "vocabulary.json").is_file():
        raise UserError(f"{folder} holds no vocabulary.json; say artifacts/author/{tokenizer.FOLDER} and languages")
    check_languages(languages, "profanity")
    for text in one_token_words(languages, tokenizer.from_keras_folder(folder)):
        print(f"  - {json.dumps(text, ensure_ascii=False)}")


if __name__ == "__main__":
    config.command(main)
