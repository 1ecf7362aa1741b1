"""Commands in plain English: each becomes an order, or a reply with what may be meant.

This module splits a command into a text and a phrase for the time, which stands first or last; `phrase_times` reads the
phrase. Anything else that looks like a time is asked about, never ignored.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import chain
from typing import NamedTuple

from markup import protected, restored
from orders import NotUnderstood, Order, OrderKind, When
from phrase_hints import FEAST, length_in, looks_like_time, phrasings, relative_in, zone_in
from phrase_times import read_when
from phrase_words import COUNTED, DAYS, MONTHS, UnclearPhrase, UnknownWord, words
from shared.model.recurrence import ALIASES, InvalidSchedule, Recurrence, load_timezone

LONGEST_TEXT = 1000  # characters

Reader = Callable[[str], When]


def understand(text: str, *, now: datetime, timezone: str) -> Order | None:
    """Read a command in `timezone`; return None if the text does not ask for a schedule.

    Raises NotUnderstood for an unclear or impossible request, and InvalidSchedule for an unknown timezone.
    """
    load_timezone(timezone)
    text, found = protected(text.strip())
    read = partial(read_when, now=now, timezone=timezone)
    try:
        order = _understood(text, read, timezone)
    except NotUnderstood as exc:
        likely = (each for each in phrasings(text) if each != text) if len(text) < 2 * LONGEST_TEXT else ()
        meant = _met(likely, read, timezone)[:1] or _met(exc.suggestions, read, timezone)
        whole = tuple(restored(each, found) for each in meant)
        raise NotUnderstood(restored(str(exc), found), whole, is_final=exc.is_final) from exc
    if order is None:
        return None
    _refuse_long(said := restored(order.text, found))
    others = _met(order.others, read, timezone)
    return replace(order, text=said, others=tuple(restored(each, found) for each in others))


def read_schedule(phrase: str, *, now: datetime, timezone: str) -> When:
    """Read a schedule without a text: a phrase, or `cron` and an expression. Raises InvalidInput."""
    if match := re.fullmatch(r"cron\s+(.{1,600})", phrase.strip(), re.I | re.S):
        return _expression(match[1], timezone=timezone)
    return read_when(phrase, now=now, timezone=timezone)


def _met(commands: Iterable[str], read: Reader, timezone: str) -> tuple[str, ...]:
    """Return the commands that can be sent as they are."""
    met = []
    for command in commands:
        with suppress(NotUnderstood):
            met += [command] if _understood(command, read, timezone) else []
    return tuple(met)


_PLACEHOLDER = "call Anna"
_LONGEST_PHRASE = 200  # characters of the phrase
_QUOTES = {'"': '"', "“": "”“", "„": "“”", "”": "”", "«": "»", "'": "'", "‘": "’"}  # noqa: RUF001 - telephones type them
_DASH = "–—-"  # noqa: RUF001 - telephones type them
_LINK = r"(?:(?:to|that|about|of)\b|:(?=\s))\s*"
_PLEASE = r"(?:please|pls|plz)\b"
_THANKS = rf"(?:{_PLEASE}|(?:many )?(?:thanks|thank you|thx)(?: (?:a lot|so much|very much|in advance))?)"
_MONTH = "|".join(f"{month}|{month[:3]}" for month in MONTHS)
_PERIOD = (
    r"(?:(?:the|every|each|this|next|last|past|previous|current|coming)\s+){0,2}"
    rf"(?:(?:week|month|quarter|year|day|hour)s?|{_MONTH}|{FEAST})(?![\w'’-])"  # noqa: RUF001
)
_LINK_AFTER = rf"(?:{_PLEASE},?\s+)?(?!of\s+{_PERIOD}|to\s+last\b){_LINK}"  # after a phrase
_ASKS = (
    rf"(?:(?:{_PLEASE}|hey|hi|hello|okay|ok|google|kindly|(?:can|could|would|will) you|(?:don['’]t|do not) forget to"  # noqa: RUF001
    r"|i(?:['’]d| would)? (?:like|want|need) you to|(?:make|be) sure (?:to|you))[,!]?\s+)*"  # noqa: RUF001
)
_REMINDER = re.compile(
    rf"{_ASKS}(?:(?:(?:set(?:\s+up)?|create|add|make|schedule|give|get)(?:\s+me)?|i(?:\s+need|['’]d\s+like|\s+want)"  # noqa: RUF001
    r"|(?:can|could|may)\s+i\s+(?:get|have))\s+(?:an?\s+)?reminder\b|reminder\b(?=\s+to\s+(?!all|every|the\b|@|<)))"
    r"(?:\s+for\s+(?P<whom>me|us)\b)?(?:\s+for\b)?\s*",
    re.I,
)
_POST = re.compile(rf"{_ASKS}(?=post\b)", re.I)
_REMIND = re.compile(
    rf"{_ASKS}remind\b(?:\s+(?P<whom>me|myself|us)\b)?(?:,?\s+{_PLEASE},?)?\s*(?P<link>{_LINK}|[{_DASH}]\s+)?(?P<text>.*)",
    re.I | re.S,
)
_WITH_THANKS = re.compile(  # behind a text, where "to say please" has no thanks
    rf"(?:(?:^|[,.!?;]\s{{0,9}}){_THANKS}|(?<!\s)(?<!\bsay)(?<!\bwrite)\s{{1,9}}{_PLEASE})[\s.!?]{{0,9}}$", re.I
)
_VERB = rf"{_ASKS}(?:(?P<verb>post|ask)\b:?|remind\s+(?P<whom>me|us)\b(?P<link>\s*{_LINK})?)\s*(?P<text>.*)"
# "++" tries a run of blanks once, however long it is.
_CRON = re.compile(rf"cron\s+(?P<when>.{{1,600}}?)\s++{_VERB}", re.I | re.S)
_WHEN_FIRST = re.compile(rf"(?P<when>.{{1,{_LONGEST_PHRASE}}}?)[\s,:{_DASH}]++{_VERB}", re.I | re.S)
_TEXT_FIRST = re.compile(
    rf"(?P<verb>post|ask)\b:?\s*(?P<text>[\"“„«'‘].+[\"“”»'’])[\s,:({_DASH}]+(?P<when>[^\"“”]{{1,200}})",  # noqa: RUF001
    re.I | re.S,
)
_WHEN_BETWEEN = re.compile(r"(?P<verb>post|ask)\s+(?P<when>[^\"“„«]{1,200}?)[\s,:]+(?P<text>[\"“„«].+)", re.I | re.S)
_SPACES = re.compile(rf"[^\S\n]+[{_DASH}][^\S\n]+|[\s,]+|:\s|$")  # a list may have dashes in front
_QUESTION = re.compile(r"(?:what|who|whom|whose|how|why|which|where|whether|when|if)\b", re.I)
_ANY_CLOCK = r"\bat\s+\d|\d:\d\d|\d\s?[ap]m\b"
_CLOCK = re.compile(rf"{_ANY_CLOCK}|\bevery\s+\S+\s+at\b", re.I)
_ENDS_IN_TIME = re.compile(
    rf".*(?:{_ANY_CLOCK}|\b(?:noon|midnight)\b)(?:(?!\b(?:to|that|about|of)\b|:\s).)*", re.I | re.S
)
# A phrase does not begin so ("turn the oven on at 9", "enjoy the sun") or end so ("tomorrow in the park"),
_NO_BEGINNING = re.compile(
    r"(?:on|in|of|and|or|for|to)\s+(?:at|on|in|from|every|each|today|tomorrow|tonight|next|this|noon|midnight|daily)\b"
    r"|(?:of|and|or|month|week|year|days?(?!\s+after\s+tomorrow))\b|(?:sun|sat|may|mar|march|second|night|morning)\W*$"
    r"|(?:a|an|the|my|our|your|his|her|their|that)\s+(?!\d|[a-z]+(?:st|nd|rd|th)\b|second|last|day\s+after|end\b"
    r"|hour|minute|week|fortnight|couple|quarter|half)",
    re.I,
)
_NO_END = re.compile(r"(?:^|.*\s)(?:on|in|of|at|the|and|or|for|every|each|next|this|from|until|a|an)", re.I | re.S)
_MONTH_AND_MORE = rf"(?:{_MONTH})(?=\s*[–—-]|\s+(?:to|through|thru|and)\s)"  # noqa: RUF001
_NUMBER = r"(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|fifteen|twenty|thirty|forty|fifty)"
# and the text beside it does not begin or end so ("friday after next", "due by friday"): it would be cut short.
_GOES_ON = re.compile(
    rf"""(?:
    after | before | past | or | and | but | of | at | on | in | by | every | each | next | to\s+last
    | from | between | until | till | thru | up\s+(?:to|until) | through | then | onwards? | during | while | within
    | except | unless | skipping
    | around | approximately | roughly | exactly | precisely | sharp | (?:morning|noon|afternoon|evening|\d+)ish
    | '\d\d | {_MONTH_AND_MORE}
    | early | earlier | later? | latest | only | once | ago | now | (?:the\s+)?(?:same|this)\s+time | end
    | (?:today|tomorrow|tonight)(?!\Ws\b) | morning | afternoon | evening | night | (?:bed|lunch|dinner)time
    | (?:breakfast|lunch|dinner)\s+to
    | (?:second|minute|hour|day|week|fortnight|month|quarter|year)s? | qtr | last\s+(?:day|week|month|year) | [ap]\s?m
    | \d+(?:h(?:\d\d)?|[dmsw]) | max\s+(?:to|\d+) | x\s?\d+
    | {_NUMBER})\b | & | [+–—-]\s?\d""",  # noqa: RUF001
    re.I | re.X,
)
_LENGTH_FIRST = re.compile(rf"(?:\d+\s?|an?\s|half\s|(?:{COUNTED})\s)[a-z]", re.I)  # "2h", "five minutes"
_CLOCK_FIRST = re.compile(
    r"\d{1,2}\s+(?:tonight|(?:(?:tomorrow|this|in\s+the|at)\s+(?:morning|afternoon|evening|night)))\b", re.I
)
_ENDS_IN_NUMBER = re.compile(r".*(?:,|&|\band|\bor)\s*\d+", re.I | re.S)  # "at 8, 2" in "at 8, 2 pills"
_NAMES = re.compile(r"[@<]|(?:[\w.-]+\s+){1,3}(?:to|about|that|of)\b", re.I)  # somebody else, as in "Bob to call"
_NOT_AFTER = frozenset(words("the a an my our your his her their this that next last"))
_VAGUE_DAY = frozenset(words("any some most odd even"))
_VAGUE = re.compile(r"\b(?:not|maybe|perhaps|(?:any|some)\s?time|at\s+the\s+latest)(?:\s+(?:on|at|in))?$", re.I)
_DAY_NAME = re.compile("|".join(day[:3] for day in (*DAYS, "weekday", "weekend")), re.I)
_NEVER_AFTER = frozenset(words("by before after until till since from for than of to about and or due except starting"))


class _Split(NamedTuple):
    """A command parted into a phrase for the time and a text; `is_last` if the time stands last."""

    when: str
    text: str
    is_last: bool = False


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A request without its time and text: `splits` of the command into the two, the longest phrase first."""

    kind: OrderKind
    everybody: bool
    splits: Iterable[_Split]

    def commands(self, phrases: Iterable[str], text: str) -> tuple[str, ...]:
        """Return the commands for other phrases."""
        text = text or _PLACEHOLDER
        if self.kind != "remind" or looks_like_time(text):
            if _unquoted(f'"{text}"') != text:
                return ()
            text = f'"{text}"'
        if self.kind != "remind":
            return tuple(f"{when} {self.kind} {text}" for when in phrases)
        return tuple(f"remind {'us' if self.everybody else 'me'} {when} to {text}" for when in phrases)


