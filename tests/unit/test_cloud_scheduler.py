"""The fake of Cloud Scheduler, against a real HTTP server and a clock that is turned by hand."""

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import pytest

from shared.model.recurrence import Recurrence
from tests.support.servers import Exchange, HttpServer, reply
from watchkeeper.console.system import FunctionCall
from watchkeeper.deploy.functions_table import RetryPolicy, SchedulerJob
from watchkeeper.dev.cloud_scheduler import LONGEST_WAIT, CloudScheduler

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
PATIENCE = 10  # seconds for what another thread is to do


class Clock:
    """A clock that moves only during a wait; at `end` the fake has to stop."""

    def __init__(self) -> None:
        self.now = NOON
        self.end = NOON + timedelta(days=1)
        self.waits: list[float] = []

    def __call__(self) -> datetime:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now = min(self.now + timedelta(seconds=seconds), self.end)
        return self.now == self.end


@dataclass
class Function:
    """A function on a real server: it records time and headers of each call and answers with the status of `work()`."""

    address: str = ""
    body: bytes = b""
    began: list[datetime] = field(default_factory=list)
    calls: list[dict[str, str]] = field(default_factory=list)
    work: Callable[[], int] = lambda: HTTPStatus.OK

    def schedule_times(self) -> list[str | None]:
        return [headers.get("X-CloudScheduler-ScheduleTime") for headers in self.calls]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def function(clock: Clock) -> Iterator[Function]:
    function = Function()

    def answer(exchange: Exchange) -> None:
        function.began.append(clock.now)
        function.calls.append(dict(exchange.request.headers.items()))
        reply(function.work(), function.body)(exchange)

    with HttpServer({"/": answer}) as server:
        function.address = server.address
        yield function


def make_scheduler(
    function: Function,
    clock: Clock,
    cron: str = "* * * * *",
    *,
    timezone: str = "UTC",
    deadline: float = PATIENCE,
    retry: RetryPolicy = RetryPolicy(),  # noqa: B008  # it is frozen
    until_ready: Callable[[], object] = lambda: None,
) -> CloudScheduler:
    job = SchedulerJob(
        name="watchkeeper-tick",
        recurrence=Recurrence(cron, timezone),
        attempt_deadline=timedelta(seconds=deadline),
        retry=retry,
    )
    headers = {"Authorization": "Bearer s3cret"}
    return CloudScheduler(
        job,
        function.address,
        headers=headers,
        clock=clock,
        wait=clock.wait,
        monotonic=lambda: clock.now.timestamp(),
        until_ready=until_ready,
    )


@pytest.mark.parametrize(
    ("cron", "timezone", "expected"),
    [
        pytest.param("*/7 * * * *", "UTC", ["2026-11-21T12:07:00Z", "2026-11-21T12:14:00Z"], id="every-seven-minutes"),
        pytest.param("15 13 * * *", "Europe/Berlin", ["2026-11-21T12:15:00Z"], id="local-time"),
        pytest.param("0 11 * * *", "UTC", [], id="not-today"),
    ],
)
def test_calls_come_on_schedule(
    function: Function, clock: Clock, cron: str, timezone: str, expected: list[str]
) -> None:
    """Each occurrence in the job's time zone is one call, made when it comes, that names it."""
    clock.end = NOON + timedelta(minutes=20)

    make_scheduler(function, clock, cron, timezone=timezone).run()

    assert function.schedule_times() == expected
    assert function.began == [datetime.fromisoformat(moment) for moment in expected]


def test_a_call_has_the_headers_of_cloud_scheduler(function: Function, clock: Clock) -> None:
    """An empty body and these headers."""
    clock.end = NOON + timedelta(seconds=61)

    make_scheduler(function, clock).run()

    assert function.calls == [
        {
            "Host": function.address,
            "Accept-Encoding": "identity",
            "Content-Length": "0",
            "Content-Type": "application/octet-stream",
            "Authorization": "Bearer s3cret",
            "User-Agent": "Google-Cloud-Scheduler",
            "X-CloudScheduler": "true",
            "X-CloudScheduler-JobName": "watchkeeper-tick",
            "X-CloudScheduler-ScheduleTime": "2026-11-21T12:01:00Z",
        }
    ]


