"""The user's own text: reads it from files, masks it, cuts it into passages, drops duplicates, and holds out a part."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autocomplete.common.errors import UserError, within
from autocomplete.data import corpus, evaluation_text

_SETTING = "author.text"
_WANTED = 'name a UTF-8 text file, a .jsonl file whose lines have a key "text", or a folder of these'
# RFC 2606 reserves example.com for examples.
EMAIL = "name@example.com"
# The possessive ++ does not backtrack: a long run without @ is scanned once, not once from each of its characters.
_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]++@[\w-]++(?:\.[\w-]++)++")
# At least five digits with at most three separators between two of them: telephone and account numbers, dates.
_NUMBER = re.compile(r"\d(?:[ \t./()+-]{0,3}\d){4,}")
# Where a text may be cut: after blank lines, then after line ends, then after spaces.
_CUTS = (r"\n[ \t]*\n\s*", r"\n", r"[ \t]+")


@dataclass(frozen=True)
class OwnTextSettings:
    """How the user's own text is masked, cut and split.

    Attributes:
      mask: whether e-mail addresses and long numbers are masked.
      passage_bytes: the largest size of a passage.
      held_out: the share of passages that are held out.
      shingle_words: words of a shingle.
      near_duplicate: the share of known shingles from which a passage is dropped.
      calibration_passages: how many training passages serve as calibration text.
    """

    mask: bool
    passage_bytes: int
    held_out: float
    shingle_words: int
    near_duplicate: float
    calibration_passages: int

    def __post_init__(self) -> None:
        """Refuses values by which no text can be split."""
        within("author.tuning.text.passage_bytes", self.passage_bytes, 100, 1_000_000)
        within("author.tuning.text.held_out", self.held_out, 0.001, 0.5)
        within("author.tuning.text.shingle_words", self.shingle_words, 1, 100)
        within("author.tuning.text.near_duplicate", self.near_duplicate, 0.01, 1)
        within("author.tuning.text.calibration_passages", self.calibration_passages, 1, 1_000_000)


@dataclass(frozen=True)
class OwnText:
    """Passages for training, held-out passages, and counts of what was done to the text."""

    corpus: corpus.Corpus
    counts: dict[str, int]


def prepare(path: Path, settings: OwnTextSettings) -> OwnText:
    """Reads, masks, cuts and splits the text of a file or folder; raises UserError if there is no text."""
    documents = [d.encode("utf-8", "replace").decode().removeprefix("\ufeff") for d in read(path)]
    if not any(d.strip() for d in documents):
        raise UserError(f"{path} ({_SETTING}) holds no text; {_WANTED}: -S author.text=my_texts/")
    emails = numbers = 0
    all_passages: list[str] = []
    for document in documents:
        if settings.mask:
            document, email_count, number_count = mask(document)
            emails, numbers = emails + email_count, numbers + number_count
        all_passages += passages(document, settings.passage_bytes)
    split = corpus.build(all_passages, _corpus_settings(settings))
    kept = len(split.train) + len(split.evaluation)
    counts = {
        "documents": len(documents),
        "training_passages": len(split.train),
        "held_out_passages": len(split.evaluation),
        "duplicates_dropped": len(all_passages) - kept,
        "emails_masked": emails,
        "numbers_masked": numbers,
    }
    return OwnText(split, counts)


def read(path: Path) -> Iterator[str]:
    """The documents of a file, or of all files below a folder in the order of their paths.

    Files that DVC does not track or that are hidden are skipped: `__pycache__` and names that begin with a dot.
    """
    if not path.exists():
        raise UserError(f"{_SETTING} is {path}, which does not exist; {_WANTED}")
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file() and _is_visible(path, p))
    for file in files:
        content = evaluation_text.read_text(file, _SETTING, "text")
        if file.suffix == ".jsonl":
            yield from evaluation_text.parse_jsonl(file, content)
        else:
            yield content


def _is_visible(folder: Path, file: Path) -> bool:
    return not any(part.startswith(".") or part == "__pycache__" for part in file.relative_to(folder).parts)


def mask(document: str) -> tuple[str, int, int]:
    """A text with e-mail addresses replaced and the digits of long numbers set to 0; and the number of each."""
    document, emails = _EMAIL.subn(EMAIL, document)
    document, numbers = _NUMBER.subn(lambda match: re.sub(r"\d", "0", match[0]), document)
    return document, emails, numbers


def passages(document: str, limit: int) -> list[str]:
    """A text in passages of at most `limit` bytes, cut at blank lines, in as few passages as these allow.

    A longer paragraph is cut at line ends, a longer line at spaces, and a longer word anywhere.
    """
    packed = [""]
    for piece in _pieces(document, limit, _CUTS):
        if len((packed[-1] + piece).encode()) > limit:
            packed.append("")
        packed[-1] += piece
    return [passage.strip("\n").rstrip() for passage in packed if passage.strip()]


def _pieces(part: str, limit: int, cuts: tuple[str, ...]) -> Iterator[str]:
    """A text in pieces of at most `limit` bytes, each cut by the first of the patterns `cuts` that suffices."""
    if len(part.encode()) <= limit:
        yield part
    elif cuts:
        for piece in re.findall(rf"(?s).+?(?:{cuts[0]}|\Z)", part):
            yield from _pieces(piece, limit, cuts[1:])
    else:
        characters = limit // 4  # a character has at most 4 bytes
        yield from (part[i : i + characters] for i in range(0, len(part), characters))


def _corpus_settings(settings: OwnTextSettings) -> corpus.CorpusSettings:
    """Settings for text of any language and length: only near-duplicates are dropped."""
    return corpus.CorpusSettings(
        minimum_bytes=1,
        maximum_bytes=settings.passage_bytes,
        minimum_letters=0.0,
        evaluation_per_mille=round(1000 * settings.held_out),
        shingle_words=settings.shingle_words,
        near_duplicate=settings.near_duplicate,
    )