def _understood(command: str, read: Reader, timezone: str) -> Order | None:
    try:
        if (match := _CRON.match(command)) and re.search(r"[\"“@*0-9]", match["when"]):
            return _order(_asked(match), partial(_expression, timezone=timezone), timezone)
        asked = _split(command, read)
        return _order(asked, read, timezone) if asked else None
    except InvalidSchedule as exc:
        raise NotUnderstood(str(exc), is_final=True) from exc


def _expression(typed: str, *, timezone: str) -> When:
    typed = _unquoted(typed)
    cron = ALIASES.get(typed.lower(), " ".join(typed.split()))
    Recurrence(cron, timezone)
    return When(cron=cron)


def _asked(match: re.Match[str], splits: Iterable[_Split] | None = None) -> _Asked:
    parts = match.groupdict()
    verb = (parts.get("verb") or "remind").lower()
    return _Asked(
        kind="remind" if verb == "remind" else "post" if verb == "post" else "ask",
        everybody=(parts.get("whom") or "").lower() == "us",
        splits=splits if splits is not None else [_Split(match["when"], match["text"])],
    )


def _plain(command: str) -> str:
    """Return the command in its plain form: "set a reminder ..." and "please post ..." are variants."""
    command = re.sub(r"^[^\w\s\"“„«'‘:@#*/<.-]+\s+", "", command)  # an emoji  # noqa: RUF001
    command = _POST.sub("", command, count=1) if _POST.match(command) else command
    if match := _REMINDER.match(command):
        return f"remind {match['whom'] or 'me'} {command[match.end() :]}"
    return command


