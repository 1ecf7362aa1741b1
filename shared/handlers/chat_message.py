"""Jobs that post to Google Chat: `chat_message` posts a message, `agent` asks the user's agent and posts its answer.

Both post as the Chat app itself, with the identity that this runs as. The execution key is sent as `requestId`, so that
a repeated run posts once. No error quotes a token or the text of a message.

https://developers.google.com/workspace/chat/create-messages
"""

import importlib
import json
import os
import re
import time
from collections.abc import Mapping
from datetime import timedelta
from http.client import HTTPException, responses
from typing import Any, cast
from urllib.parse import urlencode

from shared.errors import InvalidInput
from shared.handlers.agent import (
    ASKER,
    SPACE_KINDS,
    Agent,
    AgentContext,
    Proposal,
    UnusableAnswer,
    as_answer,
    load_agent,
)
from shared.handlers.agent_tools import with_jobs
from shared.handlers.asking import routed, unpack_asked
from shared.handlers.proposal import proposed_message
from shared.handlers.registry import LONGEST_IN_QUEUE, Cancel, Context, InvalidPayload, Payload, Snooze
from shared.handlers.space_jobs import AllJobs
from shared.logs import log_chat_failure
from shared.model.recurrence import InvalidSchedule, load_timezone
from shared.model.wording import person
from shared.settings import ANY_FUNCTION, Environment, http_url
from shared.web.chat_rules import encoded, in_parts, is_thread_of
from shared.web.google_credentials import NoToken, access_token
from shared.web.outbound import Response, any_address, exchange, read_target
from shared.web.retry_after import parse_retry_after

SCOPE = "https://www.googleapis.com/auth/chat.bot"
ENDPOINT = "https://chat.googleapis.com"
TIMEOUT_SECONDS = 10  # for a token, and for each request
MAX_ASKER_CHARACTERS = 500
MAX_AGENT_SECONDS = LONGEST_IN_QUEUE // timedelta(seconds=1)
MAX_ANSWER_BYTES = 2**20  # Chat answers with the whole message
WAIT_WHEN_BUSY = timedelta(seconds=30)
# Chat takes one message a second in a space. Waiting within the run keeps the messages in order.
FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(seconds=8)


class NotPosted(Exception):
    """The message may not have been posted. The job tries again, and Chat recognises the same `requestId`."""


class AgentFailed(Exception):
    """The agent raised an error, or its answer is unusable. What a person wrote is not quoted."""


def check_message(payload: Payload) -> None:
    """Check the payload of a message: {space, thread, text, cardsV2}. Raises InvalidPayload."""
    _check_place(payload, "chat_message", "text", "cardsV2")
    text, cards = payload.get("text"), payload.get("cardsV2")
    if text is None and cards is None:
        raise InvalidPayload("chat_message needs text, cardsV2 or both")
    if text is not None and not _has_text(text):
        raise InvalidPayload("chat_message: text must be a non-empty string")
    if cards is not None and not (isinstance(cards, list) and cards and all(isinstance(card, dict) for card in cards)):
        raise InvalidPayload('chat_message: cardsV2 must be a list of cards, each {"cardId": "...", "card": {...}}')


def check_question(payload: Payload) -> None:
    """Check the payload of a question to the agent. Raises InvalidPayload.

    It is {prompt, space, thread, timeout_seconds}, who asks ({timezone} and ASKER), and `asked`, the message or action
    in Chat that it answers.
    """
    _check_place(payload, "agent", "prompt", "timeout_seconds", "timezone", "asked", *ASKER)
    seconds = payload.get("timeout_seconds", 1)
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 1 <= seconds <= MAX_AGENT_SECONDS:
        raise InvalidPayload(f"agent: timeout_seconds must be a whole number from 1 to {MAX_AGENT_SECONDS}")
    if not _has_text(payload.get("prompt")) and not (payload.get("prompt") == "" and _asked(payload).get("action")):
        raise InvalidPayload("agent: prompt must be a non-empty string")
    _check_asker(payload)


def _asked(payload: Payload) -> dict[str, Any]:
    try:
        return unpack_asked(payload["asked"]) if "asked" in payload else {}
    except InvalidInput as exc:
        raise InvalidPayload(f"agent: {exc}") from None


