"""Renewing subscriptions: which of several calls renews one, within what time, and what is recorded.

A renewal claims the record of the subscription, so that no two renew at once, and writes it back with the new deadline.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.errors import StoreUnavailable, WatchkeeperError
from shared.model.history import Result
from shared.model.job import Job
from shared.model.times import iso
from shared.model.value import Status
from shared.running.leasing import TRIES, new_token, settle
from shared.settings import Settings
from shared.store.documents import Unreadable
from shared.store.protocol import Change, Refused, Store, Unknown, Won
from shared.subscriptions import ALARM_BEFORE, CHECK, MOST_RECORDS, Subscription, recorded_time

log = logging.getLogger("watchkeeper.subscriptions")

RESERVE = timedelta(seconds=90)  # for the longest single renewal, and to store its outcome
LAST = datetime.max.replace(tzinfo=UTC)


class NotRenewed(WatchkeeperError):
    """A subscription could not be renewed; the message says what the service said, and what to do.

    `has_lapsed` says that it is no longer in force, even if its record says otherwise.
    """

    def __init__(self, message: str, *, has_lapsed: bool = False) -> None:
        super().__init__(message)
        self.has_lapsed = has_lapsed

    @classmethod
    def with_remedy(cls, problem: str, remedy: str = "") -> "NotRenewed":
        """Return the error of a problem (cut short) with its remedy, by default to try again."""
        words = " ".join(problem.split())[:300].rstrip(".")
        return cls(f"{words}; {remedy or 'try again in some minutes, as Cloud Scheduler does'}")


@dataclass(frozen=True, kw_only=True)
class Renewed:
    """It was renewed, and expires at `expires_at` (None: never). `first` is recorded where nothing is recorded yet."""

    expires_at: datetime | None
    first: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Skipped:
    """Another call is renewing it, or has renewed it since this one began."""


@dataclass(frozen=True)
class Failed:
    """It was not renewed, and may no longer be in force."""

    reason: str
    has_lapsed: bool = False


RenewalOutcome = Renewed | Skipped | Failed
Renew = Callable[[Subscription], Renewed]


class Renewals:
    """The renewals of one call, which began at `now`; `by` is the caller.

    A renewal does not extend its lease, so a call ends within it, and within the function's timeout, both measured by
    `monotonic`, in seconds: the wall clock may be changed meanwhile.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        now: datetime,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        by: str,
        is_stopping: Callable[[], bool] = lambda: False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        limit = min(settings.lease, settings.function_timeout)
        self.now = now
        self.clock = clock
        self._store = store
        self._lease = settings.lease
        self._retention = settings.retention
        self._monotonic = monotonic
        self._ends_at = monotonic() + (limit - min(RESERVE, limit / 2)).total_seconds()
        self._by = by
        self._is_stopping = is_stopping
        self._sleep = sleep

    def has_time(self) -> bool:
        """Return whether there is time to begin another step."""
        return self.wait(timedelta())

    def wait(self, pause: timedelta) -> bool:
        """Wait, and return whether there is still time to begin another step; if there would not be, return at once."""
        until = self._monotonic() + pause.total_seconds()
        while until <= self._ends_at and not self._is_stopping():
            if (left := until - self._monotonic()) <= 0:
                return True
            self._sleep(min(left, 1))  # meanwhile the process may be told to end
        return False

    def renew_all(self, subscriptions: Iterable[Subscription], renew: Renew) -> dict[str, RenewalOutcome]:
        """Renew each subscription that no other call is renewing, record the outcomes, and return them in order.

        `renew` raises NotRenewed. Raises StoreUnavailable if nothing could be claimed (then nothing was renewed), or if
        an outcome could not be recorded (the others were still renewed).
        """
        wanted = {subscription.id: subscription for subscription in subscriptions}
        claimed, outcomes = self._claim_all(wanted)
        unavailable: StoreUnavailable | None = None
        for job in claimed:
            began = self._monotonic()
            if self.has_time():
                outcome = _renew_one(renew, wanted[job.id])
            elif self._is_stopping():
                outcome = Failed("the process was told to end before it began; try again")
            else:
                outcome = Failed("there was no time left to begin; try again")
            outcomes[job.id] = outcome
            try:
                ran = timedelta(seconds=self._monotonic() - began)
                self._record(job, wanted[job.id], outcome, ran)
            except StoreUnavailable as exc:
                unavailable = exc
        if unavailable is not None:
            raise unavailable
        return {name: outcomes[name] for name in wanted}

    def recorded(self, prefix: str) -> list[Subscription]:
        """Return the recorded subscriptions whose id begins so, except those that a person has cancelled."""
        page = self._store.page(after=prefix, limit=MOST_RECORDS)  # all other jobs follow after the last one
        on_record = [job for job in page if isinstance(job, Job) and job.id.startswith(prefix)]
        return [
            Subscription(id=job.id, title=str(job.payload.get("subscription", job.id)))
            for job in on_record
            if job.status is not Status.CANCELLED
        ]

    def _claim_all(self, wanted: Mapping[str, Subscription]) -> tuple[list[Job], dict[str, RenewalOutcome]]:
        """Claim the subscriptions in one swap; return the claimed jobs, and the outcomes of the others."""
        claimed: dict[str, Job] = {}
        outcomes: dict[str, RenewalOutcome] = {}
        unconfirmed = ""
        for _ in range(TRIES):
            left = [name for name in wanted if name not in claimed and name not in outcomes]
            if not left:
                break
            try:
                found = self._store.get(left)
            except StoreUnavailable as exc:
                unconfirmed = str(exc)
                break
            refused = {name: refusal for name, job in found.items() if (refusal := self._refusal(job))}
            outcomes.update(refused)
            changes = [
                Change(found.get(name), self._claim(found.get(name), wanted[name]))
                for name in left
                if name not in refused
            ]
            for change, answer in zip(changes, self._store.swap(changes), strict=True):
                if isinstance(answer, Won) and isinstance(answer.job, Job):
                    claimed[change.job_id] = answer.job
                elif isinstance(answer, Refused | Unknown):
                    unconfirmed = answer.reason
                    outcomes[change.job_id] = Failed(f"the store did not confirm its lease ({unconfirmed}); try again")
                # A lost claim is read again: perhaps another call took it, perhaps a person paused it.
        if unconfirmed and not claimed:
            raise StoreUnavailable(f"nothing can be renewed without a lease: {unconfirmed}")
        reason = f"its record {f'cannot be read ({unconfirmed})' if unconfirmed else 'keeps changing'}; try again"
        busy = dict.fromkeys(wanted.keys() - claimed.keys(), Failed(reason))

        def expiry(job: Job) -> datetime:
            return wanted[job.id].expires_at or recorded_time(job.payload, "expires_at") or LAST

        # The first to expire comes first: a call may not have time for all of them.
        return sorted(claimed.values(), key=expiry), {**busy, **outcomes}

    def _refusal(self, stored: Job | Unreadable) -> RenewalOutcome | None:
        """Return why a subscription must not be renewed now, or None.

        A lease of the tick is no obstacle: its check only looks, and its result may be refused.
        """
        if isinstance(stored, Unreadable):
            remedy = "repair it, then run `watchkeeper jobs upgrade`"
            return Failed(f"its record cannot be read ({stored.reason}); {remedy}")
        if stored.lease_until is not None and stored.lease_until > self.clock():
            is_renewal = stored.started_at and stored.payload.get("renewal_started_at") == iso(stored.started_at)
            return Skipped() if is_renewal else None
        renewed_at = recorded_time(stored.payload, "renewed_at")
        # A time in the future comes from a wrong clock, and must not prevent renewals for ever.
        was_just_renewed = renewed_at is not None and self.now <= renewed_at <= self.clock() + self._lease
        return Skipped() if was_just_renewed else None

    def _claim(self, stored: Job | Unreadable | None, subscription: Subscription) -> Job:
        job = stored if isinstance(stored, Job) else Job.create(subscription.id, CHECK, now=self.now, by=self._by)
        now = self.clock()
        payload = {**job.payload, "subscription": subscription.title, "renewal_started_at": iso(now)}
        return job.claim(now=now, token=new_token(), lease=self._lease, retention=self._retention, payload=payload)

    def _record(self, job: Job, subscription: Subscription, outcome: Renewed | Failed, ran: timedelta) -> None:
        """Write the outcome into the record, unless another call has claimed it. Raises StoreUnavailable."""
        ended_at, error = self.clock(), outcome.reason if isinstance(outcome, Failed) else None
        result = Result(started_at=ended_at - ran, ended_at=ended_at, by=self._by, error=error)

        def finished(newest: Job) -> Job:
            payload = _payload(newest.payload, subscription, outcome, ended_at)
            at = _deadline(payload, outcome, ended_at)
            return newest.finish(result, retention=self._retention, payload=payload, at=at)

        if not settle(self._store, job, finished):
            fields = {"action": "lease_lost", "job_id": job.id}
            log.warning("Another call has claimed %s meanwhile", subscription.title, extra={"fields": fields})


