"""A fake of posting to Google Chat: spaces.messages.create, checked against Google's own discovery document.

It plays what a Chat app may do that speaks as itself (app authentication). People are refused.

https://developers.google.com/workspace/chat/create-messages
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar

from shared.model.times import iso
from watchkeeper.fakes.discovery import Discovery
from watchkeeper.fakes.google_oauth import GoogleOAuth, Grant, api_error, unauthenticated
from watchkeeper.fakes.server import Clock, Fake, Fault, Rejected, Request, Response, json_response, utc_now

BOT_SCOPE = "https://www.googleapis.com/auth/chat.bot"
CREATE = "chat.spaces.messages.create"
REPLY_OR_NEW_THREAD = "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"
REPLY_OR_FAIL = "REPLY_MESSAGE_OR_FAIL"
LARGEST_MESSAGE = 32_000  # bytes, cards included
MESSAGE_ID = re.compile("client-[a-z0-9-]{1,56}")
APP = {"name": "users/100000000000000000000", "type": "BOT"}


def _error(code: int, status: str, message: str, reason: str = "") -> Response:
    """Word an error; Chat, being a newer API, has no list with a reason."""
    return api_error(code, status, message)


def _invalid(message: str) -> Rejected:
    return Rejected(_error(400, "INVALID_ARGUMENT", message))


NOT_A_MEMBER = _error(403, "PERMISSION_DENIED", "This Chat app is not a member of this space.")
NO_PERMISSION = _error(403, "PERMISSION_DENIED", "The caller does not have permission")
INSUFFICIENT_SCOPES = _error(403, "PERMISSION_DENIED", "Request had insufficient authentication scopes.")
RATE_LIMIT = _error(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).")


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message as it stands in a space. `body` is what was sent."""

    name: str
    space: str
    thread: str
    thread_key: str
    request_id: str
    message_id: str
    created_at: datetime
    body: Mapping[str, Any] = field(repr=False)

    @property
    def text(self) -> str:
        return str(self.body.get("text", ""))

    @property
    def cards(self) -> list[dict[str, Any]]:
        return list(self.body.get("cardsV2", ()))

    def resource(self) -> dict[str, Any]:
        """Return the message as Chat answers it."""
        return {
            **self.body,
            "name": self.name,
            "sender": APP,
            "createTime": iso(self.created_at),
            "thread": {"name": self.thread, **({"threadKey": self.thread_key} if self.thread_key else {})},
            "space": {"name": self.space},
            **({"clientAssignedMessageId": self.message_id} if self.message_id else {}),
        }


