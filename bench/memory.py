"""The memory of a worker of the tick function after it has run a page of jobs, and handed another one over."""

from collections.abc import Iterator

from bench.figure import Figure
from bench.functions import answer, environment, first_answer, running
from bench.hand_over import JOBS, queued_jobs, task_service
from bench.jobs import due_jobs
from bench.site import Site
from bench.worker import HANDLERS, clock
from shared.model.job import Job
from shared.store.protocol import Change


def memory(site: Site) -> Iterator[Figure]:
    """Measure it after a tick that runs 500 jobs, and after one more that hands 500 over."""
    ran, handed_over = [], []
    with task_service(site) as (_, given):
        env = {"GOOGLE_APPLICATION_CREDENTIALS": str(site.folder / "key.json"), **given}
        for _ in range(site.rounds):
            collection = site.filled(due_jobs(JOBS, now=clock()))
            own = environment(site, SCHEDULER_COLLECTION=collection, JOB_HANDLERS=HANDLERS, **env)
            with running("tick", own) as port:
                first_answer(port, b"")
                ran.append(_weighed(site, collection, port))
                site.store(collection).swap([Change(None, job) for job in queued_jobs(JOBS, "queued")])
                answer(port, b"")
                handed_over.append(_weighed(site, collection, port))
    name = f"resident memory of the worker, {JOBS}-job tick, peak"
    yield Figure(name=name, unit="MiB", runs=tuple(ran), budget=80)
    name = f"the same after a hand-over of {JOBS} more"
    yield Figure(name=name, unit="MiB", runs=tuple(handed_over), budget=80)


def _weighed(site: Site, collection: str, port: int) -> float:
    """Return the peak memory of the worker so far, as a job reports it from there."""
    store, file = site.store(collection), site.folder / collection
    if store.page(limit=1, status="pending"):
        raise RuntimeError("the tick did not run the jobs of the measurement")
    weigh = Job.create(f"weigh-{clock():%H%M%S%f}", "bench_memory", now=clock(), payload={"file": str(file)})
    store.swap([Change(None, weigh)])
    answer(port, b"")
    return float(file.read_text())
