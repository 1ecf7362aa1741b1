"""The words that say when: what they mean, and how a phrase becomes a few regular words."""

import re
from collections.abc import Sequence
from datetime import time


def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


USUAL = time(9)  # where a day is named without a time
PARTS = {  # of the day: the usual time, and the hours that count as it
    "morning": (time(9), range(0, 12)),
    "afternoon": (time(14), range(12, 19)),
    "evening": (time(18), range(16, 24)),
    "night": (time(21), range(19, 24)),
}
NAMED_TIMES = {"noon": time(12), "midday": time(12), "midnight": time(0)}
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
CODES = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
MONTHS = words("january february march april may june july august september october november december")
UNITS = {"seconds": "SECONDLY", "minute": "MINUTELY", "hour": "HOURLY", "day": "DAILY"} | {
    "week": "WEEKLY",
    "month": "MONTHLY",
    "year": "YEARLY",
}
LIMITS = "until till from between since starting beginning ending for except but times twice"
NUMBERS = words("zero one two three four five six seven eight nine ten eleven twelve")
SYNONYMS = """the= on= of= and= at= this= first=1st second=2nd third=3rd fourth=4th fifth=5th a=1 an=1
    fifteen=15 twenty=20 thirty=30 forty=40 fifty=50 sixty=60 ninety=90 other=other alternate=other
    sec=seconds secs=seconds min=minute mins=minute minutes=minute hr=hour hrs=hour hours=hour days=day weeks=week
    months=month years=year tues=tuesday thur=thursday thurs=thursday sept=september each=every everyday=every_day
    daily=every_day hourly=every_hour weekly=every_week monthly=every_month yearly=every_year annually=every_year
    quarterly=every_3_month fortnightly=every_2_week quarter=3_month"""
WORDS = {
    **{word: word for word in words("every in next last today tomorrow overmorrow of_month weekday weekend")},
    **{word: word for word in (*DAYS, *MONTHS, *UNITS, *LIMITS.split())},
    **{name[:3]: name for name in (*DAYS, *MONTHS)},
    **{word: str(number) for number, word in enumerate(NUMBERS)},
    **{f"{day}s": day for day in (*DAYS, "weekday", "weekend")},
    **{word: meaning.replace("_", " ") for word, meaning in (pair.split("=") for pair in SYNONYMS.split())},
}
NUMBER = re.compile(r"[0-9]{1,4}(?:st|nd|rd|th)?|[0-9]{4}-[0-9]{2}-[0-9]{2}")

NAME = rf"(?:{'|'.join((*DAYS, 'weekday', 'weekend'))})"
MONTH = rf"(?:{'|'.join(MONTHS)})"
SHORT_NAME = rf"(?:{'|'.join((*DAYS, *(day[:3] for day in DAYS)))})"
CLOCK_END = rf"(?![\w:.-])(?!\s+(?:of\b|{'|'.join(month[:3] for month in MONTHS)}))"
CLOCK = rf"(?:noon|midday|midnight|[0-9]{{1,2}}(?:[:.][0-9]{{2}})?(?:\s?(?:am|pm|o'clock))?){CLOCK_END}"
SURE_CLOCK = (
    rf"(?:noon|midday|midnight|[0-9]{{1,2}}[:.][0-9]{{2}}(?:\s?[ap]m)?|[0-9]{{1,2}}\s?(?:am|pm|o'clock)){CLOCK_END}"
)
CLOCK_TIMES = re.compile(rf"\b(?:at\s+{CLOCK}|{SURE_CLOCK})(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+)(?:at\s+)?{CLOCK})*")
PART = re.compile(rf"\b(?:(every|each|other|this)\s+|(?:in\s+the|at)\s+)?({'|'.join(PARTS)})\b")
LIMIT = re.compile(rf"\b(?:{LIMITS.replace(' ', '|').replace('times', '[0-9a-z]+ times')})\b.*?(?=\bevery\b|$)")

