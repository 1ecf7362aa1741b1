"""The run_job function over HTTP, under functions-framework, as Cloud Tasks calls it."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from shared.model.job import Job
from shared.model.value import Status
from shared.store.json_file import JsonStore
from shared.store.protocol import Change, Won
from tests.support.running import RunningFunction, running_function, until
from tests.support.tokens import AUDIENCE, CALLER, IdentityProvider, google_claims

LEASE = timedelta(minutes=5)
SECRET = "s3cret-of-the-queue"
JSON = {"Content-Type": "application/json"}


class Deployment:
    """Jobs in a file, and run_job functions that work on it. Handlers of `work.py` note their runs in `record`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = JsonStore(folder / "jobs.json", lambda: datetime.now(UTC))
        self.record = folder / "record"
        self.record.touch()

    @contextmanager
    def run_job(self, **env: str) -> Iterator[RunningFunction]:
        settings = {
            "AUTH_MODE": "off",
            "JOB_HANDLERS": "tests.support.work",
            "TEST_RECORD": str(self.record),
            "SCHEDULER_JSON_PATH": str(self.folder / "jobs.json"),
        }
        with running_function("run_job", self.folder, {**settings, **env}) as function:
            yield function

    def hand_over(self, job_id: str = "job", job_type: str = "record", **payload: Any) -> dict[str, str]:
        """Add a job as a tick leaves it that has handed it over, and return what its task is delivered with."""
        now = datetime.now(UTC)
        job = Job.create(job_id, job_type, now=now, payload=payload)
        held = job.claim(now=now, token=f"token-of-{job_id}", lease=LEASE, retention=LEASE, queue="agents")
        assert isinstance(self.store.swap([Change(None, held)])[0], Won)
        return {"job": job_id, "token": f"token-of-{job_id}"}

    def job(self, job_id: str = "job") -> Job:
        job = self.store.get([job_id])[job_id]
        assert isinstance(job, Job)
        return job

    def lines(self, word: str) -> list[str]:
        return [line for line in self.record.read_text().splitlines() if line.startswith(word)]


def deliver(function: RunningFunction, body: Any, **headers: str) -> tuple[int, Any]:
    return function.call(headers={**JSON, **headers}, body=json.dumps(body).encode())


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path)


def test_a_delivery_runs_the_job_once(deployment: Deployment) -> None:
    """A second one finds nothing to do, and is answered 200 too, so that Cloud Tasks ends the task."""
    task = deployment.hand_over()

    with deployment.run_job() as run_job:
        answers = [deliver(run_job, task), deliver(run_job, task), deliver(run_job, {"job": "none", "token": "t"})]
        health = run_job.call("/health", method="GET")

    assert [(status, answer["status"], answer["outcome"]) for status, answer in answers] == [
        (200, "success", "succeeded"),
        (200, "success", "nothing"),
        (200, "success", "nothing"),
    ]
    assert health == (200, {"status": "ok", "function": "run_job", "storage": "json"})
    assert len(deployment.lines("ran")) == 1
    assert deployment.job().status is Status.COMPLETED


def test_eight_deliveries_at_once_make_one_run(deployment: Deployment) -> None:
    """All but one are answered that there is nothing to do, while the job runs."""
    task = deployment.hand_over(seconds=1)

    with deployment.run_job() as run_job, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: deliver(run_job, task)[1]["outcome"], range(8)))

    assert sorted(answers) == ["nothing"] * 7 + ["succeeded"]
    assert len(deployment.lines("ran")) == 1


@pytest.mark.parametrize(
    "body",
    [
        pytest.param([], id="list"),
        pytest.param({"job": "job"}, id="no-token"),
        pytest.param({"job": "job", "token": None}, id="null"),
        pytest.param({"job": ["job"], "token": "t"}, id="no-text"),
        pytest.param({"job": "", "token": ""}, id="empty"),
    ],
)
def test_a_body_that_names_no_job_is_refused(deployment: Deployment, body: Any) -> None:
    """With what it must be; nothing is run."""
    deployment.hand_over()

    with deployment.run_job() as run_job:
        status, answer = deliver(run_job, body)

    assert (status, answer["error"]["code"]) == (400, "invalid_request")
    assert '{"job": ID, "token": TOKEN}' in answer["error"]["message"]
    assert deployment.lines("ran") == []


def test_a_stranger_is_refused_as_by_the_tick(deployment: Deployment) -> None:
    """Nothing but a signed token for this address from the account of the tasks is let in, whatever the headers say."""
    task = deployment.hand_over()
    with IdentityProvider() as google:
        auth = {"AUTH_MODE": "verify", "AUTH_AUDIENCE": AUDIENCE, "AUTH_CALLERS": CALLER, "AUTH_CERTS_URL": google.url}

        def call(**claims: Any) -> int:
            token = google.token(google_claims(datetime.now(UTC), **claims))
            return deliver(run_job, task, Authorization=f"Bearer {token}")[0]

        with deployment.run_job(**auth) as run_job:
            strangers = [
                deliver(run_job, task)[0],
                deliver(run_job, task, **{"X-CloudTasks-QueueName": "agents", "X-CloudTasks-TaskName": "t"})[0],
                deliver(run_job, task, Authorization="Bearer x.y.z")[0],
                call(aud="https://elsewhere.example"),
                call(exp=1),
                call(iss="https://issuer.example"),
                call(email="other@example.iam.gserviceaccount.com"),
                call(email_verified=False),
            ]
            runs = deployment.lines("ran")
            known = call()

    assert [status in (401, 403) for status in strangers] == [True] * len(strangers)
    assert runs == []
    assert known == 200
    assert len(deployment.lines("ran")) == 1


def test_an_unreachable_store_is_503(deployment: Deployment, tmp_path: Path) -> None:
    """So Cloud Tasks delivers again; nothing has begun."""
    task = deployment.hand_over()
    content = (tmp_path / "jobs.json").read_text()
    (tmp_path / "jobs.json").write_text('{"jobs": ')

    with deployment.run_job() as run_job:
        status, answer = deliver(run_job, task)
        (tmp_path / "jobs.json").write_text(content)
        later = deliver(run_job, task)

    assert (status, answer["error"]["code"]) == (503, "store_unavailable")
    assert later[1]["outcome"] == "succeeded"


def test_a_thread_left_behind_ends_its_process(deployment: Deployment) -> None:
    """After the answer: a handler that ignores its limit is gone before its retry, which waits a minute, can begin."""
    deaf, after = deployment.hand_over("deaf", "deaf"), deployment.hand_over("after")

    with deployment.run_job() as run_job:
        first = deliver(run_job, deaf)

        def is_replaced() -> bool:
            try:
                return deliver(run_job, after)[0] == 200 and deployment.job("after").status is Status.COMPLETED
            except (OSError, HTTPException):
                return False

        until(is_replaced, 20)
        at_work = len(deployment.lines("at-work"))
        threading.Event().wait(0.3)

    assert first == (200, {**first[1], "outcome": "retried"})
    assert deployment.job("deaf").error == "timed out after 1 s"
    assert len(deployment.lines("at-work")) == at_work, "the thread is gone"
