"""`watchkeeper mcp`: the tools of an agent, over stdio, for any MCP client on the operator's machine."""

import re
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import wraps
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click

from shared.errors import InvalidInput, WatchkeeperError
from shared.handlers.agent import AgentContext
from shared.handlers.agent_tools import Tool, agent_tools, with_jobs
from shared.handlers.space_jobs import ALIVE, SpaceJobs
from shared.jobs import NOT_A_JOB, Jobs, UnknownJob
from shared.model.job import Job
from shared.model.recurrence import load_timezone
from shared.subscriptions import PREFIX as SUBSCRIPTIONS
from watchkeeper.session import Session

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer  # slow to import, and an extra of the package

READING = ("list_jobs", "show_job")
UNDOING = ("edit_job", "cancel_job")  # the former state is lost
MOST_LISTED = 100  # in one answer: a model reads all of it
REFUSED = "this server only reads; to change jobs, start it with `watchkeeper mcp --allow-changes`"


@click.command()
@click.option("--allow-changes", is_flag=True, help="Also schedule, edit, pause, resume, run and cancel jobs.")
@click.option("--space", metavar="SPACE", help="Only the jobs of this Chat space.  [default: the jobs of every space]")
@click.option("--user", metavar="EMAIL", help="Who changes the jobs.  [default: your account here]")
@click.option("--timezone", metavar="TZ", help="The zone of times without an offset.  [default: SCHEDULER_TIMEZONE]")
@click.pass_obj
def mcp(session: Session, allow_changes: bool, space: str | None, user: str | None, timezone: str | None) -> None:
    """Serve the jobs to an MCP client, over standard input and output.

    The client lists and shows jobs; with --allow-changes it also changes them. A job that is scheduled posts into the
    space, or asks your agent there, so scheduling needs --space. docs/AGENT.md shows how a client is set up.

    \b
    Examples:
      watchkeeper mcp
      watchkeeper mcp --allow-changes --space spaces/AAAA --user ada@example.com --timezone Europe/Berlin
    """
    if find_spec("mcp") is None:
        raise WatchkeeperError(
            f"the package mcp is missing: install the extra watchkeeper[mcp], or: {sys.executable} -m pip install mcp"
        )
    if space and not re.fullmatch(r"spaces/[^/\s]+", space):
        raise click.UsageError(f"--space is {space!r}; write it like spaces/AAAA")
    zone = load_timezone(timezone or session.settings.timezone).key
    bound_to = {"space": space or "", "user": user or session.user, "timezone": zone}
    server = create_server(session, **bound_to, may_change=allow_changes)
    if sys.stdin.isatty():
        click.echo("An MCP client starts this command by itself (docs/AGENT.md). Ctrl-C stops it.", err=True)
    # The SDK would wait for the input that it reads. Each change is one write, so nothing is left half done.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    server.run()


def create_server(session: Session, *, space: str, user: str, timezone: str, may_change: bool) -> "MCPServer":
    """Return the server. Raises InvalidSettings or StoreUnavailable if the jobs cannot be read."""
    from mcp.server.mcpserver import MCPServer
    from mcp_types import ToolAnnotations

    # Reading works even if a handler cannot be imported.
    jobs = session.checked_jobs if may_change else session.jobs
    next(iter(jobs.list(page_size=1)), None)  # fails here, where a person sees it

    def tools() -> dict[str, Tool]:
        return {tool.__name__: tool for tool in agent_tools(_context(jobs, session.clock(), space, user, timezone))}

    server = MCPServer(
        "watchkeeper",
        version=version("watchkeeper"),
        instructions=_instructions(space, timezone, may_change=may_change),
        log_level="WARNING",
    )
    for name, tool in tools().items():
        hints = ToolAnnotations(read_only_hint=name in READING, destructive_hint=name in UNDOING, open_world_hint=False)
        served = _served(tool, tools) if may_change or name in READING else _refusing(tool)
        server.add_tool(served, annotations=hints)
    return server


def _instructions(space: str, timezone: str, *, may_change: bool) -> str:
    where = f"the Chat space {space}" if space else "every Chat space, wherever a tool says 'this space'"
    changes = "" if may_change else f" Do not try to change jobs: {REFUSED}."
    return f"The scheduled jobs of {where}. Times without an offset are in {timezone}.{changes}"


def _context(jobs: Jobs, now: datetime, space: str, user: str, timezone: str) -> AgentContext:
    """Return the context of one call, each with its own time and its own key."""
    key = uuid.uuid4().hex
    context = AgentContext(space=space, thread=None, user=user, timezone=timezone, idempotency_key=key, now=now)
    context = with_jobs(context, lambda: jobs)
    return context if space else replace(context, jobs=EveryJob(**vars(context.jobs), every=jobs))


@dataclass(frozen=True, kw_only=True)
class EveryJob(SpaceJobs):
    """The jobs of every space. None can be scheduled, since it would not know where to post."""

    every: Jobs

    def schedule(self, *definition: Any, **when: Any) -> Job:
        """Refuse."""
        raise InvalidInput("a job posts into a space: start the server with `watchkeeper mcp --space spaces/...`")

    def get(self, job_id: str) -> Job:
        """Return a job. Raises UnknownJob if there is none, also for a subscription."""
        if job_id.startswith((SUBSCRIPTIONS, NOT_A_JOB)):
            raise UnknownJob(f"there is no job {job_id}")
        return self.every.get(job_id)

    def _alive(self) -> Iterator[Job]:
        for status in ALIVE:
            yield from (job for job in self.every.list(status=status) if isinstance(job, Job))


def _served(tool: Tool, tools: Callable[[], dict[str, Tool]]) -> Tool:
    """Return the tool with a new context for each call; its errors become errors of the protocol."""
    from mcp.server.mcpserver.exceptions import ToolError

    @wraps(tool)
    def served(**given: Any) -> dict[str, Any]:
        try:
            answer = tools()[tool.__name__](**given)
        except WatchkeeperError as exc:
            raise ToolError(str(exc)) from exc
        if "error" in answer:
            raise ToolError(answer["error"])
        return _cut(answer)

    return served


def _refusing(tool: Tool) -> Tool:
    from mcp.server.mcpserver.exceptions import ToolError

    @wraps(tool)
    def refused(**given: Any) -> dict[str, Any]:
        raise ToolError(REFUSED)

    return refused


def _cut(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer with as many jobs as a model can read, and their total number."""
    jobs = answer.get("jobs", [])
    return {"jobs": jobs[:MOST_LISTED], "total": len(jobs)} if len(jobs) > MOST_LISTED else answer
