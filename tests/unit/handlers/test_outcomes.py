"""What a handler's result and its errors mean for the job."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared import handlers
from shared.errors import InvalidInput
from shared.handlers import Cancel, Context, Handler, InvalidPayload, Payload, Snooze
from shared.model.history import Result, RunOutcome
from shared.running.running_job import RunningJob
from tests.support.handled import MINUTE, RETENTION, Run, greeting, nothing, raising, refuse_all


def test_handler_that_returns_has_succeeded(run: Run, now: datetime) -> None:
    """The returned value is its output."""
    result = run(greeting(lambda payload, context: {"greeted": ["Ada"]}))

    assert result == Result(started_at=now, ended_at=now, by="schedule", output='{"greeted": ["Ada"]}')


@pytest.mark.parametrize(
    ("exc", "error"),
    [
        pytest.param(ValueError("no such person"), "ValueError: no such person", id="error"),
        pytest.param(ValueError(), "ValueError", id="error-without-words"),
        pytest.param(SystemExit(3), "SystemExit: 3", id="exit"),
    ],
)
def test_handler_that_raises_has_failed_and_is_retried(run: Run, held: RunningJob, exc: Exception, error: str) -> None:
    """The error is recorded by class and text, and is not final."""
    result = run(greeting(raising(exc)))

    assert (result.error, result.final, result.later) == (error, False, None)
    assert held.exception is exc


@pytest.mark.parametrize(
    ("exc", "error"),
    [
        pytest.param(Cancel("she has left"), "she has left", id="cancel"),
        pytest.param(Cancel(), "Cancel", id="cancel-without-words"),
        pytest.param(InvalidPayload("name: it must be text"), "name: it must be text", id="invalid-payload"),
    ],
)
def test_cancel_is_final(run: Run, held: RunningJob, exc: Exception, error: str) -> None:
    """A handler uses it when another attempt would be useless."""
    result = run(greeting(raising(exc)))

    assert (result.error, result.final, result.later) == (error, True, None)
    assert held.exception is exc


def test_snooze_is_not_a_failure(run: Run, held: RunningJob) -> None:
    """The same occurrence runs again after the pause, without using an attempt."""
    result = run(greeting(raising(Snooze(2 * MINUTE, "she is asleep"))))

    finished = held.job.finish(result, retention=RETENTION)
    assert (result.error, result.final, result.later) == ("she is asleep", False, 2 * MINUTE)
    assert finished.recent_runs[-1].outcome is RunOutcome.LATER
    assert finished.attempts == 0
    assert finished.execution_key == held.job.execution_key


def test_former_names_are_the_same_classes() -> None:
    """Handlers that use them still work, whichever name is caught."""
    assert handlers.Later is Snooze
    assert handlers.NeverAgain is Cancel


def test_snooze_needs_no_reason() -> None:
    """The pause is enough."""
    assert str(Snooze(2 * MINUTE)) == "asked to run again in 120 s"


@pytest.mark.parametrize(
    "later",
    [
        pytest.param(lambda: Snooze(30), id="seconds"),  # type: ignore[arg-type]  # which is the point
        pytest.param(lambda: Snooze(30, "busy"), id="seconds-and-a-reason"),  # type: ignore[arg-type]  # which is the point
        pytest.param(lambda: Snooze(None, "busy"), id="nothing"),  # type: ignore[arg-type]  # which is the point
        pytest.param(lambda: Snooze(timedelta.max, "busy"), id="longer-than-time"),
        pytest.param(lambda: Snooze(timedelta.min, "busy"), id="before-all-time"),
    ],
)
def test_invalid_snooze_affects_only_its_job(run: Run, held: RunningJob, later: Callable[[], Snooze]) -> None:
    """The tick can store the result of any argument of `Snooze`."""

    def run_greet(payload: Payload, context: Context) -> None:
        raise later()

    result = run(greeting(run_greet))

    assert held.job.finish(result, retention=RETENTION).error


def test_error_with_any_text_can_be_stored(run: Run, held: RunningJob) -> None:
    """Half of a surrogate pair, which no store can write, is replaced."""
    result = run(greeting(raising(ValueError("half: \ud83d"))))

    error = held.job.finish(result, retention=RETENTION).error
    assert error is not None
    assert error.encode().startswith(b"ValueError: half: ")


def test_error_that_cannot_be_printed_is_a_failure(run: Run) -> None:
    """The thread that ran the handler survives and reports it."""

    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    result = run(greeting(raising(Unspeakable())))

    assert result.error


def test_invalid_payload_is_invalid_input() -> None:
    """When a job is made it is ordinary bad input; in a run it is final."""
    assert issubclass(InvalidPayload, InvalidInput)
    assert issubclass(InvalidPayload, Cancel)


def test_unknown_job_type_is_a_failure_that_names_it(run: Run) -> None:
    """The error has the known types and where to add one; the next version of the code may know it."""
    result = run({"wave": Handler(job_type="wave", run=nothing)})

    assert result.error is not None
    assert "'greet'" in result.error
    assert "wave" in result.error
    assert "JOB_HANDLERS" in result.error
    assert not result.final


def test_payload_that_the_check_refuses_is_never_run(run: Run) -> None:
    """The check precedes every run, because a stored payload may be older than it."""
    calls: list[Payload] = []

    result = run(greeting(lambda payload, context: calls.append(payload), check=refuse_all))

    assert (result.error, result.final) == ("name: it must be text", True)
    assert calls == []


class Busy(Snooze):
    """An error of another class that means "later"."""

    delay: Any

    def __init__(self, delay: object) -> None:
        Exception.__init__(self, "busy")
        self.delay = delay


class Nasty(Snooze):
    """An object that raises another error whenever it is inspected."""

    def __init__(self) -> None:
        """Set nothing."""

    def __str__(self) -> str:
        raise SystemExit

    def __getattribute__(self, name: str) -> Any:
        if name == "delay":
            raise KeyError(name)
        return super().__getattribute__(name)


@pytest.mark.parametrize(
    "raised", [Busy(60), Busy("1h"), Busy(None), Nasty()], ids=["seconds", "text", "none", "nasty"]
)
def test_snooze_without_a_pause_is_a_failure(run: Run, raised: Snooze) -> None:
    """The error names what is missing, and the job is retried."""

    def handle(payload: Payload, context: Context) -> None:
        raise raised

    result = run(greeting(handle))

    assert (result.later, result.final) == (None, False)
    assert result.error is not None
    assert "needs a timedelta" in result.error


def test_long_error_text_is_cut(run: Run) -> None:
    """To the length that is stored."""

    def handle(payload: Payload, context: Context) -> None:
        raise RuntimeError("x" * 20_000_000)

    result = run(greeting(handle))

    assert result.error is not None
    assert len(result.error) < 1100
