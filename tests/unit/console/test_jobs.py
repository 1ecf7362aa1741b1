"""The list of jobs, its search, a job's own view, and the commands on jobs."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from shared.jobs import Jobs
from shared.model.history import Result
from shared.model.job import Job
from shared.store.documents import Unreadable
from shared.subscriptions import CHECK
from tests.support.console_page import HOSTILE, MINUTE, RETENTION, failed, get, held, marks, post
from watchkeeper.console import health, views
from watchkeeper.console.selection import PAGE, Query, Selection, Texts, select
from watchkeeper.console.system import System


def chosen(found: Sequence[Job | Unreadable], now: datetime, **asked: str) -> Selection:
    """Return what the query of an address selects."""
    return select(found, Query.of(asked), now, Texts())


def listed(found: Sequence[Job | Unreadable], now: datetime) -> list[dict[str, Any]]:
    """Return the rows of the first page."""
    selection = chosen(found, now)
    rows: list[dict[str, Any]] = views.listing(selection, selection.jobs, now, "UTC")["jobs"]
    return rows


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        pytest.param({}, ["b", "a", "c"], id="next-run-first"),
        pytest.param({"sort": "-next"}, ["c", "a", "b"], id="reversed"),
        pytest.param({"sort": "id"}, ["a", "b", "c"], id="by-id"),
        pytest.param({"sort": "-status"}, ["b", "a", "c"], id="by-status"),
        pytest.param({"q": "QUARTERLY report"}, ["a"], id="words-of-the-payload"),
        pytest.param({"q": "no luck"}, ["c"], id="words-of-the-error"),
        pytest.param({"q": "b"}, ["b"], id="id"),
        pytest.param({"type": "agent"}, ["b"], id="type"),
        pytest.param({"status": "failed"}, ["c"], id="status"),
        pytest.param({"status": "odd", "sort": "odd", "page": "-1"}, ["b", "a", "c"], id="nonsense"),
        pytest.param({"page": "99"}, ["b", "a", "c"], id="behind-the-last-page"),
    ],
)
def test_jobs_are_searched_and_sorted(
    job_factory: Callable[..., Job], now: datetime, asked: dict[str, str], ids: list[str]
) -> None:
    """All words must occur in id, type, payload or error; state and type narrow the list."""
    found = [
        job_factory("a", payload={"message": "Quarterly Report"}, at=now + 2 * MINUTE),
        job_factory("b", "agent", at=now + MINUTE),
        failed(job_factory("c"), now),
    ]

    assert [job.id for job in chosen(found, now, **asked).jobs] == ids


def test_counts_include_every_page(job_factory: Callable[..., Job], now: datetime) -> None:
    """The chips count what matches the words and the type, in every state; a page shows its part."""
    found = [job_factory(f"report-{number:03}", at=now + MINUTE) for number in range(PAGE + 7)]
    found += [failed(job_factory("report-failed"), now), job_factory("other"), job_factory("subscription:x", CHECK)]

    selection = chosen(found, now, q="report", status="pending", page="2")

    assert selection.counts == {"all": PAGE + 8, "pending": PAGE + 7, "failed": 1}
    assert (len(selection.jobs), len(selection.matching), selection.pages) == (7, PAGE + 7, 2)
    assert selection.types == ["log"]


def test_health_counts_failed_late_and_stuck_jobs(job_factory: Callable[..., Job], now: datetime) -> None:
    """Each figure has its list; a recurring job that gave up counts as failed, although it continues."""
    recurring = failed(job_factory("recurring", cron="0 9 * * *", now=now - timedelta(hours=30)), now)
    claim = partial(job_factory, now=now - timedelta(hours=1))
    stuck = claim("stuck").claim(now=now - 9 * MINUTE, token="t", lease=5 * MINUTE, retention=RETENTION)
    queued = claim("queued").claim(now=now, token="t", lease=5 * MINUTE, retention=RETENTION, queue="agents")
    at_the_edge = [
        job_factory("on-time", at=now - 2 * MINUTE + timedelta(seconds=1)),
        job_factory("late", at=now - 2 * MINUTE),
    ]
    ends = [("soon", 47), ("later", 49)]
    lapsing = [
        job_factory(f"subscription:{name}", CHECK, payload={"expires_at": (now + timedelta(hours=hours)).isoformat()})
        for name, hours in ends
    ]

    shown = health.figures([recurring, failed(job_factory("once"), now), stuck, queued, *at_the_edge, *lapsing], now)

    assert recurring.status == "pending"
    assert {figure["name"]: figure["count"] for figure in shown} == {
        "failed": 2,
        "late": 1,
        "stuck": 1,
        "lapsing": 1,
        "waiting": 1,
    }
    assert [figure["level"] for figure in shown] == ["bad", "bad", "bad", "bad", "info"]
    assert [figure["level"] for figure in health.figures([], now)] == ["good"] * 5
    assert all(chosen([recurring], now, status="failed").matching for figure in shown if figure["name"] == "failed")


def test_a_command_for_many_jobs(system: System, now: datetime) -> None:
    """For the given ids or for all that match; each refused job is named with its reason, the others change."""
    for number in range(3):
        system.jobs.schedule("log", {"message": "weekly"}, id=f"job-{number}", at=now + MINUTE)
    system.jobs.pause("job-1")

    some = post(system, "/api/all/pause", {"ids": ["job-0", "job-1", "gone"]}).get_json()
    rest = post(system, "/api/all/cancel", {"matching": {"q": "weekly", "status": "pending"}}).get_json()
    none = post(system, "/api/all/cancel", {"ids": []})

    assert (some["done"], set(some["refused"])) == (1, {"job-1", "gone"})
    assert "must be pending" in some["refused"]["job-1"]
    assert rest == {"done": 1, "refused": {}}
    assert [system.jobs.get(f"job-{number}").status for number in range(3)] == ["paused", "paused", "cancelled"]
    assert (none.status_code, post(system, "/api/all/delete", {"ids": ["job-0"]}).status_code) == (422, 404)


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        pytest.param({"matching": {"status": "bogus"}}, 422, "unknown status 'bogus'", id="unknown-status"),
        pytest.param({"ids": "job"}, 422, "select the jobs first", id="no-list"),
    ],
)
def test_a_command_for_no_clear_selection_is_refused(
    system: System, now: datetime, body: dict[str, Any], status: int, says: str
) -> None:
    """What an address may get wrong would here mean all jobs."""
    for number in range(2):
        system.jobs.schedule("log", {"message": "weekly"}, id=f"job-{number}", at=now + MINUTE)

    answer = post(system, "/api/all/cancel", body)

    assert (answer.status_code, says in answer.get_json()["error"]) == (status, True)
    assert [system.jobs.get(f"job-{number}").status for number in range(2)] == ["pending", "pending"]


def test_a_command_for_all_that_match_is_refused_once_other_jobs_match(system: System, now: datetime) -> None:
    """Also if as many match as before: the page sends the digest of the list that it showed."""
    weekly = {"q": "weekly", "status": "pending"}
    system.jobs.schedule("log", {"message": "weekly"}, id="seen", at=now + MINUTE)
    digest = get(system, "/api/jobs?q=weekly&status=pending").get_json()["digest"]
    system.jobs.pause("seen")
    system.jobs.schedule("log", {"message": "weekly"}, id="unseen", at=now + MINUTE)

    refused = post(system, "/api/all/cancel", {"matching": weekly, "digest": digest})
    system.jobs.cancel("unseen")
    system.jobs.resume("seen")
    done = post(system, "/api/all/cancel", {"matching": weekly, "digest": digest})

    assert (refused.status_code, "other jobs match now" in refused.get_json()["error"]) == (409, True)
    assert done.get_json() == {"done": 1, "refused": {}}


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"], ids=["broken", "list", "no-text"])
def test_a_body_that_is_not_a_json_object_is_refused(system: System, body: bytes) -> None:
    """The error names what is wrong, not the browser."""
    answer = post(system, "/api/jobs", body)

    assert (answer.status_code, "not a JSON object" in answer.get_json()["error"]) == (422, True)


def test_a_page_number_of_any_length_is_the_last_page(system: System) -> None:
    """An address can hold thousands of digits."""
    assert get(system, f"/api/jobs?page={'9' * 5000}").status_code == 200


def test_jobs_are_listed_as_they_run_next(jobs: Jobs, now: datetime) -> None:
    """Running jobs first, then by the next run; times are in the job's own zone."""
    jobs.schedule("log", {"message": "later"}, id="a", at=now + 5 * MINUTE)
    jobs.schedule("log", {"message": "sooner"}, id="b", cron="*/2 * * * *", timezone="Asia/Tokyo")
    jobs.schedule("log", {"message": "done"}, id="c")
    jobs.cancel("c")

    rows = listed(list(jobs.list()), now)

    assert [(row["id"], row["status"], row["next"]) for row in rows] == [
        ("b", "pending", "Sat 21 Nov 2026, 18:00"),
        ("a", "pending", "Sat 21 Nov 2026, 09:05"),
        ("c", "cancelled", ""),
    ]
    assert rows[0]["schedule"] == "Every 2 minutes (Asia/Tokyo)"


