"""What in the text of an order looks like a time: then the phrase beside it may be only a part of what was meant.

In doubt it asks, since a text in quotes is always taken as it is.
"""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache

from phrase_words import DAYS, MONTHS
from shared.model.recurrence import timezone_names

_DAY = rf"(?:{'|'.join(DAYS)}|mon|tues?|weds?|thu(?:rs?)?|fri|weekday|weekend|workday|(?:business|working) day)s?"
_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_NAMED = rf"(?:{_DAY}|january|february|april|june|july|august|september|october|november|december)"
_UNIT = "(?:sec|min|hour|hr|day|week|fortnight|month|quarter|year|weekend)[a-z]*"
_FEW = "(?:an?|half|[0-9.,]+|one|two|three|four|five|six|seven|eight|nine|ten|few|several|other|couple|some)"
FEAST = "(?:christmas|xmas|easter|thanksgiving|halloween|new year'?s?|valentine'?s?)"
_OWN = "".join(
    rf"(?<!\b{word} )" for word in ("a", "the", "my", "our", "your", "his", "her", "their")
)  # friday meeting
_STOP_WORD = r"(?:at|on|in|of|and|or|to|before|after|by|from|until|for|with|next|this|morning|evening)\b"
_STOPS = (
    r"(?=\W*$|[,;.]|\W+[0-9]"
    rf"|\W+{_STOP_WORD})"
)
_CLOCK = r"(?:[0-9]{1,2}:[0-9]{2}|[0-9]{1,4} ?[ap]\.?m)"
_PATTERNS = rf"""
\b(?:at )?{_CLOCK}\b|\bo'?clock\b|\b(?:noon|midnight|midday)\b
\bat (?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b(?! of\b)
\b(?:at|um|@|on|by|until|from)(?: the)? ?[0-9]{{1,4}}(?:st|nd|rd|th)?\b|\b[0-9]{{1,2}}(?:st|nd|rd|th)\b{_STOPS}
\b[0-9]{{1,2}}/[0-9]{{1,2}}\b|\b[0-9]{{1,2}}\.[0-9]{{1,2}}\.|\b[0-9]{{4}}([-/])[0-9]{{1,2}}\1[0-9]{{1,2}}\b
\b[0-9]{{1,2}}-[0-9]{{1,2}}-[0-9]{{2,4}}\b|\b{_MONTH}\.? [0-9]|\b[0-9]{{1,2}}(?:st|nd|rd|th)?\.? (?:of )?{_MONTH}\b
{_OWN}\b{_NAMED}\b(?!')|\b{_NAMED}\b{_STOPS}
\b(?:on|next|this|last|every|each|by|until|from|before|after|since|starting)(?: the)? (?:{_DAY}|sat|sun)\b
\b(?:in|within|after|every|each|another) (?:about )?{_FEW}\b[\w ]{{0,12}}\b{_UNIT}\b|\bfrom now\b|\bonce an? \w+
\b(?:{_UNIT}|time) (?:from|after|before) (?:today|tomorrow|next|that|{_DAY})\b
\b(?:every|each) (?:odd |even )?(?:{_UNIT}|{_DAY}|morning|afternoon|evening|night|[0-9])|\b(?:twice|\w+ times)\b
\b(?:daily|hourly|weekly|monthly|yearly|annually|quarterly|nightly|fortnightly|biweekly)\b{_STOPS}
\b(?:end|beginning|start|middle|close) of (?:the |this |next |each |every )?(?:business|{_UNIT}|{_NAMED})\b
\b(?:eod|eow|eom|cob|asap|soon)\b|\b(?:shortly|eventually|sometime|someday|later)\W*(?:$| to\b| this\b| today\b)
\b(?:in the|at|this|every|tomorrow) (?:morning|afternoon|evening|night|dawn|dusk|sunset|lunch)\b
\b{FEAST} (?:day|eve|monday|sunday)\b|\b(?:on|at|by|until|before|after) {FEAST}|\b{FEAST}\W*$
\b(?:starting|until|till|except|beginning) \w+
(?-i:\b(?:UTC|GMT|CES?T|E[SD]T|P[SD]T|MST|BST|JST)\b|\b[A-Z][a-z]+/[A-Z]\w+)
\b(?:heute|morgen|übermorgen|uhr|stunden?|(?:mon|diens|donners|frei|sams|sonn)tags?|mittwochs?|jeden?|täglich)\b
\b(?:demain|aujourd'hui|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche|mañana|hoy|lunes|martes|jueves|viernes)\b
"""
_LOOKS = re.compile("|".join(_PATTERNS.strip().splitlines()), re.I)
_LOOKS_RELATIVE = re.compile(
    r"\b(?:today|tonight|tomorrow|tmrw|overmorrow"
    r"|(?:next|this|coming) (?:week|month|year|weekend|morning|afternoon|evening))\b(?!'s)",
    re.I,
)
_CITY = re.compile(r"\W*(?:in )?(?:[a-z]+/)?([a-z]+(?: [a-z]+){0,2}?)(?: time)?\s+(?:to|that|about)\b", re.I)
# Words for a time zone, which may follow a time of day; those that mean something else too count before "to ..." only.
_BEFORE_LINK = r"(?=\W*(?:to|that|about|on|today|tomorrow|tonight|every|each|next)\b|[,:)]|\W*$)"
_ABBREVIATED = r"(?:ces?t|[ecmp][sd]t|[ecmp]t|bst|ist|jst|sgt|aes?t|aedt|ees?t|mesz?|mez|msk)\b"
_REGION = r"(?:eastern|pacific|central|mountain|atlantic|zulu)\b(?:\s+(?:standard|daylight))?"
_ZONE = re.compile(
    r"\W*?(\+\d{1,2}\b|(?:utc|gmt)\b(?:\s?[+-]\s?\d+)?"
    r"|(?-i:Eastern|Pacific|Mountain|Zulu|[A-Z]{1,4}T|UTC|GMT|MESZ?|MEZ|MSK|Z)\b"
    rf"|(?:(?:[\w/'’-]+\s+){{1,3}}time\b(?!\W*$)|{_REGION}|{_ABBREVIATED}){_BEFORE_LINK})",  # noqa: RUF001
    re.I,
)
# What says how long or how often, where it follows a rhythm.
_PERIOD = r"(?:sec(?:ond)?|min(?:ute)?|hour|hr|day|week|weekend|fortnight|month|quarter|year)s?\b(?!\Ws\b)"
_LENGTH = re.compile(
    r"\W*((?:this|these|next|for|only|just|all|during|throughout|within|over)(?:\s+(?:the|this|next|whole|entire|coming"
    rf"|rest|remainder|of|first|last|{_FEW}))*\s+{_PERIOD}|for (?:a while|now|the time being)\b|overnight\b|\d+\s?x\b)",
    re.I,
)
# The same at the end of the text, where "for 5 minutes" belongs to it: it says how long to stretch.
_REST = re.compile(
    rf"\b(for the (?:rest|remainder) of (?:the|this|my) {_PERIOD}|for (?:the )?next {_FEW} {_PERIOD}"
    rf"|for (?:{_FEW}) (?:day|week|weekend|fortnight|month|quarter|year)s?\b"
    rf"|(?:this|next) {_PERIOD} only|only (?:this|next) {_PERIOD})\W*$",
    re.I,
)
_ARTICLE = "(?:an?|the|my|our|your|his|her|their)"
_OF_THING = re.compile(rf"\b{_ARTICLE} {_CLOCK}(?: ?[ap]m)? (?!{_STOP_WORD})(?=[^\W\d_])", re.I)
_BESIDE_EVENT = re.compile(
    rf"\b(?:(?P<length>{_FEW} (?:minute|hour|day|week|month)s? )(?:before|after)|(?:before|after) {_ARTICLE})"
    r" [^\W\d_]\S*(?: \S+){0,2}$",
    re.I,
)
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|„[^“”]*[“”]|\b[a-z]{2,9}://\S+")
# What people write for a time, and the likeliest time that is read.
_CLEARER = (
    (r"(?:at |around |over |during )?lunch(?: ?time)?", "at noon"),
    (r"(?<!hour )(?<!hours )(?<!minutes )after lunch", "at 13:30"),
    (r"(?:at )?breakfast(?: ?time)?", "at 8:00"),
    (r"(?:at )?(?:dinner|supper)(?: ?time)?", "at 19:00"),
    (r"(?:at |before )?bed(?: ?time)?", "at 22:00"),
    (r"after work", "at 18:00"),
    (r"(?:(?:by|at) )?(?:eod|cob|(?:the )?(?:end|close) of (?:(?:the|business) )?day)", "at 17:00"),
    (r"(?<!until )(?<!until the )(?:(?:by|at) )?(?:eow|(?:the )?end of (?:the )?week)", "on friday at 17:00"),
    (r"(?:(?:by|at) )?eom", "at the end of the month"),
    (r"in (?:a )?(?:few|some|several) minutes|in a (?:bit|while|moment)", "in 10 minutes"),
    (r"in (?:a )?(?:few|some|several) (hours|days|weeks)", r"in 3 \1"),
    (r"(?:right )?now|immediately|asap", "in 1 minute"),
    (r"(?:twice|[0-9]x|[a-z0-9]+ times) (?:a|per) (day|week|month|year)(?= (?:at|on)\b)", r"every \1"),
    (r"twice (?:a|per) day", r"every day at 9 and 17"),
    (r"(?:(?:three|3) times|3x) (?:daily|(?:a|per) day)", "every day at 9, 13 and 17"),
    (r"twice (?:a|per) week", "every monday and thursday"),
    (r"(?:three|3) times (?:a|per) week", "every monday, wednesday and friday"),
    (r"bi-?weekly", "every 2 weeks"),
    (r"bi-?monthly", "every 2 months on the 1st"),
    (r"(?:on )?(?:christmas|xmas) eve", "24 december"),
    (r"(?:on |at )?(?:christmas|xmas)(?: day|(?! eve))", "25 december"),
    (r"(?:on )?new year'?s eve", "31 december"),
    (r"(?:on )?new year'?s(?: day)?", "1 january"),
    (r"(?:on |at )?halloween", "31 october"),
    (rf"in ({_MONTH}(?: [0-9]{{4}})?)", r"on 1 \1"),
    (rf"(?:in )?mid[ -]({_MONTH}(?: [0-9]{{4}})?)", r"on 15 \1"),
    (rf"every ({_MONTH})", r"every 1 \1"),
    (rf"by (?=(?:{_DAY}|tomorrow|noon)\b)", ""),
    (r"by (?=[0-9])", "at "),
    (rf"({_DAY}|today|tomorrow|tonight) (?=[0-9]{{1,2}}(?: to)?\b(?!:))", r"\1 at "),
    (r"within (?=[0-9]|an?\b)", "in "),
    (rf"({_DAY}) week|a week on ({_DAY})", r"a week from \1\2"),
    (r"every day this week", "every day until sunday"),
    (rf"({_UNIT}) ([0-9]+)", r"\1 \2 minutes"),
)
_OFTEN_MISSPELT = (*DAYS, *(month for month in MONTHS if len(month) > 5), "tomorrow", "tonight")


