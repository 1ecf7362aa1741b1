"""The job: a frozen value with every rule about it.

`value` says what a job is, `life` what its holders do with it, and this module what people ask of it. Every rule is a
pure method that takes the time and returns a new `Job`; stores, handlers and commands have no rules of their own, so
they cannot disagree. A `Job` carries the version of the stored document that it was read from; a store writes a new
value only if that version is still current.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Self

from shared.model.definition import Definition, InvalidJob, Misfire
from shared.model.history import OVER, PUT_OFF, UNENDED, RunOutcome
from shared.model.life import JobLife, NotPossible
from shared.model.recurrence import InvalidSchedule
from shared.model.schedule import just_before
from shared.model.times import iso
from shared.model.value import Status


class Job(JobLife):
    """One scheduled job; see `JobValue` for its fields."""

    @classmethod
    def create(cls, job_id: str, job_type: str, *, now: datetime, by: str | None = None, **given: Any) -> Self:
        """Return a new job; `given` are the fields of its `Definition`.

        Raises InvalidJob or InvalidSchedule (both InvalidInput), naming what is wrong.
        """
        return cls.of(job_id, Definition(job_type=job_type, **given), now=now, by=by)

    @classmethod
    def of(cls, job_id: str, definition: Definition, *, now: datetime, by: str | None = None) -> Self:
        """Return a new job of that definition. Raises InvalidJob or InvalidSchedule, naming what is wrong."""
        first = definition.first(now)
        job = cls(id=job_id, schedule_at=first, ready_at=first, created_at=now, created_by=by, **definition.fields(now))
        job.check()
        return job

    def pause(self, *, now: datetime, by: str | None = None) -> Self:
        """Pause the job until it is resumed. A run in progress continues, and its outcome is recorded."""
        self._refuse_unless(Status.PENDING, Status.RUNNING, to="pause")
        return self._taken_back(now)._asked(now, by, status=Status.PAUSED, ready_at=None)

    def resume(self, *, now: datetime, retention: timedelta, by: str | None = None, catch_up: bool = False) -> Self:
        """Resume a paused job; if it still has a holder, it continues under that holder's lease.

        A recurring job continues with its next future occurrence, or with `catch_up` with the newest one that fell due.
        The occurrences that fell due during the pause and are skipped become one entry of the history. An occurrence
        that was begun, and an extra one, are kept. A job whose schedule has ended meanwhile is completed.
        """
        self._refuse_unless(Status.PAUSED, to="resume")
        if self.failed_in_a_row:
            return replace(self, failed_in_a_row=0).resume(now=now, retention=retention, by=by, catch_up=catch_up)
        if self.lease_until is not None:
            return self._asked(now, by, status=Status.RUNNING, ready_at=self.lease_until)
        is_begun = self.regular_at is None and self._waits_for_another_try()
        moved = self._without_missed(now, catch_up) if self.is_recurring and not is_begun else self
        if moved is None:
            missed = self._missed(self.regular_at or self.schedule_at, now)
            if self.regular_at is not None:  # the extra occurrence is the last
                return missed._asked(now, by, status=Status.PENDING, ready_at=now, regular_at=None)
            return missed._ended(now, retention)._asked(now, by)
        last = self.recent_runs[-1] if self.recent_runs else None
        put_off = last is not None and last.outcome in PUT_OFF and last.schedule_at == moved.schedule_at
        ready_at = last.until if last is not None and put_off else None
        if catch_up and moved.schedule_at <= now:
            ready_at = now  # not its own time, so that no misfire rule skips it
        return moved._asked(now, by, status=Status.PENDING, ready_at=ready_at or moved.schedule_at)

    def _without_missed(self, now: datetime, catch_up: bool) -> Self | None:
        """Skip the regular occurrences that fell due until now; with `catch_up` keep the newest one.

        Return None if the schedule has ended.
        """
        regular = self.regular_at or self.schedule_at
        if regular > now:
            return self
        following = (self.schedule.last_until(now) or regular) if catch_up else self.schedule.after(now)
        if following is None:
            return None
        moved = self if following <= regular else self._missed(regular, following)
        following = max(following, regular)
        if self.regular_at is not None:
            return replace(moved, regular_at=following)
        return replace(moved, schedule_at=following)

    def cancel(self, *, now: datetime, retention: timedelta, by: str | None = None) -> Self:
        """End the job for good. A run in progress continues, and the history records it."""
        self._refuse_unless(Status.PENDING, Status.RUNNING, Status.PAUSED, Status.FAILED, to="cancel")
        cancelled = {"status": Status.CANCELLED, "ready_at": None, "expire_at": now + retention}
        return self._taken_back(now)._asked(now, by, **cancelled)

    def restore(self, *, now: datetime, by: str | None = None) -> Self:
        """Bring a cancelled job back at its next time, in the schedule that it had."""
        if self.status is not Status.CANCELLED:
            raise NotPossible(f"job {self.id} is {self.status}, not cancelled")
        has_run = any(run.schedule_at == self.schedule_at and run.outcome in OVER for run in self.recent_runs)
        moment = max(now, self.schedule_at) if has_run else now  # a clock may be behind
        following = self.schedule.after(moment) if self.is_recurring else self.schedule_at
        if following is None or following <= now:
            raise NotPossible(f"the time of job {self.id} has passed; give it a new time")
        return self._rescheduled(self._asked(now, by), following, now)

    def _taken_back(self, now: datetime) -> Self:
        """Take the job out of its queue, if it waits in one; its task will find nothing to do."""
        return self if self.handed_over is None else self.give_back(now=now)

    def run(self, *, now: datetime, by: str | None = None) -> Self:
        """Make the job due now: the same occurrence if it waits for another attempt, otherwise an extra one.

        The extra occurrence of a recurring job has a key of its own; the regular one is kept, even if it is overdue. A
        one-shot job has one occurrence, which moves to now. A paused job stays paused.
        """
        self._refuse_while_held(now, "run")
        self._refuse_if_cancelled("run")
        if self.is_due(now) and self.ready_at == self.updated_at:
            return self  # already asked for: a second click must not cause a second run
        status = self.status if self.status is Status.PAUSED else Status.PENDING
        is_waiting = self.status in (Status.PENDING, Status.PAUSED)
        if is_waiting and (self.regular_at is not None or self._waits_for_another_try()):
            return self._asked(now, by, status=status, ready_at=now)
        # After the end of a schedule there is no regular occurrence to keep. If the clock is behind, an extra one at
        # `now` would lie before some that have ended, and the job would continue with those.
        has_ended = self.is_recurring and not self._is_alive()
        return self._asked(
            now,
            by,
            status=status,
            schedule_at=self._unused_time(max(now, self.schedule_at) if has_ended else now),
            ready_at=now,
            regular_at=self.schedule_at if self.is_recurring and not has_ended else None,
            attempts=0,
            reclaims=0,
            expire_at=None,
        )

    def _unused_time(self, now: datetime) -> datetime:
        """Return `now`, or microseconds later, so that no other occurrence has the same time, and thus the same key."""
        used = {self.schedule_at, *(run.schedule_at for run in self.recent_runs)}
        while now in used or (self.is_recurring and self.schedule.includes(now)):
            now += timedelta(microseconds=1)
        return now

    def retry(self, *, now: datetime, by: str | None = None) -> Self:
        """Retry the failed occurrence now, with its attempts counted from zero and the same execution key."""
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
        """Raise NotPossible while a holder runs the job: its id must not be free for a second one."""
        self._taken_back(now)._refuse_while_held(now, "delete")

    def edit(self, *, now: datetime, by: str | None = None, **changes: Any) -> Self:
        """Change the given fields of the `Definition` and keep the rest, including the history; None keeps a field.

        A new `at`, `cron` or `every` starts a new occurrence and wakes a finished job; a changed schedule starts from
        now, or from a start that is still to come, unless `at` is given; `at` alone makes a recurring job a one-shot.
        While the job runs, only later occurrences can be changed. A waiting extra occurrence is kept as long as the job
        is recurring.
        """
        given = {name: value for name, value in changes.items() if value is not None}
        if given.keys() & {"cron", "every"} and self.starts_at is not None and self.starts_at > now:
            given.setdefault("at", self.starts_at)
        wanted = replace(self.definition, **{**_replaced_by(given), **given})
        if "timezone" in given and "at" not in given and not wanted.is_recurring:
            raise InvalidJob(f"job {self.id} runs once, at a time that no time zone changes; give a new time too")
        return self.redefine(wanted, now=now, by=by, is_new=bool(given.keys() & {"at", "cron", "every"}))

    def redefine(self, wanted: Definition, *, now: datetime, by: str | None = None, is_new: bool) -> Self:
        """Change the definition; `is_new` starts a new occurrence, see `edit`."""
        if is_new and self.handed_over is not None:
            return self._taken_back(now).redefine(wanted, now=now, by=by, is_new=True)
        regular_at = self.regular_at if wanted.is_recurring else None
        edited = self._asked(now, by, **wanted.fields(now), regular_at=regular_at)
        edited.check()
        if is_new:
            return self._rescheduled(edited, wanted.first(now), now)
        bounds = (self.until, self.except_dates) != (edited.until, edited.except_dates)
        if self.timezone != edited.timezone or (bounds and self._is_touched_by(edited, now)):
            return self._rescheduled(edited, wanted.first_from(now, now), now)
        return edited

    def _is_touched_by(self, edited: Self, now: datetime) -> bool:
        """Return whether the edited bounds of the schedule move its next occurrence, or wake the job."""
        if not self._is_alive():
            return self.status is not Status.CANCELLED
        is_begun = self.lease_until is not None or self.status is Status.RUNNING or self._waits_for_another_try()
        if self.regular_at is None and is_begun:
            return False
        regular = self.regular_at or self.schedule_at
        return regular > now or not edited.schedule.allows(regular)

    def _rescheduled(self, edited: Self, first: datetime, now: datetime) -> Self:
        """Return the edited job with its new first occurrence."""
        is_held = self.lease_until is not None or self.status is Status.RUNNING
        if is_held and (not edited.is_recurring or self.status is Status.CANCELLED):
            self._refuse_while_held(now, "reschedule")
        first = edited._not_ended(first, self._last_ended())
        regular = self.regular_at or (self.schedule_at if self.status is Status.PENDING else None)
        if self.is_recurring and regular is not None and regular <= now:
            edited = replace(edited, recent_runs=self._missed(regular, now).recent_runs)
        if self.regular_at is not None and edited.is_recurring and self._is_alive():
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

    def _is_alive(self) -> bool:
        return self.status in (Status.PENDING, Status.RUNNING, Status.PAUSED)

    def _last_ended(self) -> datetime | None:
        """Return the latest regular occurrence of a recurring job that has ended, as far as the history shows.

        All before the next one have ended, unless the schedule has not begun yet: then the history is older than the
        schedule.
        """
        if not self.is_recurring or not self.recent_runs:
            return None
        before = self.schedule.last_until(just_before(self.regular_at or self.schedule_at))
        if before is None:
            return None
        # `until` is an occurrence only in an entry of missed ones.
        latest = max(run.until or run.schedule_at if run.is_missed else run.schedule_at for run in self.recent_runs)
        return before if before <= latest else None

    def _not_ended(self, first: datetime, ended: datetime | None) -> datetime:
        """Return `first`, or a later time if `first` has already ended, as may happen when the clock is behind."""
        if self.is_recurring:
            following = first if ended is None or first > ended else self.schedule.after(ended)
            if following is None:
                raise InvalidSchedule("the schedule never runs: all of its occurrences have ended; give it a later end")
            return following
        over = {run.schedule_at for run in self.recent_runs if run.outcome in OVER}
        while first in over:
            first += timedelta(microseconds=1)
        return first

    def _asked(self, now: datetime, by: str | None, **changes: Any) -> Self:
        return replace(self, updated_at=now, updated_by=by, **changes)

    def _waits_for_another_try(self) -> bool:
        if self.attempts > 0 or (self.ready_at is not None and self.ready_at != self.schedule_at):
            return True
        # A paused job has no `ready_at`, so its history decides.
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
        if self.handed_over is not None:
            raise NotPossible(f"{self._held_since()}; it runs in its turn, or `release` it to {command} it")
        if self.lease_until is not None and self.lease_until > now:
            raise NotPossible(f"{self._held_since()}; wait for it, or end its lease with `release`, to {command} it")
        if command != "delete":
            follows = "the next tick takes it up again" if self.ready_at else f"`release` it to {command} it"
            raise NotPossible(f"{self._held_since()} and its holder died; {follows}")

    def _held_since(self) -> str:
        if self.handed_over is not None:
            return f"job {self.id} has been waiting in queue {self.handed_over.queue} since {iso(self.handed_over.at)}"
        since = iso(self.started_at) if self.started_at else "an unknown time"
        return f"job {self.id} has been running since {since}"


def _replaced_by(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a definition that these changes override, each with its empty value."""
    replaced: dict[str, Any] = {}
    if given.keys() & {"at", "cron", "every"}:
        replaced |= {"at": None, "cron": None, "every": None}
        if not given.keys() & {"cron", "every"}:
            replaced |= {"until": None, "except_dates": (), "misfire": Misfire.COALESCE, "grace": None}
    if given.get("misfire") == Misfire.COALESCE:
        replaced |= {"grace": None}
    return replaced
