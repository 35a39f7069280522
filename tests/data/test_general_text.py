"""General English for models without a text of their own: sections of articles, none in both parts."""

import json

from autocomplete.data import general_text
from autocomplete.data.general_text import CALIBRATION_TEXT, EVALUATION_TEXT

ARTICLES = """ = One =
 The first .
 Its second line .
 = = Part = =
 = = = Deeper = = =
 More text with an = sign .
 = Two =
 Another .
"""


def test_a_heading_belongs_to_the_text_after_it() -> None:
    sections = general_text.sections(ARTICLES)
    assert [text.splitlines()[0].strip() for text in sections] == ["= One =", "= = Part = =", "= Two ="]
    assert "\n".join(sections) + "\n" == ARTICLES


def test_parts_are_complete_and_share_no_section() -> None:
    parts = [
        [json.loads(line)["text"] for line in general_text.jsonl(name).splitlines()]
        for name in (EVALUATION_TEXT, CALIBRATION_TEXT)
    ]
    assert all(len(part) > 50 for part in parts)
    assert not set(parts[0]) & set(parts[1])
    for name, part in zip(("evaluation.txt", "calibration.txt"), parts, strict=True):
        text = (general_text.FOLDER / name).read_text()
        assert sum(map(len, part)) > 0.99 * len(text)
