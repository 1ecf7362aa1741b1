"""Tools for an agent: its space's jobs as plain typed functions, which every agent framework accepts.

    from shared.handlers.agent_tools import agent_tools, schema_of

    tools = agent_tools(context)
    schemas = [schema_of(tool) for tool in tools]  # where a framework wants JSON schemas

A tool returns JSON values. If it fails it returns `{"error": "..."}`: the model reads it and corrects its call.
"""

import inspect
import os
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import wraps
from typing import Any, Literal

from shared.errors import InvalidInput
from shared.handlers.agent import AgentContext, Proposal
from shared.handlers.space_jobs import MOST_JOBS, AllJobs, SpaceJobs
from shared.model.definition import TIMES
from shared.model.job import Job
from shared.model.job_text import TEXTS
from shared.model.recurrence import load_timezone
from shared.model.wording import for_space, local_time, person, why
from shared.settings import Environment

Tool = Callable[..., dict[str, Any]]
JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object"}


def with_jobs(context: AgentContext, open_jobs: Callable[[], AllJobs]) -> AgentContext:
    """Return the context with the jobs of its space. Raises InvalidSettings."""
    read = Environment(os.environ)
    most = read.number("CHAT_MOST_JOBS", MOST_JOBS, least=0, most=100_000)
    read.refuse_problems()
    jobs = SpaceJobs(
        open=open_jobs,
        space=context.space,
        user=context.user,
        timezone=context.timezone,
        key=context.idempotency_key,
        now=context.now,
        place={"space": context.space, **({"thread": context.thread} if context.thread else {})},
        asker=context.asker,
        most=most,
    )
    return replace(context, jobs=jobs)


def agent_tools(context: AgentContext) -> list[Tool]:
    """Return the tools for the jobs of the context's space, in the name of who asks."""
    jobs = context.jobs
    if jobs is None:
        raise InvalidInput("this context has no jobs, so there are no tools")

    def schedule_job(
        kind: Literal["message", "question"],
        text: str,
        at: str = "",
        cron: str = "",
        every: str = "",
        timezone: str = "",
        until: str = "",
        except_dates: list[str] | None = None,
    ) -> dict[str, Any]:
        """Schedule a job in this space: a message that is posted, or a question that is answered, at the set time.

        Set `at` to run it once, or `cron` (five fields) or `every` (such as 90m, 13h, 6d, 2w) to repeat it; then `at`
        is the start, `until` the end, and `except_dates` are days off (2026-12-24). Times are ISO 8601, by the clocks
        of `timezone` (an IANA name), by default that of who asks.
        """
        zone = timezone or context.timezone
        timing = _timing(zone, at=at, cron=cron, every=every, until=until, except_dates=except_dates)
        return _shown(jobs.schedule(kind, text, timezone=zone, **timing))

    def list_jobs() -> dict[str, Any]:
        """List the jobs of this space that are still to run, the next one first."""
        return {"jobs": [_view(job, context) for job in jobs.list()]}

    def show_job(job_id: str) -> dict[str, Any]:
        """Show one job of this space: its text, its schedule, when it runs next, and why it does not."""
        return _shown(jobs.get(job_id))

    def pause_job(job_id: str) -> dict[str, Any]:
        """Pause a job of this space until it is resumed."""
        return _shown(jobs.pause(job_id))

    def resume_job(job_id: str) -> dict[str, Any]:
        """Resume a paused job of this space."""
        return _shown(jobs.resume(job_id))

    def run_job(job_id: str) -> dict[str, Any]:
        """Run a job of this space now; a recurring job keeps its next regular run."""
        return _shown(jobs.run(job_id))

    def edit_job(
        job_id: str,
        text: str = "",
        at: str = "",
        cron: str = "",
        every: str = "",
        timezone: str = "",
        until: str = "",
        except_dates: list[str] | None = None,
    ) -> dict[str, Any]:
        """Change the given fields of a job of this space, and keep the rest. `schedule_job` explains each."""
        zone = timezone or jobs.get(job_id).timezone or context.timezone
        timing = _timing(zone, at=at, cron=cron, every=every, until=until, except_dates=except_dates)
        return _shown(jobs.edit(job_id, text=text or None, timezone=timezone or None, **timing))

    def cancel_job(job_id: str) -> dict[str, Any]:
        """End a job of this space for good."""
        return _shown(jobs.cancel(job_id))

    def _shown(job: Job) -> dict[str, Any]:
        return {"job": _view(job, context)}

    tools: list[Tool] = [
        schedule_job,
        list_jobs,
        show_job,
        pause_job,
        resume_job,
        run_job,
        edit_job,
        cancel_job,
    ]
    return [_answering(tool) for tool in tools]


