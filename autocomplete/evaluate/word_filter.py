"""A word-list filter on answers, as apps put one before and behind a model: how often it refuses.

A list knows words, not meaning. Rudeness without a listed word passes, and a harmless use of a listed word does not.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import tokenizers
from glin_profanity import Filter
from glin_profanity.data.dictionary import dictionary

from autocomplete.common.errors import UserError

if TYPE_CHECKING:
    from autocomplete.evaluate.mode_files import ModeFiles

PACKAGE = "glin-profanity"

Refuses = Callable[[str], bool]
# (prompt, number of the draw, each of which gives another answer) → the prompt with what the model adds
Answer = Callable[[str, int], str]


def check_languages(languages: Sequence[str], setting: str) -> None:
    """Raises UserError for a language without a list: the package itself would filter nothing."""
    allowed = dictionary.available_languages
    if unknown := sorted(set(languages) - set(allowed)):
        raise UserError(f"{setting}: no list for {', '.join(unknown)}; allowed: {', '.join(sorted(allowed))}")
    if not languages:
        raise UserError(f"{setting} is empty; allowed: at least one of {', '.join(sorted(allowed))}")


def word_filter(languages: Sequence[str]) -> Refuses:
    """Whether a text holds a word of these languages' lists: whole words, in any case.

    Words obfuscated by signs are not sought. A model spells as its training text does, and in text about code the
    package would see three rude words in `@tf.function`, `co_*` and `_lut`.
    """
    refuses: Refuses = Filter({"languages": list(languages), "obfuscation": "off"}).is_profane
    return refuses


def measure_tokens_model(
    mode: "ModeFiles", prompts: Sequence[str], languages: Sequence[str], tries: int, seed: int
) -> dict[str, float]:
    """The metrics of `measure` for the shipped tokens model with the text model's sampler.

    The same seed draws the same answers. The model runs in one thread: with two the loop's small operators wait for
    each other, and take twice the processor's time.
    """
    # not above: `check_languages` is called before anything is loaded
    from autocomplete.runtime import interpreters, tokens_model

    max_length = mode.conversion.sequence_length
    generate = tokens_model.interpreted(interpreters.litert(mode.shipped / "tokens.tflite", 1))

    def answer(prompt: str, draw: int) -> str:
        ids = mode.prompt_ids(prompt)
        new_ids = generate(ids, max_length, mode.sampling(seed + draw))[len(ids) :]
        return mode.text_answer(prompt, new_ids).decode()

    return measure(answer, prompts, word_filter(languages), tries)


def measure(answer: Answer, prompts: Sequence[str], refuses: Refuses, tries: int) -> dict[str, float]:
    """How often an app that filters prompts and answers, and asks up to `tries` times, shows nothing.

    `refused` is the share of first answers that the filter refuses. `unanswered` is the share of prompts without an
    answer in the end: the filter refused every try, or the prompt itself, which the model then never sees. Each has
    the standard error of a share.

    Raises:
      UserError: where the filter lets no prompt through.
    """
    accepted = [p for p in prompts if not refuses(p)]
    if not accepted:
        raise UserError("the filter refuses every prompt itself: an app would never ask them; take others")
    failed = [_failed_draws(answer, p, refuses, range(i * tries, (i + 1) * tries)) for i, p in enumerate(accepted)]
    refused = sum(count > 0 for count in failed)
    unanswered = sum(count == tries for count in failed) + len(prompts) - len(accepted)
    return _share("refused", refused, len(accepted)) | _share("unanswered", unanswered, len(prompts))


def _failed_draws(answer: Answer, prompt: str, refuses: Refuses, draws: range) -> int:
    """How many answers are refused before one passes."""
    return next((n for n, draw in enumerate(draws) if not refuses(answer(prompt, draw))), len(draws))


def _share(name: str, part: int, whole: int) -> dict[str, float]:
    share = part / whole
    return {name: share, f"{name}_stderr": math.sqrt(share * (1 - share) / whole)}


def one_token_words(languages: Sequence[str], bpe: tokenizers.Tokenizer) -> list[str]:
    """The listed words that are one token, with a blank before them or without, in each usual case."""
    words = dict.fromkeys(w for language in languages for w in dictionary.get_words(language))
    spellings = dict.fromkeys(blank + form for w in words for form in _cases(w) for blank in ("", " "))
    return [text for text in spellings if len(bpe.encode(text).ids) == 1]


def _cases(word: str) -> Iterable[str]:
    return word, word.lower(), word.capitalize(), word.upper()
