"""The text model runs in the runtime that the public Android demo app pins: TFLite 2.12 with Select TF of 2.12."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autocomplete.evaluate import contracts
from autocomplete.runtime import interpreters, sessions, text_model
from autocomplete.tflite import flatbuffer, linker
from helpers.environments import isolated
from helpers.modes import MODES, settings
from helpers.toy_models import driver, quantized
from helpers.toys import PROMPTS, Toy

pytestmark = [pytest.mark.slow, pytest.mark.network]

# setuptools: TF 2.12 imports pkg_resources. numpy: TF 2.12.1 wants less than 1.24.
PACKAGES = ("tensorflow==2.12.1", "tensorflow-text==2.12.1", "setuptools<70", "numpy<1.24")


TOKENS = [1, 40, 99, 200, 7, 150, 33]


def in_old_runtime(request: dict[str, Any]) -> dict[str, Any]:
    script = Path(__file__).parents[1] / "helpers/android_runtime.py"
    environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
    done = subprocess.run(
        [isolated(*PACKAGES), str(script)],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.timeout(900)
def test_every_mode_is_right_in_tflite_2_12(toy: Toy, greedy_driver: Any, core_path: Path, tmp_path: Path) -> None:
    models, cores = {}, {}
    for mode in MODES:
        if not settings(mode).get("text", True):
            continue
        models[mode], cores[mode] = tmp_path / f"{mode}.tflite", tmp_path / f"{mode}_core.tflite"
        core = quantized(toy, core_path, mode, text=True)
        flatbuffer.write(core, cores[mode])
        flatbuffer.write(linker.link(greedy_driver, core), models[mode])
    models["suppressed"] = tmp_path / "suppressed.tflite"
    suppressing = driver(toy, suppressed=range(100, 300))
    flatbuffer.write(linker.link(suppressing, flatbuffer.read(core_path)), models["suppressed"])
    per_channel = tmp_path / "per_channel.tflite"
    flatbuffer.write(quantized(toy, core_path, "dynamic_range"), per_channel)
    prompts = [p.encode() for p in PROMPTS] + list(contracts.HOSTILE_PROMPTS.values())
    answers = in_old_runtime(
        {
            "models": [str(m) for m in models.values()],
            "prompts": [p.hex() for p in prompts],
            "cores": [str(c) for c in (*cores.values(), per_channel)],
            "tokens": TOKENS,
        }
    )
    for mode, model in models.items():
        texts = [bytes.fromhex(a) for a in answers["texts"][str(model)]]
        assert all(a.startswith(p) for a, p in zip(texts, prompts, strict=True)), mode
        # integer rounding differs between versions
        if mode in ("float32", "float16", "weight_only_int8", "suppressed"):
            complete = text_model.interpreted(interpreters.tensorflow(model, 1))
            assert texts == [complete(p) for p in prompts], mode
    exact = last_logits(core_path)
    assert answers["texts"][str(models["suppressed"])] != answers["texts"][str(models["float32"])]
    for mode, core in cores.items():
        # as close to float32 as in today's runtime, up to the rounding of another version
        assert distance(answers["logits"][str(core)], exact) < 1.5 * distance(last_logits(core), exact) + 1e-5, mode
    # why dynamic_range has a text_recipe: once this fails, it needs none any more
    assert distance(answers["logits"][str(per_channel)], exact) > 0.2


def last_logits(core: Path) -> np.ndarray:
    session = sessions.InterpreterSession(interpreters.litert(core, 1))
    return [session.decode(t) for t in TOKENS][-1]


def distance(logits: list[float] | np.ndarray, exact: np.ndarray) -> float:
    """Root mean square difference in standard deviations of the exact logits."""
    return float(np.sqrt(np.mean((np.array(logits) - exact) ** 2)) / exact.std())
