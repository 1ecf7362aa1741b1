"""What a smoke test could not prove: it says so, and fails for nothing else."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from shared.errors import StoreUnavailable
from shared.model.job import Job
from shared.settings import Settings
from shared.store.protocol import Change, Store, Unknown
from tests.support.deploying import SETTINGS, url
from tests.support.gcloud import PROJECT
from tests.support.recorder import deployment_of, shown
from tests.support.smoking import BEGAN, EVERY_WAY, JOB_WAYS, FakeDeployment, call_tick, deliver
from watchkeeper.deploy.gcloud import StepFailed
from watchkeeper.deploy.outside import Outside, open_deployed
from watchkeeper.deploy.work import Work


def _read_only(cloud: FakeDeployment) -> Callable[[Settings], Store]:
    def swap(changes: object) -> object:
        return [Unknown("PermissionDenied: Missing or insufficient permissions.")]

    cloud.store.swap = swap  # type: ignore[method-assign,assignment]  # as Firestore answers a reader
    return lambda settings: cloud.store


def _signed_out(cloud: FakeDeployment) -> Callable[[Settings], Store]:
    def open_store(settings: Settings) -> Store:
        raise StoreUnavailable("sign in with `gcloud auth application-default login`")

    return open_store


@JOB_WAYS
@pytest.mark.parametrize(
    ("store", "says"), [(_read_only, "insufficient permissions"), (_signed_out, "gcloud auth application-default")]
)
def test_without_the_store_the_rest_is_proved(
    cloud: FakeDeployment,
    tmp_path: Path,
    take: Callable[[Work], None],
    store: Callable[[FakeDeployment], Callable[[Settings], Store]],
    says: str,
) -> None:
    """A deployer may not be allowed to create jobs; a queue then delivers a task without a job."""
    cloud.outside = Outside(open_store=store(cloud), request=cloud.outside.request)
    work = cloud.work(deployment_of(tmp_path / "production.env", SETTINGS), tmp_path)

    take(work)

    (point,) = cloud.left_open
    assert point.startswith("not proved: that watchkeeper-")
    assert says in point
    assert "roles/datastore.user" in point
    assert cloud.tasks == {}


@EVERY_WAY
def test_paused_parts_stay_paused(cloud: FakeDeployment, work: Work, take: Callable[[Work], None]) -> None:
    """A person paused it; a tick would run what is due."""
    cloud.answers["tasks queues describe"] = shown("PAUSED")
    cloud.answers["scheduler jobs describe watchkeeper-tick"] = shown(f"PAUSED|{url('tick')}")
    cloud.answers["scheduler jobs describe gmail-watch-renewal"] = shown(f"PAUSED|{url('gmail_watch')}")

    take(work)

    (point,) = cloud.left_open
    assert "paused; `resume` wakes it" in point
    assert cloud.changes == []


@pytest.mark.parametrize(
    ("take", "says"),
    [
        (call_tick, "not proved: that watchkeeper-tick runs a job, since it is busy with those that are due before"),
        (
            deliver,
            "not proved: that watchkeeper-run-job runs what watchkeeper-agents delivers. It delivered nothing for 16",
        ),
    ],
)
def test_jobs_that_come_first_are_no_failure(
    cloud: FakeDeployment, work: Work, take: Callable[[Work], None], says: str
) -> None:
    """A build would roll good code back because of a backlog, or of a queue full of long jobs."""
    before = Job.create("report", "log", now=BEGAN, payload={"message": "x"}, at=BEGAN - timedelta(hours=1))
    cloud.store.swap([Change(None, before)])
    cloud.is_busy = True

    take(work)

    (point,) = cloud.left_open
    assert point.startswith(says)
    assert (cloud.jobs, cloud.tasks) == (["report"], {})


def test_a_task_that_is_begun_and_gets_no_answer_is_a_failure(cloud: FakeDeployment, work: Work) -> None:
    """It was delivered, so the function hangs."""
    cloud.answers["tasks describe"] = shown("2026-11-29T09:00:00Z|1||")

    with pytest.raises(StepFailed, match="the task in watchkeeper-agents got no answer"):
        deliver(work)

    assert (cloud.jobs, cloud.tasks) == ([], {})


@pytest.mark.parametrize(
    ("line", "collection"), [("", "scheduler_jobs"), ("DEPLOYMENT_PREFIX=staging-", "staging_scheduler_jobs")]
)
def test_the_job_is_made_where_the_functions_look_for_it(
    cloud: FakeDeployment, tmp_path: Path, line: str, collection: str
) -> None:
    """In the collection of this environment, in this project."""
    opened: list[Settings] = []

    def open_store(settings: Settings) -> Store:
        opened.append(settings)
        return cloud.store

    cloud.outside = Outside(open_store=open_store, request=cloud.outside.request)

    deliver(cloud.work(deployment_of(tmp_path / "production.env", SETTINGS, line), tmp_path))

    assert [(each.storage, each.project, each.collection) for each in opened] == [("firestore", PROJECT, collection)]


def test_an_emulator_in_the_shell_is_not_the_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions would never find a job created there."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")

    with pytest.raises(StoreUnavailable, match="unset it"):
        open_deployed(Settings.from_env({"SCHEDULER_STORAGE": "firestore"}))
