"""The Firestore operations of ticks, counted at the client's channel: calls, documents read, writes sent."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import grpc
from google.cloud import firestore
from google.cloud.firestore_v1.types import RunQueryResponse

from bench.figure import Figure
from bench.jobs import due_jobs, finished_jobs
from bench.site import Site
from bench.worker import PROJECT, clock, handlers, settings
from shared.model.entries import KEPT
from shared.running.tick import run_tick
from shared.store.firestore import FirestoreStore


class Bill(NamedTuple):
    """The calls by method, and their billed operations. A query that finds nothing is billed as one read."""

    calls: dict[str, int]
    reads: int
    writes: int


class Cashier(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):  # type: ignore[misc]
    """Counts every call of a channel; grpc has no types."""

    def __init__(self) -> None:
        self._calls: Counter[str] = Counter()
        self._reads = self._writes = 0

    @property
    def bill(self) -> Bill:
        """Return the bill so far."""
        return Bill(dict(self._calls), self._reads, self._writes)

    def intercept_unary_unary(self, proceed: Callable[..., Any], details: Any, request: Any) -> Any:
        """Count a batch of writes, the only unary call of a store."""
        self._note_call(details)
        self._writes += len(request.writes)
        return proceed(details, request)

    def intercept_unary_stream(self, proceed: Callable[..., Any], details: Any, request: Any) -> Any:
        """Count a query, or a read by name."""
        self._note_call(details)
        return self._noting_reads(proceed(details, request))

    def _note_call(self, details: Any) -> None:
        self._calls[details.method.rpartition("/")[2]] += 1

    def _noting_reads(self, answers: Iterable[Any]) -> Iterator[Any]:
        documents = 0
        for answer in answers:
            # A query may send a response without a document, to report its progress.
            documents += not isinstance(answer, RunQueryResponse) or "document" in answer
            yield answer
        self._reads += max(documents, 1)


class CountingClient(firestore.Client):
    """A client of the emulator whose calls a cashier counts."""

    def __init__(self, cashier: Cashier) -> None:
        super().__init__(project=PROJECT)
        self._cashier = cashier

    # The client has no public argument for a channel.
    def _emulator_channel(self, transport: Any) -> Any:
        return grpc.intercept_channel(super()._emulator_channel(transport), self._cashier)  # type: ignore[no-untyped-call]


def billed_tick(collection: str, kept: timedelta = KEPT) -> tuple[Bill, int]:
    """Run a tick in this process, with a history or without; return its bill, and how many jobs succeeded."""
    cashier = Cashier()
    store = FirestoreStore(CountingClient(cashier), collection, kept=kept)
    report = run_tick(store, handlers(), settings=settings({}), clock=clock, monotonic=time.monotonic)
    return cashier.bill, report.jobs_succeeded


def billing(site: Site) -> Iterator[Figure]:
    """Count an idle tick, then a full page. The difference is the cost of its jobs."""
    idle, _ = site.measure(billed_tick, site.filled(finished_jobs(1_000, now=clock())))
    full, ran = site.measure(billed_tick, site.filled(due_jobs(500, now=clock())))
    without, ran_without = site.measure(billed_tick, site.filled(due_jobs(500, now=clock())), timedelta())
    yield Figure(name="idle tick: calls", unit="", runs=(sum(idle.calls.values()),), budget=1, note=_named(idle.calls))
    yield Figure(name="idle tick: billed reads", unit="", runs=(idle.reads,), budget=1)
    yield Figure(name="idle tick: billed writes", unit="", runs=(idle.writes,), budget=0)
    yield Figure(
        name="tick over 500 due jobs: calls", unit="", runs=(sum(full.calls.values()),), note=_named(full.calls)
    )
    beyond = ((full.reads - idle.reads) / ran, (full.writes - idle.writes) / ran)
    yield Figure(name="billed reads a job, beyond an idle tick", unit="", runs=(beyond[0],), budget=1)
    yield Figure(name="billed writes a job, beyond an idle tick", unit="", runs=(beyond[1],), budget=3)
    yield Figure(
        name="the same without a history (SCHEDULER_HISTORY_DAYS=0)",
        unit="",
        runs=((without.writes - idle.writes) / ran_without,),
        budget=2,
        note=_named(without.calls),
    )


def _named(calls: dict[str, int]) -> str:
    return ", ".join(f"{count} {method}" for method, count in calls.items())