def _renew_one(renew: Renew, subscription: Subscription) -> Renewed | Failed:
    fields = {"action": "renewal_failed", "job_id": subscription.id}
    try:
        renewed = renew(subscription)
    except NotRenewed as exc:
        log.error("Could not renew %s: %s", subscription.title, exc, extra={"fields": fields})
        return Failed(str(exc), exc.has_lapsed)
    except Exception as exc:
        # As with a handler: an unexpected error of one subscription must not stop the renewal of the others.
        log.exception("Could not renew %s", subscription.title, extra={"fields": fields})
        return Failed(f"an unexpected {type(exc).__name__}; see the log")
    expiry = iso(renewed.expires_at.replace(microsecond=0)) if renewed.expires_at else "never"
    fields |= {"action": "renewed", "expires": expiry}
    log.info("Renewed %s; it expires %s", subscription.title, expiry, extra={"fields": fields})
    return renewed


def _payload(
    stored: Mapping[str, Any], subscription: Subscription, outcome: Renewed | Failed, now: datetime
) -> dict[str, Any]:
    """Return the record: what was recorded first stays, the last renewal, expiry and error are replaced."""
    kept = {name: value for name, value in stored.items() if name not in ("renewal_started_at", "error")}
    if isinstance(outcome, Renewed):
        expires_at = outcome.expires_at and iso(outcome.expires_at)
        return {**outcome.first, **kept, "renewed_at": iso(now), "expires_at": expires_at}
    expires_at = now if outcome.has_lapsed else subscription.expires_at
    if expires_at is not None:
        kept["expires_at"] = iso(expires_at)
    return {**kept, "error": outcome.reason}


def _deadline(payload: Mapping[str, Any], outcome: Renewed | Failed, now: datetime) -> datetime | None:
    """Return the time of the alarm: None if it never expires, at once if the expiry is unknown."""
    expires_at = recorded_time(payload, "expires_at")
    if expires_at is not None:
        return expires_at - ALARM_BEFORE
    return None if isinstance(outcome, Renewed) else now
