"""What a handler gets: its context and its limit; and the checks of a payload."""

import logging
import threading
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from datetime import datetime, timedelta

import pytest

from shared.handlers import (
    DEFAULT_TIMEOUT,
    Context,
    Handler,
    InvalidPayload,
    Payload,
    check_payload,
    load_handlers,
)
from shared.running.running_job import RunningJob
from shared.running.workers import time_limit
from tests.support.handled import MINUTE, JobFactory, Run, greeting, nothing, refuse_all


def test_handler_gets_the_facts_of_its_run(run: Run, held: RunningJob, now: datetime) -> None:
    """It gets the stored payload and the facts of this attempt."""
    told: list[tuple[Payload, Context]] = []
    held.job = replace(held.job, attempts=2, timezone="Europe/Berlin")

    run(greeting(lambda payload, context: told.append((payload, context))))

    ((payload, context),) = told
    assert payload == {"message": "hello"}
    assert (context.job_id, context.job_type, context.attempt) == ("job", "greet", 3)
    assert (context.schedule_at, context.started_at, context.deadline) == (now, now, now + MINUTE)
    assert context.execution_key == "job@2026-11-21T09:00:00Z"
    assert (context.space, context.created_by, context.timezone) == ("spaces/A", "ada", "Europe/Berlin")


def test_handler_is_not_asked_to_stop_at_first(context: Context) -> None:
    """It may run to its deadline."""
    assert not context.stop.is_set()
    assert context.stop_reason is None


def test_first_reason_to_stop_is_kept(context: Context) -> None:
    """Later reasons change nothing."""
    context.ask_to_stop("cancelled")
    context.ask_to_stop("time limit")

    assert context.stop.is_set()
    assert context.stop_reason == "cancelled"


def test_waiting_handler_wakes_with_the_reason(context: Context) -> None:
    """A handler that waits on `stop` in its thread can read the reason at once."""
    reasons: list[str | None] = []

    def wait() -> None:
        context.stop.wait(1)
        reasons.append(context.stop_reason)

    thread = threading.Thread(target=wait)
    thread.start()
    context.ask_to_stop("lease lost")
    thread.join()

    assert reasons == ["lease lost"]


def test_contexts_are_independent(context: Context) -> None:
    """Stopping one run stops no other."""
    another = Context(
        job_id="another",
        job_type="log",
        execution_key="another@2026-11-21T09:00:00Z",
        attempt=1,
        schedule_at=context.schedule_at,
        started_at=context.started_at,
        deadline=context.deadline,
    )

    context.ask_to_stop("paused")

    assert not another.stop.is_set()
    assert another.stop_reason is None


def test_handler_cannot_change_its_context(context: Context) -> None:
    """The deadline is the tick's."""
    with pytest.raises(FrozenInstanceError):
        context.deadline = context.deadline + MINUTE  # type: ignore[misc]  # which is the point


@pytest.mark.parametrize(
    ("timeout_of", "limit"),
    [
        pytest.param(None, MINUTE, id="fixed"),
        pytest.param(lambda payload: timedelta(seconds=payload["seconds"]), timedelta(seconds=5), id="asked-for"),
        pytest.param(lambda payload: 2 * MINUTE, MINUTE, id="at-most-the-fixed-one"),
        pytest.param(lambda payload: payload["minutes"], MINUTE, id="payload-makes-no-sense"),
        pytest.param(lambda payload: payload["seconds"], MINUTE, id="limit-makes-no-sense"),
    ],
)
def test_payload_can_ask_for_less_time(timeout_of: Callable[[Payload], timedelta] | None, limit: timedelta) -> None:
    """Never for more; an invalid one gets the whole time, and the run refuses it."""
    greet = Handler(job_type="greet", run=nothing, timeout=MINUTE, timeout_of=timeout_of)

    assert greet.limit({"seconds": 5}) == limit


def test_unknown_job_type_has_the_default_limit(job_factory: JobFactory) -> None:
    """It takes no time anyway."""
    assert time_limit({}, job_factory(job_type="greet"), 2 * DEFAULT_TIMEOUT) == DEFAULT_TIMEOUT


def test_handler_checks_the_payload() -> None:
    """It is refused when the job is made."""
    with pytest.raises(InvalidPayload, match="name: it must be text"):
        check_payload(greeting(nothing, check=refuse_all), "greet", {})


@pytest.mark.parametrize("job_type", ["greet", "wave"], ids=["no-check", "unknown-type"])
def test_any_payload_is_accepted_without_a_check(job_type: str) -> None:
    """A job may be made before its handler is deployed."""
    check_payload(greeting(nothing), job_type, {"anything": 1})


@pytest.mark.parametrize("message", ["hello", "100 % sure, %s and %d", "two\nlines", '{"json": "too"}'])
def test_log_job_writes_its_message(context: Context, caplog: pytest.LogCaptureFixture, message: str) -> None:
    """The message arrives as it is, with the job's id beside it."""
    caplog.set_level(logging.INFO, "watchkeeper")

    load_handlers(())["log"].run({"message": message}, context)

    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == ("INFO", message)
    assert vars(record)["fields"]["job_id"] == "job"


@pytest.mark.parametrize("payload", [{}, {"message": ""}, {"message": None}, {"message": 5}, {"message": ["hello"]}])
def test_log_job_without_a_message_is_refused(context: Context, payload: Payload) -> None:
    """Both the check and the run say what is missing."""
    log = load_handlers(())["log"]
    assert log.check is not None

    with pytest.raises(InvalidPayload, match="message"):
        log.check(payload)
    with pytest.raises(InvalidPayload, match="message"):
        log.run(payload, context)
