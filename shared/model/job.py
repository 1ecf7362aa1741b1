"""The job: a frozen value with every rule about it.

Each transition is a pure method that takes the time and returns a new `Job`; no store, handler or command knows a
rule of its own, so none can disagree. A `Job` carries the version of the stored document that it was read from;
a store writes a new value only where that version still stands.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from shared.errors import InvalidInput
from shared.model.recurrence import InvalidSchedule, Recurrence

ID = r"[A-Za-z0-9][A-Za-z0-9._:@+'-]{0,199}"
JOB_TYPE = r"[A-Za-z0-9_.:-]{1,100}"
MAX_PAYLOAD_BYTES = 64 * 1024
MAX_DEPTH = 100  # a store that keeps all jobs in one JSON text cannot read it again when one is nested too deep
MAX_ERROR_CHARACTERS = 1000
MAX_RECENT_RUNS = 10
MAX_RECLAIMS = 5
FIRST_BACKOFF = timedelta(minutes=1)
LONGEST_BACKOFF = timedelta(hours=1)
SHORTEST_LATER = timedelta(seconds=1)
LONGEST_LATER = timedelta(days=366)
SKIP_TOLERANCE = timedelta(minutes=10)


class InvalidJob(InvalidInput):
    """A job, or a stored document of one, that breaks a rule; the message names the field and the remedy."""


class NotPossible(InvalidInput):
    """The job's present state does not allow the command; the message says why and what to do instead."""


class Status(StrEnum):
    """Where a job stands. A paused or cancelled job may still have a holder: see `Job.lease_until`."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Misfire(StrEnum):
    """What becomes of occurrences that nobody ran in time: run the newest only, or none that is too late."""

    COALESCE = "coalesce"
    SKIP = "skip"


class RunOutcome(StrEnum):
    """What became of an occurrence, or of one attempt at it."""

    COMPLETED = "completed"
    FAILED = "failed"  # given up
    RETRIED = "retried"  # failed, and will be tried again
    LATER = "later"  # its handler asked for another time
    DIED = "died"  # its holder vanished
    MISSED = "missed"  # nobody ran it in time, and it was left out


PUT_OFF = (RunOutcome.RETRIED, RunOutcome.LATER)
UNENDED = (*PUT_OFF, RunOutcome.DIED)  # the occurrence is still to end


@dataclass(frozen=True, kw_only=True)
class Run:
    """One entry of a job's history. `schedule_at` names the occurrence.

    `until` is the last occurrence of those that were missed, or the time to which another try was put off.
    """

    schedule_at: datetime
    outcome: RunOutcome
    started_at: datetime | None = None
    ended_at: datetime | None = None
    until: datetime | None = None
    error: str | None = None
    by: str | None = None


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a holder reports of its run: success has no `error`; `final` and `later` say what is to follow a failure."""

    started_at: datetime
    ended_at: datetime
    by: str
    error: str | None = None
    final: bool = False
    later: timedelta | None = None


def parse_misfire(value: str) -> Misfire:
    """Read a misfire rule; raise InvalidJob, naming the rules there are."""
    try:
        return Misfire(value)
    except ValueError:
        raise InvalidJob(f"misfire is {str(value)[:100]!r}; it must be one of {', '.join(Misfire)}") from None