class Chat(Fake):
    """Takes messages from the service account of `oauth`, which is the Chat app.

    `spaces` are the names of those that the app is in (None: every one). `threads` are the names of those that people
    have begun (None: every name in the message's own space); the app's own are known as well. `messages` are in order.
    """

    name = "Google Chat"
    documented_errors: ClassVar[Mapping[str, Fault]] = {
        "not-a-member": NOT_A_MEMBER,
        "no-space": _error(404, "NOT_FOUND", "Space not found."),
        "unauthorized": unauthenticated("token"),
        "rate-limit": RATE_LIMIT,
        "rate-limit-1s": replace(RATE_LIMIT, headers={**RATE_LIMIT.headers, "Retry-After": "1"}),
        "internal": _error(500, "INTERNAL", "Internal error encountered."),
        "unavailable": _error(503, "UNAVAILABLE", "The service is currently unavailable."),
    }

    def __init__(
        self,
        oauth: GoogleOAuth,
        *,
        port: int = 0,
        spaces: Iterable[str] | None = None,
        threads: Iterable[str] | None = None,
        clock: Clock = utc_now,
    ) -> None:
        super().__init__(port=port, clock=clock)
        self.spaces = None if spaces is None else set(spaces)
        self.threads = None if threads is None else set(threads)
        self.messages: list[Message] = []
        self._api = Discovery("chat", "v1", _error)
        self._oauth = oauth

    def answer(self, request: Request) -> Response:
        """Check the request against the discovery document and the token, then post the message."""
        method = self._api.method_of(request, faked=(CREATE,))
        grant = self._grant(request)
        body = self._api.checked_body(request, method)
        self._check_access(grant, method.scopes)
        space = method.path["parent"]
        if self.spaces is not None and space not in self.spaces:
            raise Rejected(NOT_A_MEMBER)
        with self._lock:
            return json_response(self._posted(space, request.query, body).resource())

    def state(self) -> dict[str, Any]:
        """Return the messages."""
        with self._lock:
            messages = [message.resource() for message in self.messages]
        return {"spaces": None if self.spaces is None else sorted(self.spaces), "messages": messages}

    def _faults(self) -> dict[str, Fault]:
        return {**super()._faults(), "applied-but-cut": self._applied_but_cut}

    def _applied_but_cut(self, request: Request) -> None:
        """Post the message, but cut the connection instead of saying so."""
        self.answer(request)

    def _grant(self, request: Request) -> Grant:
        token = request.bearer_token()
        if grant := self._oauth.grant_of(token):
            return grant
        raise Rejected(unauthenticated(token))

    def _check_access(self, grant: Grant, scopes: Collection[str]) -> None:
        # The method's other scopes are for people.
        if BOT_SCOPE not in grant.scopes.intersection(scopes):
            raise Rejected(INSUFFICIENT_SCOPES)
        if grant.subject != self._oauth.service_account:
            raise Rejected(NO_PERMISSION)

    # -- Posting -------------------------------------------------------------------------------------------------------

    def _posted(self, space: str, query: Mapping[str, str], body: Mapping[str, Any]) -> Message:
        """Return the message that the same request has posted before, whatever it says now, or post a new one."""
        request_id, message_id = query.get("requestId", ""), query.get("messageId", "")
        earlier = [message for message in self.messages if message.space == space]
        for message in earlier:
            if request_id and message.request_id == request_id:
                return message
        _check_content(space, body)
        if message_id:
            _check_message_id(message_id, earlier)
        thread, thread_key = self._thread(space, query, body.get("thread", {}))
        message = Message(
            name=f"{space}/messages/M{len(self.messages) + 1}",
            space=space,
            thread=thread,
            thread_key=thread_key,
            request_id=request_id,
            message_id=message_id,
            created_at=self._clock(),
            body=body,
        )
        self.messages.append(message)
        return message

    def _thread(self, space: str, query: Mapping[str, str], asked: Mapping[str, str]) -> tuple[str, str]:
        """Choose the thread, by name or else by key, and return both. Without a reply option a new one is begun."""
        option = query.get("messageReplyOption")
        new_thread = f"{space}/threads/T{len(self.messages) + 1}"
        if option not in (REPLY_OR_NEW_THREAD, REPLY_OR_FAIL):
            return new_thread, ""
        if name := asked.get("name"):
            if self._has_thread(space, name):
                return name, ""
            if option == REPLY_OR_FAIL:
                raise Rejected(_error(404, "NOT_FOUND", "Thread not found."))
            return new_thread, ""
        # A key that is new begins a thread with either option.
        key = asked.get("threadKey") or query.get("threadKey", "")
        keyed = {message.thread_key: message.thread for message in self.messages if message.space == space}
        return (keyed.get(key, new_thread), key) if key else (new_thread, "")

    def _has_thread(self, space: str, name: str) -> bool:
        if not re.fullmatch(f"{re.escape(space)}/threads/[^/]+", name):
            return False
        return self.threads is None or name in self.threads or any(name == message.thread for message in self.messages)


def _check_content(space: str, body: Mapping[str, Any]) -> None:
    if not any(body.get(part) for part in ("text", "cardsV2", "cards")):
        raise _invalid(f"Message cannot be empty. Discarding empty create message request in {space}")
    if _size(body) > LARGEST_MESSAGE:
        raise _invalid(f"Message is longer than {LARGEST_MESSAGE} bytes")


def _size(body: Mapping[str, Any]) -> int:
    """Count the bytes of the text and of all else that is shown."""
    rest = {name: value for name, value in body.items() if name not in ("text", "thread")}
    shown = body.get("text", "") + (json.dumps(rest, ensure_ascii=False) if rest else "")
    return len(shown.encode("utf-8", "replace"))


def _check_message_id(message_id: str, earlier: Collection[Message]) -> None:
    if not MESSAGE_ID.fullmatch(message_id):
        raise _invalid(f"Invalid message_id: {message_id}")
    if any(message.message_id == message_id for message in earlier):
        raise Rejected(_error(409, "ALREADY_EXISTS", "Requested entity already exists"))
