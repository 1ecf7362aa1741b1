"""A deployment that answers to a smoke test: Cloud Scheduler, Cloud Tasks and the log, on the clock of a recorder.

Its tick and its run_job are the real ones, on a store of this machine.
"""

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.handlers import load_handlers
from shared.model.job import Job
from shared.model.times import iso
from shared.running.delivery import run_delivered
from shared.running.tick import run_tick
from shared.settings import Settings
from shared.store.json_file import JsonStore
from tests.support.deploying import FUNCTIONS, url
from tests.support.gcloud import PROJECT
from tests.support.recorder import MISSING, REFUSED_BY_CODE, Recorder, job_of, refused, shown
from watchkeeper.deploy.functions_table import Queue, read_table
from watchkeeper.deploy.gcloud import Ended
from watchkeeper.deploy.outside import HttpResponse, Outside
from watchkeeper.deploy.smoke import chat, queue, scheduler
from watchkeeper.deploy.work import Work

BEGAN = datetime(2026, 11, 29, 9, tzinfo=UTC)
SETTINGS_HERE = Settings.from_env({})
JOBS = {job_of(function): name for name, function in FUNCTIONS.items() if function.scheduler_job}
TAKES = timedelta(seconds=3)
LOG = f"projects/{PROJECT}/logs"


@dataclass
class FakeDeployment(Recorder):
    """One that is well. `said` is how calls end, one after another and the last for ever; "" is well."""

    folder: Path = field(kw_only=True)
    said: list[str] = field(default_factory=lambda: [""])
    reasons: list[str] = field(default_factory=lambda: [""])  # of a refusal, as the function logs it, in the same way
    attempts: list[tuple[datetime, datetime, str]] = field(default_factory=list)
    tasks: dict[str, tuple[str, str, dict[str, str]]] = field(default_factory=dict)
    reply: HttpResponse = REFUSED_BY_CODE
    is_busy: bool = False  # with other jobs: the turn of one of the smoke test does not come

    def __post_init__(self) -> None:
        self.store = JsonStore(self.folder / "jobs.json", self.now)
        self.outside = Outside(open_store=lambda settings: self.store, request=lambda *_, **__: self.reply)

    def now(self) -> datetime:
        """Return the time, which only pauses move."""
        return BEGAN + timedelta(seconds=self.clock())

    @property
    def jobs(self) -> list[str]:
        """Return the ids of the jobs that are in the store."""
        return [job.id for job in self.store.page()]

    @property
    def runs(self) -> list[str]:
        """Return the id of the job of each run, from the history."""
        return [entry.job_id for entry in self.store.history() if not entry.run.is_missed]

    def tick(self) -> None:
        """Run what is due, as the tick of the minute does."""
        handlers = load_handlers(())
        run_tick(self.store, handlers, settings=SETTINGS_HERE, clock=self.now, monotonic=time.monotonic)

    def _answer(self, words: Sequence[str]) -> Ended:
        beginning = " ".join(words)
        if any(beginning.startswith(each) for each in self.answers):
            return super()._answer(words)
        match words[:3]:
            case ["scheduler", "jobs", "describe"]:
                return self._scheduler_job(words[3], words)
            case ["scheduler", "jobs", "run"]:
                return self._run(words[3])
            case ["logging", "read", lines]:
                return self._log(lines)
            case ["tasks", "queues", "describe"]:
                return shown("RUNNING")
            case ["tasks", "create-http-task", task]:
                (body,) = (word.partition("=")[2] for word in words if word.startswith("--body-content="))
                self.tasks[task] = (iso(self.now()), "", json.loads(body))
                return Ended(0)
            case ["tasks", "describe", task]:
                return self._deliver(task)
            case ["tasks", "delete", task]:
                return Ended(0) if self.tasks.pop(task, None) else refused("NOT_FOUND")
            case ["auth", "print-identity-token", *_]:
                return refused("Requires valid service account") if "--audiences" in beginning else shown("a.b.c")
        return super()._answer(words)

    def _scheduler_job(self, name: str, words: Sequence[str]) -> Ended:
        if any("httpTarget" in word for word in words):
            return shown(f"ENABLED|{url(JOBS[name])}")
        starts = [start for start, _, _ in self.attempts if start <= self.now()]
        return shown(iso(max(starts)) if starts else "")

    def _run(self, name: str) -> Ended:
        said, start = _next(self.said), self.now() + timedelta(seconds=1)
        self.attempts.append((start, start + TAKES, said))
        if not said and JOBS[name] == "tick" and not self.is_busy:
            self.tick()
        return Ended(0)

    def _log(self, lines: str) -> Ended:
        if "cloud_scheduler_job" not in lines:
            return shown(_next(self.reasons))
        (since,) = re.findall(r'timestamp>="([^"]+)"', lines)
        entries = [each for attempt in self.attempts for each in logged(*attempt)]
        seen = [each for each in entries if since <= each["timestamp"] <= iso(self.now())]
        if names := re.findall(r'logName="([^"]+)"', lines):
            seen = [each for each in seen if each["logName"] in names]
        return shown(json.dumps(sorted(seen, key=lambda each: each["timestamp"])))

    def _deliver(self, task: str) -> Ended:
        """Try the task once between two looks, as its queue does."""
        if task not in self.tasks:
            return MISSING
        made, at, body = self.tasks[task]
        if self.is_busy or not self.pauses or at == iso(self.now()):
            return shown(f"{made}|{1 if at else ''}|{at}|{at and self.said[0]}")
        if said := _next(self.said):
            self.tasks[task] = (made, iso(self.now()), body)
            return shown(f"{made}|1|{iso(self.now())}|{said}")
        run_delivered(
            self.store,
            load_handlers(()),
            *(body["job"], body["token"]),
            settings=SETTINGS_HERE,
            clock=self.now,
            monotonic=time.monotonic,
        )
        del self.tasks[task]
        return MISSING


