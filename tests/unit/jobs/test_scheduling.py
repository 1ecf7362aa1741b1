"""Scheduling a job by the Python interface, once and again, on both stores."""

import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.errors import InvalidInput
from shared.handlers import InvalidPayload, load_handlers
from shared.jobs import AlreadyScheduled, Jobs, UnknownJobType, open_jobs
from shared.model.history import Result
from shared.model.schedule import FOREVER
from shared.model.value import Status
from shared.store.json_file import JsonStore
from shared.store.protocol import Change, Store
from tests.support.calling_jobs import DAY, HANDLERS, HELLO, MINUTE


def test_a_job_is_due_now_at_a_time_after_a_while_or_again_and_again(jobs: Jobs, now: datetime) -> None:
    """Each way to say when; a cron expression is in the configured zone unless one is given."""
    times = [
        jobs.schedule("log", HELLO).job.ready_at,
        jobs.schedule("log", HELLO, at=now + DAY).job.ready_at,
        jobs.schedule("log", HELLO, after=MINUTE).job.ready_at,
        jobs.schedule("log", HELLO, cron="0 19 * * *").job.ready_at,
        jobs.schedule("log", HELLO, cron="0 19 * * *", timezone="UTC").job.ready_at,
    ]

    assert times == [now, now + DAY, now + MINUTE, now + timedelta(hours=1), now + timedelta(hours=10)]


def test_the_same_id_and_definition_changes_nothing(jobs: Jobs) -> None:
    """The call can be in code that runs at every start."""
    first = jobs.schedule("log", HELLO, cron="0 9 * * *", id="report", by="ana")

    again = jobs.schedule("log", HELLO, cron="0 9 * * *", id="report", by="ben")

    assert (first.outcome, again.outcome) == ("created", "unchanged")
    assert again.job == first.job


def test_a_payload_is_compared_as_it_is_stored(jobs: Jobs) -> None:
    """A tuple is read back as a list, and a number as a key is text."""
    outcomes = [jobs.schedule("work", {"sizes": (1, 2), 3: "three"}, id="report").outcome for _ in range(2)]  # type: ignore[dict-item]  # as callers without types do

    assert outcomes == ["created", "unchanged"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param(
            {"payload": {"message": "bye"}}, "payload is {'message': 'hello'}, not {'message': 'bye'}", id="payload"
        ),
        pytest.param({"cron": "0 9 * * *"}, "cron is None, not '0 9 * * *'", id="rhythm"),
        pytest.param({"max_attempts": 5}, "max_attempts is 3, not 5", id="attempts"),
        pytest.param({"space": "spaces/B"}, "space is 'spaces/A', not 'spaces/B'", id="space"),
        pytest.param({"after": MINUTE}, "schedule_at is 2026-11-21T09:00:00Z, not 2026-11-21T09:01:00Z", id="time"),
    ],
)
def test_another_definition_is_an_error_that_names_the_differences(
    jobs: Jobs, given: dict[str, Any], says: str
) -> None:
    """Nothing changes, and the error has each difference."""
    before = jobs.schedule("log", HELLO, id="report", space="spaces/A").job

    with pytest.raises(AlreadyScheduled) as caught:
        jobs.schedule("log", **{"payload": HELLO, "id": "report", "space": "spaces/A", **given})

    assert says in str(caught.value)
    assert jobs.get("report") == before


def test_a_space_that_is_not_given_is_no_difference(jobs: Jobs) -> None:
    """The job keeps it."""
    jobs.schedule("log", HELLO, id="report", space="spaces/A")

    again = jobs.schedule("log", HELLO, id="report")

    assert (again.outcome, again.job.space) == ("unchanged", "spaces/A")


def test_replacing_changes_schedule_and_payload_and_keeps_the_history(jobs: Jobs, store: Store, now: datetime) -> None:
    """The job continues under its new definition with its history."""
    job = jobs.schedule("log", HELLO, cron="0 9 * * *", at=now - DAY, id="report").job
    ran = job.claim(now=now, token="t", lease=MINUTE, retention=DAY)
    ran = ran.finish(Result(started_at=now, ended_at=now, by="schedule"), retention=DAY)
    store.swap([Change(job, ran)])

    replaced = jobs.schedule("log", {"message": "bye"}, cron="0 20 * * *", id="report", by="ben", replace=True)

    assert replaced.outcome == "replaced"
    assert replaced.job == jobs.get("report")
    assert (replaced.job.payload, replaced.job.ready_at) == ({"message": "bye"}, now + timedelta(hours=2))
    assert len(replaced.job.recent_runs) == 1
    assert replaced.job.updated_by == "ben"


def test_replacing_a_finished_job_without_a_time_runs_it_again(jobs: Jobs, store: Store, now: datetime) -> None:
    """Scheduling without a time means now, in any state of the old job."""
    job = jobs.schedule("log", HELLO, id="once").job
    done = job.claim(now=now, token="t", lease=MINUTE, retention=DAY)
    store.swap([Change(job, done.finish(Result(started_at=now, ended_at=now, by="schedule"), retention=DAY))])

    replaced = jobs.schedule("log", {"message": "bye"}, id="once", replace=True)

    assert replaced.job.status is Status.PENDING
    assert now < replaced.job.ready_at < now + timedelta(seconds=1)  # type: ignore[operator]  # it waits, so it is set


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param({"at": datetime(2026, 1, 1), "after": MINUTE}, "not both", id="two-times"),
        pytest.param({"payload": {}}, "a message is needed", id="payload-its-handler-refuses"),
        pytest.param({"id": ""}, "the id '' is not allowed", id="empty-id"),
        pytest.param({"cron": "never"}, "never", id="cron"),
    ],
)
def test_what_cannot_be_scheduled_is_refused(jobs: Jobs, given: dict[str, Any], says: str) -> None:
    """By name, before anything is stored."""
    with pytest.raises((InvalidInput, InvalidPayload), match=says):
        jobs.schedule("log", **{"payload": HELLO, **given})

    assert list(jobs.list()) == []


