"""The console without a browser: what it shows, who may ask, and what a person in Chat says to the function."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from chat_event import Dialog, Kind, parse_event
from shared.errors import InvalidInput, StoreUnavailable
from shared.handlers import load_handlers
from shared.jobs import Jobs
from shared.model.entries import Entry
from shared.model.history import Result, Run, RunOutcome
from shared.model.job import Job
from shared.model.recurrence import Recurrence
from shared.store.documents import Unreadable
from shared.store.json_file import JsonStore
from shared.store.protocol import Change, Won
from shared.subscriptions import CHECK
from tests.chatting import closes, dialog_reply
from watchkeeper.console import health, views
from watchkeeper.console.app import RUNS, create_console
from watchkeeper.console.catalogue import Catalogue
from watchkeeper.console.chat_markup import card, card_text, message_text, safe_link
from watchkeeper.console.chat_person import NoReply, Person, Room
from watchkeeper.console.day import Day, strip
from watchkeeper.console.job_form import Form, InvalidForm, preview
from watchkeeper.console.selection import PAGE, Query, Selection, Texts, select
from watchkeeper.console.system import Call, System
from watchkeeper.deploy.functions_table import SchedulerJob
from watchkeeper.fakes.services import Service

HERE = "http://127.0.0.1:8080"
OURS = {"Origin": HERE}
HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">'
STATIC = Path(views.__file__).parent / "static"
RETENTION = timedelta(days=30)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def jobs(json_store: JsonStore, now: datetime) -> Jobs:
    """No jobs yet."""
    return Jobs(json_store, clock=lambda: now, handlers=load_handlers([]), retention=RETENTION)


@pytest.fixture
def system(jobs: Jobs, now: datetime) -> System:
    """A local run whose functions all answer that they are well."""
    every_minute = SchedulerJob(
        name="tick", recurrence=Recurrence("* * * * *", "UTC"), attempt_deadline=timedelta(minutes=3)
    )
    answered = Call(
        began_at=now, duration=timedelta(milliseconds=40), status=200, body={"metrics": {"jobs_executed": 2}}
    )
    return System(
        jobs=jobs,
        handlers=load_handlers([]),
        clock=lambda: now,
        timezone="Europe/Berlin",
        place="in a file",
        functions={"tick": "http://127.0.0.1:1", "chat_webhook": "http://127.0.0.1:1"},
        headers={},
        schedules={"tick": every_minute},
        services=[Service(name="Gmail", address="", is_fake=False)],
        last_call=lambda name: answered,
        call=lambda name: answered,
        is_read_only=False,
    )


@pytest.fixture
def read_only(system: System) -> System:
    """What is deployed somewhere else."""
    return replace(system, functions={}, schedules={}, is_read_only=True, is_billed=True)


def get(system: System, path: str, **headers: str) -> TestResponse:
    """Ask for something as the page does."""
    sent = {"Sec-Fetch-Site": "same-origin", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return create_console(system).test_client().get(path, base_url=HERE, headers=sent, buffered=True)


def post(
    system: System, path: str, body: Any = None, headers: Mapping[str, str] = OURS, mimetype: str = "application/json"
) -> TestResponse:
    """Change something as the page does."""
    client = create_console(system).test_client()
    content = json.dumps({} if body is None else body)
    return client.post(path, base_url=HERE, data=content, content_type=mimetype, headers=headers)


# -- who may ask -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/static/main.js", "/api/about", "/api/jobs"])
@pytest.mark.parametrize("host", ["evil.example:8080", "127.0.0.1", "127.0.0.1:9090", "localhost.evil.example:8080"])
def test_another_host_name_is_refused(system: System, path: str, host: str) -> None:
    """A name that another site lets lead here (DNS rebinding) gets nothing at all."""
    answer = get(system, path, Host=host)

    assert answer.status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080"])
def test_its_own_names_are_served(system: System, host: str) -> None:
    """The page is there under both names of this machine."""
    assert get(system, "/", Host=host).status_code == 200


@pytest.mark.parametrize(
    ("headers", "mimetype"),
    [
        pytest.param({"Origin": "https://evil.example"}, "application/json", id="other-origin"),
        pytest.param({"Origin": "http://127.0.0.1:9090"}, "application/json", id="other-port"),
        pytest.param({"Origin": "null"}, "application/json", id="hidden-origin"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, "application/json", id="other-site"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, "application/json", id="neighbour"),
        pytest.param({"Sec-Fetch-Site": "none"}, "application/json", id="nobody"),
        pytest.param({}, "application/json", id="no-browser"),
        pytest.param(OURS, "text/plain", id="form-text"),
        pytest.param(OURS, "application/x-www-form-urlencoded", id="form"),
    ],
)
def test_a_change_that_the_page_did_not_ask_for_is_refused(
    system: System, headers: Mapping[str, str], mimetype: str
) -> None:
    """Only our own origin may change anything, and only with JSON, which no form of another site can send."""
    answer = post(system, "/api/jobs", {"type": "log", "message": "hello"}, headers, mimetype)

    assert answer.status_code == 403
    assert list(system.jobs.list()) == []


@pytest.mark.parametrize("headers", [OURS, {"Sec-Fetch-Site": "same-origin"}])
def test_a_change_that_the_page_asks_for_is_made(system: System, headers: Mapping[str, str]) -> None:
    """Either header proves that it was our own page."""
    answer = post(system, "/api/jobs", {"type": "log", "message": "hello", "id": "greeting"}, headers)

    assert (answer.status_code, answer.get_json()) == (201, {"id": "greeting", "outcome": "created"})
    assert system.jobs.get("greeting").payload == {"message": "hello"}


def test_another_site_cannot_make_us_read(system: System) -> None:
    """Each read of the real Firestore costs, so a page of another site may not ask for one."""
    assert get(system, "/api/jobs", Sec_Fetch_Site="cross-site").status_code == 403


@pytest.mark.parametrize("path", ["/", "/static/console.css", "/api/jobs", "/nowhere"])
def test_every_answer_carries_the_guards(system: System, path: str) -> None:
    """The browser is told to run nothing but our own files, in no frame, and to tell nobody where it was."""
    headers = get(system, path).headers

    assert headers["Content-Security-Policy"].startswith("default-src 'self';")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert ("no-store" in headers.get("Cache-Control", "")) == path.startswith("/api/")


def test_nothing_is_written_as_markup_or_inline(system: System) -> None:
    """The page has no inline script or style, and its scripts know no way to turn text into elements."""
    page = get(system, "/").get_data(as_text=True)
    scripts = "\n".join(path.read_text(encoding="utf-8") for path in STATIC.glob("*.js"))

    assert page.count("<script") == page.count('<script type="module" src="/static/')
    assert not any(word in page for word in ("<style", " style=", " onclick="))
    assert not any(
        word in scripts for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(")
    )
    assert "//" not in page.replace("http://127.0.0.1", "")


def test_a_body_beyond_all_reason_is_refused(system: System) -> None:
    """It is not read to its end."""
    assert post(system, "/api/jobs", {"message": "x" * 300_000}).status_code == 413


@pytest.mark.parametrize(
    ("shown", "status"), [("secret", 200), ("", 401), ("secret2", 401), ("Secret", 401), ("s\xe9cret", 401)]
)
def test_a_token_keeps_other_accounts_out(system: System, shown: str, status: int) -> None:
    """Whoever has an account on this machine can reach the port. The page's own files are no secret."""
    client = create_console(system, token="secret").test_client()

    def status_of(path: str) -> int:
        return client.get(path, base_url=HERE, headers={"X-Watchkeeper-Token": shown}, buffered=True).status_code

    assert {status_of(path) for path in ("/api/about", "/api/jobs", "/api/now")} == {status}
    assert status_of("/") == 200


