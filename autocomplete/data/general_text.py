"""WikiText-2: general English for evaluation and calibration of models that come without text of their own."""

import itertools
import json
import re
from pathlib import Path

from autocomplete.common.errors import UserError

# Files beside a preset; the model was not trained on the first.
EVALUATION_TEXT, CALIBRATION_TEXT = "evaluation.jsonl", "calibration.jsonl"
FOLDER = Path("conf/text/wikitext2")
_FILES = {EVALUATION_TEXT: "evaluation.txt", CALIBRATION_TEXT: "calibration.txt"}
_HEADING = re.compile(r"^ = (?:= )?[^=\n]*[^=\n ] (?:= )?= ?$", re.MULTILINE)  # of an article or of its sections


def jsonl(name: str) -> str:
    """The text of EVALUATION_TEXT or CALIBRATION_TEXT: a JSON object for each section of an article, one a line."""
    path = FOLDER / _FILES[name]
    if not path.is_file():
        raise UserError(f"{path} is missing; it is part of the project: restore it by `git checkout {path}`")
    return "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in sections(path.read_text("utf-8")))


def sections(content: str) -> list[str]:
    """The sections of a file of articles; a heading without text joins the section after it."""
    starts = [0, *(match.start() for match in _HEADING.finditer(content)), len(content)]
    parts = [content[start:end] for start, end in itertools.pairwise(starts)]
    texts, pending = [], ""
    for part in parts:
        pending += part
        if pending.count("\n") > pending.count("\n =") + 1:
            texts.append(pending.strip("\n"))
            pending = ""
    return [text for text in texts if text.strip()]
