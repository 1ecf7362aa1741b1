"""A store that cannot be reached, refuses a write, or whose answer is lost."""

from collections.abc import Callable, Sequence
from datetime import datetime

import pytest

from shared.errors import StoreUnavailable
from shared.model.value import Status
from shared.store.protocol import Change, Lost, Outcome, Refused, Unknown
from tests.support.ticking import MINUTE, SECOND, JobFactory, World, is_claim


def test_an_unreachable_store_fails_the_tick(world: World, job_factory: JobFactory) -> None:
    """Scheduler and alerts must see it."""
    world.store.is_unreachable = True

    with pytest.raises(StoreUnavailable, match="unreachable"):
        world.tick()


def test_jobs_claimed_by_another_tick_are_skipped(world: World, job_factory: JobFactory, now: datetime) -> None:
    """If all claims of a page are lost, the tick looks once more and ends, whatever it finds."""
    world.store.answer = lambda changes: [Lost() for _ in changes]
    world.add(*(job_factory(f"job-{n}", at=now) for n in range(3)))

    report = world.tick()

    assert world.runs == []
    assert report.jobs_skipped == 6
    assert world.store.calls == ["due", "swap", "due", "swap"]


def test_a_claim_without_an_answer_ends_the_tick(world: World, job_factory: JobFactory, now: datetime) -> None:
    """The outcome is unknown: nothing starts and the tick fails; a claim that was applied is taken over later."""
    world.store.answer = lambda changes: [Unknown("cut") for _ in changes]
    world.add(job_factory(at=now))

    with pytest.raises(StoreUnavailable, match="cut"):
        world.tick()

    assert world.runs == []


def test_one_claim_of_many_without_an_answer_does_not_end_the_tick(
    world: World, job_factory: JobFactory, now: datetime
) -> None:
    """One write with an unknown outcome does not end the tick: the others run."""
    world.store.answer = lambda changes: [
        Unknown("contention") if change.job_id == "a" else world.store.store.swap([change])[0] for change in changes
    ]
    world.add(job_factory("a", at=now), *(job_factory(f"b{n}", at=now) for n in range(20)))

    report = world.tick()

    assert report.jobs_succeeded == 20
    assert not any(key.startswith("a@") for key in world.runs)


def test_a_finish_is_repeated_until_the_store_answers(world: World, job_factory: JobFactory, now: datetime) -> None:
    """A result is stored as soon as the store answers again, and the tick succeeds."""
    refusals = iter([1, 2, 3])

    def unreachable_for_finishes(changes: Sequence[Change]) -> list[Outcome] | None:
        if not any(is_claim(change) for change in changes) and next(refusals, None):
            world.clock.turn(SECOND)
            return [Unknown("unreachable") for _ in changes]
        return None

    world.store.answer = unreachable_for_finishes
    world.add(job_factory(at=now))

    report = world.tick()

    assert (report.jobs_succeeded, len(world.runs)) == (1, 1)
    assert world.job().status is Status.COMPLETED


def lose_an_answer(world: World, meanwhile: Callable[[], object]) -> Callable[[Sequence[Change]], list[Outcome] | None]:
    """Return a store's answer that applies the first finish, but reports its outcome as unknown."""
    lost: list[str] = []

    def answer(changes: Sequence[Change]) -> list[Outcome] | None:
        if any(is_claim(change) for change in changes) or lost:
            return None
        lost.append("answer")
        world.store.store.swap(changes)
        meanwhile()
        return [Unknown("cut after it was applied") for _ in changes]

    return answer


def test_a_finish_that_was_applied_without_an_answer_is_recognised(
    world: World, job_factory: JobFactory, now: datetime
) -> None:
    """The repeated write loses to the tick's own first write; the token shows whose it was."""
    world.store.answer = lose_an_answer(world, lambda: world.clock.turn(SECOND))
    world.add(job_factory(cron="0 * * * *", at=now))

    report = world.tick()

    assert (report.jobs_succeeded, report.jobs_lost, len(world.runs)) == (1, 0, 1)
    assert [run.outcome for run in world.job().recent_runs] == ["completed"]


def test_a_recognised_finish_counts_by_its_own_outcome(world: World, job_factory: JobFactory, now: datetime) -> None:
    """Even if a person's command adds another history entry before the job is read again."""

    def edit_meanwhile() -> None:
        world.clock.turn(6 * MINUTE)
        world.jobs().edit("job", cron="*/10 * * * *", by="ana")

    world.store.answer = lose_an_answer(world, edit_meanwhile)
    world.add(job_factory(cron="*/5 * * * *", at=now))

    report = world.tick()

    assert [run.outcome for run in world.job().recent_runs] == ["completed", "missed"]
    assert (report.jobs_succeeded, report.jobs_retried) == (1, 0)


def test_results_that_cannot_be_stored_fail_the_tick_in_time(
    world: World, job_factory: JobFactory, now: datetime
) -> None:
    """It gives up before the function's timeout, with an error; the job is taken over when its lease ends."""

    def unreachable_for_finishes(changes: Sequence[Change]) -> list[Outcome] | None:
        if any(is_claim(change) for change in changes):
            return None
        world.clock.turn(30 * SECOND)
        return [Unknown("unreachable") for _ in changes]

    world.env["CALL_TIMEOUT_SECONDS"] = "180"
    world.store.answer = unreachable_for_finishes
    world.add(job_factory(at=now))

    with pytest.raises(StoreUnavailable, match="could not be stored"):
        world.tick()

    assert world.clock.now <= now + 240 * SECOND
    assert world.job().status is Status.RUNNING


def test_a_result_that_the_store_refuses_is_stored_as_a_failure(
    world: World, job_factory: JobFactory, now: datetime
) -> None:
    """The job fails with the store's reason; the others succeed."""

    def refuse_success(changes: Sequence[Change]) -> list[Outcome] | None:
        if any(after.status is Status.COMPLETED and after.id == "a" for _, after in changes):  # type: ignore[union-attr]
            return [Refused("too large") if c.job_id == "a" else world.store.store.swap([c])[0] for c in changes]
        return None

    world.store.answer = refuse_success
    world.add(job_factory("a", at=now), job_factory("b", at=now))

    report = world.tick()

    assert (report.jobs_failed, report.jobs_succeeded) == (1, 1)
    assert "too large" in (world.job("a").error or "")


def test_a_claim_that_the_store_refuses_does_not_stop_the_others(
    world: World, job_factory: JobFactory, now: datetime
) -> None:
    """It is logged and skipped in this tick; everything else runs."""
    world.store.answer = lambda changes: [
        Refused("no") if change.job_id == "a" else world.store.store.swap([change])[0] for change in changes
    ]
    world.add(job_factory("a", at=now), *(job_factory(f"b{n}", at=now) for n in range(20)))

    report = world.tick()

    assert report.jobs_succeeded == 20
    assert world.job("a").status is Status.PENDING