# -- read-only ---------------------------------------------------------------------------------------------------------


def test_read_only_refuses_every_change(read_only: System) -> None:
    """Not one route that changes something is left out."""
    read_only.jobs.schedule("log", {"message": "hello"}, id="job")
    rules = create_console(read_only).url_map.iter_rules()
    changing = [rule.rule for rule in rules if "POST" in (rule.methods or ())]

    paths = [rule.replace("<job_id>", "job").replace("<command>", "cancel") for rule in changing]
    answers = {path: post(read_only, path.replace("<function>", "tick")).status_code for path in paths}

    assert len(answers) >= 5
    assert set(answers.values()) == {403}
    assert read_only.jobs.get("job").status == "pending"


@pytest.mark.parametrize(("is_billed", "seconds"), [(False, 2), (True, 30)])
def test_where_reads_are_billed_the_page_looks_seldom(system: System, is_billed: bool, seconds: int) -> None:
    """A local run may well be over the real Firestore."""
    about = get(replace(system, is_billed=is_billed), "/api/about").get_json()

    assert (about["is_read_only"], about["poll_seconds"]) == (False, seconds)


def test_read_only_says_what_it_is(read_only: System) -> None:
    """The page hides what cannot be done."""
    about = get(read_only, "/api/about").get_json()

    assert (about["is_read_only"], about["has_chat"]) == (True, False)
    assert get(read_only, "/api/chat").status_code == 404
    assert get(read_only, "/api/now").get_json()["tick"] == {"next": "", "last": None}


class Counting:
    """A store that counts the documents which are read."""

    def __init__(self, store: JsonStore) -> None:
        self.read = 0
        self._store = store

    def page(self, **asked: Any) -> list[Job | Unreadable]:
        page = self._store.page(**asked)
        self.read += len(page)
        return page

    def get(self, job_ids: Collection[str]) -> dict[str, Job | Unreadable]:
        found = self._store.get(job_ids)
        self.read += len(found)
        return found


def test_a_look_reads_what_can_have_changed(
    read_only: System, json_store: JsonStore, job_factory: Callable[..., Job], now: datetime
) -> None:
    """Where reads are billed: all once, then the jobs whose time has come and those on view; all again in a while."""
    json_store.swap([Change(None, job_factory(f"job-{number:04}", at=now + MINUTE * 60)) for number in range(450)])
    json_store.swap([Change(None, job_factory("due", at=now - MINUTE)), Change(None, job_factory("subscription:x:y"))])
    counting: Any = Counting(json_store)
    moment, seconds = [now], [0.0]
    jobs = Jobs(counting, clock=lambda: moment[0], handlers={}, retention=RETENTION)
    catalogue = Catalogue(jobs, clock=lambda: moment[0], is_billed=True, monotonic=lambda: seconds[0])
    reads = []

    for later in (0, 10, 30, 601):
        before = counting.read
        moment[0], seconds[0] = now + timedelta(seconds=later), float(later)
        jobs_found = catalogue.read()
        catalogue.again([job.id for job in jobs_found][1:51])
        reads.append(counting.read - before)

    assert reads == [452, 0, 52, 452]


def test_what_is_changed_here_is_seen_at_once(read_only: System, json_store: JsonStore) -> None:
    """However lately it was read; also that it is gone."""
    jobs = read_only.jobs
    jobs.schedule("log", {"message": "hello"}, id="job", at=read_only.clock() + MINUTE)
    catalogue = Catalogue(jobs, clock=read_only.clock, is_billed=True)
    catalogue.read()

    jobs.cancel("job")
    catalogue.look_again(["job"])
    states = [catalogue.get("job").status]
    jobs.delete("job")
    catalogue.look_again(["job"])

    assert states == ["cancelled"]
    assert catalogue.read() == []


class Away:
    """A store that cannot be reached."""

    def page(self, **asked: Any) -> list[Job | Unreadable]:
        raise StoreUnavailable("Firestore does not answer")


def test_a_store_that_is_away_is_said(read_only: System) -> None:
    """The page gets the reason and what to look after, to show it, rather than a traceback."""
    away: Any = Away()
    jobs = Jobs(away, clock=read_only.clock, handlers={}, retention=RETENTION)

    answer = get(replace(read_only, jobs=jobs), "/api/jobs")

    assert answer.status_code == 503
    assert answer.get_json()["error"].startswith("Firestore does not answer. The jobs are in a file; ")


def test_cloud_scheduler_stands_in_here_only(system: System, read_only: System) -> None:
    """The page says so, since it calls the functions of a local run."""
    services = [views.about(each)["services"] for each in (system, read_only)]

    assert [[service["name"] for service in each] for each in services] == [["Gmail", "Cloud Scheduler"], ["Gmail"]]


# -- jobs --------------------------------------------------------------------------------------------------------------


def chosen(found: Sequence[Job | Unreadable], now: datetime, **asked: str) -> Selection:
    """Return what an address selects."""
    return select(found, Query.of(asked), now, Texts())


def listed(found: Sequence[Job | Unreadable], now: datetime) -> list[dict[str, Any]]:
    """Return the rows of the first page."""
    selection = chosen(found, now)
    rows: list[dict[str, Any]] = views.listing(selection, selection.jobs, now, "UTC")["jobs"]
    return rows


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        pytest.param({}, ["b", "a", "c"], id="next-run-first"),
        pytest.param({"sort": "-next"}, ["c", "a", "b"], id="reversed"),
        pytest.param({"sort": "id"}, ["a", "b", "c"], id="by-id"),
        pytest.param({"sort": "-status"}, ["b", "a", "c"], id="by-status"),
        pytest.param({"q": "QUARTERLY report"}, ["a"], id="words-of-the-payload"),
        pytest.param({"q": "no luck"}, ["c"], id="words-of-the-error"),
        pytest.param({"q": "b"}, ["b"], id="id"),
        pytest.param({"type": "agent"}, ["b"], id="type"),
        pytest.param({"status": "failed"}, ["c"], id="status"),
        pytest.param({"status": "odd", "sort": "odd", "page": "-1"}, ["b", "a", "c"], id="nonsense"),
        pytest.param({"page": "99"}, ["b", "a", "c"], id="behind-the-last-page"),
    ],
)
def test_jobs_are_searched_and_sorted(
    job_factory: Callable[..., Job], now: datetime, asked: dict[str, str], ids: list[str]
) -> None:
    """By words of the id, type, payload and error, all of them, and by state and type."""
    found = [
        job_factory("a", payload={"message": "Quarterly Report"}, at=now + 2 * MINUTE),
        job_factory("b", "agent", at=now + MINUTE),
        failed(job_factory("c"), now),
    ]

    assert [job.id for job in chosen(found, now, **asked).jobs] == ids


