"""From combinations to jobs: values, names, and what is run once for all."""

from pathlib import Path

import pytest

from autocomplete.common.errors import UserError
from autocomplete.sweep import jobs

SHARED = ["author", "convert", "quantize", "validate"]


def made(*combinations: dict[str, str]) -> list[jobs.Job]:
    return jobs.make(combinations, ["validate"], "tree")


def test_groups_and_keys_become_keys_of_params() -> None:
    (job,) = made({"quantize": "float16", "author": "pydoc_gpt2", "convert.sequence_length": "64"})
    assert job.values == {
        "quantize.modes": "[float16]",
        "use.author": "pydoc_gpt2",
        "convert.sequence_length": "64",
    }
    assert job.name.startswith("float16-author-pydoc_gpt2-sequence_length-64-")


@pytest.mark.parametrize(
    ("combination", "message"),
    [
        ({"convert.top_k": "3"}, "'convert.top_k' is not a key of params.yaml; allowed: quantize, author, "),
        ({"convert": "wide"}, "there is no conf/convert/wide.yaml; allowed: default"),
        ({"quantize": "int5"}, "there is no conf/quantize/int5.yaml; allowed: dynamic_range, float16"),
        ({"use.author": "nobody"}, "there is no conf/author/nobody.yaml"),
    ],
)
def test_what_does_not_exist_is_one_line(combination: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        made(combination)


def test_names_say_what_differs_and_nothing_else() -> None:
    first, again = made({"quantize": "float16"})[0], made({"quantize": "float16"})[0]
    assert first == again
    assert made({"quantize": "float16"}, {"quantize": "float16"}) == [first]
    assert jobs.make([{"quantize": "float16"}], ["validate"], "another tree")[0].name != first.name
    assert jobs.make([{"quantize": "float16"}], [], "tree")[0].name != first.name
    odd = made({"validate.evaluation_text": f"'a b/{'x' * 200}: ~^?'"})[0]
    assert len(odd.name) < 100
    assert set(odd.name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def names(rounds: list[list[jobs.Job]]) -> list[list[tuple[tuple[str, ...], dict[str, str]]]]:
    return [[(job.targets, job.values) for job in some] for some in rounds]


def test_modes_share_author_and_convert_in_one_run() -> None:
    some = made({"quantize": "float16"}, {"quantize": "float32"})
    assert names(jobs.shared_rounds(some, SHARED, "tree")) == [[(("convert",), {})]]


def test_lengths_share_author_and_each_length_its_convert() -> None:
    some = made(*({"quantize": q, "convert.sequence_length": s} for q in ("float16", "float32") for s in "56"))
    assert names(jobs.shared_rounds(some, SHARED, "tree")) == [
        [(("author",), {})],
        [(("convert",), {"convert.sequence_length": "5"}), (("convert",), {"convert.sequence_length": "6"})],
    ]


def test_what_one_job_alone_needs_is_left_to_it() -> None:
    some = made({"convert.sequence_length": "5"}, {"convert.sequence_length": "6"})
    assert names(jobs.shared_rounds(some, SHARED, "tree")) == [[(("author",), {})]]
    assert jobs.shared_rounds(some[:1], SHARED, "tree") == []


def test_texts_to_evaluate_share_what_is_evaluated() -> None:
    some = made({"validate.evaluation_text": "a"}, {"validate.evaluation_text": "b"})
    assert names(jobs.shared_rounds(some, SHARED, "tree")) == [[(("quantize",), {})]]


def test_a_stage_that_does_not_exist_cannot_be_shared() -> None:
    with pytest.raises(UserError, match="names train, which is not in"):
        jobs.shared_rounds(made({"quantize": "float16"}), ["train"], "tree")


def test_a_job_s_log_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from autocomplete.sweep import job_records

    monkeypatch.chdir(tmp_path)
    job_records.log_path("job").parent.mkdir(parents=True)
    assert job_records.failure_reason("job") == "it wrote nothing"
    assert job_records.current_stage("job") == "preparing"
    job_records.log_path("job").write_text(
        "Stage 'author' is cached\nRunning stage 'convert':\nerror: no\nERROR: failed\nbye\n"
    )
    assert job_records.current_stage("job") == "convert"
    assert job_records.failure_reason("job") == "no"
    (job_records.FOLDER / "job.json").write_text("{half")
    assert job_records.read("job") is None
