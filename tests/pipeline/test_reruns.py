"""A real, small DVC repository: which stages run again after which change.

The pipeline runs once for all tests; each test that changes something does so in a copy.
"""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from autocomplete.common import metrics
from autocomplete.common.artifacts import Metrics
from autocomplete.common.files import tree_sha256
from helpers import repositories
from helpers.commands import stage
from helpers.repositories import SUPPRESSED, Repository, Run, ran

pytestmark = [pytest.mark.slow, pytest.mark.network]


@pytest.fixture(scope="module")
def second(first: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run after a second mode was added."""
    copy = repositories.copy(first.repository, tmp_path_factory.mktemp("second") / "repository")
    copy.edit("params.yaml", "  - float32\n", "  - float32\n  - dynamic_range\n")
    return Run(copy, copy.repro())


@pytest.fixture
def repository(first: Run, tmp_path: Path) -> Repository:
    """A copy of the first run's repository, with float32."""
    return repositories.copy(first.repository, tmp_path / "repository")


@pytest.fixture
def two_modes(second: Run, tmp_path: Path) -> Repository:
    """A copy of the second run's repository, with float32 and dynamic_range."""
    return repositories.copy(second.repository, tmp_path / "repository")


def modes(stage: str, *names: str) -> set[str]:
    return {f"{stage}@{name}" for name in names}


def chain(*names: str) -> set[str]:
    return {name for stage in ("quantize", "layers", "validate", "judge", "package") for name in modes(stage, *names)}


def test_everything_runs_once(first: Run) -> None:
    repository = first.repository
    assert first.stages == {"author", "convert", "reference", "page_runtime", "summary"} | chain("float32")
    bundle = repository.folder / "artifacts/package/float32"
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["metrics"]["greedy_match"] == 1.0
    assert manifest["metrics"]["text_greedy_match"] == 1.0
    assert not manifest["failed_gates"]
    assert set(manifest["metrics"]) == {*metrics.QUALITY, *Metrics.numbers(), "mode", "gates", "filter"}
    suppressed = json.loads((repository.folder / "artifacts/convert/convert.json").read_text())["suppress_tokens"]
    assert len(suppressed) == len(SUPPRESSED)
    assert suppressed == manifest["suppress_tokens"] == manifest["litert_lm"]["suppress_token_ids"]
    names = {p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()}
    page = {n for n in names if n.startswith("web/")}
    models = {"autocomplete.tflite", "core.tflite", "tokens.tflite", "portable.tflite", "autocomplete.litertlm"}
    vocabulary = {f"tokenizer/{n}" for n in ("vocabulary.json", "merges.txt", "tokenizer.json")}
    documents = {"manifest.json", "manifest.schema.json", "MODEL_CARD.md", "flex_ops.md", "SHA256SUMS"}
    clients = {f"usage/{n}" for n in ("Autocomplete.kt", "Portable.kt", "README.md", "litert.mjs", "litert.h")}
    clients |= {f"usage/{n}.{kind}" for n in ("complete", "portable") for kind in ("py", "mjs", "cc")}
    assert names - page == {*models, *vocabulary, *documents, *clients}
    if shutil.which("npm"):  # which installs the page's runtime
        assert {"web/index.html", "web/models.json", "web/runtime/litert_wasm_internal.wasm"} <= page
        listed = json.loads((bundle / "web/models.json").read_text())["models"]
        portable = manifest["files"]["portable.tflite"]
        assert [(m["mode"], m["sha256"]) for m in listed] == [("float32", portable["sha256"])]


def test_the_bundle_is_verified_and_its_bytes_repeat(repository: Repository) -> None:
    bundle = repository.folder / "artifacts/package/float32"
    done = stage("autocomplete", "verify", str(bundle))
    assert done.returncode == 0, done.stderr
    before = tree_sha256(bundle)
    assert repository.dvc("repro", "--force", "--single-item", "package@float32").returncode == 0
    assert tree_sha256(bundle) == before


def test_a_second_run_runs_nothing(repository: Repository) -> None:
    assert repository.repro() == set()


def test_comments_run_nothing(repository: Repository) -> None:
    repository.edit("params.yaml", "# knobs\n", "# the knobs\n")
    for name in ("convert/default", "quantize/float32", "author/pydoc_gpt2", "package/default"):
        path = repository.folder / f"conf/{name}.yaml"
        path.write_text("# another comment\n" + path.read_text())
    assert repository.repro() == set()


def test_a_gate_changed_judges_and_packages_again(repository: Repository) -> None:
    path = repository.folder / "conf/judge/default.yaml"
    before = path.read_text()
    settings = yaml.safe_load(before)
    for gate in settings["gates"]:
        if gate["metric"] == "perplexity_ratio":
            gate["at_most"] = 0.5
    path.write_text(yaml.safe_dump(settings))
    done = repository.dvc("repro", "--keep-going")
    assert ran(done.stdout) == modes("judge", "float32") | modes("package", "float32") | {"summary"}
    assert done.returncode != 0
    assert "float32 is not packaged, a gate failed: perplexity_ratio is 1, wanted <= 0.5" in done.stderr
    assert "Traceback" not in done.stderr
    table = (repository.folder / "artifacts/summary/summary.md").read_text()
    assert "refused: perplexity_ratio" in table
    path.write_text(before)
    assert repository.repro() == set()  # from the run-cache


def test_a_mode_added_runs_its_own_chain_only(second: Run) -> None:
    assert second.stages == chain("dynamic_range") | {"summary"}
    assert "| dynamic_range |" in (second.repository.folder / "artifacts/summary/summary.md").read_text()


def test_dvc_plots_the_loss_of_each_product(two_modes: Repository) -> None:
    repository = two_modes
    done = repository.dvc("plots", "show", "-o", "plots")
    assert done.returncode == 0, done.stderr
    assert "failed" not in done.stderr
    page = (repository.folder / "plots/index.html").read_text()
    assert '"product": "layer_0_qkv", "snr_db": ' in page
    names = {p.name for p in (repository.folder / "plots/static").iterdir()}
    assert names == {f"workspace_artifacts_layers_{mode}_layers.png" for mode in ("float32", "dynamic_range")}


def test_a_mode_without_a_text_model_ships_the_others(two_modes: Repository) -> None:
    repository = two_modes
    repository.edit("params.yaml", "  - dynamic_range\n", "  - dynamic_range\n  - int4_block32\n")
    assert repository.repro() == chain("int4_block32") | {"summary"}
    bundle = repository.folder / "artifacts/package/int4_block32"
    assert {p.name for p in bundle.glob("*.tflite")} == {"core.tflite", "tokens.tflite", "portable.tflite"}
    card = (bundle / "MODEL_CARD.md").read_text()
    assert "This mode has no text model" in card
    assert "autocomplete.tflite" not in card
    rows = (repository.folder / "artifacts/summary/summary.md").read_text().splitlines()
    (row,) = (r for r in rows if r.startswith("| int4_block32 | –"))
    assert row.endswith("| passed |")
    repository.edit("params.yaml", "  - int4_block32\n", "")
    assert repository.repro() == {"summary"}


def test_another_calibration_text_runs_what_it_changes(two_modes: Repository) -> None:
    """DVC quantizes all modes again, as it cannot know which read the text; equal bytes end the chain there."""
    path = two_modes.folder / "artifacts/presets/pydoc_gpt2/calibration.jsonl"
    path.write_text(path.read_text() + '{"text": "more"}\n')
    quantized = {name for stage in ("quantize", "layers") for name in modes(stage, "float32", "dynamic_range")}
    assert two_modes.repro() == {"author"} | quantized


def test_a_mode_s_file_edited_runs_that_mode_s_chain_only(two_modes: Repository) -> None:
    two_modes.edit("conf/quantize/dynamic_range.yaml", "granularity: CHANNELWISE", "granularity: TENSORWISE")
    assert two_modes.repro() == chain("dynamic_range") | {"summary"}


def test_sequence_length_runs_convert_onward_and_back_runs_nothing(two_modes: Repository) -> None:
    repository = two_modes
    repository.edit("params.yaml", "  - dynamic_range\n", "")
    assert repository.repro() == {"summary"}
    before = repository.hashes()
    repository.edit("params.yaml", "sequence_length: 48", "sequence_length: 40")
    assert repository.repro() == {"convert", "reference", "summary"} | chain("float32")
    assert json.loads((repository.folder / "artifacts/convert/convert.json").read_text())["context_window"] == 20
    repository.edit("params.yaml", "sequence_length: 40", "sequence_length: 48")
    assert repository.repro() == set()
    assert repository.hashes() == before


def test_a_bad_value_is_one_line_and_nothing_is_lost(repository: Repository) -> None:
    before = repository.hashes()
    repository.edit("params.yaml", "context_window: null", "context_window: 40")
    done = repository.dvc("repro")
    assert done.returncode != 0
    assert "error: convert.context_window is 40; allowed: 1 to 24" in done.stderr
    assert "Traceback" not in done.stderr
    repository.edit("params.yaml", "context_window: 40", "context_window: null")
    assert repository.repro() == set()
    assert repository.hashes() == before


def test_a_mode_without_a_file_fails_at_once(repository: Repository) -> None:
    repository.edit("params.yaml", "  - float32\n", "  - float32\n  - int5\n")
    done = repository.dvc("repro")
    assert done.returncode != 0
    assert ran(done.stdout) == set()
    assert "int5" in done.stderr
    assert "Traceback" not in done.stderr
