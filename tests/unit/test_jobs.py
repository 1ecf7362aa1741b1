"""The Python interface to jobs, on both stores."""

import sys
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest

from shared.errors import InvalidInput, StoreUnavailable
from shared.handlers import Handler, InvalidPayload, Payload, load_handlers
from shared.jobs import AlreadyScheduled, Jobs, UnknownJob, UnknownJobType, open_jobs
from shared.model.definition import InvalidJob
from shared.model.history import Result
from shared.model.job import Job
from shared.model.life import NotPossible
from shared.model.schedule import FOREVER
from shared.model.value import Status
from shared.store.documents import Unreadable
from shared.store.json_file import JsonStore
from shared.store.protocol import Change, Lost, Outcome, Refused, Store, Unknown, Won

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
JobFactory = Callable[..., Job]


def needs_message(payload: Payload) -> None:
    if "message" not in payload:
        raise InvalidPayload("a message is needed")


HANDLERS = {"log": Handler(job_type="log", run=lambda payload, context: None, check=needs_message)}
HELLO = {"message": "hello"}


@pytest.fixture
def jobs(store: Store, now: datetime) -> Jobs:
    """The jobs of an empty store, with Tokyo as the time zone."""
    return Jobs(store, clock=lambda: now, handlers=HANDLERS, retention=30 * DAY, timezone="Asia/Tokyo")


def insert(store: Store, *jobs: Job | Unreadable) -> None:
    store.swap([Change(None, job) for job in jobs])


# -- schedule ----------------------------------------------------------------------------------------------------------


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


def test_a_space_that_is_not_asked_for_is_no_difference(jobs: Jobs) -> None:
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


# -- looking and commanding --------------------------------------------------------------------------------------------


def test_listing_leaves_out_subscriptions_unless_asked(jobs: Jobs, store: Store, job_factory: JobFactory) -> None:
    """They are documents of the same collection, but no person made them."""
    insert(store, job_factory("a"), job_factory("subscription:gmail:a@example.com"), job_factory("z", space="spaces/A"))

    assert [job.id for job in jobs.list(page_size=1)] == ["a", "z"]
    assert [job.id for job in jobs.list(with_subscriptions=True)] == ["a", "subscription:gmail:a@example.com", "z"]
    assert [job.id for job in jobs.list(space="spaces/A")] == ["z"]
    assert [job.id for job in jobs.list(after="a")] == ["z"]


@pytest.mark.parametrize("command", ["get", "pause", "resume", "cancel", "run", "retry", "release", "delete"])
def test_what_is_not_there_is_named(jobs: Jobs, command: str) -> None:
    """Every command names the job that does not exist."""
    with pytest.raises(UnknownJob, match="no job missing"):
        getattr(jobs, command)("missing")


@pytest.mark.parametrize("command", ["get", "pause", "run"])
def test_what_cannot_be_read_is_named_with_the_remedy(jobs: Jobs, store: Store, command: str) -> None:
    """It does not change; it can be deleted."""
    insert(store, Unreadable(id="bad", reason="", document={"team": "ops"}))

    with pytest.raises(InvalidJob, match=r"job bad cannot be read: .*jobs upgrade"):
        getattr(jobs, command)("bad")
    jobs.delete("bad")
    assert store.get(["bad"]) == {}


def test_commands_are_stored_and_signed(jobs: Jobs, store: Store) -> None:
    """A command returns the stored job."""
    jobs.schedule("log", HELLO, cron="0 9 * * *", id="a")

    for command, status in (("pause", "paused"), ("resume", "pending"), ("run", "pending"), ("cancel", "cancelled")):
        job = getattr(jobs, command)("a", by="ana")

        assert (job.status, job.updated_by) == (status, "ana")
        assert job == jobs.get("a")


