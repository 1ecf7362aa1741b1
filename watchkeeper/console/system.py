"""The system that the console shows and controls: the run on this machine, or a deployment elsewhere."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from shared.handlers import Handlers
from shared.jobs import Jobs
from shared.settings import DEFAULT_PREFIX
from watchkeeper.deploy.functions_table import SchedulerJob
from watchkeeper.fakes.services import Service


@dataclass(frozen=True, kw_only=True)
class FunctionCall:
    """The response of a function that was called as Cloud Scheduler does.

    `body` is the JSON of the response, or None. Without a response `status` is None, and `failure` has the reason.
    """

    began_at: datetime
    duration: timedelta
    status: int | None
    body: Any = None
    failure: str = ""

    @property
    def has_succeeded(self) -> bool:
        """Return whether Cloud Scheduler would count it as a success."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, kw_only=True)
class System:
    """A system to show and, unless `is_read_only`, to control.

    `place` is where the jobs are stored, in words. `functions` are addresses by name ("tick": "http://127.0.0.1:8081"),
    and `headers` authenticate a call; both are empty if the functions are elsewhere. `schedules` are by function name
    too. `last_call` returns the last response of a scheduled function, or None; `call` calls it, after any other call
    has finished, and returns the response. `is_billed` means that each refresh costs money.
    What jobs log is in `log_file`, or in Cloud Logging of `project`, by functions with this `prefix`.
    """

    jobs: Jobs
    handlers: Handlers
    clock: Callable[[], datetime]
    timezone: str
    place: str
    functions: Mapping[str, str]
    headers: Mapping[str, str]
    schedules: Mapping[str, SchedulerJob]
    services: Sequence[Service]
    last_call: Callable[[str], FunctionCall | None]
    call: Callable[[str], FunctionCall]
    is_read_only: bool
    is_billed: bool = False
    log_file: Path | None = None
    project: str = ""
    prefix: str = DEFAULT_PREFIX
