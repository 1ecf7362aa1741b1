"""Subscriptions at Gmail and Airtable, which lapse unless they are renewed: their record and their alarm.

The record of a subscription is a job of the type `subscription_check`, due 24 hours before the subscription expires. A
renewal (renewals.py) moves it to the new deadline. If nobody renews, the deadline comes, and the tick runs the check,
which logs an ERROR every hour.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.handlers import Context, Payload, Snooze
from shared.store.documents import read_time

log = logging.getLogger("watchkeeper.subscriptions")

PREFIX = "subscription:"
CHECK = "subscription_check"
ALARM_BEFORE = timedelta(hours=24)
ALARM_EVERY = timedelta(hours=1)
MOST_RECORDS = 50  # Airtable allows ten webhooks to a base; cancelled records stay for a while


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """One subscription. `id` is that of its job, `title` its name for people ("the Gmail watch of a@example.com").

    `expires_at` is what the service itself says before the renewal, if it says so.
    """

    id: str
    title: str
    expires_at: datetime | None = None


def recorded_time(payload: Payload, name: str) -> datetime | None:
    """Return a time of the record, `expires_at` or `renewed_at`, or None if it is missing or invalid."""
    moment = read_time(payload.get(name))
    return moment if isinstance(moment, datetime) and moment.tzinfo is not None else None


def check(payload: Payload, context: Context) -> None:
    """Raise the alarm for a subscription that nobody has renewed, and check again in an hour.

    It also runs after a renewal died and its lease has ended; then the deadline may still lie ahead.
    """
    now, expires_at = context.started_at, recorded_time(payload, "expires_at")
    title = payload.get("subscription", context.job_id)
    fields = {"job_id": context.job_id, "expires": payload.get("expires_at")}
    if expires_at is not None and now < expires_at - ALARM_BEFORE:
        if "renewal_started_at" in payload:
            fields["action"] = "renewal_unfinished"
            log.warning("A renewal of %s was begun and not finished", title, extra={"fields": fields})
        raise Snooze(expires_at - ALARM_BEFORE - now, f"{title} {_remaining(expires_at, now)}")
    service = context.job_id.removeprefix(PREFIX).partition(":")[0]
    state = "has never been renewed" if expires_at is None else _remaining(expires_at, now)
    log.error(
        "%s %s. Last renewal: %s. Last error: %s. Run `watchkeeper renew %s`; if it is no longer wanted, delete it or "
        "take it out of the settings, and end this alarm with `watchkeeper jobs cancel %s`",
        title,
        state,
        payload.get("renewed_at", "none"),
        payload.get("error", "none"),
        service,
        context.job_id,
        extra={"fields": {**fields, "action": "subscription_expiring"}},
    )
    raise Snooze(ALARM_EVERY, f"{title} {state}")


def _remaining(expires_at: datetime, now: datetime) -> str:
    hours = abs(expires_at - now) / timedelta(hours=1)
    return f"expires in {hours:.1f} hours" if expires_at > now else f"expired {hours:.1f} hours ago"
