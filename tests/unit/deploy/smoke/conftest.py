"""Fixtures of the tests of the smoke test."""

from pathlib import Path

import pytest

from tests.deploying import SETTINGS
from tests.recorder import target_of
from tests.smoking import Deployment
from watchkeeper.deploy.work import Work


@pytest.fixture
def cloud(tmp_path: Path) -> Deployment:
    """A healthy deployment."""
    return Deployment(folder=tmp_path)


@pytest.fixture
def work(cloud: Deployment, tmp_path: Path) -> Work:
    """Work on every function, with the settings of an environment."""
    return cloud.work(target_of(tmp_path / "production.env", SETTINGS), tmp_path)