def _split(command: str, read: Reader) -> _Asked | None:
    command = _plain(command)
    if match := _REMIND.match(command):
        link, rest = (match["link"] or "").strip().lower(), match["text"].strip()
        last = list(_when_last(rest))
        if _QUESTION.match(rest) or (link == "of" and not last):
            return None
        if match["whom"] is None and not link and not _begins_with_time(rest, read):
            message = "I can remind you (me) or everybody here (us): remind me WHEN to TEXT."
            raise NotUnderstood(message, () if _NAMES.match(rest) else (f"remind me to {rest}",))
        first = () if link.isalpha() else _when_first(rest)
        return _asked(match, chain(last, first) if link else chain(first, last))
    if match := _TEXT_FIRST.fullmatch(command):
        return _asked(match, [_Split(_without_end(match["when"]), match["text"])])
    if (match := _WHEN_BETWEEN.fullmatch(command)) and _is_time(match["when"], read):
        return _asked(match)
    match = _WHEN_FIRST.match(command)
    return _asked(match) if match and _is_request(match, read) else None


def _begins_with_time(rest: str, read: Reader) -> bool:
    return any(_is_time(split.when, read) for split in _when_first(rest))


def _is_time(phrase: str, read: Reader) -> bool:
    """Return whether a phrase has only words of a time, even if it is not clear."""
    try:
        read(phrase)
    except UnknownWord:
        return False
    except UnclearPhrase:
        pass
    return True


