"""The store that fails: each fault does what it says, and a seed says which."""

from collections.abc import Callable
from datetime import datetime

import pytest

from shared.errors import StoreUnavailable
from shared.model.job import Job
from shared.store.protocol import Change, Store, Unknown, Won
from tests.faults.faulty_store import Fault, FaultyStore, by_seed


@pytest.mark.parametrize(
    ("fault", "at_once", "afterwards"),
    [
        (Fault.BEFORE, [], []),
        (Fault.AFTER, ["a", "b", "c"], ["a", "b", "c"]),
        (Fault.PART, ["a", "c"], ["a", "c"]),
        (Fault.LATE, [], ["a", "b", "c"]),
    ],
)
def test_a_write_that_fails(
    store: Store, job_factory: Callable[..., Job], fault: Fault, at_once: list[str], afterwards: list[str]
) -> None:
    """On both stores the outcome is unknown; what timed out is written before the next call."""
    waited: list[float] = []
    faulty = FaultyStore(store, lambda method: fault if method == "swap" else None, wait=waited.append)

    outcomes = faulty.swap([Change(None, job_factory(name)) for name in "abc"])
    first = sorted(store.get("abc"))

    assert [type(outcome) for outcome in outcomes] == [Unknown] * 3
    assert first == at_once
    assert sorted(faulty.get("abc")) == afterwards
    assert bool(waited) == (fault is Fault.LATE)


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER, Fault.PART, Fault.LATE])
def test_a_read_that_fails(json_store: Store, now: datetime, fault: Fault) -> None:
    """It raises StoreUnavailable, as a store does."""
    faulty = FaultyStore(json_store, lambda method: fault, wait=lambda seconds: None)

    for read in (lambda: faulty.get(["a"]), lambda: faulty.due(now), faulty.page, faulty.now):
        with pytest.raises(StoreUnavailable, match=fault):
            read()


def test_a_slow_store_answers(json_store: Store, job_factory: Callable[..., Job]) -> None:
    """After a while."""
    waited: list[float] = []
    faulty = FaultyStore(json_store, lambda method: Fault.SLOW, wait=waited.append)

    outcomes = faulty.swap([Change(None, job_factory("a"))])

    assert isinstance(outcomes[0], Won)
    assert list(faulty.get(["a"])) == ["a"]
    assert len(waited) == 2


def test_a_seed_repeats_its_faults() -> None:
    """For each method by itself, so that calls of one do not shift the faults of another."""
    one, same, other = (by_seed(seed, {"swap": 0.5, "get": 0.5}) for seed in ("1", "1", "2"))

    drawn = [one("swap") for _ in range(50)]
    mixed = [(same("get"), same("swap"))[1] for _ in range(50)]

    assert mixed == drawn
    assert [other("swap") for _ in range(50)] != drawn
    assert {*drawn} == {None, *Fault}
    assert one("due") is None
