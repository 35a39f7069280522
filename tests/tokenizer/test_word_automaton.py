"""The automaton finds the same as a search for every word at every position."""

import random

from autocomplete.tokenizer.word_automaton import Automaton


def begins_inside(word: str, text: str) -> bool:
    """Whether a word is in a text, or begins in it after its first character and continues after its end."""
    return word in text or any(word.startswith(text[i:]) for i in range(1, len(text)))


def test_it_finds_the_same_as_a_plain_search() -> None:
    rng = random.Random(5)
    texts = ["".join(rng.choices("ab", k=rng.randint(1, 7))) for _ in range(400)]
    results = []
    for words in (rng.sample(texts, 3) for _ in range(300)):
        automaton = Automaton({word: word.upper() for word in words})
        for text in rng.sample(texts, 20):
            word = automaton.word_that_begins_inside(text)
            assert (word is not None) == any(begins_inside(word, text) for word in words), (words, text)
            assert word is None or (word.lower() in words and begins_inside(word.lower(), text))
            results.append(word is not None)
    assert 0.2 < sum(results) / len(results) < 0.98


def test_long_words_take_linear_time() -> None:
    automaton = Automaton({"ab" * 100_000 + "c": "long", "b" * 50_000 + "c": "other"})
    assert automaton.word_that_begins_inside("ab" * 100_000) == "long"
    assert automaton.word_that_begins_inside("x" * 100_000) is None


def test_without_words_nothing_is_found() -> None:
    assert Automaton({}).word_that_begins_inside("ab") is None
