"""The time of a call: what it starts, and how long it waits."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.model.job import Job
from shared.renewals import Failed, Renewals, Renewed
from shared.store.protocol import Store
from shared.subscriptions import Subscription
from tests.support.subscribed import AGENT, SALES, WEEK, Clock, never, record


def test_no_renewal_begins_without_time_to_end(renewals: Callable[..., Renewals], store: Store, clock: Clock) -> None:
    """It starts at least 90 s before the lease ends; the others are reported and free for the next call."""
    call = renewals()

    def be_slow(subscription: Subscription) -> Renewed:
        clock.now += timedelta(seconds=210.001)
        return Renewed(expires_at=clock() + WEEK)

    outcomes = call.renew_all([AGENT, SALES], be_slow)

    assert isinstance(outcomes[AGENT.id], Renewed)
    assert outcomes[SALES.id] == Failed("there was no time left to begin; try again")
    assert record(store, SALES).lease_until is None


def test_no_renewal_begins_when_the_process_is_stopping(renewals: Callable[..., Renewals], clock: Clock) -> None:
    """Its claimed records are reported and released."""
    outcomes = renewals(is_stopping=lambda: True).renew_all([AGENT], never)

    assert isinstance(outcomes[AGENT.id], Failed)


def test_a_pause_begins_only_if_it_fits(renewals: Callable[..., Renewals], clock: Clock) -> None:
    """In small steps, to notice the end of the process; a pause that does not fit is not started."""
    call = renewals()

    assert call.wait(timedelta(seconds=30.5))
    assert (sum(clock.slept), max(clock.slept)) == (30.5, 1)

    assert not call.wait(timedelta(seconds=180))
    assert sum(clock.slept) == 30.5

    assert call.wait(timedelta(seconds=179.5))  # to the very last moment
    assert not call.wait(timedelta(microseconds=1))


def test_a_pause_ends_with_the_process(renewals: Callable[..., Renewals], clock: Clock) -> None:
    """Within a second."""
    call = renewals(is_stopping=lambda: len(clock.slept) == 3)

    assert not call.wait(timedelta(seconds=30))
    assert len(clock.slept) == 3


@pytest.mark.parametrize("hours", [-3, 3], ids=["back", "forward"])
def test_a_clock_that_jumps_neither_ends_a_call_nor_makes_it_wait(
    renewals: Callable[..., Renewals], store: Store, clock: Clock, hours: int
) -> None:
    """Pauses have their length, there is time for the next one, and no duration is negative."""
    call = renewals()

    def renew(subscription: Subscription) -> Renewed:
        clock.put_forward(timedelta(hours=hours))
        assert call.wait(timedelta(seconds=2))
        return Renewed(expires_at=clock() + WEEK)

    outcomes = call.renew_all([AGENT, SALES], renew)

    assert all(isinstance(outcome, Renewed) for outcome in outcomes.values())
    assert sum(clock.slept) == pytest.approx(4)
    for job in store.get([AGENT.id, SALES.id]).values():
        assert isinstance(job, Job)
        (run,) = job.recent_runs
        assert run.started_at is not None
        assert run.ended_at is not None
        assert timedelta(seconds=1.9) < run.ended_at - run.started_at < timedelta(seconds=2.1)
