"""The time of ticks: over a full page, with nothing to do, several at once, over a long backlog."""

import time
from collections.abc import Iterator, Mapping
from statistics import median
from types import MappingProxyType
from typing import Any, NamedTuple

from bench import work
from bench.bare import bare_pool, bare_query, bare_tick
from bench.figure import Figure, milliseconds
from bench.jobs import due_jobs, finished_jobs
from bench.site import WORKERS, Site
from bench.worker import clock, handlers, open_store, settings
from shared.running.tick import run_tick

HEAD_START = 0.3  # seconds, for every process to have its task before all begin
Runs = tuple[float, ...]
DEFAULTS: Mapping[str, str] = MappingProxyType({})
BACKLOG = 20_000
THREADS = 64  # for handlers that wait
BACKLOG_BUDGET = 4  # seconds a tick, so that the backlog takes many


class Ticked(NamedTuple):
    """The result of one tick: its time, its metrics, and the execution keys that its handlers recorded."""

    seconds: float
    metrics: Mapping[str, Any]
    ran: list[str]


def tick(collection: str, given: Mapping[str, str] = DEFAULTS, *, begins_at: float = 0.0) -> Ticked:
    """Run and time a tick in this process, at once or at a given time (`time.time()`)."""
    work.ran.clear()
    limits = settings(given)
    store = open_store(collection, limits.history)
    time.sleep(max(begins_at - time.time(), 0))
    began = begins_at or time.time()
    report = run_tick(store, handlers(), settings=limits, clock=clock, monotonic=time.monotonic)
    return Ticked(time.time() - began, report.metrics(), list(work.ran))


def warm_up(site: Site) -> None:
    """Run once in every process what is measured later, to warm up processes and emulator."""
    ticks_at_once(site, site.filled(due_jobs(1_000, now=clock(), job_type="bench_count")), WORKERS)


def delay(site: Site) -> Iterator[Figure]:
    """Measure what the proxy adds to a call: the same query with and without it."""
    collection = site.filled([])
    pairs = [(site.measure(bare_query, collection), bare_query(collection)) for _ in range(site.rounds * 5)]
    added = milliseconds(through - beside for through, beside in pairs)
    yield Figure(name="added to every call by the proxy", unit="ms", runs=added)


def full_page(site: Site) -> Iterator[Figure]:
    """Time a tick over 500 jobs with and without a history, each compared with a bare client that writes as much."""
    (ours,) = page(site)
    yield ours
    (without,) = page(site, days=0)
    yield without
    least = f"{ours.name}, against one query and two batch writes"
    yield Figure(name=least, unit="s", runs=ours.runs, bare=without.bare, note="the history is a third batch write")
    yield Figure(name="one job of the 500", unit="ms", runs=tuple(seconds * 2 for seconds in ours.runs))


def page(site: Site, days: int = 30) -> Iterator[Figure]:
    """Time a tick over 500 jobs with a history of this many days."""
    given = {"SCHEDULER_HISTORY_DAYS": str(days)}
    bare: list[float] = []
    ours: list[float] = []
    for _ in range(site.rounds):
        bare.append(site.measure(bare_tick, _page(site), days > 0))
        ticked = site.measure(tick, _page(site), given)
        expect(ticked.metrics, jobs_succeeded=500, truncated=False)
        ours.append(ticked.seconds)
    yield Figure(
        name="tick over 500 due jobs" + ("" if days else ", no history"),
        unit="s",
        runs=tuple(ours),
        bare=tuple(bare),
        budget=1.3,
        note="the bare limit is one query, two batch writes" + (", and one of the history" if days else ""),
        parts=site.parts(tick, _page(site), given),
        bare_parts=site.parts(bare_tick, _page(site), days > 0),
    )


def waiting(site: Site) -> Iterator[Figure]:
    """Time a tick over 500 jobs whose handlers wait, and compare it with a bare client with as many threads."""
    given = {"SCHEDULER_CONCURRENCY": str(THREADS)}
    bare: list[float] = []
    ours: list[float] = []
    for _ in range(site.rounds):
        bare.append(site.measure(bare_pool, _page(site, "bench_wait"), THREADS, work.WAIT))
        ticked = site.measure(tick, _page(site, "bench_wait"), given)
        expect(ticked.metrics, jobs_succeeded=500, truncated=False)
        ours.append(ticked.seconds)
    yield Figure(
        name=f"tick over 500 jobs that wait {work.WAIT * 1000:.0f} ms, {THREADS} threads",
        unit="s",
        runs=tuple(ours),
        bare=tuple(bare),
        budget=1.15,
        note=f"the bare limit is a query, a batch of claims, {THREADS} threads that wait, and two batches of results",
        parts=site.parts(tick, _page(site, "bench_wait"), given),
        bare_parts=site.parts(bare_pool, _page(site, "bench_wait"), THREADS, work.WAIT),
    )