def test_a_handed_over_job_is_shown_as_waiting(job_factory: Callable[..., Job], now: datetime) -> None:
    """Both views say in which queue and since when; the timeline has no running mark."""
    claim = partial(job_factory().claim, now=now, token="t", lease=timedelta(hours=1), retention=timedelta(days=1))
    waiting, running = claim(queue="agents"), claim()

    rows = sorted(listed([waiting, running], now), key=lambda row: not row["queue"])
    detail = views.detail(waiting, now + MINUTE, "UTC")

    assert [(row["queue"], row["queued_at"]) for row in rows] == [("agents", "2026-11-21T09:00:00Z"), ("", "")]
    assert (detail["queue"], detail["status"]) == ("agents", "running")
    assert (
        detail["why"] == "It was handed over, and has been waiting in queue agents since Sat 21 Nov 2026, 09:00:00 UTC."
    )
    assert marks(waiting, now + MINUTE) == []


def test_the_content_of_a_job_is_sent_as_json(system: System) -> None:
    """Markup stays text: the answer is JSON, which no browser shows as a page."""
    system.jobs.schedule("log", {"message": HOSTILE}, id="job")

    listed, opened = get(system, "/api/jobs"), get(system, "/api/jobs/job")

    assert listed.mimetype == opened.mimetype == "application/json"
    assert listed.get_json()["jobs"][0]["title"] == HOSTILE
    assert json.loads(opened.get_json()["payload"]) == {"message": HOSTILE}