def test_counts_are_of_all_that_match(job_factory: Callable[..., Job], now: datetime) -> None:
    """The chips count what the words and the type leave, whatever state is selected; a page has its share."""
    found = [job_factory(f"report-{number:03}", at=now + MINUTE) for number in range(PAGE + 7)]
    found += [failed(job_factory("report-failed"), now), job_factory("other"), job_factory("subscription:x", CHECK)]

    selection = chosen(found, now, q="report", status="pending", page="2")

    assert selection.counts == {"all": PAGE + 8, "pending": PAGE + 7, "failed": 1}
    assert (len(selection.jobs), len(selection.matching), selection.pages) == (7, PAGE + 7, 2)
    assert selection.types == ["log"]


def test_health_counts_what_needs_a_person(job_factory: Callable[..., Job], now: datetime) -> None:
    """Each with the list behind it; a job that goes on after it was given up is among the failed."""
    recurring = failed(job_factory("recurring", cron="0 9 * * *", now=now - timedelta(hours=30)), now)
    claim = partial(job_factory, now=now - timedelta(hours=1))
    stuck = claim("stuck").claim(now=now - 9 * MINUTE, token="t", lease=5 * MINUTE, retention=RETENTION)
    queued = claim("queued").claim(now=now, token="t", lease=5 * MINUTE, retention=RETENTION, queue="agents")
    at_the_edge = [
        job_factory("on-time", at=now - 2 * MINUTE + timedelta(seconds=1)),
        job_factory("late", at=now - 2 * MINUTE),
    ]
    ends = [("soon", 47), ("later", 49)]
    lapsing = [
        job_factory(f"subscription:{name}", CHECK, payload={"expires_at": (now + timedelta(hours=hours)).isoformat()})
        for name, hours in ends
    ]

    shown = health.figures([recurring, failed(job_factory("once"), now), stuck, queued, *at_the_edge, *lapsing], now)

    assert recurring.status == "pending"
    assert {figure["name"]: figure["count"] for figure in shown} == {
        "failed": 2,
        "late": 1,
        "stuck": 1,
        "lapsing": 1,
        "waiting": 1,
    }
    assert [figure["level"] for figure in shown] == ["bad", "bad", "bad", "bad", "info"]
    assert [figure["level"] for figure in health.figures([], now)] == ["good"] * 5
    assert all(chosen([recurring], now, status="failed").matching for figure in shown if figure["name"] == "failed")


def test_a_command_for_many_jobs(system: System, now: datetime) -> None:
    """For the named ones or for all that match; what refuses it is named with its reason, and the rest is done."""
    for number in range(3):
        system.jobs.schedule("log", {"message": "weekly"}, id=f"job-{number}", at=now + MINUTE)
    system.jobs.pause("job-1")

    some = post(system, "/api/all/pause", {"ids": ["job-0", "job-1", "gone"]}).get_json()
    rest = post(system, "/api/all/cancel", {"matching": {"q": "weekly", "status": "pending"}}).get_json()
    none = post(system, "/api/all/cancel", {"ids": []})

    assert (some["done"], set(some["refused"])) == (1, {"job-1", "gone"})
    assert "must be pending" in some["refused"]["job-1"]
    assert rest == {"done": 1, "refused": {}}
    assert [system.jobs.get(f"job-{number}").status for number in range(3)] == ["paused", "paused", "cancelled"]
    assert (none.status_code, post(system, "/api/all/delete", {"ids": ["job-0"]}).status_code) == (422, 404)


def test_jobs_are_listed_as_they_run_next(jobs: Jobs, now: datetime) -> None:
    """What runs comes first, then what is next; times are those of the job's own clocks."""
    jobs.schedule("log", {"message": "later"}, id="a", at=now + 5 * MINUTE)
    jobs.schedule("log", {"message": "sooner"}, id="b", cron="*/2 * * * *", timezone="Asia/Tokyo")
    jobs.schedule("log", {"message": "done"}, id="c")
    jobs.cancel("c")

    rows = listed(list(jobs.list()), now)

    assert [(row["id"], row["status"], row["next"]) for row in rows] == [
        ("b", "pending", "Sat 21 Nov 2026, 18:00"),
        ("a", "pending", "Sat 21 Nov 2026, 09:05"),
        ("c", "cancelled", ""),
    ]
    assert rows[0]["schedule"] == "Every 2 minutes (Asia/Tokyo)"


def test_a_job_that_was_handed_over_is_waiting_and_not_running(job_factory: Callable[..., Job], now: datetime) -> None:
    """Both views say in which queue, and since when; there is no running mark."""
    claim = partial(job_factory().claim, now=now, token="t", lease=timedelta(hours=1), retention=timedelta(days=1))
    waiting, running = claim(queue="agents"), claim()

    rows = sorted(listed([waiting, running], now), key=lambda row: not row["queue"])
    detail = views.detail(waiting, now + MINUTE, "UTC")

    assert [(row["queue"], row["queued_at"]) for row in rows] == [("agents", "2026-11-21T09:00:00Z"), ("", "")]
    assert (detail["queue"], detail["status"]) == ("agents", "running")
    assert (
        detail["why"] == "It was handed over, and has been waiting in queue agents since Sat 21 Nov 2026, 09:00:00 UTC."
    )
    assert marks(waiting, now + MINUTE) == []


def test_what_a_job_says_is_given_as_it_stands(system: System) -> None:
    """Markup is text: it comes as JSON that no browser takes for a page."""
    system.jobs.schedule("log", {"message": HOSTILE}, id="job")

    listed, opened = get(system, "/api/jobs"), get(system, "/api/jobs/job")

    assert listed.mimetype == opened.mimetype == "application/json"
    assert listed.get_json()["jobs"][0]["title"] == HOSTILE
    assert json.loads(opened.get_json()["payload"]) == {"message": HOSTILE}


def test_a_document_that_cannot_be_read_is_listed(now: datetime) -> None:
    """With the reason."""
    (row,) = listed([Unreadable(id="odd", reason="no job_type", document={})], now)

    assert (row["id"], row["status"], row["error"]) == ("odd", "unreadable", "no job_type")


def waiting(job: Job, now: datetime) -> Job:
    return job


def held(job: Job, now: datetime) -> Job:
    return job.claim(now=now, token="t", lease=5 * MINUTE, retention=RETENTION)


