"""The console as a small web application: thin routes over `views`, and what guards a local tool.

    bind(create_console(system), 8080).serve_forever()

Serve it on 127.0.0.1 only. A page of another site can reach that address through the person's browser, so requests of
other origins, and for other host names (DNS rebinding), are refused.
"""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from hmac import compare_digest
from http.client import HTTPConnection, HTTPException
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import flask
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException as Refusal
from werkzeug.exceptions import abort

from shared.errors import InvalidInput, StoreUnavailable, WatchkeeperError
from shared.jobs import AlreadyScheduled, UnknownJob
from shared.model.entries import Entry
from shared.model.life import NotPossible
from shared.model.times import iso
from shared.model.wording import local_time
from shared.subscriptions import PREFIX
from shared.web.loopback import is_cross_origin, is_loopback
from watchkeeper.console import health, views
from watchkeeper.console.catalogue import Catalogue
from watchkeeper.console.chat_person import Event, Message, NoReply, Person, Room
from watchkeeper.console.day import Day, strip
from watchkeeper.console.job_form import InvalidForm, JobForm, fields_of, preview
from watchkeeper.console.selection import STATES, Query, Record, Selection, Texts, select
from watchkeeper.console.system import System
from watchkeeper.fakes.server import CONTROL_PATH
from watchkeeper.logbook import cloud_url, lines_of

BY = "console"
TOKEN = "X-Watchkeeper-Token"  # a header, for a cookie would go to every port of this machine
READ_AHEAD = "watchkeeper-read-ahead"  # the extension that reads the jobs before the first request
PERSON = "ada@example.com"
REPLY_SECONDS = 30  # as long as Chat waits
FAKE_CHAT_SECONDS = 5
RUNS = 50  # of a job's history, a page
ASIDE = timedelta(seconds=2)  # the log of a run includes what came just before and after it
MOST_BYTES = 256 * 1024
STATUS: Mapping[type[WatchkeeperError], int] = {
    UnknownJob: 404,
    NotPossible: 409,
    InvalidInput: 422,
    StoreUnavailable: 503,
}
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def create_console(system: System, *, token: str = "") -> flask.Flask:
    """Return the application for one system. If that is read-only, every change is answered with 403.

    With a token, requests without it are answered with 401: any account of this machine can reach the port.
    """
    app = flask.Flask("watchkeeper.console", root_path=str(Path(__file__).parent))
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the order of the metrics means something
    console = _Console(system)
    app.extensions[READ_AHEAD] = console.read_ahead
    for method, rule, answer in (
        ("GET", "/", lambda: app.send_static_file("index.html")),
        ("GET", "/api/about", console.about),
        ("GET", "/api/now", console.now),
        ("GET", "/api/jobs", console.jobs),
        ("GET", "/api/jobs/<job_id>", console.job),
        ("GET", "/api/jobs/<job_id>/form", console.form),
        ("GET", "/api/jobs/<job_id>/runs", console.runs),
        ("GET", "/api/jobs/<job_id>/log", console.log),
        ("GET", "/api/chat", console.chat),
        ("POST", "/api/preview", console.preview),
        ("POST", "/api/jobs", console.create),
        ("POST", "/api/jobs/<job_id>/edit", console.edit),
        ("POST", "/api/jobs/<job_id>/undo", console.undo),
        ("POST", "/api/jobs/<job_id>/delete", console.delete),
        ("POST", "/api/jobs/<job_id>/<command>", console.command),
        ("POST", "/api/all/<command>", console.command_all),
        ("POST", "/api/call/<function>", console.call),
        ("POST", "/api/chat/say", console.say),
        ("POST", "/api/chat/tap", console.tap),
        ("POST", "/api/chat/act", console.act),
    ):
        app.add_url_rule(rule, f"{method} {rule}", answer, methods=[method])
    app.before_request(lambda: _refuse(flask.request, token, is_read_only=system.is_read_only))
    app.after_request(_with_headers)
    app.register_error_handler(WatchkeeperError, lambda exc: _error(exc, system.place))
    app.register_error_handler(Refusal, lambda exc: ({"error": exc.description}, exc.code))
    return app


