"""Commands in plain English: each becomes an order, or a reply with suggestions.

This module splits a command into who wants what and the words that say when; `phrase_times` reads those words, and
`phrase_words` knows them. An impossible request is refused, with the nearest possible commands.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Literal

from phrase_times import Refused, read_when
from phrase_words import BEGINS_WHEN, DIGIT_TH, NAMES_DAY, SAYS_WHEN, plain_words, taken_apart, unknown_words, words
from shared.errors import InvalidInput
from shared.model.recurrence import ALIASES, InvalidSchedule, Recurrence, load_timezone

LONGEST_TEXT = 1000  # characters

Kind = Literal["remind", "post", "ask"]


@dataclass(frozen=True, kw_only=True)
class Order:
    """A person's request: a one-shot has `at` (aware, UTC), a recurring order has `cron` (exactly five fields)."""

    kind: Kind
    text: str
    timezone: str  # IANA; `cron` is read on its clocks
    at: datetime | None = None
    cron: str | None = None
    everybody: bool = False  # "remind us" rather than "remind me"


class NotUnderstood(InvalidInput):
    """An impossible request for a schedule; `suggestions` are the nearest commands, ready to be sent."""

    def __init__(self, message: str, suggestions: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.suggestions = suggestions


def understand(text: str, *, now: datetime, timezone: str) -> Order | None:
    """Read a command in `timezone`; return None if the text does not ask for a schedule.

    Raises NotUnderstood for an impossible request, and InvalidSchedule for an unknown timezone.
    """
    load_timezone(timezone)
    request = _requested(text.strip())
    if request is None:
        return None
    try:
        return _order(request, now, timezone)
    except InvalidSchedule as exc:
        raise NotUnderstood(str(exc)) from exc
    except Refused as exc:
        commands = [_command(request, when) for when in exc.nearest]
        raise NotUnderstood(
            str(exc), tuple(each for each in commands if _is_met(each, request, now, timezone))
        ) from exc


_PLACEHOLDER = "call Anna"
_LONGEST_PHRASE = 200  # characters that say when
_QUOTES = {'"': '"', "“": "”“", "„": "“”", "”": "”", "'": "'", "‘": "’"}  # noqa: RUF001 - telephones type them
_LINK = r"(?:\s+(?:to|that|about)\b|\s*:(?=\s))"
_VERB = rf"(?:(?P<verb>post|ask)\b:?|(?:remind\s+(?P<whom>me|us)\b(?P<link>{_LINK})?))\s*(?P<text>.*)"
_CRON = re.compile(rf"cron\s+(?P<when>.{{1,600}}?)\s+{_VERB}", re.I | re.S)
_WHEN_FIRST = re.compile(rf"(?P<when>.{{1,{_LONGEST_PHRASE}}}?)[\s,]+{_VERB}", re.I | re.S)
_REMIND = re.compile(r"(?:please\s+)?remind\b(?:\s+(?P<whom>me|us)\b)?\s*(?P<rest>.*)", re.I | re.S)
_QUESTION = re.compile(r"(?:what|who|whom|whose|how|why|which|where|whether|when|if|of)\b", re.I)
_TEXT_FIRST = re.compile(r"(?:(?:to|that|about)\b|:)\s*(?P<body>.*)", re.I | re.S)
_SPLIT = re.compile(rf"{_LINK}\s*", re.I)
# What may begin the phrase that ends a command; a lone "on" or "in" belongs to the text ("turn the oven on at 9").
_NOT_AFTER = words("the a an my your our his her their this that")  # "enjoy the sun on friday"
_NEVER_AFTER = words("by before after until till since from for than of to about and or")  # "due by friday"


@dataclass(frozen=True, kw_only=True)
class _Request:
    kind: Kind
    text: str
    when: str
    everybody: bool = False
    is_cron: bool = False


def _requested(text: str) -> _Request | None:
    if match := _REMIND.match(text):
        return _reminder(match["rest"], whom=match["whom"])
    for pattern in (_CRON, _WHEN_FIRST):
        match = pattern.match(text)
        if match and _is_request(match, is_cron=pattern is _CRON):
            kind: Kind = "remind" if match["whom"] else "post" if match["verb"].lower() == "post" else "ask"
            return _Request(
                kind=kind,
                text=_unquoted(match["text"]),
                when=_unquoted(match["when"]),
                everybody=_is_us(match["whom"]),
                is_cron=pattern is _CRON,
            )
    return None


def _is_request(match: re.Match[str], *, is_cron: bool) -> bool:
    """Return whether the text asks for a schedule, and is not a message to the agent with "ask" or "post" in it."""
    when, text = match["when"], match["text"].strip()
    if is_cron:
        return bool(re.search(r"[\"“@*0-9]", when))
    unknown = unknown_words(when)
    if unknown and unknown[0] == when.lower().split()[0].strip(","):
        return False
    if match["link"]:
        return True
    clocks, parts, rest = taken_apart(when)
    is_quoted = text != _unquoted(text)
    names_time = clocks or parts or SAYS_WHEN.search(f"{plain_words(rest)} {DIGIT_TH.findall(rest)}")
    if not names_time and not (is_quoted and re.search("[0-9]", when)):
        return False
    return is_quoted or len(unknown) <= len(clocks)


def _reminder(rest: str, *, whom: str | None) -> _Request | None:
    if _QUESTION.match(rest):
        return None
    first = _TEXT_FIRST.match(rest)
    when, text = _when_last(first["body"]) if first else _when_before_link(rest)
    # It ends the sentence, unlike that of a text to post.
    text = text if text.endswith("..") else text.rstrip().removesuffix(".")
    return _Request(kind="remind", text=_unquoted(text), when=when if whom else "", everybody=_is_us(whom))


def _when_before_link(rest: str) -> tuple[str, str]:
    """Split at the last "to" before which every word can say when ("monday to friday at 9 to ..."), or at the first."""
    links = list(_SPLIT.finditer(rest[: _LONGEST_PHRASE + 10]))
    known = [link for link in links if not unknown_words(rest[: link.start()])]
    for link in known[-1:] or links[:1]:
        return rest[: link.start()], rest[link.end() :]
    return rest.removesuffix("."), ""


def _when_last(body: str) -> tuple[str, str]:
    """Split before the longest ending whose words all say when; without one, the first part is empty."""
    body = body.rstrip().removesuffix(".")
    start = max(len(body) - _LONGEST_PHRASE, body.rfind(_QUOTES[body[0]][0], 1) + 1 if body[:1] in _QUOTES else 0)
    for match in BEGINS_WHEN.finditer(body, start):
        before = ["", *body[start : match.start()].lower().split()]
        if before[-1] in _NOT_AFTER or unknown_words(body[match.start() :]):
            continue
        pairs = pairwise(before)
        names_day = any(NAMES_DAY.fullmatch(word) and article not in _NOT_AFTER for article, word in pairs)
        if names_day or before[-1] in _NEVER_AFTER:
            break
        return body[match.start() :], body[: match.start()].rstrip().removesuffix(",")
    return "", body


def _unquoted(text: str) -> str:
    text = text.strip()
    bare = text.removesuffix(".")
    if len(bare) > 1 and bare[-1] in _QUOTES.get(bare[0], ""):
        inner = bare[1:-1]
        closes = next((inner[:at] for at, char in enumerate(inner) if char == bare[-1]), " ")
        return inner.strip() if closes[-1:].isspace() or not closes else text  # `"a" and "b"` is no quotation
    return text


def _is_us(whom: str | None) -> bool:
    return (whom or "").lower() == "us"


def _command(request: _Request, when: str) -> str:
    text = request.text or _PLACEHOLDER
    if request.kind == "remind":
        return f"remind {'us' if request.everybody else 'me'} {when} to {text}"
    return f'{when} {request.kind} "{text}"'


def _is_met(command: str, request: _Request, now: datetime, timezone: str) -> bool:
    """Return whether the command reads back as the request: its text might be read as a part of WHEN."""
    suggested = _requested(command)
    if suggested is None:
        return False
    try:
        return _order(suggested, now, timezone).text == (request.text or _PLACEHOLDER)
    except (Refused, NotUnderstood, InvalidSchedule):
        return False


def _order(request: _Request, now: datetime, timezone: str) -> Order:
    if not request.when:
        raise Refused("Say whom to remind (me or us), when, and of what: remind me WHEN to TEXT.")
    if not request.text:
        raise Refused("Say of what to remind you." if request.kind == "remind" else f"Say what to {request.kind}.")
    if len(request.text) > LONGEST_TEXT:
        raise NotUnderstood(f"The text has {len(request.text)} characters; at most {LONGEST_TEXT:,} are possible.")
    schedule = _expression(request.when) if request.is_cron else read_when(request.when, now, timezone)
    at, cron = (schedule, None) if isinstance(schedule, datetime) else (None, schedule)
    if cron:
        Recurrence(cron, timezone)
    return Order(kind=request.kind, text=request.text, timezone=timezone, at=at, cron=cron, everybody=request.everybody)


def _expression(text: str) -> str:
    return ALIASES.get(text.lower(), " ".join(text.split()))
