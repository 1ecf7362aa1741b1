"""Listing jobs and giving commands to one or many of them by the Python interface, on both stores."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NoReturn

import pytest

from shared.errors import InvalidInput, StoreUnavailable
from shared.jobs import Jobs, UnknownJob
from shared.model.definition import InvalidJob
from shared.model.history import Result
from shared.model.job import Job
from shared.model.life import NotPossible
from shared.model.value import Status
from shared.store.documents import Unreadable
from shared.store.json_file import JsonStore
from shared.store.protocol import Change, Lost, Outcome, Refused, Store, Unknown, Won
from tests.support.calling_jobs import DAY, HANDLERS, HELLO, MINUTE, JobFactory, insert


def test_listing_leaves_out_subscriptions_unless_asked(jobs: Jobs, store: Store, job_factory: JobFactory) -> None:
    """They are documents of the same collection, but no person made them."""
    insert(store, job_factory("a"), job_factory("subscription:gmail:a@example.com"), job_factory("z", space="spaces/A"))

    assert [job.id for job in jobs.list(page_size=1)] == ["a", "z"]
    assert [job.id for job in jobs.list(with_subscriptions=True)] == ["a", "subscription:gmail:a@example.com", "z"]
    assert [job.id for job in jobs.list(space="spaces/A")] == ["z"]
    assert [job.id for job in jobs.list(after="a")] == ["z"]


@pytest.mark.parametrize("command", ["get", "pause", "resume", "cancel", "run", "retry", "release", "delete"])
def test_a_missing_job_is_named(jobs: Jobs, command: str) -> None:
    """Every command names the job that does not exist."""
    with pytest.raises(UnknownJob, match="no job missing"):
        getattr(jobs, command)("missing")


@pytest.mark.parametrize("command", ["get", "pause", "run"])
def test_an_unreadable_job_is_named_with_the_remedy(jobs: Jobs, store: Store, command: str) -> None:
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
def test_a_command_that_loses_is_applied_to_the_newer_job(answering: tuple[Answers, Jobs], command: str) -> None:
    """A lost swap is read again and repeated."""
    store, jobs = answering
    store.answers = [Lost(), Lost()]

    getattr(jobs, command)("a")

    assert [job.id for job in jobs.list(status="pending")] == []


def test_a_command_for_many_is_repeated_for_jobs_that_somebody_changed(answering: tuple[Answers, Jobs]) -> None:
    """It names the job that changes again and again."""
    store, jobs = answering
    store.answers = [Lost()]

    once = jobs.command_all("pause", ["a"])
    store.answers = [Lost()] * 20
    always = jobs.command_all("resume", ["a"])

    assert once == {}
    assert always == {"a": "it keeps changing; try again"}


def test_a_command_for_many_reports_what_was_not_done_when_the_store_fails(
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
def test_an_unconfirmed_command_is_an_error(
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


def test_documents_beside_the_jobs_are_not_listed(jobs: Jobs, store: Store, now: datetime) -> None:
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
def test_reserved_ids_and_types_are_refused(jobs: Jobs, given: dict[str, Any], says: str) -> None:
    """No list would show such a job, and its failures would not be reported."""
    with pytest.raises(InvalidInput, match=says):
        jobs.schedule(**{"job_type": "log", "payload": HELLO, **given})

    assert list(jobs.list(with_subscriptions=True)) == []


def test_a_space_is_checked_when_it_is_changed(jobs: Jobs) -> None:
    """An empty one counts as no space."""
    jobs.schedule("log", HELLO, id="job", space="spaces/A")

    with pytest.raises(InvalidInput, match="like spaces/AAAA"):
        jobs.edit("job", space="A")
    assert jobs.edit("job", space="").space is None
