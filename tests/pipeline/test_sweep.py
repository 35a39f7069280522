"""Sweeps in a real DVC repository, whose stages only note that they ran."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from helpers import repositories, servers
from helpers.repositories import Repository
from helpers.sweeps import damaged, ran, shown, sweep, table

pytestmark = pytest.mark.slow

LENGTHS = "convert.sequence_length=40,41"
MODES = "quantize=float32,float16"


def test_every_combination_once_and_a_second_call_runs_nothing(repository: Repository) -> None:
    done = sweep(repository, MODES, LENGTHS)
    assert done.returncode == 0, done.stderr
    assert ran(repository) == {"author": 1, "convert": 2, "reference": 2, "quantize": 4, "validate": 4, "judge": 4}
    rows = table(repository)
    assert {(r["mode"], r["convert.sequence_length"]) for r in rows} == {
        (mode, length) for mode in ("float32", "float16") for length in ("40", "41")
    }
    assert shown(repository) == {r["job"]: {r["mode"]: float(r["perplexity"])} for r in rows}
    assert repository.git("status", "--porcelain") == ""  # the workspace is as it was
    assert not (repository.folder / ".dvc/tmp/sweep").exists()
    assert (repository.folder / "artifacts/sweep/pareto.png").stat().st_size > 1000
    (best,) = (r["job"] for r in rows if r["Pareto"] == "best")
    assert f"apply it: dvc exp apply {best}; dvc repro" in done.stdout
    assert "jobs 4/4" in done.stderr  # plain lines where there is no terminal

    before = ran(repository)
    again = sweep(repository, MODES, LENGTHS)
    assert again.returncode == 0, again.stderr
    assert "4 jobs, 4 of them done before" in again.stdout
    assert ran(repository) == before
    assert table(repository) == rows

    repository.dvc("exp", "apply", best)  # it warns of outputs that the job did not build, and applies the others
    assert repository.git("diff", "--name-only").split() == ["params.yaml"]
    assert repository.dvc("repro", "judge").returncode == 0
    assert ran(repository) == before


def test_edits_not_committed_are_part_of_a_job(repository: Repository) -> None:
    repository.edit("params.yaml", "sequence_length: 48", "sequence_length: 44")
    assert sweep(repository, "quantize=float16", "hydra/launcher=basic").returncode == 0
    assert table(repository)[0]["perplexity"] == str(1000 / 44)
    repository.edit("params.yaml", "sequence_length: 44", "sequence_length: 45")
    assert sweep(repository, "quantize=float16", "hydra/launcher=basic").returncode == 0
    assert table(repository)[0]["perplexity"] == str(1000 / 45)
    assert len(shown(repository)) == 2


def test_one_job_s_failure_stops_no_other(repository: Repository) -> None:
    arguments = ("quantize=float32,float16,dynamic_range",)
    done = sweep(repository, *arguments, FAKE_FAILS_AT="quantize", FAKE_FAILS_IN="float16")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    first, last = done.stderr.splitlines()[-2:]
    assert first.startswith("failed: float16-")
    assert "quantize of float16 was told to fail" in first
    assert last == "error: 1 of 3 jobs failed; the same command runs them again"
    assert {r["mode"] for r in table(repository)} == {"float32", "dynamic_range"}
    before = ran(repository)["quantize"]
    assert sweep(repository, *arguments).returncode == 0
    assert ran(repository)["quantize"] == before + 1
    assert len(table(repository)) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["convert.top_k=3,4"], "'convert.top_k' is not a key of params.yaml; allowed: "),
        (["quantize=int5"], "there is no conf/quantize/int5.yaml; allowed: "),
        ([], "say what to sweep: "),
        (["sweep.set=nothing"], "sweep.set is nothing; allowed: modes, lengths"),
        ([MODES, "sweep.objective=beauty"], "no metric 'beauty'; allowed: "),
        ([MODES, "sweep.constraints.perplexity_ratio='1.02'"], "allowed: <=, >=, < or > and a number"),
        ([MODES, "hydra/launcher=sloth"], "Could not find 'hydra/launcher/sloth'"),
        (["convert.sequence_length=interval(1,9)"], "an interval has no end of values"),
    ],
)
def test_a_mistake_is_one_line_and_runs_nothing(arguments: list[str], message: str, project: Repository) -> None:
    done = sweep(project, *arguments)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert message in line
    assert not ran(project)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository in which no stage runs."""
    return repositories.make_fake(tmp_path_factory.mktemp("project") / "repository")


def test_a_file_that_git_does_not_track_is_refused(project: Repository) -> None:
    own = project.folder / "conf/quantize/own.yaml"
    own.write_text("recipe: []\n")
    done = sweep(project, "quantize=own")
    assert "error: git does not know conf/quantize/own.yaml, so no experiment would have it" in done.stderr
    own.unlink()


@dataclass(frozen=True)
class Store:
    url: str
    options: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A place for artifacts that two machines share: a folder, and a bucket of a server that requires a login."""
    if request.param == "folder":
        yield Store(str(tmp_path / "store"))
        return
    with servers.s3(tmp_path / "s3") as s3:
        yield Store(f"s3://{s3.bucket}/dvc", {"endpointurl": s3.endpoint}, s3.environment)


def test_a_second_machine_runs_nothing_again(
    repository: Repository, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    assert repository.dvc("remote", "add", "--default", "store", store.url).returncode == 0
    for name, value in store.options.items():
        assert repository.dvc("remote", "modify", "store", name, value).returncode == 0
    repository.git("commit", "--all", "--quiet", "--message", "remote")
    repository.git("init", "--quiet", "--bare", str(tmp_path / "hub"))
    repository.git("remote", "add", "origin", str(tmp_path / "hub"))
    repository.git("push", "--quiet", "origin", "HEAD")
    assert sweep(repository, MODES).returncode == 0
    pushed = repository.dvc("exp", "push", "origin", "--run-cache", "--rev", "HEAD")
    assert pushed.returncode == 0, pushed.stderr
    other = Repository(tmp_path / "other")
    repository.git("clone", "--quiet", str(tmp_path / "hub"), str(other.folder))
    before = ran(repository)
    done = sweep(other, MODES, "sweep.pull=true")
    assert done.returncode == 0, done.stderr
    assert ran(other) == before  # both clones write to the same log
    assert shown(other) == shown(repository)
    assert not damaged(other)
