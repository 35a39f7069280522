"""complete: the recipe's inference helper."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autocomplete.cli import complete
from autocomplete.tflite import flatbuffer, linker
from helpers.commands import refused, requested, stage
from helpers.folders import ROOT


@pytest.fixture(scope="module")
def model(greedy_driver: Any, core_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("complete") / "autocomplete.tflite"
    flatbuffer.write(linker.link(greedy_driver, flatbuffer.read(core_path)), path)
    return path


def test_it_lists_signatures_and_answers(model: Path) -> None:
    done = stage("autocomplete", "complete", f"--file={model}", "Returns the", "Raises")
    assert done.returncode == 0, done.stderr
    assert "signature serving_default: prompt string [] → text string []" in done.stdout.replace("\n", " ")
    assert "Returns the" in done.stdout
    assert done.stdout.count(" ms") == 2


def test_standard_input_line_by_line(model: Path) -> None:
    command = [sys.executable, "-m", "autocomplete", "complete", f"--file={model}", "-"]
    done = subprocess.run(command, input=b"One line\nmode=x\n\xff\n", capture_output=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b" ms") == 3


def test_options_end_where_prompts_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = requested(monkeypatch, complete, [f"--file={__file__}", "--threads=3", "--", "--mode=x"])
    assert request.prompts == ("--mode=x",)
    assert request.threads == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'PROMPT"),
        (["--mode=int5", "x"], "int5.* does not exist; modes that are there"),
        (["--threads=0", "x"], "'--threads': 0 is not in the range"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], message: str) -> None:
    refused(["complete", *arguments], message)


def test_help() -> None:
    done = stage("autocomplete", "complete", "--help")
    assert done.returncode == 0
    assert "--mode" in done.stdout


def test_a_file_without_a_text_signature_is_refused_in_one_line(core_path: Path) -> None:
    done = stage("autocomplete", "complete", "--file", str(core_path), "a prompt")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "allowed: a text model, autocomplete.tflite, with serving_default" in done.stderr
