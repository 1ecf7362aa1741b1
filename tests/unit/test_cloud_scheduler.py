"""The stand-in for Cloud Scheduler, against a real HTTP server and a clock that is cranked by hand."""

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from local.cloud_scheduler import LONGEST_WAIT, CloudScheduler
from local.functions_table import SchedulerJob
from shared.recurrence import Recurrence

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
PATIENCE = 10  # seconds for what another thread is to do


class Clock:
    """A clock that moves only when somebody waits; at `end` it is time to stop."""

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
    """A function on a real server: it notes time and headers of each call, and answers with the status of `work()`."""

    address: str = ""
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

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            function.began.append(clock.now)
            function.calls.append(dict(self.headers))
            self.send_response(function.work())
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        function.address = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield function
        server.shutdown()
        thread.join()


def make_scheduler(
    function: Function, clock: Clock, cron: str = "* * * * *", *, timezone: str = "UTC", deadline: float = PATIENCE
) -> CloudScheduler:
    job = SchedulerJob(
        name="watchkeeper-tick",
        recurrence=Recurrence(cron, timezone),
        attempt_deadline=timedelta(seconds=deadline),
    )
    headers = {"Authorization": "Bearer s3cret"}
    return CloudScheduler(job, function.address, headers=headers, clock=clock, wait=clock.wait)


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
    """What a function sees of a scheduled call is what Cloud Scheduler sends: an empty body and these headers."""
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


def test_an_occurrence_waits_for_the_call_that_is_out_and_further_ones_are_dropped(
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
    """A manual run is made at once, names no schedule time, and takes no occurrence away."""
    clock.end = NOON + timedelta(seconds=61)
    scheduler = make_scheduler(function, clock)

    scheduler.run_now()
    scheduler.run()

    assert function.schedule_times() == [None, "2026-11-21T12:01:00Z"]


def test_two_calls_are_never_out_at_once(function: Function, clock: Clock) -> None:
    """A manual run waits for the end of the call that is out."""
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


def test_an_attempt_is_given_up_at_its_deadline(
    function: Function, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A function that does not answer is not waited for; the log says so, and the schedule goes on."""
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
def test_whatever_is_not_2xx_is_a_failure_and_is_not_tried_again(
    function: Function, clock: Clock, caplog: pytest.LogCaptureFixture, status: HTTPStatus, warnings: list[str]
) -> None:
    """A failed call is told to the log; the next try is the next occurrence."""
    function.work = lambda: status
    clock.end = NOON + timedelta(seconds=119)

    make_scheduler(function, clock).run()

    assert len(function.calls) == 1
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == warnings


def test_a_function_that_is_not_there_does_not_end_the_schedule(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """While a function is being started again its calls fail, and the schedule goes on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    clock.end = NOON + timedelta(seconds=121)

    make_scheduler(Function(address=f"127.0.0.1:{port}"), clock).run()

    assert ["ConnectionRefusedError" in record.getMessage() for record in caplog.records] == [True, True]


def test_the_clock_is_looked_at_now_and_then(function: Function, clock: Clock) -> None:
    """No wait is long: after a laptop's sleep, in which timers stand still, a call is hardly late."""
    make_scheduler(function, clock, "0 9 * * *").run()

    assert function.schedule_times() == ["2026-11-22T09:00:00Z"]
    assert max(clock.waits) == LONGEST_WAIT.total_seconds()
