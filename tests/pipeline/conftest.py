"""Repositories that several modules start from."""

from pathlib import Path

import pytest

from helpers import repositories
from helpers.repositories import SUPPRESSED, Repository, Run
from helpers.toys import Toy


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository whose stages only note that they ran."""
    return repositories.make_fake(tmp_path / "repository")


@pytest.fixture(scope="session")
def first(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The first run, of one mode."""
    created = repositories.make(toy, tmp_path_factory.mktemp("first") / "repository")
    created.edit("conf/convert/default.yaml", "suppress_tokens: []", f"suppress_tokens: {SUPPRESSED}")
    return Run(created, created.repro())
