"""The tick function over HTTP, under functions-framework, on a file and on the Firestore emulator."""

import json
import signal
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from google.cloud import firestore

from shared.model.job import Job
from shared.model.value import Status
from shared.store.firestore import FirestoreStore
from shared.store.json_file import JsonStore
from shared.store.protocol import Change, Store, Won
from tests.support.running import RunningFunction, running_function, until
from tests.support.servers import HttpServer
from tests.support.tokens import AUDIENCE, CALLER, IdentityProvider, google_claims


def utc_now() -> datetime:
    return datetime.now(UTC)


class Deployment:
    """A store, and tick functions that work on it. Handlers of `tests.support.work` record their runs in `record`."""

    def __init__(self, store: Store, folder: Path, env: Mapping[str, str]) -> None:
        self.store = store
        self.folder = folder
        self.record = folder / "record"
        self.record.touch()
        self.env = {
            "AUTH_MODE": "off",
            "JOB_HANDLERS": "tests.support.work",
            "TEST_RECORD": str(self.record),
            "SCHEDULER_TICK_BUDGET_SECONDS": "20",
            **env,
        }

    def tick(self, **env: str) -> Any:
        """Run a tick function as a context manager."""
        return running_function("tick", self.folder, {**self.env, **env})

    def add(self, *jobs: Job) -> None:
        assert all(isinstance(outcome, Won) for outcome in self.store.swap([Change(None, job) for job in jobs]))

    def job(self, job_id: str) -> Job:
        job = self.store.get([job_id])[job_id]
        assert isinstance(job, Job)
        return job

    def runs(self, word: str = "ran") -> Counter[str]:
        """Count the runs by execution key, as the handlers recorded them."""
        lines = (line.split(" ", 1) for line in self.record.read_text().splitlines())
        return Counter(key for said, key in lines if said == word)

    def statuses(self) -> Counter[str]:
        return Counter(job.status.value for job in self.store.page(limit=1000) if isinstance(job, Job))


def due_job(job_id: str, job_type: str = "record", **payload: Any) -> Job:
    return Job.create(job_id, job_type, now=utc_now(), payload=payload)


@pytest.fixture
def on_json(tmp_path: Path) -> Deployment:
    """A deployment on a file."""
    path = tmp_path / "jobs.json"
    return Deployment(JsonStore(path, utc_now), tmp_path, {"SCHEDULER_JSON_PATH": str(path)})


@pytest.fixture
def on_firestore(tmp_path: Path, firestore_client: firestore.Client) -> Deployment:
    """A deployment on the emulator."""
    collection = f"jobs-{uuid.uuid4().hex}"
    env = {"SCHEDULER_STORAGE": "firestore", "SCHEDULER_COLLECTION": collection, "GOOGLE_CLOUD_PROJECT": "test"}
    return Deployment(FirestoreStore(firestore_client, collection), tmp_path, env)


@pytest.fixture(params=["json", pytest.param("firestore", marks=pytest.mark.emulator)])
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """A deployment on each kind of store."""
    made: Deployment = request.getfixturevalue(f"on_{request.param}")
    return made


# -- the contract ------------------------------------------------------------------------------------------------------

METRICS = {
    "jobs_checked",
    "jobs_due",
    "jobs_executed",
    "jobs_succeeded",
    "jobs_failed",
    "jobs_retried",
    "jobs_lost",
    "jobs_recovered",
    "jobs_skipped",
    "jobs_handed_over",
    "jobs_not_handed_over",
    "threads_left_behind",
    "truncated",
    "max_lateness_seconds",
    "execution_time_ms",
}


