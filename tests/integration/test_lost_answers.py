"""Writes that Firestore applied and whose answers were lost: each is recognised, and happens once."""

import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from google.cloud import firestore

from shared.handlers import Context, Handler, Payload
from shared.jobs import Jobs
from shared.model.entries import Entry
from shared.model.job import Job
from shared.model.value import Status
from shared.running.report import TickReport
from shared.running.tick import run_tick
from shared.settings import Settings
from shared.store.documents import Unreadable
from shared.store.firestore import FirestoreStore
from shared.store.protocol import PAGE, Change, Outcome, Store, Won
from tests.support.proxy import Proxy, proxy_to
from tests.support.running import until

pytestmark = pytest.mark.emulator

JobFactory = Callable[..., Job]


class LosesAnswers(Store):
    """A store behind a proxy; the answer to each swap that `should_lose` chooses is cut off once it is applied.

    That it is applied is seen from `direct`, a second way to the same documents.
    """

    def __init__(self, store: Store, direct: Store, proxy: Proxy) -> None:
        self.store = store
        self.direct = direct
        self.proxy = proxy
        self.should_lose: Callable[[Change], bool] = lambda change: False
        self.lost: list[Change] = []

    def get(self, job_ids: Collection[str]) -> dict[str, Job | Unreadable]:
        return self.store.get(job_ids)

    def due(self, now: datetime, limit: int = PAGE) -> list[Job | Unreadable]:
        return self.store.due(now, limit)

    def page(self, **query: Any) -> list[Job | Unreadable]:
        return self.store.page(**query)

    def history(self, **query: Any) -> list[Entry]:
        return self.store.history(**query)

    def now(self) -> datetime:
        return self.store.now()

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        to_lose = [change for change in changes if self.should_lose(change)]
        if not to_lose or self.lost:
            return self.store.swap(changes)
        self.lost += to_lose
        before = self.direct.get([change.job_id for change in changes])
        self.proxy.hold()
        cutter = threading.Thread(target=self._cut_when_applied, args=(changes, before))
        cutter.start()
        outcomes = self.store.swap(changes)
        cutter.join()
        return outcomes

    def _cut_when_applied(self, changes: Sequence[Change], before: dict[str, Job | Unreadable]) -> None:
        ids = [change.job_id for change in changes]
        until(lambda: versions(self.direct.get(ids)) != versions(before), 10)
        self.proxy.cut()


def versions(found: dict[str, Job | Unreadable]) -> dict[str, Any]:
    return {job_id: job.version for job_id, job in found.items()}


@pytest.fixture
def store(
    firestore_emulator: str, firestore_client: firestore.Client, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LosesAnswers]:
    """A store on the emulator, behind a proxy."""
    collection = f"jobs-{uuid.uuid4().hex}"
    with proxy_to(firestore_emulator) as proxy:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", proxy.address)
        client = firestore.Client(project="test")
        yield LosesAnswers(FirestoreStore(client, collection), FirestoreStore(firestore_client, collection), proxy)
        client.close()  # type: ignore[no-untyped-call]  # the library's own


def utc_now() -> datetime:
    return datetime.now(UTC)


def tick(store: Store, run: Callable[[Payload, Context], object], **env: str) -> TickReport:
    handlers = {"log": Handler(job_type="log", run=run, timeout=timedelta(seconds=20))}
    return run_tick(store, handlers, settings=Settings.from_env(env), clock=utc_now, monotonic=time.monotonic)


def is_claim(change: Change) -> bool:
    before, after = change
    return isinstance(before, Job) and isinstance(after, Job) and before.lease_token != after.lease_token


def is_heartbeat(change: Change) -> bool:
    before, after = change
    return isinstance(before, Job) and isinstance(after, Job) and before.lease_until != after.lease_until is not None


def is_finish(change: Change) -> bool:
    return isinstance(change.after, Job) and change.after.status is Status.COMPLETED


def read(store: LosesAnswers) -> Job:
    job = store.direct.get(["job"])["job"]
    assert isinstance(job, Job)
    return job