def _check_asker(payload: Payload) -> None:
    _asked(payload)
    for name in ("timezone", *ASKER):
        text = payload.get(name, "x")
        if not _has_text(text) or len(text) > MAX_ASKER_CHARACTERS:
            raise InvalidPayload(f"agent: {name} must be a text of 1 to {MAX_ASKER_CHARACTERS} characters")
    if payload.get("space_kind", SPACE_KINDS[0]) not in SPACE_KINDS:
        raise InvalidPayload(f"agent: space_kind must be one of {', '.join(SPACE_KINDS)}")
    try:
        load_timezone(payload.get("timezone", "UTC"))
    except InvalidSchedule as exc:
        raise InvalidPayload(f"agent: {exc}") from None


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


def _has_text(text: object) -> bool:
    return isinstance(text, str) and bool(text.strip())


def limit_of(payload: Payload) -> timedelta:
    """Return how long the agent may take."""
    return timedelta(seconds=payload.get("timeout_seconds", MAX_AGENT_SECONDS))


def chat_message(payload: Payload, context: Context) -> None:
    """Post the text and the cards of the payload."""
    post({name: payload[name] for name in ("text", "cardsV2") if payload.get(name) is not None}, payload, context)


def agent(payload: Payload, context: Context) -> object:
    """Ask the user's agent, post its answer if it has one, and return the text of that, or the message without one.

    A proposal is posted with a button that opens its Confirm card. Raises AgentFailed, and passes on an agent's own
    Snooze and Cancel.
    """
    read = Environment(os.environ)
    timezone = read.parsed("SCHEDULER_TIMEZONE", "UTC", lambda text: load_timezone(text).key)
    read.refuse_problems()
    ask = load_agent(read.text("CHAT_AGENT"))
    if ask is None:
        raise Cancel("CHAT_AGENT is not set, so there is no agent to ask; set it to module:function")
    asked = with_jobs(_agent_context(payload, context, timezone), _open_jobs)
    answer = _answer(ask, payload["prompt"], asked)
    if answer is None:
        return None
    if isinstance(answer, Proposal):
        message = _proposed(answer, asked, context.created_by)
    else:
        message = routed(answer, _function())
    post(message, payload, context)
    return message.get("text", message)


def _agent_context(payload: Payload, context: Context, default_timezone: str) -> AgentContext:
    """Return what the agent knows, with the fields that the payload kept about who asks and what."""
    return AgentContext(
        space=payload["space"],
        thread=payload.get("thread"),
        user=person(context.created_by),
        timezone=payload.get("timezone") or context.timezone or default_timezone,
        idempotency_key=context.execution_key,
        now=context.started_at,
        **{name: payload[name] for name in ASKER if name in payload},
        **_asked(payload),
    )


def _answer(ask: Agent, prompt: str, context: AgentContext) -> Proposal | dict[str, Any] | None:
    try:
        return as_answer(ask(prompt, context))
    except (Snooze, Cancel):
        raise
    except UnusableAnswer as exc:
        raise AgentFailed(str(exc)) from None
    except Exception as exc:
        log_chat_failure("The agent", exc)
        raise AgentFailed(f"the agent raised {type(exc).__name__}; see the log for the location") from None


def _proposed(proposal: Proposal, asked: AgentContext, created_by: str | None) -> dict[str, Any]:
    """Return the message that shows a proposal. The job belongs to who made this one, or to who confirms it."""
    name = "" if asked.space_kind == "direct" else asked.display_name or asked.user
    asker = {"user": asked.user_name, "by": asked.user, **({"name": name} if name else {})}
    by = asker if (created_by or "").startswith(("chat:", "agent:")) else {}
    try:
        return proposed_message(proposal, by, timezone=asked.timezone, now=asked.now, function=_function())
    except InvalidInput as exc:
        raise AgentFailed(f"the agent proposed a job that cannot be scheduled: {exc}") from None


def _function() -> str:
    """Return what a button calls."""
    read = Environment(os.environ)
    function = read.parsed("PUBLIC_URL", "", http_url) or ANY_FUNCTION
    read.refuse_problems()
    return function


def _open_jobs() -> AllJobs:
    # By name, as the registry finds its handlers: `shared.jobs` is in a layer above this one.
    return cast(AllJobs, importlib.import_module("shared.jobs").open_jobs())


def post(message: Mapping[str, Any], place: Payload, context: Context) -> None:
    """Post a message to the space and thread of `place`, once for each execution key; a long one in several parts.

    Raises Snooze if Chat is busy, Cancel if Chat refuses, NotPosted if another attempt may succeed.
    """
    thread = place.get("thread")
    for number, part in enumerate(in_parts(message), 1):
        request_id = context.execution_key if number == 1 else f"{context.execution_key}#{number}"
        created = _post_part(part, place["space"], thread, request_id, context)
        thread = thread or _thread_of(created, place["space"])  # a long message stays together


