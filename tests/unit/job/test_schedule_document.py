"""The fields of a schedule in a document, and in a definition."""

from datetime import datetime
from typing import Any

import pytest

from shared.model.definition import InvalidJob
from shared.model.job import Job
from shared.model.schedule import FOREVER
from shared.store.documents import Unreadable, from_document, to_document, with_times
from tests.support.job_life import HOUR, MINUTE


def test_a_document_holds_every_field_and_is_read_again(rich: Job) -> None:
    """Times are times, dates ISO text; absent fields are left out."""
    document = to_document(rich)

    assert from_document(rich.id, document) == rich
    assert (document["every"], document["except_dates"], document["grace_seconds"]) == ("6d", ["2026-12-03"], 1800)
    assert isinstance(document["until"], datetime)
    assert isinstance(document["starts_at"], datetime)
    plain = to_document(rich.edit(now=rich.created_at, cron="0 9 * * *", until=FOREVER, except_dates=()))
    assert not {"every", "until", "starts_at", "except_dates"} & plain.keys()


def test_iso_text_of_a_file_is_read(rich: Job) -> None:
    """As in the JSON store and an import; `until` is a time like the others."""
    document = to_document(rich)
    times = {name: document[name].isoformat() for name in ("until", "starts_at", "schedule_at", "ready_at")}

    assert from_document(rich.id, with_times({**document, **times})) == rich


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"cron": "0 9 * * *"}, "exclude each other", id="both"),
        pytest.param({"every": "x"}, "every 'x' cannot be read", id="every"),
        pytest.param({"every": 6}, "every is '6'; it must be text", id="a number"),
        pytest.param({"starts_at": None}, "no start to count from", id="no start"),
        pytest.param({"until": "soon"}, "until is 'soon', not a time", id="until"),
        pytest.param({"except_dates": "2026-12-24"}, "must be a list of dates", id="one date"),
        pytest.param({"except_dates": ["x"]}, "except_dates has 'x'", id="no date"),
        pytest.param({"grace_seconds": "x"}, "grace_seconds is 'x'", id="grace"),
        pytest.param({"pause_after_failures": 0}, "pause_after_failures is '0'", id="failures"),
        pytest.param({"failed_in_a_row": -1}, "failed_in_a_row is '-1'", id="count"),
        pytest.param({"every": None, "until": None, "except_dates": None}, "starts_at is", id="start of a one-shot"),
    ],
)
def test_a_document_that_breaks_a_rule_is_unreadable(rich: Job, changes: dict[str, Any], reason: str) -> None:
    """The reason names the field."""
    found = from_document(rich.id, {**to_document(rich), **changes})

    assert isinstance(found, Unreadable)
    assert reason in found.reason


def test_a_definition_of_a_job_makes_the_same_job(rich: Job, now: datetime) -> None:
    """No field is lost: all but `cron`, which `every` excludes, have a value that is not the default."""
    job = rich.edit(now=now, max_attempts=7, space="spaces/A")

    again = Job.of(job.id, job.definition, now=now + HOUR)

    assert again.definition == job.definition
    assert [name for name, value in vars(job.definition).items() if value in (None, "UTC", (), {}, 3)] == ["cron"]


def test_a_grace_that_is_kept_under_coalesce_is_no_error(rich: Job, now: datetime) -> None:
    """A document may have it; it has no effect there."""
    found = from_document(rich.id, {**to_document(rich), "misfire": "coalesce"})

    assert isinstance(found, Job)
    assert found.edit(now=now + HOUR, max_attempts=2).max_attempts == 2
    with pytest.raises(InvalidJob, match="grace"):
        found.edit(now=now + HOUR, grace=MINUTE)