def failed(job: Job, now: datetime) -> Job:
    return held(job, now).finish(
        Result(started_at=now, ended_at=now, by="schedule", error="no luck", final=True), retention=RETENTION
    )


def paused(job: Job, now: datetime) -> Job:
    return job.pause(now=now)


def cancelled(job: Job, now: datetime) -> Job:
    return job.cancel(now=now, retention=RETENTION)


@pytest.mark.parametrize(
    ("state", "commands"),
    [
        (waiting, ["run", "pause", "cancel", "delete"]),
        (held, ["pause", "cancel"]),
        (failed, ["run", "retry", "cancel", "delete"]),
        (paused, ["run", "resume", "cancel", "delete"]),
        (cancelled, ["delete"]),
        (lambda job, now: cancelled(replace(job, schedule_at=now + MINUTE), now), ["undo", "delete"]),
    ],
)
def test_only_possible_commands_are_offered(
    job_factory: Callable[..., Job], now: datetime, state: Callable[[Job, datetime], Job], commands: list[str]
) -> None:
    """What the job itself would refuse has no button."""
    assert views.detail(state(job_factory(), now), now, "UTC")["commands"] == commands


def test_a_job_is_shown_with_what_its_runs_returned(job_factory: Callable[..., Job], now: datetime) -> None:
    """In its own view; the timeline does without."""
    done = Result(started_at=now, ended_at=now, by="schedule", output="42 rows")
    job = held(job_factory(), now).finish(done, retention=RETENTION)

    assert [run["output"] for run in views.detail(job, now, "UTC")["runs"]] == ["42 rows"]


def test_a_refused_command_says_why(system: System) -> None:
    """The job may have changed since the button was drawn."""
    system.jobs.schedule("log", {"message": "hello"}, id="job")

    answer = post(system, "/api/jobs/job/resume")

    assert answer.status_code == 409
    assert "it must be paused" in answer.get_json()["error"]


@pytest.mark.parametrize(
    ("path", "status"),
    [("/api/jobs/nobody/run", 404), ("/api/jobs/job/delete", 404), ("/api/call/chat_webhook", 404)],
)
def test_what_is_not_there_is_not_found(system: System, path: str, status: int) -> None:
    """Neither other jobs, nor other commands, nor functions that have no schedule."""
    assert post(system, path).status_code == status


def test_a_command_answers_with_the_job(system: System) -> None:
    """So that the page shows at once what became of it."""
    system.jobs.schedule("log", {"message": "hello"}, id="job", cron="0 9 * * *")

    answer = post(system, "/api/jobs/job/pause").get_json()

    assert answer["status"] == "paused"
    assert answer["why"].startswith("It was paused by console at")


# -- the form ----------------------------------------------------------------------------------------------------------


def form(now: datetime, **fields: str) -> Form:
    """A form in which this was typed."""
    return Form(fields, now=now, timezone="Europe/Berlin")


def test_the_preview_marks_a_change_of_clocks() -> None:
    """Five runs, with a word where the clocks change on that day."""
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
        pytest.param({"timezone": "Berlin"}, {"timezone": "Berlin"}, id="timezone"),
        pytest.param({"message": ""}, {"message": "log job needs"}, id="refused-by-its-handler"),
        pytest.param({"type": "nothing"}, {"type": "choose"}, id="type"),
        pytest.param({"type": CHECK}, {"type": "choose"}, id="not-for-people"),
        pytest.param({"id": "subscription:x"}, {"id": "reserved for subscriptions"}, id="not-for-jobs"),
    ],
)
def test_each_error_stands_beside_its_field(now: datetime, fields: dict[str, str], errors: dict[str, str]) -> None:
    """What cannot be used is named where it was typed."""
    given = {"type": "log", "message": "hello", **fields}

    with pytest.raises(InvalidForm) as refused:
        form(now, **given).definition(load_handlers([]))

    assert refused.value.errors.keys() == errors.keys()
    assert all(words in refused.value.errors[name] for name, words in errors.items())


ALL = {
    "when": "every",
    "every": "6d",
    "start": "2026-12-01T09:00",
    "until": "2027-02-01T00:00",
    "except_dates": "2026-12-25, 2026-12-07",
    "misfire": "skip",
    "grace": "30m",
    "pause_after_failures": "3",
}


def test_every_field_of_a_schedule_can_be_filled_in(system: System, now: datetime) -> None:
    """They become the job's; empty ones are left out, and so is a grace where nothing is skipped."""
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


def test_the_preview_keeps_to_the_bounds(now: datetime) -> None:
    """The next five runs, less the days off, and no more than there are before the end."""
    shown = preview(form(now, **{**ALL, "except_dates": "2026-12-07"}), now)
    few = preview(form(now, **{**ALL, "until": "2026-12-20T00:00"}), now)

    assert shown["words"] == "Every 6 days (Europe/Berlin), until Mon 1 Feb 2027, 00:00, except 7 Dec 2026"
    assert [run["says"][4:10] for run in shown["runs"]] == ["1 Dec ", "13 Dec", "19 Dec", "25 Dec", "31 Dec"]
    assert [run["says"][4:10] for run in few["runs"]] == ["1 Dec ", "13 Dec", "19 Dec"]


@pytest.mark.parametrize(("misfire", "first"), [("coalesce", "19 Nov"), ("skip", "22 Nov")])
def test_the_preview_of_a_start_in_the_past(now: datetime, misfire: str, first: str) -> None:
    """What would run at once is decided by the misfire rule."""
    shown = preview(form(now, when="every", every="3d", start="2026-11-01T09:00", misfire=misfire), now)

    assert shown["runs"][0]["says"][4:10] == first


def test_the_preview_warns_of_either_day(now: datetime) -> None:
    """Both day fields are set: the words would not be true, so the warning and the next runs stand alone."""
    shown = preview(form(now, when="cron", cron="0 9 */2 * 1-5"), now)

    assert shown["words"] == "0 9 */2 * 1-5 (Europe/Berlin)"
    assert ["either is enough" in warning for warning in shown["warnings"]] == [True]
    assert len(shown["runs"]) == 5


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"until": "2026-11-30T00:00"}, "until"), ({"until": "", "except_dates": "2026-12-01," * 101}, "except_dates")],
)
def test_a_schedule_that_never_comes_is_said_in_the_preview(now: datetime, fields: dict[str, str], field: str) -> None:
    """Beside the field that is to be changed."""
    shown = preview(form(now, **{**ALL, **fields}), now)

    assert shown["errors"].keys() == {field}
    assert shown["runs"] == []


def test_an_opened_job_shows_its_bounds(system: System, now: datetime) -> None:
    """And the list says every interval, not `Once`."""
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
def test_a_payload_that_is_no_object_is_refused(system: System, payload: str, says: str) -> None:
    """The place of the mistake is named where there is one."""
    answer = post(system, "/api/jobs", {"type": "http_request", "payload": payload})

    assert answer.status_code == 422
    assert says in answer.get_json()["errors"]["payload"]