BEGINS_WHEN = re.compile(
    rf"""(?<!\S)(?:
    (?:every|each|everyday|daily|hourly|weekly|fortnightly|monthly|quarterly|yearly|annually|today|tomorrow|tonight)\b
    |(?:once|next)\s
    |(?:(?:on|this|from)\s+)?(?:{NAME}s?|{SHORT_NAME})\b
    |(?:on\s+)?(?:{MONTH}|{"|".join(month[:3] for month in MONTHS)})\s+[0-9]
    |(?:on\s+)?(?:the\s+)?(?:[0-9]{{1,2}}(?:st|nd|rd|th)\b|(?:first|last)\s)
    |(?:on\s+)?(?:[0-9]{{4}}-[0-9]|[0-9]{{1,2}}\s+{MONTH})
    |in\s+(?:half\s|\S+\s+(?:sec|min|hour|hr|day|week|month|year))
    |(?:in\s+the|at|this)\s+(?:{"|".join(PARTS)})\b
    |(?:the\s+)?day\s+after\s+tomorrow
    |at\s+{CLOCK}|{SURE_CLOCK})""",
    re.I | re.VERBOSE,
)
SAYS_WHEN = re.compile(
    rf"every|twice|times|today|tomorrow|overmorrow|{NAME}|{MONTH}|in \d+ [a-z]|\d{{4}}-|next [wmy]|'"
)
DIGIT_TH = re.compile(r"[0-9](?:st|nd|rd|th)\b")  # but "on second thought"
# A day that the text names outside of the phrase may be meant as a part of it; "may", "march" and "sun" mostly are not.
NAMES_DAY = re.compile(rf"(?:{'|'.join(DAYS)}|today|tomorrow|tonight|(?!mar|may){MONTH}|dec|jan|nov|oct)s?\W*")

# Applied in order to what was typed ...
TYPED = (
    (r"[’‘]", "'"),  # noqa: RUF001 - telephones type them
    (r"\b([ap])\.m\.?", r"\1m"),
    (r"\b([0-9]+)([hm])\b", lambda match: f"{match[1]} {'hours' if match[2] == 'h' else 'minutes'}"),
    (r"\bin (?:a|one|1) second\b", "in 1 seconds"),  # elsewhere it is an ordinal
    (r"\btonight\b", "today night"),
    (r"\b(?:working|work|business)[ -]?day(s?)\b", r"weekday\1"),
    (r"\bday after tomorrow\b", "overmorrow"),
    (r"\bhalf (?:an )?hour\b", "30 minutes"),
    (r"\bonce (?:a|an|every|per)\b", "every"),
    (r"\bof the month\b", "of_month"),
    (rf"\b(?:from |between )?({SHORT_NAME})s?\s*(?:-|–|to|till|until|thru|through)\s*({SHORT_NAME})s?\b", r"\1..\2"),  # noqa: RUF001
    (r"\b(from|between) ((?:\S+ ){1,3}?)(?:to|and) ", r"\1 \2until "),
)
# ... and to the plain words that stand for it.
PLAIN = (
    (r"\bevery 1 ", "every "),
    (rf"\bevery other (?={'|'.join(UNITS)}|{NAME})", "every 2 "),
    (rf"\bevery (\d+)(?:st|nd|rd|th) (?=(?:{'|'.join(UNITS)})\b(?! (?:of_month|every)))", r"every \1 "),
    (rf"\bevery (1st|last) ({NAME})$", r"every \1 \2 of_month"),
    (rf"\bevery (\d+)(?:st|nd|rd|th) ({NAME})$", r"every \1 \2"),
    (rf"\bevery ((?:\d+ )?)week (?={NAME})", r"every \1"),
    (rf"\b(\d{{1,2}})(?:st|nd|rd|th)? ({MONTH})\b", r"\2 \1"),
    (rf"\b({MONTH}) (\d{{1,2}})(?:st|nd|rd|th)?(?!\d)", r"\1 \2th"),
    (rf"^({MONTH} \d+th) every year$", r"every \1"),
    (rf"^every year (?={MONTH} \d)", "every "),
)
NTH = r"(?:\d{1,2}(?:st|nd|rd|th)|last)"
RECURRING = re.compile(
    rf"""every\ (?:\d+\ )?(?:{"|".join(UNITS)})
    |every\ (?:\d+\ )?{NAME}(?:\ {NAME})*
    |every\ (?:\d+\ )?month\ {NTH}(?:\ {NTH})*(?:\ day|\ {NAME})?
    |every\ {NTH}(?:\ {NTH})*(?:\ day|\ {NAME})?\ of_month
    |{NTH}(?:\ {NTH})*(?:\ day|\ {NAME})?\ every\ (?:\d+\ )?month
    |every\ (?:\d+\ year\ )?{MONTH}(?:\ \d+th)?""",
    re.VERBOSE,
)
ELAPSED = re.compile(r"in(?: \d+ (?:seconds|minute|hour))+")
LATER = re.compile(r"in(?: \d+ (?:day|week|month|year))+")
DATE = re.compile(rf"(?P<month>{MONTH}) (?P<day>\d+)th(?: (?P<year>\d{{4}}))?")
# Plain words, as a person would write them.
SAID = (
    (rf"every year (?={MONTH})", "every "),
    (r"(?<!1)1th", "1st"),
    (r"(?<!1)2th", "2nd"),
    (r"(?<!1)3th", "3rd"),
    ("of_month", "of the month"),
    ("overmorrow", "day after tomorrow"),
    (rf"({NAME}) (?={NAME}\b)", r"\1 and "),
    (rf"({NTH}) (?={NTH})", r"\1 and "),
    (r"month (?=\d|last)", "month on the "),
    (rf"\b((?!1 )\d+ (?:{'|'.join(UNITS)})\b)(?<!s)", r"\1s"),
)


