"""A repository whose stages only note that they ran."""

from pathlib import Path

import pytest

from helpers import repositories
from helpers.repositories import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return repositories.make_fake(tmp_path / "repository")
