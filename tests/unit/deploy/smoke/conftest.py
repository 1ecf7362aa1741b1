"""Fixtures of the tests of the smoke test."""

from pathlib import Path

import pytest

from tests.support.deploying import SETTINGS
from tests.support.recorder import deployment_of
from tests.support.smoking import FakeDeployment
from watchkeeper.deploy.work import Work


@pytest.fixture
def cloud(tmp_path: Path) -> FakeDeployment:
    """A healthy deployment."""
    return FakeDeployment(folder=tmp_path)


@pytest.fixture
def work(cloud: FakeDeployment, tmp_path: Path) -> Work:
    """Work on every function, with the settings of an environment."""
    return cloud.work(deployment_of(tmp_path / "production.env", SETTINGS), tmp_path)
