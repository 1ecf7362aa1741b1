"""Chat's markup in what people write: mentions and links. A text to post keeps them; rules for times must not see them.

https://developers.google.com/workspace/chat/format-messages
"""

import re
from collections.abc import Mapping

MENTION = re.compile(r"<(users/[^<>\s]+)>")
_LINK = r"<https?://[^<>\s|]+(?:\|[^<>\n]*)?>"
# Texts, which `re` compiles for the first request for something new: `help` needs neither.
_MARKUP = rf"{MENTION.pattern}|{_LINK}"
_FIRST = 0xE000  # of the characters that mean nothing to anybody else
_RESERVED = "[\ue000-\uf8ff]"


def protected(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the text with one character instead of each mention and link, and what these stand for."""
    found = tuple(match[0] for match in re.finditer(_MARKUP, text))
    if not found or re.search(_RESERVED, text):
        return text, ()
    places = iter(range(len(found)))
    return re.sub(_MARKUP, lambda match: chr(_FIRST + next(places)), text), found


def restored(text: str, found: tuple[str, ...]) -> str:
    """Return the text with its mentions and links again."""
    return re.sub(_RESERVED, lambda match: found[ord(match[0]) - _FIRST], text) if found else text


def readable(text: str, names: Mapping[str, str] | None = None) -> str:
    """Return the text for a card, which has no such markup: @Bob for a mention, its label for a link."""
    known = {"users/all": "all", **(names or {})}
    named = MENTION.sub(lambda match: f"@{known.get(match[1], 'someone')}", text)
    return re.sub(r"<(https?://[^<>\s|]+)(?:\|([^<>\n]*))?>", lambda match: match[2] or match[1], named)