def logged(start: datetime, end: datetime, said: str) -> list[dict[str, Any]]:
    """Return what Cloud Scheduler logs of an attempt, and before it who asked for that."""
    kind = "type.googleapis.com/google.cloud.scheduler.logging.Attempt"
    status, _, debug = said.partition(", ")
    ended = {"@type": f"{kind}Finished", **({"status": status, "debugInfo": debug} if said else {"debugInfo": "200"})}
    executions, activity = (
        f"{LOG}/cloudscheduler.googleapis.com%2Fexecutions",
        f"{LOG}/cloudaudit.googleapis.com%2Factivity",
    )
    method = "google.cloud.scheduler.v1.CloudScheduler.RunJob"
    return [
        {"timestamp": iso(start), "logName": activity, "protoPayload": {"methodName": method}},
        {"timestamp": iso(start), "logName": executions, "jsonPayload": {"@type": f"{kind}Started"}},
        {"timestamp": iso(end), "logName": executions, "jsonPayload": ended},
    ]


def left_by_a_killed_one(now: datetime) -> Job:
    """Return the job of a smoke test that was killed, an hour and more ago."""
    before = now - timedelta(hours=2)
    return Job.create("smoke:0123456789abcdef", "log", now=before, by="smoke", payload={"message": "x"}, at=before)


def _next(said: list[str]) -> str:
    return said.pop(0) if len(said) > 1 else said[0]


TICK, GMAIL, CHAT = FUNCTIONS["tick"], FUNCTIONS["gmail_watch"], FUNCTIONS["chat_webhook"]
QUEUE: Queue = read_table({}).queues[0]
RUN = "scheduler jobs run watchkeeper-tick"
# As the logs of Cloud Scheduler and Cloud Tasks word them.
FAULTS = {
    "PERMISSION_DENIED, URL_ERROR-ERROR_OTHER. Original HTTP response code number = 403": "run setup, which grants it",
    "RESOURCE_EXHAUSTED, Original HTTP response code number = 429": "another call takes as long",
    "UNAVAILABLE, URL_UNREACHABLE-UNREACHABLE_5xx. Original HTTP response code number = 503": "what it cannot reach",
}
UNAUTHENTICATED = "UNAUTHENTICATED, Original HTTP response code number = 401"
REMOVED = "signature removed by the platform; where Cloud Run IAM checks it, set AUTH_MODE=platform"


def call_tick(work: Work) -> None:
    """Make Cloud Scheduler call the tick."""
    assert TICK.scheduler_job
    scheduler.call(work, TICK, TICK.scheduler_job)


def call_gmail(work: Work) -> None:
    """Make Cloud Scheduler call a renewal, which runs no job."""
    assert GMAIL.scheduler_job
    scheduler.call(work, GMAIL, GMAIL.scheduler_job)


def deliver(work: Work) -> None:
    """Make the queue deliver."""
    queue.deliver(work, QUEUE)


def knock(work: Work) -> None:
    """Send Chat's function an unsigned event."""
    chat.send_unsigned_event(work, CHAT)


EVERY_WAY = pytest.mark.parametrize("take", [call_tick, call_gmail, deliver])
JOB_WAYS = pytest.mark.parametrize("take", [call_tick, deliver])
