"""When a job runs is one value, and every way to schedule a job accepts all of it."""

from collections.abc import Collection
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from inspect import signature

import pytest

from shared.errors import InvalidInput
from shared.handlers.agent import AgentContext
from shared.handlers.agent_tools import proposer
from shared.handlers.proposal import Proposal, unpacked
from shared.jobs import Jobs
from shared.model.definition import Timing, TimingFields
from shared.model.job import Job
from shared.model.schedule import Schedule
from watchkeeper.cli.jobs import add_job, edit_job
from watchkeeper.console.job_form import fields_of

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
TIMING = {each.name for each in fields(Timing)}
CONTEXT = AgentContext(
    space="spaces/A", thread=None, user="ada@example.com", timezone="UTC", idempotency_key="k", now=NOW
)


@pytest.mark.parametrize(
    "taken",
    [
        pytest.param(TimingFields.__annotations__, id="arguments"),
        pytest.param(signature(Jobs.schedule).parameters, id="python"),
        pytest.param(signature(proposer(CONTEXT)).parameters, id="agent-tools"),
        pytest.param({each.name for each in add_job.params}, id="jobs-add"),
        pytest.param({each.name for each in edit_job.params}, id="jobs-edit"),
        pytest.param(fields_of(Job.create("x", "log", now=NOW), "UTC"), id="console"),
        pytest.param({each.name for each in fields(Schedule)} | {"at"}, id="schedule"),
        pytest.param({each.name for each in fields(Job)} | {"at"}, id="job"),
    ],
)
def test_every_way_to_schedule_takes_every_field(taken: Collection[str]) -> None:
    """A field that is added to `Timing` and forgotten elsewhere fails here."""
    assert set(taken) >= TIMING


def test_a_card_of_an_earlier_version_can_be_confirmed() -> None:
    """It may stay in Chat for days, while new versions are deployed."""
    on_the_card = (
        '{"kind": "reminder", "text": "tea", "at": "2026-12-01T08:00:00Z", "every": "1w", "timezone": "Europe/Berlin", '
        '"until": "2027-02-01T00:00:00Z", "except_dates": ["2026-12-08"], "everybody": true}'
    )

    assert unpacked(on_the_card) == Proposal(
        kind="reminder",
        text="tea",
        at=datetime(2026, 12, 1, 8, tzinfo=UTC),
        every="1w",
        timezone="Europe/Berlin",
        until=datetime(2027, 2, 1, tzinfo=UTC),
        except_dates=(date(2026, 12, 8),),
        everybody=True,
    )


def test_an_interval_without_a_start_counts_from_now() -> None:
    """With one, from there; a cron expression needs none."""
    assert Timing(every="90m").schedule("UTC", NOW).starts_at == NOW
    assert Timing(every="90m", at=NOW.replace(day=1)).schedule("UTC", NOW).starts_at == NOW.replace(day=1)
    assert Timing(cron="0 9 * * *").schedule("UTC", NOW).starts_at is None


@pytest.mark.parametrize(
    ("timing", "at"),
    [
        pytest.param(Timing(cron="0 9 * * *"), None, id="no-start"),
        pytest.param(Timing(every="90m", at=NOW), NOW, id="starts-now"),
        pytest.param(Timing(at=NOW), NOW, id="once-now"),
        pytest.param(Timing(every="90m", at=NOW - 2 * HOUR), NOW + HOUR, id="keeps-its-phase"),
        pytest.param(Timing(every="90m", at=NOW - 3 * HOUR), NOW, id="due-now"),
    ],
)
def test_a_timing_without_its_past_begins_with_what_is_to_come(timing: Timing, at: datetime | None) -> None:
    """What would be due now still is."""
    assert timing.ahead("UTC", NOW).at == at


@pytest.mark.parametrize(
    "timing",
    [
        pytest.param(Timing(at=NOW - HOUR), id="once"),
        pytest.param(Timing(every="1h", at=NOW - 2 * HOUR, until=NOW), id="ended"),
    ],
)
def test_a_timing_that_is_all_past_is_refused(timing: Timing) -> None:
    """The error names the time."""
    with pytest.raises(InvalidInput, match="has passed; give a time in the future"):
        timing.ahead("UTC", NOW)


@pytest.mark.parametrize(
    "time",
    [
        pytest.param("9999-12-31T23:59:59-14:00", id="after-utc"),
        pytest.param("0001-01-01T00:00:00+14:00", id="before-utc"),
        pytest.param("9999-12-31T23:59:59+00:00", id="after-tokyo"),
        pytest.param("0001-01-01T00:00:00+00:00", id="before-new-york"),
    ],
)
def test_a_time_that_some_zone_cannot_hold_is_refused(time: str) -> None:
    """Times are stored in UTC, and shown on the clocks of any zone."""
    with pytest.raises(InvalidInput, match="choose a year from 2 to 9998"):
        Timing(at=datetime.fromisoformat(time))
