"""How a smoke test reports a failure."""

from collections.abc import Callable

import pytest

from tests.support.recorder import MISSING, refused, shown
from tests.support.smoking import EVERY_WAY, JOB_WAYS, REMOVED, UNAUTHENTICATED, FakeDeployment, call_gmail, call_tick
from watchkeeper.deploy.gcloud import Ended, StepFailed
from watchkeeper.deploy.patience import StillRefused
from watchkeeper.deploy.work import Work


@EVERY_WAY
@pytest.mark.parametrize(
    ("said", "reasons", "says"),
    [
        pytest.param("INTERNAL, 500", [""], "failed with INTERNAL, 500; the log of watchkeeper-", id="failed"),
        pytest.param(UNAUTHENTICATED, [REMOVED], "Set AUTH_MODE=platform in the settings file", id="removed"),
        pytest.param(UNAUTHENTICATED, ["", "", REMOVED], "Set AUTH_MODE=platform in the settings", id="log-is-late"),
        pytest.param(UNAUTHENTICATED, ["wrong audience"], "was refused by watchkeeper-.*: wrong audience", id="ours"),
        pytest.param("PERMISSION_DENIED, 403", ["the caller is not on the list"], "not on the list", id="our-403"),
        pytest.param(UNAUTHENTICATED, [""], r"waited 6\d s .* Cloud Run rejects the token", id="platform"),
    ],
)
def test_a_failure_says_what_to_do(
    cloud: FakeDeployment, work: Work, take: Callable[[Work], None], said: str, reasons: list[str], says: str
) -> None:
    """Refusals of our code and of Cloud Run differ, and are not waited for; a removed signature has its setting."""
    cloud.said, cloud.reasons = [said], reasons

    with pytest.raises((StepFailed, StillRefused), match=says):
        take(work)

    assert cloud.clock() < 120
    assert (cloud.jobs, cloud.tasks) == ([], {})


@pytest.mark.parametrize(
    ("beginning", "answer", "says"),
    [
        ("scheduler jobs describe", MISSING, "there is no Scheduler job gmail-watch-renewal; run schedules"),
        ("scheduler jobs describe", shown("ENABLED|https://former.run.app"), "calls https://former.run.app, which is"),
        ("scheduler jobs run", shown(""), "was told to run, but no attempt followed"),
        ("logging read", refused("PERMISSION_DENIED"), "that needs roles/logging.viewer"),
        ("logging read", shown("[]"), "its end is not in the log; is it excluded there"),
    ],
)
def test_an_unreadable_log_does_not_count_as_success(
    cloud: FakeDeployment, work: Work, beginning: str, answer: Ended, says: str
) -> None:
    """Nor is the run of another system's Scheduler job."""
    cloud.answers[beginning] = answer

    with pytest.raises(StepFailed, match=says):
        call_gmail(work)

    assert (beginning == "scheduler jobs describe") is (cloud.changes == [])


def test_a_tick_that_answers_and_runs_nothing_is_a_failure(cloud: FakeDeployment, work: Work) -> None:
    """The call succeeds, but the first due job is still there: perhaps the collection is another one."""
    cloud.is_busy = True

    with pytest.raises(StepFailed, match=r"was called, and did not run the job smoke:\w+$"):
        call_tick(work)

    assert cloud.jobs == []


@JOB_WAYS
def test_a_job_that_fails_says_why(
    cloud: FakeDeployment, work: Work, take: Callable[[Work], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example, if the handler of `log` is another one."""
    monkeypatch.setattr("tests.support.smoking.load_handlers", lambda modules: {})

    with pytest.raises(StepFailed, match=r"the job smoke:\w+ was run, and failed: .*log"):
        take(work)

    assert (cloud.jobs, cloud.tasks) == ([], {})
