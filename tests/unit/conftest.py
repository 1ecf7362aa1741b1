"""Fixtures that several files of unit tests share."""

from datetime import datetime

import pytest

from shared.store.json_file import JsonStore
from tests.support.ticking import Clock, Recorder, World, do_nothing


@pytest.fixture
def world(json_store: JsonStore, now: datetime) -> World:
    """An empty world with a handler `log` that succeeds."""
    world = World(Recorder(json_store), Clock(now))
    world.on("log", do_nothing)
    return world
