"""General English to measure on and to calibrate with, for models that bring no text of their own: WikiText-2."""

import itertools
import json
import re
from pathlib import Path

from autocomplete.common.errors import UserError

# Beside a preset: text that its model was not trained on.
EVALUATION_TEXT, CALIBRATION_TEXT = "evaluation.jsonl", "calibration.jsonl"
FOLDER = Path("conf/text/wikitext2")
_FILES = {EVALUATION_TEXT: "evaluation.txt", CALIBRATION_TEXT: "calibration.txt"}
_HEADING = re.compile(r"^ = (?:= )?[^=\n]*[^=\n ] (?:= )?= ?$", re.MULTILINE)  # of an article or a section of one


def jsonl(name: str) -> str:
    """The documents of evaluation.jsonl or calibration.jsonl, sections of articles, one JSON object a line."""
    path = FOLDER / _FILES[name]
    if not path.is_file():
        raise UserError(f"{path} is missing; it is part of the project: restore it by `git checkout {path}`")
    return "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in sections(path.read_text("utf-8")))


def sections(content: str) -> list[str]:
    """The sections of a file of articles; a heading by itself belongs to the section that follows."""
    begins = [0, *(m.start() for m in _HEADING.finditer(content)), len(content)]
    parts = [content[a:b] for a, b in itertools.pairwise(begins)]
    found, waiting = [], ""
    for part in parts:
        waiting += part
        if waiting.count("\n") > waiting.count("\n =") + 1:
            found.append(waiting.strip("\n"))
            waiting = ""
    return [text for text in found if text.strip()]