@pytest.mark.parametrize("fields", [{"id": "a/b"}, {"message": "x" * 70_000}, {"message": "\ud800"}])
def test_what_no_job_can_be_is_said_below_the_form(system: System, fields: dict[str, str]) -> None:
    """What the job itself refuses is beside no field that may be the wrong one."""
    answer = post(system, "/api/jobs", {"type": "log", "message": "hello", **fields})

    assert answer.status_code == 422
    assert answer.get_json().keys() == {"error"}


@pytest.mark.parametrize("fields", [{"when": "now"}, {"when": "at", "at": "2020-01-01T00:00"}])
def test_the_preview_says_that_a_time_has_come(now: datetime, fields: dict[str, str]) -> None:
    """A time that is over means now."""
    assert preview(form(now, **fields), now)["words"] == "With the next tick, within a minute"


def test_a_taken_id_is_said_beside_it(system: System) -> None:
    """With the difference to the job that has it."""
    system.jobs.schedule("log", {"message": "hello"}, id="job")

    answer = post(system, "/api/jobs", {"type": "log", "message": "good bye", "id": "job"})

    assert "another definition" in answer.get_json()["errors"]["id"]


# -- changing a job ----------------------------------------------------------------------------------------------------


def filled(system: System, **fields: str) -> dict[str, str]:
    """Return the form of the job `job`, in which this was changed."""
    form: dict[str, str] = get(system, "/api/jobs/job/form").get_json()
    return {**form, **fields}


def test_a_form_that_is_saved_as_it_was_changes_nothing(system: System) -> None:
    """Every field says what the job is, so nothing starts a new occurrence."""
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
def test_what_is_typed_is_changed_and_the_rest_is_kept(
    system: System, fields: dict[str, str], changed: dict[str, Any]
) -> None:
    """An empty field removes what it names."""
    post(system, "/api/jobs", {"type": "log", "message": "hello", "id": "job", "timezone": "Europe/Berlin", **ALL})
    before = system.jobs.get("job")

    answer = post(system, "/api/jobs/job/edit", filled(system, **fields))

    job = system.jobs.get("job")
    assert answer.status_code == 200
    assert {name: getattr(job, name) for name in changed} == changed
    assert job.updated_by == "console"
    if not fields.keys() & {"when"}:
        assert (job.schedule_at, job.every, job.starts_at) == (before.schedule_at, before.every, before.starts_at)


def test_an_edit_names_the_mistake_in_the_payload(system: System) -> None:
    """With line and column, as one types and when it is saved."""
    system.jobs.schedule("http_request", {"url": "https://example.com"}, id="job")
    broken = {"payload": '{\n  "url": "https://example.com",\n  "method" "POST"\n}'}

    answers = [post(system, path, filled(system, **broken)) for path in ("/api/preview", "/api/jobs/job/edit")]

    assert [answer.status_code for answer in answers] == [200, 422]
    assert all("in line 3, column 12" in answer.get_json()["errors"]["payload"] for answer in answers)


@pytest.mark.parametrize("when", [{"at": timedelta(hours=1)}, {"cron": "0 9 * * *"}])
def test_a_cancel_is_undone(system: System, now: datetime, when: dict[str, Any]) -> None:
    """The job runs again at the time that it had."""
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
    """It was not to run before either."""
    system.jobs.schedule("log", {"message": "hello"}, id="job", cron="0 9 * * *")
    system.jobs.pause("job")
    system.jobs.cancel("job")

    assert post(system, "/api/jobs/job/undo", {"is_paused": True}).get_json()["status"] == "paused"


def test_a_job_is_deleted(system: System) -> None:
    """And gone at once; while it runs, that is refused."""
    system.jobs.schedule("log", {"message": "hello"}, id="job")

    assert post(system, "/api/jobs/job/delete").status_code == 200
    assert get(system, "/api/jobs").get_json()["total"] == 0
    assert post(system, "/api/jobs/job/delete").status_code == 404


# -- runs over time ----------------------------------------------------------------------------------------------------


def test_all_runs_of_a_job_are_shown_a_page_at_a_time(system: System, json_store: JsonStore, now: datetime) -> None:
    """The newest first, more than the ten in the job; each with the place of its log."""
    ran(json_store, Job.create("job", "log", now=now - timedelta(hours=2), cron="* * * * *"), RUNS + 3, now)
    local = replace(system, log_file=Path("log.jsonl"))

    first = get(local, "/api/jobs/job/runs").get_json()
    second = get(local, f"/api/jobs/job/runs?after={first['runs'][-1]['id']}").get_json()
    deployed = get(replace(system, project="my-project"), "/api/jobs/job/runs").get_json()

    assert (len(first["runs"]), first["has_more"], len(second["runs"]), second["has_more"]) == (RUNS, True, 3, False)
    assert first["runs"][0]["local"].endswith(":00 UTC")
    assert first["runs"][0]["log"].startswith("/api/jobs/job/log?since=2026-11-21T")
    assert deployed["runs"][0]["log"].startswith("https://console.cloud.google.com/logs/query;query=")


def test_another_try_in_the_history_is_late_against_its_own_time(now: datetime) -> None:
    """Not against the time of the occurrence, which was kept."""
    first = Run(schedule_at=now, outcome=RunOutcome.RETRIED, started_at=now, ended_at=now, until=now + MINUTE)
    again = Run(schedule_at=now, outcome=RunOutcome.COMPLETED, started_at=now + MINUTE, ended_at=now + MINUTE)
    entries = [
        Entry(id=f"job~{at}", job_id="job", job_type="log", at=now, attempt=1, run=run, expire_at=now)
        for at, run in enumerate([again, first])
    ]

    runs = views.past(entries, "UTC", lambda entry: "")

    assert [(run["outcome"], "late" in run["says"]) for run in runs] == [("completed", False), ("retried", False)]


def ran(store: JsonStore, job: Job, times: int, now: datetime, error: str | None = None) -> Job:
    """Store a job, and run it so often."""
    (stored,) = store.swap([Change(None, job)])
    for _ in range(times):
        assert isinstance(stored, Won)
        assert isinstance(stored.job, Job)
        at = stored.job.ready_at or now
        (held_now,) = store.swap([Change(stored.job, held(stored.job, at))])
        assert isinstance(held_now, Won)
        assert isinstance(held_now.job, Job)
        done = Result(started_at=at, ended_at=at, by="schedule", error=error, final=True)
        (stored,) = store.swap([Change(held_now.job, held_now.job.finish(done, retention=RETENTION))])
    assert isinstance(stored, Won)
    assert isinstance(stored.job, Job)
    return stored.job


