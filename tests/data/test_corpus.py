"""The training text, and that the evaluation text resembles none of it."""

import json
import shutil
import sysconfig
import zipfile
from pathlib import Path

import pytest

from autocomplete.data import corpus

SETTINGS = corpus.CorpusSettings(20, 2000, 0.6, 300, 3, 0.4)


def sentence(number: int) -> str:
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda"]
    return " ".join(words[(number * (i + 3) + i * i) % 11] + "x" * (number * (i + 1) % 7) for i in range(12))


def wheel(folder: Path, name: str, files: dict[str, str]) -> None:
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)


def test_docstrings_are_dedented_and_lose_their_sessions() -> None:
    source = b'"""Top."""\ndef f():\n    """One.\n\n    >>> f()\n    1\n\n    Two.\n    """\nclass C:\n    "Class."\n'
    assert sorted(corpus.source_docstrings(source, 0.6)) == ["Class.", "One.\n\nTwo.", "Top."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One::\n\n  code = 1\n\n  more code\n\nTwo.", "One::\n\nTwo."),
        ("One.\n\n.. math::\n\n  sine of alpha\n\nTwo.", "One.\n\nTwo."),
        ("One.\n\n.. code-block:: python\n   :linenos:\n\n   words like code\n\nTwo.", "One.\n\nTwo."),
        ("One.\n\n.. note:: Words.\n\n   More words.", "One.\n\n.. note:: Words.\n\n   More words."),
        ("One.\n```python\nwords of code\n\nmore\n```\nTwo.", "One.\n\nTwo."),
        ("One.\n\n 1 | 2 | 3\n 4 | 5 | x\n\nTwo.  \nThree.", "One.\n\nTwo.\nThree."),
        (
            "Parameters\n----------\nx : int\n    A number of words.",
            "Parameters\n----------\nx : int\n    A number of words.",
        ),
    ],
)
def test_prose_has_no_code_formulas_and_tables(text: str, expected: str) -> None:
    assert corpus.prose(text, 0.6) == expected


def test_wheels_are_read_in_order_and_files_that_do_not_parse_are_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "lib"  # the whole standard library takes a minute
    shutil.copytree(Path(json.__file__).parent, library / "json")
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"stdlib": str(library)})
    wheel(tmp_path, "zeta", {"z.py": '"""Words of zeta."""'})
    wheel(
        tmp_path,
        "beta",
        {"b/b.py": '"""Words of b."""', "b/a.py": '"""Words of a."""', "b/bad.py": "def (:", "b/c.txt": "no"},
    )
    texts = list(corpus.docstrings(tmp_path, 0.6))
    assert texts[-3:] == ["Words of a.", "Words of b.", "Words of zeta."]
    assert "JSON" in texts[0]  # the standard library comes first


def test_split_is_disjoint_complete_and_independent_of_order() -> None:
    texts = [sentence(n) for n in range(200)]
    first = corpus.build(texts, SETTINGS)
    assert not set(first.train) & set(first.evaluation)
    assert first.train
    assert first.evaluation
    assert corpus.build(reversed(texts), SETTINGS) == first
    assert corpus.build([*texts, *texts], SETTINGS).sha256 == first.sha256


def test_near_duplicates_of_training_text_are_not_evaluated_on() -> None:
    texts = [sentence(n) for n in range(200)]
    held_out = corpus.build(texts, SETTINGS).evaluation
    # a training document that shares most of its words with each held-out one
    twins = [f"{t} {suffix}" for t in held_out for suffix in ("once more", "again", "and then some", "for good")]
    with_twins = corpus.build([*texts, *twins], SETTINGS)
    for text in with_twins.evaluation:
        shingles = set(corpus._shingles(text, 3))
        for training_text in with_twins.train:
            assert len(shingles & set(corpus._shingles(training_text, 3))) < 0.4 * len(shingles)


@pytest.mark.parametrize("text", ["short", "1234 5678 " * 10, "x " * 3000, "lone surrogate \ud800 " * 3])
def test_text_that_is_not_prose_is_left_out(text: str) -> None:
    assert corpus.build([text], SETTINGS).train == []
