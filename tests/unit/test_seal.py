"""The key that marks buttons: one for an installation, created on first use, and stored beside the jobs."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from seal import Seal
from seal_key import KEY_ID, kept_key
from shared.errors import StoreUnavailable
from shared.model.job import Job
from shared.store.protocol import Change, Store


class Rival:
    """A store in which another instance creates a key between our read and our write."""

    def __init__(self, store: Store, now: datetime) -> None:
        self._store = store
        self._now = now

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def swap(self, changes: list[Change]) -> object:
        self.theirs = kept_key(self._store, self._now)
        return self._store.swap(changes)


def test_key_is_created_once_and_kept(store: Store, now: datetime) -> None:
    """It is the same a year later: a card may be old."""
    first = kept_key(store, now)

    assert len(first) == 64
    assert kept_key(store, now + timedelta(days=365)) == first


def test_installations_have_different_keys(store: Store, json_store: Store, now: datetime) -> None:
    """It is random."""
    first = kept_key(store, now)
    (kept,) = store.get([KEY_ID]).values()
    store.swap([Change(kept, None)])

    assert kept_key(store, now) != first


def test_one_of_two_instances_creates_the_key(json_store: Store, now: datetime) -> None:
    """Both continue with the same key."""
    rival = Rival(json_store, now)

    assert kept_key(rival, now) == rival.theirs  # type: ignore[arg-type]  # it passes everything on


def test_key_is_not_a_job_to_run(store: Store, now: datetime) -> None:
    """It is never due, has no space and does not expire."""
    kept_key(store, now)

    (kept,) = store.get([KEY_ID]).values()
    assert isinstance(kept, Job)
    kept.check()
    assert store.due(now + timedelta(days=365)) == []
    assert (kept.space, kept.expire_at) == (None, None)


@pytest.mark.parametrize("payload", [{}, {"key": ""}, {"key": "short"}, {"key": ["x" * 64]}, {"message": "x" * 64}])
def test_document_without_a_key_is_an_error(
    json_store: Store, job_factory: Callable[..., Job], now: datetime, payload: dict[str, object]
) -> None:
    """A guessable key would be worse than no key; the error has the remedy."""
    json_store.swap([Change(None, replace(job_factory(KEY_ID), payload=payload))])

    with pytest.raises(StoreUnavailable, match=f"watchkeeper jobs delete {KEY_ID}"):
        kept_key(json_store, now)


def test_mark_ignores_the_order_of_the_parameters() -> None:
    """Chat returns them as an object."""
    seal = Seal(lambda: b"key", "spaces/A")
    mark = seal.of({"action": "run", "id": "tea"})

    assert seal.holds({"id": "tea", "seal": mark, "action": "run"})
    assert not seal.holds({"id": "tea", "seal": mark.upper(), "action": "run"})
