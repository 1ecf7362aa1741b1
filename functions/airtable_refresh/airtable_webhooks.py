"""Airtable's webhooks: extend every one of every base, and build the function's answer from the outcomes.

https://airtable.com/developers/web/api/refresh-a-webhook
"""

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from airtable_settings import AirtableSettings
from shared.errors import RenewalFailed
from shared.model.times import iso
from shared.model.value import ID
from shared.renewals import Failed, NotRenewed, RenewalOutcome, Renewals, Renewed, Skipped
from shared.store.documents import read_time
from shared.subscriptions import PREFIX, Subscription
from shared.web.retry_after import parse_retry_after

if TYPE_CHECKING:
    from pyairtable import Api
    from pyairtable.models.webhook import Webhook
    from requests import Response

log = logging.getLogger("watchkeeper.airtable")

TIMEOUT_SECONDS = (5, 20)  # to connect, and for each read
PAUSE = timedelta(seconds=30)  # after a 429: https://airtable.com/developers/web/api/rate-limits
SHORTEST_PAUSE = timedelta(seconds=1)
SPACING = timedelta(seconds=0.25)  # each base takes five requests a second
GONE = (
    "Airtable no longer lists it: it was deleted, lapsed a week ago, or is hidden from this token; if it is no longer "
    "wanted, end its alarm with `watchkeeper jobs cancel`"
)
REPLACE = "make a new webhook (it has a new id and a new secret), and delete this one"

T = TypeVar("T")


class ListedWebhook(NamedTuple):
    """A webhook of a base as it was listed. `expires_at` is its time before the renewal."""

    base: str
    webhook: "Webhook"
    expires_at: datetime | None


def renew_webhooks(airtable: AirtableSettings, renewals: Renewals) -> dict[str, Any]:
    """Extend every webhook of every base and return the answer.

    Raises RenewalFailed with both lists if a base could not be read or a webhook could not be extended, and
    StoreUnavailable if nothing could be claimed.
    """
    from pyairtable import Api

    api = Api(airtable.api_key, timeout=TIMEOUT_SECONDS, retry_strategy=None, endpoint_url=airtable.endpoint)
    found: dict[str, ListedWebhook] = {}
    missing: dict[str, str] = {}  # why a webhook on record was not found
    unread: dict[str, str] = {}
    subscriptions: list[Subscription] = []
    for base in airtable.bases:
        prefix, listed, reason = f"{PREFIX}airtable:{base}:", {}, GONE
        try:
            listed = _list(api, base, prefix, renewals)
        except NotRenewed as exc:
            log.error("Could not read the webhooks of base %s: %s", base, exc, extra={"fields": {"action": "unread"}})
            unread[base] = reason = str(exc)
        found |= listed
        for name, hook in listed.items():
            title = f"the Airtable webhook {hook.webhook.id} of {base}"
            subscriptions.append(Subscription(id=name, title=title, expires_at=hook.expires_at))
        gone = [subscription for subscription in renewals.recorded(prefix) if subscription.id not in listed]
        missing.update((subscription.id, reason) for subscription in gone)
        subscriptions += gone

    def renew(subscription: Subscription) -> Renewed:
        if subscription.id in missing:
            raise NotRenewed(missing[subscription.id])
        return _extend(found[subscription.id], renewals)

    return _answer(found, renewals.renew_all(subscriptions, renew), unread)


def _list(api: "Api", base: str, prefix: str, renewals: Renewals) -> dict[str, ListedWebhook]:
    """Return the webhooks of a base by the ids of their subscriptions. Raises NotRenewed."""
    if not renewals.has_time():
        raise NotRenewed("there was no time left to list its webhooks; try again")
    listed = {}
    for webhook in _with_pauses(api.base(base).webhooks, renewals):
        expires_at = webhook.expiration_time and _aware(webhook.expiration_time)
        listed[f"{prefix}{webhook.id}"] = ListedWebhook(base, webhook, expires_at)
    if invalid := [name for name in listed if not re.fullmatch(ID, name, re.ASCII)]:
        raise NotRenewed.with_remedy(f"Airtable lists ids that cannot be recorded ({', '.join(invalid)})")
    return listed


def _extend(hook: ListedWebhook, renewals: Renewals) -> Renewed:
    """Extend one webhook. Raises NotRenewed."""
    if hook.expires_at is None:
        return Renewed(expires_at=None)
    if hook.expires_at <= renewals.now:
        expired_at = iso(hook.expires_at.replace(microsecond=0))
        raise NotRenewed(f"it expired at {expired_at}, and cannot be refreshed any more: {REPLACE}")
    renewals.wait(SPACING)
    _with_pauses(hook.webhook.extend_expiration, renewals)
    expires_at = read_time(hook.webhook.expiration_time, UTC)  # pyairtable leaves it as the text that Airtable sent
    if expires_at is None or isinstance(expires_at, datetime):
        return Renewed(expires_at=expires_at)
    raise NotRenewed.with_remedy(f"Airtable's expirationTime is not a time ({expires_at!r})")