def test_a_call_runs_what_is_due_and_answers_with_metrics(deployment: Deployment) -> None:
    """The answer has the contract's form, the log its trace; a second call does nothing."""
    deployment.add(
        due_job("a"), due_job("b"), Job.create("early", "record", now=utc_now(), at=utc_now() + timedelta(days=1))
    )
    trace = uuid.uuid4().hex

    with deployment.tick() as tick:
        status, answer = tick.call("/cron/tick", headers={"X-Cloud-Trace-Context": f"{trace}/1;o=1"}, body=b"\xff{")
        again = tick.call()[1]
        lines = tick.log_lines()

    assert (status, answer["status"], answer["trace_id"]) == (200, "success", trace)
    assert datetime.fromisoformat(answer["timestamp"]) <= utc_now()
    assert answer["metrics"].keys() == METRICS
    assert (answer["metrics"]["jobs_executed"], answer["metrics"]["jobs_succeeded"]) == (2, 2)
    assert again["metrics"]["jobs_checked"] == 0
    assert sum(deployment.runs().values()) == 2
    assert deployment.statuses() == {"completed": 2, "pending": 1}
    of_job = [line for line in lines if line.get("job_id") == "a"]
    assert [line["message"] for line in of_job] == ["Claimed job a", "Job a completed successfully"]
    assert all(trace in line["logging.googleapis.com/trace"] for line in of_job)


def test_health_and_methods(on_json: Deployment) -> None:
    """Health needs no token and shows no secret; any method but POST is refused."""
    with on_json.tick(AUTH_MODE="verify", CRON_SECRET="s3cret-of-the-tick") as tick:
        health = tick.call("/any/health", method="GET")
        get = tick.call("/", method="GET")
        stranger = tick.call()
        known = tick.call(headers={"Authorization": "Bearer s3cret-of-the-tick"})

    assert health == (200, {"status": "ok", "function": "tick", "storage": "json"})
    assert (get[0], get[1]["error"]["code"]) == (405, "method_not_allowed")
    assert (stranger[0], stranger[1]["error"]["code"]) == (401, "unauthorized")
    assert known[0] == 200
    assert "s3cret" not in tick.log.read_text()


def test_a_thread_left_behind_ends_its_process(on_json: Deployment) -> None:
    """After the answer: the handler that ignored its limit is gone, and another process takes the next call."""
    on_json.add(due_job("deaf", "deaf"))

    with on_json.tick() as tick:
        status, answer = tick.call()
        on_json.add(due_job("next", "record"))
        until(lambda: _answers_with_a_run(tick), 20)
        at_work = on_json.runs("at-work").total()
        threading.Event().wait(0.3)
        again = tick.call()

    assert (status, answer["metrics"]["threads_left_behind"], answer["metrics"]["jobs_retried"]) == (200, 1, 1)
    assert again[0] == 200
    assert on_json.job("next").status is Status.COMPLETED
    assert on_json.runs("at-work").total() == at_work, "the thread is gone"
    assert on_json.job("deaf").attempts == 1


def _answers_with_a_run(tick: RunningFunction) -> bool:
    """Call until the process that ends has been replaced: a call that it cannot take any more is cut off."""
    try:
        return bool(tick.call()[1]["metrics"]["jobs_succeeded"])
    except (OSError, HTTPException):
        return False


def test_a_token_of_the_scheduler_opens_the_function(on_json: Deployment) -> None:
    """A signed token for this audience from an allowed caller is accepted; Scheduler's headers alone are not."""
    with IdentityProvider() as google:
        auth = {"AUTH_MODE": "verify", "AUTH_AUDIENCE": AUDIENCE, "AUTH_CALLERS": CALLER, "AUTH_CERTS_URL": google.url}
        token = google.token(google_claims(utc_now()))
        stranger = google.token(google_claims(utc_now(), email="other@example.iam.gserviceaccount.com"))
        with on_json.tick(**auth) as tick:
            good = tick.call(headers={"Authorization": f"Bearer {token}"})
            wrong_caller = tick.call(headers={"Authorization": f"Bearer {stranger}"})
            headers_alone = tick.call(
                headers={"X-CloudScheduler": "true", "X-CloudScheduler-JobName": "watchkeeper-tick"}
            )

    assert [good[0], wrong_caller[0], headers_alone[0]] == [200, 403, 401]


def test_settings_that_make_no_sense_are_named_in_one_error(on_json: Deployment) -> None:
    """All of them, in an answer instead of a crash; only the log has their values and the remedy."""
    with on_json.tick(SCHEDULER_CONCURRENCY="many", LOG_LEVEL="LOUD") as tick:
        status, answer = tick.call()
        lines = tick.log_lines()

    assert (status, answer["error"]["code"]) == (500, "invalid_settings")
    assert all(word in answer["error"]["message"] for word in ("SCHEDULER_CONCURRENCY", "LOG_LEVEL"))
    assert any(line["severity"] == "ERROR" and "LOUD" in line["message"] for line in lines)


