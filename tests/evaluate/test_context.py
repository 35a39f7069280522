"""How many words fill a context window."""

import re

from autocomplete.evaluate import context
from helpers.toys import TEXT, Toy


def test_as_many_words_as_fit_and_not_one_more(toy: Toy) -> None:
    texts = [t for t in TEXT if len(t) > 400]
    assert len(texts) > 3
    for text in texts:
        count = int(context.words_that_fit([text], toy.bpe, 40)["context_words_p50"])
        starts = [match.start() for match in re.finditer(r"\S+", text)]
        fitting, longer = (len(toy.bpe.encode(text[starts[-n] :]).ids) for n in (count, count + 1))
        assert fitting <= 40 < longer


def test_shares_are_of_documents(toy: Toy) -> None:
    short, long = " ".join(["zqxj"] * 60), " ".join(["the"] * 60)
    each = [context.words_that_fit([d], toy.bpe, 30)["context_words_p50"] for d in (short, long)]
    assert each[0] < each[1]
    both = context.words_that_fit([short] * 9 + [long], toy.bpe, 30)
    assert (both["context_words_p50"], both["context_words_p95"]) == (each[0], each[0])
    both = context.words_that_fit([short] + [long] * 9, toy.bpe, 30)
    assert (both["context_words_p50"], both["context_words_p95"]) == (each[1], each[1])


def test_texts_that_never_fill_the_window(toy: Toy) -> None:
    assert context.words_that_fit(["a b", ""], toy.bpe, 30) == {"context_words_p50": 30.0, "context_words_p95": 30.0}