def _refuse(request: flask.Request, token: str, *, is_read_only: bool) -> None:
    """Abort with 403 on another host name or origin and on a forbidden change, with 401 on a missing token."""
    port = request.environ["SERVER_PORT"]
    if not is_loopback(request.host) or request.host.rpartition(":")[2] != port:
        abort(403, f"open this page as http://127.0.0.1:{port}")
    is_foreign = is_cross_origin(request.headers)
    # Without these headers a person typed the address, or the client is not a browser.
    is_ours = "Origin" in request.headers or request.headers.get("Sec-Fetch-Site") == "same-origin"
    changes = request.method not in ("GET", "HEAD", "OPTIONS")
    if changes and (is_foreign or not is_ours or request.mimetype != "application/json"):
        abort(403, "only this page itself may change anything")
    if is_foreign and request.path.startswith("/api/"):
        abort(403, "only this page itself may ask for this")
    if token and request.path.startswith("/api/") and not _is_equal(request.headers.get(TOKEN, ""), token):
        abort(401, "open the address that `watchkeeper console` printed; each run has a new token")
    if changes and is_read_only:
        abort(403, "this console is read-only; use the command line to change anything")


def _is_equal(shown: str, token: str) -> bool:
    return compare_digest(shown.encode(), token.encode())


def _with_headers(response: flask.Response) -> flask.Response:
    response.headers.update(HEADERS)
    if flask.request.path.startswith("/api/"):
        response.headers["Cache-Control"] = "no-store"
    return response


def _error(exc: WatchkeeperError, place: str) -> ResponseReturnValue:
    errors = {"errors": exc.errors} if isinstance(exc, InvalidForm) else {}
    status = next((status for kind, status in STATUS.items() if isinstance(exc, kind)), 500)
    is_away = isinstance(exc, StoreUnavailable)
    advice = f". The jobs are {place}; once they can be read again, this page continues by itself." if is_away else ""
    return {"error": f"{exc}{advice}", **errors}, status


