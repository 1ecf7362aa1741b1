"""A fake of Airtable's webhooks: it lists those of a base, and refreshes one.

https://airtable.com/developers/web/api/list-webhooks
https://airtable.com/developers/web/api/refresh-a-webhook
"""

import re
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from watchkeeper.fakes.server import Clock, Fake, Fault, Rejected, Request, Response, json_response, utc_now

API_KEY = "patLocal.secret"
BASE = "appLocalStandIn01"
WEBHOOK = "achLocalStandIn01"
LIFETIME = timedelta(days=7)
REQUESTS_PER_SECOND = 5
PENALTY = timedelta(seconds=30)
WEBHOOKS_PATH = re.compile(r"/v0/bases/(?P<base>[^/]+)/webhooks(?:/(?P<webhook>[^/]+)/refresh)?")


def webhook(
    webhook_id: str,
    *,
    expires_at: datetime | None,
    is_enabled: bool = True,
    notifies: bool = True,
    failing: str | None = None,
) -> dict[str, Any]:
    """Return a webhook as Airtable lists it; `failing` is the error of its last notification."""
    notified_at = "2026-11-20T08:00:00.000Z"
    result = {"success": True, "completionTimestamp": notified_at, "durationMs": 12.5, "retryNumber": 0}
    if failing is not None:
        result |= {"success": False, "willBeRetried": True, "error": {"message": failing}}
    return {
        "id": webhook_id,
        "areNotificationsEnabled": notifies,
        "isHookEnabled": is_enabled,
        "notificationUrl": "https://example.com/airtable",
        "cursorForNextPayload": 7,
        "expirationTime": _written(expires_at),
        "lastSuccessfulNotificationTime": notified_at if failing is None else None,
        "lastNotificationResult": result,
        "specification": {"options": {"filters": {"dataTypes": ["tableData"]}}},
    }


def airtable_error(status: int, code: str, message: str) -> Response:
    """Return an error in the form of most of Airtable's errors."""
    return json_response({"error": {"type": code, "message": message}}, status)


def _rate_limit(headers: Mapping[str, str] | None = None) -> Response:
    message = "Rate limit exceeded. Please try again later"
    return json_response({"errors": [{"error": "RATE_LIMIT_REACHED", "message": message}]}, 429, headers=headers)


UNAUTHORIZED = airtable_error(401, "AUTHENTICATION_REQUIRED", "Authentication required")
NOT_FOUND = json_response({"error": "NOT_FOUND"}, 404)
RATE_LIMIT = _rate_limit()
# Airtable does not document this error; rely only on its being a 4xx.
NOT_ACTIVE = airtable_error(422, "INVALID_REQUEST_UNKNOWN", "The webhook is not active and cannot be refreshed")


class Airtable(Fake):
    """Holds the webhooks of its bases.

    `bases` maps a base's id to its webhooks (see `webhook`), which a test may change at any time. The default is BASE
    with one healthy webhook.
    """

    name = "Airtable"
    documented_errors: ClassVar[Mapping[str, Fault]] = {
        "unauthorized": UNAUTHORIZED,
        "forbidden": airtable_error(
            403,
            "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND",
            "Invalid permissions, or the requested model was not found. Check that both your user and your token have "
            "the required permissions, and that the model names and/or ids are correct.",
        ),
        "not-found": NOT_FOUND,
        "rate-limit": RATE_LIMIT,
        "rate-limit-1s": _rate_limit({"Retry-After": "1"}),
        # The texts of these two are documented, their codes are not.
        "internal": airtable_error(500, "SERVER_ERROR", "The server encountered an unexpected condition."),
        "unavailable": airtable_error(503, "SERVICE_UNAVAILABLE", "The server could not process your request in time."),
    }

    def __init__(
        self,
        *,
        port: int = 0,
        api_key: str = API_KEY,
        bases: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
        clock: Clock = utc_now,
    ) -> None:
        super().__init__(port=port, clock=clock)
        if bases is None:
            bases = {BASE: [webhook(WEBHOOK, expires_at=clock() + timedelta(days=3))]}
        self.bases = {base: [deepcopy(dict(item)) for item in webhooks] for base, webhooks in bases.items()}
        self._api_key = api_key
        self._times: dict[str, deque[datetime]] = defaultdict(deque)
        self._barred_until: dict[str, datetime] = {}

    def answer(self, request: Request) -> Response:
        """List the webhooks of a base, or refresh one of them."""
        if request.bearer_token() != self._api_key:
            raise Rejected(UNAUTHORIZED)
        asked = WEBHOOKS_PATH.fullmatch(request.path)
        if not asked or asked["base"] not in self.bases or request.method != ("POST" if asked["webhook"] else "GET"):
            raise Rejected(NOT_FOUND)
        with self._lock:
            self._check_rate(asked["base"])
            webhooks = self.bases[asked["base"]]
            return (
                self._refresh(webhooks, asked["webhook"]) if asked["webhook"] else json_response({"webhooks": webhooks})
            )

    def state(self) -> dict[str, Any]:
        """Return the webhooks."""
        with self._lock:
            return {"bases": deepcopy(self.bases)}

    def _check_rate(self, base: str) -> None:
        """Allow REQUESTS_PER_SECOND in any second; block a faster caller for PENALTY."""
        now, times = self._clock(), self._times[base]
        while times and times[0] <= now - timedelta(seconds=1):
            times.popleft()
        if len(times) >= REQUESTS_PER_SECOND:
            self._barred_until[base] = now + PENALTY
        if now < self._barred_until.get(base, now):
            raise Rejected(RATE_LIMIT)
        times.append(now)

    def _refresh(self, webhooks: Sequence[dict[str, Any]], webhook_id: str) -> Response:
        found = next((item for item in webhooks if item["id"] == webhook_id), None)
        if found is None:
            raise Rejected(NOT_FOUND)
        expires_at, now = found["expirationTime"], self._clock()
        if not found["isHookEnabled"] or (expires_at and datetime.fromisoformat(expires_at) <= now):
            raise Rejected(NOT_ACTIVE)
        if expires_at:
            found["expirationTime"] = _written(now + LIFETIME)
        return json_response({"expirationTime": found["expirationTime"]})


def _written(moment: datetime | None) -> str | None:
    """Return a time in Airtable's format, with milliseconds."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
