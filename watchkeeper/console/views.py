"""The views of the page as plain values: pure functions of jobs, a time and a timezone.

Times are in ISO 8601 where the page counts down to them, and in words where a person reads them.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, takewhile
from typing import Any

from shared.errors import InvalidInput
from shared.model.definition import Misfire
from shared.model.entries import Entry
from shared.model.history import PUT_OFF, Run, RunOutcome
from shared.model.job import Job
from shared.model.times import iso
from shared.model.wording import exact_time, in_words, local_time, occurrences, person, when, why
from shared.store.documents import Unreadable
from shared.subscriptions import CHECK, PREFIX, recorded_time
from watchkeeper.console.job_form import pretty
from watchkeeper.console.selection import PAGE, Record, Selection, latest_run
from watchkeeper.console.system import FunctionCall, System
from watchkeeper.logbook import LogLine
from watchkeeper.times import span

SUBSCRIPTIONS = 50
LANES = 30
MOST_UPCOMING = 60  # of one job, in an hour of minutes
TIMES_OF_ROW = ("ready_at", "next", "ran_at", "ran", "lease_until", "queued_at")
WINDOW = timedelta(hours=1)  # of the timeline, to either side
LIFE = timedelta(days=7)  # of a subscription at Gmail, and of one at Airtable
POLL_SECONDS = {False: 2, True: 30}  # by whether a refresh is billed
COMMANDS: Mapping[str, Callable[..., Job]] = {
    "run": Job.run,
    "retry": Job.retry,
    "resume": partial(Job.resume, retention=timedelta()),
    "pause": Job.pause,
    "cancel": partial(Job.cancel, retention=timedelta()),
}
ALL_COMMANDS: Mapping[str, Callable[..., Any]] = {**COMMANDS, "undo": Job.restore, "delete": Job.refuse_delete}
METRICS = ("checked", "due", "executed", "succeeded", "failed", "retried", "lost", "recovered", "skipped")
RENEWED_BY = {"gmail": "gmail_watch", "airtable": "airtable_refresh"}
EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "log": {"message": "hello"},
    "http_request": {"url": "https://example.com/report", "method": "POST"},
    "chat_message": {"space": "spaces/console", "text": "Good morning"},
    "agent": {"space": "spaces/console", "prompt": "What is new?"},
}

View = dict[str, Any]


def about(system: System) -> View:
    """Return what does not change while the page is open: which services are real or fake, and what can be done."""
    services = [
        {"name": each.name, "address": each.address, "state": "fake" if each.is_fake else "real"}
        for each in system.services
    ]
    functions = [
        {"name": name, "address": address, "schedule": _schedule_of(system, name)}
        for name, address in system.functions.items()
    ]
    if system.schedules:
        services.append({"name": "Cloud Scheduler", "address": "", "state": "fake"})
    types = [name for name in sorted(system.handlers) if name != CHECK]
    return {
        "is_read_only": system.is_read_only,
        "is_billed": system.is_billed,
        "place": system.place,
        "timezone": system.timezone,
        "poll_seconds": POLL_SECONDS[system.is_billed],
        "types": [{"name": name, "example": pretty(EXAMPLES.get(name, {}))} for name in types],
        "services": services,
        "functions": functions,
        "has_chat": "chat_webhook" in system.functions and not system.is_read_only,
    }


def _schedule_of(system: System, function: str) -> str:
    if function not in system.schedules:
        return ""
    recurrence = system.schedules[function].recurrence
    return f"{in_words(recurrence.cron) or recurrence.cron} ({recurrence.timezone})"


# -- jobs --------------------------------------------------------------------------------------------------------------


def listing(selection: Selection, rows: Sequence[Record], now: datetime, timezone: str) -> View:
    """Return one page of jobs, and how many there are of each state."""
    return {
        "now": iso(now),
        "jobs": [_row(job, now, timezone) for job in rows],
        "total": len(selection.matching),
        "digest": selection.digest,
        "page": selection.page,
        "pages": selection.pages,
        "page_size": PAGE,
        "counts": selection.counts,
        "types": selection.types,
    }


def _row(job: Record, now: datetime, timezone: str) -> View:
    if isinstance(job, Unreadable):
        bare = dict.fromkeys((*TIMES_OF_ROW, "schedule", "attempts", "in_a_row", "queue"), "")
        return {"id": job.id, "title": job.id, "type": "", "status": "unreadable", "error": job.reason, **bare}
    is_held = job.lease_until is not None and job.lease_until > now
    ran_at, zone = latest_run(job), job.timezone or timezone
    return {
        "id": job.id,
        "title": _title(job),
        "type": job.job_type,
        "status": job.status.value,
        "schedule": when(job.schedule) if job.is_recurring else "Once",
        "ready_at": iso(job.ready_at) if job.ready_at and not is_held else "",
        "next": local_time(job.ready_at, zone) if job.ready_at and not is_held else "",
        "ran_at": iso(ran_at) if ran_at else "",
        "ran": local_time(ran_at, zone) if ran_at else "",
        "attempts": f"{job.attempts} of {job.max_attempts}",
        "in_a_row": job.failed_in_a_row,
        "lease_until": iso(job.lease_until) if is_held and job.lease_until else "",
        "queue": job.queue or "",
        "queued_at": iso(job.handed_over.at) if job.handed_over else "",
        "error": job.error or "",
    }


def _title(job: Job) -> str:
    said = next((job.payload[name] for name in ("text", "prompt", "message", "url") if job.payload.get(name)), job.id)
    words = re.sub(r"^<users/[^>]*> |^https?://", "", " ".join(str(said).split()))
    return words if len(words) <= 100 else f"{words[:97]}..."


def detail(job: Job, now: datetime, timezone: str) -> View:
    """Return everything about one job, and the commands that its state allows. Every time has seconds and its zone."""
    zone = job.timezone or timezone

    def at(moment: datetime | None) -> str:
        return exact_time(moment, zone) if moment else ""

    facts = {
        "Type": job.job_type,
        "Attempts": f"{job.attempts} of {job.max_attempts}",
        "Dead holders": str(job.reclaims or ""),
        "Starts": at(job.starts_at),
        "Ends": at(job.until),
        "Days off": ", ".join(day.isoformat() for day in job.except_dates),
        "When missed": _when_missed(job),
        "Pauses": _pauses(job),
        "Lease until": at(job.lease_until),
        "Chat space": job.space or "",
        "Created": f"{at(job.created_at)} by {person(job.created_by)}",
        "Changed": f"{at(job.updated_at)} by {person(job.updated_by)}" if job.updated_at else "",
    }
    row = _row(job, now, timezone)
    return {
        **row,
        "next": at(job.ready_at) if row["ready_at"] else "",
        "why": why(job, now, zone, exact_time),
        "facts": [[name, text] for name, text in facts.items() if text],
        "payload": pretty(job.payload),
        "runs": [{**mark, **_result(run)} for run, mark in reversed([*_marks(job.recent_runs, zone)])],
        "commands": [name for name, command in ALL_COMMANDS.items() if _is_possible(command, job, now)],
    }


def past(entries: Sequence[Entry], timezone: str, log: Callable[[Entry], str]) -> list[View]:
    """Return entries of the history, the newest first, as runs; `log` is where the lines of one are."""
    marks = reversed([*_marks([each.run for each in reversed(entries)], timezone)])
    return [
        {**mark, **_result(run), "id": entry.id, "log": log(entry)}
        for entry, (run, mark) in zip(entries, marks, strict=True)
    ]


def _result(run: Run) -> View:
    took = (run.ended_at - run.started_at).total_seconds() if run.started_at and run.ended_at else 0
    return {"output": run.output or "", "trace": run.trace or "", "seconds": took}


def log_lines(found: Iterable[LogLine], timezone: str) -> list[View]:
    """Return lines of the log as a person reads them."""
    return [
        {
            "at": exact_time(line.time, timezone),
            "severity": line.severity,
            "text": "\n".join(filter(None, (line.message, line.trace))),
        }
        for line in found
    ]


def _when_missed(job: Job) -> str:
    if not job.is_recurring:
        return ""
    return f"{job.misfire}, when over {span(job.grace)} late" if job.misfire is Misfire.SKIP else job.misfire.value


def _pauses(job: Job) -> str:
    if job.pause_after_failures is None:
        return ""
    return f"after {job.pause_after_failures} failures in a row ({job.failed_in_a_row} so far)"


def _is_possible(command: Callable[..., Job], job: Job, now: datetime) -> bool:
    try:
        command(job, now=now)
    except InvalidInput:
        return False
    return True


# -- timeline ----------------------------------------------------------------------------------------------------------


def timeline(found: Iterable[Record], now: datetime, timezone: str) -> View:
    """Return what ran in the last hour and will run in the next, in one lane per job, the next to run first."""
    shown = [job for job in found if isinstance(job, Job) and not job.id.startswith(PREFIX) and _is_in_window(job, now)]
    shown.sort(key=lambda job: (job.ready_at is None, job.ready_at or now, job.id))
    return {
        "now": iso(now),
        "lanes": [_lane(job, now, timezone) for job in shown[:LANES]],
        "left_out": max(0, len(shown) - LANES),
    }


def _is_in_window(job: Job, now: datetime) -> bool:
    if job.handed_over is None and (job.lease_until or job.ready_at or now + 2 * WINDOW) <= now + WINDOW:
        return True
    latest = latest_run(job)
    return latest is not None and latest >= now - WINDOW


def _lane(job: Job, now: datetime, timezone: str) -> View:
    past = (mark for _, mark in _marks(job.recent_runs, timezone) if mark["until"] >= iso(now - WINDOW))
    marks = chain(past, _running(job, now, timezone), _upcoming(job, now, timezone))
    return {"id": job.id, "title": _title(job), "marks": [*marks]}


def _marks(runs: Sequence[Run], timezone: str) -> Iterator[tuple[Run, View]]:
    """Yield each run of a job, the oldest first, with its mark: `due` is its scheduled start, `at` the actual one."""
    earlier: Run | None = None
    for run in runs:
        is_another_try = earlier and earlier.outcome in PUT_OFF and earlier.schedule_at == run.schedule_at
        due = (is_another_try and earlier and earlier.until) or run.schedule_at
        yield run, _mark(run, due, timezone)
        earlier = run


def _mark(run: Run, due: datetime, timezone: str) -> View:
    at = run.started_at or run.schedule_at
    is_missed = run.outcome is RunOutcome.MISSED
    until = (run.until if is_missed else run.ended_at) or at
    parts = [
        f"until {exact_time(until, timezone)}" if is_missed and until > at else "",
        f"took {_length(until - at)}" if run.started_at and run.ended_at else "",
        f"{_length(at - due)} late" if at - due >= timedelta(seconds=1) else "",
        f"next try {exact_time(run.until, timezone)}" if run.until and run.outcome in PUT_OFF else "",
        f"by {person(run.by)}" if run.by else "",
        run.error or "",
    ]
    times = {"due": iso(min(due, at)), "at": iso(at), "until": iso(until), "local": exact_time(at, timezone)}
    return {**times, "outcome": run.outcome.value, "says": "; ".join(filter(None, parts))}


def _length(length: timedelta) -> str:
    seconds = length.total_seconds()
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s" if seconds < 60 else span(length)


def _running(job: Job, now: datetime, timezone: str) -> Iterator[View]:
    if job.lease_until is not None and job.lease_until > now and job.started_at is not None:
        since, local = iso(job.started_at), exact_time(job.started_at, timezone)
        yield {"due": since, "at": since, "until": "", "local": local, "outcome": "running", "says": ""}


def _upcoming(job: Job, now: datetime, timezone: str) -> Iterator[View]:
    """Yield the marks of the next run and, for a recurring job, of those after it within the hour."""
    end = now + WINDOW
    if job.ready_at is None or job.ready_at > end or (job.lease_until is not None and job.lease_until > now):
        return
    first = max(job.ready_at, now)
    following: Iterable[datetime] = ()
    if job.is_recurring:
        following = occurrences(job.schedule, first + timedelta(seconds=1), MOST_UPCOMING)
    for moment in takewhile(lambda moment: moment <= end, chain([first], following)):
        at, local = iso(moment), exact_time(moment, timezone)
        yield {"due": at, "at": at, "until": at, "local": local, "outcome": "upcoming", "says": ""}


# -- tick and subscriptions --------------------------------------------------------------------------------------------


def tick(system: System, now: datetime) -> View:
    """Return the latest tick, and the time of the next one."""
    schedule = system.schedules.get("tick")
    following = iso(schedule.recurrence.after(now)) if schedule and not system.is_read_only else ""
    last = None if system.is_read_only else system.last_call("tick")
    return {"next": following, "last": called(last) if last else None}


def called(call: FunctionCall) -> View:
    """Return the response of a function: its metrics, or the reason why there are none."""
    body: Mapping[str, Any] = call.body if isinstance(call.body, Mapping) else {}
    metrics = body.get("metrics", {}) if isinstance(body.get("metrics", {}), Mapping) else {}
    in_order = [f"jobs_{name}" for name in METRICS if f"jobs_{name}" in metrics]
    error = body.get("error")
    message = error.get("message") if isinstance(error, Mapping) else error
    is_good = call.status is not None and 200 <= call.status < 300
    status = f"HTTP {call.status}" if call.status else "no answer"
    return {
        "began_at": iso(call.began_at),
        "took": _length(call.duration),
        "is_good": is_good,
        "problem": "" if is_good else f"{status}: {message or call.failure or 'see its log'}",
        "metrics": {name: metrics[name] for name in dict.fromkeys([*in_order, *sorted(metrics, reverse=True)])},
    }


def subscriptions(found: Iterable[Record], system: System, now: datetime) -> list[View]:
    """Return the subscriptions at Gmail and Airtable: how much of their time is left, and the last renewal.

    A function without a recorded subscription appears in its place, with the result of its last call.
    """
    shown = [_subscription(job, now, system.timezone) for job in found]
    silent = (name for name in RENEWED_BY.values() if name not in {view["function"] for view in shown})
    return shown + [_unrecorded(name, system.last_call(name)) for name in silent if name in system.schedules]


def _unrecorded(function: str, last: FunctionCall | None) -> View:
    problem = called(last)["problem"] if last else ""
    return {"id": function, "title": function, "function": function, "left": 0, "expires_at": "", "error": problem}


def _subscription(job: Record, now: datetime, timezone: str) -> View:
    function = RENEWED_BY.get(job.id.removeprefix(PREFIX).partition(":")[0], "")
    if isinstance(job, Unreadable):
        reason = f"Its record cannot be read: {job.reason}"
        return {"id": job.id, "title": job.id, "function": function, "left": 0, "expires_at": "", "error": reason}
    expires_at, renewed_at = (recorded_time(job.payload, name) for name in ("expires_at", "renewed_at"))
    never_ends = expires_at is None and renewed_at is not None
    return {
        "id": job.id,
        "title": str(job.payload.get("subscription", job.id)),
        "function": function,
        "status": job.status.value,
        "left": 1 if never_ends else max(0.0, min((expires_at - now) / LIFE, 1.0)) if expires_at else 0,
        "expires_at": iso(expires_at) if expires_at else "",
        "renewed_at": iso(renewed_at) if renewed_at else "",
        "renewed": local_time(renewed_at, timezone) if renewed_at else "never",
        "error": str(job.payload.get("error") or ""),
    }