def _is_request(match: re.Match[str], read: Reader) -> bool:
    """Return whether the text asks for a schedule, and is not a message to the agent with "ask" or "post" in it."""
    when, text = match["when"], match["text"].strip()
    is_clear = bool(match["link"]) or text != _unquoted(text)
    try:
        read(_unquoted(when))
    except UnknownWord:
        return bool(match["link"] or (looks_like_time(when) and (is_clear or _CLOCK.search(when))))
    except UnclearPhrase:
        return is_clear or bool(_CLOCK.search(when))
    return True


def _when_first(rest: str) -> Iterator[_Split]:
    """Split after each of the first words; a number alone is a duration ("2h call Anna"). Raises NotUnderstood."""
    zone = ""
    for space in reversed(list(_SPACES.finditer(rest[:_LONGEST_PHRASE]))):
        when, text = rest[: space.start()], rest[space.end() :]
        link = re.match(_LINK_AFTER, text, re.I)
        is_cut = _GOES_ON.match(text) or re.fullmatch(r"in\s+\d+", when) or (text and _ENDS_IN_NUMBER.fullmatch(when))
        is_range = re.search(f"[{_DASH}]", space[0]) and re.match(rf"\d|(?:{COUNTED})\b", text, re.I)  # "10 - 22"
        is_linked = link or (re.search(f"[:{_DASH}]", space[0]) and not is_range)
        if not is_linked and _ENDS_IN_TIME.fullmatch(when):
            zone = zone_in(text) or zone
        is_whole = is_linked or not (is_cut or is_range or zone)
        if re.search(rf"\b{_NUMBER}$", when, re.I) and re.match(rf"(?:to|of)\s+{_NUMBER}\b", text, re.I):
            is_whole = False  # "in 5 to 10 minutes"
        if when and is_whole and not _NO_END.fullmatch(when):
            text = text[link.end() :] if link else text
            yield _Split(when, text)
            if _LENGTH_FIRST.match(when):
                yield _Split(f"{'at' if _CLOCK_FIRST.match(when) else 'in'} {when}", text)
    if zone:
        raise NotUnderstood(f"Is {zone!r} a time zone? I read times only in your own.")


def _when_last(rest: str) -> Iterator[_Split]:
    """Split before each of the last words."""
    rest = _without_end(rest)
    start = max(len(rest) - _LONGEST_PHRASE, rest.rfind(_QUOTES[rest[0]][0], 1) + 1 if rest[:1] in _QUOTES else 0)
    for word in re.finditer(r"(?<!\S)\S", rest[start:]):
        text, when = rest[: start + word.start()].rstrip(" ,\u00a0"), rest[start + word.start() :]
        before = text.lower().split()[-1] if text else "the"
        is_cut = before in _NOT_AFTER or (when[0].isdigit() and before in ("in", "at", "on", "around"))
        is_vague = (before in _VAGUE_DAY and _DAY_NAME.match(when)) or _VAGUE.search(text)
        if not (is_cut or is_vague or _NO_BEGINNING.match(when)):
            yield _Split(when, text, is_last=True)


def _without_end(text: str) -> str:
    """Return a text without thanks, emoji and marks at its end."""
    return re.sub(rf"(?:[\s,.!?)]{{1,9}}{_THANKS})?[^\w\"“”»'’\]>]{{0,9}}$", "", text, flags=re.I)  # noqa: RUF001


