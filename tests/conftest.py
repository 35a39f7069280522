"""Fixtures around the toy, a GPT-2 of two layers, and the order of the modules."""

import os
from pathlib import Path
from typing import Any

import pytest

from autocomplete.common.native_log import quiet
from helpers.toy_models import bytes_driver_of, driver, steps
from helpers.toys import CHUNK, SEQUENCE, SLOTS, Toy, make_toy

os.environ["DVC_TEST"] = "true"  # else each DVC command starts a process that reports to analytics.dvc.org

pytest_plugins = ["helpers.bundles", "helpers.projects"]
# folders whose modules take minutes
LONGEST = ("clients", "graph", "model", "pipeline", "presets", "quantize", "tokenizer", "train", "web")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with the longest modules: run last, one would keep a process busy while the others are idle."""
    items.sort(key=lambda item: item.path.parent.name not in LONGEST)


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    return make_toy(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="session")
def core_path(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy's float32 core with all its signatures."""
    from autocomplete.graph import core
    from autocomplete.tflite import flatbuffer

    path = tmp_path_factory.mktemp("core") / "core.tflite"
    with quiet():
        flatbuffer.write(core.build(toy.weights, SLOTS, [CHUNK, 32], steps(), score_length=32), path)
    return path


@pytest.fixture(scope="session")
def greedy_driver(toy: Toy) -> Any:
    return driver(toy)


@pytest.fixture(scope="session")
def tokens_driver(toy: Toy) -> Any:
    """The tokens driver for the toy."""
    from autocomplete.graph import loop_plan, tokens_driver

    lengths = loop_plan.LoopLengths(SEQUENCE, CHUNK, 4)
    with quiet():
        return tokens_driver.convert(toy.weights.config, toy.vocabulary.end_token_ids, lengths)


@pytest.fixture(scope="session")
def bytes_driver(toy: Toy) -> Any:
    """The bytes driver for the toy."""
    return bytes_driver_of(toy)