def test_an_occurrence_waits_for_the_running_call_and_further_ones_are_dropped(
    function: Function, clock: Clock
) -> None:
    """A first call from 12:01 to 12:04:30 delays that of 12:02; those of 12:03 and 12:04 never come."""

    def work() -> int:
        if len(function.calls) == 1:
            clock.now += timedelta(minutes=3, seconds=30)
        return HTTPStatus.OK

    function.work = work
    clock.end = NOON + timedelta(minutes=5, seconds=30)

    make_scheduler(function, clock).run()

    assert function.schedule_times() == ["2026-11-21T12:01:00Z", "2026-11-21T12:02:00Z", "2026-11-21T12:05:00Z"]
    assert [moment - NOON for moment in function.began] == [timedelta(minutes=minutes) for minutes in (1, 4.5, 5)]


def test_a_manual_run_comes_beside_the_schedule(function: Function, clock: Clock) -> None:
    """A manual run starts at once, has no schedule time, and replaces no occurrence."""
    clock.end = NOON + timedelta(seconds=61)
    scheduler = make_scheduler(function, clock)

    scheduler.run_now()
    scheduler.run()

    assert function.schedule_times() == [None, "2026-11-21T12:01:00Z"]


def test_two_calls_never_run_at_once(function: Function, clock: Clock) -> None:
    """A manual run waits for the end of the open call."""
    is_called, may_answer = threading.Event(), threading.Event()

    def work() -> int:
        is_called.set()
        may_answer.wait(PATIENCE)
        return HTTPStatus.OK

    function.work = work
    scheduler = make_scheduler(function, clock)
    first, second = threading.Thread(target=scheduler.run_now), threading.Thread(target=scheduler.run_now)

    first.start()
    is_called.wait(PATIENCE)
    second.start()
    second.join(0.1)  # time enough for a call that does not wait
    calls_meanwhile = len(function.calls)
    may_answer.set()
    first.join()
    second.join()

    assert calls_meanwhile == 1
    assert len(function.calls) == 2


def test_a_call_beside_does_not_wait_for_one_that_is_out(function: Function, clock: Clock) -> None:
    """A requested run is not delayed by a tick that runs for minutes."""
    is_out, may_end = threading.Event(), threading.Event()

    def work() -> int:
        if len(function.calls) == 1:
            is_out.set()
            may_end.wait(PATIENCE)
        return HTTPStatus.OK

    function.work = work
    scheduler = make_scheduler(function, clock)
    first = threading.Thread(target=scheduler.run_now)
    first.start()
    assert is_out.wait(PATIENCE)

    beside = scheduler.run_beside()
    is_first_out = first.is_alive()
    may_end.set()
    first.join()

    assert (beside.has_succeeded, is_first_out) == (True, True)
    assert function.schedule_times() == [None, None]