def test_a_corrupt_job_file_is_503_and_stays_as_it_is(on_json: Deployment, tmp_path: Path) -> None:
    """Scheduler and alerts see it; nothing is overwritten."""
    path = tmp_path / "jobs.json"
    path.write_text('{"jobs": ')

    with on_json.tick() as tick:
        status, answer = tick.call()

    assert (status, answer["error"]["code"]) == (503, "store_unavailable")
    assert path.read_text() == '{"jobs": '


# -- ends of processes -------------------------------------------------------------------------------------------------


def test_sigterm_finishes_what_runs_and_gives_back_the_rest(deployment: Deployment) -> None:
    """In the middle of a tick it stores what is finished, answers, and leaves no lease."""
    deployment.add(*(due_job(f"job-{n:02}", seconds=30) for n in range(6)))

    with deployment.tick(SCHEDULER_CONCURRENCY="2") as tick, ThreadPoolExecutor() as pool:
        call = pool.submit(tick.call)
        until(lambda: sum(deployment.runs().values()) == 2, 20)
        tick.process.terminate()
        status, answer = call.result(20)

    assert (status, answer["metrics"]["jobs_succeeded"], answer["metrics"]["truncated"]) == (200, 2, True)
    assert deployment.statuses() == {"completed": 2, "pending": 4}
    assert deployment.record.read_text().count("stopped:shutting down") == 2


@pytest.mark.emulator
def test_sigkill_in_the_middle_of_a_batch_loses_nothing(on_firestore: Deployment) -> None:
    """After the lease everything has run; only the jobs in flight at the kill ran twice."""
    on_firestore.add(*(due_job(f"job-{n:02}", seconds=0.05) for n in range(60)))
    env = {"SCHEDULER_LEASE_SECONDS": "2", "SCHEDULER_CONCURRENCY": "4"}

    with on_firestore.tick(**env) as tick, ThreadPoolExecutor() as pool:
        call = pool.submit(tick.call)
        until(lambda: sum(on_firestore.runs().values()) >= 20, 20)
        tick.signal(signal.SIGKILL)
        assert call.exception(20) is not None
    in_flight = {job.execution_key for job in on_firestore.store.page(status="running") if isinstance(job, Job)}
    with on_firestore.tick(**env) as tick:
        until(lambda: tick.call()[0] == 200 and on_firestore.statuses() == {"completed": 60}, 30)

    runs = on_firestore.runs()
    assert len(runs) == 60
    assert {key for key, times in runs.items() if times > 1} <= in_flight
    assert max(runs.values()) <= 2


@pytest.mark.emulator
def test_a_job_that_ends_its_process_fails_alone(on_firestore: Deployment) -> None:
    """Among 50 others: the 50 are completed, and this one gives up after five dead holders."""
    on_firestore.add(*(due_job(f"job-{n:02}") for n in range(25)), due_job("killer", "exit"))
    on_firestore.add(*(due_job(f"more-{n:02}") for n in range(25)))

    def until_it_dies() -> bool:
        with on_firestore.tick(SCHEDULER_LEASE_SECONDS="1") as tick:
            try:
                until(lambda: tick.call()[0] == 200 and on_firestore.statuses().total() == sum(over().values()), 20)
            except (OSError, HTTPException):
                return False
            return True

    def over() -> Counter[str]:
        statuses = on_firestore.statuses()
        return Counter({status: statuses[status] for status in ("completed", "failed")})

    lives = 1
    while not until_it_dies():
        lives += 1
        assert lives < 10

    assert on_firestore.statuses() == {"completed": 50, "failed": 1}
    assert on_firestore.job("killer").error == "given up: 5 holders died"
    assert [times for key, times in on_firestore.runs().items() if key.startswith("killer@")] == [5]


# -- many at once ------------------------------------------------------------------------------------------------------