def proposer(context: AgentContext) -> Callable[..., Proposal]:
    """Return the tool that makes a proposal, for an agent whose jobs a person must confirm; it is the agent's answer.

    Unlike the other tools it raises InvalidInput for what cannot be scheduled, with a text for the model.
    """

    def propose_job(
        kind: Literal["reminder", "message", "question"],
        text: str,
        at: str = "",
        cron: str = "",
        every: str = "",
        timezone: str = "",
        until: str = "",
        except_dates: list[str] | None = None,
    ) -> Proposal:
        """Propose a job, which the person sees and confirms: a reminder to them, a message, or a question to you.

        Set `at` to run it once, or `cron` (five fields) or `every` (such as 90m, 13h, 6d, 2w) to repeat it; then `at`
        is the start, `until` the end, and `except_dates` are days off (2026-12-24). Times are ISO 8601, by the clocks
        of `timezone` (an IANA name), by default that of who asks.
        """
        zone = timezone or context.timezone
        timing = _timing(zone, at=at, cron=cron, every=every, until=until, except_dates=except_dates)
        return Proposal(kind=kind, text=text, timezone=zone, **timing)

    return propose_job


def _timing(timezone: str, **written: Any) -> Any:
    """Return the fields of a timing that a model has set; a time without an offset is in that time zone."""
    return {name: read_time(value, timezone) if name in TIMES else value for name, value in written.items() if value}


def read_time(text: str, timezone: str) -> datetime:
    """Return an ISO 8601 time; one without an offset is in that time zone. Raises InvalidInput."""
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        raise InvalidInput(f"{str(text)[:100]!r} is not a time; write it like 2026-12-24T09:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=load_timezone(timezone))


def _answering(tool: Tool) -> Tool:
    """Return the tool with its errors as an answer: most frameworks would end the conversation."""
    signature = inspect.signature(tool)

    @wraps(tool)
    def answered(*given: Any, **named: Any) -> dict[str, Any]:
        try:
            signature.bind(*given, **named)
        except TypeError as exc:
            return {"error": f"{tool.__name__}: {exc}"}
        try:
            return tool(*given, **named)
        except InvalidInput as exc:
            return {"error": str(exc)}

    return answered


def _view(job: Job, context: AgentContext) -> dict[str, Any]:
    """Return what an agent sees of a job; other kinds show no payload, since it may hold a secret."""
    job, zone = for_space(job), job.timezone or context.timezone
    view = {
        "id": job.id,
        "type": job.job_type,
        "text": job.payload.get(TEXTS.get(job.job_type, ""), ""),
        "status": job.status.value,
        "next_run": local_time(job.ready_at, zone) if job.ready_at else "",
        "timezone": zone,
        "cron": job.cron or "",
        "every": job.every or "",
        "until": local_time(job.until, zone) if job.until else "",
        "except_dates": [day.isoformat() for day in job.except_dates],
        "made_by": person(job.created_by),
        "why": why(job, context.now, zone),
    }
    return {name: value for name, value in view.items() if value}


def schema_of(tool: Callable[..., Any]) -> dict[str, Any]:
    """Return a tool's name, description and parameters, as a JSON schema made from its signature.

    Raises TypeError for a type other than text, number, boolean, object, Literal, or a list of these.
    """
    hints = typing.get_type_hints(tool)
    parameters = inspect.signature(tool).parameters.values()
    return {
        "name": tool.__name__,
        "description": inspect.cleandoc(tool.__doc__ or ""),
        "parameters": {
            "type": "object",
            "properties": {each.name: _schema(hints[each.name]) for each in parameters},
            "required": [each.name for each in parameters if each.default is inspect.Parameter.empty],
            "additionalProperties": False,
        },
    }


def _schema(hint: Any) -> dict[str, Any]:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return {**_schema(type(inner[0])), "enum": list(inner)}
    if origin in (typing.Union, types.UnionType):
        kinds = [_schema(each) for each in inner if each is not type(None)]
        return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    if inspect.isclass(origin) and issubclass(origin, Sequence):
        return {"type": "array", "items": _schema(inner[0])}
    kind = JSON_TYPES.get(origin or hint)
    if kind is None:
        raise TypeError(f"a tool cannot have a parameter of type {hint!r}")
    return {"type": kind}
