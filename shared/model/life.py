"""The life of a job under its holders: claimed, renewed, given back, finished, retried, and on to what follows.

Each transition is a pure method that takes the time and returns a new job; stores and the tick have no rules of their
own.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Self

from shared.errors import InvalidInput
from shared.model.definition import Misfire
from shared.model.history import HandOver, Result, Run, RunOutcome
from shared.model.schedule import just_before
from shared.model.value import MAX_COUNT, JobValue, Status

MAX_ERROR_CHARACTERS = 1000
MAX_RECLAIMS = 5
FIRST_BACKOFF = timedelta(minutes=1)
LONGEST_BACKOFF = timedelta(hours=1)
SHORTEST_LATER = timedelta(seconds=1)
LONGEST_LATER = timedelta(days=366)
_DIED = "its holder died, or could not renew its lease"


class NotPossible(InvalidInput):
    """The job's present state does not allow the command; the message says why and what to do instead."""


class JobLife(JobValue):
    """A job that a holder can take."""

    def claim(
        self,
        *,
        now: datetime,
        token: str,
        lease: timedelta,
        retention: timedelta,
        payload: Mapping[str, Any] | None = None,
        queue: str | None = None,
    ) -> Self:
        """Return the due job as its new holder has it, or as it is without one if it cannot run.

        It runs with the given token until `now + lease`, except in two cases, which have no lease: after five dead
        holders the occurrence is given up, and a `skip` misfire moves on to the next future occurrence, or completes
        the job if there is none. With a `queue` it is held to be handed over to that queue. Raises NotPossible if it is
        not due.

        With a `payload` it is claimed at any time, in any status and under any holder, for work that sets the next time
        with `finish`; a renewal claims its subscription in this way. The result of the former holder will be refused.
        """
        if payload is not None:
            has_died = self.lease_until is not None and self.lease_until <= now
            held = (self._died(now) if has_died else self)._held(now, token, lease)
            return held.changed(payload=payload, attempts=0, reclaims=0, expire_at=None)
        if not self.is_due(now):
            raise NotPossible(f"job {self.id} is not due")
        if self.deaths > self.reclaims:
            return self.reclaim(now=now, token=token, lease=lease, retention=retention, queue=queue)
        caught_up = self._caught_up(now, retention) if self.is_subject_to_misfire else self
        return caught_up._held(now, token, lease, queue) if caught_up.is_due(now) else caught_up

    def reclaim(
        self, *, now: datetime, token: str, lease: timedelta, retention: timedelta, queue: str | None = None
    ) -> Self:
        """Claim the job again after its holder or its task was lost; the occurrence may then be given up."""
        died = self._died(now)
        if died.reclaims >= MAX_RECLAIMS:
            run = self._run(RunOutcome.FAILED, now, f"given up: {died.reclaims} holders died")
            # With its token, the last holder, which may only be slow, would take this for its own finish.
            return died.changed(lease_token=None)._over(run, retention)
        return died._held(now, token, lease, queue)

    def waits_for(self, token: str) -> bool:
        """Return whether the job still waits in its queue for a delivery with this token.

        The end of its lease does not matter: nobody runs it, and a tick that finds its task gone changes the token.
        """
        return self.handed_over is not None and self.ready_at is not None and self.lease_token == token

    def begin(self, *, now: datetime, token: str, lease: timedelta) -> Self:
        """Return the job that waited in its queue as started, with a new token for the process that runs it."""
        return self._held(now, token, lease)

    def _held(self, now: datetime, token: str, lease: timedelta, queue: str | None = None) -> Self:
        until = now + lease
        # A paused job that a person asked to run stays paused while it runs, and after.
        status = self.status if self.status is Status.PAUSED else Status.RUNNING
        held = self.changed(status=status, started_at=now, ready_at=until, lease_until=until, lease_token=token)
        if queue is None:
            return held.changed(handed_over=None)
        handed_over = HandOver(queue=queue, at=now, due_at=self.due_at or now, by=self.requested_by)
        return held.changed(started_at=None, handed_over=handed_over)

    def _died(self, now: datetime) -> Self:
        gone = "its task was lost before it began" if self.handed_over else _DIED
        return self.changed(
            reclaims=self.reclaims + 1, recent_runs=self._history(self._run(RunOutcome.DIED, now, gone))
        )

    def _run(self, outcome: RunOutcome, now: datetime, error: str) -> Run:
        return Run(schedule_at=self.schedule_at, outcome=outcome, started_at=self.started_at, ended_at=now, error=error)

    def _caught_up(self, now: datetime, retention: timedelta) -> Self:
        """Apply the misfire rule; the skipped occurrences become one entry of the history."""
        if self.misfire is Misfire.SKIP:
            if now - self.schedule_at <= self.grace:
                return self
            newest = self.schedule.after(now)
        else:
            newest = self.schedule.last_until(now)
            if newest is None or newest <= self.schedule_at:
                return self
        missed = self._missed(self.schedule_at, newest or now)
        return missed._ended(now, retention) if newest is None else missed.changed(schedule_at=newest, ready_at=newest)

    def _missed(self, first: datetime, until: datetime) -> Self:
        """Record the regular occurrences from `first` to the last one before `until` as missed."""
        last = max(first, self.schedule.last_until(just_before(until)) or first)
        return self.changed(recent_runs=self._history(Run(schedule_at=first, until=last, outcome=RunOutcome.MISSED)))

    def _ended(self, at: datetime, retention: timedelta) -> Self:
        """Complete the job, whose schedule has ended."""
        return self.changed(status=Status.COMPLETED, ready_at=None, regular_at=None, expire_at=at + retention)

    def renew(self, *, now: datetime, lease: timedelta) -> Self:
        """Extend the lease. A paused or cancelled job keeps no `ready_at`, so that nobody claims it."""
        until = now + lease
        return self.changed(lease_until=until, ready_at=None if self.ready_at is None else until)

    def give_back(self, *, now: datetime, due_at: datetime | None = None) -> Self:
        """End the lease and forget its holder; the same occurrence is ready for another at once.

        With `due_at`, the time when it was due before, it keeps its place in the order, and who asked for the run. An
        occurrence to which a misfire rule has moved it was due at its own time, and the rule applies to it again.
        """
        status = Status.PENDING if self.status is Status.RUNNING else self.status
        was_due_at = now if due_at is None else max(due_at, self.schedule_at)
        ready_at = None if self.ready_at is None else was_due_at
        return self.changed(status=status, ready_at=ready_at, lease_until=None, lease_token=None, handed_over=None)

    def finish(
        self,
        result: Result,
        *,
        retention: timedelta,
        payload: Mapping[str, Any] | None = None,
        at: datetime | None = None,
    ) -> Self:
        """Record the result of a run, even if the job was changed meanwhile.

        A success or a final failure ends the occurrence: a recurring job continues with the first regular occurrence
        that has not ended (even one already due), a one-shot job is completed or failed. Any other failure waits for
        its retry. A cancelled job stays cancelled, a paused one paused.

        A job that was claimed with a payload is finished with one: then it runs next at `at`, or never (None).
        """
        run = self._ran(result)
        if payload is not None:
            return self._moved(run, payload, at)
        if result.later is not None and self.status is not Status.CANCELLED:
            ready_at = result.ended_at + min(max(result.later, SHORTEST_LATER), LONGEST_LATER)
            return self._again(replace(run, outcome=RunOutcome.LATER), ready_at)
        if result.error is None:
            return self._over(run, retention).changed(completed_at=result.ended_at)
        failed = self.changed(attempts=self.attempts + 1)
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
            trace=result.trace and result.trace[:MAX_ERROR_CHARACTERS],
            output=result.output if result.error is None else None,
            by=result.by,
        )

    def backoff(self) -> timedelta:
        """Return the delay after this many failed attempts: 60 s doubling to 1 h, plus up to a quarter.

        The jitter is drawn from the execution key and the attempt, so the delay can be reproduced.
        """
        doubled: timedelta = min(FIRST_BACKOFF * 2 ** min(self.attempts - 1, 10), LONGEST_BACKOFF)
        seed = hashlib.sha256(f"{self.execution_key}#{self.attempts}".encode()).digest()
        return doubled * (1 + int.from_bytes(seed[:4]) / 2**32 / 4)

    def _moved(self, run: Run, payload: Mapping[str, Any], at: datetime | None) -> Self:
        """End a run that has set its next time; a time that is over means as soon as possible."""
        moved = self.changed(
            payload=payload,
            schedule_at=at or self.schedule_at,
            ready_at=None,
            lease_until=None,
            completed_at=run.ended_at if run.error is None else self.completed_at,
            error=run.error,
            recent_runs=self._history(run),
        )
        if self.status in (Status.PAUSED, Status.CANCELLED):
            return moved
        if at is None:
            return moved.changed(status=Status.COMPLETED)
        return moved.changed(status=Status.PENDING, ready_at=max(at, run.ended_at or at))

    def _again(self, run: Run, ready_at: datetime) -> Self:
        """Keep the occurrence and wait. The history stores the time, so that it survives a pause."""
        history = self._history(replace(run, until=ready_at))
        waiting = self.changed(lease_until=None, handed_over=None, error=run.error, recent_runs=history)
        if self.status is Status.PAUSED:
            return waiting.changed(ready_at=None)
        return waiting.changed(status=Status.PENDING, ready_at=ready_at)

    def _over(self, run: Run, retention: timedelta) -> Self:
        """End the occurrence."""
        has_failed = run.outcome is RunOutcome.FAILED
        over = self.changed(
            lease_until=None,
            handed_over=None,
            error=run.error,
            ready_at=None,
            recent_runs=self._history(run),
            failed_in_a_row=min(self.failed_in_a_row + 1, MAX_COUNT) if has_failed and self.is_recurring else 0,
        )
        if self.status is Status.CANCELLED:
            return over
        following = self._following()
        if following is not None:
            return over._waiting(following)
        if has_failed:
            return over.changed(status=Status.FAILED)
        return over._ended(run.ended_at or self.schedule_at, retention)

    def _waiting(self, following: datetime) -> Self:
        """Return the job waiting for what follows: paused if it was, or after too many failures in a row."""
        is_paused = self.status is Status.PAUSED or self.has_failed_too_often
        return self.changed(
            status=Status.PAUSED if is_paused else Status.PENDING,
            schedule_at=following,
            ready_at=None if is_paused else following,
            regular_at=None,
            attempts=0,
            reclaims=0,
        )

    def _following(self) -> datetime | None:
        """Return the next regular occurrence, or None for a one-shot job and at the end of a schedule."""
        if not self.is_recurring:
            return None
        # Missed occurrences have ended too, even those later than an extra one that waited long.
        missed = (run.until or run.schedule_at for run in self.recent_runs if run.is_missed)
        return self.regular_at or self.schedule.after(max((self.schedule_at, *missed)))
