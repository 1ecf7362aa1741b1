"""The words of a time: a phrase in canonical words, and the marks in it.

`marks_of` reads "on the first tues. of october at 5pm" as the marks clock, nth_weekday and months. `phrase_times`
decides what they mean together.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from shared.errors import InvalidInput


def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


DAYS = words("monday tuesday wednesday thursday friday saturday sunday")
MONTHS = words("january february march april may june july august september october november december")
UNITS = words("second minute hour day week month year")


class UnclearPhrase(InvalidInput):
    """A phrase that says an impossible or unclear time; `nearest` are phrases that may be meant."""

    def __init__(self, message: str, *nearest: str) -> None:
        super().__init__(message)
        self.nearest = nearest


class UnknownWord(UnclearPhrase):
    """A phrase with a word that does not belong to a time."""


def items(listed: str) -> list[str]:
    """Split a list such as "9, 12 and 15"."""
    return re.split(_AND, listed)


# ---- Canonical words.

_NUMBERS = words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
)
_NTHS = words("""zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth
    fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth""")
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "ninety": 90}


def _ordinal(number: int) -> str:
    return f"{number}{'th' if 10 < number < 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


_COUNTED = (
    {word: f"{n}" for n, word in enumerate(_NUMBERS)}
    | {word: _ordinal(n) for n, word in enumerate(_NTHS) if word != "second"}  # it may be a unit
    | {f"{tens} {_NUMBERS[n]}".removesuffix(" zero"): f"{ten + n}" for tens, ten in _TENS.items() for n in range(10)}
    | {f"{tens} {_NTHS[n]}": _ordinal(ten + n) for tens, ten in _TENS.items() for n in range(1, 10)}
    | {"thirtieth": "30th"}
)
COUNTED = "|".join(sorted(_COUNTED, key=len, reverse=True)).replace(" ", "[ -]")
_SYNONYMS = """sec=second min=minute hr=hour wk=week yr=year tues=tuesday weds=wednesday thur=thursday thurs=thursday
    sept=september each=every ev=every everyday=every_day daily=every_day nightly=every_night hourly=every_hour
    weekly=every_week monthly=every_month yearly=every_year annually=every_year quarterly=every_3_month
    fortnightly=every_2_week fortnight=2_week midday=noon overmorrow=day_after_tomorrow tmrw=tomorrow tmr=tomorrow
    till=until thru=through tonight=today_night beginning=starting"""
_WORDS = (
    {f"{unit}s": unit for unit in UNITS}
    | {name[:3]: name for name in (*DAYS, *MONTHS)}
    | {f"{day}s": f"every {day}" for day in (*DAYS, "weekday", "weekend")}
    | {word: meaning.replace("_", " ") for word, meaning in (pair.split("=") for pair in words(_SYNONYMS))}
)
_WORDS |= {f"{word}s": _WORDS[word] for word in ("sec", "min", "hr", "wk", "yr", "fortnight")}
_LETTERS = {"h": "hour", "m": "minute", "s": "second", "d": "day", "w": "week"}

_UNIT = rf"(?:{'|'.join(UNITS)})"
_ONE_DAY = "|".join(DAYS)
_DAY = rf"(?:{_ONE_DAY}|weekday|weekend)"
_MONTH = rf"(?:{'|'.join(MONTHS)})"
_SHORT_MONTH = rf"(?:{'|'.join(month[:3] for month in MONTHS)})"
_NUMBER = r"\d{1,2}(?:st|nd|rd|th)?"
_SINCE = r"(?:from|between|starting)"
_NTH = r"(?:\d{1,2}(?:st|nd|rd|th)|last)"
_PART = r"(?:morning|afternoon|evening|night)"
_AND = r"(?:\s?, (?:and )?| and | or | ?& ?)"
_SPAN = rf"\d+ {_UNIT}(?:(?:{_AND}| )\d+ {_UNIT})*"
_EVERY_DAY = rf"(?:every )?({_ONE_DAY})"
_NOT_OFF = "".join(rf"(?<!\b{word} )(?<!\b{word} on )" for word in ("except", "excluding", "not"))
_OF_MONTH = rf"(?=(?:the |every |this |next )?(?:month|{_MONTH})\b)"


def _as_nth(match: re.Match[str]) -> str:
    return _ordinal(int(match[0]))


def _minutes_past(match: re.Match[str]) -> str:
    minutes = {"quarter": "15", "half": "30"}.get(match[1].removeprefix("a "), match[1])
    return f"at minute {minutes}"


def _minutes(match: re.Match[str]) -> str:
    minutes = float(match[1]) * 60
    return f"{minutes:.0f} minute" if minutes.is_integer() else match[0]


def _in_each(match: re.Match[str]) -> str:
    return re.sub(_MONTH, lambda month: match[1] + month[0], match[2])


def _of_year(match: re.Match[str]) -> str:
    return f"{_every(match)}{'31st december' if match[1] in ('last', 'end') else '1st january'}"


def _every(match: re.Match[str]) -> str:
    return "every " if match[2] == "every" else ""


def _listed(match: re.Match[str]) -> str:
    return match[0].replace(" every ", ", ")


def _weekdays(match: re.Match[str]) -> str:
    first, last = DAYS.index(match[1]), DAYS.index(match[2])
    if first == last:
        return match[0]
    return "every " + " and ".join(DAYS[n % 7] for n in range(first, last + (7 if last < first else 0) + 1))


_CANONICAL: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (  # applied in this order
    # What is typed in many ways,
    (r"[’‘]", "'"),  # noqa: RUF001 - telephones type them
    (r"[–—]", "-"),  # noqa: RUF001
    (r"(?<=\d)( ?[ap])\.? ?m\b\.?", r"\1m"),
    (r"\b(at \d{1,2}|\d{1,2}:\d\d)([ap])\b", r"\1\2m"),
    (r"\b(\d{4}-\d\d-\d\d)t(?=\d\d:\d\d)", r"\1 at "),
    (r"(?<=\d:\d\d):00\b", ""),
    (r"(?<=\d),? '(\d\d)\b", r" 20\1"),
    (r"\b(\d{1,2})([-/])([a-z]{3,9})\2(?:20)?(\d\d)\b", r"\1 \3 20\4"),
    (rf"(?<=\d)(?={_SHORT_MONTH}[a-z]*\b)|(?<=\b{_SHORT_MONTH})(?=\d)", " "),
    (r"\bat (\d{1,2}) ?h ?([0-5]\d)?\b", lambda m: f"at {m[1]:0>2}:{m[2] or '00'}"),
    (r"\bin (\d+) ?h ?([0-5]\d)\b", r"in \1 hour \2 minute"),
    (r"\ball days\b", "every day"),
    (r" (?:forever|indefinitely|until further notice)$", ""),
    (r"(?<=[a-z])\.(?=[\s,]|$)", ""),
    (r",(?=\S)", ", "),
    (r"(?<=[\dm])-(?=\d{1,2}(?::\d| ?[ap]m\b))", " to "),
    (r"\s?o ?'?clock\b", " o'clock"),
    (r"(?<=\d) ?(?:([hmsdw])(?=\d|\b)|(?=(?:min|sec|hr|hour|day|week)))", lambda m: f" {_LETTERS.get(m[1], '')} "),
    # numbers,
    (rf"\b({COUNTED})\b", lambda m: _COUNTED[m[1].replace("-", " ")]),
    (r"\b(at \d{1,2}) ([0-5]\d)(?= ?[ap]m\b| (?:on|in|today|tomorrow|every)\b|$)", r"\1:\2"),
    (r"(?<!\bat )(?<!\bat a )\b(?:a )?couple(?: of)?\b", "2"),
    (r"\b(?:working |work[ -]?|business |week[ -])day(s?)\b", r"weekday\1"),
    (r"[a-z]+", lambda m: _WORDS.get(m[0], m[0])),
    (r"\s+", " "),
    (rf"{_NOT_OFF}\bevery {_DAY}(?: every {_DAY})+\b", _listed),
    (rf"\b({_DAY})[ /](?={_DAY}\b(?! ?(?:-|to|through) ?{_DAY}))", r"\1, "),
    (r"[()]", " "),
    (rf"(?<!\bfrom )(?<!\bbetween )\b({_MONTH}) ?(?:-|to|through) ?({_MONTH})\b(?! \d)", r"from \1 through \2"),
    (r"\b(?:this|the) (?:up)?coming\b|\bupcoming\b", "coming"),
    (r"\b1st thing\b", ""),
    (rf"\bearly (today|tomorrow|{_ONE_DAY}) morning\b", r"\1 early morning"),
    (r"\ball (?=every\b)|^(?:only|just) |^once (?=on\b|at\b|today\b|tomorrow\b|next\b)", ""),
    (rf"\balternate every (?={_DAY})", "every 2 week "),
    (r"\bat (\d{1,2}) oh? (\d)\b", r"at \1:0\2"),
    (r"\buntil (?:and )?including\b", "through"),
    (r"\bup (?:to|until)\b", "until"),
    (r"(?<!\bin )\b(?:at )?(?:around|approximately|exactly|precisely|roughly) (?=\d|noon|midnight)|\bat about ", "at "),
    (r"(\d|\d ?[ap]m|o'clock|noon|midnight) (?:sharp|exactly|precisely)\b", r"\1"),
    (r"\bat (\d{4}) hour\b", r"at \1"),
    (r" or so\b", ""),
    # lengths of time,
    (r"\b3 quarters of an hour\b", "45 minute"),
    (r"\b(?:a )?quarter (?:of )?(?:an )?hour\b", "15 minute"),
    (r"\b(\d+) (?:and a half hour|hour and a half)\b", lambda m: f"{60 * int(m[1]) + 30} minute"),
    (r"\b(an|every) hour and a half\b", lambda m: f"{m[1].removeprefix('an')} 90 minute"),
    (rf"\b({_UNIT})'s? (?=time\b)", r"\1 "),
    (r"\b(?:a )?half (?:an )?hour\b", "30 minute"),
    (r"\bhalf (?:a )?(day|year)\b", lambda m: "12 hour" if m[1] == "day" else "6 month"),
    (r"\b(\d+\.\d+) hour\b", _minutes),
    (r"\ban? (?=\d)", ""),
    (rf"\ban? (?={_UNIT}\b)", "1 "),
    (r"\bin (?:about|around|approximately|exactly) (?=\d)", "in "),
    (rf"(?<!every )\b({_SPAN}) (?:from (?:now|today)|hence|later)\b(?! on)", r"in \1"),
    (rf"(?<!every )\b({_SPAN}) from\b", r"\1 after"),
    (rf"\bafter (?={_SPAN}\b)", "in "),
    (r"\bin (?=in \d)|\bfrom now on\b|\b(?:my|our|local) time\b", ""),
    (rf"\b(every (?:\d+ )?{_UNIT}) (?:starting|as of|from) (?:right )?now\b", r"\1 starting"),
    # rhythms,
    (rf"\bonce (?:every |an? |1 |per )?(?=(?:{_UNIT}|quarter)\b)", "every "),
    (rf"\bevery (?:other|alternate|second) (?={_UNIT}\b)", "every 2 "),
    (rf"\bevery (?:other|alternate) (?={_DAY})", "every 2 week "),
    (rf"\bsecond\b(?<!\d second)(?:(?<!every second)|(?= {_DAY}|{_AND}{_NTH}))", "2nd"),
    (rf"\bevery (\d+)(?:st|nd|rd|th) ({_UNIT})\b(?! of (?:the|every) )", r"every \1 \2"),
    (r"\bevery single\b|\bonce every (?=\d)", "every "),
    (r"\bevery hour on the hour\b", "every hour"),
    (r"(?<!\bof )(?<!\bof the )\b(every |this |next )?(month|quarter|year)[ -]end\b",
     lambda m: f"end of {m[1] or 'the '}{m[2]}"),
    (r"^today night at (?:midnight|12(?: am)?)$", "at midnight"),
    (r"\bevery(?: day)? night at (?:midnight|12 am)\b", "every day at midnight"),
    (r"\bevery day of (?:the|every) (?:week|month|year)\b", "every day"),
    (rf"\bevery ({_NTH}(?: day| (?:{_ONE_DAY}))?) of the quarter\b", r"every quarter on the \1"),
    (r"\b(?:starting|begin) of\b", "start of"),
    (r"\bevery (week|month|quarter|year) (?:at|on|in) the (?:(end)|starting|start|begin)\b",
     lambda m: f"{m[2] or 'start'} of every {m[1]}"),
    (r"\b(last|1st|end|start)(?: day)? of (the|every) year\b", _of_year),
    (r"\b(end|start) of every quarter\b", lambda m: f"{'last' if m[1] == 'end' else '1st'} day of every quarter"),
    (r"\bevery quarter\b", "every 3 month"),
    (rf"({_AND})every (?={_PART}\b)", r"\1"),
    (rf"\bevery (?=(?:early |late )?{_PART}\b)", "every day "),
    (rf"\b({_DAY} )?((?:early |late )?{_PART})s\b", lambda m: f"every {m[1] or 'day '}{m[2]}"),
    (rf"\b(?<!starting )(?:from |between )?{_EVERY_DAY} ?(?:-|to|through) ?{_EVERY_DAY}\b", _weekdays),
    (rf"\bbetween ({_ONE_DAY}) and ({_ONE_DAY})\b", lambda m: _weekdays(m).removeprefix("every ")),
    (r"\bevery (\d+ )?(week|month|year)(?:,? on)? every\b", r"every \1\2"),
    (rf"\b({_NTH}(?:{_AND}{_NTH})*) every ({_ONE_DAY})\b", r"every \1 \2"),
    (rf"({_AND})(?:on )?every (?=\d+(?:st|nd|rd|th)|last|{_DAY}|{_MONTH})", r"\1"),
    (rf"\b(?:but(?: not)?|not|other than|apart from) (?=(?:on )?(?:every )?{_DAY})|\bexcept for\b", "except "),
    (r"\b(?:except|excluding|but not) (?:(?:on|at) )?(?:every )?", "except "),
    (rf"\bevery day,? (?:on )?(?=every {_DAY})", ""),
    (rf"\bevery (?=every\b)|(?<=\bevery )1 (?!{_MONTH})", ""),
    # and days.
    (rf"\b({_SINCE} (?:the )?{_NUMBER}) (to|and|until|through) (?:the )?({_NUMBER}) (?:of )?({_MONTH})\b",
     r"\1 \4 \2 \3 \4"),
    (rf"\b({_MONTH}) ({_NUMBER})({_AND})(?={_NUMBER}(?![\d:.])(?! [ap]m))", r"\1 \2\3\1 "),
    (rf"(?<!\band )(?<!, )\b({_NUMBER} )(?:of )?({_MONTH}(?:{_AND}{_MONTH})+)(?! \d)", _in_each),
    (rf"\bthis (?={_PART}\b)", "today "),
    (r"\bend of year\b", "31st december"),
    (rf"\b(?:end|last) of {_OF_MONTH}", "last day of "),
    (rf"\bstart of {_OF_MONTH}", "1st day of "),
    (r"\b12(?::00)? (noon|midnight)\b", r"\1"),
    (r"\b(?:days|on day) (\d+(?:, (?:and )?\d+| and \d+)*)\b", lambda m: re.sub(r"\d+", _as_nth, m[1])),
    (r"(?<=\bon the )\d{1,2}(?= at\b|$)|\b\d{1,2}(?= of (?:the|this|next) month\b)", _as_nth),
    (r"\bat :(\d\d)\b", r"at minute \1"),
    (r"\bat (\d+|(?:a )?quarter|half)(?: minute)? past(?! (?:\d|noon|midnight))(?: (?:the|every) hour)?\b",
     _minutes_past),
)  # fmt: skip


@cache
def _canonical() -> list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]]:
    # Compiled when the first phrase is read: most messages have none.
    return [(re.compile(pattern), replacement) for pattern, replacement in _CANONICAL]


def canonical(phrase: str) -> str:
    """Return a phrase in canonical words; such a phrase is returned unchanged."""
    text = " ".join(phrase.lower().split()).strip(", ")
    for pattern, replacement in _canonical():
        text = pattern.sub(replacement, text)
    return " ".join(text.split())


def said(phrase: str) -> str:
    """Return a canonical phrase as people write it."""
    return re.sub(rf"(?<!\d)((?!1 )\d+ {_UNIT})\b", r"\1s", " ".join(phrase.split()))


# ---- Marks.

_STOP = r"(?![\w:/-]|\.\d)"
_END = rf"{_STOP}(?! (?:of\b|{_MONTH}|{_UNIT}\b(?! after)))"
_BARE = rf"(?:noon|midnight|\d{{1,2}}(?:[:.]\d\d)?(?: ?[ap]m| o'clock)?|\d{{3,4}}(?: ?[ap]m)?){_END}"
_SURE = rf"(?:noon|midnight|\d{{1,2}}(?::|\.(?!0|1[0-2]))\d\d(?: ?[ap]m)?|\d{{1,4}} ?[ap]m|\d{{1,2}} o'clock){_STOP}"
_AWAY = r"(?:(?:a )?(?:quarter|half|5|10|20|25|\d+ (?:minute|hour)) (?:past|after|to|before) )"
_TIME = rf"(?:(?:at |@ ?)?(?:{_AWAY}{_BARE}|{_SURE})|(?:at |@ ?){_BARE})"
_BEGIN = r"(?<![\w.:/-])(?<!\bon )(?<!\bin )"
_TIMES = re.compile(rf"{_BEGIN}{_TIME}(?:{_AND}(?:at )?{_BARE})*")
_HOURS = re.compile(
    rf"{_BEGIN}(?:(?:from |between ){_BARE} (?:to|until|and) {_BARE}"
    rf"|{_SURE} (?:to|until) {_BARE}|(?<!at ){_BARE} to {_SURE})"
)
TIME = re.compile(rf"(?P<away>{_AWAY})?(?P<time>{_BARE})")
_PARTS = re.compile(rf"\b(?:in the |at |during the )?((?:early |late )?{_PART})\b")
_CLAUSES = {
    **dict.fromkeys(("starting", "from", "as of"), "from"),
    **dict.fromkeys(("until", "ending"), "until"),
    **{name: name for name in ("through", "before", "for", "except")},
}
_OPENS = "|".join(_CLAUSES)
_RHYTHM = rf"(?:(?:on )?the {_NTH}.{{0,40}}? of )?every|(?<=[a-z] )on (?:the )?{_NTH}(?! of )"
_CLAUSE = re.compile(rf",? ?\b({_OPENS})\b(?: on| in| from)?(.*?)(?=,? (?:{_OPENS}|{_RHYTHM})\b|$)")
_NTH_LIST = rf"{_NTH}(?:{_AND}(?:the )?{_NTH})*"
_MARKS = tuple(
    (name, re.compile(rf"(?:{pattern})(?![\w/])"))
    for name, pattern in (
        ("every", rf"every (\d+ )?({_UNIT})"),
        ("recurs", "every"),
        ("minute", r"at minute (\d{1,2})"),
        ("span", rf"(?:in )?({_SPAN}) after|in ({_SPAN})(?: time)?"),
        ("date", r"(?P<y>\d{4})(?P<by>[-/.])(?P<m>\d{1,2})(?P=by)(?P<d>\d{1,2})"),
        ("date", r"(?P<a>\d{1,2})(?:(?P<by>[/.-])(?P<b>\d{1,2})(?P=by)(?P<y>\d{4}|\d\d)|[/.](?P<b2>\d{1,2})\.?)"),
        ("date", rf"(?P<m>{_MONTH}) (?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?![\d:])(?:,? (?P<y>\d{{4}}))?"),
        ("date", rf"(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?: day)?(?: of)? (?P<m>{_MONTH})(?:,? (?P<y>\d{{4}}))?"),
        ("nth_weekday", rf"({_NTH_LIST}) ({_ONE_DAY})"),
        ("nth", rf"(?!last(?! day|{_AND}))({_NTH_LIST})(?: day)?"),
        ("weekday", rf"{_DAY}(?:{_AND}{_DAY})*"),
        ("month", rf"{_MONTH}(?:{_AND}{_MONTH})*"),
        ("coming", r"(next|this|coming)(?: (week|month|year))?"),
        ("relative", "today|tomorrow|day after tomorrow"),
        ("of_month", r"(?<=\b(?:of|in) )month|(?<=\b(?:of|in) the )month"),
        ("year", r"[12]\d{3}"),
    )
)
_COUNT = re.compile(r"\b(?:twice|\d+ ?(?:x|times?|occurrences?))\b(?! (?:\d|per|every)\b)")
_FILLER = re.compile(rf"(?:{_AND}|\s|,|(?:on|the|of|in|at)\b)")


DayMarks = Mapping[str, tuple[re.Match[str], ...]]


@dataclass(frozen=True, kw_only=True)
class Marks:
    """What a phrase names: `times` of day as they are written, the `hours` between two, the days, the clauses.

    `phrase` is the phrase without the times.
    """

    phrase: str
    times: tuple[str, ...]
    hours: tuple[str, ...]
    parts: tuple[str, ...]
    clauses: Mapping[str, DayMarks]
    days: DayMarks


def unreadable(marks: Marks) -> UnclearPhrase:
    return UnclearPhrase(f"{said(marks.phrase)!r} cannot be read as a time.")


def marks_of(phrase: str) -> Marks:
    """Read the marks of a phrase. Raises UnclearPhrase for an unknown word, and if two marks contradict each other."""
    if capital := re.search(r"\d+ ?M\b", phrase):
        raise UnclearPhrase(f"Is {capital[0]!r} minutes or months?")
    rest = canonical(phrase)
    rest, hours = _taken(_HOURS, rest)
    rest, times = _taken(_TIMES, rest)
    rest, parts = _taken(_PARTS, rest)
    if len(parts) == 1 and re.search(r"(?:\band|\bor|&)\s*$", rest):  # "every day and night"
        raise UnclearPhrase(f"{phrase.strip()!r} cannot be read as a time.")
    rest = re.sub(rf"\b(?:from|between) ((?:(?!\b(?:{_OPENS})\b).){{1,40}}?) (?:to|and) ", r"from \1 through ", rest)
    # First, because an unknown word counts more than marks that contradict: a text ends a clause that it follows.
    clauses = [(_CLAUSES[match[1]], day_marks(_length(match))) for match in _CLAUSE.finditer(rest)]
    days = day_marks(_CLAUSE.sub(" ", rest))
    if len(dict(clauses)) < len(clauses) or "except from " in rest:  # "except in may, except tomorrow"
        raise UnclearPhrase(f"{said(rest)!r} cannot be read as a time.")
    if len(times) + len(hours) > 1:
        raise UnclearPhrase(f"{phrase.strip()!r} has more than one time. Write one, or a list such as at 9 and 17.")
    return Marks(
        phrase=" ".join(rest.split()),
        times=tuple(items(times[0])) if times else (),
        hours=tuple(re.split(" to | until | and ", re.sub("from |between ", "", hours[0]))) if hours else (),
        parts=tuple(re.sub("in the |at |during the ", "", part) for part in parts),
        clauses=dict(clauses),
        days=days,
    )


def _length(clause: re.Match[str]) -> str:
    if clause[1] != "for":
        return clause[2]
    length = re.sub(rf"^ the next (?={_UNIT}\b)", " the next 1 ", clause[2])
    return re.sub(r"^(?: the)?(?: next)?(?= \d)", " in", length)


def _taken(pattern: re.Pattern[str], text: str) -> tuple[str, list[str]]:
    return pattern.sub(" ", text), [match[0] for match in pattern.finditer(text)]


def day_marks(text: str) -> DayMarks:
    """Return the marks of a text that names days only. Raises UnclearPhrase."""
    found: dict[str, tuple[re.Match[str], ...]] = {}
    at = 0
    while at < len(text):
        name, match = next(((name, match) for name, mark in _MARKS if (match := mark.match(text, at))), ("", None))
        if filler := match is None and _FILLER.match(text, at):
            at = filler.end()
            continue
        if bare := match is None and re.fullmatch(r"\s*in (\d+)\s*", text):
            raise UnclearPhrase(f"In {bare[1]} of what?", f"in {bare[1]} minutes")
        if match is None and _COUNT.search(text):
            raise UnknownWord(f"A schedule ends on a day, and not after so many runs: {said(text)!r}.")
        if match is None:
            raise UnknownWord(f"The word {text[at:].split()[0]!r} is not known in {' '.join(text.split())!r}.")
        if name in found and name != "date":
            raise UnclearPhrase(f"{' '.join(text.split())!r} cannot be read as a time.")
        found[name] = (*found.get(name, ()), match)
        at = match.end()
    return found
