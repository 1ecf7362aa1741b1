"""The cost of handing jobs over to a queue, and the ticks beside them while they run elsewhere.

Cloud Tasks is played by a server that answers every request after 20 ms, in a process of its own: what is measured is
the way there. How a job goes through a queue is no matter of this project.
"""

import asyncio
import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import quantiles

import urllib3

from bench.bare import CALL_SECONDS, claim_fields, due, update
from bench.billing import Cashier, CountingClient
from bench.figure import Figure
from bench.jobs import due_jobs
from bench.site import DELAY, Site
from bench.ticks import expect, tick
from bench.worker import clock, handlers, settings
from shared.model.job import Job
from shared.running.delivery import run_delivered
from shared.running.tick import run_tick
from shared.store.firestore import FirestoreStore
from shared.store.protocol import Change
from watchkeeper.fakes.google_oauth import GoogleOAuth

QUEUE = "projects/bench/locations/here/queues/agents"
THREADS = 16  # as many as a tick
JOBS = 500
LONG_JOBS = 20
TICKS = 60


def hand_over(site: Site) -> Iterator[Figure]:
    """Measure the hand-over of a page, its bill, and ticks beside long jobs."""
    yield from page(site)
    with task_service(site) as (_, given):
        site.measure(_use_key, site.folder / "key.json")
        yield from _bill(site, given)
        yield from _beside_long_jobs(site, given)


@contextmanager
def task_service(site: Site) -> Iterator[tuple[str, dict[str, str]]]:
    """Serve Cloud Tasks and its tokens; yield the address, and the settings of a tick that hands over."""
    with _slow_tasks() as address, GoogleOAuth() as oauth:
        oauth.write_key_file(site.folder / "key.json")
        yield address, _settings(address)


def _settings(address: str) -> dict[str, str]:
    return {
        "TASK_QUEUES": f"agents={QUEUE}",
        "RUN_JOB_URL": "https://here-bench.cloudfunctions.net/watchkeeper-run-job",
        "RUN_JOB_CALLER": "watchkeeper-tasks@bench.iam.gserviceaccount.com",
        "TASKS_API_ENDPOINT": address,
    }


def page(site: Site) -> Iterator[Figure]:
    """Time the hand-over of a page, and compare it with the bare calls."""
    with task_service(site) as (address, given):
        site.measure(_use_key, site.folder / "key.json")
        ours, bare = [], []
        for _ in range(site.rounds + 1):
            bare.append(site.measure(bare_hand_over, site.filled(queued_jobs(JOBS)), address))
            ticked = site.measure(tick, site.filled(queued_jobs(JOBS)), given)
            expect(ticked.metrics, jobs_handed_over=JOBS, truncated=False)
            ours.append(ticked.seconds)
        yield Figure(
            name=f"hand-over of {JOBS} jobs",
            unit="s",
            runs=tuple(ours[1:]),
            bare=tuple(bare[1:]),
            budget=1.5,
            note=f"a query, {JOBS} claims, {JOBS} requests of {DELAY * 1000:.0f} ms on {THREADS} threads; the first is"
            " left out",
            parts=site.parts(tick, site.filled(queued_jobs(JOBS)), given),
            bare_parts=site.parts(bare_hand_over, site.filled(queued_jobs(JOBS)), address),
        )


def bare_hand_over(collection: str, address: str) -> float:
    """Query, claim and hand over a page of jobs with the bare libraries; return the seconds it took."""
    began = time.perf_counter()
    found = due(collection)
    update(collection, [(job.id, job.update_time, claim_fields()) for job in found])
    with urllib3.PoolManager(maxsize=THREADS, timeout=CALL_SECONDS) as pool, ThreadPoolExecutor(THREADS) as threads:
        url = f"{address}/v2/{QUEUE}/tasks"
        answers = threads.map(lambda job: pool.request("POST", url, json={"task": {"name": job.id}}).status, found)
        if {*answers} != {200}:
            raise RuntimeError("a request was not answered")
    return time.perf_counter() - began


def _bill(site: Site, given: dict[str, str]) -> Iterator[Figure]:
    collection = site.filled(queued_jobs(50))
    reads, writes = site.measure(billed_hand_over, collection, given)
    yield Figure(name="billed reads a job that is handed over", unit="", runs=(reads / 50,), budget=2)
    yield Figure(name="billed writes a job that is handed over", unit="", runs=(writes / 50,), budget=4)


def billed_hand_over(collection: str, given: dict[str, str]) -> tuple[float, float]:
    """Hand over all due jobs and deliver each; return the reads and writes beyond those of an idle tick."""
    cashier = Cashier()
    store = FirestoreStore(CountingClient(cashier), collection)
    limits, run_limits = settings(given), settings({"CALL_TIMEOUT_SECONDS": "1800"})
    run_tick(store, handlers(), settings=limits, clock=clock, monotonic=time.monotonic)
    after_tick = cashier.bill
    waiting = [job for job in FirestoreStore(CountingClient(Cashier()), collection).page() if isinstance(job, Job)]
    for job in waiting:
        token = job.lease_token or ""
        run_delivered(store, handlers(), job.id, token, settings=run_limits, clock=clock, monotonic=time.monotonic)
    idle_reads = 1  # the query after the page, which finds nothing
    return cashier.bill.reads - idle_reads * (after_tick.reads > len(waiting)), cashier.bill.writes


def _beside_long_jobs(site: Site, given: dict[str, str]) -> Iterator[Figure]:
    """Tick over ten due jobs again and again while twenty long jobs run elsewhere under their leases."""
    lease = timedelta(minutes=5)
    long_jobs = [
        job.claim(now=clock(), token=job.id, lease=lease, retention=lease, queue="agents").begin(
            now=clock(), token=f"{job.id}-begun", lease=lease
        )
        for job in queued_jobs(LONG_JOBS)
    ]
    collection = site.filled(long_jobs)
    seconds = []
    for number in range(TICKS):
        jobs = [Job.create(f"due-{number}-{n}", "bench_count", now=clock()) for n in range(10)]
        site.store(collection).swap([Change(None, job) for job in jobs])
        ticked = site.measure(tick, collection, given)
        expect(ticked.metrics, jobs_succeeded=10)
        seconds.append(ticked.seconds)
    p99 = quantiles(seconds, n=100, method="inclusive")[98]
    name = f"tick over 10 due jobs while {LONG_JOBS} jobs run elsewhere, p99 of {TICKS}"
    yield Figure(name=name, unit="s", runs=(p99,), budget=2.0)


def queued_jobs(count: int, prefix: str = "job") -> list[Job]:
    """Return due jobs that a tick hands over."""
    return due_jobs(count, now=clock(), job_type="bench_queued", prefix=prefix)


def _use_key(path: Path) -> None:
    os.environ["GOOGLE_APPLICATION_CREDENTIALS"] = str(path)


# -- a server that takes its time --------------------------------------------------------------------------------------


@contextmanager
def _slow_tasks() -> Iterator[str]:
    """Serve in another process; yield the address."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(there,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.kill()
        process.join()


def _serve(told: Connection) -> None:
    async def serve() -> None:
        server = await asyncio.start_server(_answer, "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request of a connection after DELAY."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
            await reader.readexactly(length)
            await asyncio.sleep(DELAY)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
