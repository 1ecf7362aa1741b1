"""The definition of a job: what somebody schedules, edits or compares, as one value."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, Self, TypedDict

from shared.errors import InvalidInput
from shared.model.recurrence import InvalidSchedule
from shared.model.schedule import FOREVER, Schedule, just_before


class InvalidJob(InvalidInput):
    """A job, or a stored document of one, that breaks a rule; the message names the field and the remedy."""


class Misfire(StrEnum):
    """What to do with occurrences that were not run in time: run only the newest, or skip those that are too late."""

    COALESCE = "coalesce"
    SKIP = "skip"


TIMES = ("at", "until")  # the fields of a timing that are moments
DAY = timedelta(days=1)  # more than any time zone is off UTC


@dataclass(frozen=True, kw_only=True)
class Timing:
    """When a job runs: once at `at`, or again and again by `cron` or `every`, perhaps from `at` on.

    Times are aware, `until` is exclusive, `except_dates` are local dates, all read in a time zone that is kept
    elsewhere.
    """

    at: datetime | None = None
    cron: str | None = None
    every: str | None = None
    until: datetime | None = None
    except_dates: Iterable[date | str] = ()

    def __post_init__(self) -> None:
        for name in TIMES:
            _check_time(name, getattr(self, name))
        object.__setattr__(self, "except_dates", parse_dates(self.except_dates))

    @property
    def is_recurring(self) -> bool:
        return self.cron is not None or self.every is not None

    @property
    def timing(self) -> dict[str, Any]:
        """Return these fields alone, to build another value with them."""
        return {each.name: getattr(self, each.name) for each in fields(Timing)}

    def starts_at(self, now: datetime) -> datetime | None:
        """Return the start, if the job is made now; an interval without one counts from now."""
        start = now if self.at is None and self.every is not None else self.at
        return None if start is None else start.astimezone(UTC)

    def schedule(self, timezone: str, now: datetime) -> Schedule:
        """Return the occurrences of a recurring job, if it is made now. Raises InvalidSchedule."""
        return Schedule(
            cron=self.cron,
            every=self.every,
            timezone=timezone,
            starts_at=self.starts_at(now),
            until=self.until,
            except_dates=parse_dates(self.except_dates),
        )

    def ahead(self, timezone: str, now: datetime) -> Self:
        """Return the timing without its past: a recurring job whose start has passed starts at its next occurrence.

        Raises InvalidSchedule if there is none, or if the time of a one-shot job has passed.
        """
        if self.at is None or self.at >= now:
            return self
        following = self.schedule(timezone, now).after(just_before(now)) if self.is_recurring else None
        if following is None:
            raise InvalidSchedule(f"{self.at.isoformat()} has passed; give a time in the future")
        return replace(self, at=following)


class TimingFields(TypedDict, total=False):
    """The fields of a `Timing`, as a function takes them by name."""

    at: datetime | None
    cron: str | None
    every: str | None
    until: datetime | None
    except_dates: Iterable[date | str]


@dataclass(frozen=True, kw_only=True)
class Definition(Timing):
    """Which handler runs with which payload, and when: at `at` (default: now), or again and again from then on.

    A recurring job has a `cron` expression or an interval `every`, in `timezone`, with an optional end `until`
    (exclusive) and local dates on which it does not run. `grace` is how late an occurrence may start under the misfire
    rule skip. After `pause_after_failures` occurrences given up in a row the job pauses. A misfire rule may be given by
    its name, a date as ISO text. FOREVER means no end, 0 failures never pause, an empty space means none. Raises
    InvalidJob for invalid values.
    """

    job_type: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    timezone: str = "UTC"
    misfire: Misfire | str = Misfire.COALESCE
    grace: timedelta | None = None
    pause_after_failures: int | None = None
    max_attempts: int = 3
    space: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        read = {
            "misfire": _parse_misfire(self.misfire),
            "until": None if self.until == FOREVER else self.until,
            "pause_after_failures": self.pause_after_failures or None,
            "space": self.space or None,
        }
        for name, value in read.items():
            object.__setattr__(self, name, value)
        if self.grace is not None and self.misfire is not Misfire.SKIP:
            raise InvalidJob("grace is for the misfire rule skip; give it too, or leave grace out")
        if not self.is_recurring and (self.until is not None or self.except_dates):
            raise InvalidJob("until and except_dates are for a recurring job; give cron or every too")
        if not self.is_recurring and self.misfire is Misfire.SKIP:
            raise InvalidJob(
                "misfire skip and grace are for a recurring job; a single occurrence runs however late it is"
            )

    def first(self, now: datetime) -> datetime:
        """Return the first occurrence. Raises InvalidSchedule, also if there is none."""
        start = (self.at or now).astimezone(UTC)
        return self.first_from(start, now) if self.is_recurring else start

    def first_from(self, moment: datetime, now: datetime) -> datetime:
        """Return the first occurrence of a recurring job from a moment on. Raises InvalidSchedule if there is none."""
        first = self.schedule(self.timezone, now).after(just_before(moment))
        if first is None:
            raise InvalidSchedule(
                "the schedule never runs: between its start and until, no occurrence is left besides except_dates; "
                "change them"
            )
        return first

    def fields(self, now: datetime) -> dict[str, Any]:
        """Return the job fields that it sets for a job made now; a one-shot job has no time zone and no start."""
        fields = {name: value for name, value in vars(self).items() if name not in ("at", "grace")}
        return {
            **fields,
            "timezone": self.timezone if self.is_recurring else None,
            "starts_at": self.starts_at(now) if self.is_recurring else None,
            "until": self.until and self.until.astimezone(UTC),
            "grace_seconds": _seconds(self.grace),
        }


def parse_dates(values: Iterable[Any]) -> tuple[date, ...]:
    """Return dates, each a date or its ISO text, in order and once each. Raises InvalidJob for anything else."""
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise InvalidJob(f"except_dates is {str(values)[:100]!r}; it must be a list of dates, such as 2026-12-24")
    return tuple(sorted({_parse_date(value) for value in values}))


def _parse_date(value: Any) -> date:
    try:
        found = date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        found = None
    if not isinstance(found, date) or isinstance(found, datetime):
        raise InvalidJob(f"except_dates has {str(value)[:100]!r}; write a date that exists, such as 2026-12-24")
    return found


def _check_time(name: str, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, datetime):
        raise InvalidJob(f"{name} is {str(value)[:100]!r}; it must be a datetime with a time zone")
    if value.tzinfo is None:
        raise InvalidJob(f"the time {value} has no time zone; give one, e.g. with +00:00 or Z")
    if value == FOREVER:
        return
    try:
        moment = value.astimezone(UTC)
        _ = moment - DAY, moment + DAY
    except OverflowError:
        raise InvalidJob(f"{name} is {value}, which some time zone cannot hold; choose a year from 2 to 9998") from None


def _seconds(duration: Any) -> float | None:
    if duration is None:
        return None
    if not isinstance(duration, timedelta):
        raise InvalidJob(f"grace is {str(duration)[:100]!r}; it must be a timedelta")
    seconds = duration.total_seconds()
    return int(seconds) if seconds.is_integer() else seconds


def _parse_misfire(value: str) -> Misfire:
    try:
        return Misfire(value)
    except ValueError:
        raise InvalidJob(f"misfire is {str(value)[:100]!r}; it must be one of {', '.join(Misfire)}") from None
