"""Accepted words and keystrokes saved, against counts by hand; how many words fill a context window."""

import math
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from autocomplete.common.errors import UserError
from autocomplete.evaluate import completion
from autocomplete.evaluate.completion import Cut
from helpers.toy_models import mode_files_of
from helpers.toys import TEXT as TEXTS
from helpers.toys import Toy

TEXT = "one two three four five six seven eight nine ten eleven twelve"


def test_cuts_split_a_text_between_words() -> None:
    (cut,) = completion.cuts([TEXT], 1, 1)
    assert TEXT.startswith(cut.typed + "".join(cut.words))
    assert not cut.typed.endswith(" ")
    assert [w[0] for w in cut.words] == [" "] * completion.WORDS


def test_cuts_are_spread_and_documents_counted() -> None:
    places = completion.cuts(["too short", TEXT, TEXT + " thirteen", TEXT], 2, 3)
    assert [p.document for p in places] == [0, 0, 0, 1, 1, 1]
    assert len({p.typed for p in places[:3]}) == 3
    assert all(len(p.typed.split()) >= 3 for p in places)


def test_too_short_texts_are_refused() -> None:
    with pytest.raises(UserError, match="no document of 7 words"):
        completion.cuts(["three words only"], 1, 1)


@pytest.mark.parametrize(
    ("suggestion", "accepted"),
    [
        (" four five six ", 3),
        (" four five six", 2),
        (" four five", 1),
        (" four\n\tfive  six seven", 3),
        ("four five six\n", 3),
        (" fourteen five six ", 0),
        ("", 0),
        (" four nine six ", 1),
    ],
)
def test_words_count_when_a_blank_ends_them(suggestion: str, accepted: int) -> None:
    measured = completion.measure(lambda _: suggestion, [Cut(0, "one two three", [" four", " five", " six"])])
    assert [measured[f"accepted_words_{n}"] for n in (1, 2, 3)] == [float(accepted >= n) for n in (1, 2, 3)]


def test_more_tokens_are_generated_while_words_are_unfinished(toy: Toy, core_path: Path) -> None:
    """The words after 8 tokens are those of 16, where three of them are finished."""
    answers = {"long": " a" * 3 + "b" * 9 + " c d", "short": " a b c d e f g h i j k l"}
    calls: list[tuple[str, int]] = []
    mode = mode_files_of(toy, core_path)

    def generate(ids: Sequence[int], longest: int, _: object) -> list[int]:
        typed = toy.bpe.decode(ids[1:])
        calls.append((typed, longest - len(ids)))
        return [*ids, *[i for c in answers[typed][: longest - len(ids)] for i in toy.bpe.encode(c).ids]]

    mode.__dict__["generate"] = generate  # the cached property
    places = [Cut(0, "long", [" a", " a", " abbbbbbbbb"]), Cut(0, "short", [" a", " b", " x"])]
    assert completion.right_words_of(mode, places) == [3, 2]
    assert calls == [("long", 8), ("long", 16), ("short", 8)]


def test_keystrokes_saved_are_the_right_words_less_one_key() -> None:
    places = [Cut(i, str(i), [" four", " five", " six"]) for i in range(2)]  # 5 + 5 + 4 keystrokes each
    measured = completion.measure({"0": " four five no ", "1": " no "}.__getitem__, places)
    assert measured["keystrokes_saved"] == pytest.approx((10 - 1) / 28)
    assert measured["accepted_words_1"] == 0.5
    # two documents with shares of 1 and 0: standard deviation √½, over √2
    assert measured["accepted_words_1_stderr"] == pytest.approx(math.sqrt(0.5) / math.sqrt(2))


def test_cuts_of_one_document_are_not_independent() -> None:
    words = [" four", " five", " six"]
    spread = [Cut(i, str(i % 2), words) for i in range(8)]
    clustered = [Cut(i // 4, str(i // 4), words) for i in range(8)]
    answer = {"0": " four x ", "1": " no "}.__getitem__
    errors = [completion.measure(answer, p)["accepted_words_1_stderr"] for p in (spread, clustered)]
    assert errors[1] > 1.5 * errors[0]


def test_one_document_has_no_standard_error() -> None:
    measured = completion.measure(lambda _: " four ", [Cut(0, "x", [" four", " five", " six"])])
    assert math.isnan(measured["keystrokes_saved_stderr"])


def test_as_many_words_as_fit_and_not_one_more(toy: Toy) -> None:
    texts = [t for t in TEXTS if len(t) > 400]
    assert len(texts) > 3
    for text in texts:
        count = int(completion.context_words([text], toy.bpe, 40)["context_words_p50"])
        starts = [match.start() for match in re.finditer(r"\S+", text)]
        fitting, longer = (len(toy.bpe.encode(text[starts[-n] :]).ids) for n in (count, count + 1))
        assert fitting <= 40 < longer


def test_shares_are_of_documents(toy: Toy) -> None:
    short, long = " ".join(["zqxj"] * 60), " ".join(["the"] * 60)
    each = [completion.context_words([d], toy.bpe, 30)["context_words_p50"] for d in (short, long)]
    assert each[0] < each[1]
    both = completion.context_words([short] * 9 + [long], toy.bpe, 30)
    assert (both["context_words_p50"], both["context_words_p95"]) == (each[0], each[0])
    both = completion.context_words([short] + [long] * 9, toy.bpe, 30)
    assert (both["context_words_p50"], both["context_words_p95"]) == (each[1], each[1])


def test_texts_that_never_fill_the_window(toy: Toy) -> None:
    assert completion.context_words(["a b", ""], toy.bpe, 30) == {"context_words_p50": 30.0, "context_words_p95": 30.0}
