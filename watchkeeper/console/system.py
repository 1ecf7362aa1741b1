"""What the console shows and reaches: the run on this machine, or what is deployed somewhere else."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.handlers import Handlers
from shared.jobs import Jobs
from watchkeeper.deploy.functions_table import SchedulerJob
from watchkeeper.fakes.services import Service


@dataclass(frozen=True, kw_only=True)
class Call:
    """What a function answered when it was called as Cloud Scheduler does.

    `body` is the JSON of the answer, or None. Without an answer `status` is None, and `failure` says why.
    """

    began_at: datetime
    duration: timedelta
    status: int | None
    body: Any = None
    failure: str = ""

    @property
    def has_succeeded(self) -> bool:
        """Say whether Cloud Scheduler would count it as a success."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, kw_only=True)
class System:
    """A system to look at, and with `is_read_only` false, to act on.

    `place` says in words where the jobs are kept. `functions` are addresses by name ("tick": "http://127.0.0.1:8081"),
    and `headers` let in there; where the functions are somewhere else both are empty. `schedules` are by the name of
    the function too. `last_call` gives what a scheduled function answered last, or None; `call` calls it now, as soon
    as no other call is out, and gives what it answered. `is_billed` says whether each look at the jobs costs.
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
    last_call: Callable[[str], Call | None]
    call: Callable[[str], Call]
    is_read_only: bool
    is_billed: bool = False
