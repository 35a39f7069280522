"""What is trained on, and that the evaluation text resembles none of it."""

from pathlib import Path

import pytest

from stages.lm import corpus

SETTINGS = corpus.CorpusSettings(20, 2000, 0.6, 300, 3, 0.4)


def sentence(number: int) -> str:
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda"]
    return " ".join(words[(number * (i + 3) + i * i) % 11] + "x" * (number * (i + 1) % 7) for i in range(12))


def test_docstrings_are_dedented_and_lose_their_sessions(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        '"""Top."""\ndef f():\n    """One.\n\n    >>> f()\n    1\n\n    Two.\n    """\nclass C:\n    "C."\n'
    )
    assert sorted(corpus.docstrings([path])) == ["C.", "One.\n\nTwo.", "Top."]


def test_files_that_do_not_parse_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("def (:")
    assert list(corpus.docstrings([tmp_path / "bad.py", tmp_path / "missing.py"])) == []


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
    both = corpus.build([*texts, *twins], SETTINGS)
    for text in both.evaluation:
        mine = set(corpus._shingles(text, 3))
        for other in both.train:
            assert len(mine & set(corpus._shingles(other, 3))) < 0.4 * len(mine)


@pytest.mark.parametrize("text", ["short", "1234 5678 " * 10, "x " * 3000, "lone surrogate \ud800 " * 3])
def test_what_is_not_prose_is_left_out(text: str) -> None:
    assert corpus.build([text], SETTINGS).train == []


def test_the_locked_packages_are_read() -> None:
    files = list(corpus.source_files(Path("uv.lock")))
    assert any(p.parts[-2:] == ("json", "decoder.py") for p in files)
    assert any("keras" in p.parts for p in files)
