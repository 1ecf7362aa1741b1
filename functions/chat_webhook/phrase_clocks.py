"""The times of day in a phrase: what "at 7" or "half past 3" means, and its other reading."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from phrase_words import TIME, Marks, UnclearPhrase

WAKING = 6  # nobody means an earlier hour by "at 3"
_HOURS = {  # of a part of the day: the usual one, and those that count as it
    "early morning": (7, range(9)),
    "morning": (9, range(12)),
    "afternoon": (14, range(12, 19)),
    "late afternoon": (17, range(15, 19)),
    "evening": (18, range(16, 24)),
    "night": (21, range(19, 24)),
}


@dataclass(frozen=True)
class Clock:
    """A time of day: its meaning on a given day, and the other reading, such as the morning for "at 7"."""

    meant: time
    other: time | None = None
    is_bare: bool = False  # without minutes, or "4:30"
    counts_to_24: bool = False  # as "17:00" and "05:00" show

    @property
    def by_24_hours(self) -> "Clock":
        """Return its only meaning beside a time that counts to 24."""
        meant = self.meant if self.other is None or self.meant.hour == 12 else min(self.meant, self.other)
        return Clock(meant, counts_to_24=True)


USUAL = Clock(time(9))  # where a day is named without a time


def clocks_of(marks: Marks) -> list[Clock]:
    """Return the times of day that a phrase names, in order; none if it names none. Raises UnclearPhrase."""
    if unclear := [part for part in marks.parts if part not in _HOURS]:
        raise UnclearPhrase(f"Say at what time: {unclear[0]!r} is not clear.")
    if not marks.times:
        return [Clock(time(_HOURS[part][0])) for part in marks.parts]
    clocks = [read_clock(text, marks.parts) for text in marks.times]
    if any(clock.counts_to_24 for clock in clocks):  # "3 and 15"
        clocks = [clock.by_24_hours for clock in clocks]
    pm = next((n for n, text in enumerate(marks.times) if "pm" in text), None)
    for n, clock in enumerate(clocks):  # "5pm and 11", "6 and 8pm"
        if pm is not None and clock.is_bare and clock.other:
            near = clocks[pm].meant
            both = sorted((clock.meant, clock.other), key=lambda each: abs(each.hour - near.hour))
            meant = next((each for each in both if (each < near) == (n < pm)), both[0])
            clocks[n] = Clock(meant, both[1 - both.index(meant)], is_bare=True)
    return sorted(clocks, key=lambda clock: clock.meant)


def read_clock(text: str, parts: Iterable[str] = ()) -> Clock:
    """Read a time of day. Raises UnclearPhrase."""
    match = TIME.fullmatch(re.sub("^(?:at |@ ?)", "", text.strip()))
    named = {"noon": "12:00pm", "midnight": "0:00"}.get(match["time"], match["time"]) if match else ""
    digits = re.fullmatch(r"(\d{1,2}?)(?:[:.]?(\d\d))?(?: ?([ap])m| o'clock)?", named)
    hour, minute = (int(digits[1]), int(digits[2] or 0)) if digits else (24, 0)
    hours = [hour]
    if digits and digits[3]:
        hours = [hour % 12 + 12 * (digits[3] == "p")] if 1 <= hour <= 12 else []
    elif 1 <= hour <= 12 and re.match(r"[1-9]\d?(?!\d)|[1-9]\d\d$", named):  # but "07:00" and "1730"
        hours = [12, 0] if hour == 12 else [hour, hour + 12]
    away = _away(match["away"]) if match and match["away"] else timedelta()
    readings = [(datetime(2000, 1, 2, each, minute) + away).time() for each in hours if each < 24 and minute < 60]
    fitting = [each for each in readings if all(each.hour in _HOURS[part][1] for part in parts)]
    if not fitting:
        spoken = " in the ".join([text.removeprefix("at "), *parts])
        raise UnclearPhrase(f"{spoken!r} is not a time of day. Write it as 9:00, 17:30 or 5:30 pm.")
    fitting.sort(key=lambda each: each.hour < WAKING)
    meant, other = fitting[0], fitting[1] if fitting[1:] else None
    is_bare = other is not None and (not (digits and digits[2]) or meant.hour != hour)
    is_word = match is not None and match["time"] in ("noon", "midnight")
    counts_to_24 = not (is_word or digits is None or digits[3]) and (hour > 12 or named.startswith("0"))
    return Clock(meant, other, is_bare, counts_to_24)


def _away(text: str) -> timedelta:
    number = {"quarter": 15, "half": 30}.get(text.removeprefix("a ").split()[0]) or int(re.findall(r"\d+", text)[0])
    length = timedelta(hours=number) if "hour" in text else timedelta(minutes=number)
    return length if re.search("past|after", text) else -length


def at_clocks(clocks: Iterable[time]) -> str:
    """Return times of day as a phrase."""
    return "at " + " and ".join(f"{each:%H:%M}" for each in sorted(clocks))
