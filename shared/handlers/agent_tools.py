"""Tools for an agent: its space's jobs as plain typed functions, which every agent framework takes.

    from shared.handlers.agent_tools import agent_tools, schema_of

    tools = agent_tools(context)
    schemas = [schema_of(tool) for tool in tools]  # where a framework wants JSON schemas

A tool returns JSON values. What cannot be done is an answer too, `{"error": "..."}`: the model reads it and mends its
call.
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
from shared.handlers.agent import ASKER, AgentContext, Proposal
from shared.handlers.space_jobs import MOST_JOBS, AllJobs, SpaceJobs
from shared.model.definition import parse_dates
from shared.model.job import Job
from shared.model.recurrence import load_timezone
from shared.model.wording import for_space, local_time, person, why
from shared.settings import Environment

Tool = Callable[..., dict[str, Any]]
JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object"}
TEXTS = {"chat_message": "text", "agent": "prompt"}


def with_jobs(context: AgentContext, open_jobs: Callable[[], AllJobs]) -> AgentContext:
    """Return the context with the jobs of its space. Raises InvalidSettings."""
    read = Environment(os.environ)
    most = read.number("CHAT_MOST_JOBS", MOST_JOBS, least=0, most=100_000)
    read.refuse_problems()
    known = {name: getattr(context, name) for name in ASKER}
    jobs = SpaceJobs(
        open=open_jobs,
        space=context.space,
        user=context.user,
        timezone=context.timezone,
        key=context.idempotency_key,
        now=context.now,
        place={"space": context.space, **({"thread": context.thread} if context.thread else {})},
        asker={name: value for name, value in known.items() if value},
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

        Give `at` for once, or `cron` (five fields) or `every` (such as 90m, 13h, 6d, 2w) for again and again; then `at`
        is the start, `until` the end, and `except_dates` are days off (2026-12-24). Times are ISO 8601, by the clocks
        of `timezone` (an IANA name), by default those of who asks.
        """
        return _shown(
            jobs.schedule(
                kind,
                text,
                at=_time(at, timezone),
                cron=cron or None,
                every=every or None,
                timezone=timezone or None,
                until=_time(until, timezone),
                except_dates=except_dates or (),
            )
        )

    def list_jobs() -> dict[str, Any]:
        """List the jobs of this space that are still to run, the next one first."""
        return {"jobs": [_view(job, context) for job in jobs.list()]}

    def show_job(job_id: str) -> dict[str, Any]:
        """Show one job of this space: its text, its schedule, when it runs next, and why it does not."""
        return _shown(jobs.get(job_id))

    def pause_job(job_id: str) -> dict[str, Any]:
        """Keep a job of this space from running until it is resumed."""
        return _shown(jobs.pause(job_id))

    def resume_job(job_id: str) -> dict[str, Any]:
        """Let a paused job of this space run again."""
        return _shown(jobs.resume(job_id))

    def run_job(job_id: str) -> dict[str, Any]:
        """Run a job of this space now; a job that recurs keeps its next regular run."""
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
        """Change what is given of a job of this space, and keep the rest. `schedule_job` says what each means."""
        zone = timezone or jobs.get(job_id).timezone or ""
        given = {
            "at": _time(at, zone),
            "cron": cron,
            "every": every,
            "timezone": timezone,
            "until": _time(until, zone),
            "except_dates": except_dates,
        }
        return _shown(jobs.edit(job_id, text=text or None, **{name: value for name, value in given.items() if value}))

    def cancel_job(job_id: str) -> dict[str, Any]:
        """End a job of this space for good."""
        return _shown(jobs.cancel(job_id))

    def _shown(job: Job) -> dict[str, Any]:
        return {"job": _view(job, context)}

    def _time(text: str, timezone: str) -> datetime | None:
        return read_time(text, timezone or context.timezone) if text else None

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
    """Return the tool that makes a proposal, for an agent whose jobs a person is to confirm; it is the agent's answer.

    Unlike the other tools it raises InvalidInput for what cannot be scheduled; the text of that is for the model.
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

        Give `at` for once, or `cron` (five fields) or `every` (such as 90m, 13h, 6d, 2w) for again and again; then `at`
        is the start, `until` the end, and `except_dates` are days off (2026-12-24). Times are ISO 8601, by the clocks
        of `timezone` (an IANA name), by default those of who asks.
        """
        zone = timezone or context.timezone
        return Proposal(
            kind=kind,
            text=text,
            at=read_time(at, zone) if at else None,
            cron=cron or None,
            every=every or None,
            timezone=zone,
            until=read_time(until, zone) if until else None,
            except_dates=parse_dates(except_dates or ()),
        )

    return propose_job


def read_time(text: str, timezone: str) -> datetime:
    """Return an ISO 8601 time; one without an offset is by the clocks of that zone. Raises InvalidInput."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{text[:100]!r} is not a time; write it like 2026-12-24T09:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=load_timezone(timezone))


def _answering(tool: Tool) -> Tool:
    """Return the tool with what cannot be done as its answer, where frameworks would end the conversation."""

    @wraps(tool)
    def answered(*given: Any, **named: Any) -> dict[str, Any]:
        try:
            return tool(*given, **named)
        except InvalidInput as exc:
            return {"error": str(exc)}

    return answered


def _view(job: Job, context: AgentContext) -> dict[str, Any]:
    """Return what an agent sees of a job: nothing of the payload of another kind, which may hold a secret."""
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

    Raises TypeError for a type that is not a text, a number, a boolean, an object, a Literal, or a list of such.
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