@pytest.mark.emulator
def test_several_processes_that_tick_at_once_run_every_job_once(on_firestore: Deployment) -> None:
    """Four functions called at the same moment over 400 due jobs: each job ran once, and the metrics agree."""
    on_firestore.add(*(due_job(f"job-{n:03}") for n in range(400)))

    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        ticks: list[RunningFunction] = [stack.enter_context(on_firestore.tick()) for _ in range(4)]
        start = threading.Barrier(4)

        def call(tick: RunningFunction) -> Any:
            start.wait(20)
            return tick.call()

        answers = list(pool.map(call, ticks))

    assert [status for status, _ in answers] == [200] * 4
    assert len(on_firestore.runs()) == on_firestore.runs().total() == 400
    assert sum(answer["metrics"]["jobs_succeeded"] for _, answer in answers) == 400
    assert on_firestore.statuses() == {"completed": 400}


def test_a_call_while_another_runs_does_not_run_its_job_again(deployment: Deployment, tmp_path: Path) -> None:
    """Two overlapping calls to one function: the second finds nothing."""
    gate = tmp_path / "gate"
    deployment.add(due_job("long", "hold", until=str(gate)))

    with deployment.tick() as tick, ThreadPoolExecutor() as pool:
        first = pool.submit(tick.call)
        until(lambda: deployment.runs("began").total() == 1, 20)
        second = tick.call()
        gate.touch()
        first_answer = first.result(20)

    assert second[1]["metrics"]["jobs_executed"] == 0
    assert first_answer[1]["metrics"]["jobs_succeeded"] == 1
    assert deployment.runs("ended").total() == 1


# -- real input --------------------------------------------------------------------------------------------------------


@pytest.fixture
def receiver() -> Iterator[HttpServer]:
    """A server that receives what jobs send."""
    with HttpServer() as server:
        yield server


def test_two_hundred_requests_are_delivered_once(deployment: Deployment, receiver: HttpServer) -> None:
    """Each with its own idempotency key; a second call delivers nothing."""
    deployment.add(
        *(due_job(f"order-{n:03}", "http_request", url=receiver.url(f"/orders/{n}"), body={"n": n}) for n in range(200))
    )

    with deployment.tick() as tick:
        first = tick.call()[1]["metrics"]
        second = tick.call()[1]["metrics"]

    errors = {job.error for job in deployment.store.page(limit=1000) if isinstance(job, Job)}
    assert errors == {None}, first
    assert (first["jobs_due"], first["jobs_succeeded"], second["jobs_checked"]) == (200, 200, 0)
    assert sorted(json.loads(request.body)["n"] for request in receiver.received) == list(range(200))
    assert len({request.headers["Idempotency-Key"] for request in receiver.received}) == 200


# -- people, against a running function --------------------------------------------------------------------------------

Command = Callable[[Job, datetime], Job]
COMMANDS: dict[str, tuple[Command, Status]] = {
    "pause": (lambda job, now: job.pause(now=now), Status.COMPLETED),
    "cancel": (lambda job, now: job.cancel(now=now, retention=timedelta(days=1)), Status.CANCELLED),
    "pause and resume": (
        lambda job, now: job.pause(now=now).resume(now=now, retention=timedelta(days=1)),
        Status.COMPLETED,
    ),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_while_a_job_runs(deployment: Deployment, tmp_path: Path, command: str) -> None:
    """A second tick finds nothing to run; the run's outcome is recorded once."""
    change, expected = COMMANDS[command]
    gate = tmp_path / "gate"
    deployment.add(due_job("long", "hold", until=str(gate)))

    with deployment.tick() as tick, ThreadPoolExecutor() as pool:
        call = pool.submit(tick.call)
        until(lambda: deployment.runs("began").total() == 1, 20)
        job = deployment.job("long")
        assert isinstance(deployment.store.swap([Change(job, change(job, utc_now()))])[0], Won)
        assert tick.call()[1]["metrics"]["jobs_executed"] == 0
        gate.touch()
        assert call.result(20)[1]["metrics"]["jobs_succeeded"] == 1

    assert deployment.job("long").status is expected
    assert [run.outcome for run in deployment.job("long").recent_runs] == ["completed"]
    assert deployment.runs("began").total() == deployment.runs("ended").total() == 1