def test_the_last_day_is_counted_by_half_hour(jobs: Jobs, json_store: JsonStore, now: datetime) -> None:
    """What succeeded and what failed, at the time of its begin."""
    begin = now - timedelta(hours=3)
    ran(json_store, Job.create("good", "log", now=begin, cron="*/20 * * * *"), 3, now)
    ran(json_store, Job.create("bad", "log", now=begin, at=begin), 1, now, error="no luck")
    ran(json_store, Job.create("old", "log", now=now - timedelta(hours=30), at=now - timedelta(hours=25)), 1, now)

    intervals = strip(Day(jobs, is_billed=False).read(now), now, str)

    assert len(intervals) == 48
    assert intervals[-1]["begin"] == "2026-11-21T09:00:00Z"
    assert [(each["begin"][11:16], each["good"], each["bad"]) for each in intervals if each["good"] or each["bad"]] == [
        ("06:00", 2, 1),
        ("06:30", 1, 0),
    ]


def test_the_last_day_is_read_once(jobs: Jobs, json_store: JsonStore, now: datetime) -> None:
    """Then, where reads are billed, only what may be new, every five minutes; what is a day old is dropped."""
    ran(json_store, Job.create("first", "log", now=now - timedelta(hours=23)), 1, now)
    asked: list[Any] = []
    seconds = [0.0]

    class Noted:
        def history(self, **given: Any) -> Any:
            asked.append(given["since"])
            return jobs.history(**given)

    noted: Any = Noted()
    day = Day(noted, is_billed=True, monotonic=lambda: seconds[0])
    counts = []
    for later in (0, 299, 300, 7200):
        seconds[0] = float(later)
        counts.append(len(day.read(now + timedelta(seconds=later))))

    assert counts == [1, 1, 1, 0]
    assert asked == [
        now - timedelta(days=1),
        now - timedelta(minutes=30),
        now + timedelta(minutes=5) - timedelta(minutes=30),
    ]


def test_the_log_of_a_run_is_shown(system: System, tmp_path: Path) -> None:
    """What was logged between its begin and its end, with tracebacks; where there is no log file, the page says so."""
    lines = [
        {"time": f"2026-11-21T09:00:{second:02}Z", "severity": "INFO", "message": f"line {second}", "job_id": "job"}
        for second in range(5)
    ]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    asked = "/api/jobs/job/log?since=2026-11-21T09:00:01Z&until=2026-11-21T09:00:02Z"

    shown = get(replace(system, log_file=path), asked).get_json()["lines"]

    assert [(line["at"], line["text"]) for line in shown] == [
        ("Sat 21 Nov 2026, 10:00:01 CET", "line 1"),
        ("Sat 21 Nov 2026, 10:00:02 CET", "line 2"),
    ]
    assert get(replace(system, log_file=path), "/api/jobs/job/log").status_code == 422
    assert get(system, asked).status_code == 404


# -- timeline ----------------------------------------------------------------------------------------------------------


def marks(job: Job, now: datetime) -> list[tuple[str, str, str]]:
    """Return the lane of a job: outcome, time due, time begun."""
    lanes = views.timeline([job], now, "UTC")["lanes"]
    return [(mark["outcome"], mark["due"][11:16], mark["at"][11:16]) for lane in lanes for mark in lane["marks"]]


def test_lateness_and_another_try_are_told_apart(job_factory: Callable[..., Job], now: datetime) -> None:
    """A run is late against the time when it was due, and another try against the time that was set for it."""
    job = job_factory(at=now - 20 * MINUTE)
    began = now - 15 * MINUTE
    job = held(job, began).finish(
        Result(started_at=began, ended_at=began, by="schedule", error="no luck"), retention=RETENTION
    )
    again = began + 4 * MINUTE
    job = held(job, again).finish(Result(started_at=again, ended_at=again, by="schedule"), retention=RETENTION)

    assert marks(job, now) == [("retried", "08:40", "08:45"), ("completed", "08:46", "08:49")]


def test_what_was_missed_and_what_comes_are_marked(job_factory: Callable[..., Job], now: datetime) -> None:
    """A pause leaves one mark for all that was left out; the runs to come end with the hour."""
    job = job_factory(now=now - 40 * MINUTE, cron="*/20 * * * *")
    job = held(job, now).finish(Result(started_at=now, ended_at=now, by="schedule"), retention=RETENTION)

    assert marks(job, now) == [
        ("missed", "08:20", "08:20"),
        ("completed", "09:00", "09:00"),
        ("upcoming", "09:20", "09:20"),
        ("upcoming", "09:40", "09:40"),
        ("upcoming", "10:00", "10:00"),
    ]


def test_a_run_under_way_is_open_at_its_end(job_factory: Callable[..., Job], now: datetime) -> None:
    """It is drawn up to this moment; its next look (the end of its lease) is no run to come."""
    assert marks(held(job_factory(), now), now + MINUTE) == [("running", "09:00", "09:00")]


def test_jobs_with_nothing_in_the_window_are_left_out(job_factory: Callable[..., Job], now: datetime) -> None:
    """And of the others no more than there is place for; the rest is counted."""
    idle = [job_factory(f"idle-{number}", at=now + timedelta(days=1)) for number in range(5)]
    busy = [job_factory(f"busy-{number:02}") for number in range(views.LANES + 3)]

    shown = views.timeline([*idle, *busy], now, "UTC")

    assert [lane["id"] for lane in shown["lanes"]] == [f"busy-{number:02}" for number in range(views.LANES)]
    assert shown["left_out"] == 3


def test_with_many_jobs_the_next_to_run_are_still_shown(system: System, now: datetime) -> None:
    """They come first, whatever their id."""
    for number in range(views.LANES):
        system.jobs.schedule("log", {"message": "hi"}, id=f"a-{number:03}", at=now + timedelta(days=1))
    for minutes in (50, 20, 70):
        system.jobs.schedule("log", {"message": "hi"}, id=f"z-{minutes}", at=now + minutes * MINUTE)

    shown = get(system, "/api/now").get_json()

    assert [lane["id"] for lane in shown["lanes"]] == ["z-20", "z-50"]
    assert shown["left_out"] == 0


# -- tick and subscriptions --------------------------------------------------------------------------------------------


def test_the_latest_tick_is_shown(system: System) -> None:
    """With its metrics, and the time of the next one."""
    shown = get(system, "/api/now").get_json()["tick"]

    assert shown["next"] == "2026-11-21T09:01:00Z"
    assert shown["last"]["took"] == "40 ms"
    assert shown["last"]["metrics"] == {"jobs_executed": 2}


@pytest.mark.parametrize(
    ("status", "body", "failure", "problem"),
    [
        pytest.param(503, {"error": {"message": "no store"}}, "", "HTTP 503: no store", id="error"),
        pytest.param(500, "oops", "", "HTTP 500: see its log", id="no-json"),
        pytest.param(None, None, "refused", "no answer: refused", id="no-answer"),
    ],
)
def test_a_call_that_failed_says_why(now: datetime, status: int | None, body: Any, failure: str, problem: str) -> None:
    """Also when the function said nothing."""
    call = Call(began_at=now, duration=MINUTE, status=status, body=body, failure=failure)

    assert views.called(call)["problem"] == problem