def _post_part(
    part: Mapping[str, Any], space: str, thread: str | None, request_id: str, context: Context
) -> Mapping[str, Any]:
    """Post one message, and return it as Chat created it."""
    if context.stop.is_set():
        raise NotPosted(f"not all was posted: stopped ({context.stop_reason})")
    placed = {**part, "thread": {"name": thread}} if thread else part
    response = _send(_url(space, request_id, in_thread=bool(thread)), encoded(placed), context)
    answer = _read_json(response.body)
    if not 200 <= response.status < 300:
        raise _refusal(response, answer, space, context)
    if not isinstance(answer, dict) or "name" not in answer:
        raise NotPosted("the response of Chat is not the created message")
    return answer


def _thread_of(created: Mapping[str, Any], space: str) -> str | None:
    thread = created.get("thread")
    name = thread.get("name") if isinstance(thread, Mapping) else None
    return name if is_thread_of(space, name) else None


def _send(url: str, body: bytes, context: Context) -> Response:
    """Send the message, repeatedly while Chat is busy and the waits are short. Raises NotPosted."""
    wait = FIRST_WAIT
    while True:
        try:
            response = _authenticated_post(url, body)
        except NoToken as exc:
            raise NotPosted(f"could not get an access token for Chat: {_short(exc.said)}") from None
        except (OSError, HTTPException) as exc:
            raise NotPosted(f"no response from Chat ({type(exc).__name__})") from None
        asked = parse_retry_after(response.headers["retry-after"], context.started_at) or wait
        if response.status != 429 or asked > LONGEST_WAIT or wait > LONGEST_WAIT:
            return response
        if context.stop.wait(asked / timedelta(seconds=1)):
            return response
        wait *= 2


def _url(space: str, request_id: str, *, in_thread: bool) -> str:
    read = Environment(os.environ)
    endpoint = read.parsed("CHAT_API_ENDPOINT", ENDPOINT, _endpoint)
    read.refuse_problems()
    # The key unchanged: Chat documents no form for a requestId, and so both sides have the same text to search for.
    query = {"requestId": request_id}
    if in_thread:
        query["messageReplyOption"] = "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"
    return f"{endpoint}/v1/{space}/messages?{urlencode(query)}"


def _endpoint(text: str) -> str:
    read_target(http_url(text))
    return text.rstrip("/")


def _authenticated_post(url: str, body: bytes) -> Response:
    """Send the body, and again with a new token if Chat refuses the first one. Raises NoToken, OSError and others.

    https://developers.google.com/workspace/chat/authenticate-authorize-chat-app
    """
    token = ""
    for _ in range(2):
        token = access_token(SCOPE, time.monotonic() + TIMEOUT_SECONDS, refused=token)
        response = exchange(
            "POST",
            read_target(url),
            {"authorization": f"Bearer {token}", "content-type": "application/json", "user-agent": "Watchkeeper"},
            body,
            ends_at=time.monotonic() + TIMEOUT_SECONDS,
            check=any_address,
            max_bytes=MAX_ANSWER_BYTES,
        )
        if response.status != 401:
            break
    return response


def _read_json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _refusal(response: Response, answer: Any, space: str, context: Context) -> Exception:
    """Return the exception for a message that Chat did not accept."""
    status, reason = response.status, _reason(response.status, answer)
    said = f"Chat said {status} {_short(reason)}"
    if status == 429:
        delay = parse_retry_after(response.headers["retry-after"], context.started_at)
        return Snooze(delay or WAIT_WHEN_BUSY, said)
    if status == 408 or status >= 500:
        return NotPosted(said)
    return Cancel(f"{said}; {_remedy(status, reason, space)}")


def _reason(status: int, answer: Any) -> str:
    """Return the message of an error in the form of Google's APIs, or the meaning of its status."""
    error = answer.get("error") if isinstance(answer, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return message if isinstance(message, str) else responses.get(status, "")


def _remedy(status: int, said: str, space: str) -> str:
    if status == 403 and "scope" in said:
        return f"post with a service account's credentials, which can have the scope {SCOPE}"
    if status in (403, 404):
        return f"check that the Chat app is in {space}, and belongs to the project of the identity that this runs as"
    if status == 401:
        return "check that this runs as a service account of the Chat app's project"
    return "check that Chat accepts the text and the cards"


def _short(said: str) -> str:
    return " ".join(said.split())[:300]
