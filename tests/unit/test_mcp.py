"""`watchkeeper mcp`, as the client of the official SDK sees it."""

import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from click.testing import CliRunner

from shared.model.job import Job
from shared.model.value import Status
from shared.settings import SETTINGS_FILE
from shared.store.json_file import JsonStore
from shared.store.protocol import Change
from watchkeeper.cli.main import watchkeeper
from watchkeeper.session import Session

if TYPE_CHECKING:
    from mcp_types import CallToolResult

pytestmark = pytest.mark.slow  # to import the SDK

CHANGING = {"schedule_job", "edit_job", "pause_job", "resume_job", "run_job", "cancel_job"}


def answers(server: Any, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
    """Return the answers to calls of tools: JSON values, and the texts of errors."""
    from mcp import Client

    async def converse() -> list[Any]:
        async with Client(server) as client:
            return [answer_in(await client.call_tool(name, arguments)) for name, arguments in calls]

    return anyio.run(converse)


def answer_in(result: "CallToolResult") -> Any:
    """Return the text of a tool's answer."""
    from mcp_types import TextContent

    [said] = result.content
    assert isinstance(said, TextContent)
    return said.text if result.is_error else result.structured_content


def over_stdio(path: Path, *args: str) -> Any:
    """Return the connection to a server in its own process, on this job file."""
    from mcp import StdioServerParameters, stdio_client

    code = "from watchkeeper.cli.main import main; main()"
    env = {"SCHEDULER_JSON_PATH": str(path), SETTINGS_FILE: os.devnull, "PYTHONDONTWRITEBYTECODE": "1"}
    return stdio_client(StdioServerParameters(command=sys.executable, args=["-c", code, "mcp", *args], env=env))


@pytest.fixture
def serve(json_store: JsonStore, now: datetime) -> Callable[..., Any]:
    """Start a server in this process. The SDK is imported only here, because that takes a second."""
    from watchkeeper.cli.mcp import create_server

    times = [now]
    session = Session(env={}, clock=lambda: times[0], user="ada")
    vars(session).update(store=json_store)

    def make(space: str = "", *, may_change: bool = True, later: timedelta = timedelta()) -> Any:
        server = create_server(session, space=space, user="ada@example.com", timezone="UTC", may_change=may_change)
        times[0] += later
        return server

    return make


def test_client_lists_tools_and_schedules_and_cancels_a_job(tmp_path: Path) -> None:
    """Over stdio, with the SDK's own client; a hint marks the tools that change nothing."""
    from mcp import Client

    path = tmp_path / "jobs.json"

    async def converse() -> None:
        args = ("--allow-changes", "--space", "spaces/A", "--user", "ada@example.com", "--timezone", "Europe/Berlin")
        async with Client(over_stdio(path, *args)) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            order = {"kind": "message", "text": "Tea!", "cron": "0 9 * * *"}
            made = answer_in(await client.call_tool("schedule_job", order))["job"]
            listed = answer_in(await client.call_tool("list_jobs", {}))
            ended = answer_in(await client.call_tool("cancel_job", {"job_id": made["id"]}))["job"]

        assert {
            name for name, tool in tools.items() if not (tool.annotations and tool.annotations.read_only_hint)
        } == CHANGING
        assert set(tools) - CHANGING == {"list_jobs", "show_job"}
        assert tools["schedule_job"].input_schema["properties"]["kind"]["enum"] == ["message", "question"]
        assert listed == {"jobs": [made]}
        assert made["next_run"].endswith("09:00")
        assert ended["status"] == "cancelled"

    anyio.run(converse)
    [job] = json.loads(path.read_text())["jobs"].values()
    assert (job["timezone"], job["created_by"], job["space"]) == ("Europe/Berlin", "agent:ada@example.com", "spaces/A")


def test_server_only_reads_by_default(serve: Callable[..., Any], json_store: JsonStore, now: datetime) -> None:
    """The tools that change jobs are listed, and name the flag when they are called."""
    json_store.swap([Change(None, Job.create("job", "log", now=now, payload={"message": "hello"}))])

    shown, *refused = answers(
        serve(may_change=False),
        ("show_job", {"job_id": "job"}),
        ("cancel_job", {"job_id": "job"}),
        ("schedule_job", {"kind": "message", "text": "Tea!", "every": "1d"}),
    )

    assert shown["job"]["status"] == "pending"
    assert all("--allow-changes" in text for text in refused)
    assert json_store.get(["job"])["job"].status == Status.PENDING  # type: ignore[union-attr]


def test_reading_server_needs_no_handlers(json_store: JsonStore, now: datetime) -> None:
    """Runs of a handler that cannot be imported are still visible."""
    from watchkeeper.cli.mcp import create_server

    session = Session(env={"JOB_HANDLERS": "no_such_module"}, clock=lambda: now, user="ada")
    vars(session).update(store=json_store)

    server = create_server(session, space="", user="ada", timezone="UTC", may_change=False)

    assert answers(server, ("list_jobs", {})) == [{"jobs": []}]


def test_server_without_a_space_has_all_jobs(serve: Callable[..., Any], json_store: JsonStore, now: datetime) -> None:
    """An operator sees and ends each of them, without their payloads; there is no space to schedule one for."""
    job = Job.create("report", "http_request", now=now, payload={"url": "https://example.com/?key=s3cret"}, space="s/B")
    json_store.swap([Change(None, job)])

    listed, ended, scheduled = answers(
        serve(),
        ("list_jobs", {}),
        ("cancel_job", {"job_id": "report"}),
        ("schedule_job", {"kind": "message", "text": "Tea!", "every": "1d"}),
    )

    assert [each["id"] for each in listed["jobs"]] == ["report"]
    assert "s3cret" not in json.dumps(listed)
    assert ended["job"]["status"] == "cancelled"
    assert "--space" in scheduled


def test_subscription_cannot_be_cancelled(serve: Callable[..., Any], json_store: JsonStore, now: datetime) -> None:
    """Its alarm would be cancelled, too."""
    watch = Job.create("subscription:gmail:ada@example.com", "subscription_check", now=now)
    json_store.swap([Change(None, watch)])

    [said] = answers(serve(), ("cancel_job", {"job_id": watch.id}))

    assert "there is no job" in said
    assert json_store.get([watch.id])[watch.id].status == Status.PENDING  # type: ignore[union-attr]


def test_server_with_a_space_has_no_other_jobs(serve: Callable[..., Any], json_store: JsonStore, now: datetime) -> None:
    """As for an agent in that space."""
    json_store.swap(
        [Change(None, Job.create("report", "log", now=now, payload={"message": "hello"}, space="spaces/B"))]
    )

    listed, shown = answers(serve("spaces/A"), ("list_jobs", {}), ("show_job", {"job_id": "report"}))

    assert listed == {"jobs": []}
    assert "there is no job 'report'" in shown


def test_each_call_has_the_current_time(serve: Callable[..., Any], json_store: JsonStore, now: datetime) -> None:
    """It may run for days; each call has its own time, and two equal calls make two jobs."""
    order = {"kind": "message", "text": "Tea!", "at": (now + timedelta(hours=1)).isoformat()}
    refused, *_ = answers(serve("spaces/A", later=timedelta(days=1)), ("schedule_job", order))

    again = {**order, "at": (now + timedelta(days=2)).isoformat()}
    first, second = answers(serve("spaces/A"), ("schedule_job", again), ("schedule_job", again))

    assert "has passed" in refused
    assert first["job"]["id"] != second["job"]["id"]


def test_long_list_is_cut_and_says_how_long_it_is(
    serve: Callable[..., Any], json_store: JsonStore, now: datetime
) -> None:
    """A model reads everything that it gets."""
    from watchkeeper.cli.mcp import MOST_LISTED

    count = MOST_LISTED + 20
    jobs = [Job.create(f"job-{n}", "log", now=now, payload={"message": "hello"}) for n in range(count)]
    json_store.swap([Change(None, job) for job in jobs])

    [listed] = answers(serve(), ("list_jobs", {}))

    assert (len(listed["jobs"]), listed["total"]) == (MOST_LISTED, count)


def test_ctrl_c_ends_a_waiting_server(tmp_path: Path) -> None:
    """At once: a person may have started it by hand."""
    env = {**os.environ, "SCHEDULER_JSON_PATH": str(tmp_path / "jobs.json")}
    code = "from watchkeeper.cli.main import main; main()"
    with Popen([sys.executable, "-c", code, "mcp"], env=env, stdin=PIPE, stdout=PIPE, stderr=DEVNULL) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n')
        server.stdin.flush()
        server.stdout.readline()

        server.send_signal(signal.SIGINT)
        try:
            assert server.wait(10) == -signal.SIGINT
        finally:
            server.kill()


def test_missing_package_is_reported_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra; nothing else needs it."""
    monkeypatch.setitem(sys.modules, "mcp", None)

    result = CliRunner().invoke(watchkeeper, ["mcp"], obj=Session(env={}, clock=lambda: datetime.min, user="ada"))

    assert result.exit_code == 1
    assert "install the extra watchkeeper[mcp]" in result.stderr


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param(["--timezone", "Berlin"], "Berlin", id="zone"),
        pytest.param(["--space", "AAAA"], "spaces/AAAA", id="space"),
    ],
)
def test_options_are_checked_at_the_start(tmp_path: Path, args: list[str], says: str) -> None:
    """A model could not correct it."""
    session = Session(env={"SCHEDULER_JSON_PATH": str(tmp_path / "jobs.json")}, clock=lambda: datetime.min, user="ada")

    result = CliRunner().invoke(watchkeeper, ["mcp", *args], obj=session)

    assert result.exit_code != 0
    assert says in result.stderr


def test_broken_store_is_reported_at_the_start(tmp_path: Path) -> None:
    """On stderr, where clients show it; not in the first answer."""
    (tmp_path / "jobs.json").write_text("no JSON")
    session = Session(env={"SCHEDULER_JSON_PATH": str(tmp_path / "jobs.json")}, clock=lambda: datetime.min, user="ada")

    result = CliRunner().invoke(watchkeeper, ["mcp"], obj=session)

    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
