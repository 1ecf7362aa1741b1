"""A store that fails by seed: before a call, after it was applied, late, in part, or slowly."""

import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from shared.errors import StoreUnavailable
from shared.model.entries import Entry
from shared.model.job import Job
from shared.store.documents import Unreadable
from shared.store.protocol import PAGE, Change, Outcome, Store, Unknown

T = TypeVar("T")


class Fault(StrEnum):
    """What goes wrong with one call."""

    BEFORE = "before"  # an error, and nothing was done
    AFTER = "after"  # an error, although it was done
    PART = "part"  # an error, although every other change was written
    LATE = "late"  # a time-out; what was asked for is written afterwards, before this caller's next call
    SLOW = "slow"  # an answer, after a while


Choose = Callable[[str], Fault | None]


def by_seed(seed: str, rates: Mapping[str, float]) -> Choose:
    """Draw the faults of each method from a sequence of its own; `rates` gives how often a call of it fails."""
    draws = {method: random.Random(f"{seed} {method}") for method in rates}

    def choose(method: str) -> Fault | None:
        draw = draws.get(method)
        return draw.choice(list(Fault)) if draw and draw.random() < rates[method] else None

    return choose


class FaultyStore(Store):
    """Passes calls on to a store, except for the faults that `choose` names for each method."""

    def __init__(
        self, store: Store, choose: Choose, *, seconds: float = 0.3, wait: Callable[[float], None] = time.sleep
    ) -> None:
        self._store = store
        self._choose = choose
        self._seconds = seconds
        self._wait = wait
        self._late: list[Change] = []

    def get(self, job_ids: Collection[str]) -> dict[str, Job | Unreadable]:
        return self._read("get", lambda: self._store.get(job_ids))

    def due(self, now: datetime, limit: int = PAGE) -> list[Job | Unreadable]:
        return self._read("due", lambda: self._store.due(now, limit))

    def page(self, **query: Any) -> list[Job | Unreadable]:
        return self._read("page", lambda: self._store.page(**query))

    def history(self, **query: Any) -> list[Entry]:
        return self._read("history", lambda: self._store.history(**query))

    def now(self) -> datetime:
        return self._read("now", self._store.now)

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        self.write_late()
        fault = self._choose("swap")
        if fault in (Fault.SLOW, Fault.LATE):
            self._wait(self._seconds)
        if fault in (None, Fault.SLOW):
            return self._store.swap(changes)
        if fault is Fault.LATE:
            self._late = list(changes)
        elif fault is not Fault.BEFORE:
            self._store.swap(changes[:: 2 if fault is Fault.PART else 1])
        return [Unknown(f"injected: {fault}")] * len(changes)

    def _read(self, method: str, call: Callable[[], T]) -> T:
        self.write_late()
        fault = self._choose(method)
        if fault in (Fault.SLOW, Fault.LATE):
            self._wait(self._seconds)
        if fault in (None, Fault.SLOW):
            return call()
        if fault is not Fault.BEFORE:
            call()
        raise StoreUnavailable(f"injected: {fault}")

    def write_late(self) -> None:
        """Write what timed out."""
        changes, self._late = self._late, []
        if changes:
            self._store.swap(changes)
