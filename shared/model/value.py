"""What a job is: its fields, the rules that hold between them, and what it says about itself."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any, Self

from shared.model.definition import Definition, InvalidJob, Misfire
from shared.model.history import HandOver, Run
from shared.model.schedule import Schedule
from shared.model.times import iso

ID = r"[A-Za-z0-9][A-Za-z0-9._:@+'-]{0,199}"
JOB_TYPE = r"[A-Za-z0-9_.:-]{1,100}"
MAX_PAYLOAD_BYTES = 64 * 1024
MAX_DEPTH = 100  # a store that keeps all jobs in one JSON text cannot read it again when one is nested too deep
MAX_RECENT_RUNS = 10
MAX_COUNT = 10**6
_WRITE = json.JSONEncoder(allow_nan=False, ensure_ascii=False).encode
DEFAULT_GRACE = timedelta(minutes=10)
SCHEDULED_BY = frozenset(each.name for each in fields(Schedule))
LONGEST_GRACE_SECONDS = 366 * 24 * 60 * 60


class Status(StrEnum):
    """Where a job stands. A paused or cancelled job may still have a holder: see `Job.lease_until`."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True)
class JobValue:
    """One scheduled job. All times are aware UTC; an absent time is None.

    `schedule_at` names the occurrence. `ready_at` is the one indexed time: when the job waits, the time to run it;
    while it runs, the end of its lease; None when there is nothing to do. `regular_at` is set while a recurring job has
    an extra occurrence, which a person asked for: it is the regular one that follows. `failed_in_a_row` counts the
    occurrences given up since one succeeded, or since a person resumed the job. `lease_until` is set as long as a
    holder has not finished, in any status, and `lease_token` (the fence) outlives the finish, so that a holder whose
    finish was not confirmed can recognise it. `handed_over` is set while the job waits in a queue of Cloud Tasks: then
    the lease is held for the bearer of the token, and nobody runs the job yet.
    """

    id: str
    job_type: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    status: Status = Status.PENDING
    schedule_at: datetime
    ready_at: datetime | None = None
    regular_at: datetime | None = None
    starts_at: datetime | None = None
    cron: str | None = None
    every: str | None = None
    timezone: str | None = None
    until: datetime | None = None
    except_dates: tuple[date, ...] = ()
    misfire: Misfire = Misfire.COALESCE
    grace_seconds: int | None = None
    pause_after_failures: int | None = None
    failed_in_a_row: int = 0
    attempts: int = 0
    max_attempts: int = 3
    reclaims: int = 0
    lease_until: datetime | None = None
    lease_token: str | None = field(default=None, repr=False)
    handed_over: HandOver | None = None
    space: str | None = None
    created_at: datetime
    created_by: str | None = None
    updated_at: datetime | None = None
    updated_by: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    error: str | None = None
    recent_runs: tuple[Run, ...] = ()
    expire_at: datetime | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)  # fields that are not ours, kept as they are
    version: Any = field(default=None, repr=False, compare=False)

    def check(self) -> None:
        """Raise InvalidJob or InvalidSchedule unless every field is valid and the fields agree."""
        if not isinstance(self.job_type, str) or not re.fullmatch(JOB_TYPE, self.job_type, re.ASCII):
            raise self._invalid("job_type", self.job_type, "1 to 100 letters, digits or _ . : -")
        if not isinstance(self.id, str) or not re.fullmatch(ID, self.id, re.ASCII):
            raise InvalidJob(
                f"the id {self.id!r} is not allowed: 1 to 200 letters, digits or . _ : @ + - ', a letter or digit first"
            )
        self._check_payload()
        self._check_count("max_attempts", self.max_attempts, least=1, most=100)
        self._check_count("attempts", self.attempts)
        self._check_count("reclaims", self.reclaims)
        self._check_count("failed_in_a_row", self.failed_in_a_row)
        if self.pause_after_failures is not None:
            self._check_count("pause_after_failures", self.pause_after_failures, least=1, most=1000)
        if self.grace_seconds is not None:
            # With less, a tick a minute would skip every occurrence.
            self._check_count("grace_seconds", self.grace_seconds, least=60, most=LONGEST_GRACE_SECONDS)
        for name in ("space", "created_by", "updated_by"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, str) and len(value) <= 500):
                raise self._invalid(name, type(value).__name__, "text of at most 500 characters")
        self._check_schedule()
        if self.ready_at is None and self.status in (Status.PENDING, Status.RUNNING):
            raise self._invalid("ready_at", None, f"a time, since it is {self.status}; `jobs upgrade` sets it")
        if self.ready_at is not None and self.status not in (Status.PENDING, Status.RUNNING, Status.PAUSED):
            raise self._invalid("ready_at", iso(self.ready_at), f"absent, since it is {self.status}")

    def _check_schedule(self) -> None:
        if self.is_recurring:
            _ = self.schedule  # refuses what cannot be read
            return
        for name in ("regular_at", "starts_at", "until"):
            value = getattr(self, name)
            if value is not None:
                raise self._invalid(name, iso(value), "absent, since the job has neither cron nor every")
        if self.except_dates:
            raise self._invalid("except_dates", self.except_dates, "absent, since the job has neither cron nor every")

    def _check_payload(self) -> None:
        if not isinstance(self.payload, Mapping):
            raise self._invalid("payload", type(self.payload).__name__, "an object")
        for name, value in {**self.extra, "payload": self.payload}.items():
            if _is_deeper_than(MAX_DEPTH, value):
                raise self._invalid(name, "nested deeper", f"nested at most {MAX_DEPTH} levels deep")
        try:
            size = len(_WRITE(self.payload).encode())
        except (TypeError, ValueError, RecursionError) as exc:
            raise InvalidJob(f"job {self.id!r}: payload cannot be written as JSON ({exc})") from exc
        if size > MAX_PAYLOAD_BYTES:
            raise self._invalid("payload", f"{size} bytes", f"at most {MAX_PAYLOAD_BYTES} bytes of JSON")

    def _check_count(self, name: str, value: Any, least: int = 0, most: int = MAX_COUNT) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self._invalid(name, value, f"a whole number from {least} to {most}")

    def _invalid(self, name: str, value: Any, expected: str) -> InvalidJob:
        return InvalidJob(f"job {self.id!r}: {name} is {str(value)[:100]!r}; it must be {expected}")

    @property
    def execution_key(self) -> str:
        """Return the idempotency key: the name of this occurrence, the same in every attempt at it."""
        return f"{self.id}@{iso(self.schedule_at)}"

    @property
    def deaths(self) -> int:
        """Return how many holders died in this occurrence, the present one included when the job is found due.

        Waiting in a queue is not death.
        """
        is_held = self.lease_until is not None or self.status is Status.RUNNING
        return self.reclaims + (is_held and self.handed_over is None)

    @property
    def requested_by(self) -> str:
        """Return who made the job ready at this time: a person's name, or "schedule"."""
        if self.handed_over is not None:
            return self.handed_over.by
        return self.updated_by or "unknown" if self.ready_at == self.updated_at else "schedule"

    @property
    def queue(self) -> str | None:
        """Return the name of the queue that the job waits in, or None."""
        return None if self.handed_over is None else self.handed_over.queue

    @property
    def due_at(self) -> datetime | None:
        """Return when the job was to run; while it waits in a queue, `ready_at` is the end of its lease."""
        return self.ready_at if self.handed_over is None else self.handed_over.due_at

    @property
    def is_subject_to_misfire(self) -> bool:
        """Return whether the misfire rule applies: to a regular occurrence that has not been tried yet."""
        is_untried = self.deaths == self.attempts == 0 and self.ready_at == self.schedule_at
        is_asked_for = self.regular_at is not None or self.ready_at == self.updated_at
        return self.is_recurring and is_untried and not is_asked_for

    @property
    def has_paused_itself(self) -> bool:
        """Return whether it is paused and has failed too often in a row."""
        return self.status is Status.PAUSED and self.has_failed_too_often

    @property
    def has_failed_too_often(self) -> bool:
        """Return whether it must pause, because so many occurrences in a row were given up."""
        return self.pause_after_failures is not None and self.failed_in_a_row >= self.pause_after_failures

    def is_due(self, now: datetime) -> bool:
        """Return whether it may be claimed: to run, or because its holder's lease has ended."""
        return self.ready_at is not None and self.ready_at <= now

    def log_context(self) -> dict[str, Any]:
        """Return the fields of every log line about this job."""
        return {
            "job_id": self.id,
            "job_type": self.job_type,
            "execution_key": self.execution_key,
            "attempt": self.attempts + 1,
        }

    @property
    def definition(self) -> Definition:
        """Return what was scheduled; `at` is the start of a recurring job, if it has one."""
        misfire = self.misfire if self.is_recurring else Misfire.COALESCE
        return Definition(
            job_type=self.job_type,
            payload=self.payload,
            at=self.starts_at if self.is_recurring else self.schedule_at,
            cron=self.cron,
            every=self.every,
            timezone=self.timezone or "UTC",
            until=self.until,
            except_dates=self.except_dates,
            misfire=misfire,
            grace=self.grace if self.grace_seconds is not None and misfire is Misfire.SKIP else None,
            pause_after_failures=self.pause_after_failures,
            max_attempts=self.max_attempts,
            space=self.space,
        )

    @property
    def is_recurring(self) -> bool:
        """Return whether it runs again and again."""
        return self.cron is not None or self.every is not None

    @cached_property
    def schedule(self) -> Schedule:
        """Return when a recurring job runs. Raises InvalidSchedule for a one-shot job."""
        return Schedule(
            cron=self.cron,
            every=self.every,
            timezone=self.timezone or "UTC",
            starts_at=self.starts_at,
            until=self.until,
            except_dates=self.except_dates,
        )

    @property
    def grace(self) -> timedelta:
        """Return how late an occurrence may begin where misfires are skipped."""
        return DEFAULT_GRACE if self.grace_seconds is None else timedelta(seconds=self.grace_seconds)

    def changed(self, **values: Any) -> Self:
        """Return the job with other values in these fields: as `replace` does, in a fifth of the time."""
        if not values.keys() <= self.__dataclass_fields__.keys():
            raise TypeError(f"a job has no {', '.join(values.keys() - self.__dataclass_fields__.keys())}")
        changed = object.__new__(type(self))
        changed.__dict__.update(self.__dict__, **values)
        if values.keys() & SCHEDULED_BY:
            changed.__dict__.pop("schedule", None)
        return changed

    def _history(self, run: Run) -> tuple[Run, ...]:
        return (*self.recent_runs, run)[-MAX_RECENT_RUNS:]


def _is_deeper_than(most: int, value: Any) -> bool:
    """Return whether lists and objects are nested more than `most` levels deep; found without recursion."""
    level = [value]
    for _ in range(most + 1):
        if not level:  # nearly always after a few levels, and each document that is read comes here
            return False
        inner: list[Any] = []
        for outer in level:
            # The plain kinds first: to ask whether a value is a Mapping takes ten times as long.
            if isinstance(outer, str | int | float | None):
                continue
            if isinstance(outer, dict | Mapping):
                inner.extend(outer.values())
            elif isinstance(outer, list | tuple):
                inner.extend(outer)
        level = inner
    return bool(level)
