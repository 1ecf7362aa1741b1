"""What an agent may do with the jobs of its space, and how its tools look to a framework."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from shared.errors import InvalidInput, InvalidSettings
from shared.handlers import load_handlers
from shared.handlers.agent import AgentContext
from shared.handlers.agent_tools import agent_tools, schema_of, with_jobs
from shared.handlers.space_jobs import SpaceJobs
from shared.jobs import Jobs
from shared.model.job import Job
from shared.model.value import Status
from shared.store.json_file import JsonStore

SPACE = "spaces/A"
THREAD = "spaces/A/threads/T"
DAY = timedelta(days=1)


@pytest.fixture
def jobs(json_store: JsonStore, now: datetime) -> Jobs:
    """All jobs, of every space."""
    return Jobs(json_store, clock=lambda: now, handlers=load_handlers(()), retention=30 * DAY)


@pytest.fixture
def context(jobs: Jobs, now: datetime) -> AgentContext:
    """Ada asks in a thread, on the clocks of Berlin."""
    asked = AgentContext(
        space=SPACE,
        thread=THREAD,
        user="ada@example.com",
        timezone="Europe/Berlin",
        idempotency_key="key",
        now=now,
        space_kind="space",
        display_name="Ada",
    )
    return with_jobs(asked, lambda: jobs)


@pytest.fixture
def own(context: AgentContext) -> SpaceJobs:
    """What the agent sees of the jobs."""
    assert context.jobs is not None
    return context.jobs


@pytest.fixture
def tools(context: AgentContext) -> dict[str, Callable[..., Any]]:
    return {tool.__name__: tool for tool in agent_tools(context)}


# -- the jobs of a space -----------------------------------------------------------------------------------------------


def test_message_is_scheduled_in_the_name_of_the_person(own: SpaceJobs, jobs: Jobs) -> None:
    """On the clocks of who asks, unless another zone is given."""
    job = own.schedule("message", "Tea!", cron="0 9 * * *")

    assert jobs.get(job.id) == job
    assert (job.job_type, job.space, job.created_by) == ("chat_message", SPACE, "agent:ada@example.com")
    assert job.payload == {"space": SPACE, "thread": THREAD, "text": "Tea!"}
    assert (job.timezone, own.schedule("message", "Tea!", every="1d", timezone="Asia/Tokyo").timezone) == (
        "Europe/Berlin",
        "Asia/Tokyo",
    )


def test_question_keeps_what_the_agent_needs(own: SpaceJobs, now: datetime) -> None:
    """At its set time it is asked in the same conversation, in the same zone."""
    job = own.schedule("question", "What is new?", at=now + DAY)

    assert job.job_type == "agent"
    assert job.payload == {
        "space": SPACE,
        "thread": THREAD,
        "prompt": "What is new?",
        "timezone": "Europe/Berlin",
        "space_kind": "space",
        "session_key": THREAD,
        "display_name": "Ada",
    }


def test_same_request_makes_one_job(own: SpaceJobs, now: datetime) -> None:
    """An agent may be asked twice; meanwhile the job may have been changed, and its time may have passed."""
    first = own.schedule("message", "Tea!", at=now + DAY)
    changed = own.edit(first.id, text="Coffee!")
    later = replace(own, now=now + 2 * DAY)

    assert later.schedule("message", "Tea!", at=now + DAY) == changed
    assert own.schedule("message", "Cake!", at=now + DAY).id != first.id
    assert replace(own, key="other").schedule("message", "Tea!", at=now + DAY).id != first.id


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        pytest.param("message", {}, "say when", id="no-time"),
        pytest.param("http_request", {"every": "1d"}, "a message or a question, not 'http_request'", id="kind"),
        pytest.param("message", {"at": datetime(2020, 1, 1, tzinfo=UTC)}, "has passed", id="past"),
        pytest.param("message", {"at": datetime(2030, 1, 1)}, "time zone|offset|aware", id="naive"),
        pytest.param("message", {"every": "1d", "until": datetime(2030, 1, 1)}, "has no time zone", id="naive-end"),
        pytest.param("message", {"cron": "every day"}, "cron|field", id="cron"),
        pytest.param("message", {"every": "1d", "timezone": "Mars/Olympus"}, "Mars/Olympus", id="zone"),
    ],
)
def test_invalid_schedule_is_refused(own: SpaceJobs, kind: Any, given: dict[str, Any], says: str) -> None:
    """The error says what is wrong; nothing is made."""
    with pytest.raises(InvalidInput, match=says):
        own.schedule(kind, "Tea!", **given)

    assert own.list() == []


def test_number_of_living_jobs_in_a_space_is_limited(own: SpaceJobs, jobs: Jobs, now: datetime) -> None:
    """The refusal names the setting; what has ended, and what another space has, does not count."""
    few = replace(own, most=2)
    jobs.schedule("chat_message", {"space": "spaces/B", "text": "x"}, every="1d", space="spaces/B")
    first, _ = (few.schedule("message", text, every="1d") for text in ("one", "two"))

    with pytest.raises(InvalidInput, match=r"2 jobs, which is the most .*CHAT_MOST_JOBS"):
        few.schedule("message", "three", every="1d")

    few.cancel(first.id)
    assert few.schedule("message", "three", every="1d").status is Status.PENDING


def test_finished_jobs_are_not_read(own: SpaceJobs, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A space may have thousands of those."""
    for number in range(20):
        jobs.cancel(own.schedule("message", f"old {number}", every="1d").id)
    alive = own.schedule("message", "new", every="1d")
    read: list[Any] = []
    page = jobs._store.page

    def counted(**given: Any) -> Any:
        found = page(**given)
        read.extend(found)
        return found

    monkeypatch.setattr(jobs._store, "page", counted)

    assert own.list() == [alive]
    assert read == [alive]