def iso(moment: datetime) -> str:
    """Write an aware time as ISO 8601 in UTC, e.g. `2026-11-21T09:00:00Z`."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, kw_only=True)
class Job:
    """One scheduled job. All times are aware UTC; an absent time is None.

    `schedule_at` names the occurrence. `ready_at` is the one indexed time: when the job waits, the time to run it;
    while it runs, the end of its lease; None when there is nothing to do. `regular_at` is set while a recurring job
    has an extra occurrence, which a person asked for: it is the regular one that follows. `lease_until` is set as
    long as a holder has not finished, whatever the status, and `lease_token` (the fence) outlives the finish, so that
    a holder that did not hear of its own finish can recognise it.
    """

    id: str
    job_type: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    status: Status = Status.PENDING
    schedule_at: datetime
    ready_at: datetime | None = None
    regular_at: datetime | None = None
    cron: str | None = None
    timezone: str | None = None
    misfire: Misfire = Misfire.COALESCE
    attempts: int = 0
    max_attempts: int = 3
    reclaims: int = 0
    lease_until: datetime | None = None
    lease_token: str | None = field(default=None, repr=False)
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

    # -- making one ------------------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        job_id: str,
        job_type: str,
        *,
        now: datetime,
        payload: Mapping[str, Any] | None = None,
        at: datetime | None = None,
        cron: str | None = None,
        timezone: str = "UTC",
        misfire: Misfire | str = Misfire.COALESCE,
        max_attempts: int = 3,
        space: str | None = None,
        by: str | None = None,
    ) -> Self:
        """Make a job that runs at `at` (default: now), or on `cron` in `timezone` from `at` (default: now) on.

        Raises InvalidJob or InvalidSchedule (both InvalidInput), naming what is wrong.
        """
        start = at or now
        if start.tzinfo is None:
            raise InvalidJob(f"job {job_id!r}: the time {start} has no time zone; give one, e.g. with +00:00 or Z")
        start = start.astimezone(UTC)
        first = Recurrence(cron, timezone).after(start - timedelta(microseconds=1)) if cron is not None else start
        job = cls(
            id=job_id,
            job_type=job_type,
            payload={} if payload is None else payload,
            schedule_at=first,
            ready_at=first,
            cron=cron,
            timezone=timezone if cron is not None else None,
            misfire=parse_misfire(misfire),
            max_attempts=max_attempts,
            space=space,
            created_at=now,
            created_by=by,
        )
        job.check()
        return job

    def check(self) -> None:
        """Raise InvalidJob or InvalidSchedule unless every field keeps its rule and the fields agree."""
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
        for name in ("space", "created_by", "updated_by"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, str) and len(value) <= 500):
                raise self._invalid(name, type(value).__name__, "text of at most 500 characters")
        if self.cron is not None:
            self._recurrence()
        elif self.regular_at is not None:
            raise self._invalid("regular_at", iso(self.regular_at), "absent, since it has no cron expression")
        if self.ready_at is None and self.status in (Status.PENDING, Status.RUNNING):
            raise self._invalid("ready_at", None, f"a time, since it is {self.status}; `jobs upgrade` sets it")
        if self.ready_at is not None and self.status not in (Status.PENDING, Status.RUNNING, Status.PAUSED):
            raise self._invalid("ready_at", iso(self.ready_at), f"absent, since it is {self.status}")

    def _check_payload(self) -> None:
        if not isinstance(self.payload, Mapping):
            raise self._invalid("payload", type(self.payload).__name__, "an object")
        for name, value in {**self.extra, "payload": self.payload}.items():
            if _is_deeper_than(MAX_DEPTH, value):
                raise self._invalid(name, "nested deeper", f"nested at most {MAX_DEPTH} levels deep")
        try:
            size = len(json.dumps(self.payload, allow_nan=False, ensure_ascii=False).encode())
        except (TypeError, ValueError, RecursionError) as exc:
            raise InvalidJob(f"job {self.id!r}: payload holds what JSON cannot say ({exc})") from exc
        if size > MAX_PAYLOAD_BYTES:
            raise self._invalid("payload", f"{size} bytes", f"at most {MAX_PAYLOAD_BYTES} bytes of JSON")

    def _check_count(self, name: str, value: Any, least: int = 0, most: int = 10**6) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self._invalid(name, value, f"a whole number from {least} to {most}")

    def _invalid(self, name: str, value: Any, expected: str) -> InvalidJob:
        return InvalidJob(f"job {self.id!r}: {name} is {str(value)[:100]!r}; it must be {expected}")

    # -- what it says of itself ------------------------------------------------------------------------------------

    @property
    def execution_key(self) -> str:
        """Name this occurrence, the same in every attempt at it: the idempotency key for the world outside."""
        return f"{self.id}@{iso(self.schedule_at)}"

    @property
    def deaths(self) -> int:
        """Count the holders that died in this occurrence, the present one included when the job is found due."""
        return self.reclaims + (self.lease_until is not None or self.status is Status.RUNNING)

    @property
    def requested_by(self) -> str:
        """Name who made the job ready at this time: a person's name, or "schedule"."""
        return self.updated_by or "unknown" if self.ready_at == self.updated_at else "schedule"

    @property
    def is_subject_to_misfire(self) -> bool:
        """Return whether the misfire rule applies: to a regular occurrence of which nothing has been tried yet."""
        is_untried = self.deaths == self.attempts == 0 and self.ready_at == self.schedule_at
        return self.cron is not None and self.regular_at is None and is_untried

    def is_due(self, now: datetime) -> bool:
        """Say whether it may be claimed: to run, or because its holder let the lease end."""
        return self.ready_at is not None and self.ready_at <= now

    def log_context(self) -> dict[str, Any]:
        """Give the fields of every log line about this job."""
        return {
            "job_id": self.id,
            "job_type": self.job_type,
            "execution_key": self.execution_key,
            "attempt": self.attempts + 1,
        }

    def _recurrence(self) -> Recurrence:
        if self.cron is None:
            raise InvalidSchedule(f"job {self.id!r} has no cron expression")
        return Recurrence(self.cron, self.timezone or "UTC")

    # -- what its holder does --------------------------------------------------------------------------------------

    def claim(self, *, now: datetime, token: str, lease: timedelta, retention: timedelta) -> Self:
        """Take the due job for a holder, or say what else becomes of it.

        The result runs with the given token until `now + lease`, except in two cases, which have no lease: after
        five dead holders the occurrence is given up, and a `skip` misfire moves on to the next future occurrence.
        Raises NotPossible when it is not due.
        """
        if not self.is_due(now):
            raise NotPossible(f"job {self.id} is not due")
        if self.deaths > self.reclaims:
            died = self._died(now)
            if died.reclaims >= MAX_RECLAIMS:
                return died._over(
                    self._run(RunOutcome.FAILED, now, f"given up: {died.reclaims} holders died"), retention
                )
            return died._held(now, token, lease)
        caught_up = self._caught_up(now) if self.is_subject_to_misfire else self
        return caught_up._held(now, token, lease) if caught_up.is_due(now) else caught_up

    def _held(self, now: datetime, token: str, lease: timedelta) -> Self:
        until = now + lease
        # A paused job that a person asked to run stays paused while it runs, and after.
        status = self.status if self.status is Status.PAUSED else Status.RUNNING
        return replace(self, status=status, started_at=now, ready_at=until, lease_until=until, lease_token=token)

    def _died(self, now: datetime) -> Self:
        lost = self._run(RunOutcome.DIED, now, "its holder died, or could not renew its lease")
        return replace(self, reclaims=self.reclaims + 1, recent_runs=self._history(lost))

    def _run(self, outcome: RunOutcome, now: datetime, error: str) -> Run:
        return Run(schedule_at=self.schedule_at, outcome=outcome, started_at=self.started_at, ended_at=now, error=error)

    def _caught_up(self, now: datetime) -> Self:
        """Apply the misfire rule; what is left out becomes one entry of the history."""
        recurrence = self._recurrence()
        if self.misfire is Misfire.SKIP:
            if now - self.schedule_at <= SKIP_TOLERANCE:
                return self
            newest = recurrence.after(now)
        else:
            newest = recurrence.last_until(now)
            if newest <= self.schedule_at:
                return self
        return replace(self._missed(self.schedule_at, newest), schedule_at=newest, ready_at=newest)

    def _missed(self, first: datetime, until: datetime) -> Self:
        """Note the regular occurrences from `first` to the last one before `until` as left out."""
        last = max(first, self._recurrence().last_until(until - timedelta(microseconds=1)))
        return replace(self, recent_runs=self._history(Run(schedule_at=first, until=last, outcome=RunOutcome.MISSED)))

    def renew(self, *, now: datetime, lease: timedelta) -> Self:
        """Extend the lease. A paused or cancelled job keeps no `ready_at`: nobody is to take it up."""
        until = now + lease
        return replace(self, lease_until=until, ready_at=None if self.ready_at is None else until)

    def give_back(self, *, now: datetime) -> Self:
        """End the lease and forget its holder; the same occurrence is ready for another at once."""
        status = Status.PENDING if self.status is Status.RUNNING else self.status
        ready_at = None if self.ready_at is None else now
        return replace(self, status=status, ready_at=ready_at, lease_until=None, lease_token=None)

    def finish(self, result: Result, *, retention: timedelta) -> Self:
        """Record what a run came to, whatever was asked of the job meanwhile.

        A success or a final failure ends the occurrence: a recurring job goes on to the first regular occurrence
        that has not ended (even one already due), a one-shot job is completed or failed. Another failure waits for
        its retry.
        A cancelled job stays cancelled, a paused one paused.
        """
        run = self._ran(result)
        if result.later is not None and self.status is not Status.CANCELLED:
            ready_at = result.ended_at + min(max(result.later, SHORTEST_LATER), LONGEST_LATER)
            return self._again(replace(run, outcome=RunOutcome.LATER), ready_at)
        if result.error is None:
            return replace(self._over(run, retention), completed_at=result.ended_at)
        failed = replace(self, attempts=self.attempts + 1)
        if result.final or failed.attempts >= self.max_attempts or self.status is Status.CANCELLED:
            return failed._over(run, retention)
        return failed._again(replace(run, outcome=RunOutcome.RETRIED), result.ended_at + failed.backoff())

    def _ran(self, result: Result) -> Run:
        return Run(
            schedule_at=self.schedule_at,
            outcome=RunOutcome.COMPLETED if result.error is None else RunOutcome.FAILED,
            started_at=result.started_at,
            ended_at=result.ended_at,
            error=result.error and result.error[:MAX_ERROR_CHARACTERS],
            by=result.by,
        )

    def backoff(self) -> timedelta:
        """Give the pause after the latest of `attempts` failures: 60 s doubling to 1 h, plus up to a quarter.

        The jitter is drawn from the execution key and the attempt, so a job's future can be reproduced.
        """
        doubled: timedelta = min(FIRST_BACKOFF * 2 ** min(self.attempts - 1, 10), LONGEST_BACKOFF)
        seed = hashlib.sha256(f"{self.execution_key}#{self.attempts}".encode()).digest()
        return doubled * (1 + int.from_bytes(seed[:4]) / 2**32 / 4)

    def take(self, *, now: datetime, token: str, lease: timedelta, payload: Mapping[str, Any]) -> Self:
        """Take the job whatever its time, its status and its holder, for work that sets its next time by `settle`.

        So a renewal takes its subscription. Another holder's result will be refused. A paused job stays paused.
        """
        has_died = self.lease_until is not None and self.lease_until <= now
        held = (self._died(now) if has_died else self)._held(now, token, lease)
        return replace(held, payload=payload, attempts=0, reclaims=0, expire_at=None)

    def settle(self, result: Result, *, payload: Mapping[str, Any], at: datetime | None) -> Self:
        """Record what the work begun by `take` came to; the job runs at `at`, or as soon as it can, or never (None).

        What a person asked for meanwhile stands: a cancelled job stays cancelled, a paused one paused.
        """
        run = self._ran(result)
        settled = replace(
            self,
            payload=payload,
            schedule_at=at or self.schedule_at,
            ready_at=None,
            lease_until=None,
            completed_at=run.ended_at if run.error is None else self.completed_at,
            error=run.error,
            recent_runs=self._history(run),
        )
        if self.status in (Status.PAUSED, Status.CANCELLED):
            return settled
        if at is None:
            return replace(settled, status=Status.COMPLETED)
        return replace(settled, status=Status.PENDING, ready_at=max(at, result.ended_at))

    def _again(self, run: Run, ready_at: datetime) -> Self:
        """Keep the occurrence and wait. History holds the time, so that it outlives a pause."""
        history = self._history(replace(run, until=ready_at))
        waiting = replace(self, lease_until=None, error=run.error, recent_runs=history)
        if self.status is Status.PAUSED:
            return replace(waiting, ready_at=None)
        return replace(waiting, status=Status.PENDING, ready_at=ready_at)

    def _over(self, run: Run, retention: timedelta) -> Self:
        """End the occurrence."""
        over = replace(self, lease_until=None, error=run.error, ready_at=None, recent_runs=self._history(run))
        if self.status is Status.CANCELLED:
            return over
        following = self._following()
        if following is not None:
            over = replace(over, schedule_at=following, regular_at=None, attempts=0, reclaims=0)
            return over if self.status is Status.PAUSED else replace(over, status=Status.PENDING, ready_at=following)
        if run.outcome is RunOutcome.FAILED:
            return replace(over, status=Status.FAILED)
        return replace(over, status=Status.COMPLETED, expire_at=run.ended_at and run.ended_at + retention)

    def _following(self) -> datetime | None:
        """Return the regular occurrence that is next, or None: for a one-shot job, and at the end of year 9999."""
        try:
            return None if self.cron is None else self.regular_at or self._recurrence().after(self.schedule_at)
        except InvalidSchedule:
            return None

    def _history(self, run: Run) -> tuple[Run, ...]:
        return (*self.recent_runs, run)[-MAX_RECENT_RUNS:]

    # -- what people ask for ---------------------------------------------------------------------------------------

    def pause(self, *, now: datetime, by: str | None = None) -> Self:
        """Keep it from running until it is resumed. A run under way goes on, and its outcome is recorded."""
        self._refuse_unless(Status.PENDING, Status.RUNNING, to="pause")
        return self._asked(now, by, status=Status.PAUSED, ready_at=None)

    def resume(self, *, now: datetime, by: str | None = None) -> Self:
        """Let a paused job run again; one that still has a holder goes on under that holder's lease."""
        self._refuse_unless(Status.PAUSED, to="resume")
        if self.lease_until is not None:
            return self._asked(now, by, status=Status.RUNNING, ready_at=self.lease_until)
        last = self.recent_runs[-1] if self.recent_runs else None
        put_off = last is not None and last.outcome in PUT_OFF and last.schedule_at == self.schedule_at
        ready_at = last.until if last is not None and put_off else None
        return self._asked(now, by, status=Status.PENDING, ready_at=ready_at or self.schedule_at)

    def cancel(self, *, now: datetime, retention: timedelta, by: str | None = None) -> Self:
        """End the job for good. A run under way goes on; history will say so."""
        self._refuse_unless(Status.PENDING, Status.RUNNING, Status.PAUSED, Status.FAILED, to="cancel")
        return self._asked(now, by, status=Status.CANCELLED, ready_at=None, expire_at=now + retention)

    def run(self, *, now: datetime, by: str | None = None) -> Self:
        """Make it ready now: the same occurrence when it waits for another try, else an extra one.

        The extra occurrence of a recurring job has a key of its own; the regular one is kept, even if it is overdue.
        A one-shot job has one occurrence, which moves to now. A paused job stays paused.
        """
        self._refuse_while_held(now, "run")
        self._refuse_if_cancelled("run")
        if self.is_due(now) and self.ready_at == self.updated_at:
            return self  # asked for already: a second click is no second run
        status = self.status if self.status is Status.PAUSED else Status.PENDING
        is_waiting = self.status in (Status.PENDING, Status.PAUSED)
        if is_waiting and (self.regular_at is not None or self._waits_for_another_try()):
            return self._asked(now, by, status=status, ready_at=now)
        return self._asked(
            now,
            by,
            status=status,
            schedule_at=self._unused_time(now),
            ready_at=now,
            regular_at=None if self.cron is None else self.schedule_at,
            attempts=0,
            reclaims=0,
            expire_at=None,
        )

    def _unused_time(self, now: datetime) -> datetime:
        """Return `now`, or microseconds later, so that no other occurrence has the same time, and thus the same key."""
        used = {self.schedule_at, *(run.schedule_at for run in self.recent_runs)}
        while now in used or (self.cron is not None and self._recurrence().last_until(now) == now):
            now += timedelta(microseconds=1)
        return now

    def retry(self, *, now: datetime, by: str | None = None) -> Self:
        """Try the failed occurrence again now, with its attempts counted from zero and the same execution key."""
        self._refuse_while_held(now, "retry")
        self._refuse_if_cancelled("retry")
        if self.status is not Status.FAILED and not (self.status is Status.PENDING and self._waits_for_another_try()):
            raise NotPossible(f"job {self.id} is {self.status} and has no failure to retry; `run` runs it now")
        return self._asked(now, by, status=Status.PENDING, ready_at=now, attempts=0, reclaims=0)

    def release(self, *, now: datetime, by: str | None = None) -> Self:
        """End the lease at once: the holder's result will be refused, and the occurrence is ready for another."""
        if self.lease_until is None and self.status is not Status.RUNNING:
            raise NotPossible(f"job {self.id} is {self.status} and has no lease to release")
        released = self._run(RunOutcome.DIED, now, "its lease was released")
        freed = replace(self.give_back(now=now), recent_runs=self._history(replace(released, by=by)))
        return freed._asked(now, by)

    def refuse_delete(self, *, now: datetime) -> None:
        """Raise NotPossible while a holder is at work: its id must not be free for a second one."""
        self._refuse_while_held(now, "delete")

    def edit(
        self,
        *,
        now: datetime,
        by: str | None = None,
        payload: Mapping[str, Any] | None = None,
        at: datetime | None = None,
        cron: str | None = None,
        timezone: str | None = None,
        misfire: Misfire | str | None = None,
        max_attempts: int | None = None,
        job_type: str | None = None,
        space: str | None = None,
    ) -> Self:
        """Change what is given and keep the rest, the history included.

        A new `at` or `cron` starts a new occurrence and wakes a finished job; `at` alone makes a recurring job
        a one-shot. While it runs, only what concerns later occurrences can change. An extra occurrence that waits is
        kept as long as the job recurs.
        """
        cron_kept = _given(cron, self.cron if at is None else None)
        as_new = type(self).create(
            self.id,
            _given(job_type, self.job_type),
            now=now,
            payload=_given(payload, self.payload),
            at=_given(at, self.schedule_at if cron_kept is None else None),
            cron=cron_kept,
            timezone=_given(timezone, self.timezone or "UTC"),
            misfire=_given(misfire, self.misfire),
            max_attempts=_given(max_attempts, self.max_attempts),
            space=_given(space, self.space),
        )
        names = ("job_type", "payload", "cron", "timezone", "misfire", "max_attempts", "space")
        edited = self._asked(now, by, **{name: getattr(as_new, name) for name in names})
        if at is None and cron is None and as_new.timezone == self.timezone:
            return edited
        is_held = self.lease_until is not None or self.status is Status.RUNNING
        if is_held and (as_new.cron is None or self.status is Status.CANCELLED):
            raise NotPossible(f"{self._held_since()}; its time can be changed when that run has ended")
        first, ended = as_new.schedule_at, self._last_ended()
        if as_new.cron is not None and ended is not None and first <= ended:
            first = as_new._recurrence().after(ended)  # by a clock that is behind
        regular = self.regular_at or (self.schedule_at if self.status is Status.PENDING else None)
        if self.cron is not None and regular is not None and regular <= now:
            edited = replace(edited, recent_runs=self._missed(regular, now).recent_runs)
        if self.regular_at is not None and as_new.cron is not None:
            return replace(edited, regular_at=first)
        if is_held:
            return edited
        paused = self.status is Status.PAUSED
        return replace(
            edited,
            status=Status.PAUSED if paused else Status.PENDING,
            schedule_at=first,
            ready_at=None if paused else first,
            regular_at=None,
            attempts=0,
            reclaims=0,
            expire_at=None,
        )

    def _last_ended(self) -> datetime | None:
        """Return the latest regular occurrence that history knows to be over."""
        over = (RunOutcome.COMPLETED, RunOutcome.FAILED, RunOutcome.MISSED)
        ends = [run.until or run.schedule_at for run in self.recent_runs if run.outcome in over]
        return max((end for end in ends if end <= (self.regular_at or self.schedule_at)), default=None)

    def _asked(self, now: datetime, by: str | None, **changes: Any) -> Self:
        return replace(self, updated_at=now, updated_by=by, **changes)

    def _waits_for_another_try(self) -> bool:
        if self.attempts > 0 or (self.ready_at is not None and self.ready_at != self.schedule_at):
            return True
        # A paused job has no `ready_at` to tell by.
        last = self.recent_runs[-1] if self.recent_runs else None
        return last is not None and last.schedule_at == self.schedule_at and last.outcome in UNENDED

    def _refuse_unless(self, *allowed: Status, to: str) -> None:
        if self.status not in allowed:
            raise NotPossible(f"job {self.id} is {self.status}; to {to} it, it must be {' or '.join(allowed)}")

    def _refuse_if_cancelled(self, command: str) -> None:
        if self.status is Status.CANCELLED:
            raise NotPossible(f"job {self.id} is cancelled; to {command} it, give it a new time with `edit`")

    def _refuse_while_held(self, now: datetime, command: str) -> None:
        if self.lease_until is None and self.status is not Status.RUNNING:
            return
        if self.lease_until is not None and self.lease_until > now:
            raise NotPossible(f"{self._held_since()}; wait for it, or end its lease with `release`, to {command} it")
        if command != "delete":
            follows = "the next tick takes it up again" if self.ready_at else f"`release` it to {command} it"
            raise NotPossible(f"{self._held_since()} and its holder died; {follows}")

    def _held_since(self) -> str:
        since = iso(self.started_at) if self.started_at else "an unknown time"
        return f"job {self.id} has been running since {since}"


def _is_deeper_than(most: int, value: Any) -> bool:
    """Return whether lists and objects are nested more than `most` levels deep; found without recursion."""
    level = [value]
    for _ in range(most + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, Mapping | list | tuple)
            for inner in (outer.values() if isinstance(outer, Mapping) else outer)
        ]
    return bool(level)


def _given(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value
