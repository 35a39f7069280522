"""Accepted words and keystrokes saved, against counts by hand."""

import math

import pytest

from autocomplete.common.errors import UserError
from autocomplete.evaluate import completion
from autocomplete.evaluate.completion import Cut

TEXT = "one two three four five six seven eight nine ten eleven twelve"


def test_cuts_part_a_text_between_words() -> None:
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
    ("suggestion", "right"),
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
def test_words_count_when_a_blank_ends_them(suggestion: str, right: int) -> None:
    measured = completion.measure(lambda _: suggestion, [Cut(0, "one two three", [" four", " five", " six"])])
    assert [measured[f"accepted_words_{n}"] for n in (1, 2, 3)] == [float(right >= n) for n in (1, 2, 3)]


def test_keystrokes_saved_are_the_right_words_less_one_key() -> None:
    places = [Cut(i, str(i), [" four", " five", " six"]) for i in range(2)]  # 5 + 5 + 4 keystrokes each
    measured = completion.measure({"0": " four five no ", "1": " no "}.__getitem__, places)
    assert measured["keystrokes_saved"] == pytest.approx((10 - 1) / 28)
    assert measured["accepted_words_1"] == 0.5
    # two documents with shares of 1 and 0: standard deviation √½, over √2
    assert measured["accepted_words_1_stderr"] == pytest.approx(math.sqrt(0.5) / math.sqrt(2))


def test_places_of_one_document_are_not_independent() -> None:
    words = [" four", " five", " six"]
    apart = [Cut(i, str(i % 2), words) for i in range(8)]
    together = [Cut(i // 4, str(i // 4), words) for i in range(8)]
    answer = {"0": " four x ", "1": " no "}.__getitem__
    errors = [completion.measure(answer, p)["accepted_words_1_stderr"] for p in (apart, together)]
    assert errors[1] > 1.5 * errors[0]


def test_one_document_has_no_standard_error() -> None:
    measured = completion.measure(lambda _: " four ", [Cut(0, "x", [" four", " five", " six"])])
    assert math.isnan(measured["keystrokes_saved_stderr"])