def _with_pauses(ask: Callable[[], T], renewals: Renewals) -> T:
    """Call Airtable, again after each pause that it asks for, while there is time. Raises NotRenewed."""
    from requests import HTTPError, RequestException

    while True:
        try:
            return ask()
        except HTTPError as exc:
            response = exc.response
            if response is None:
                raise NotRenewed.with_remedy("no response from Airtable") from exc
            said = f"Airtable said {response.status_code} {_error(response)}"
            if response.status_code != 429:
                raise NotRenewed.with_remedy(said, _remedy(response.status_code)) from exc
            if not renewals.wait(_pause(response, renewals.clock())):
                raise NotRenewed.with_remedy(f"{said}, and there is no time left to pause") from exc
        except RequestException as exc:
            raise NotRenewed.with_remedy(f"no usable response from Airtable ({type(exc).__name__}: {exc})") from exc
        except (ValueError, LookupError, TypeError, AttributeError) as exc:
            raise NotRenewed.with_remedy(f"undocumented response from Airtable ({type(exc).__name__}: {exc})") from exc


def _pause(response: "Response", now: datetime) -> timedelta:
    asked = parse_retry_after(response.headers.get("Retry-After"), now)
    return PAUSE if asked is None else max(asked, SHORTEST_PAUSE)


def _error(response: "Response") -> str:
    """Return Airtable's message: `error` is a word, or an object with type and message; `errors` is a list of those."""
    try:
        body = response.json()
        error = body["errors"][0] if "errors" in body else body["error"]
    except (ValueError, LookupError, TypeError):
        return response.reason
    return ": ".join(map(str, error.values())) if isinstance(error, Mapping) else str(error)


def _remedy(status: int) -> str:
    match status:
        case 401:
            return "put a valid personal access token into AIRTABLE_API_KEY"
        case 403:
            return "grant the token of AIRTABLE_API_KEY the scope webhook:manage, and its owner the role creator"
        case 404:
            return "check that it exists, and that the token of AIRTABLE_API_KEY has access to it"
        case _ if status >= 500:
            return ""
        case _:
            return f"if it is no longer active, {REPLACE}"


def _answer(
    found: Mapping[str, ListedWebhook], outcomes: Mapping[str, RenewalOutcome], unread: Mapping[str, str]
) -> dict[str, Any]:
    refreshed, skipped, problems = [], [], []
    failed = [{"base_id": base, "reason": reason} for base, reason in unread.items()]
    for name, outcome in outcomes.items():
        _, _, base, webhook_id = name.split(":", 3)
        named = {"base_id": base, "webhook_id": webhook_id}
        if isinstance(outcome, Failed):
            failed.append({**named, "reason": outcome.reason})
        if isinstance(outcome, Skipped):
            skipped.append(webhook_id)
        if isinstance(outcome, Skipped) or name not in found:
            continue
        hook = found[name]
        if isinstance(outcome, Renewed) and hook.expires_at is not None:
            new = outcome.expires_at and _iso(outcome.expires_at)
            times = {"old_expiration": _iso(hook.expires_at), "new_expiration": new}
            refreshed.append({"webhook_id": webhook_id, **times})
        for reason in _problems(hook):
            problems.append({**named, "reason": reason})
            fields = {"action": "webhook_problem", "job_id": name}
            log.error("The Airtable webhook %s of %s: %s", hook.webhook.id, hook.base, reason, extra={"fields": fields})
    answer = {
        "webhooks_refreshed": len(refreshed),
        "webhooks": refreshed,
        **({"problems": problems} if problems else {}),
        **({"skipped": skipped} if skipped else {}),
    }
    if failed:
        reasons = "; ".join(" ".join(entry.values()) for entry in failed)
        raise RenewalFailed(f"Could not refresh all Airtable webhooks: {reasons}", {**answer, "failed": failed})
    if skipped and not refreshed:
        return {"status": "skipped", "message": "Skipped: another call refreshes the Airtable webhooks", **answer}
    return {"message": f"Refreshed {len(refreshed)} Airtable webhooks", **answer}


def _problems(hook: ListedWebhook) -> Iterator[str]:
    """Yield the reasons why a webhook, renewed or not, delivers nothing."""
    webhook, last = hook.webhook, hook.webhook.last_notification_result
    if hook.expires_at is None:
        yield "it has no expiration, so there is nothing to renew"
    if not webhook.is_hook_enabled:
        yield f"it is disabled and delivers nothing: {REPLACE}"
    if not webhook.are_notifications_enabled:
        yield "its notifications are switched off: switch them on with Airtable's enableNotifications"
    if last is not None and not last.success:
        said = " ".join(last.error.message.split())[:300] if last.error else "no reason given"
        yield f"its last notification, at {iso(_aware(last.completion_timestamp))}, failed: {said}; check its receiver"


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _iso(moment: datetime) -> str:
    """Write a time as Airtable does, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