def _page(site: Site, job_type: str = "log") -> str:
    return site.filled(due_jobs(500, now=clock(), job_type=job_type))


def idle(site: Site) -> Iterator[Figure]:
    """Time a tick that finds nothing to do, with finished jobs stored and without."""
    stores = {count: site.filled(finished_jobs(count, now=clock())) for count in (0, 1_000, 20_000)}
    ticks: dict[int, list[float]] = {count: [] for count in stores}
    queries: dict[int, list[float]] = {count: [] for count in stores}
    for collection in [*stores.values()] * site.rounds:
        site.measure(bare_query, collection)  # the emulator's scan becomes faster at first
    for _ in range(site.rounds * 6):
        for count, collection in stores.items():
            queries[count].append(site.measure(bare_query, collection))
            ticked = site.measure(tick, collection)
            expect(ticked.metrics, jobs_checked=0)
            ticks[count].append(ticked.seconds)
    empty = milliseconds(ticks[0])
    yield Figure(name="idle tick, no jobs stored", unit="ms", runs=empty, bare=milliseconds(queries[0]))
    for count in (1_000, 20_000):
        scans = tuple(there - nothing for there, nothing in zip(queries[count], queries[0], strict=True))
        name = f"idle tick, {count:,} finished jobs stored"
        yield without_scan(name, milliseconds(ticks[count]), empty, scans=milliseconds(scans))


def without_scan(name: str, ticks: Runs, empty: Runs, *, scans: Runs) -> Figure:
    """Compare idle ticks over finished jobs with those over an empty store, without the emulator's own share.

    It has no index and reads every document for any client: `scans` is how much longer the bare query took.
    """
    own = tuple(time - scan for time, scan in zip(ticks, scans, strict=True))
    whole = f"{median(ticks):.1f} ms, {median(ticks) / median(empty):.2f} x"
    note = f"less {median(scans):.1f} ms that the emulator, having no index, makes the bare query wait; with it {whole}"
    return Figure(name=name, unit="ms", runs=own, bare=empty, budget=1.2, note=note)


def at_once(site: Site) -> Iterator[Figure]:
    """Time several ticks that begin at the same moment over the same 1,000 jobs."""
    seconds: dict[int, list[float]] = {count: [] for count in (1, 2, 4, 8)}
    duplicates = lost = 0
    for _ in range(site.rounds):
        for count, runs in seconds.items():
            collection = site.filled(due_jobs(1_000, now=clock(), job_type="bench_count"))
            ticked = ticks_at_once(site, collection, count)
            ran = [key for each in ticked for key in each.ran]
            duplicates += len(ran) - len(set(ran))
            lost += 1_000 - len(set(ran)) + len(site.store(collection).page(limit=1, status="running"))
            runs.append(max(each.seconds for each in ticked))
    one = tuple(seconds[1])
    yield Figure(name="1 tick over 1,000 due jobs", unit="s", runs=one)
    for count in (2, 4, 8):
        budget = 1.2 if count == 4 else None
        name = f"{count} ticks at once over 1,000 due jobs"
        yield Figure(name=name, unit="s", runs=tuple(seconds[count]), bare=one, budget=budget)
    yield Figure(name="jobs that ran twice, in all of these", unit="", runs=(duplicates,), budget=0)
    yield Figure(name="jobs that did not run, in all of these", unit="", runs=(lost,), budget=0)


def ticks_at_once(site: Site, collection: str, count: int) -> list[Ticked]:
    """Run `count` ticks from the same moment, each in its own process."""
    begins_at = time.time() + HEAD_START
    started = [site.start(worker, tick, collection, begins_at=begins_at) for worker in range(count)]
    return [each.result() for each in started]


def backlog(site: Site) -> Iterator[Figure]:
    """Drain a long backlog with one tick after another, and compare its end with its beginning."""
    collection = site.filled(due_jobs(BACKLOG, now=clock()))
    each: list[float] = []  # milliseconds a job, tick by tick
    left = BACKLOG
    while left:
        ticked = site.measure(tick, collection, {"SCHEDULER_TICK_BUDGET_SECONDS": str(BACKLOG_BUDGET)})
        each.append(ticked.seconds * 1000 / ticked.metrics["jobs_succeeded"])
        left -= ticked.metrics["jobs_succeeded"]
    third = len(each) // 3
    yield Figure(
        name=f"one job of {BACKLOG:,}, in the last third against the first",
        unit="ms",
        runs=tuple(each[-third:]),
        bare=tuple(each[:third]),
        budget=1.1,
        note=f"drained by {len(each)} ticks of {BACKLOG_BUDGET} s",
    )


def expect(metrics: Mapping[str, Any], **expected: object) -> None:
    """Raise RuntimeError if a tick did other work than expected."""
    if differing := {name: metrics[name] for name, value in expected.items() if metrics[name] != value}:
        raise RuntimeError(f"the tick did not do the measured work: {differing}, not {expected}")
