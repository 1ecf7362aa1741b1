"""What jobs say in Google Chat: `chat_message` posts a message, `agent` asks the user's agent and posts its answer.

Both post as the Chat app itself, with the identity that this runs as. The execution key goes along as `requestId`,
so that a run that is repeated posts once. No message of an error holds a token or the text of a message.

https://developers.google.com/workspace/chat/create-messages
"""

import os
import re
import threading
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache, partial
from http.client import HTTPException
from typing import Any

from shared.handlers.agent import AgentContext, as_message, encoded, fitted, load_agent, log_failure
from shared.handlers.http_request import parse_retry_after
from shared.handlers.registry import Context, InvalidPayload, Later, NeverAgain, Payload, handler
from shared.model.recurrence import load_timezone
from shared.model.wording import person
from shared.settings import Environment, http_url

SCOPE = "https://www.googleapis.com/auth/chat.bot"
ENDPOINT = "https://chat.googleapis.com"
TIMEOUT_SECONDS = 10  # for each request
WAIT_WHEN_BUSY = timedelta(seconds=30)

_refreshing = threading.Lock()


class NotPosted(Exception):
    """The message was not posted for certain, and may be when it is tried again."""


class AgentFailed(Exception):
    """The agent raised an error. Its text may quote what a person wrote, and is told nowhere."""


def is_thread_of(space: str, thread: object) -> bool:
    """Say whether this is the name of a thread in this space."""
    return isinstance(thread, str) and bool(re.fullmatch(rf"{re.escape(space)}/threads/[A-Za-z0-9_.-]+", thread))


def check_message(payload: Payload) -> None:
    """Refuse what is no message: {space, thread, text, cardsV2}. Raises InvalidPayload."""
    _check_place(payload, "chat_message", "text", "cardsV2")
    text, cards = payload.get("text"), payload.get("cardsV2")
    if text is None and cards is None:
        raise InvalidPayload("chat_message needs text, cardsV2 or both")
    if text is not None and not _is_said(text):
        raise InvalidPayload("chat_message: text must be a text that is not empty")
    if cards is not None and not (isinstance(cards, list) and cards and all(isinstance(card, dict) for card in cards)):
        raise InvalidPayload('chat_message: cardsV2 must be a list of cards, each {"cardId": "...", "card": {...}}')


def check_question(payload: Payload) -> None:
    """Refuse what is no question to the agent: {prompt, space, thread}. Raises InvalidPayload."""
    _check_place(payload, "agent", "prompt")
    if not _is_said(payload.get("prompt")):
        raise InvalidPayload("agent: prompt must be a text that is not empty")


def _check_place(payload: Payload, job_type: str, *others: str) -> None:
    known = (*others, "space", "thread")
    if unknown := payload.keys() - set(known):
        raise InvalidPayload(
            f"{job_type} does not know {', '.join(sorted(map(str, unknown)))}; it knows {', '.join(known)}"
        )
    space, thread = payload.get("space"), payload.get("thread")
    if not isinstance(space, str) or not re.fullmatch(r"spaces/[A-Za-z0-9_-]+", space):
        raise InvalidPayload(f"{job_type}: space must be the name of a Chat space, like spaces/AAAABBBB")
    if thread is not None and not is_thread_of(space, thread):
        raise InvalidPayload(f"{job_type}: thread must be the name of a thread in that space, like {space}/threads/ID")


def _is_said(text: object) -> bool:
    return isinstance(text, str) and bool(text.strip())


@handler("chat_message", timeout=timedelta(seconds=30), check=check_message)
def chat_message(payload: Payload, context: Context) -> None:
    """Post the text and the cards of the payload."""
    post({name: payload[name] for name in ("text", "cardsV2") if payload.get(name) is not None}, payload, context)


@handler("agent", timeout=timedelta(seconds=120), check=check_question)
def agent(payload: Payload, context: Context) -> None:
    """Ask the user's agent, and post its answer. Raises AgentFailed, or Later and NeverAgain if the agent does."""
    read = Environment(os.environ)
    timezone = read.parsed("SCHEDULER_TIMEZONE", "UTC", lambda text: load_timezone(text).key)
    read.refuse_problems()
    ask = load_agent(read.text("CHAT_AGENT"))
    if ask is None:
        raise NeverAgain("CHAT_AGENT is not set, so there is no agent to ask; set it to module:function")
    question = AgentContext(
        space=payload["space"],
        thread=payload.get("thread"),
        user=person(context.created_by),
        timezone=timezone,
        idempotency_key=context.execution_key,
        now=context.started_at,
    )
    try:
        answer = as_message(ask(payload["prompt"], question))
    except (Later, NeverAgain):
        raise
    except Exception as exc:
        log_failure("The agent", exc)
        raise AgentFailed(f"the agent raised {type(exc).__name__}; the log has where") from None
    post(answer, payload, context)


