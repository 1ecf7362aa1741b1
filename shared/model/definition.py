"""The definition of a job: what somebody schedules, edits or compares, as one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from shared.errors import InvalidInput
from shared.model.recurrence import Recurrence


class InvalidJob(InvalidInput):
    """A job, or a stored document of one, that breaks a rule; the message names the field and the remedy."""


class Misfire(StrEnum):
    """What becomes of occurrences that nobody ran in time: run the newest only, or none that is too late."""

    COALESCE = "coalesce"
    SKIP = "skip"


@dataclass(frozen=True, kw_only=True)
class Definition:
    """Which handler runs with which payload, and when: at `at` (default: now), or on `cron` in `timezone` from then on.

    A misfire rule may be given by its name. Raises InvalidJob for a rule or a time that cannot be used.
    """

    job_type: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    at: datetime | None = None
    cron: str | None = None
    timezone: str = "UTC"
    misfire: Misfire | str = Misfire.COALESCE
    max_attempts: int = 3
    space: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "misfire", _parse_misfire(self.misfire))
        if self.at is not None and self.at.tzinfo is None:
            raise InvalidJob(f"the time {self.at} has no time zone; give one, e.g. with +00:00 or Z")

    def first(self, now: datetime) -> datetime:
        """Return the first occurrence. Raises InvalidSchedule."""
        start = (self.at or now).astimezone(UTC)
        if self.cron is None:
            return start
        return Recurrence(self.cron, self.timezone).after(start - timedelta(microseconds=1))

    def fields(self) -> dict[str, Any]:
        """Return the fields of a job that it sets; a one-shot job has no time zone, and `at` is no field."""
        timezone = None if self.cron is None else self.timezone
        return {**{name: value for name, value in vars(self).items() if name != "at"}, "timezone": timezone}


def _parse_misfire(value: str) -> Misfire:
    try:
        return Misfire(value)
    except ValueError:
        raise InvalidJob(f"misfire is {str(value)[:100]!r}; it must be one of {', '.join(Misfire)}") from None
