"""The first deployment, which takes long: the tests that share it run in one process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.building import STEPS, Build, FirstDeployment, keep_settings
from tests.support.deploying import Operator, needs
from tests.support.gcloud import GoogleCloud


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirstDeployment]:
    """The first deployment with the real gcloud; every step of the build succeeded."""
    needs("gcloud")
    with GoogleCloud() as cloud:
        keep_settings(cloud)
        operator = Operator(cloud, tmp_path_factory.mktemp("first"))
        set_up = "".join(operator.run(verb) for verb in ("setup", "monitoring"))
        steps = Build(cloud, tmp_path_factory.mktemp("built")).run()
        assert {name: step for name, step in steps.items() if step.code} == {}
        assert steps.keys() == STEPS.keys()
        yield FirstDeployment(cloud=cloud, set_up=set_up, steps=steps)


@pytest.fixture
def cloud() -> Iterator[GoogleCloud]:
    """An empty cloud."""
    with GoogleCloud() as cloud:
        yield cloud


@pytest.fixture
def deployed(cloud: GoogleCloud, first: FirstDeployment, tmp_path: Path) -> Operator:
    """An operator of a cloud after the first deployment, with its own record of calls."""
    first.copy_to(cloud)
    return Operator(cloud, tmp_path)
