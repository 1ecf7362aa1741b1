"""What people type to have something done later: a command in plain English becomes an order, or is answered.

The library `recurrent` reads the words that say when. It skips what it does not know and guesses the rest, so it is
given only phrases of a form that is listed here, without the time of day, and what it makes of them is compared.
Whatever does not pass is refused, with whole commands that come nearest.
"""

import re
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Literal

from shared.errors import InvalidInput
from shared.recurrence import ALIASES, InvalidSchedule, Recurrence, load_timezone

LONGEST_TEXT = 1000  # characters
FURTHEST = timedelta(days=366)

Kind = Literal["remind", "post", "ask"]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a person asked for: a one-shot has `at` (aware, UTC), a recurring order `cron` (exactly five fields)."""

    kind: Kind
    text: str
    timezone: str  # IANA; `cron` is read on its clocks
    at: datetime | None = None
    cron: str | None = None
    everybody: bool = False  # "remind us" rather than "remind me"


class NotUnderstood(InvalidInput):
    """The request for a schedule cannot be one; `suggestions` are the nearest commands, ready to be sent."""

    def __init__(self, message: str, suggestions: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.suggestions = suggestions


def understand(text: str, *, now: datetime, timezone: str) -> Order | None:
    """Read a command on the clocks of `timezone`; None when the text is no request for a schedule.

    Raises NotUnderstood for a request that cannot be met as it stands, and InvalidSchedule for no IANA timezone.
    """
    load_timezone(timezone)
    request = _requested(text.strip())
    if request is None:
        return None
    try:
        return _order(request, now, timezone)
    except InvalidSchedule as exc:
        raise NotUnderstood(str(exc)) from exc
    except _Refused as exc:
        commands = [_command(request, when) for when in exc.nearest]
        raise NotUnderstood(
            str(exc), tuple(each for each in commands if _is_met(each, request, now, timezone))
        ) from exc


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# ---- The command: who wants what, and the words that say when.

_PLACEHOLDER = "call Anna"
_EXAMPLES = ("tomorrow at 9:00", "in 20 minutes", "every monday at 9:00")
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
_NOT_AFTER = _words("the a an my your our his her their this that")  # "enjoy the sun on friday"
_NEVER_AFTER = _words("by before after until till since from for than of to about and or")  # "due by friday"


@dataclass(frozen=True, kw_only=True)
class _Request:
    kind: Kind
    text: str
    when: str
    everybody: bool = False
    is_cron: bool = False


class _Refused(Exception):
    """There can be no such schedule; `nearest` are phrases for those that can be."""

    def __init__(self, message: str, *nearest: str) -> None:
        super().__init__(message)
        self.nearest = tuple(filter(None, nearest)) or _EXAMPLES


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
    """Whether a schedule is asked for, rather than that the agent be told something with "ask" or "post" in it."""
    when, text = match["when"], match["text"].strip()
    if is_cron:
        return bool(re.search(r"[\"“@*0-9]", when))
    unknown = _unknown(when)
    if unknown and unknown[0] == when.lower().split()[0].strip(","):
        return False
    if match["link"]:
        return True
    clocks, parts, rest = _taken_apart(when)
    is_quoted = text != _unquoted(text)
    names_time = clocks or parts or _SAYS_WHEN.search(f"{_plain(rest)} {_DIGIT_TH.findall(rest)}")
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
    known = [link for link in links if not _unknown(rest[: link.start()])]
    for link in known[-1:] or links[:1]:
        return rest[: link.start()], rest[link.end() :]
    return rest.removesuffix("."), ""


def _when_last(body: str) -> tuple[str, str]:
    """Split before the longest ending of which every word can say when; without one nothing says when."""
    body = body.rstrip().removesuffix(".")
    start = max(len(body) - _LONGEST_PHRASE, body.rfind(_QUOTES[body[0]][0], 1) + 1 if body[:1] in _QUOTES else 0)
    for match in _BEGINS_WHEN.finditer(body, start):
        before = ["", *body[start : match.start()].lower().split()]
        if before[-1] in _NOT_AFTER or _unknown(body[match.start() :]):
            continue
        pairs = pairwise(before)
        names_day = any(_NAMES_DAY.fullmatch(word) and article not in _NOT_AFTER for article, word in pairs)
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
    """Whether the command is an order for what was requested: a text can be such that it is read as a part of WHEN."""
    suggested = _requested(command)
    if suggested is None:
        return False
    try:
        return _order(suggested, now, timezone).text == (request.text or _PLACEHOLDER)
    except (_Refused, NotUnderstood, InvalidSchedule):
        return False


def _order(request: _Request, now: datetime, timezone: str) -> Order:
    if not request.when:
        raise _Refused("Say whom to remind (me or us), when, and of what: remind me WHEN to TEXT.")
    if not request.text:
        raise _Refused(f"Say what to {request.kind}.")
    if len(request.text) > LONGEST_TEXT:
        raise NotUnderstood(f"The text has {len(request.text)} characters; at most {LONGEST_TEXT:,} are possible.")
    schedule = _expression(request.when) if request.is_cron else _read(request.when, now, timezone)
    at, cron = (schedule, None) if isinstance(schedule, datetime) else (None, schedule)
    if cron:
        Recurrence(cron, timezone)
    return Order(kind=request.kind, text=request.text, timezone=timezone, at=at, cron=cron, everybody=request.everybody)


def _expression(text: str) -> str:
    return ALIASES.get(text.lower(), " ".join(text.split()))


# ---- The words that say when: each must be known, and together they must have one of the forms below.

_USUAL = time(9)  # where a day is named without a time
_PARTS = {  # of the day: the usual time, and the hours that count as it
    "morning": (time(9), range(0, 12)),
    "afternoon": (time(14), range(12, 19)),
    "evening": (time(18), range(16, 24)),
    "night": (time(21), range(19, 24)),
}
_NAMED_TIMES = {"noon": time(12), "midday": time(12), "midnight": time(0)}
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_CODES = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_MONTHS = _words("january february march april may june july august september october november december")
_UNITS = {"seconds": "SECONDLY", "minute": "MINUTELY", "hour": "HOURLY", "day": "DAILY"} | {
    "week": "WEEKLY",
    "month": "MONTHLY",
    "year": "YEARLY",
}
_LIMITS = "until till from between since starting beginning ending for except but times twice"
_NUMBERS = _words("zero one two three four five six seven eight nine ten eleven twelve")
_SYNONYMS = """the= on= of= and= at= this= first=1st second=2nd third=3rd fourth=4th fifth=5th a=1 an=1
    fifteen=15 twenty=20 thirty=30 forty=40 fifty=50 sixty=60 ninety=90 other=other alternate=other
    sec=seconds secs=seconds min=minute mins=minute minutes=minute hr=hour hrs=hour hours=hour days=day weeks=week
    months=month years=year tues=tuesday thur=thursday thurs=thursday sept=september each=every everyday=every_day
    daily=every_day hourly=every_hour weekly=every_week monthly=every_month yearly=every_year annually=every_year
    quarterly=every_3_month fortnightly=every_2_week quarter=3_month"""
_WORDS = {
    **{word: word for word in _words("every in next last today tomorrow overmorrow of_month weekday weekend")},
    **{word: word for word in (*_DAYS, *_MONTHS, *_UNITS, *_LIMITS.split())},
    **{name[:3]: name for name in (*_DAYS, *_MONTHS)},
    **{word: str(number) for number, word in enumerate(_NUMBERS)},
    **{f"{day}s": day for day in (*_DAYS, "weekday", "weekend")},
    **{word: meaning.replace("_", " ") for word, meaning in (pair.split("=") for pair in _SYNONYMS.split())},
}
_NUMBER = re.compile(r"[0-9]{1,4}(?:st|nd|rd|th)?|[0-9]{4}-[0-9]{2}-[0-9]{2}")

_NAME = rf"(?:{'|'.join((*_DAYS, 'weekday', 'weekend'))})"
_MONTH = rf"(?:{'|'.join(_MONTHS)})"
_SHORT_NAME = rf"(?:{'|'.join((*_DAYS, *(day[:3] for day in _DAYS)))})"
_CLOCK_END = rf"(?![\w:.-])(?!\s+(?:of\b|{'|'.join(month[:3] for month in _MONTHS)}))"
_CLOCK = rf"(?:noon|midday|midnight|[0-9]{{1,2}}(?:[:.][0-9]{{2}})?(?:\s?(?:am|pm|o'clock))?){_CLOCK_END}"
_SURE_CLOCK = (
    rf"(?:noon|midday|midnight|[0-9]{{1,2}}[:.][0-9]{{2}}(?:\s?[ap]m)?|[0-9]{{1,2}}\s?(?:am|pm|o'clock)){_CLOCK_END}"
)
_CLOCK_TIMES = re.compile(rf"\b(?:at\s+{_CLOCK}|{_SURE_CLOCK})(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+)(?:at\s+)?{_CLOCK})*")
_PART = re.compile(rf"\b(?:(every|each|other|this)\s+|(?:in\s+the|at)\s+)?({'|'.join(_PARTS)})\b")
_LIMIT = re.compile(rf"\b(?:{_LIMITS.replace(' ', '|').replace('times', '[0-9a-z]+ times')})\b.*?(?=\bevery\b|$)")

_BEGINS_WHEN = re.compile(
    rf"""(?<!\S)(?:
    (?:every|each|everyday|daily|hourly|weekly|fortnightly|monthly|quarterly|yearly|annually|today|tomorrow|tonight)\b
    |(?:once|next)\s
    |(?:(?:on|this|from)\s+)?(?:{_NAME}s?|{_SHORT_NAME})\b
    |(?:on\s+)?(?:{_MONTH}|{"|".join(month[:3] for month in _MONTHS)})\s+[0-9]
    |(?:on\s+)?(?:the\s+)?(?:[0-9]{{1,2}}(?:st|nd|rd|th)\b|(?:first|last)\s)
    |(?:on\s+)?(?:[0-9]{{4}}-[0-9]|[0-9]{{1,2}}\s+{_MONTH})
    |in\s+(?:half\s|\S+\s+(?:sec|min|hour|hr|day|week|month|year))
    |(?:in\s+the|at|this)\s+(?:{"|".join(_PARTS)})\b
    |(?:the\s+)?day\s+after\s+tomorrow
    |at\s+{_CLOCK}|{_SURE_CLOCK})""",
    re.I | re.VERBOSE,
)
_SAYS_WHEN = re.compile(
    rf"every|twice|times|today|tomorrow|overmorrow|{_NAME}|{_MONTH}|in \d+ [a-z]|\d{{4}}-|next [wmy]|'"
)
_DIGIT_TH = re.compile(r"[0-9](?:st|nd|rd|th)\b")  # but "on second thought"
# A day that the text names outside of the phrase may be meant as a part of it; "may", "march" and "sun" mostly are not.
_NAMES_DAY = re.compile(rf"(?:{'|'.join(_DAYS)}|today|tomorrow|tonight|(?!mar|may){_MONTH}|dec|jan|nov|oct)s?\W*")

# Applied in order to what was typed ...
_TYPED = (
    (r"[’‘]", "'"),  # noqa: RUF001 - telephones type them
    (r"\b([ap])\.m\.?", r"\1m"),
    (r"\btonight\b", "today night"),
    (r"\b(?:working|work|business)[ -]?day(s?)\b", r"weekday\1"),
    (r"\bday after tomorrow\b", "overmorrow"),
    (r"\bhalf (?:an )?hour\b", "30 minutes"),
    (r"\bonce (?:a|an|every|per)\b", "every"),
    (r"\bof the month\b", "of_month"),
    (rf"\b(?:from |between )?({_SHORT_NAME})s?\s*(?:-|–|to|till|until|thru|through)\s*({_SHORT_NAME})s?\b", r"\1..\2"),  # noqa: RUF001
    (r"\b(from|between) ((?:\S+ ){1,3}?)(?:to|and) ", r"\1 \2until "),
)
# ... and to the plain words that stand for it.
_PLAIN = (
    (r"\bevery 1 ", "every "),
    (rf"\bevery other (?={'|'.join(_UNITS)}|{_NAME})", "every 2 "),
    (rf"\bevery (\d+)(?:st|nd|rd|th) (?=(?:{'|'.join(_UNITS)})\b(?! (?:of_month|every)))", r"every \1 "),
    (rf"\bevery (1st|last) ({_NAME})$", r"every \1 \2 of_month"),
    (rf"\bevery (\d+)(?:st|nd|rd|th) ({_NAME})$", r"every \1 \2"),
    (rf"\bevery ((?:\d+ )?)week (?={_NAME})", r"every \1"),
    (rf"\b(\d{{1,2}})(?:st|nd|rd|th)? ({_MONTH})\b", r"\2 \1"),
    (rf"\b({_MONTH}) (\d{{1,2}})(?:st|nd|rd|th)?(?!\d)", r"\1 \2th"),
    (rf"^({_MONTH} \d+th) every year$", r"every \1"),
    (rf"^every year (?={_MONTH} \d)", "every "),
)
_NTH = r"(?:\d{1,2}(?:st|nd|rd|th)|last)"
_RECURRING = re.compile(
    rf"""every\ (?:\d+\ )?(?:{"|".join(_UNITS)})
    |every\ (?:\d+\ )?{_NAME}(?:\ {_NAME})*
    |every\ (?:\d+\ )?month\ {_NTH}(?:\ {_NTH})*(?:\ day|\ {_NAME})?
    |every\ {_NTH}(?:\ {_NTH})*(?:\ day|\ {_NAME})?\ of_month
    |{_NTH}(?:\ {_NTH})*(?:\ day|\ {_NAME})?\ every\ (?:\d+\ )?month
    |every\ (?:\d+\ year\ )?{_MONTH}(?:\ \d+th)?""",
    re.VERBOSE,
)
_ELAPSED = re.compile(r"in(?: \d+ (?:seconds|minute|hour))+")
_LATER = re.compile(r"in(?: \d+ (?:day|week|month|year))+")
_DATE = re.compile(rf"(?P<month>{_MONTH}) (?P<day>\d+)th(?: (?P<year>\d{{4}}))?")
# Plain words, as a person would write them.
_SAID = (
    (rf"every year (?={_MONTH})", "every "),
    (r"(?<!1)1th", "1st"),
    (r"(?<!1)2th", "2nd"),
    (r"(?<!1)3th", "3rd"),
    ("of_month", "of the month"),
    ("overmorrow", "day after tomorrow"),
    (rf"({_NAME}) (?={_NAME}\b)", r"\1 and "),
    (rf"({_NTH}) (?={_NTH})", r"\1 and "),
    (r"month (?=\d|last)", "month on the "),
    (rf"\b((?!1 )\d+ (?:{'|'.join(_UNITS)})\b)(?<!s)", r"\1s"),
)
_RELATIVE = {"": 0, "today": 0, "tomorrow": 1, "overmorrow": 2}


def _read(phrase: str, now: datetime, timezone: str) -> datetime | str:
    """Read WHEN: a moment (aware, UTC) or a cron expression."""
    clocks, parts, rest = _taken_apart(phrase)
    plain, times = _plain(rest), _times(clocks, parts)
    if limit := _LIMIT.search(rest):
        nearest = _said(_plain(_LIMIT.sub(" ", rest)), times)
        raise _Refused(
            f"A schedule has no start, no end and no exceptions ({limit[0].strip()!r}); it can be cancelled then.",
            nearest,
        )
    if unknown := _unknown(phrase):
        raise _Refused(f"The word {unknown[0]!r} is not known in {phrase.strip()!r}.")
    if len(clocks) > 1:
        raise _Refused(f"{phrase.strip()!r} gives more than one time. Give one, or a list such as at 9 and 17.")
    if not re.search(r"\bevery\b", plain):
        return _moment(plain, times, now, timezone)
    if not _RECURRING.fullmatch(plain):
        raise _not_a_time(phrase)
    return _cron(plain, times, now.astimezone(load_timezone(timezone)))


def _not_a_time(phrase: str) -> _Refused:
    return _Refused(f"{phrase.strip()!r} cannot be read as a time.")


def _taken_apart(phrase: str) -> tuple[list[str], list[str], str]:
    """The times of day in a phrase, the parts of the day, and the rest."""
    rest = " ".join(phrase.lower().split())
    for pattern, replacement in _TYPED:
        rest = re.sub(pattern, replacement, rest)
    clocks = [match[0] for match in _CLOCK_TIMES.finditer(rest)]
    rest = _CLOCK_TIMES.sub(" ", rest)
    parts = [match[2] for match in _PART.finditer(rest)]
    days = {"every": "every day", "each": "every day", "other": "other day", "this": "today", None: ""}
    return clocks, parts, _PART.sub(lambda match: days[match[1]], rest)


def _unknown(phrase: str) -> list[str]:
    """The words of a phrase that cannot say when."""
    words = re.findall(r"[^\s,]+", _taken_apart(phrase)[2])
    return [word for word in words if not _NUMBER.fullmatch(word) and _meaning(word) == word and word not in _WORDS]


def _plain(rest: str) -> str:
    """The rest of a phrase in few and regular words: "on mon. and fridays" becomes "every monday friday"."""
    words = re.findall(r"[^\s,]+", rest)
    plain = " ".join(" ".join(map(_meaning, words)).split())
    is_plural = any(word.endswith("s") and _WORDS.get(word) in (*_DAYS, "weekday", "weekend") for word in words)
    if "every" not in plain.split() and (is_plural or ".." in rest):
        plain = f"every {plain}"
    for pattern, replacement in _PLAIN:
        plain = re.sub(pattern, replacement, plain)
    return plain


def _meaning(word: str) -> str:
    ends = [_DAYS.index(name) for name in map(_WORDS.get, word.split("..")) if name in _DAYS]
    if len(ends) != 2:
        return _WORDS.get(word, word)
    return " ".join(_DAYS[number % 7] for number in range(ends[0], ends[1] + (7 if ends[1] < ends[0] else 0) + 1))


def _times(clocks: list[str], parts: list[str]) -> list[time]:
    if not clocks:
        return sorted({_PARTS[part][0] for part in parts})
    if len(parts) > 1:
        raise _Refused(f"{' and '.join(parts)} with a time is unclear. Write it as 9:00 or 17:00.")
    return sorted({_time(clock, parts) for clock in re.findall(rf"{_CLOCK}", clocks[0])})


def _time(clock: str, parts: list[str]) -> time:
    refusal = _Refused(f"{' in the '.join([clock, *parts])!r} is no time of day. Write it as 9:00, 17:30 or 5:30 pm.")
    match = re.fullmatch(r"([0-9]+)(?:[:.]([0-9]+))?\s?(am|pm)?(?:o'clock)?", clock)
    hour, minute, half = (int(match[1]), int(match[2] or 0), match[3]) if match else (_NAMED_TIMES[clock].hour, 0, None)
    hours = {hour} | ({hour % 12, hour % 12 + 12} if match and parts and hour <= 12 else set())
    if half:
        hours = {hour % 12 + (12 if half == "pm" else 0)} if 1 <= hour <= 12 else set()
    fitting = [each for each in hours if each < 24 and all(each in _PARTS[part][1] for part in parts)]
    if len(fitting) != 1 or minute > 59:
        raise refusal
    return time(fitting[0], minute)


def _said(plain: str, times: Sequence[time] = ()) -> str:
    """Write plain words and times of day as a phrase."""
    for pattern, replacement in _SAID:
        plain = re.sub(pattern, replacement, plain)
    return f"{plain}{' at ' * bool(times)}{' and '.join(f'{each.hour}:{each:%M}' for each in times)}".strip()


def _recurrent(plain: str, clock: datetime) -> datetime | str | None:
    # Imported when first needed, because it takes 100 ms of a cold start.
    from parsedatetime.warns import pdt20DeprecationWarning
    from recurrent import RecurringEvent

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pdt20DeprecationWarning)  # about how `recurrent` calls `parsedatetime`
        event = RecurringEvent(now_date=clock)
    try:
        result: datetime | str | None = event.parse(plain.replace("of_month", "of the month"))
    except (OverflowError, ValueError):  # a moment after the year 9999
        return None
    return result


# ---- Once.


def _moment(plain: str, times: list[time], now: datetime, timezone: str) -> datetime:
    here = now.astimezone(load_timezone(timezone)).replace(tzinfo=None)
    if len(times) > 1:
        raise _Refused("Only what recurs can have several times of day.", *(_said(plain, [each]) for each in times))
    if _ELAPSED.fullmatch(plain) and not times:
        moment = _recurrent(plain, _whole_second(now.astimezone(UTC).replace(tzinfo=None)))
        at = moment.replace(tzinfo=UTC) if isinstance(moment, datetime) else datetime.max.replace(tzinfo=UTC)
    else:
        at = _clock_moment(plain, times, here, now=now, timezone=timezone)
    if at < now:
        raise _Refused(f"{_said(plain, times or [_USUAL])!r} is past.", _said("tomorrow", times or [_USUAL]))
    if at - now > FURTHEST:
        raise _Refused(f"{_said(plain, times)!r} is more than a year away.", "in 1 year")
    return at


def _clock_moment(plain: str, times: list[time], here: datetime, *, now: datetime, timezone: str) -> datetime:
    """The moment at which the clocks show it; where only a time or a weekday is named, the next such moment."""
    step = timedelta(days=1) if not plain else timedelta(days=7) if plain in _DAYS else None
    day = _day(plain, here)
    if day is None:
        raise _not_a_time(_said(plain, times))
    usual = _whole_second(here).time() if _LATER.fullmatch(plain) else _USUAL
    clock = datetime.combine(day, times[0] if times else usual)
    return _placed(clock + step if step and clock < here else clock, timezone)


def _day(plain: str, here: datetime) -> date | None:
    if plain in _RELATIVE:
        return (here + timedelta(days=_RELATIVE[plain])).date()
    with suppress(ValueError):
        return date.fromisoformat(plain)
    if nth := re.fullmatch(r"(\d+)(?:st|nd|rd|th)", plain):  # of this month or of a later one
        coming = (here.date() + timedelta(days=number) for number in range(63))
        return next((day for day in coming if day.day == int(nth[1])), None)
    match = _DATE.fullmatch(plain)
    if not match and not _LATER.fullmatch(plain) and plain.removeprefix("next ") not in _DAYS:
        return None
    # `recurrent` takes a weekday to be one after today.
    found = _recurrent(plain.removeprefix("next "), here - timedelta(days=1) if plain in _DAYS else here)
    if not isinstance(found, datetime):
        return None
    wanted = (match["month"], int(match["day"]), int(match["year"] or found.year)) if match else ()
    return found.date() if not match or wanted == (_MONTHS[found.month - 1], found.day, found.year) else None


def _placed(clock: datetime, timezone: str) -> datetime:
    zone = load_timezone(timezone)
    first, second = (clock.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return first
    hours = (timedelta(hours=-1), timedelta(hours=1))
    nearest = [_said(f"on {clock + hour:%Y-%m-%d}", [(clock + hour).time()]) for hour in hours]
    why = "does not exist: the clocks skip it" if first > second else "comes twice: the clocks are put back"
    raise _Refused(f"{clock:%Y-%m-%d %H:%M} {why} in {timezone}.", *nearest)


def _whole_second(clock: datetime) -> datetime:
    return clock + timedelta(microseconds=-clock.microsecond % 1_000_000)


# ---- Again and again.

_STEPS = [n for n in range(1, 60) if 60 % n == 0] + [60 * n for n in range(1, 25) if 24 % n == 0]  # minutes, in cron
_INTERVALS = {"MONTHLY": (1, 2, 3, 4, 6, 12)}  # otherwise 1
_MINUTES = {"HOURLY": 60, "MINUTELY": 1, "SECONDLY": 0}
_SKIPPED = {"DAILY": "days", "WEEKLY": "weeks", "MONTHLY": "months, unless they divide a year", "YEARLY": "years"}
_ATOMS = {  # of an RRULE
    **{day: [code] for day, code in zip(_DAYS, _CODES, strict=True)},
    **{month: [f"month {number}"] for number, month in enumerate(_MONTHS, 1)},
    **{"weekday": _CODES[:5], "weekend": _CODES[5:], "last": ["-1"]},
}
_FREQUENCIES = (  # the first of which the words are named
    ("YEARLY", rf"year|{_MONTH}"),
    ("MONTHLY", "month"),
    ("WEEKLY", rf"week|{_NAME}"),
    ("DAILY", "day"),
    ("HOURLY", "hour"),
    ("MINUTELY", "minute"),
    ("SECONDLY", "seconds"),
)


def _cron(plain: str, times: list[time], here: datetime) -> str:
    rule = _rule(plain, here)
    frequency, interval = rule["FREQ"], int(rule.get("INTERVAL", 1))
    if frequency in _MINUTES:
        return _by_the_clock(plain, times, minutes=interval * _MINUTES[frequency])
    usual = times or [_USUAL]
    if interval not in _INTERVALS.get(frequency, (1,)):
        raise _Refused(f"A schedule cannot skip {_SKIPPED[frequency]}.", *_without_interval(plain, usual, here))
    days = _day_fields(rule)
    if not days:
        raise _Refused(f"Say on which day ({_said(plain)!r} does not).", *_with_day(plain, usual, here))
    return f"{_clock_fields(plain, usual)} {days}"


def _without_interval(plain: str, times: list[time], here: datetime) -> list[str]:
    each = re.sub(r"every \d+ ", "every ", plain)
    if not re.search(rf"day|{_NTH}", each):
        return _with_day(each, times, here)
    second = re.fullmatch(rf"every 2 ({_NAME})", plain)
    return [_said(each, times), *([_said(f"every 1st 3rd {second[1]} of_month", times)] if second else [])]


def _with_day(plain: str, times: list[time], here: datetime) -> list[str]:
    today, first = _DAYS[here.weekday()], re.sub("every year", f"every {_MONTHS[here.month - 1]}", plain)
    days = ["every monday", f"every {today}"] if "week" in plain else [f"{first} 1st"]
    return [_said(day, times) for day in dict.fromkeys(days)]


def _rule(plain: str, here: datetime) -> dict[str, str]:
    """The RRULE of a phrase. Refused when it lacks anything that the phrase says, or says anything else."""
    match = re.fullmatch(r"RRULE:(\S+)", str(_recurrent(plain, here.replace(tzinfo=None))))
    rule = dict(pair.split("=") for pair in match[1].split(";")) if match else {}
    found = [rule.get("FREQ"), rule.get("INTERVAL", "1"), *re.findall(r"[A-Z]+|-?\d+", rule.get("BYDAY", ""))]
    found += [
        *re.findall(r"-?\d+", rule.get("BYMONTHDAY", "")),
        *(f"month {n}" for n in rule.get("BYMONTH", "").split()),
    ]
    interval = re.search(r"every (\d+) ", plain)
    wanted = [next(name for name, words in _FREQUENCIES if re.search(words, plain)), interval[1] if interval else "1"]
    wanted += [atom for word in plain.split() for atom in _ATOMS.get(word, re.findall(r"^(\d+)[a-z]", word))]
    if set(found) != set(wanted) or rule.keys() - {"FREQ", "INTERVAL", "BYDAY", "BYMONTHDAY", "BYMONTH"}:
        raise _not_a_time(_said(plain))
    return rule


def _by_the_clock(plain: str, times: list[time], *, minutes: int) -> str:
    if times:
        raise _Refused(
            "What comes every few hours or minutes has no time of day.", _said(plain), _said("every day", times)
        )
    if minutes in _STEPS:
        hours = minutes // 60
        minute_step, hour_step = (f"*/{step}" if step > 1 else "*" for step in (minutes, hours))
        return f"{minute_step} * * * *" if not hours else f"0 {hour_step if hours < 24 else 0} * * *"
    below, above = [step for step in _STEPS if step < minutes], [step for step in _STEPS if step > minutes]
    nearest = [(f"{n // 60} hour" if n >= 60 else f"{n} minute") for n in (*below[-1:], *above[:1])]
    message = f"A schedule cannot keep to {_said(plain)!r}: the steps must fill an hour or a day evenly."
    raise _Refused(message, *(_said(f"every {step}".replace("every 1 ", "every ")) for step in nearest))


def _clock_fields(plain: str, times: list[time]) -> str:
    minutes, hours = sorted({each.minute for each in times}), sorted({each.hour for each in times})
    if len(times) < len(minutes) * len(hours):
        alike = ([each for each in times if each.minute == minute] for minute in minutes)
        message = "One schedule cannot have different minutes at different hours; several can."
        raise _Refused(message, *(_said(plain, group) for group in alike))
    return f"{_listed(minutes)} {_listed(hours)}"


def _day_fields(rule: dict[str, str]) -> str:
    """The last three fields of the cron expression; empty when the rule names no day."""
    days = [f"{nth}{code}" for nth, code in re.findall(r"(-?\d*)([A-Z]+)", rule.get("BYDAY", ""))]
    dates = "L" if (listed := rule.get("BYMONTHDAY", "")) == "-1" else ",".join(listed.replace("-1", "L").split(","))
    step = int(rule.get("INTERVAL", 1))
    months = rule.get("BYMONTH") or ("*" if step == 1 else _listed(range(1, 13, step)))
    weekdays = ",".join(map(_weekday, days))
    if rule["FREQ"] == "WEEKLY" and weekdays == "1,2,3,4,5":
        weekdays = "1-5"
    if rule["FREQ"] != "DAILY" and not dates and not weekdays:
        return ""
    return f"{dates or '*'} {months} {weekdays or '*'}"


def _weekday(day: str) -> str:
    number = (_CODES.index(day[-2:]) + 1) % 7
    return {"": f"{number}", "-1": f"L{number}"}.get(day[:-2], f"{number}#{day[:-2]}")


def _listed(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers))


def _nth(number: int) -> str:
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number if number < 20 else number % 10, 'th') }"
