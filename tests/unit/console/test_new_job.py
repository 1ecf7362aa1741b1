"""The form of a new job, its preview and its errors."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.handlers import load_handlers
from shared.subscriptions import CHECK
from tests.support.console_page import ALL, get, post
from watchkeeper.console.job_form import InvalidForm, JobForm, preview
from watchkeeper.console.system import System


def form(now: datetime, **fields: str) -> JobForm:
    """Return a form with these fields."""
    return JobForm(fields, now=now, timezone="Europe/Berlin")


def test_the_preview_marks_a_change_of_clocks() -> None:
    """Five runs, with a note on the day of the change."""
    friday = datetime(2027, 3, 26, 12, tzinfo=UTC)

    shown = preview(form(friday, when="cron", cron="30 2 * * *"), friday)

    assert shown["words"] == "At 02:30, every day (Europe/Berlin)"
    assert [run["says"] for run in shown["runs"]] == [
        "Sat 27 Mar 2027, 02:30",
        "Sun 28 Mar 2027, 03:00",
        "Mon 29 Mar 2027, 02:30",
        "Tue 30 Mar 2027, 02:30",
        "Wed 31 Mar 2027, 02:30",
    ]
    assert [bool(run["change"]) for run in shown["runs"]] == [False, True, False, False, False]


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        pytest.param({"when": "cron", "cron": "61 * * * *"}, {"cron": "61"}, id="cron"),
        pytest.param({"when": "cron", "cron": ""}, {"cron": "required"}, id="no-cron"),
        pytest.param({"when": "at", "at": "2027-03-28T02:30"}, {"at": "does not exist"}, id="skipped-by-the-clocks"),
        pytest.param({"when": "at", "at": "soon"}, {"at": "soon"}, id="no-time"),
        pytest.param({"when": "in", "in": "a while"}, {"in": "not a duration"}, id="no-duration"),
        pytest.param({"when": "every", "every": "6"}, {"every": "cannot be read"}, id="every"),
        pytest.param({"when": "every"}, {"every": "required"}, id="no-interval"),
        pytest.param({"when": "every", "every": "6d", "start": "soon"}, {"start": "soon"}, id="start"),
        pytest.param({"when": "every", "every": "6d", "until": "2027-03-28T02:30"}, {"until": "not exist"}, id="until"),
        pytest.param(
            {"when": "every", "every": "6d", "except_dates": "2026-12-24, x"}, {"except_dates": "'x'"}, id="no-date"
        ),
        pytest.param(
            {"when": "every", "every": "6d", "misfire": "skip", "grace": "soon", "pause_after_failures": "often"},
            {"grace": "not a duration", "pause_after_failures": "whole number"},
            id="both-limits",
        ),
        pytest.param({"max_attempts": "often"}, {"max_attempts": "whole number"}, id="no-number-of-attempts"),
        pytest.param({"max_attempts": "0"}, {"max_attempts": "from 1 to 100"}, id="no-attempt"),
        pytest.param({"max_attempts": "101"}, {"max_attempts": "from 1 to 100"}, id="too-many-attempts"),
        pytest.param({"timezone": "Berlin"}, {"timezone": "Berlin"}, id="timezone"),
        pytest.param({"message": ""}, {"message": "log job needs"}, id="refused-by-its-handler"),
        pytest.param({"type": "nothing"}, {"type": "choose"}, id="type"),
        pytest.param({"type": CHECK}, {"type": "choose"}, id="not-for-people"),
        pytest.param({"id": "subscription:x"}, {"id": "subscription: are reserved"}, id="not-for-jobs"),
    ],
)
def test_each_error_is_shown_at_its_field(now: datetime, fields: dict[str, str], errors: dict[str, str]) -> None:
    """An invalid value is reported at the field in which it was typed."""
    given = {"type": "log", "message": "hello", **fields}

    with pytest.raises(InvalidForm) as refused:
        form(now, **given).definition(load_handlers([]))

    assert refused.value.errors.keys() == errors.keys()
    assert all(words in refused.value.errors[name] for name, words in errors.items())


def test_every_field_of_a_schedule_can_be_filled_in(system: System, now: datetime) -> None:
    """The job has them all; empty ones are left out, and so is a grace when nothing is skipped."""
    made = post(
        system, "/api/jobs", {"type": "log", "message": "hello", "id": "job", "timezone": "Europe/Berlin", **ALL}
    )
    bare = form(now, **{**dict.fromkeys(ALL, ""), "when": "every", "every": "6d", "grace": "30m"}).time()

    job = system.jobs.get("job")
    assert made.status_code == 201
    assert (job.every, job.starts_at, job.schedule_at) == ("6d", *[datetime(2026, 12, 1, 8, tzinfo=UTC)] * 2)
    assert (job.until, [day.isoformat() for day in job.except_dates]) == (
        datetime(2027, 1, 31, 23, tzinfo=UTC),
        ["2026-12-07", "2026-12-25"],
    )
    assert (job.misfire, job.grace, job.pause_after_failures) == ("skip", timedelta(minutes=30), 3)
    assert bare == {"every": "6d"}


@pytest.mark.parametrize(
    ("fields", "attempts", "space"),
    [({"max_attempts": "7", "space": "spaces/AAAA"}, 7, "spaces/AAAA"), ({"max_attempts": " ", "space": ""}, 3, None)],
    ids=["filled-in", "empty"],
)
def test_a_job_has_the_attempts_and_the_space_of_the_form(
    system: System, fields: dict[str, str], attempts: int, space: str | None
) -> None:
    """They are of any job, and empty ones are left to the defaults."""
    post(system, "/api/jobs", {"type": "log", "message": "hello", "id": "job", "when": "now", **fields})

    job = system.jobs.get("job")
    assert (job.max_attempts, job.space) == (attempts, space)


def test_the_preview_shows_an_invalid_number_of_attempts(now: datetime) -> None:
    """At its field, while a person types."""
    assert preview(form(now, **ALL, max_attempts="0"), now)["errors"] == {
        "max_attempts": "write a whole number from 1 to 100"
    }


def test_the_preview_respects_the_bounds(now: datetime) -> None:
    """The next five runs without the days off, and none after the end."""
    shown = preview(form(now, **{**ALL, "except_dates": "2026-12-07"}), now)
    few = preview(form(now, **{**ALL, "until": "2026-12-20T00:00"}), now)

    assert shown["words"] == "Every 6 days (Europe/Berlin), until Mon 1 Feb 2027, 00:00, except 7 Dec 2026"
    assert [run["says"][4:10] for run in shown["runs"]] == ["1 Dec ", "13 Dec", "19 Dec", "25 Dec", "31 Dec"]
    assert [run["says"][4:10] for run in few["runs"]] == ["1 Dec ", "13 Dec", "19 Dec"]


@pytest.mark.parametrize(("misfire", "first"), [("coalesce", "19 Nov"), ("skip", "22 Nov")])
def test_the_preview_of_a_start_in_the_past(now: datetime, misfire: str, first: str) -> None:
    """The misfire rule decides what would run at once."""
    shown = preview(form(now, when="every", every="3d", start="2026-11-01T09:00", misfire=misfire), now)

    assert shown["runs"][0]["says"][4:10] == first


def test_the_preview_warns_if_both_day_fields_are_set(now: datetime) -> None:
    """With both day fields set the description would be wrong, so only the warning and the next runs are shown."""
    shown = preview(form(now, when="cron", cron="0 9 */2 * 1-5"), now)

    assert shown["words"] == "0 9 */2 * 1-5 (Europe/Berlin)"
    assert ["either is enough" in warning for warning in shown["warnings"]] == [True]
    assert len(shown["runs"]) == 5


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"until": "2026-11-30T00:00"}, "until"), ({"until": "", "except_dates": "2026-12-01," * 101}, "except_dates")],
)
def test_the_preview_shows_that_a_schedule_never_runs(now: datetime, fields: dict[str, str], field: str) -> None:
    """At the field to change."""
    shown = preview(form(now, **{**ALL, **fields}), now)

    assert shown["errors"].keys() == {field}
    assert shown["runs"] == []


def test_an_opened_job_shows_its_bounds(system: System, now: datetime) -> None:
    """The list has every interval, not `Once`."""
    post(system, "/api/jobs", {"type": "log", "message": "hello", "id": "job", "timezone": "Europe/Berlin", **ALL})

    (row,) = get(system, "/api/jobs").get_json()["jobs"]
    facts = dict(get(system, "/api/jobs/job").get_json()["facts"])

    assert row["schedule"].startswith("Every 6 days (Europe/Berlin), until")
    assert facts["Starts"] == "Tue 1 Dec 2026, 09:00:00 CET"
    assert facts["Ends"] == "Mon 1 Feb 2027, 00:00:00 CET"
    assert facts["Days off"] == "2026-12-07, 2026-12-25"
    assert facts["When missed"] == "skip, when over 30 min late"
    assert facts["Pauses"] == "after 3 failures in a row (0 so far)"


@pytest.mark.parametrize(("payload", "says"), [('{"url": }', "not JSON"), ("[]", "JSON object"), ("[" * 9999, "")])
def test_a_payload_that_is_not_an_object_is_refused(system: System, payload: str, says: str) -> None:
    """With the place of the mistake, if there is one."""
    answer = post(system, "/api/jobs", {"type": "http_request", "payload": payload})

    assert answer.status_code == 422
    assert says in answer.get_json()["errors"]["payload"]


@pytest.mark.parametrize("fields", [{"id": "a/b"}, {"message": "x" * 70_000}, {"message": "\ud800"}])
def test_an_invalid_job_is_an_error_below_the_form(system: System, fields: dict[str, str]) -> None:
    """A refusal by the job itself may concern several fields, so it is shown at none."""
    answer = post(system, "/api/jobs", {"type": "log", "message": "hello", **fields})

    assert answer.status_code == 422
    assert answer.get_json().keys() == {"error"}


@pytest.mark.parametrize("fields", [{"when": "now"}, {"when": "at", "at": "2020-01-01T00:00"}])
def test_the_preview_of_a_time_in_the_past_says_now(now: datetime, fields: dict[str, str]) -> None:
    """A time in the past means now."""
    assert preview(form(now, **fields), now)["words"] == "With the next tick, within a minute"


def test_a_taken_id_is_an_error_at_its_field(system: System) -> None:
    """With what to do."""
    system.jobs.schedule("log", {"message": "hello"}, id="job")

    answer = post(system, "/api/jobs", {"type": "log", "message": "good bye", "id": "job"})

    assert answer.get_json()["errors"] == {
        "id": "job job exists with another definition; choose another id, or edit that job"
    }
