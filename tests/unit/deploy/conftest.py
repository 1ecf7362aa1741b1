"""Fixtures that the tests of the deployment share."""

from pathlib import Path

import pytest

from tests.support.deploying import SETTINGS
from tests.support.recorder import Recorder, deployment_of
from watchkeeper.deploy.work import Work


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """The settings file of an environment."""
    path = tmp_path / "production.env"
    path.write_text(SETTINGS)
    return path


@pytest.fixture
def gcloud() -> Recorder:
    """A gcloud on an empty project."""
    return Recorder()


@pytest.fixture
def work(gcloud: Recorder, tmp_path: Path) -> Work:
    """Work on every function, with the settings of an environment."""
    return gcloud.work(deployment_of(tmp_path / "production.env", SETTINGS), tmp_path)