def test_jobs_of_another_space_are_out_of_reach(own: SpaceJobs, jobs: Jobs) -> None:
    """Their ids are as unknown as those that nothing has."""
    job = jobs.schedule("log", {"message": "secret"}, id="other", every="1d", space="spaces/B").job
    jobs.schedule("log", {"message": "secret"}, id="nowhere", every="1d")
    commands: list[Callable[[str], Job]] = [own.get, own.pause, own.resume, own.run, own.cancel, own.edit]

    for command in commands:
        for job_id in ("other", "nowhere", "missing", ""):
            with pytest.raises(InvalidInput, match="there is no job"):
                command(job_id)
    assert own.list() == []
    assert jobs.get("other") == job


def test_jobs_are_changed_in_the_name_of_agent_and_person(own: SpaceJobs, now: datetime) -> None:
    """Pause, resume, run, edit and cancel are those of every job."""
    job = own.schedule("question", "What?", every="1d", at=now + DAY)

    assert own.pause(job.id).status is Status.PAUSED
    assert own.resume(job.id).status is Status.PENDING
    assert own.run(job.id).ready_at == now
    edited = own.edit(job.id, text="What now?", every="2d")
    assert (edited.payload["prompt"], edited.every) == ("What now?", "2d")
    assert own.cancel(job.id).status is Status.CANCELLED
    assert own.get(job.id).updated_by == "agent:ada@example.com"


def test_job_without_a_text_keeps_its_payload(own: SpaceJobs, jobs: Jobs) -> None:
    """An operator's job may stand in the space too."""
    jobs.schedule("log", {"message": "x"}, id="log", every="1d", space=SPACE)

    with pytest.raises(InvalidInput, match="of type log"):
        own.edit("log", text="y")


def test_text_of_another_persons_job_cannot_be_changed(own: SpaceJobs, jobs: Jobs) -> None:
    """It runs as Bob, who never wrote those words. Anybody may change its time."""
    jobs.schedule(
        "agent", {"prompt": "x", "space": SPACE}, id="bobs", every="1d", space=SPACE, by="agent:bob@example.com"
    )

    with pytest.raises(InvalidInput, match=r"only bob@example\.com, who asked for job bobs"):
        own.edit("bobs", text="send me his mail")
    assert own.edit("bobs", every="2d").payload["prompt"] == "x"


@pytest.mark.parametrize("by", ["cli:root", "console", None])
def test_text_of_an_operators_job_can_be_changed(own: SpaceJobs, jobs: Jobs, by: str | None) -> None:
    """It runs as nobody in Chat."""
    jobs.schedule("agent", {"prompt": "x", "space": SPACE}, id="job", every="1d", space=SPACE, by=by)

    assert own.edit("job", text="y").payload["prompt"] == "y"


def test_dates_from_an_iterator_are_read_once(own: SpaceJobs, now: datetime) -> None:
    """The id, the schedule and the start need them."""
    days = [(now + number * DAY).date() for number in (1, 2)]

    job = own.schedule("message", "Tea!", every="1d", at=now - DAY, except_dates=iter(days))
    edited = own.edit(job.id, every="2d", at=now - DAY, except_dates=iter(days[:1]))

    assert (job.except_dates, edited.except_dates) == (tuple(days), tuple(days[:1]))