class _Console:
    """The routes. `Catalogue` keeps the reads few, because those of the real Firestore are billed."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._catalogue = Catalogue(system.jobs, clock=system.clock, is_billed=system.is_billed)
        self._day = Day(system.jobs, is_billed=system.is_billed)
        self._texts = Texts()
        self._run = token_hex(8)
        self._room: Room | None = None
        if "chat_webhook" in system.functions and not system.is_read_only:
            self._room = Room(ask=self._ask, posted=self._posted, clock=system.clock, timezone=system.timezone)
        self._fake_chat = next((each.address for each in system.services if each.name == "Chat"), "")

    def read_ahead(self) -> None:
        """Read the jobs, so that the first page comes at once."""
        with suppress(StoreUnavailable):  # the page will say so
            self._texts.learn(self._catalogue.read())

    def about(self) -> ResponseReturnValue:
        return {**views.about(self._system), "run": self._run, "sees_posts": bool(self._fake_chat), "person": PERSON}

    def now(self) -> ResponseReturnValue:
        system, found = self._system, self._found()
        now = system.clock()
        return {
            **views.timeline(found, now, system.timezone),
            **self._age(),
            "health": health.figures(found, now),
            "day": strip(self._day.read(now), now, lambda moment: local_time(moment, system.timezone)),
            "day_is_partial": self._day.is_partial,
            "tick": views.tick(system, now),
            "subscriptions": views.subscriptions(
                [job for job in found if job.id.startswith(PREFIX)][: views.SUBSCRIPTIONS], system, now
            ),
        }

    def jobs(self) -> ResponseReturnValue:
        selection = self._select(flask.request.args, self._found())
        fresh = self._catalogue.again([job.id for job in selection.jobs])
        rows = [fresh[job.id] for job in selection.jobs if job.id in fresh]
        return {**views.listing(selection, rows, self._system.clock(), self._system.timezone), **self._age()}

    def _found(self) -> Sequence[Record]:
        return self._catalogue.read(anew="anew" in flask.request.args)

    def _select(self, asked: Mapping[str, str], found: Sequence[Record]) -> Selection:
        return select(found, Query.of(asked), self._system.clock(), self._texts)

    def _age(self) -> dict[str, str]:
        return {"whole_at": iso(self._catalogue.whole_at) if self._catalogue.whole_at else ""}

    def job(self, job_id: str) -> ResponseReturnValue:
        job = self._catalogue.get(job_id)
        return views.detail(job, self._system.clock(), self._system.timezone)

    def runs(self, job_id: str) -> ResponseReturnValue:
        """Return a page of the job's history, after the entry `after`."""
        found = list(islice(self._system.jobs.history(job_id, after=flask.request.args.get("after", "")), RUNS))
        zone = self._catalogue.get(job_id).timezone or self._system.timezone
        return {"runs": views.past(found, zone, self._log_of), "has_more": len(found) == RUNS}

    def _log_of(self, entry: Entry) -> str:
        """Return the address of the log of a run, in Cloud Logging or here; "" if nothing ran."""
        begin, end = entry.run.started_at, entry.run.ended_at
        if begin is None or end is None:
            return ""
        if self._system.project:
            project, prefix = self._system.project, self._system.prefix
            return cloud_url(project, entry.job_id, prefix=prefix, since=begin - ASIDE, until=end + ASIDE)
        query = urlencode({"since": iso(begin - ASIDE), "until": iso(end + ASIDE)})
        return f"/api/jobs/{quote(entry.job_id)}/log?{query}" if self._system.log_file else ""

    def log(self, job_id: str) -> ResponseReturnValue:
        asked, file = flask.request.args, self._system.log_file
        if file is None:
            abort(404, "this page has no log: see Cloud Logging")
        try:
            since, until = (datetime.fromisoformat(asked.get(name, "")) for name in ("since", "until"))
        except ValueError as exc:
            raise InvalidInput("since and until must be times") from exc
        if since.tzinfo is None or until.tzinfo is None:
            raise InvalidInput("since and until must have a time zone, such as Z")
        return {"lines": views.log_lines(lines_of(file, job_id, since=since, until=until), self._system.timezone)}

    def preview(self) -> ResponseReturnValue:
        body = _body()
        shown = preview(self._form(body), self._system.clock())
        return {**shown, "errors": {**shown["errors"], **self._form(body).payload_errors(self._system.handlers)}}

    def form(self, job_id: str) -> ResponseReturnValue:
        return fields_of(self._catalogue.get(job_id), self._system.timezone)

    def edit(self, job_id: str) -> ResponseReturnValue:
        changes = self._form(_body()).changes(self._catalogue.get(job_id), self._system.handlers)
        if changes:
            self._system.jobs.edit(job_id, by=BY, **changes)
        self._catalogue.look_again([job_id])
        return self.job(job_id)

    def undo(self, job_id: str) -> ResponseReturnValue:
        """Bring a cancelled job back, paused if it was."""
        self._system.jobs.restore(job_id, by=BY)
        if _body().get("is_paused") is True:
            return self.command(job_id, "pause")
        self._catalogue.look_again([job_id])
        return self.job(job_id)

    def delete(self, job_id: str) -> ResponseReturnValue:
        self._system.jobs.delete(job_id)
        self._catalogue.look_again([job_id])
        return {}

    def create(self) -> ResponseReturnValue:
        definition = self._form(_body()).definition(self._system.handlers)
        try:
            scheduled = self._system.jobs.schedule(**definition, by=BY)
        except AlreadyScheduled as exc:
            taken = f"job {definition['id']} exists with another definition; choose another id, or edit that job"
            raise InvalidForm({"id": taken}) from exc
        self._catalogue.look_again([scheduled.job.id])
        return {"id": scheduled.job.id, "outcome": scheduled.outcome}, 201

    def _form(self, fields: Mapping[str, Any]) -> JobForm:
        return JobForm(fields, now=self._system.clock(), timezone=self._system.timezone)

    def command(self, job_id: str, command: str) -> ResponseReturnValue:
        if command not in views.COMMANDS:
            abort(404, f"unknown command {command}")
        getattr(self._system.jobs, command)(job_id, by=BY)
        self._catalogue.look_again([job_id])
        return self.job(job_id)

    def command_all(self, command: str) -> ResponseReturnValue:
        """Carry out a command on the named jobs, or on all that match a query."""
        if command not in views.COMMANDS:
            abort(404, f"unknown command {command}")
        ids = self._chosen(_body())
        refused = self._system.jobs.command_all(command, ids, by=BY)  # type: ignore[arg-type]  # one of COMMANDS
        self._catalogue.look_again(ids)
        return {"done": len(ids) - len(refused), "refused": refused}

    def _chosen(self, body: Mapping[str, Any]) -> Sequence[str]:
        ids, matching = body.get("ids"), body.get("matching")
        if isinstance(matching, dict):
            asked = {name: text for name, text in matching.items() if isinstance(text, str)}
            if asked.get("status", "") not in ("", *STATES):  # in an address, nonsense means all
                raise InvalidInput(f"unknown status {asked['status'][:100]!r}; choose one of {', '.join(STATES)}")
            selection = self._select(asked, self._catalogue.read())
            if body.get("digest", selection.digest) != selection.digest:
                raise NotPossible("other jobs match now than the page showed; check the list and repeat the command")
            ids = selection.matching
        if not isinstance(ids, list | tuple) or not all(isinstance(each, str) for each in ids) or not ids:
            raise InvalidInput("select the jobs first")
        return ids

    def call(self, function: str) -> ResponseReturnValue:
        if function not in self._system.schedules or function not in self._system.functions:
            abort(404, f"unknown scheduled function {function}")
        return views.called(self._system.call(function))

    # -- chat ----------------------------------------------------------------------------------------------------------

    def chat(self) -> ResponseReturnValue:
        return {"messages": self._open_room().messages()}

    def say(self) -> ResponseReturnValue:
        body = _body()
        text, thread = body.get("text"), body.get("thread") or ""
        if not isinstance(text, str) or not text.strip() or not isinstance(thread, str):
            raise InvalidInput("write something first")
        self._open_room().say(text.strip(), person=_person(body), thread=thread)
        return self.chat()

    def tap(self) -> ResponseReturnValue:
        body = _body()
        action, inputs = body.get("action"), body.get("inputs")
        if not isinstance(action, dict) or not isinstance(inputs, dict):
            raise InvalidInput("this button does nothing")
        message, in_dialog = str(body.get("message")), body.get("in_dialog") is True
        dialog = self._open_room().tap(message, action, inputs, person=_person(body), in_dialog=in_dialog)
        return {"messages": self._open_room().messages(), "dialog": dialog}

    def act(self) -> ResponseReturnValue:
        body = _body()
        number = str(body.get("number", "")).strip()
        if not re.fullmatch("[1-9][0-9]{0,3}", number):
            raise InvalidInput("a message action has a number from 1 to 9999, its id in the app's configuration")
        self._open_room().act(str(body.get("message")), int(number), person=_person(body))
        return self.chat()

    def _open_room(self) -> Room:
        if self._room is None:
            abort(404, "no Chat on this page: the function runs elsewhere, where Google Chat reaches it")
        return self._room

    def _ask(self, event: Event) -> Any:
        headers = {**self._system.headers, "Content-Type": "application/json"}
        address = self._system.functions["chat_webhook"]
        try:
            status, reply = _exchange("POST", address, "/", REPLY_SECONDS, json.dumps(event).encode(), headers)
        except (OSError, HTTPException, ValueError) as exc:
            return NoReply(f"chat_webhook did not answer ({type(exc).__name__}); see its log lines in the terminal.")
        if status == 200:
            return reply
        said = reply.get("error") if isinstance(reply, dict) else None
        message = said.get("message") if isinstance(said, dict) else ""
        return NoReply(f"chat_webhook answered {status}: {message or 'see its log lines in the terminal'}")

    def _posted(self) -> list[Message]:
        """Read what jobs have posted to the fake Chat; nothing with the real Chat."""
        if not self._fake_chat:
            return []
        try:
            _, fake = _exchange("GET", self._fake_chat, CONTROL_PATH, FAKE_CHAT_SECONDS)
            return list(fake["state"]["messages"])
        except (OSError, HTTPException, ValueError, LookupError, TypeError) as exc:
            raise WatchkeeperError(f"no response from the fake Chat ({type(exc).__name__})") from exc


def _exchange(
    method: str, address: str, path: str, seconds: float, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    connection = HTTPConnection(urlsplit(address).netloc, timeout=seconds)
    try:
        connection.request(method, path, body=body, headers=dict(headers or {}))
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def _body() -> dict[str, Any]:
    body = flask.request.get_json(silent=True)
    if not isinstance(body, dict):
        raise InvalidInput("the request is not a JSON object")
    return body


def _person(body: Mapping[str, Any]) -> Person:
    email = str(body.get("email") or "").strip() or PERSON
    return Person(email=email[:200], is_add_on=body.get("generation") != "classic")
