"""A stand-in for Cloud Scheduler: calls one function on its schedule, as the real one would.

What the real one promises is kept: one call at a time, the same headers, an attempt deadline. It makes no second
attempt, like a Scheduler job whose retry count is 0.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from http.client import HTTPConnection, HTTPException

from local.functions_table import SchedulerJob
from shared.job import iso

log = logging.getLogger("watchkeeper.scheduler")

# While a laptop sleeps, its clock goes on and the timers stand still: so look at the clock now and then.
LONGEST_WAIT = timedelta(seconds=10)


class CloudScheduler:
    """One Scheduler job at work.

    `address` is the `host:port` of the function, and `headers` go with every call. `clock` gives aware times;
    `wait(seconds)` waits that long and says whether to stop.
    """

    def __init__(
        self,
        job: SchedulerJob,
        address: str,
        *,
        headers: Mapping[str, str],
        clock: Callable[[], datetime],
        wait: Callable[[float], bool],
    ) -> None:
        self._job = job
        self._address = address
        self._headers = headers
        self._clock = clock
        self._wait = wait
        self._call_is_out = threading.Lock()

    def run(self) -> None:
        """Call on schedule until `wait` says to stop.

        The occurrence that comes while a call is out waits for its end; further ones are dropped.
        """
        scheduled = self._job.recurrence.after(self._clock())
        while not self._wait_until(scheduled):
            began = self._call({"X-CloudScheduler-ScheduleTime": iso(scheduled)})
            scheduled = self._job.recurrence.after(began)

    def run_now(self) -> None:
        """Call once, beside the schedule, when no other call is out. Such a call has no schedule time."""
        self._call({})

    def _wait_until(self, moment: datetime) -> bool:
        while (left := moment - self._clock()) > timedelta():
            if self._wait(min(left, LONGEST_WAIT).total_seconds()):
                return True
        return self._wait(0)

    def _call(self, headers: Mapping[str, str]) -> datetime:
        """Make one attempt and tell when it began; a failure goes to the log."""
        with self._call_is_out:
            began = self._clock()
            failure = self._attempt(headers)
        if failure:
            log.warning("Cloud Scheduler's call of %s failed: %s", self._job.name, failure)
        return began

    def _attempt(self, headers: Mapping[str, str]) -> str | None:
        """POST to the function, and say why it failed, if it did."""
        deadline = self._job.attempt_deadline.total_seconds()
        connection = HTTPConnection(self._address, timeout=deadline)
        try:
            connection.request("POST", "/", body=b"", headers={**self._own_headers(), **headers})
            status = connection.getresponse().status
        except TimeoutError:
            return f"no answer within the attempt deadline of {deadline:g} s; the function may still be at work"
        except (OSError, HTTPException) as exc:
            return f"{type(exc).__name__}: {exc}"
        finally:
            connection.close()
        return None if 200 <= status < 300 else f"HTTP {status}"

    def _own_headers(self) -> dict[str, str]:
        return {
            "Content-Type": "application/octet-stream",
            **self._headers,
            "User-Agent": "Google-Cloud-Scheduler",
            "X-CloudScheduler": "true",
            "X-CloudScheduler-JobName": self._job.name,
        }
