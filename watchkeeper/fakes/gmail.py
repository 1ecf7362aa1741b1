"""A fake of Gmail's push watches: users.watch and users.stop, checked against Google's own discovery document.

https://developers.google.com/workspace/gmail/api/guides/push
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from shared.model.times import iso
from watchkeeper.fakes.discovery import Discovery
from watchkeeper.fakes.google_oauth import GoogleOAuth, Grant, api_error, unauthenticated
from watchkeeper.fakes.server import Clock, Fake, Fault, Rejected, Request, Response, json_response, utc_now

PROJECT = "watchkeeper-local"
LIFETIME = timedelta(days=7)
WATCH = "gmail.users.watch"
STOP = "gmail.users.stop"
TOPIC_ID = "[A-Za-z][A-Za-z0-9._~+%-]{2,254}"  # as Pub/Sub allows


def _error(code: int, status: str, message: str, reason: str) -> Response:
    return api_error(code, status, message, reason=reason)


def _invalid(message: str) -> Rejected:
    return Rejected(_error(400, "INVALID_ARGUMENT", message, "invalidArgument"))


def _not_published(request: Request, code: int, status: str, said: str, reason: str) -> Response:
    """Return watch's error when it could not publish its test notification."""
    topic = _topic_of(request)
    said = said.format(name=topic.rpartition("/")[2])
    return _error(code, status, f"Error sending test message to Cloud PubSub {topic} : {said}", reason)


def _no_topic(request: Request) -> Response:
    return _not_published(request, 404, "NOT_FOUND", "Resource not found (resource={name}).", "notFound")


def _not_a_publisher(request: Request) -> Response:
    said = "User not authorized to perform this action."
    return _not_published(request, 403, "PERMISSION_DENIED", said, "forbidden")


def _topic_of(request: Request) -> str:
    try:
        return str(request.json()["topicName"])
    except (ValueError, TypeError, KeyError):  # a fault may be set for any request
        return f"projects/{PROJECT}/topics/unknown"


UNAUTHORIZED = unauthenticated("token", reason="authError", location="Authorization", locationType="header")
OTHER_TOPIC = _error(
    400,
    "INVALID_ARGUMENT",
    "Only one user push notification client allowed per developer (call /stop then try again)",
    "invalidArgument",
)
FORBIDDEN = _error(
    403, "PERMISSION_DENIED", "Request had insufficient authentication scopes.", "insufficientPermissions"
)
MAIL_OFF = _error(400, "FAILED_PRECONDITION", "Mail service not enabled", "failedPrecondition")


@dataclass(frozen=True, kw_only=True)
class ActiveWatch:
    """A push watch in force on one mailbox. No labels means all of them."""

    topic: str
    labels: tuple[str, ...]
    expires_at: datetime