def test_a_subscription_shows_the_time_that_is_left(system: System, json_store: JsonStore, now: datetime) -> None:
    """Against the seven days that it is given; jobs beside it are none."""
    payload = {
        "subscription": "the Gmail watch of a@example.com",
        "renewed_at": "2026-11-21T08:00:00Z",
        "expires_at": "2026-11-25T21:00:00Z",
        "error": HOSTILE,
    }
    record = Job.create("subscription:gmail:a@example.com", CHECK, now=now, payload=payload)
    json_store.swap([Change(None, record)])
    system.jobs.schedule("log", {"message": "hello"}, id="z")

    (shown,) = get(system, "/api/now").get_json()["subscriptions"]

    assert shown["left"] == pytest.approx(4.5 / 7)
    assert (shown["function"], shown["error"]) == ("gmail_watch", HOSTILE)


def test_a_function_that_has_recorded_nothing_stands_for_its_subscriptions(system: System) -> None:
    """With what its last call said: it can be called from the page, and a mistake in its settings is seen there."""
    failed = replace(system.call("tick"), status=500, body={"error": {"message": "no such setting"}})
    renewals = {"tick": system.schedules["tick"], "gmail_watch": system.schedules["tick"]}

    views = get(replace(system, schedules=renewals, last_call=lambda name: failed), "/api/now").get_json()

    assert [(view["function"], view["error"]) for view in views["subscriptions"]] == [
        ("gmail_watch", "HTTP 500: no such setting")
    ]


# -- what Chat shows ---------------------------------------------------------------------------------------------------


def test_simple_markup_becomes_pieces() -> None:
    """Styles, links, mentions and code; what is none of it stays as it is."""
    text = "*Hi* <users/7>, see <https://a.example/x|the _page_> or `*x*`; 2*3*4 https://b.example <b>"

    pieces = message_text(text, {"users/7": "Ada"})

    assert [(piece["text"], *piece["styles"], piece["href"]) for piece in pieces if piece["text"].strip(" ,;")] == [
        ("Hi", "bold", ""),
        ("@Ada", "mention", ""),
        (", see ", ""),
        ("the _page_", "https://a.example/x"),
        (" or ", ""),
        ("*x*", "code", ""),
        ("; 2*3*4 ", ""),
        ("https://b.example", "https://b.example"),
        (" <b>", ""),
    ]


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", " javascript:alert(1)", "JaVaScRiPt://x", "data:text/html,x", "//evil", "https://"],
)
def test_no_other_link_can_be_opened(address: str) -> None:
    """Neither in a text, nor in a card, nor behind a button."""
    button = {"text": "Tap", "onClick": {"openLink": {"url": address}}}
    value = {"card": {"sections": [{"widgets": [{"buttonList": {"buttons": [button]}}]}]}}

    assert safe_link(address) == ""
    assert not any(piece["href"] for piece in message_text(f"<{address}|Tap>", {}))
    assert not any(piece["href"] for piece in card_text(f'<a href="{address}">Tap</a>'))
    assert card(value)["sections"][0]["widgets"][0]["buttons"][0]["href"] == ""


def test_cards_know_a_few_tags_only() -> None:
    """Those become styles; any other is text, down to the last character."""
    pieces = card_text(f'<b>Bold</b><br><a href="https://a.example">x</a> &lt;i&gt; {HOSTILE}')

    assert (pieces[0]["text"], pieces[0]["styles"]) == ("Bold", ["bold"])
    assert ("x", "https://a.example") in [(piece["text"], piece["href"]) for piece in pieces]
    assert "".join(piece["text"] for piece in pieces) == f"Bold\nx <i> {HOSTILE}"


@pytest.mark.parametrize(
    "value", [None, 7, [], {"card": 7}, {"card": {"sections": [7, {"widgets": [7, {"map": {}}]}]}}]
)
def test_a_card_of_any_shape_is_shown(value: Any) -> None:
    """What is not understood is named; nothing that a job posts can take the page down."""
    assert card(value).keys() == {"title", "subtitle", "sections"}


# -- a person in Chat --------------------------------------------------------------------------------------------------


class Webhook:
    """Plays the function: keeps the events, and answers what it is told."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.reply: Any = {}

    def __call__(self, event: dict[str, Any]) -> Any:
        self.events.append(event)
        return self.reply


@pytest.fixture
def webhook() -> Webhook:
    """A function that has nothing to say."""
    return Webhook()


@pytest.fixture
def posts() -> list[dict[str, Any]]:
    """What jobs have posted."""
    return []


@pytest.fixture
def room(webhook: Webhook, posts: list[dict[str, Any]], now: datetime) -> Room:
    """An empty space."""
    return Room(ask=webhook, posted=lambda: posts, clock=lambda: now, timezone="Europe/Berlin")


@pytest.fixture(params=[False, True], ids=["classic", "add-on"])
def person(request: pytest.FixtureRequest) -> Person:
    """Ada, under either generation of events."""
    return Person(email="ada@example.com", is_add_on=request.param)


def reply_of(person: Person, message: dict[str, Any], *, replaces: bool = False) -> dict[str, Any]:
    """Return the reply in the format of the person's generation."""
    if not person.is_add_on:
        return message | ({"actionResponse": {"type": "UPDATE_MESSAGE"}} if replaces else {})
    action = "updateMessageAction" if replaces else "createMessageAction"
    return {"hostAppDataAction": {"chatDataAction": {action: {"message": message}}}}


@pytest.mark.parametrize(
    ("said", "heard", "is_command"),
    [
        ("remind me in 5 minutes to *x*", "remind me in 5 minutes to *x*", False),
        ("/jobs", "jobs", True),
        ("/x", "/x", False),
    ],
)
def test_the_function_hears_what_is_said(
    room: Room, webhook: Webhook, person: Person, now: datetime, said: str, heard: str, is_command: bool
) -> None:
    """A text, or a slash command, read by the function's own parser."""
    room.say(said, person=person)
    event = parse_event(webhook.events[0])

    assert (event.kind, event.text, event.is_command) == (Kind.MESSAGE, heard, is_command)
    assert (event.is_add_on, event.email, event.timezone) == (person.is_add_on, "ada@example.com", "Europe/Berlin")
    assert (event.space, event.sent_at) == ("spaces/console", now)
    assert event.thread.startswith("spaces/console/threads/")


def test_a_command_of_the_agent_can_be_tried_by_its_id(room: Room, webhook: Webhook, person: Person) -> None:
    """No configuration of an app is here that would give it a word."""
    room.say("/101 --force", person=person)
    event = parse_event(webhook.events[0])

    assert (event.unknown_command, event.text) == ("101", "/101 --force")


def test_a_message_action_can_be_tried(room: Room, webhook: Webhook, person: Person) -> None:
    """On any message; the function gets it as the message of somebody, not as what this person wrote."""
    room.say("the build is red", person=person)
    webhook.reply = reply_of(person, {"text": "Noted"})

    room.act(room.messages()[0]["name"], 101, person=person)
    event = parse_event(webhook.events[1])

    assert (event.unknown_command, event.is_message_action, event.text) == ("101", True, "")
    assert event.source["text"] == "the build is red"
    assert len({message["thread"] for message in room.messages()}) == 1
    with pytest.raises(InvalidInput, match="no longer exists"):
        room.act("spaces/console/messages/C9", 101, person=person)


