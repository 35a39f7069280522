"""Jobs from combinations: values, names, and stages that run once for several jobs."""

from pathlib import Path

import pytest

from autocomplete.common.errors import UserError
from autocomplete.sweep import jobs

SHARED = ["author", "convert", "quantize", "validate"]


def jobs_of(*combinations: dict[str, str]) -> list[jobs.Job]:
    return jobs.make(combinations, ["validate"], "tree")


def test_groups_and_keys_become_keys_of_params() -> None:
    (job,) = jobs_of({"quantize": "float16", "author": "pydoc_gpt2", "convert.sequence_length": "64"})
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
def test_unknown_keys_and_files_are_refused_in_one_line(combination: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        jobs_of(combination)


def test_names_depend_only_on_what_differs() -> None:
    first, again = jobs_of({"quantize": "float16"})[0], jobs_of({"quantize": "float16"})[0]
    assert first == again
    assert jobs_of({"quantize": "float16"}, {"quantize": "float16"}) == [first]
    assert jobs.make([{"quantize": "float16"}], ["validate"], "another tree")[0].name != first.name
    assert jobs.make([{"quantize": "float16"}], [], "tree")[0].name != first.name
    unusual = jobs_of({"validate.evaluation_text": f"'a b/{'x' * 200}: ~^?'"})[0]
    assert len(unusual.name) < 100
    assert set(unusual.name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def names(rounds: list[list[jobs.Job]]) -> list[list[tuple[tuple[str, ...], dict[str, str]]]]:
    return [[(job.targets, job.values) for job in jobs_of_round] for jobs_of_round in rounds]


def test_modes_share_author_and_convert_in_one_run() -> None:
    combined = jobs_of({"quantize": "float16"}, {"quantize": "float32"})
    assert names(jobs.shared_rounds(combined, SHARED, "tree")) == [[(("convert",), {})]]


def test_lengths_share_author_and_each_length_its_convert() -> None:
    combined = jobs_of(*({"quantize": q, "convert.sequence_length": s} for q in ("float16", "float32") for s in "56"))
    assert names(jobs.shared_rounds(combined, SHARED, "tree")) == [
        [(("author",), {})],
        [(("convert",), {"convert.sequence_length": "5"}), (("convert",), {"convert.sequence_length": "6"})],
    ]


def test_a_stage_that_only_one_job_needs_is_not_shared() -> None:
    combined = jobs_of({"convert.sequence_length": "5"}, {"convert.sequence_length": "6"})
    assert names(jobs.shared_rounds(combined, SHARED, "tree")) == [[(("author",), {})]]
    assert jobs.shared_rounds(combined[:1], SHARED, "tree") == []


def test_jobs_with_different_evaluation_texts_share_quantization() -> None:
    combined = jobs_of({"validate.evaluation_text": "a"}, {"validate.evaluation_text": "b"})
    assert names(jobs.shared_rounds(combined, SHARED, "tree")) == [[(("quantize",), {})]]


def test_a_stage_that_does_not_exist_cannot_be_shared() -> None:
    with pytest.raises(UserError, match="names train, which is not in"):
        jobs.shared_rounds(jobs_of({"quantize": "float16"}), ["train"], "tree")


def test_stage_and_failure_are_read_from_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
