"""Output of native code to standard error is hidden, and nothing else."""

import os
import warnings

import pytest

from autocomplete.common.native_log import quiet


def test_native_lines_are_dropped_and_later_ones_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet():
        os.write(2, b"CUDA is not there\n")
        warnings.warn("a warning", stacklevel=1)
    os.write(2, b"shown\n")
    assert capfd.readouterr().err == "shown\n"


def test_an_exception_passes_and_later_output_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="of ours"), quiet():
        raise ValueError("of ours")
    os.write(2, b"shown\n")
    assert capfd.readouterr().err == "shown\n"


def test_all_of_it_is_shown_on_request(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("AUTOCOMPLETE_TRACEBACK", "1")
    with quiet():
        os.write(2, b"CUDA is not there\n")
    assert capfd.readouterr().err == "CUDA is not there\n"
