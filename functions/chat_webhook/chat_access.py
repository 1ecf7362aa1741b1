"""Who may speak: Google Chat's own token proves that an event is Chat's; a list says which people are heard.

https://developers.google.com/workspace/chat/verify-requests-from-chat
"""

from dataclasses import replace
from datetime import datetime

from chat_event import Event
from chat_settings import ChatAuth, ChatSettings
from shared.auth import (
    AuthMode,
    AuthPolicy,
    Certificates,
    Headers,
    bearer_token,
    verified_caller,
    verified_claims,
)

CHAT = "chat@system.gserviceaccount.com"


def authenticate_chat(
    event: Event, headers: Headers, policy: AuthPolicy, chat: ChatSettings, *, certificates: Certificates, now: datetime
) -> None:
    """Raise Unauthorized or Forbidden unless the event comes from Google Chat, or CertificatesUnavailable."""
    if policy.mode is AuthMode.OFF:
        return
    if chat.auth is ChatAuth.PROJECT_NUMBER:
        verified_claims(
            bearer_token(headers, policy.mode),
            mode=policy.mode,
            audiences=chat.audiences,
            issuers=(CHAT,),
            certificates=certificates,
            now=now,
        )
        return
    token, mode = event.identity_token, AuthMode.VERIFY  # IAM has seen the header only, never the body
    if chat.auth is ChatAuth.ENDPOINT or not token:
        token, mode = bearer_token(headers, policy.mode), policy.mode
    callers = frozenset([CHAT]) if chat.auth is ChatAuth.ENDPOINT else policy.callers
    allowed = replace(policy, mode=mode, audiences=chat.audiences, callers=callers)
    verified_caller(token, allowed, certificates=certificates, now=now)


def may_speak(event: Event, chat: ChatSettings) -> bool:
    """Say whether the event's person is on the list; an empty list holds nobody."""
    name, _, domain = event.email.rpartition("@")
    return bool(name) and bool({event.email, f"*@{domain}"} & set(chat.allowed_users))