@pytest.mark.parametrize("text", ["call dad", "<users/1> call dad"])
def test_reminder_keeps_its_mention(own: SpaceJobs, jobs: Jobs, text: str) -> None:
    """Without it nobody would be reminded, and the reminder could not be snoozed."""
    reminder = {"text": "<users/1> call mum", "space": SPACE, "cardsV2": [{"cardId": "reminder", "card": {}}]}
    jobs.schedule("chat_message", reminder, id="mum", every="1d", space=SPACE, by="chat:ada@example.com")

    assert own.edit("mum", text=text).payload["text"] == "<users/1> call dad"


def test_start_in_the_past_makes_nothing_run_at_once(own: SpaceJobs, now: datetime) -> None:
    """A model names the day's midnight as the start of what is to come each day at nine."""
    midnight = now - timedelta(hours=9)

    made = own.schedule("message", "Tea!", cron="0 8 * * *", at=midnight, timezone="UTC")
    edited = own.edit(made.id, every="2h", at=midnight - timedelta(minutes=30))

    assert made.schedule_at == now + timedelta(hours=23)
    assert edited.schedule_at == now + timedelta(minutes=30)
    with pytest.raises(InvalidInput, match="has passed"):
        own.edit(made.id, at=midnight)


@pytest.mark.parametrize(("value", "most"), [(None, 100), ("7", 7)])
def test_limit_of_jobs_is_a_setting(
    context: AgentContext, monkeypatch: pytest.MonkeyPatch, jobs: Jobs, value: str | None, most: int
) -> None:
    """CHAT_MOST_JOBS; what is no number is refused."""
    monkeypatch.delenv("CHAT_MOST_JOBS", raising=False)
    if value:
        monkeypatch.setenv("CHAT_MOST_JOBS", value)

    found = with_jobs(context, lambda: jobs).jobs

    assert found is not None
    assert found.most == most
    monkeypatch.setenv("CHAT_MOST_JOBS", "many")
    with pytest.raises(InvalidSettings, match="CHAT_MOST_JOBS"):
        with_jobs(context, lambda: jobs)


# -- as tools ----------------------------------------------------------------------------------------------------------


def test_tool_calls_take_a_job_from_request_to_end(tools: dict[str, Callable[..., Any]], jobs: Jobs) -> None:
    """A job goes from a request to its end, by texts alone."""
    made = tools["schedule_job"]("message", "Tea!", at="2026-11-24T17:00", every="1w", except_dates=["2026-12-01"])
    job_id = made["job"]["id"]

    assert made["job"]["next_run"] == "Tue 24 Nov 2026, 17:00"
    assert (made["job"]["every"], made["job"]["made_by"]) == ("1w", "ada@example.com")
    assert tools["list_jobs"]() == {"jobs": [made["job"]]}
    assert tools["show_job"](job_id) == made
    assert tools["edit_job"](job_id, text="Cake!", at="2026-11-25T08:00", every="2w")["job"]["text"] == "Cake!"
    assert jobs.get(job_id).schedule_at == datetime(2026, 11, 25, 7, tzinfo=UTC)
    assert tools["pause_job"](job_id)["job"]["status"] == "paused"
    assert tools["resume_job"](job_id)["job"]["status"] == "pending"
    assert "It is due" in tools["run_job"](job_id)["job"]["why"]
    assert tools["cancel_job"](job_id)["job"]["status"] == "cancelled"
    assert tools["list_jobs"]() == {"jobs": []}


def test_edited_job_keeps_its_time_zone(tools: dict[str, Callable[..., Any]], jobs: Jobs) -> None:
    """A new start is read in it, not in that of who asks. A job that runs once has none."""
    tokyo = tools["schedule_job"]("message", "Tea!", cron="0 9 * * *", timezone="Asia/Tokyo")["job"]["id"]
    once = tools["schedule_job"]("message", "Cake!", at="2026-11-24T17:00")["job"]["id"]

    tools["edit_job"](tokyo, at="2026-11-25T08:00", cron="0 8 * * *")
    renamed = tools["edit_job"](once, text="Pie!")

    assert jobs.get(tokyo).timezone == "Asia/Tokyo"
    assert jobs.get(tokyo).schedule_at == datetime(2026, 11, 24, 23, tzinfo=UTC)
    assert renamed["job"]["text"] == "Pie!"


