"""When a job recurs: its rhythm, by cron or by interval, within a start, an end and excluded days."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cached_property

from shared.model.interval import Interval
from shared.model.recurrence import InvalidSchedule, Recurrence, clock_at, load_timezone

MOST_EXCEPT_DATES = 100
FOREVER = datetime.max.replace(tzinfo=UTC)

_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)
_EARLIEST = datetime.min.replace(tzinfo=UTC) + _TICK


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The occurrences of `cron`, or of `every`, in a timezone: from `starts_at` on, before `until`.

    Those on `except_dates`, by the clocks of the timezone, do not exist. `every` counts from `starts_at`. Raises
    InvalidSchedule for invalid values.
    """

    cron: str | None = None
    every: str | None = None
    timezone: str = "UTC"
    starts_at: datetime | None = None
    until: datetime | None = None
    except_dates: tuple[date, ...] = ()

    def __post_init__(self) -> None:
        if self.cron is not None and self.every is not None:
            raise InvalidSchedule("cron and every exclude each other; give one of them")
        if len(self.except_dates) > MOST_EXCEPT_DATES:
            raise InvalidSchedule(
                f"except_dates holds {len(self.except_dates)} dates; at most {MOST_EXCEPT_DATES} are possible"
            )
        _ = self._rhythm  # refuses what cannot be read

    @cached_property
    def _rhythm(self) -> Recurrence | Interval:
        if self.cron is not None:
            return Recurrence(self.cron, self.timezone)
        if self.every is None:
            raise InvalidSchedule("there is no cron expression and no interval; give cron or every")
        if self.starts_at is None:
            raise InvalidSchedule(f"every {self.every!r} has no start to count from; give starts_at")
        return Interval(self.every, self.timezone, self.starts_at)

    def after(self, moment: datetime) -> datetime | None:
        """Return the first occurrence later than `moment` (aware), in UTC, or None at the end."""
        if self.starts_at is not None:
            moment = max(moment, just_before(self.starts_at))
        while True:
            try:
                found = self._rhythm.after(moment)
            except InvalidSchedule:
                return None
            if self.until is not None and found >= self.until:
                return None
            if not self._is_excepted(found):
                return found
            moment = self._day_of(found)[1]

    def last_until(self, moment: datetime) -> datetime | None:
        """Return the newest occurrence at or before `moment` (aware), in UTC, or None before the first."""
        if self.until is not None:
            moment = min(moment, just_before(self.until))
        while True:
            try:
                found = self._rhythm.last_until(moment)
            except InvalidSchedule:
                return None
            if self.starts_at is not None and found < self.starts_at:
                return None
            if not self._is_excepted(found):
                return found
            moment = just_before(self._day_of(found)[0])

    def includes(self, moment: datetime) -> bool:
        """Return whether there is an occurrence at exactly this moment."""
        return self.last_until(moment) == moment

    def allows(self, moment: datetime) -> bool:
        """Return whether the start, the end and the excluded days allow an occurrence at this moment."""
        is_within = (self.starts_at is None or self.starts_at <= moment) and (self.until is None or moment < self.until)
        return is_within and not self._is_excepted(moment)

    def _is_excepted(self, moment: datetime) -> bool:
        if not self.except_dates:
            return False
        return clock_at(moment, load_timezone(self.timezone)).date() in self.except_dates

    def _day_of(self, moment: datetime) -> tuple[datetime, datetime]:
        """Return the first and last moment of the day of `moment`, or only `moment` if the clocks change between.

        A search can then skip an excluded day in one step, except on a day on which the clocks change.
        """
        zone = load_timezone(self.timezone)
        try:
            clock = clock_at(moment, zone)
            first = moment - (clock - datetime.combine(clock, time.min))
            last = moment + (datetime.combine(clock, time.max) - clock)
            return _same_clocks(first, moment, zone), _same_clocks(last, moment, zone)
        except OverflowError:
            return moment, moment


def just_before(moment: datetime) -> datetime:
    """Return the last moment before this one, so that a search for later occurrences includes it."""
    return max(moment, _EARLIEST) - _TICK


def _same_clocks(moment: datetime, otherwise: datetime, zone: tzinfo) -> datetime:
    is_same = moment.astimezone(zone).utcoffset() == otherwise.astimezone(zone).utcoffset()
    return moment if is_same else otherwise
