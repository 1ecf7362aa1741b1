"""The settings of chat_webhook, from its environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.settings import GOOGLE_CERTS_URL, AuthMode, Environment, Settings, http_url

CHAT_CERTS_URL = "https://www.googleapis.com/service_accounts/v1/metadata/x509/chat@system.gserviceaccount.com"


class ChatAuth(StrEnum):
    """Which kind of token Chat sends; it follows from how the app is configured there."""

    ADDON = "addon"
    ENDPOINT = "endpoint"
    PROJECT_NUMBER = "project_number"


@dataclass(frozen=True, kw_only=True)
class ChatSettings:
    """Who may use the app, and who replies. `allowed_users` are e-mail addresses or `*@domain`, in lower case."""

    auth: ChatAuth
    audiences: tuple[str, ...]
    allowed_users: tuple[str, ...]
    certs_url: str
    agent: str

    @classmethod
    def from_env(cls, env: Mapping[str, str], settings: Settings) -> "ChatSettings":
        """Read the settings. Raises InvalidSettings, naming every missing or malformed one."""
        read = Environment(env)
        auth = ChatAuth(read.one_of("CHAT_AUTH", ChatAuth.ADDON, *ChatAuth))
        chat = cls(
            auth=auth,
            audiences=read.words("CHAT_AUDIENCE"),
            allowed_users=read.parsed("ALLOWED_USERS", (), _users),
            certs_url=read.parsed(
                "AUTH_CERTS_URL", CHAT_CERTS_URL if auth is ChatAuth.PROJECT_NUMBER else GOOGLE_CERTS_URL, http_url
            ),
            agent=read.text("CHAT_AGENT"),
        )
        if auth is ChatAuth.PROJECT_NUMBER and settings.auth.mode is AuthMode.PLATFORM:
            read.problems["CHAT_AUTH"] = (
                "CHAT_AUTH is project_number, whose tokens Cloud Run IAM cannot check, so the function must be public: "
                "set AUTH_MODE=verify"
            )
        if settings.auth.mode is not AuthMode.OFF and not chat.audiences:
            read.problems["CHAT_AUDIENCE"] = (
                "CHAT_AUDIENCE is not set: give the function's address, or the project's number"
            )
        if settings.auth.mode is not AuthMode.OFF and auth is ChatAuth.ADDON and not settings.auth.callers:
            read.problems["AUTH_CALLERS"] = (
                "AUTH_CALLERS is not set: with CHAT_AUTH=addon give the add-on's service account, "
                "service-PROJECT_NUMBER@gcp-sa-gsuiteaddons.iam.gserviceaccount.com"
            )
        read.refuse_problems()
        return chat


def _users(text: str) -> tuple[str, ...]:
    users = tuple(word.strip().lower() for word in text.split(",") if word.strip())
    for user in users:
        if not re.fullmatch(r"(\*|[^@\s*]+)@[^@\s*]+", user):
            raise ValueError(f"{user[:100]!r} is neither an e-mail address nor *@domain")
    return users
