"""Cloud Tasks on this machine; what takes long is made once."""

from collections.abc import Iterator

import pytest

from tests.support.local_cloud_tasks import QUEUE, SCOPE, Google, Rerouted, World, playing
from watchkeeper.fakes.google_oauth import GoogleOAuth


@pytest.fixture(scope="session")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Google]:
    path = tmp_path_factory.mktemp("google") / "key.json"
    with GoogleOAuth(scopes=[SCOPE]) as oauth:
        oauth.write_key_file(path)
        yield Google(oauth, path, Rerouted())


@pytest.fixture
def world(google: Google) -> Iterator[World]:
    with playing(google) as world:
        yield world


@pytest.fixture
def paused(world: World) -> World:
    """The world with its queue paused, so that tasks can be read."""
    world.queues.pause(name=QUEUE, body={}).execute()
    return world
