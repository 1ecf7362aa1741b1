"""A world in which jobs are given up, on each kind of store, and a fake of Chat."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from shared.store.json_file import JsonStore
from shared.store.protocol import Store
from tests.support.announcing import SPACE, JobFactory, World
from tests.support.posting import google_chat
from watchkeeper.fakes.chat import Chat


@pytest.fixture
def world(store: Store, now: datetime) -> World:
    """An empty world on each kind of store."""
    return World(store, now)


@pytest.fixture
def on_file(json_store: JsonStore, now: datetime) -> World:
    """An empty world on a file, for tests that do not depend on the store."""
    return World(json_store, now)


@pytest.fixture
def work(job_factory: JobFactory) -> JobFactory:
    """Make a job of a space."""
    return lambda job_id="job", **given: job_factory(job_id, "work", **{"space": SPACE, "payload": {}, **given})


@pytest.fixture
def chat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    """Chat, and credentials for it."""
    with google_chat(tmp_path, monkeypatch) as google:
        yield google.chat
