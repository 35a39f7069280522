"""A user's own text in a real DVC repository: the stages that an edit re-runs, and a killed run.

The preset is tuned once for all tests; each test that changes something does so in a copy.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from autocomplete.common.files import tree_sha256
from helpers import repositories
from helpers.repositories import Repository
from helpers.toys import TEXT, Toy

pytestmark = [pytest.mark.slow, pytest.mark.network]

TUNED = ["-S", "use.author=finetune", "-S", "author.text=my_texts/"]
SMALL = {"context": 24, "batch": 4, "steps": 30, "learning_rate": 1e-2, "warmup": 3, "checkpoint_every": 10}


@pytest.fixture(scope="module")
def start(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """With a text and without a tuned preset."""
    created = repositories.make(toy, tmp_path_factory.mktemp("own_text") / "repository")
    path = created.folder / "conf/author/finetune.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["tuning"]["text"] |= {"passage_bytes": 300, "held_out": 0.2}
    settings["tuning"]["training"] |= SMALL
    path.write_text(yaml.safe_dump(settings))
    created.git("add", "--all")
    created.git("commit", "--quiet", "--message", "start")
    texts = created.folder / "my_texts"
    texts.mkdir()
    (texts / "one.txt").write_text("\n\n".join(TEXT[:4]))
    (texts / "two.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in TEXT[4:]))
    return created


@pytest.fixture(scope="module")
def tuned(start: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """After an experiment that tuned the preset."""
    copy = repositories.copy(start, tmp_path_factory.mktemp("tuned") / "repository")
    done = copy.dvc("exp", "run", "author", *TUNED)
    assert done.returncode == 0, done.stderr
    return copy


@pytest.fixture
def repository(tuned: Repository, tmp_path: Path) -> Repository:
    """A copy with the tuned preset."""
    return repositories.copy(tuned, tmp_path / "repository")


def model(repository: Repository) -> dict[str, object]:
    return dict(json.loads((repository.folder / "artifacts/author/model.json").read_text()))


def author(repository: Repository) -> str:
    return tree_sha256(repository.folder / "artifacts/author")


def test_without_a_text_one_line_says_how_to_name_it(start: Repository, tmp_path: Path) -> None:
    done = repositories.copy(start, tmp_path / "repository").dvc("exp", "run", "author", "-S", "use.author=finetune")
    assert done.returncode != 0
    assert "conf/author/no_text.txt (author.text) holds no text; name a UTF-8" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_experiment_tunes_on_the_text(repository: Repository) -> None:
    tuning = model(repository)["tuning"]
    assert isinstance(tuning, dict)
    assert tuning["documents"] == 1 + len(TEXT[4:])
    assert tuning["held_out_perplexity_after"] < tuning["held_out_perplexity_before"]
    assert model(repository)["source"] == "artifacts/presets/pydoc_gpt2, tuned on own text"
    # neither git nor a stage tracks the run's own files
    assert "artifacts/finetune" not in repository.git("status", "--porcelain", "--untracked-files=all")
    assert not repository.git("ls-files", "artifacts/finetune")


def test_dvc_draws_the_run_and_shows_its_figures(repository: Repository) -> None:
    live = repository.folder / "artifacts/finetune/live"
    shown = json.loads(repository.dvc("metrics", "show", "--json", "artifacts/finetune/live/metrics.json").stdout)
    (figures,) = shown[""]["data"].values()
    assert figures["data"]["step"] == 30
    for source in ("artifacts/finetune/live/plots/metrics/held_out_loss.tsv", "artifacts/author/tuning.csv"):
        done = repository.dvc("plots", "show", source, "-x", "step", "-y", "held_out_loss", "-o", "plots")
        assert done.returncode == 0, done.stderr
        assert '"held_out_loss": "' in (repository.folder / "plots/index.html").read_text()
    assert (live / "plots/metrics/loss.tsv").read_text().splitlines()[0] == "step\tloss"
    assert "held_out_loss" in (live / "report.html").read_text()


def test_an_edit_of_the_text_tunes_again_and_back_again_does_not(repository: Repository) -> None:
    assert repository.pending("author") == set()
    before, path = author(repository), repository.folder / "my_texts/one.txt"
    content = path.read_text()
    path.write_text(content + "\n\nOne paragraph more, which nobody has seen before.")
    assert repository.repro("author") == {"author"}
    assert author(repository) != before
    path.write_text(content)
    assert repository.repro("author") == set()  # from the run-cache
    assert author(repository) == before


def test_a_killed_run_resumes_and_ends_with_the_same_bytes(repository: Repository) -> None:
    """Killed at a checkpoint, after DVC has removed the outputs."""
    path = repository.folder / "my_texts/one.txt"
    path.write_text(path.read_text() + "\n\nAnother paragraph, for a run that is killed.")
    process = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", "author"],
        cwd=repository.folder,
        env=repository.environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None and not checkpoints(repository):
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert checkpoints(repository)
    assert not (repository.folder / "artifacts/author").exists()
    assert repository.repro("author") == {"author"}
    assert not checkpoints(repository)
    resumed = author(repository)
    assert repository.dvc("repro", "--force", "--single-item", "author").returncode == 0
    assert author(repository) == resumed


def checkpoints(repository: Repository) -> list[Path]:
    return list((repository.folder / "artifacts/finetune").glob("checkpoint-????????????????.npz"))


def test_held_out_text_is_evaluated_and_the_bundle_describes_the_run(repository: Repository) -> None:
    assert {"convert", "quantize@float32", "validate@float32", "package@float32"} <= repository.repro()
    bundle = repository.folder / "artifacts/package/float32"
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["model"]["tuning"] == model(repository)["tuning"]
    card = " ".join((bundle / "MODEL_CARD.md").read_text().split())
    assert f"tuned on own text (SHA-256 `{manifest['model']['tuning']['text_sha256']}`)" in card


def test_another_author_ignores_the_text(repository: Repository) -> None:
    repository.edit("params.yaml", "author: finetune", "author: pydoc_gpt2")
    assert repository.repro("author") == {"author"}
    before, path = author(repository), repository.folder / "my_texts/one.txt"
    path.write_text(path.read_text() + "\n\nNobody reads this.")
    repository.repro("author")
    assert author(repository) == before
    assert model(repository)["tuning"] is None
