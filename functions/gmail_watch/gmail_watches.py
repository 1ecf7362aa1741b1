"""Gmail's push watches: renew the watch of every mailbox, and build the function's answer from the outcomes.

https://developers.google.com/workspace/gmail/api/guides/push
"""

import logging
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, NamedTuple

from delegation import AUTHORISE, acting_for, own_credentials
from gmail_settings import GmailSettings
from shared.errors import RenewalFailed
from shared.renewals import Failed, NotRenewed, RenewalOutcome, Renewals, Renewed, Skipped
from shared.subscriptions import PREFIX, Subscription
from shared.web.google_credentials import Fetch

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

log = logging.getLogger("watchkeeper.gmail")

TIMEOUT_SECONDS = 10  # for each request
ONE_CLIENT = "Only one user push notification client"


class RenewedWatch(NamedTuple):
    """Gmail's answer to a watch: both numbers as text, as it sends them, and the second one as a time."""

    history_id: str
    expiration: str  # milliseconds since 1970
    expires_at: datetime


def renew_watches(
    gmail: GmailSettings,
    renewals: Renewals,
    *,
    source: "Credentials | None" = None,
    fetch: Fetch | None = None,
) -> dict[str, Any]:
    """Renew the watch of every mailbox and return the answer.

    `source` signs if there is no key file, by default the credentials of this environment; `fetch` fetches tokens, by
    default over HTTP. Raises RenewalFailed with both lists if a mailbox could not be renewed; InvalidSettings and
    StoreUnavailable if nothing could.
    """
    if gmail.key is None:
        source = source or own_credentials()
    mailboxes = {f"{PREFIX}gmail:{mailbox}": mailbox for mailbox in gmail.mailboxes}
    watches = {}

    def renew(subscription: Subscription) -> Renewed:
        mailbox = mailboxes[subscription.id]
        watch = _watch(mailbox, gmail, source, fetch)
        watches[mailbox] = {"mailbox": mailbox, "history_id": watch.history_id, "expiration": watch.expiration}
        # The mailbox's history is read from this id. A renewal returns the present one, which would skip the messages
        # that came in while the watch had lapsed; so the first one is kept.
        return Renewed(expires_at=watch.expires_at, first={"history_id": watch.history_id})

    titled = [Subscription(id=name, title=f"the Gmail watch of {mailbox}") for name, mailbox in mailboxes.items()]
    outcomes = {mailboxes[name]: outcome for name, outcome in renewals.renew_all(titled, renew).items()}
    return _answer([watches[mailbox] for mailbox in gmail.mailboxes if mailbox in watches], outcomes)


def _answer(watches: Sequence[dict[str, str]], outcomes: Mapping[str, RenewalOutcome]) -> dict[str, Any]:
    skipped = [mailbox for mailbox, outcome in outcomes.items() if isinstance(outcome, Skipped)]
    failed = [
        {"mailbox": mailbox, "reason": outcome.reason}
        for mailbox, outcome in outcomes.items()
        if isinstance(outcome, Failed)
    ]
    beside = {"skipped": skipped} if skipped else {}
    if failed:
        reasons = "; ".join(f"{entry['mailbox']}: {entry['reason']}" for entry in failed)
        raise RenewalFailed(
            f"{len(failed)} of {len(outcomes)} Gmail watches could not be renewed: {reasons}",
            {"watches": watches, "failed": failed, **beside},
        )
    if not watches:
        message = f"Skipped: another call renews the Gmail watch of {', '.join(skipped)}"
        return {"status": "skipped", "message": message, **beside}
    first = {name: watches[0][name] for name in ("history_id", "expiration")}
    several = {"watches": watches} if len(outcomes) > 1 else {}
    return {"message": "Gmail watch renewed successfully", **first, **several, **beside}


def _watch(mailbox: str, gmail: GmailSettings, source: "Credentials | None", fetch: Fetch | None) -> RenewedWatch:
    """Renew one watch and return Gmail's answer. Raises NotRenewed."""
    users = _users(acting_for(mailbox, gmail, source, fetch), gmail.endpoint)
    body = {"topicName": gmail.topic, "labelIds": list(gmail.labels), "labelFilterBehavior": "include"}
    watch = users.watch(userId="me", body=body)
    try:
        return _read(_send(watch, gmail))
    except NotRenewed as exc:
        if ONE_CLIENT not in str(exc):
            raise
    # A watch on another topic is active. Stopping it every time would lose the notifications until the new one.
    log.warning("Gmail refuses a second watch; stopping the present one", extra={"fields": {"action": "stopped"}})
    try:
        _send(users.stop(userId="me"), gmail)
        return _read(_send(watch, gmail))
    except NotRenewed as exc:
        # Even a stop that was not answered may have been carried out.
        raise NotRenewed(f"{exc}; the former watch is stopped, or may be", has_lapsed=True) from exc


def _read(answer: Any) -> RenewedWatch:
    try:
        return RenewedWatch(
            history_id=str(int(answer["historyId"])),
            expiration=str(int(answer["expiration"])),
            expires_at=datetime.fromtimestamp(int(answer["expiration"]) / 1000, UTC),
        )
    except (LookupError, TypeError, ValueError, ArithmeticError, OSError) as exc:
        raise NotRenewed.with_remedy("no historyId and expiration in the response of Gmail") from exc


def _send(request: Any, gmail: GmailSettings) -> Any:
    """Send one request and return the answer. Raises NotRenewed."""
    from googleapiclient.errors import HttpError
    from httplib2 import HttpLib2Error

    try:
        return request.execute()
    except HttpError as exc:
        said = f"Gmail said {exc.status_code} {exc.reason}"
        raise NotRenewed.with_remedy(said, _remedy(exc.status_code, exc.reason, gmail)) from exc
    except (HttpLib2Error, HTTPException, OSError) as exc:
        raise NotRenewed.with_remedy(f"no response from Gmail ({type(exc).__name__}: {exc})") from exc
    except ValueError as exc:
        raise NotRenewed.with_remedy(f"the response of Gmail is not JSON ({exc})") from exc


def _users(credentials: "Credentials", endpoint: str) -> Any:
    import httplib2
    from google_auth_httplib2 import AuthorizedHttp
    from googleapiclient.discovery import build

    # The token is fresh, so another one would not change a 401.
    http = AuthorizedHttp(credentials, http=httplib2.Http(timeout=TIMEOUT_SECONDS), refresh_status_codes=())
    return build(
        "gmail",
        "v1",
        http=http,
        static_discovery=True,
        cache_discovery=False,
        client_options={"api_endpoint": endpoint},
    ).users()


def _remedy(status: int, said: str, gmail: GmailSettings) -> str:
    if "Cloud PubSub" in said or "topicName" in said:
        return (
            f"check that {gmail.topic} exists, in the service account's project, and that "
            "gmail-api-push@system.gserviceaccount.com has roles/pubsub.publisher on it"
        )
    if ONE_CLIENT in said:
        return f"end the other client that watches this mailbox on another topic than {gmail.topic}"
    if status == 429 or status >= 500 or re.search(r"\brate|quota", said, re.I):
        return ""
    if status == 400:
        return "check that Gmail is switched on for the mailbox, and that it has the labels of GMAIL_WATCH_LABELS"
    if status == 404:
        return "check that the mailbox in GMAIL_USER_EMAIL exists, and that GMAIL_API_ENDPOINT is right"
    return f"enable gmail.googleapis.com, and {AUTHORISE}"