def test_a_message_action_needs_its_number(system: System) -> None:
    """As the app's configuration has it."""
    answer = post(system, "/api/chat/act", {"message": "x", "number": "x", "generation": "classic"})

    assert answer.status_code == 422
    assert "a number from 1 to 9999" in answer.get_json()["error"]


def test_a_reply_stands_in_the_thread(room: Room, webhook: Webhook, person: Person) -> None:
    """The next message in that thread as well."""
    webhook.reply = reply_of(person, {"text": "You said: hello"})

    room.say("hello", person=person)
    thread = room.messages()[0]["thread"]
    room.say("again", person=person, thread=thread)

    assert [message["who"] for message in room.messages()] == ["Ada", "Watchkeeper"] * 2
    assert {message["thread"] for message in room.messages()} == {thread}


def test_a_tapped_button_replaces_its_card(room: Room, webhook: Webhook, person: Person) -> None:
    """The function gets the action with the fields of the card, and its answer takes the place of the message."""
    action = {"function": "https://example.com", "parameters": [{"key": "action", "value": "confirm"}]}
    shown = {"header": {"title": "Shall I?"}, "sections": []}
    webhook.reply = reply_of(person, {"cardsV2": [{"cardId": "c", "card": shown}]})
    room.say("hello", person=person)
    webhook.reply = reply_of(person, {"text": "Done"}, replaces=True)

    room.tap(room.messages()[1]["name"], action, {"phrase": "later"}, person=person)
    event = parse_event(webhook.events[1])

    assert (event.kind, event.parameters, event.inputs) == (Kind.CLICKED, {"action": "confirm"}, {"phrase": ("later",)})
    assert event.thread == room.messages()[0]["thread"]
    said = [("".join(piece["text"] for piece in message["text"]), message["cards"]) for message in room.messages()]
    assert said == [("hello", []), ("Done", [])]


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        pytest.param(NoReply("chat_webhook answered 500"), "chat_webhook answered 500", id="no-answer"),
        pytest.param([], "is not in the format", id="no-object"),
    ],
)
def test_an_answer_that_chat_would_not_show_is_named(
    room: Room, webhook: Webhook, person: Person, reply: Any, says: str
) -> None:
    """A developer sees what a person would miss."""
    webhook.reply = reply

    room.say("hello", person=person)

    assert says in room.messages()[1]["failure"]


def test_the_form_of_the_other_generation_is_named(room: Room, webhook: Webhook, person: Person) -> None:
    """Chat shows no message for it."""
    other = replace(person, is_add_on=not person.is_add_on)
    webhook.reply = reply_of(other, {"text": "hello"})

    room.say("hello", person=person)

    assert "is not in the format" in room.messages()[1]["failure"]


def test_posts_of_jobs_are_seen(room: Room, posts: list[dict[str, Any]], webhook: Webhook, person: Person) -> None:
    """In their place in time, those for another space too, which is named; their buttons work."""
    room.say("hello", person=person)
    common = {
        "sender": {"type": "BOT"},
        "createTime": "2026-11-21T09:00:01Z",
        "thread": {"name": "spaces/console/threads/T"},
    }
    posts.append({"name": "spaces/console/messages/M1", "space": {"name": "spaces/console"}, "text": "*Now*", **common})
    posts.append({"name": "spaces/x/messages/M2", "space": {"name": "spaces/x"}, "text": "There", **common})

    room.tap("spaces/console/messages/M1", {"function": "f", "parameters": []}, {}, person=person)

    assert [message["elsewhere"] for message in room.messages()] == ["", "", "spaces/x"]
    assert room.messages()[1]["text"] == [{"text": "Now", "styles": ["bold"], "href": ""}]
    assert parse_event(webhook.events[1]).message == "spaces/console/messages/M1"


def test_an_agent_may_answer_anything(room: Room, webhook: Webhook, person: Person) -> None:
    """Neither a list nor parameters in an odd shape take the page down."""
    webhook.reply = reply_of(person, {"text": 7, "cardsV2": 7})
    room.say("hello", person=person)

    for parameters in (7, [7], [{"key": [1]}]):
        room.tap(room.messages()[1]["name"], {"parameters": parameters}, {}, person=person)

    assert room.messages()[1]["cards"] == [{"title": "", "subtitle": "", "sections": []}]
    assert len(webhook.events) == 4


def test_a_dialog_opens_and_is_sent(room: Room, webhook: Webhook, person: Person) -> None:
    """Its fields go back with the message that it was opened from; a message in answer closes it."""
    field = {"textInput": {"name": "text", "label": "Text", "value": "tea", "type": "MULTIPLE_LINE"}}
    body = {"header": {"title": "Edit"}, "sections": [{"widgets": [field]}]}
    opens = {"function": "f", "parameters": [], "interaction": "OPEN_DIALOG"}
    webhook.reply = reply_of(person, {"text": "hello"})
    room.say("hello", person=person)
    name = room.messages()[1]["name"]

    webhook.reply = dialog_reply({"cardsV2": [{"card": body}]}, is_add_on=person.is_add_on)
    dialog = room.tap(name, opens, {}, person=person)
    webhook.reply = closes(is_add_on=person.is_add_on)
    closed = room.tap(name, {"function": "f", "parameters": []}, {}, person=person, in_dialog=True)
    webhook.reply = reply_of(person, {"text": "Changed"})
    sent = room.tap(name, {"function": "f", "parameters": []}, {"text": "cake"}, person=person, in_dialog=True)

    assert dialog is not None
    assert (dialog["title"], dialog["sections"][0]["widgets"][0]["is_long"]) == ("Edit", True)
    assert (closed, sent) == (None, None)
    events = [parse_event(event) for event in webhook.events]
    assert [event.dialog for event in events] == [None, Dialog.OPEN, Dialog.SUBMIT, Dialog.SUBMIT]
    assert (events[3].message, events[3].inputs) == (name, {"text": ("cake",)})
    assert [message["who"] for message in room.messages()] == ["Ada", "Watchkeeper", "Watchkeeper"]


def test_a_button_of_a_message_that_is_gone_is_refused(room: Room, person: Person) -> None:
    """The page may be older than the run."""
    with pytest.raises(InvalidInput, match="no longer exists"):
        room.tap("spaces/console/messages/C9", {}, {}, person=person)


def test_a_function_that_is_away_is_said_in_the_chat(system: System) -> None:
    """The person sees it where the answer would stand."""
    messages = post(system, "/api/chat/say", {"text": "hello", "generation": "classic"}).get_json()["messages"]

    assert [message["failure"][:27] for message in messages] == ["", "chat_webhook did not answer"]
