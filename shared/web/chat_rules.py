"""What Google Chat accepts: the names of threads, and how long a message may be; a longer one is cut or split.

https://developers.google.com/workspace/chat/create-messages
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Any

MAX_BYTES = 32_000  # of a message, cards included
TEXT_IS_CUT = " ... (cut: the answer was longer than Chat takes)"
PART_BYTES = MAX_BYTES - 500  # leaves room for the name of a thread
MOST_PARTS = 10  # of one text
CARDS_ARE_LEFT_OUT = "(The cards are left out: they were longer than Chat takes.)"


def is_thread_of(space: str, thread: object) -> bool:
    """Return whether this is the name of a thread in this space."""
    return isinstance(thread, str) and bool(re.fullmatch(rf"{re.escape(space)}/threads/[A-Za-z0-9_.-]+", thread))


def encoded(message: object) -> bytes:
    """Return a message, or a part of one, as JSON in UTF-8, without escapes that would make it longer."""
    return json.dumps(message, ensure_ascii=False, allow_nan=False).encode()


def fitted(message: Mapping[str, Any], most: int = MAX_BYTES) -> dict[str, Any]:
    """Return the message at a length that Chat accepts: a text is cut, cards are left out, and the message says so.

    A text is cut at the last line break or space that fits, or within its last word if that is very long.
    """
    whole = dict(message)
    if len(encoded(whole)) <= most:
        return whole
    text = whole.get("text", "")
    room = most - len(encoded({**whole, "text": TEXT_IS_CUT}))
    if "cardsV2" in whole and room <= 0:
        del whole["cardsV2"]
        return fitted({**whole, "text": f"{text}\n\n{CARDS_ARE_LEFT_OUT}" if text else CARDS_ARE_LEFT_OUT}, most)
    return {**whole, "text": _cut(text, room) + TEXT_IS_CUT}


def in_parts(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the messages that together hold this one, each at a length that Chat accepts with a thread.

    A text is split at a paragraph, else at a line, else at a word; cards go with the last part, or after it. Anything
    beyond MOST_PARTS is cut, and the message says so.
    """
    if len(encoded(message)) <= PART_BYTES:
        return [dict(message)]
    parts: list[dict[str, Any]] = [{"text": piece} for piece in _pieces(message.get("text", ""))]
    if "cardsV2" not in message:
        return parts
    cards = {"cardsV2": message["cardsV2"]}
    last = {**parts[-1], **cards} if parts else cards
    is_together = len(encoded(last)) <= PART_BYTES
    return [*parts[:-1], last] if is_together else [*parts, fitted(cards, PART_BYTES)]


def _pieces(text: str) -> Iterator[str]:
    room = PART_BYTES - len(encoded({"text": ""}))
    for _ in range(MOST_PARTS - 1):
        piece, text = _parted(text, room)
        if piece.strip():
            yield piece
    if text.strip():
        yield fitted({"text": text}, PART_BYTES)["text"]


def _parted(text: str, room: int) -> tuple[str, str]:
    """Return the beginning of a text that takes at most `room` bytes in JSON, and the rest."""
    longest = _longest(text, room)
    if longest == text:
        return text, ""
    for separator in ("\n\n", "\n", " "):
        at = text.rfind(separator, 0, len(longest) + len(separator))
        if at > len(longest) // 2:
            return text[:at].rstrip(), text[at:].lstrip(separator)
    return longest, text[len(longest) :]


def _longest(text: str, room: int) -> str:
    """Return the longest beginning of the text that takes at most `room` bytes in JSON."""
    lengths = range(1, len(text) + 1)
    return text[: bisect_right(lengths, room, key=lambda length: len(encoded(text[:length])) - len('""'))]


def _cut(text: str, room: int) -> str:
    """Return the beginning of the text that takes at most `room` bytes in JSON."""
    longest = _longest(text, room)
    fits = len(longest) + 1
    at = max(text.rfind("\n", 0, fits), text.rfind(" ", 0, fits))
    return longest[:at].rstrip() if at > len(longest) // 2 else longest