def post(message: Mapping[str, Any], place: Payload, context: Context) -> None:
    """Post a message to the space and thread of `place`, once for each execution key.

    Raises Later when Chat is busy, NeverAgain when it refuses, NotPosted when it may help to try again.
    """
    from google.auth.exceptions import GoogleAuthError
    from googleapiclient.errors import HttpError
    from httplib2 import HttpLib2Error

    if context.stop.is_set():
        raise NotPosted(f"nothing was posted: stopped ({context.stop_reason})")
    thread = {"thread": {"name": place["thread"]}} if place.get("thread") else {}
    try:
        created = _create(place["space"], fitted({**message, **thread}), context.execution_key)
    except HttpError as exc:
        raise _refusal(exc, place["space"], context) from None
    except GoogleAuthError as exc:
        said = next((arg for arg in exc.args if isinstance(arg, str)), type(exc).__name__)
        raise NotPosted(f"no access token for Chat could be had: {_short(said)}") from None
    except (HttpLib2Error, HTTPException, OSError) as exc:
        raise NotPosted(f"Chat said nothing ({type(exc).__name__})") from None
    if not isinstance(created, dict) or "name" not in created:
        raise NotPosted("Chat said what is no answer to a message")


def _create(space: str, message: Mapping[str, Any], request_id: str) -> Any:
    import httplib2
    from google_auth_httplib2 import AuthorizedHttp

    read = Environment(os.environ)
    endpoint = read.parsed("CHAT_API_ENDPOINT", ENDPOINT, http_url)
    read.refuse_problems()
    request = _messages(endpoint).create(
        parent=space,
        body=message,
        # The key as it is: Chat documents no form for a requestId, and as it is it can be found on either side.
        requestId=request_id,
        messageReplyOption="REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD" if "thread" in message else None,
    )
    request.body = encoded(message)  # the client would write what is not ASCII as \u1234, of twice its length or more
    request.body_size = len(request.body)
    # One for each call, since it is not made for several threads. A 401 fetches a new token, once.
    http = AuthorizedHttp(_credentials(), http=httplib2.Http(timeout=TIMEOUT_SECONDS), max_refresh_attempts=1)
    try:
        return request.execute(http=http)
    finally:
        http.close()


@lru_cache(maxsize=1)
def _messages(endpoint: str) -> Any:
    """Read Chat's discovery document, once: it takes 45 ms."""
    import httplib2
    from googleapiclient.discovery import build

    offline = {"http": httplib2.Http(), "static_discovery": True, "cache_discovery": False}
    return build("chat", "v1", **offline, client_options={"api_endpoint": endpoint}).spaces().messages()


def _credentials() -> Any:
    """Give credentials with a token that is still good for a while. Raises GoogleAuthError or NotPosted."""
    try:
        with _refreshing:
            credentials, fetch = _own_credentials()
            if not credentials.valid:
                credentials.refresh(fetch)
    except (ValueError, LookupError, TypeError) as exc:
        raise NotPosted(f"no access token for Chat could be had ({type(exc).__name__})") from None
    return credentials


@lru_cache(maxsize=1)
def _own_credentials() -> tuple[Any, Any]:
    """Find the credentials of the place where this runs, and what fetches their tokens, with a time-out."""
    import google.auth
    import urllib3
    from google.auth.transport.urllib3 import Request

    pool = urllib3.PoolManager(retries=False)
    fetch: Any = partial(Request(pool), timeout=TIMEOUT_SECONDS)  # type: ignore[no-untyped-call]  # google-auth's own
    credentials, _ = google.auth.default(scopes=[SCOPE], request=fetch)
    return credentials, fetch


def _refusal(exc: Any, space: str, context: Context) -> Exception:
    """Say what becomes of a job whose message Chat did not take."""
    status, said = exc.status_code, f"Chat said {exc.status_code} {_short(exc.reason)}"
    if status == 429:
        return Later(parse_retry_after(exc.resp.get("retry-after"), context.started_at) or WAIT_WHEN_BUSY, said)
    if status == 408 or status >= 500:
        return NotPosted(said)
    return NeverAgain(f"{said}; {_remedy(status, exc.reason, space)}")


def _remedy(status: int, said: str, space: str) -> str:
    if status == 403 and "scope" in said:
        return f"post with a service account's credentials, which can have the scope {SCOPE}"
    if status in (403, 404):
        return f"see that the Chat app is in {space}, and belongs to the project of the identity that this runs as"
    if status == 401:
        return "see that this runs as a service account of the Chat app's project"
    return "see that the text or the cards are such as Chat takes"


def _short(said: str) -> str:
    return " ".join(said.split())[:300]
