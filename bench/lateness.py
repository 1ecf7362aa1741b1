"""The lateness of jobs that are due at random seconds, with one tick a minute.

The clocks of the ticks are put to the full minute at which Cloud Scheduler would call them, and go on from there at
their own pace: nothing waits for a minute to pass, and nothing is scaled.
"""

import random
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from statistics import quantiles

from bench.figure import Figure
from bench.site import Site
from bench.worker import clock, handlers, open_store, settings
from shared.model.job import Job
from shared.running.tick import run_tick

JOBS = 120
LOOKAHEAD = 50
MINUTE = timedelta(minutes=1)


def lateness(site: Site) -> Iterator[Figure]:
    """Measure the lateness of the jobs of one minute, with and without a look-ahead."""
    yield from _figures(site, "no look-ahead", "0")
    yield from _figures(site, f"look-ahead {LOOKAHEAD} s", str(LOOKAHEAD))


def _figures(site: Site, name: str, lookahead: str) -> Iterator[Figure]:
    minute = clock().replace(second=0, microsecond=0)
    dues = [_random_times(minute, seed) for seed in range(site.rounds)]
    stores = [
        site.filled(Job.create(f"job-{n}", "bench_count", now=minute - MINUTE, at=at) for n, at in enumerate(times))
        for times in dues
    ]
    ticking = [site.start(worker, two_ticks, store, minute, lookahead) for worker, store in enumerate(stores)]
    for each in ticking:
        each.result()
    late = [sorted(_lateness(job) for job in site.store(store).page() if isinstance(job, Job)) for store in stores]
    cadence = [sorted((minute + MINUTE - at).total_seconds() for at in times) for times in dues]
    for percentile in (50, 99):
        yield Figure(
            name=f"lateness p{percentile}, {name}",
            unit="s",
            runs=tuple(quantiles(each, n=100)[percentile - 1] for each in late),
            bare=tuple(quantiles(each, n=100)[percentile - 1] for each in cadence),
            note="the bare limit is the wait for the next full minute",
        )


def two_ticks(collection: str, minute: datetime, lookahead: str) -> None:
    """Run the ticks of a full minute and of the next one in this process."""
    given = settings({"SCHEDULER_LOOKAHEAD_SECONDS": lookahead})
    for begin in (minute, minute + MINUTE):
        run_tick(open_store(collection), handlers(), settings=given, clock=_clock_from(begin), monotonic=time.monotonic)


def _clock_from(begin: datetime) -> Callable[[], datetime]:
    ahead = begin - clock()
    return lambda: clock() + ahead


def _random_times(minute: datetime, seed: int) -> list[datetime]:
    dice = random.Random(seed)
    return [minute + MINUTE * dice.random() for _ in range(JOBS)]


def _lateness(job: Job) -> float:
    started_at = job.recent_runs[-1].started_at
    assert started_at is not None
    return (started_at - job.schedule_at).total_seconds()