def _order(asked: _Asked, read: Reader, timezone: str) -> Order:
    """Return the order of the first split whose phrase has only words of a time. Raises NotUnderstood."""
    unknown, splits = "", iter(asked.splits)
    for phrase, typed, is_last in splits:
        text = typed if asked.kind != "remind" or typed.endswith("..") else typed.rstrip().removesuffix(".")
        text = _unquoted(_WITH_THANKS.sub("", text) if asked.kind == "remind" else text)
        try:
            when = read(phrase)
        except UnknownWord as exc:
            unknown = unknown or str(exc)
            continue
        except UnclearPhrase as exc:
            meant = asked.commands(exc.nearest, text) or _shorter(asked, phrase, splits, read)
            raise NotUnderstood(str(exc), meant) from exc
        if not text:
            raise NotUnderstood(
                f"Say {'what to remind you of' if asked.kind == 'remind' else f'what to {asked.kind}'}."
            )
        _refuse_long(text)
        if left := _left(typed, phrase, is_recurring=when.is_recurring, is_last=is_last):
            message = (
                f"Is {left!r} a part of the time? I read only {phrase.strip()!r}. Text in quotes is taken as it is."
            )
            is_thing = not _left(typed, "at 9", is_recurring=when.is_recurring, is_last=False)  # "the 5pm flight"
            meant = _joined(asked, phrase, text, read) or (asked.commands([phrase], text) if is_thing else ())
            raise NotUnderstood(message, meant)
        others = asked.commands(when.others, text)
        return Order(kind=asked.kind, text=text, timezone=timezone, when=when, everybody=asked.everybody, others=others)
    see = "I do not see when. Write the time first or last: remind me WHEN to TEXT."
    raise NotUnderstood(see if asked.kind == "remind" else unknown)


def _shorter(asked: _Asked, unread: str, splits: Iterable[_Split], read: Reader) -> tuple[str, ...]:
    """Return the command with the end of an unread phrase only: "at 10pm" in "set the alarm for 6am at 10pm"."""
    for phrase, text, _ in splits:
        with suppress(UnclearPhrase, InvalidSchedule):
            read(phrase)
            is_text = text and unread.endswith(phrase) and not _NEVER_AFTER & {text.lower().split()[-1]}
            is_once = not re.search(r"\b(?:every|each|daily|weekly|monthly)\b", text, re.I)
            return asked.commands([phrase], text) if is_text and is_once else ()
    return ()


def _refuse_long(text: str) -> None:
    if len(text) > LONGEST_TEXT:
        message = f"The text has {len(text)} characters; at most {LONGEST_TEXT:,} are possible."
        raise NotUnderstood(message, is_final=True)


def _left(typed: str, phrase: str, *, is_recurring: bool, is_last: bool) -> str:
    """Return the part of the text that looks like a time, or ""; text in quotes is taken as it is."""
    if typed.strip() != _unquoted(typed):
        return ""
    last = typed.lower().split()[-1]
    beside = re.sub('^["“„][^"“”]*["“”]', "", typed.strip())  # a text in quotes, where the phrase may go on
    length = length_in(beside) if is_recurring else ""
    is_text = is_recurring and beside == typed.strip()
    has_clock = bool(_CLOCK.search(phrase))
    beside_event = relative_in(typed, has_clock=has_clock) if is_last else ""
    return (
        length
        or beside_event
        or looks_like_time(typed, is_recurring=is_text, has_clock=has_clock)
        or (last if last in _NEVER_AFTER else "")
    )


def _joined(asked: _Asked, phrase: str, text: str, read: Reader) -> tuple[str, ...]:
    """Return the command with the phrase and the time at the end of the text combined, if that can be read."""
    for when, rest, _ in _when_last(f"{text} {phrase}"):
        with suppress(UnclearPhrase, InvalidSchedule):
            read(when)
            return asked.commands([when], _unquoted(rest)) if len(rest) < len(text) else ()
    return ()


def _unquoted(text: str) -> str:
    text = text.strip()
    bare = re.sub(rf"(?:[\s,.!?]{{1,9}}{_THANKS})?[\s,.!?]{{0,9}}$", "", text, flags=re.I)
    if len(bare) > 1 and bare[-1] in _QUOTES.get(bare[0], ""):
        inner = bare[1:-1]
        closes = next((inner[:at] for at, char in enumerate(inner) if char == bare[-1]), " ")
        return inner.strip() if closes[-1:].isspace() or not closes else text  # `"a" and "b"` is not one quotation
    return text