def test_an_edit_is_checked_by_the_handler_too(jobs: Jobs) -> None:
    """It cannot set a payload that could not be scheduled."""
    jobs.schedule("log", HELLO, id="a")

    with pytest.raises(InvalidPayload):
        jobs.edit("a", payload={})
    assert jobs.edit("a", payload={"message": "new"}).payload == {"message": "new"}


# -- intervals, an end and days off ------------------------------------------------------------------------------------

RICH: dict[str, Any] = {
    "every": "6d",
    "except_dates": ["2026-12-03"],
    "misfire": "skip",
    "grace": timedelta(minutes=30),
    "pause_after_failures": 3,
}


def test_every_field_of_a_schedule_is_stored(jobs: Jobs, now: datetime) -> None:
    """On both stores, as it was requested."""
    made = jobs.schedule("log", HELLO, id="report", until=now + 60 * DAY, **RICH).job

    assert jobs.get("report") == made
    assert (made.starts_at, made.until, made.timezone) == (now, now + 60 * DAY, "Asia/Tokyo")
    assert (made.every, made.grace, made.pause_after_failures) == ("6d", timedelta(minutes=30), 3)


def test_the_same_interval_again_changes_nothing(store: Store, now: datetime) -> None:
    """Not even later and without a start; another start is a difference."""
    times = iter((now, now + MINUTE, now + MINUTE, now + MINUTE))
    jobs = Jobs(store, clock=lambda: next(times), handlers=HANDLERS, retention=DAY)

    outcomes = [jobs.schedule("log", HELLO, id="report", **RICH).outcome for _ in range(2)]
    same = jobs.schedule("log", HELLO, id="report", at=now, **RICH).outcome

    assert (*outcomes, same) == ("created", "unchanged", "unchanged")
    with pytest.raises(AlreadyScheduled, match="starts_at is 2026-11-21T09:00:00Z, not 2026-11-22T09:00:00Z"):
        jobs.schedule("log", HELLO, id="report", at=now + DAY, **RICH)


def test_replace_removes_what_is_no_longer_given(jobs: Jobs, now: datetime) -> None:
    """The whole definition counts; the same rhythm keeps its start and its next occurrence."""
    first = jobs.schedule("log", HELLO, id="report", until=now + 60 * DAY, **RICH).job

    replaced = jobs.schedule("log", HELLO, id="report", every="6d", replace=True)

    job = replaced.job
    assert replaced.outcome == "replaced"
    assert (job.until, job.except_dates, job.grace_seconds, job.pause_after_failures) == (None, (), None, None)
    assert (job.starts_at, job.schedule_at, job.misfire) == (first.starts_at, first.schedule_at, "coalesce")


def test_fields_of_a_schedule_can_be_edited_and_removed(jobs: Jobs, now: datetime) -> None:
    """On both stores; a removed field is gone from the document, too."""
    jobs.schedule("log", HELLO, id="report", until=now + 60 * DAY, space="spaces/AAAA", **RICH)

    jobs.edit("report", except_dates=["2026-11-21", "2026-11-27"], grace=timedelta(hours=1))
    moved = jobs.get("report")
    jobs.edit("report", until=FOREVER, except_dates=(), pause_after_failures=0, space="")
    bare = jobs.get("report")

    assert (moved.grace, len(moved.except_dates), moved.space) == (timedelta(hours=1), 2, "spaces/AAAA")
    assert (bare.until, bare.except_dates, bare.pause_after_failures, bare.space) == (None, (), None, None)


# -- a job type without a handler --------------------------------------------------------------------------------------


def test_code_that_knows_all_handlers_refuses_an_unknown_type(json_store: JsonStore, now: datetime) -> None:
    """A typing error would otherwise fail in a tick at night; a type deployed elsewhere can be allowed."""
    jobs = Jobs(
        json_store, clock=lambda: now, handlers=load_handlers(()), retention=timedelta(days=1), has_all_handlers=True
    )

    with pytest.raises(UnknownJobType, match=r"no handler is registered for 'htp_request' \(did you mean http_request"):
        jobs.schedule("htp_request", {"url": "https://example.com"})
    assert jobs.schedule("digest", id="job", allow_unknown=True).outcome == "created"


def test_a_type_that_only_a_renewal_makes_is_no_choice() -> None:
    """`schedule` refuses it."""
    assert "(choose one of log)" in str(UnknownJobType("digest", ["log", "subscription_check"]))


def test_open_jobs_knows_all_handlers_where_the_users_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the project. A program that has only `shared/` does not check the type."""
    monkeypatch.setenv("SCHEDULER_JSON_PATH", str(tmp_path / "jobs.json"))
    open_jobs.cache_clear()
    with pytest.raises(UnknownJobType):
        open_jobs().schedule("digest")

    monkeypatch.setitem(sys.modules, "agent", None)
    monkeypatch.delitem(sys.modules, "agent.handlers")
    open_jobs.cache_clear()
    assert open_jobs().schedule("digest").outcome == "created"
    open_jobs.cache_clear()
