"""A single stage under Hydra's multirun."""

import shutil
from pathlib import Path

from helpers.commands import stage
from helpers.folders import ROOT

PROBE = """
from autocomplete.common import config
from stages.quantize import QuantizeSettings
config.main("quantize", QuantizeSettings, lambda s: print(f"made {s.mode}"))
"""


def test_each_mode_runs_once_and_a_message_names_the_next_command(tmp_path: Path) -> None:
    for name in ("autocomplete", "conf", "stages"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    (tmp_path / "probe.py").write_text(PROBE)
    multirun = stage("probe", "-m", "quantize=float16,int4_block32", cwd=tmp_path)
    assert multirun.returncode == 0, multirun.stderr
    assert [line for line in multirun.stdout.splitlines() if line.startswith("made")] == [
        "made float16",
        "made int4_block32",
    ]
    (line,) = multirun.stderr.strip().splitlines()
    assert line.startswith("quantize ran outside DVC: dvc.lock does not know what it wrote")
    assert line.endswith("then `dvc commit quantize`")
    single_run = stage("probe", "quantize=float16", cwd=tmp_path)
    assert not single_run.stderr