def test_an_unreadable_document_is_listed(now: datetime) -> None:
    """The row has the reason."""
    (row,) = listed([Unreadable(id="odd", reason="no job_type", document={})], now)

    assert (row["id"], row["status"], row["error"]) == ("odd", "unreadable", "no job_type")


def waiting(job: Job, now: datetime) -> Job:
    return job


def paused(job: Job, now: datetime) -> Job:
    return job.pause(now=now)


def cancelled(job: Job, now: datetime) -> Job:
    return job.cancel(now=now, retention=RETENTION)


@pytest.mark.parametrize(
    ("state", "commands"),
    [
        (waiting, ["run", "pause", "cancel", "delete"]),
        (held, ["pause", "cancel"]),
        (failed, ["run", "retry", "cancel", "delete"]),
        (paused, ["run", "resume", "cancel", "delete"]),
        (cancelled, ["delete"]),
        (lambda job, now: cancelled(replace(job, schedule_at=now + MINUTE), now), ["undo", "delete"]),
    ],
)
def test_only_possible_commands_are_offered(
    job_factory: Callable[..., Job], now: datetime, state: Callable[[Job, datetime], Job], commands: list[str]
) -> None:
    """A command that the job would refuse has no button."""
    assert views.detail(state(job_factory(), now), now, "UTC")["commands"] == commands


def test_a_job_is_shown_with_what_its_runs_returned(job_factory: Callable[..., Job], now: datetime) -> None:
    """In the job's own view."""
    done = Result(started_at=now, ended_at=now, by="schedule", output="42 rows")
    job = held(job_factory(), now).finish(done, retention=RETENTION)

    assert [run["output"] for run in views.detail(job, now, "UTC")["runs"]] == ["42 rows"]


def test_a_refused_command_says_why(system: System) -> None:
    """The job may have changed since the button was drawn."""
    system.jobs.schedule("log", {"message": "hello"}, id="job")

    answer = post(system, "/api/jobs/job/resume")

    assert answer.status_code == 409
    assert "it must be paused" in answer.get_json()["error"]


@pytest.mark.parametrize(
    ("path", "status"),
    [("/api/jobs/nobody/run", 404), ("/api/jobs/job/delete", 404), ("/api/call/chat_webhook", 404)],
)
def test_an_unknown_job_command_or_function_is_not_found(system: System, path: str, status: int) -> None:
    """Other jobs, other commands, and functions without a schedule."""
    assert post(system, path).status_code == status


def test_a_command_answers_with_the_job(system: System) -> None:
    """So the page shows the new state at once."""
    system.jobs.schedule("log", {"message": "hello"}, id="job", cron="0 9 * * *")

    answer = post(system, "/api/jobs/job/pause").get_json()

    assert answer["status"] == "paused"
    assert answer["why"].startswith("It was paused by console at")
