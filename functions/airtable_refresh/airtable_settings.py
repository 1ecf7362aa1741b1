"""The settings of airtable_refresh."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.settings import Environment, http_url

ENDPOINT = "https://api.airtable.com"


@dataclass(frozen=True, kw_only=True)
class AirtableSettings:
    """The bases whose webhooks are kept alive, and the personal access token for them."""

    api_key: str = field(repr=False)
    bases: tuple[str, ...]
    endpoint: str

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "AirtableSettings":
        """Read the settings. Raises InvalidSettings, naming every missing or malformed one."""
        read = Environment(env)
        settings = cls(
            api_key=read.required("AIRTABLE_API_KEY", "", _token),
            bases=read.required_words("AIRTABLE_BASE_ID", _base),
            endpoint=read.parsed("AIRTABLE_API_ENDPOINT", ENDPOINT, http_url),
        )
        read.refuse_problems()
        return settings


def _token(text: str) -> str:
    if not re.fullmatch(r"[!-~]+", text):
        raise ValueError("it must be a personal access token, one word of ASCII")
    return text


def _base(text: str) -> str:
    if not re.fullmatch(r"app[A-Za-z0-9]{14}", text):
        raise ValueError("a base id is app and 14 letters or digits, as in the base's address")
    return text