def test_an_attempt_is_given_up_at_its_deadline(
    function: Function, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A function that does not answer is abandoned; the log says so, and the schedule continues."""
    may_answer = threading.Event()

    def work() -> int:
        may_answer.wait(PATIENCE)
        return HTTPStatus.OK

    function.work = work
    clock.end = NOON + timedelta(seconds=121)

    make_scheduler(function, clock, deadline=0.05).run()
    may_answer.set()

    assert function.schedule_times() == ["2026-11-21T12:01:00Z", "2026-11-21T12:02:00Z"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "watchkeeper-tick failed: no answer within the attempt deadline of 0.05 s" in caplog.text


@pytest.mark.parametrize(
    ("status", "warnings"),
    [
        pytest.param(HTTPStatus.OK, [], id="ok"),
        pytest.param(HTTPStatus.NO_CONTENT, [], id="no-content"),
        pytest.param(HTTPStatus.FOUND, ["HTTP 302"], id="redirect"),
        pytest.param(HTTPStatus.SERVICE_UNAVAILABLE, ["HTTP 503"], id="unavailable"),
    ],
)
def test_any_status_but_2xx_is_a_failure_and_not_retried_by_default(
    function: Function, clock: Clock, caplog: pytest.LogCaptureFixture, status: HTTPStatus, warnings: list[str]
) -> None:
    """A failed call is logged; the next try is the next occurrence."""
    function.work = lambda: status
    clock.end = NOON + timedelta(seconds=119)

    make_scheduler(function, clock).run()

    assert len(function.calls) == 1
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == warnings


def test_an_unreachable_function_does_not_end_the_schedule(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """During a restart of the function its calls fail, and the schedule continues."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    clock.end = NOON + timedelta(seconds=121)

    make_scheduler(Function(address=f"127.0.0.1:{port}"), clock).run()

    failure = f"connection refused by 127.0.0.1:{port}; the function may still be starting"
    assert [record.getMessage().partition(" failed: ")[2] for record in caplog.records] == [failure, failure]


@pytest.mark.parametrize(
    ("failures", "minutes"),
    [
        pytest.param(0, [], id="none"),
        pytest.param(2, [1, 3], id="until-it-succeeds"),
        pytest.param(9, [1, 3, 6, 9], id="until-the-retries-are-used-up"),
    ],
)
def test_a_failed_call_is_retried_as_the_job_says(
    function: Function, clock: Clock, failures: int, minutes: list[int]
) -> None:
    """The pause doubles up to its limit, and the retries are of the same occurrence."""

    def work() -> int:
        return HTTPStatus.OK if len(function.calls) > failures else HTTPStatus.INTERNAL_SERVER_ERROR

    function.work = work
    retry = RetryPolicy(count=4, min_backoff=timedelta(minutes=1), max_backoff=timedelta(minutes=3), max_doublings=5)

    make_scheduler(function, clock, "0 18 * * *", retry=retry).run()

    due = NOON + timedelta(hours=6)
    assert function.began == [due, *(due + timedelta(minutes=after) for after in minutes)]
    assert set(function.schedule_times()) == {"2026-11-21T18:00:00Z"}


def test_the_end_does_not_wait_for_a_retry(function: Function, clock: Clock) -> None:
    """After the stop a failed call is not repeated."""
    function.work = lambda: HTTPStatus.INTERNAL_SERVER_ERROR
    clock.end = NOON + timedelta(seconds=90)

    make_scheduler(function, clock, retry=RetryPolicy(count=5, min_backoff=timedelta(hours=1))).run()

    assert len(function.calls) == 1


def test_a_call_waits_until_the_function_is_ready(function: Function, clock: Clock) -> None:
    """During a reload of the function its call waits."""

    def until_ready() -> None:
        clock.now += timedelta(seconds=2)

    scheduler = make_scheduler(function, clock, until_ready=until_ready)

    scheduler.run_now()

    assert function.began == [NOON + timedelta(seconds=2)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b'{"status": "success"}', {"status": "success"}, id="json"),
        pytest.param(b"<html>", None, id="something-else"),
    ],
)
def test_the_last_call_is_kept_with_its_answer(
    function: Function, clock: Clock, body: bytes, expected: dict[str, str] | None
) -> None:
    """The caller gets it, and it can be read later: its time, its length and its result."""

    def work() -> int:
        clock.now += timedelta(seconds=3)
        return HTTPStatus.SERVICE_UNAVAILABLE

    function.work, function.body = work, body
    scheduler = make_scheduler(function, clock)
    before = scheduler.last_call

    call = scheduler.run_now()

    assert before is None
    assert (
        scheduler.last_call
        == call
        == FunctionCall(
            began_at=NOON, duration=timedelta(seconds=3), status=HTTPStatus.SERVICE_UNAVAILABLE, body=expected
        )
    )
    assert not call.has_succeeded


def test_a_call_without_an_answer_says_why(clock: Clock) -> None:
    """It has no status, but a reason."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    call = make_scheduler(Function(address=f"127.0.0.1:{port}"), clock).run_now()

    assert (call.status, call.body, call.has_succeeded) == (None, None, False)
    assert call.failure.startswith("connection refused")


def test_a_long_wait_checks_the_clock(function: Function, clock: Clock) -> None:
    """No wait is long: after a laptop's sleep, in which timers stand still, a call is hardly late."""
    make_scheduler(function, clock, "0 9 * * *").run()

    assert function.schedule_times() == ["2026-11-22T09:00:00Z"]
    assert max(clock.waits) == LONGEST_WAIT.total_seconds()
