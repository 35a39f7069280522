"""One's own text: read from files, masked, cut into passages, without duplicates, a part of it held out."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autocomplete.common.errors import UserError, within
from autocomplete.data import corpus, evaluation_text

_SETTING = "author.text"
_WANTED = 'name a UTF-8 text file, a .jsonl file whose lines have a key "text", or a folder of these'
# Nobody's address: RFC 2606 keeps example.com for examples.
EMAIL = "name@example.com"
# The possessive ++ gives nothing back: a long run without @ is read once, not once from each of its characters.
_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]++@[\w-]++(?:\.[\w-]++)++")
# Five digits or more, at most three of these signs between two of them: telephone numbers, accounts, dates, addresses.
_NUMBER = re.compile(r"\d(?:[ \t./()+-]{0,3}\d){4,}")
# Where a text is cut: behind blank lines, behind line ends, behind blanks.
_CUTS = (r"\n[ \t]*\n\s*", r"\n", r"[ \t]+")


@dataclass(frozen=True)
class OwnTextSettings:
    """How one's own text is masked, cut and split: passages of at most `passage_bytes`, a share of them held out.

    A passage is dropped when `near_duplicate` or more of its runs of `shingle_words` words stand in earlier ones.
    """

    mask: bool
    passage_bytes: int
    held_out: float
    shingle_words: int
    near_duplicate: float
    calibration_passages: int

    def __post_init__(self) -> None:
        """Refuses what no text can be split by."""
        within("author.tuning.text.passage_bytes", self.passage_bytes, 100, 1_000_000)
        within("author.tuning.text.held_out", self.held_out, 0.001, 0.5)
        within("author.tuning.text.shingle_words", self.shingle_words, 1, 100)
        within("author.tuning.text.near_duplicate", self.near_duplicate, 0.01, 1)
        within("author.tuning.text.calibration_passages", self.calibration_passages, 1, 1_000_000)


@dataclass(frozen=True)
class OwnText:
    """Passages for training and, held out, for measuring; and what was done to the text, in numbers."""

    corpus: corpus.Corpus
    counts: dict[str, int]


def prepare(path: Path, settings: OwnTextSettings) -> OwnText:
    """Reads, masks, cuts and splits; raises UserError where there is no text, or none for a part."""
    documents = [d.encode("utf-8", "replace").decode().removeprefix("\ufeff") for d in read(path)]
    if not any(d.strip() for d in documents):
        raise UserError(f"{path} ({_SETTING}) holds no text; {_WANTED}: -S author.text=my_texts/")
    emails = numbers = 0
    cut: list[str] = []
    for document in documents:
        if settings.mask:
            document, addresses, long_numbers = mask(document)
            emails, numbers = emails + addresses, numbers + long_numbers
        cut += passages(document, settings.passage_bytes)
    split = corpus.build(cut, _rules(settings))
    kept = len(split.train) + len(split.evaluation)
    counts = {
        "documents": len(documents),
        "training_passages": len(split.train),
        "held_out_passages": len(split.evaluation),
        "duplicates_dropped": len(cut) - kept,
        "emails_masked": emails,
        "numbers_masked": numbers,
    }
    return OwnText(split, counts)


def read(path: Path) -> Iterator[str]:
    """The documents of a file or of all files below a folder, in order of their names.

    What DVC does not track, or a user does not see, is passed over: `__pycache__` and names that begin with a dot.
    """
    if not path.exists():
        raise UserError(f"{_SETTING} is {path}, which does not exist; {_WANTED}")
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file() and _seen(path, p))
    for file in files:
        content = evaluation_text.content_of(file, _SETTING, "text")
        if file.suffix == ".jsonl":
            yield from evaluation_text.from_lines(file, content)
        else:
            yield content


def _seen(folder: Path, file: Path) -> bool:
    return not any(part.startswith(".") or part == "__pycache__" for part in file.relative_to(folder).parts)


def mask(document: str) -> tuple[str, int, int]:
    """A text with its e-mail addresses replaced and the digits of its long numbers made 0; how many of each."""
    document, emails = _EMAIL.subn(EMAIL, document)
    document, numbers = _NUMBER.subn(lambda found: re.sub(r"\d", "0", found[0]), document)
    return document, emails, numbers


def passages(document: str, most: int) -> list[str]:
    """A text in passages of at most `most` bytes, as few as its blank lines allow.

    A paragraph that is longer is cut at line ends, a line at blanks, and a word anywhere.
    """
    packed = [""]
    for piece in _pieces(document, most, _CUTS):
        if len((packed[-1] + piece).encode()) > most:
            packed.append("")
        packed[-1] += piece
    return [p.strip("\n").rstrip() for p in packed if p.strip()]


def _pieces(part: str, most: int, cuts: tuple[str, ...]) -> Iterator[str]:
    if len(part.encode()) <= most:
        yield part
    elif cuts:
        for piece in re.findall(rf"(?s).+?(?:{cuts[0]}|\Z)", part):
            yield from _pieces(piece, most, cuts[1:])
    else:
        yield from (part[i : i + most // 4] for i in range(0, len(part), most // 4))  # a character has at most 4 bytes


def _rules(settings: OwnTextSettings) -> corpus.CorpusSettings:
    """Any language and any length: nothing is dropped but what stands there twice."""
    return corpus.CorpusSettings(
        minimum_bytes=1,
        maximum_bytes=settings.passage_bytes,
        minimum_letters=0.0,
        evaluation_per_mille=round(1000 * settings.held_out),
        shingle_words=settings.shingle_words,
        near_duplicate=settings.near_duplicate,
    )
