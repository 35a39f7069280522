"""dvc.yaml names for each stage exactly the files that its script imports, so that DVC runs what a change concerns."""

from pathlib import Path

import pytest
import yaml

from helpers import imports

STAGES = yaml.safe_load((imports.ROOT / "dvc.yaml").read_text())["stages"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_what_it_imports(stage: str) -> None:
    declared = [d for d in STAGES[stage]["deps"] if d.startswith(imports.PACKAGES)]
    expected = imports.dependencies(f"stages/{stage}.py")
    advice = "python tests/helpers/imports.py prints the lines for dvc.yaml"
    assert sorted(declared) == expected, advice


def test_every_script_is_a_stage() -> None:
    assert {p.stem for p in Path(imports.ROOT / "stages").glob("[a-z]*.py")} == set(STAGES)


def test_every_kind_of_import_is_found() -> None:
    """Within functions, by name, of packages and by `python -m`; otherwise the test above would miss dependencies."""
    validate = imports.closure("stages/validate.py")
    assert "autocomplete/evaluate/greedy.py" in validate  # within a function
    assert "autocomplete/evaluate/peak_memory.py" in validate  # run
    assert "autocomplete/evaluate/targets.yaml" in validate  # read
    assert "autocomplete/model/families/llama.py" in imports.closure("stages/convert.py")  # by name
    assert "autocomplete/evaluate/table.py" not in validate
