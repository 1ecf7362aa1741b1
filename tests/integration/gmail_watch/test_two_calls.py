"""Two calls at once, and a call whose process dies."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

import pytest

from shared.model.history import RunOutcome
from shared.model.value import Status
from tests.support.local_google import ADA, GRACE, RECORD, WATCH, LocalGoogle
from tests.support.renewing import (
    TWO_FUNCTIONS,
    Answered,
    TwoFunctions,
    call,
    call_at_once,
    two_functions,
)
from tests.support.running import RunningFunction, until


@pytest.fixture(params=TWO_FUNCTIONS)
def two_callable(google: LocalGoogle, request: pytest.FixtureRequest) -> Iterator[TwoFunctions]:
    """The function twice, over one store: as one process, as two on a file, as two on the emulator."""
    with two_functions(google, request) as callable_twice:
        yield callable_twice


def test_two_calls_at_once_make_one_renewal(google: LocalGoogle, two_callable: TwoFunctions) -> None:
    """The later one reports that it was skipped, which is not an error."""
    storage, functions = two_callable
    google.gmail.delay = 0.3

    answers = call_at_once(*functions)

    renewed, skipped = sorted(answers, key=lambda answered: str(answered.body["status"]), reverse=True)
    assert (renewed.status, renewed.body["status"]) == (200, "success")
    assert (skipped.status, skipped.body) == (
        200,
        {
            "status": "skipped",
            "message": f"Skipped: another call renews the Gmail watch of {ADA}",
            "skipped": [ADA],
            "timestamp": skipped.body["timestamp"],
            "trace_id": skipped.trace,
        },
    )
    assert google.asked() == [WATCH]
    assert google.gmail.renewals == {ADA: 1}
    assert len(storage.record(RECORD).recent_runs) == 1


def test_a_mailbox_that_another_call_renews_does_not_delay_the_others(
    google: LocalGoogle, of_one: RunningFunction, of_two: RunningFunction
) -> None:
    """It is named as skipped, beside what was renewed."""
    google.gmail.delay = 0.5

    with ThreadPoolExecutor() as pool:
        first = pool.submit(call, of_one)
        until(lambda: google.asked() == [WATCH], 20)
        second = call(of_two)
        assert first.result(20).body["status"] == "success"

    assert (second.status, second.body["status"], second.body["skipped"]) == (200, "success", [ADA])
    assert [watch["mailbox"] for watch in second.body["watches"]] == [GRACE]
    assert google.gmail.renewals == {ADA: 1, GRACE: 1}


def test_a_renewal_whose_process_dies_is_taken_over_after_its_lease(google: LocalGoogle) -> None:
    """Until then other calls are skipped; the history has the death, and the record is complete again."""
    lease = {"SCHEDULER_LEASE_SECONDS": "2"}
    with google.running(lease) as dying, google.running(lease) as other, ThreadPoolExecutor() as pool:
        first = call(other)
        google.gmail.fail("hang")
        hanging = pool.submit(dying.call)
        until(lambda: google.asked() == [WATCH, WATCH], 20)

        dying.signal(signal.SIGKILL)

        assert isinstance(hanging.exception(20), OSError | HTTPException)
        held = google.storage.record(RECORD)
        assert held.lease_until is not None
        answers: list[Answered] = []

        def is_renewed() -> bool:
            answers.append(call(other))
            return bool(answers[-1].body["status"] != "skipped")

        until(is_renewed, 20)

    job = google.storage.record(RECORD)
    assert answers[0].body["status"] == "skipped"
    assert {answered.status for answered in answers} == {200}
    assert job.recent_runs[-1].started_at is not None
    assert job.recent_runs[-1].started_at >= held.lease_until
    assert google.gmail.renewals == {ADA: 2}
    assert [run.outcome for run in job.recent_runs] == [RunOutcome.COMPLETED, RunOutcome.DIED, RunOutcome.COMPLETED]
    assert (job.status, job.lease_until, job.payload["history_id"]) == (Status.PENDING, None, first.body["history_id"])
    assert "renewal_started_at" not in job.payload
