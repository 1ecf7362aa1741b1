"""A smoke test leaves no job and no task behind."""

import signal
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from shared.model.job import Job
from shared.store.protocol import Change, Store, Unknown
from tests.support.deploying import SETTINGS
from tests.support.recorder import Recorder, deployment_of
from tests.support.smoking import (
    BEGAN,
    FAULTS,
    JOB_WAYS,
    TICK,
    FakeDeployment,
    call_tick,
    deliver,
    left_by_a_killed_one,
)
from watchkeeper.deploy.outside import Outside
from watchkeeper.deploy.signals import Interrupted
from watchkeeper.deploy.smoke.trial import on_trial
from watchkeeper.deploy.work import Work


@JOB_WAYS
@pytest.mark.parametrize("pause", range(6))
def test_an_interruption_leaves_nothing_behind(
    cloud: FakeDeployment, tmp_path: Path, take: Callable[[Work], None], pause: int
) -> None:
    """At any pause at which the signal arrives."""

    class Pauses(list[float]):
        def append(self, seconds: float) -> None:
            if len(self) == pause:
                raise Interrupted(signal.SIGINT)
            super().append(seconds)

    cloud.said, cloud.pauses = [next(iter(FAULTS))], Pauses()
    work = cloud.work(deployment_of(tmp_path / "production.env", SETTINGS), tmp_path)

    with pytest.raises(Interrupted):
        take(work)

    assert (cloud.jobs, cloud.tasks) == ([], {})


@pytest.mark.parametrize("take", [call_tick, deliver])
def test_the_next_smoke_test_deletes_what_a_killed_one_left(
    cloud: FakeDeployment, work: Work, take: Callable[[Work], None]
) -> None:
    """Once it is an hour old: a younger one may still be needed, and other jobs belong to somebody."""
    left = left_by_a_killed_one(cloud.now())
    others = [
        Job.create(job_id, kind, now=made, by=by, payload={"message": "x"}, at=BEGAN + timedelta(days=1))
        for job_id, kind, by, made in (
            ("smoke:fedcba9876543210", "log", "smoke", BEGAN),
            ("smoke:report", "log", "somebody", left.created_at),
            ("smoke:request", "http_request", "smoke", left.created_at),
            ("smokers", "log", "smoke", left.created_at),
        )
    ]
    cloud.store.swap([Change(None, job) for job in (left, *others)])

    take(work)

    assert cloud.jobs == [job.id for job in others]


@pytest.mark.parametrize("queue", ["", "agents"])
def test_every_store_keeps_and_then_deletes_the_job(store: Store, tmp_path: Path, queue: str) -> None:
    """By the store's own clock it is due, or waits in its queue for a delivery with its token."""
    gcloud = Recorder()
    gcloud.outside = Outside(open_store=lambda settings: store, request=gcloud.outside.request)
    work = gcloud.work(deployment_of(tmp_path / "production.env", SETTINGS), tmp_path)
    store.swap([Change(None, left_by_a_killed_one(store.now()))])

    with on_trial(work, TICK, proves="nothing", queue=queue) as trial:
        assert trial
        (job,) = store.page()
        assert isinstance(job, Job)
        assert (job.id, trial.has_run()) == (trial.id, False)
        assert job.is_due(store.now()) is not bool(queue)
        assert job.waits_for(trial.token or "") is bool(queue)

    assert (store.page(), gcloud.left_open) == ([], [])


def test_a_signal_during_the_deletion_names_the_job_that_is_left(
    cloud: FakeDeployment, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The remaining one is listed under "Left open"."""
    swap = cloud.store.swap

    def interrupted(changes: list[Change]) -> object:
        if changes[0].after is None:
            raise Interrupted(signal.SIGINT)
        return swap(changes)

    monkeypatch.setattr(cloud.store, "swap", interrupted)

    with pytest.raises(Interrupted):
        call_tick(work)

    (job,) = cloud.jobs
    assert cloud.left_open == [f"the job {job} could not be deleted: `watchkeeper jobs delete {job}`"]


def test_no_tick_takes_the_job_out_of_its_queue_while_it_is_waited_for(
    cloud: FakeDeployment, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even after a long wait: the tick would hand it over again, and the test's task would do nothing."""
    cloud.is_busy = True
    swap, made = cloud.store.swap, list[Change]()

    def noting(changes: Sequence[Change]) -> object:
        made.extend(changes)
        return swap(changes)

    monkeypatch.setattr(cloud.store, "swap", noting)

    deliver(work)

    job = made[0].after
    assert isinstance(job, Job)
    assert job.lease_until
    assert job.lease_until > cloud.now()


def test_a_job_that_cannot_be_deleted_is_named(
    cloud: FakeDeployment, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that deletes it."""
    swap = cloud.store.swap

    def keeping(changes: list[Change]) -> object:
        return [Unknown("away")] if changes[0].after is None else swap(changes)

    monkeypatch.setattr(cloud.store, "swap", keeping)

    call_tick(work)

    (point,) = cloud.left_open
    assert point == f"the job {cloud.jobs[0]} could not be deleted: `watchkeeper jobs delete {cloud.jobs[0]}`"