class Gmail(Fake):
    """Holds one watch for each mailbox that `oauth` grants access to.

    `topics` are the full names of the existing Pub/Sub topics (None: every topic of the project exists). `delay` is the
    duration of a watch call in seconds. `watches` and `renewals` (successful calls) are by mailbox.
    """

    name = "Gmail"
    documented_errors: ClassVar[Mapping[str, Fault]] = {
        "other-topic": OTHER_TOPIC,
        "not-a-publisher": _not_a_publisher,
        "no-topic": _no_topic,
        "mail-off": MAIL_OFF,
        "forbidden": FORBIDDEN,
        "unauthorized": UNAUTHORIZED,
        "quota": _error(403, "PERMISSION_DENIED", "Rate Limit Exceeded", "rateLimitExceeded"),
        "rate-limit": _error(429, "RESOURCE_EXHAUSTED", "Too many concurrent requests for user", "rateLimitExceeded"),
        "internal": _error(500, "INTERNAL", "Internal error encountered.", "backendError"),
        "unavailable": _error(503, "UNAVAILABLE", "The service is currently unavailable.", "backendError"),
    }

    def __init__(
        self,
        oauth: GoogleOAuth,
        *,
        port: int = 0,
        project: str = PROJECT,
        topics: Collection[str] | None = None,
        lifetime: timedelta = LIFETIME,
        clock: Clock = utc_now,
    ) -> None:
        super().__init__(port=port, clock=clock)
        self.topics = topics
        self.delay = 0.0
        self.watches: dict[str, ActiveWatch] = {}
        self.renewals: Counter[str] = Counter()
        self._api = Discovery("gmail", "v1", _error)
        self._oauth = oauth
        self._project = project
        self._lifetime = lifetime
        self._history_id = 1000
        self._at_work: set[str] = set()

    def answer(self, request: Request) -> Response:
        """Check the request against the discovery document and the token, then do what it asks."""
        method = self._api.method_of(request, faked=(WATCH, STOP))
        grant = self._grant(request)
        body = self._api.checked_body(request, method)
        _check_access(grant, method.scopes, method.path["userId"])
        return self._stop(grant.subject) if method.id == STOP else self._watch(request, body, grant)

    def state(self) -> dict[str, Any]:
        """Return the watches."""
        with self._lock:
            watches = {
                mailbox: {**vars(watch), "expires_at": iso(watch.expires_at)} for mailbox, watch in self.watches.items()
            }
            return {"watches": watches, "renewals": dict(self.renewals)}

    def _grant(self, request: Request) -> Grant:
        token = request.bearer_token()
        if grant := self._oauth.grant_of(token):
            return grant
        missing = unauthenticated("", reason="required", location="Authorization", locationType="header")
        raise Rejected(UNAUTHORIZED if token else missing)

    def _watch(self, request: Request, body: Mapping[str, Any], grant: Grant) -> Response:
        if grant.subject == self._oauth.service_account:
            # A service account has no mailbox of its own.
            raise Rejected(_error(400, "FAILED_PRECONDITION", "Precondition check failed.", "failedPrecondition"))
        topic = body.get("topicName") or ""
        if not re.fullmatch(f"projects/{re.escape(self._project)}/topics/{TOPIC_ID}", topic):
            raise _invalid(f"Invalid topicName does not match projects/{self._project}/topics/*")
        if self.topics is not None and topic not in self.topics:
            raise Rejected(_no_topic(request))
        with self._only_call(grant.subject):
            self._closing.wait(self.delay)
            return self._renewed(grant.subject, topic, tuple(body.get("labelIds") or ()))

    @contextmanager
    def _only_call(self, mailbox: str) -> Iterator[None]:
        with self._lock:
            if mailbox in self._at_work:
                raise Rejected(OTHER_TOPIC)
            self._at_work.add(mailbox)
        try:
            yield
        finally:
            with self._lock:
                self._at_work.remove(mailbox)

    def _renewed(self, mailbox: str, topic: str, labels: tuple[str, ...]) -> Response:
        now = self._clock()
        with self._lock:
            active = self.watches.get(mailbox)
            if active and active.expires_at > now and active.topic != topic:
                raise Rejected(OTHER_TOPIC)
            self._history_id += 1
            self.renewals[mailbox] += 1
            watch = self.watches[mailbox] = ActiveWatch(topic=topic, labels=labels, expires_at=now + self._lifetime)
            expiration = round(watch.expires_at.timestamp() * 1000)
            return json_response({"historyId": str(self._history_id), "expiration": str(expiration)})

    def _stop(self, mailbox: str) -> Response:
        with self._lock:
            self.watches.pop(mailbox, None)
        return Response(status=204)


def _check_access(grant: Grant, scopes: Collection[str], user: str) -> None:
    if grant.scopes.isdisjoint(scopes):
        raise Rejected(FORBIDDEN)
    if user.lower() not in ("me", grant.subject):
        raise Rejected(_error(403, "PERMISSION_DENIED", f"Delegation denied for {grant.subject}", "forbidden"))