@pytest.mark.parametrize("lost", [is_claim, is_finish])
def test_a_lost_answer_to_a_claim_or_a_finish(
    store: LosesAnswers, job_factory: JobFactory, lost: Callable[[Change], bool]
) -> None:
    """The job runs once, at once, and its result stands; nothing waits for a lease to end."""
    store.swap([Change(None, job_factory(at=utc_now()))])
    store.should_lose = lost
    runs: list[str] = []

    report = tick(store, lambda payload, context: runs.append(context.execution_key))

    assert len(store.lost) == 1
    assert (report.jobs_succeeded, report.jobs_skipped, report.jobs_lost) == (1, 0, 0)
    assert len(runs) == 1
    assert (read(store).status, read(store).reclaims) == (Status.COMPLETED, 0)
    assert [run.outcome for run in read(store).recent_runs] == ["completed"]


def test_a_lost_answer_to_a_heartbeat(store: LosesAnswers, job_factory: JobFactory) -> None:
    """The holder continues under its lease, and is not asked to stop."""
    store.swap([Change(None, job_factory(at=utc_now()))])
    store.should_lose = lambda change: is_heartbeat(change) and not is_claim(change)
    reasons: list[str | None] = []

    def work(payload: Payload, context: Context) -> None:
        until(lambda: bool(store.lost) and read(store).version != store.lost[0].before.version, 10)  # type: ignore[union-attr]
        context.stop.wait(0.5)
        reasons.append(context.stop_reason)

    report = tick(store, work, SCHEDULER_LEASE_SECONDS="3")

    assert len(store.lost) == 1
    assert reasons == [None]
    assert (report.jobs_succeeded, report.jobs_lost) == (1, 0)


def test_a_lost_answer_to_an_insert(store: LosesAnswers) -> None:
    """Scheduling says "created", and there is one job."""
    store.get(["job"])  # the connection must stand before answers can be lost
    store.should_lose = lambda change: change.before is None
    jobs = Jobs(store, clock=utc_now, handlers={}, retention=timedelta(days=1))

    scheduled = jobs.schedule("log", {"message": "hello"}, id="job")

    assert len(store.lost) == 1
    assert scheduled.outcome == "created"
    assert scheduled.job == read(store)


@pytest.mark.parametrize("command", ["pause", "cancel", "run"])
def test_a_lost_answer_to_a_command(store: LosesAnswers, job_factory: JobFactory, command: str) -> None:
    """What a person asked for happens once and is reported as done."""
    store.swap([Change(None, job_factory(at=utc_now() + timedelta(days=1)))])
    store.should_lose = lambda change: True
    jobs = Jobs(store, clock=utc_now, handlers={}, retention=timedelta(days=1))

    job = getattr(jobs, command)("job", by="ana")

    assert len(store.lost) == 1
    assert job == read(store)
    assert job.updated_by == "ana"


def test_a_lost_answer_to_a_deletion(store: LosesAnswers, job_factory: JobFactory) -> None:
    """It is gone, and that is no error."""
    store.swap([Change(None, job_factory())])
    store.should_lose = lambda change: change.after is None

    Jobs(store, clock=utc_now, handlers={}, retention=timedelta(days=1)).delete("job")

    assert len(store.lost) == 1
    assert store.direct.get(["job"]) == {}


def test_of_an_unanswered_batch_only_own_claims_are_recognised(store: LosesAnswers, job_factory: JobFactory) -> None:
    """What another tick had claimed first is not recognised as a claim of this one."""
    now = utc_now()
    store.swap([Change(None, job_factory(name, at=now)) for name in ("a", "b")])
    stale = store.get(["a", "b"])
    (a, b) = (job for job in (stale["a"], stale["b"]) if isinstance(job, Job))
    claim = partial(Job.claim, now=now, lease=timedelta(minutes=5), retention=timedelta(days=1))
    assert isinstance(store.swap([Change(b, claim(b, token="other"))])[0], Won)
    store.should_lose = lambda change: True

    outcomes = store.swap([Change(job, claim(job, token="mine")) for job in (a, b)])

    assert [isinstance(outcome, Won) for outcome in outcomes] == [True, False]


def test_a_query_that_is_cut_in_the_middle_is_repeated(store: LosesAnswers, job_factory: JobFactory) -> None:
    """Half a page is no page: it is asked for again, and comes whole."""
    now = utc_now()
    store.swap([Change(None, job_factory(f"job-{n:03}", at=now, payload={"text": "x" * 5000})) for n in range(300)])
    store.proxy.cut_after(300_000)

    due = store.due(utc_now())

    assert [job.id for job in due] == [f"job-{n:03}" for n in range(300)]
