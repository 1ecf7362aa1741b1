"""A world with a queue, before and after a tick has handed its job over."""

from datetime import datetime

import pytest

from shared.store.json_file import JsonStore
from tests.support.handing_over import MINUTE, JobFactory, World, do_nothing


@pytest.fixture
def world(json_store: JsonStore, now: datetime) -> World:
    """A world with a handler `research`, which runs outside the tick, and `log`, which does not."""
    world = World(json_store, now)
    world.on("research", do_nothing, queue="agents", timeout=20 * MINUTE)
    world.on("log", do_nothing)
    return world


@pytest.fixture
def waiting(world: World, job_factory: JobFactory) -> World:
    """A world whose job was handed over and waits in its queue."""
    world.add(job_factory(job_type="research", by="ada"))
    world.tick()
    return world
