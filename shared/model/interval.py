"""A true interval from a start, such as every 90 minutes or every 6 days.

Each occurrence is computed from its number, so the next one is found without stepping through those between.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from shared.model.recurrence import InvalidSchedule, clock_at, instants, load_timezone

_EVERY = re.compile("([1-9][0-9]{0,5})([mhdw])", re.ASCII)
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@dataclass(frozen=True)
class Interval:
    """The occurrences of `every` (`90m`, `13h`, `6d`, `2w`), the first at `start`.

    Minutes and hours are elapsed time. Days and weeks keep the clock time of the start, placed like a fixed time of a
    cron expression: in a skipped hour at the first moment after it, in a repeated hour on the first pass, never on a
    day that does not exist. Raises InvalidSchedule for invalid values.
    """

    every: str
    timezone: str
    start: datetime

    def __post_init__(self) -> None:
        _ = self._step  # refuses what cannot be read
        try:
            clock_at(self.start, load_timezone(self.timezone))
        except OverflowError:
            raise InvalidSchedule(f"the start {self.start} is out of range; choose another") from None

    def after(self, moment: datetime) -> datetime:
        """Return the first occurrence later than `moment` (aware), in UTC. Raises InvalidSchedule past year 9999."""
        # In the second pass of a repeated hour the next number may be over already, and its day may not exist.
        first = max(self._number_near(moment), 0)
        for occurrence in self._numbered(range(first, first + 4)):
            if occurrence > moment:
                return occurrence
        raise InvalidSchedule(f"every {self.every!r} has no occurrence after {moment}")

    def last_until(self, moment: datetime) -> datetime:
        """Return the newest occurrence at or before `moment`, in UTC. Raises InvalidSchedule before the start."""
        nearest = self._number_near(moment)
        for occurrence in self._numbered(range(nearest + 1, max(nearest - 3, -1), -1)):
            if occurrence <= moment:
                return occurrence
        raise InvalidSchedule(f"every {self.every!r} has no occurrence until {moment}")

    @cached_property
    def _step(self) -> tuple[timedelta, bool]:
        return read_every(self.every)

    def _number_near(self, moment: datetime) -> int:
        """Return the number of the newest occurrence at `moment`; days and weeks are counted by the clocks."""
        step, keeps_clock = self._step
        if not keeps_clock:
            return (moment - self.start) // step
        zone = load_timezone(self.timezone)
        try:
            return (clock_at(moment, zone) - clock_at(self.start, zone)) // step
        except OverflowError:  # at an end of the calendar
            return (moment - self.start) // step

    def _numbered(self, numbers: Iterable[int]) -> Iterable[datetime]:
        """Yield the occurrences of these numbers, except those on days that do not exist or after year 9999."""
        step, keeps_clock = self._step
        zone = load_timezone(self.timezone)
        for number in numbers:
            try:
                if number == 0 or not keeps_clock:
                    yield self.start.astimezone(UTC) + number * step
                else:
                    yield from instants(clock_at(self.start, zone) + number * step, zone, fixed=True)
            except OverflowError:
                continue


def read_every(every: str) -> tuple[timedelta, bool]:
    """Return the length of an interval, and whether it keeps the clock time. Raises InvalidSchedule."""
    match = _EVERY.fullmatch(every) if isinstance(every, str) else None
    if match is None:
        raise InvalidSchedule(
            f"every {str(every)[:40]!r} cannot be read; write a whole number and m, h, d or w: 90m and 13h are elapsed"
            " time, 6d and 2w keep the clock time (for months, write a cron expression)"
        )
    return int(match[1]) * _UNITS[match[2]], match[2] in "dw"
