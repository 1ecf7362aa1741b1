"""The evidence of a run with faults: facts that handlers and stores write down, for the checker to judge.

The `Ledger` is directly above the store, beneath the injected faults, so it knows what the store really did, no matter
what a tick was answered. Each fact is one line, appended by one write, so a process can be killed between any two.
"""

import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from shared.model.entries import Entry
from shared.model.job import Job
from shared.model.times import iso
from shared.store.documents import Unreadable, from_document, read_time, to_document, with_times
from shared.store.protocol import PAGE, Change, Lost, Outcome, Store, Won

PEOPLE = "people"  # begins the names of all who write and are not ticks


@dataclass(frozen=True, kw_only=True)
class Write:
    """One change, and the store's answer: "none" (so far), "won", "lost" or "unknown"."""

    by: str
    number: int
    answer: str
    clock: datetime  # of the writer, before the call
    before: Job | None
    before_version: str | None
    after: Job | None
    after_version: str | None = None

    @property
    def is_by_a_person(self) -> bool:
        """Return whether a person made it, and no tick or delivery."""
        return self.by.startswith(PEOPLE)

    @property
    def job_id(self) -> str:
        """Return the job's id."""
        subject = self.after or self.before
        assert subject is not None
        return subject.id


@dataclass(frozen=True, kw_only=True)
class Began:
    """A handler began."""

    by: str
    key: str
    clock: datetime


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A handler ended: "completed", "failed", "final" or "later"."""

    by: str
    key: str
    outcome: str


@dataclass(frozen=True, kw_only=True)
class Reported:
    """The metrics of a tick that ended normally."""

    by: str
    metrics: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Injected:
    """A fault that was injected into a call to the store."""

    by: str
    method: str
    fault: str


Fact = Write | Began | Ended | Reported | Injected
Note = Callable[[Fact], None]
KINDS: dict[str, type[Fact]] = {kind.__name__: kind for kind in (Write, Began, Ended, Reported, Injected)}


class Ledger(Store):
    """Passes every call on to the store, and records each write before and after the call."""

    def __init__(self, store: Store, by: str, clock: Callable[[], datetime], note: Note) -> None:
        self._store = store
        self._by = by
        self._clock = clock
        self._note = note
        self._numbers = count()

    def get(self, job_ids: Collection[str]) -> dict[str, Job | Unreadable]:
        return self._store.get(job_ids)

    def due(self, now: datetime, limit: int = PAGE) -> list[Job | Unreadable]:
        return self._store.due(now, limit)

    def page(self, **query: Any) -> list[Job | Unreadable]:
        return self._store.page(**query)

    def history(self, **query: Any) -> list[Entry]:
        return self._store.history(**query)

    def now(self) -> datetime:
        return self._store.now()

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        writes = [self._tried(change) for change in changes]
        for write in writes:
            self._note(write)
        outcomes = self._store.swap(changes)
        for write, outcome in zip(writes, outcomes, strict=True):
            self._note(_answered(write, outcome))
        return outcomes

    def _tried(self, change: Change) -> Write:
        before, after = change
        assert not isinstance(before, Unreadable)
        assert not isinstance(after, Unreadable)
        return Write(
            by=self._by,
            number=next(self._numbers),
            answer="none",
            clock=self._clock(),
            before=before,
            before_version=None if before is None else version_of(before),
            after=after,
        )


def _answered(write: Write, outcome: Outcome) -> Write:
    if isinstance(outcome, Won):
        return replace(write, answer="won", after_version=version_of(outcome.job) if outcome.job else None)
    return replace(write, answer="lost" if isinstance(outcome, Lost) else "unknown")


def version_of(job: Job | Unreadable) -> str:
    """Write a version as text; Firestore's has nanoseconds that `str` leaves out."""
    version = job.version
    return str(version.rfc3339() if hasattr(version, "rfc3339") else version)


def to_file(path: Path) -> Note:
    """Return the function that appends facts to a file; appending is atomic between processes and threads."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(fact: Fact) -> None:
        names = {**vars(fact), "kind": type(fact).__name__}
        os.write(descriptor, (json.dumps(names, default=_plain) + "\n").encode())

    return note


def _plain(value: Any) -> Any:
    return to_document(value) if isinstance(value, Job) else iso(value)


def from_file(path: Path) -> list[Fact]:
    """Read all facts."""
    whole, _, _ = path.read_text().rpartition("\n")  # the last line may be incomplete
    return [_fact(json.loads(line)) for line in whole.splitlines()]


def _fact(names: dict[str, Any]) -> Fact:
    kind = KINDS[names.pop("kind")]
    for name in ("before", "after"):
        if names.get(name) is not None:
            names[name] = from_document(names[name]["id"], with_times(names[name]))
    if "clock" in names:
        names["clock"] = read_time(names["clock"])
    return kind(**names)