@pytest.mark.parametrize(
    ("tool", "given", "says"),
    [
        pytest.param("show_job", {"job_id": "x"}, "there is no job 'x' in this space", id="unknown"),
        pytest.param("show_job", {"job_id": 5}, "there is no job '5' in this space", id="number-as-id"),
        pytest.param("show_job", {}, "show_job: missing a required argument: 'job_id'", id="missing-argument"),
        pytest.param("list_jobs", {"status": "all"}, "unexpected keyword argument 'status'", id="unknown-argument"),
        pytest.param("schedule_job", {"kind": "message", "text": "x", "at": "soon"}, "'soon' is not a time", id="time"),
        pytest.param(
            "schedule_job", {"kind": "message", "text": "x", "at": 5}, "'5' is not a time", id="number-as-time"
        ),
        pytest.param(
            "schedule_job",
            {"kind": "message", "text": "x", "at": "9999-12-31T23:59:59-10:00"},
            "choose a year from 2 to 9998",
            id="beyond-all-time",
        ),
        pytest.param("schedule_job", {"kind": "message", "text": " ", "every": "1d"}, "text must be", id="blank"),
        pytest.param(
            "schedule_job",
            {"kind": "message", "text": "x", "at": "2030-01-01T09:00", "timezone": "X"},
            "'X'",
            id="zone",
        ),
        pytest.param(
            "schedule_job",
            {"kind": "message", "text": "x", "every": "1d", "except_dates": ["soon"]},
            "except_dates",
            id="day-off",
        ),
    ],
)
def test_invalid_tool_call_returns_an_error(
    tools: dict[str, Callable[..., Any]], tool: str, given: dict[str, Any], says: str
) -> None:
    """The model reads what was wrong; a raised error would end its turn."""
    answer = tools[tool](**given)

    assert answer.keys() == {"error"}
    assert says in answer["error"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param({"text": 5}, "the text of a job is '5'; it must be a string", id="text"),
        pytest.param({"except_dates": 5}, "except_dates is '5'", id="days-off"),
    ],
)
def test_edit_with_a_value_of_another_type_returns_an_error(
    tools: dict[str, Callable[..., Any]], given: dict[str, Any], says: str
) -> None:
    """As for a new job."""
    made = tools["schedule_job"]("message", "Tea!", every="1d")["job"]["id"]

    answer = tools["edit_job"](made, **given)

    assert answer.keys() == {"error"}
    assert says in answer["error"]


def test_agent_sees_neither_payload_nor_error_of_an_operators_job(
    tools: dict[str, Callable[..., Any]], jobs: Jobs
) -> None:
    """Either may hold a secret."""
    request = {"url": "https://example.com/secret"}
    jobs.schedule("http_request", request, id="call", every="1d", space=SPACE)

    shown = tools["show_job"]("call")

    assert shown["job"]["type"] == "http_request"
    assert "secret" not in str(shown)


def test_each_tool_has_a_schema(tools: dict[str, Callable[..., Any]]) -> None:
    """It is made from the signature, with the docstring as its description."""
    schemas = {name: schema_of(tool) for name, tool in tools.items()}

    assert list(schemas) == [f"{verb}_job" for verb in ("schedule",)] + ["list_jobs"] + [
        f"{verb}_job" for verb in ("show", "pause", "resume", "run", "edit", "cancel")
    ]
    parameters = schemas["schedule_job"]["parameters"]
    assert parameters["required"] == ["kind", "text"]
    assert parameters["properties"]["kind"] == {"type": "string", "enum": ["message", "question"]}
    assert parameters["properties"]["except_dates"] == {"type": "array", "items": {"type": "string"}}
    assert schemas["list_jobs"]["parameters"]["properties"] == {}
    for name, tool in tools.items():
        assert schemas[name]["description"].startswith(str(inspect.getdoc(tool)).splitlines()[0])
        assert inspect.signature(tool).return_annotation == dict[str, Any]


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (str, {"type": "string"}),
        (int, {"type": "integer"}),
        (bool, {"type": "boolean"}),
        (float | None, {"type": "number"}),
        (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        (dict[str, Any], {"type": "object"}),
        (list[list[int]], {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}),
        (Literal[1, 2], {"type": "integer", "enum": [1, 2]}),
    ],
)
def test_each_type_has_its_schema(hint: Any, schema: dict[str, Any]) -> None:
    """Also for an agent's own tools."""

    def tool(value: Any) -> None:
        """Do something."""

    tool.__annotations__["value"] = hint

    assert schema_of(tool)["parameters"]["properties"] == {"value": schema}


def test_type_that_json_does_not_have_is_refused() -> None:
    """The error names it."""

    def tool(value: datetime) -> None:
        """Do something."""

    with pytest.raises(TypeError, match="datetime"):
        schema_of(tool)


def test_context_without_jobs_has_no_tools(context: AgentContext) -> None:
    """That is said, and not found out by the first call."""
    with pytest.raises(InvalidInput, match="no jobs"):
        agent_tools(replace(context, jobs=None))
