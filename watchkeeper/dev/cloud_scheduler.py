"""A fake of Cloud Scheduler: calls one function on its schedule, as the real one would.

It keeps the promises of the real one: one call at a time, the same headers, an attempt deadline, and after a failure
retries as the Scheduler job says.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from http.client import HTTPConnection, HTTPException

from shared.model.times import iso
from watchkeeper.console.system import FunctionCall
from watchkeeper.deploy.functions_table import RetryPolicy, SchedulerJob

log = logging.getLogger("watchkeeper.scheduler")

# While a laptop sleeps, timers stop and its clock does not, so the wait checks the clock now and then.
LONGEST_WAIT = timedelta(seconds=10)


class CloudScheduler:
    """Runs one Scheduler job; `last_call` is its last call.

    `address` is the `host:port` of the function, and `headers` go with every call, which `until_ready` may hold back.
    `clock` gives aware times; `wait(seconds)` waits that long and says whether to stop.
    """

    def __init__(
        self,
        job: SchedulerJob,
        address: str,
        *,
        headers: Mapping[str, str],
        clock: Callable[[], datetime],
        wait: Callable[[float], bool],
        monotonic: Callable[[], float] = time.monotonic,
        until_ready: Callable[[], object] = lambda: None,
    ) -> None:
        self.last_call: FunctionCall | None = None
        self._job = job
        self._monotonic = monotonic
        self._address = address
        self._headers = headers
        self._clock = clock
        self._wait = wait
        self._until_ready = until_ready
        self._open_call = threading.Lock()

    def run(self) -> None:
        """Call on schedule until `wait` says to stop.

        An occurrence during an open call waits for its end; further ones are dropped.
        """
        scheduled = self._job.recurrence.after(self._clock())
        while not self._wait_until(scheduled):
            last = self._call_with_retries({"X-CloudScheduler-ScheduleTime": iso(scheduled)})
            scheduled = self._job.recurrence.after(last.began_at)

    def run_now(self) -> FunctionCall:
        """Call once, outside the schedule, when no other call is open. Such a call has no schedule time."""
        return self._call({})

    def run_beside(self) -> FunctionCall:
        """Call at once, even while another call is open, since that one may find new work only ten seconds later."""
        return self._noted_attempt({})

    def _wait_until(self, moment: datetime) -> bool:
        while (left := moment - self._clock()) > timedelta():
            if self._wait(min(left, LONGEST_WAIT).total_seconds()):
                return True
        return self._wait(0)

    def _call_with_retries(self, headers: Mapping[str, str]) -> FunctionCall:
        """Call until that succeeds or there is no retry left, and return the last call."""
        call = self._call(headers)
        for pause in _pauses(self._job.retry):
            if call.has_succeeded or self._wait(pause.total_seconds()):
                break
            call = self._call(headers)
        return call

    def _call(self, headers: Mapping[str, str]) -> FunctionCall:
        """Make one attempt when no other call is open."""
        with self._open_call:
            return self._noted_attempt(headers)

    def _noted_attempt(self, headers: Mapping[str, str]) -> FunctionCall:
        """Make one attempt; a failure goes to the log."""
        self._until_ready()
        call = self.last_call = self._attempt(headers)
        if not call.has_succeeded:
            log.warning(
                "Cloud Scheduler's call of %s failed: %s", self._job.name, call.failure or f"HTTP {call.status}"
            )
        return call

    def _attempt(self, headers: Mapping[str, str]) -> FunctionCall:
        began, body, status, failure = self._clock(), None, None, ""
        began_at = self._monotonic()  # the wall clock may be put forward or back during a call
        deadline = self._job.attempt_deadline.total_seconds()
        connection = HTTPConnection(self._address, timeout=deadline)
        try:
            connection.request("POST", "/", body=b"", headers={**self._own_headers(), **headers})
            response = connection.getresponse()
            with suppress(ValueError):
                body = json.loads(response.read())
            status = response.status
        except TimeoutError:
            failure = f"no answer within the attempt deadline of {deadline:g} s; the function may still be running"
        except ConnectionRefusedError:
            failure = f"connection refused by {self._address}; the function may still be starting"
        except (OSError, HTTPException) as exc:
            failure = f"{type(exc).__name__}: {exc}"
        finally:
            connection.close()
        duration = timedelta(seconds=self._monotonic() - began_at)
        return FunctionCall(began_at=began, duration=duration, status=status, body=body, failure=failure)

    def _own_headers(self) -> dict[str, str]:
        return {
            "Content-Type": "application/octet-stream",
            **self._headers,
            "User-Agent": "Google-Cloud-Scheduler",
            "X-CloudScheduler": "true",
            "X-CloudScheduler-JobName": self._job.name,
        }


def _pauses(retry: RetryPolicy) -> Iterator[timedelta]:
    """Return the pause before each retry. Their count decides; a limit of their duration is ignored."""
    for number in range(retry.count):
        yield min(retry.min_backoff * 2 ** min(number, retry.max_doublings), retry.max_backoff)