def looks_like_time(text: str, *, is_recurring: bool = False, has_clock: bool = False) -> str:
    """Return what in a text looks like a time, or "".

    In a recurring job "today" belongs to the text, and beside a clock time "the 5pm flight" does.
    """
    bare = _QUOTED.sub('""', " ".join(text.split()).replace("’", "'"))  # noqa: RUF001
    bare = _OF_THING.sub("the ", bare) if has_clock else bare
    if found := _LOOKS.search(bare) or (None if is_recurring else _LOOKS_RELATIVE.search(bare)):
        return found[0].strip()
    return next((word for word in re.findall(r"[^\W\d_]+", bare) if spelt(word) != word), "")


def zone_in(text: str) -> str:
    """Return the time zone or the city with which a text begins, or ""."""
    text = " ".join(text.split())
    if found := _ZONE.match(text):
        return found[1].strip()
    city = _CITY.match(text)
    return city[1] if city and city[1].lower() in _cities() else ""


@cache
def _cities() -> frozenset[str]:
    names = (zone.rpartition("/")[2].replace("_", " ").lower() for zone in timezone_names())
    return frozenset(names) - {"christmas", "easter"}


def length_in(text: str) -> str:
    """Return the length or number of times with which a text begins, or a length at its end, or ""."""
    return found[1].strip() if (found := _LENGTH.match(text) or _REST.search(text)) else ""


def relative_in(text: str, *, has_clock: bool) -> str:
    """Return the event at the end of a text that a time behind it may be of, or "": "before the meeting" at 9."""
    found = _BESIDE_EVENT.search(" ".join(text.split()))
    return found[0].strip() if found and (has_clock or found["length"]) else ""


def phrasings(text: str) -> Iterator[str]:
    """Return the text as it may be meant: spelt right, or with a time that is read in place of a vague one."""
    yield spelt(text)
    for vague, clear in _CLEARER:
        yield re.sub(rf"\b(?:{vague})\b", clear, text, flags=re.I)


def spelt(text: str) -> str:
    """Return a text with misspelt names of days corrected."""

    def right(match: re.Match[str]) -> str:
        word = match[0].lower()
        if len(word) < 5 or word.rstrip("s") in _OFTEN_MISSPELT:
            return match[0]
        return (get_close_matches(word, _OFTEN_MISSPELT, n=1, cutoff=0.8) or [match[0]])[0]

    return re.sub(r"[^\W\d_]+", right, text)
