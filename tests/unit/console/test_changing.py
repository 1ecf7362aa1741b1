"""A job that exists is edited, brought back or deleted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.console_page import ALL, get, post
from watchkeeper.console.system import System


def filled(system: System, **fields: str) -> dict[str, str]:
    """Return the form of the job `job` with these changes."""
    form: dict[str, str] = get(system, "/api/jobs/job/form").get_json()
    return {**form, **fields}


def test_a_form_that_is_saved_as_it_was_changes_nothing(system: System) -> None:
    """Every field has the job's value, so no new occurrence starts."""
    zone = {"timezone": "Europe/Berlin"}
    post(system, "/api/jobs", {"type": "log", "message": "hello", "id": "job", **zone, **ALL})
    before = system.jobs.get("job")

    answer = post(system, "/api/jobs/job/edit", filled(system))

    assert answer.status_code == 200
    assert system.jobs.get("job") == before


@pytest.mark.parametrize(
    ("fields", "changed"),
    [
        pytest.param({"message": "good bye"}, {"payload": {"message": "good bye"}}, id="payload"),
        pytest.param({"until": "", "except_dates": ""}, {"until": None, "except_dates": ()}, id="no-bounds"),
        pytest.param({"pause_after_failures": ""}, {"pause_after_failures": None}, id="never-pauses"),
        pytest.param({"max_attempts": "7"}, {"max_attempts": 7, "space": "spaces/AAAA"}, id="attempts"),
        pytest.param({"max_attempts": ""}, {"max_attempts": 3}, id="default-attempts"),
        pytest.param({"space": ""}, {"max_attempts": 5, "space": None}, id="no-space"),
        pytest.param({"misfire": "coalesce"}, {"misfire": "coalesce", "grace_seconds": None}, id="misfire"),
        pytest.param({"grace": ""}, {"grace_seconds": 600}, id="default-grace"),
        pytest.param(
            {"when": "cron", "cron": "0 7 * * *"},
            {"cron": "0 7 * * *", "every": None, "schedule_at": datetime(2026, 12, 2, 6, tzinfo=UTC)},
            id="another-rhythm-from-the-same-start",
        ),
        pytest.param(
            {"when": "in", "in": "20m"},
            {"every": None, "until": None, "schedule_at": datetime(2026, 11, 21, 9, 20, tzinfo=UTC)},
            id="once",
        ),
    ],
)
def test_an_edit_changes_the_typed_fields_and_keeps_the_rest(
    system: System, fields: dict[str, str], changed: dict[str, Any]
) -> None:
    """An empty field removes its value."""
    given = {"max_attempts": "5", "space": "spaces/AAAA", **ALL}
    post(system, "/api/jobs", {"type": "log", "message": "hello", "id": "job", "timezone": "Europe/Berlin", **given})
    before = system.jobs.get("job")

    answer = post(system, "/api/jobs/job/edit", filled(system, **fields))

    job = system.jobs.get("job")
    assert answer.status_code == 200
    assert {name: getattr(job, name) for name in changed} == changed
    assert job.updated_by == "console"
    if not fields.keys() & {"when"}:
        assert (job.schedule_at, job.every, job.starts_at) == (before.schedule_at, before.every, before.starts_at)


def test_an_edit_names_the_mistake_in_the_payload(system: System) -> None:
    """With line and column, while typing and when saving."""
    system.jobs.schedule("http_request", {"url": "https://example.com"}, id="job")
    broken = {"payload": '{\n  "url": "https://example.com",\n  "method" "POST"\n}'}

    answers = [post(system, path, filled(system, **broken)) for path in ("/api/preview", "/api/jobs/job/edit")]

    assert [answer.status_code for answer in answers] == [200, 422]
    assert all("in line 3, column 12" in answer.get_json()["errors"]["payload"] for answer in answers)


def test_an_emptied_start_means_now(system: System, now: datetime) -> None:
    """The label of the field says so."""
    system.jobs.schedule("log", {"message": "hello"}, id="job", cron="0 9 * * *", at=now + timedelta(days=10))

    post(system, "/api/jobs/job/edit", filled(system, start=""))

    job = system.jobs.get("job")
    assert (job.starts_at, job.schedule_at) == (now, now)


@pytest.mark.parametrize("when", [{"at": timedelta(hours=1)}, {"cron": "0 9 * * *"}])
def test_a_cancel_is_undone(system: System, now: datetime, when: dict[str, Any]) -> None:
    """The job runs again at its former time."""
    given = {name: now + value if name == "at" else value for name, value in when.items()}
    system.jobs.schedule("log", {"message": "hello"}, id="job", **given)
    before = system.jobs.get("job")
    system.jobs.cancel("job")

    undone = post(system, "/api/jobs/job/undo")
    again = post(system, "/api/jobs/job/undo")

    job = system.jobs.get("job")
    assert (undone.status_code, again.status_code) == (200, 409)
    assert (job.status, (job.ready_at or now) > now, job.cron) == ("pending", True, before.cron)


def test_an_undone_cancel_leaves_a_paused_job_paused(system: System) -> None:
    """It would not have run before either."""
    system.jobs.schedule("log", {"message": "hello"}, id="job", cron="0 9 * * *")
    system.jobs.pause("job")
    system.jobs.cancel("job")

    assert post(system, "/api/jobs/job/undo", {"is_paused": True}).get_json()["status"] == "paused"


def test_a_job_is_deleted(system: System) -> None:
    """It is gone at once; during a run that is refused."""
    system.jobs.schedule("log", {"message": "hello"}, id="job")

    assert post(system, "/api/jobs/job/delete").status_code == 200
    assert get(system, "/api/jobs").get_json()["total"] == 0
    assert post(system, "/api/jobs/job/delete").status_code == 404
