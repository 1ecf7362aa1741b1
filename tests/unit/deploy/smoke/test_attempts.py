"""Which attempt of a Scheduler job counts in a smoke test."""

from datetime import timedelta

import pytest

from tests.support.smoking import BEGAN, FakeDeployment, call_gmail
from watchkeeper.deploy.smoke.scheduler import Attempt, verdict
from watchkeeper.deploy.work import Work


def attempt(start: float, end: float | None, said: str = "") -> list[Attempt]:
    """Return the lines of an attempt, in seconds from the first one that counts."""
    times = [(start, False, ""), *([] if end is None else [(end, True, said)])]
    return [Attempt(BEGAN + timedelta(seconds=at), is_end, text) for at, is_end, text in times]


@pytest.mark.parametrize(
    ("attempts", "latest", "wanted"),
    [
        pytest.param([*attempt(0, None)], 0, None, id="begun"),
        pytest.param([*attempt(0, 3)], 0, "", id="well"),
        pytest.param([*attempt(0, 3, "13")], 0, "13", id="bad"),
        pytest.param([*attempt(-60, -57, "13"), *attempt(0, 3)], 0, "", id="bad-before"),
        pytest.param([*attempt(-60, -57), *attempt(0, 3, "13")], 0, "13", id="well-before"),
        pytest.param([*attempt(-60, 2), *attempt(0, None)], 0, None, id="end-of-one-that-was-under-way"),
        pytest.param([*attempt(-60, 2), *attempt(0, 3)], 0, "", id="both-well"),
        pytest.param([*attempt(-60, 2, "13"), *attempt(0, None)], 0, None, id="bad-end-of-one-that-was-under-way"),
        pytest.param([*attempt(-60, 2), *attempt(0, 3, "13")], 0, None, id="either-may-be-ours"),
        pytest.param([*attempt(-70, -65)[1:], *attempt(-60, 2), *attempt(0, None)], 0, None, id="start-was-not-read"),
        pytest.param([*attempt(0, 3, "7"), *attempt(20, None)], 20, None, id="waited-for"),
        pytest.param([*attempt(0, 3, "7"), *attempt(20, 23, "13")], 20, "13", id="bad-after-a-wait"),
        pytest.param([*attempt(0, 3, "7"), *attempt(20, 23)], 20, "", id="well-after-a-wait"),
        pytest.param([*attempt(-1, 3, "13")], 0, "13", id="log-and-job-differ-by-a-second"),
    ],
)
def test_only_an_attempt_that_began_with_the_test_counts(
    attempts: list[Attempt], latest: float, wanted: str | None
) -> None:
    """An end does not say to which start it belongs, and the former status is old."""
    ordered = sorted(attempts)

    assert verdict(ordered, first=BEGAN, latest=BEGAN + timedelta(seconds=latest)) == wanted


def test_the_status_of_the_last_attempt_is_not_used(cloud: FakeDeployment, work: Work) -> None:
    """While the new attempt runs, the job still shows the failure of the one before."""
    cloud.attempts.append((BEGAN - timedelta(seconds=60), BEGAN - timedelta(seconds=57), "INTERNAL, 500"))

    call_gmail(work)

    assert cloud.now() >= cloud.attempts[-1][1]
    assert not any("status" in word for words in cloud.commands for word in words)
