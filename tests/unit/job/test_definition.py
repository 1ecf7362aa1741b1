"""A new job: its first occurrence, its checks, its key and its document."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.errors import InvalidInput
from shared.model.job import Job
from shared.store.documents import from_document, to_document
from tests.support.job_life import MICROSECOND, JobFactory, claim, finish


def nested(levels: int) -> dict[str, Any]:
    """Return an object nested this deep."""
    inner: Any = 1
    for _ in range(levels):
        inner = {"x": inner}
    return {"x": inner} if levels == 0 else inner


def test_a_recurring_job_starts_with_its_first_occurrence(job_factory: JobFactory, now: datetime) -> None:
    """From now on or from the given time on, which is included."""
    assert job_factory(cron="0 9 * * *").schedule_at == now
    assert job_factory(cron="0 9 * * *", at=now + MICROSECOND).schedule_at == now + timedelta(days=1)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param({"job_id": ""}, "id ''", id="empty id"),
        pytest.param({"job_id": "a/b"}, "id 'a/b'", id="slash"),
        pytest.param({"job_id": "-a"}, "id '-a'", id="first character"),
        pytest.param({"job_id": "a\n"}, "id", id="newline"),
        pytest.param({"job_id": "ä"}, "id", id="not ASCII"),
        pytest.param({"job_id": "x" * 201}, "id", id="long id"),
        pytest.param({"job_id": 7}, "id 7", id="number"),
        pytest.param({"job_type": ""}, "job_type", id="no type"),
        pytest.param({"job_type": "a b"}, "job_type", id="space in type"),
        pytest.param({"payload": []}, "payload", id="list"),
        pytest.param({"payload": {"x": float("nan")}}, "payload", id="NaN"),
        pytest.param({"payload": {"x": object()}}, "payload", id="no JSON"),
        pytest.param({"payload": nested(101)}, "payload.*100 levels", id="nested too deep"),
        pytest.param({"payload": nested(20_000)}, "payload.*100 levels", id="nested without end"),
        pytest.param({"payload": {"x": "y" * 65536}}, "65536 bytes of JSON", id="large payload"),
        pytest.param({"max_attempts": 0}, "max_attempts", id="no attempts"),
        pytest.param({"max_attempts": True}, "max_attempts", id="bool"),
        pytest.param({"max_attempts": 101}, "max_attempts", id="many attempts"),
        pytest.param({"misfire": "never"}, "coalesce, skip", id="misfire"),
        pytest.param({"at": datetime(2026, 1, 1)}, "time zone", id="naive time"),
        pytest.param({"cron": ""}, "cron|expression", id="empty cron"),
        pytest.param({"cron": "0 9 * *"}, "0 9", id="four fields"),
        pytest.param({"cron": "0 9 * * *", "timezone": "CEST"}, "CEST", id="no IANA zone"),
        pytest.param({"space": 7}, "space", id="space"),
    ],
)
def test_a_malformed_job_is_refused_by_name(job_factory: JobFactory, given: dict[str, Any], says: str) -> None:
    """One error names what is wrong."""
    with pytest.raises(InvalidInput, match=says):
        job_factory(**given)


def test_ids_of_the_longest_and_of_all_kinds_are_fine(job_factory: JobFactory) -> None:
    """Addresses, times and keys are valid ids."""
    assert job_factory("x" * 200).id == "x" * 200
    assert job_factory("subscription:gmail:a_b.o'neill@example.com").id.endswith("a_b.o'neill@example.com")
    assert job_factory("subscription:gmail:a+b@example.com").execution_key.startswith("subscription:gmail:a+b@example")


def test_the_execution_key_names_the_occurrence(job_factory: JobFactory, now: datetime) -> None:
    """As JOB_ID@TIME, with fractions of a second only if there are any."""
    assert job_factory("report", at=now).execution_key == "report@2026-11-21T09:00:00Z"
    assert job_factory("report", at=now + MICROSECOND).execution_key == "report@2026-11-21T09:00:00.000001Z"


def test_a_document_is_read_as_it_was_written(daily: Job, now: datetime) -> None:
    """Writing and reading a document loses nothing and adds nothing."""
    job = finish(claim(daily, now + timedelta(days=2)), now + timedelta(days=2), error="boom")

    assert from_document(job.id, to_document(job)) == job