def test_a_command_for_many_jobs_is_one_swap(jobs: Jobs, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that refuses is named with the reason; one already in that state is not written."""
    for name in ("a", "b", "c"):
        jobs.schedule("log", HELLO, id=name)
    jobs.cancel("c")
    swaps: list[list[str]] = []
    swap = store.swap

    def recorded(changes: Sequence[Change]) -> list[Outcome]:
        swaps.append([change.job_id for change in changes])
        return swap(changes)

    monkeypatch.setattr(store, "swap", recorded)

    refused = jobs.command_all("pause", ["a", "b", "c", "gone", "a"], by="ana")

    assert swaps == [["a", "b"]]
    assert {name: jobs.get(name).status for name in ("a", "b", "c")} == {
        "a": Status.PAUSED,
        "b": Status.PAUSED,
        "c": Status.CANCELLED,
    }
    assert (refused["gone"], "must be pending" in refused["c"]) == ("there is no job gone", True)


def test_many_are_deleted_and_what_cannot_be_is_named(jobs: Jobs, store: Store, now: datetime) -> None:
    """An unreadable document is deleted; a running job stays, and so does a missing id."""
    held = jobs.schedule("log", HELLO, id="held").job
    store.swap([Change(held, held.claim(now=now, token="t", lease=MINUTE, retention=DAY))])
    insert(store, Unreadable(id="bad", reason="", document={"id": "bad"}))
    jobs.schedule("log", HELLO, id="a")

    refused = jobs.delete_all(["a", "held", "gone", "bad"])

    assert refused.keys() == {"held", "gone"}
    assert "has been running since" in refused["held"]
    assert [job.id for job in jobs.list()] == ["held"]


class Answers(JsonStore):
    """A store whose first swaps are answered as a test says."""

    answers: Sequence[Outcome] = ()

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        if self.answers:
            answer, *self.answers = self.answers
            return [answer]
        return super().swap(changes)


@pytest.fixture
def answering(json_store: JsonStore, now: datetime, job_factory: JobFactory) -> tuple[Answers, Jobs]:
    """A store with a job `a`, and its jobs."""
    store = Answers(json_store._path, lambda: now)
    insert(store, job_factory("a", at=now + DAY))
    return store, Jobs(store, clock=lambda: now, handlers=HANDLERS, retention=DAY)


@pytest.mark.parametrize("command", ["pause", "delete"])
def test_a_command_that_comes_second_is_applied_to_what_it_then_finds(
    answering: tuple[Answers, Jobs], command: str
) -> None:
    """A lost swap is read again and repeated."""
    store, jobs = answering
    store.answers = [Lost(), Lost()]

    getattr(jobs, command)("a")

    assert [job.id for job in jobs.list(status="pending")] == []


def test_a_command_for_many_tries_again_what_somebody_changed_first(answering: tuple[Answers, Jobs]) -> None:
    """It names the job that changes again and again."""
    store, jobs = answering
    store.answers = [Lost()]

    once = jobs.command_all("pause", ["a"])
    store.answers = [Lost()] * 20
    always = jobs.command_all("resume", ["a"])

    assert once == {}
    assert always == {"a": "it keeps changing; try again"}


def test_what_many_came_to_is_told_though_the_store_goes_away(
    answering: tuple[Answers, Jobs], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the jobs of the repeated write are named, with the reason."""
    store, jobs = answering
    jobs.schedule("log", HELLO, id="b")
    swap, get = store.swap, store.get

    def swap_one(changes: Sequence[Change]) -> list[Outcome]:
        monkeypatch.setattr(store, "get", go_away)
        return [*swap(changes[:1]), Lost()]

    def go_away(job_ids: Collection[str]) -> NoReturn:
        raise StoreUnavailable("connection refused")

    monkeypatch.setattr(store, "swap", swap_one)

    refused = jobs.delete_all(["a", "b"])

    assert refused == {"b": "connection refused"}
    assert get(["a"]) == {}


def test_a_job_that_keeps_changing_is_given_up_with_a_reason(answering: tuple[Answers, Jobs]) -> None:
    """No command tries for ever."""
    store, jobs = answering
    store.answers = [Lost()] * 50

    with pytest.raises(StoreUnavailable, match="keeps changing"):
        jobs.pause("a")


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [(Unknown("cut"), StoreUnavailable, "did not confirm.*cut"), (Refused("too large"), InvalidInput, "too large")],
)
def test_an_answer_that_is_none_is_told(
    answering: tuple[Answers, Jobs], answer: Outcome, error: type[Exception], says: str
) -> None:
    """The person gets the store's reason."""
    store, jobs = answering
    store.answers = [answer]

    with pytest.raises(error, match=says):
        jobs.pause("a")


def test_a_running_job_is_not_deleted(answering: tuple[Answers, Jobs], now: datetime) -> None:
    """Its id must not be free during a run."""
    store, jobs = answering
    job = jobs.run("a")
    store.swap([Change(job, job.claim(now=now, token="t", lease=MINUTE, retention=DAY))])

    with pytest.raises(NotPossible, match="has been running since"):
        jobs.delete("a")
    assert jobs.get("a").status is Status.RUNNING


def test_a_one_shot_that_is_replaced_at_its_ended_time_is_then_unchanged(
    jobs: Jobs, store: Store, now: datetime
) -> None:
    """It runs once more, under its own key; the same call at every start adds nothing."""
    job = jobs.schedule("log", HELLO, id="once", at=now).job
    done = job.claim(now=now, token="t", lease=MINUTE, retention=DAY)
    store.swap([Change(job, done.finish(Result(started_at=now, ended_at=now, by="schedule"), retention=DAY))])

    outcomes = [jobs.schedule("log", {"message": "bye"}, id="once", at=now, replace=True).outcome for _ in range(2)]

    assert outcomes == ["replaced", "unchanged"]
    assert jobs.get("once").execution_key != job.execution_key


def test_what_is_kept_beside_the_jobs_is_not_listed(jobs: Jobs, store: Store, now: datetime) -> None:
    """Nor exported: it may be a secret."""
    assert isinstance(store.swap([Change(None, Job.create("watchkeeper:key", "log", now=now))])[0], Won)

    assert list(jobs.list(with_subscriptions=True)) == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param({"id": "watchkeeper:doctor"}, "begin with watchkeeper: are reserved", id="beside-the-jobs"),
        pytest.param({"id": "subscription:gmail:x"}, "begin with subscription: are reserved", id="subscription"),
        pytest.param({"job_type": "subscription_check"}, "only a renewal creates jobs", id="type"),
        pytest.param({"space": "AAAA"}, "like spaces/AAAA", id="no-space"),
        pytest.param({"space": "spaces/\x1b[31m"}, "like spaces/AAAA", id="no-letters"),
    ],
)
def test_what_is_no_job_of_anybody_is_refused(jobs: Jobs, given: dict[str, Any], says: str) -> None:
    """No list would show it, and nobody would hear of its failures."""
    with pytest.raises(InvalidInput, match=says):
        jobs.schedule(**{"job_type": "log", "payload": HELLO, **given})

    assert list(jobs.list(with_subscriptions=True)) == []


def test_a_space_is_checked_when_it_is_changed(jobs: Jobs) -> None:
    """An empty one is none."""
    jobs.schedule("log", HELLO, id="job", space="spaces/A")

    with pytest.raises(InvalidInput, match="like spaces/AAAA"):
        jobs.edit("job", space="A")
    assert jobs.edit("job", space="").space is None


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


def test_replace_takes_away_what_is_not_asked_for_any_more(jobs: Jobs, now: datetime) -> None:
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