def taken_apart(phrase: str) -> tuple[list[str], list[str], str]:
    """Return the times of day in a phrase, the parts of the day, and the rest."""
    rest = " ".join(phrase.lower().split())
    for pattern, replacement in TYPED:
        rest = re.sub(pattern, replacement, rest)
    clocks = [match[0] for match in CLOCK_TIMES.finditer(rest)]
    rest = CLOCK_TIMES.sub(" ", rest)
    parts = [match[2] for match in PART.finditer(rest)]
    days = {"every": "every day", "each": "every day", "other": "other day", "this": "today", None: ""}
    return clocks, parts, PART.sub(lambda match: days[match[1]], rest)


def unknown_words(phrase: str) -> list[str]:
    """Return the words of a phrase that cannot say when."""
    words = re.findall(r"[^\s,]+", taken_apart(phrase)[2])
    return [word for word in words if not NUMBER.fullmatch(word) and _meaning(word) == word and word not in WORDS]


def plain_words(rest: str) -> str:
    """Return the rest of a phrase in a few regular words: "on mon. and fridays" becomes "every monday friday"."""
    words = re.findall(r"[^\s,]+", rest)
    plain = " ".join(" ".join(map(_meaning, words)).split())
    is_plural = any(word.endswith("s") and WORDS.get(word) in (*DAYS, "weekday", "weekend") for word in words)
    if "every" not in plain.split() and (is_plural or ".." in rest):
        plain = f"every {plain}"
    for pattern, replacement in PLAIN:
        plain = re.sub(pattern, replacement, plain)
    return plain


def _meaning(word: str) -> str:
    ends = [DAYS.index(name) for name in map(WORDS.get, word.split("..")) if name in DAYS]
    if len(ends) != 2:
        return WORDS.get(word, word)
    return " ".join(DAYS[number % 7] for number in range(ends[0], ends[1] + (7 if ends[1] < ends[0] else 0) + 1))


def said(plain: str, times: Sequence[time] = ()) -> str:
    """Return plain words and times of day as a phrase."""
    for pattern, replacement in SAID:
        plain = re.sub(pattern, replacement, plain)
    return f"{plain}{' at ' * bool(times)}{' and '.join(f'{each.hour}:{each:%M}' for each in times)}".strip()
