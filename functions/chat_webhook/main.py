"""The chat_webhook function: Google Chat calls it for every message and click, and it replies within the request."""

import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import flask
import functions_framework

from answering import answer
from card_parts import Buttons
from chat_access import authenticate_chat, may_speak
from chat_event import Event, EventKind, identity_token, parse_event
from chat_reply import Reply, rendered, says
from chat_settings import ChatSettings
from conversation import SORRY, Conversation
from seal import Seal
from shared.errors import InvalidInput, InvalidSettings, StoreUnavailable
from shared.logs import hashed, log_chat_failure, trace_id
from shared.settings import ANY_FUNCTION, Settings
from shared.web.certificates import Certificates
from shared.web.endpoint import http_function, read_json

if TYPE_CHECKING:
    from shared.jobs import Jobs

log = logging.getLogger("watchkeeper.chat")

AGENT_LIMIT = timedelta(seconds=25)  # Chat waits for 30
NOT_NOW = "I cannot do that at the moment. The people who run this app find the reason in the log, under {}."
STRANGER = (
    "Sorry, I may not talk to you yet. Please ask the people who run this app to add your address to its list of users "
    "(ALLOWED_USERS)."
)


def clock() -> datetime:
    return datetime.now(UTC)


@lru_cache(maxsize=1)
def set_up(settings: Settings) -> ChatSettings:
    """Read this function's own settings, once per instance."""
    return ChatSettings.from_env(os.environ, settings)


@lru_cache(maxsize=2)
def certificates(url: str) -> Certificates:
    """Return the certificates of an identity provider, Chat itself or Google."""
    return Certificates(url)


@lru_cache(maxsize=1)
def button_key(settings: Settings) -> bytes:
    """Read the key that marks buttons, once per instance. Raises StoreUnavailable."""
    from seal_key import kept_key
    from shared.store.opening import open_store

    return kept_key(open_store(settings, clock), clock())


def jobs() -> "Jobs":
    """Open the jobs. Their imports wait for the first event that is about jobs."""
    from shared.jobs import open_jobs

    return open_jobs()


def respond(request: flask.Request, settings: Settings, now: datetime) -> Mapping[str, Any]:
    """Reply to one event in its own format.

    Nothing else happens before the sender is authenticated: the body is read only if the token may be in it, and only
    for the token.
    """
    chat, body = set_up(settings), cache(lambda: read_json(request))
    is_ours = authenticate_chat(
        request.headers,
        lambda: identity_token(body()),
        settings.auth,
        chat,
        address=settings.public_url,
        certificates=certificates(chat.certs_url),
        add_on_certificates=certificates(settings.certs_url),
        now=now,
    )
    event = parse_event(body())
    fields = {"action": "chat_event", "kind": event.kind, "space": event.space, "user": hashed(event.email)}
    log.info("Chat event: %s %s", event.kind, event.name, extra={"fields": fields})
    if event.kind in (EventKind.UNKNOWN, EventKind.QUIET) or not event.is_person:
        return {}
    if not may_speak(event, chat):
        return rendered(says(STRANGER, for_one=True), event)
    seal = None if is_ours else Seal(lambda: button_key(settings), event.space)
    return rendered(_reply(event, chat, settings, now, seal), event)


def _reply(event: Event, chat: ChatSettings, settings: Settings, now: datetime, seal: Seal | None) -> Reply | None:
    conversation = Conversation(
        event=event,
        buttons=Buttons(function=settings.public_url or ANY_FUNCTION, seal=seal, names=event.names),
        now=now,
        default_timezone=settings.timezone,
        jobs=jobs,
        agent=chat.agent,
        agent_limit=AGENT_LIMIT,
        trace_id=trace_id.get(),
    )
    try:
        return answer(conversation)
    except InvalidInput as exc:
        return says(str(exc), for_one=True)
    except (InvalidSettings, StoreUnavailable) as exc:
        log.error("%s", exc, extra={"fields": {"action": "chat_failed"}})
        return says(NOT_NOW.format(trace_id.get()), for_one=True)
    except Exception as exc:
        # Chat shows a person nothing but "not responding" for a 500.
        log_chat_failure("The conversation", exc)
        return says(SORRY.format(trace_id.get()), for_one=True)


serve = http_function("chat_webhook", respond, env=os.environ, clock=clock)


@functions_framework.http
def chat_webhook(request: flask.Request) -> flask.typing.ResponseReturnValue:
    """Handle a request from Google Chat."""
    return serve(request)
