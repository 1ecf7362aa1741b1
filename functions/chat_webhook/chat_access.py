"""Authentication and authorisation: Google Chat's token proves who sent an event, and a list says who may use the app.

https://developers.google.com/workspace/chat/verify-requests-from-chat
"""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial

from chat_event import Event
from chat_settings import ChatAuth, ChatSettings
from shared.settings import AuthMode, AuthPolicy
from shared.web.auth import (
    GOOGLE_ISSUERS,
    Headers,
    bearer_token,
    claimed_issuer,
    verified_caller,
    verified_claims,
)
from shared.web.certificates import Certificates

CHAT = "chat@system.gserviceaccount.com"
ADD_ONS = "gcp-sa-gsuiteaddons.iam.gserviceaccount.com"
ADD_ON_ACCOUNT = re.compile(rf"service-[0-9]+@{re.escape(ADD_ONS)}", re.I)


def authenticate_chat(
    headers: Headers,
    in_body: Callable[[], str],
    policy: AuthPolicy,
    chat: ChatSettings,
    *,
    address: str,
    certificates: Certificates,
    add_on_certificates: Certificates,
    now: datetime,
) -> bool:
    """Return whether the token proves our own app as the sender; False if it proves only Google Chat, for any app.

    Chat also sends add-on tokens to apps that were not set up as add-ons. Such a token names the account of the app's
    project, so it is accepted in addition to the app's own kind if that account is known. `in_body` reads the token in
    the body, and is called only if it counts. `address` is the function's URL, the audience of add-ons.

    Raises Unauthorized or Forbidden for anything else, or CertificatesUnavailable.
    """
    if policy.mode is AuthMode.OFF:
        return True
    check = partial(verified_caller, certificates=add_on_certificates, now=now)
    allowed = replace(policy, audiences=chat.audiences)
    # IAM has seen the header only, never the body.
    if chat.auth is ChatAuth.ADDON and (token := in_body()):
        check(token, replace(allowed, mode=AuthMode.VERIFY))
        return True
    token = bearer_token(headers, policy.mode)
    match chat.auth:
        case ChatAuth.ADDON:
            check(token, allowed)
        case ChatAuth.ENDPOINT:
            add_ons = filter(ADD_ON_ACCOUNT.fullmatch, policy.callers)
            return check(token, replace(allowed, callers=frozenset([CHAT, *add_ons]))) != CHAT
        case ChatAuth.PROJECT_NUMBER if address and claimed_issuer(token) in GOOGLE_ISSUERS:
            accounts = frozenset(f"service-{number}@{ADD_ONS}" for number in chat.audiences if number.isdigit())
            check(token, replace(policy, audiences=(address,), callers=accounts))
        case ChatAuth.PROJECT_NUMBER:
            verified_claims(
                token,
                mode=policy.mode,
                audiences=chat.audiences,
                issuers=(CHAT,),
                certificates=certificates,
                now=now,
            )
    return True


def may_speak(event: Event, chat: ChatSettings) -> bool:
    """Return whether the event's person is on the list; an empty list allows nobody."""
    name, _, domain = event.email.rpartition("@")
    return bool(name) and bool({event.email, f"*@{domain}"} & set(chat.allowed_users))
