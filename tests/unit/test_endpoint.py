"""The HTTP border that all functions share: who may call, the answers, and the log."""

import io
import json
import logging
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import flask
import pytest
from werkzeug.test import TestResponse

from shared.errors import (
    CertificatesUnavailable,
    Forbidden,
    InvalidInput,
    InvalidSettings,
    RenewalFailed,
    StoreUnavailable,
    Unauthorized,
    WatchkeeperError,
)
from shared.handlers import InvalidPayload
from shared.model.definition import InvalidJob
from shared.model.life import NotPossible
from shared.settings import AuthMode
from shared.web.endpoint import Call, endpoint, is_stopping
from tests.tokens import AUDIENCE, CALLER, IdentityProvider, google_claims, without_signature

TRACE = "0af7651916cd43dd8448eb211c80319c"
OTHER_TRACE = "105445aa7843bc8bf206b12000100000"
TRACE_FIELD = "logging.googleapis.com/trace"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

log = logging.getLogger("watchkeeper.test")

Ask = Callable[..., TestResponse]
Lines = Callable[[], list[dict[str, Any]]]


class Unread(io.RawIOBase):
    """A body that never arrives."""

    def readinto(self, buffer: Any) -> int:
        raise AssertionError("the body is read")


class Answers:
    """A function behind the endpoint: it records its calls, and returns or raises what a test sets."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.outcome: Mapping[str, Any] | Exception = {"metrics": {"jobs_due": 0}}

    def __call__(self, call: Call) -> Mapping[str, Any]:
        self.calls.append(call)
        log.warning("Working")
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Restore the logging of this process."""
    root, own = logging.getLogger(), logging.getLogger("watchkeeper")
    handlers, levels = root.handlers[:], (root.level, own.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    own.setLevel(levels[1])


@pytest.fixture
def env() -> dict[str, str]:
    """The environment of the function; a test may change it."""
    return {"AUTH_MODE": "off"}


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def ask(env: dict[str, str], answers: Answers, now: datetime) -> Ask:
    """Return a function that makes a request, routed as functions-framework does: any path and any method."""
    serve = endpoint("tick", answers, env=env, clock=lambda: now)
    app = flask.Flask(__name__)
    app.add_url_rule("/", "root", lambda: serve(flask.request), methods=METHODS, provide_automatic_options=False)
    app.add_url_rule(
        "/<path:path>", "path", lambda path: serve(flask.request), methods=METHODS, provide_automatic_options=False
    )

    def ask(method: str = "POST", path: str = "/", **request: Any) -> TestResponse:
        return app.test_client().open(path, method=method, **request)

    return ask


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    """Return a function that returns the log lines since its last call."""
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with IdentityProvider() as provider:
        yield provider


@pytest.fixture
def closed(env: dict[str, str], provider: IdentityProvider) -> dict[str, str]:
    """The environment of a function that allows one caller."""
    env |= {
        "AUTH_MODE": "verify",
        "AUTH_AUDIENCE": AUDIENCE,
        "AUTH_CALLERS": CALLER,
        "AUTH_CERTS_URL": provider.url,
        "CRON_SECRET": "open-sesame-open-sesame",
    }
    return env


def error_of(response: TestResponse) -> dict[str, Any]:
    """Return the error of an answer, after checking the form that every error has."""
    assert response.json is not None
    assert response.json.keys() == {"status", "error", "trace_id"}
    assert response.json["status"] == "error"
    assert response.json["error"].keys() == {"code", "message"}
    error: dict[str, Any] = response.json["error"]
    return error


# -- answers -----------------------------------------------------------------------------------------------------------


def test_a_post_is_answered_by_the_function(ask: Ask, answers: Answers, now: datetime) -> None:
    """The answer has success, time, trace and the function's result."""
    response = ask(headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})

    (call,) = answers.calls
    assert (call.now, call.trace_id, call.caller) == (now, TRACE, "anonymous")
    assert call.settings.auth.mode is AuthMode.OFF
    assert response.status_code == 200
    assert response.json == {
        "status": "success",
        "timestamp": "2026-11-21T09:00:00Z",
        "trace_id": TRACE,
        "metrics": {"jobs_due": 0},
    }


@pytest.mark.parametrize("path", ["/", "/cron/tick", "/any/other/path", "/cron/tick?force=1", "/health"])
def test_any_path_can_be_posted_to(ask: Ask, answers: Answers, path: str) -> None:
    """The function is the same at every address that Scheduler may use."""
    response = ask(path=path)

    assert response.status_code == 200
    assert len(answers.calls) == 1


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param({"data": b"{", "content_type": "application/json"}, id="broken-json"),
        pytest.param({"data": b"\xff\xfe", "content_type": "text/plain; charset=klingon"}, id="unknown-charset"),
        pytest.param({"data": b"x", "content_type": "multipart/form-data"}, id="form-without-boundary"),
        pytest.param({"data": b"x", "content_type": "application/octet-stream"}, id="what-scheduler-sends"),
        pytest.param({"data": b"x", "headers": {"Content-Length": "99"}}, id="shorter-than-it-says"),
        pytest.param({"environ_overrides": {"wsgi.input": Unread(), "CONTENT_LENGTH": "1" * 12}}, id="a-terabyte"),
        pytest.param({"content_type": "application/json"}, id="nothing"),
    ],
)
def test_body_and_content_type_are_ignored(ask: Ask, request_: dict[str, Any]) -> None:
    """What a scheduler sends has no meaning."""
    response = ask(**request_)

    assert response.status_code == 200


@pytest.mark.parametrize("path", ["/health", "/tick/health", "/cron/tick/health?x=1"])
@pytest.mark.usefixtures("closed")
def test_health_is_told_to_anybody(ask: Ask, answers: Answers, path: str) -> None:
    """Without authentication, without work, and without a secret."""
    response = ask("GET", path)

    assert response.status_code == 200
    assert response.json == {"status": "ok", "function": "tick", "storage": "json"}
    assert answers.calls == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *((method, "/") for method in METHODS if method != "POST"),
        *((method, "/health") for method in METHODS if method not in ("GET", "POST")),
        ("GET", "/healthy"),
        ("GET", "/unhealth"),
        ("GET", "/health/"),
        ("GET", "/health/now"),
        ("GET", "/?/health"),
    ],
)
def test_any_other_method_is_not_allowed(ask: Ask, answers: Answers, method: str, path: str) -> None:
    """A GET runs nothing; the answer names the right method."""
    response = ask(method, path)

    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]
    assert answers.calls == []
    if method != "HEAD":
        assert error_of(response) == {"code": "method_not_allowed", "message": f"{method} is not allowed; use POST"}


# -- pages of other websites -------------------------------------------------------------------------------------------

FOREIGN = [
    pytest.param({"Host": "evil.example:8081"}, id="rebound-name"),
    pytest.param({"Origin": "https://evil.example"}, id="other-origin"),
    pytest.param({"Sec-Fetch-Site": "cross-site"}, id="other-site"),
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_without_authentication_no_other_website_is_answered(
    ask: Ask, answers: Answers, lines: Lines, headers: Mapping[str, str]
) -> None:
    """A page in a browser on this machine can send requests here; with AUTH_MODE=off nothing else would stop it."""
    called, health, preflight = (
        ask(*asked, headers=headers) for asked in (("POST",), ("GET", "/health"), ("OPTIONS",))
    )

    assert [called.status_code, health.status_code, preflight.status_code] == [403, 403, 403]
    assert error_of(called)["code"] == "forbidden"
    assert "AUTH_MODE=off" in error_of(called)["message"]
    assert answers.calls == []
    assert "auth_refused" in [line.get("action") for line in lines()]


@pytest.mark.parametrize("headers", FOREIGN)
def test_with_authentication_the_token_decides(ask: Ask, closed: Mapping[str, str], headers: Mapping[str, str]) -> None:
    """In the cloud a function has its own host name, and a page of another site has no token."""
    assert ask("GET", "/health", headers=headers).status_code == 200
    assert ask("POST", headers=headers).status_code == 401
    authorized = {**headers, "Authorization": f"Bearer {closed['CRON_SECRET']}"}
    assert ask("POST", headers=authorized).status_code == 200


# -- authentication ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("closed")
def test_the_caller_is_let_in(ask: Ask, answers: Answers, provider: IdentityProvider, now: datetime) -> None:
    """The function gets the caller of a good token."""
    response = ask(headers={"Authorization": f"Bearer {provider.token(google_claims(now))}"})

    assert response.status_code == 200
    assert [call.caller for call in answers.calls] == [CALLER]


@pytest.mark.usefixtures("closed")
def test_the_secret_lets_in(ask: Ask, answers: Answers) -> None:
    """CRON_SECRET replaces a token."""
    response = ask(headers={"Authorization": "Bearer open-sesame-open-sesame"})

    assert response.status_code == 200
    assert [call.caller for call in answers.calls] == ["cron-secret"]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"Authorization": "Bearer open"}, id="wrong-secret"),
        pytest.param({"Authorization": "Basic b3Blbi1zZXNhbWU="}, id="another-scheme"),
        pytest.param({"X-CloudScheduler": "true", "X-CloudScheduler-JobName": "watchkeeper-tick"}, id="headers-alone"),
    ],
)
@pytest.mark.usefixtures("closed")
def test_who_proves_nothing_is_unauthorized(ask: Ask, answers: Answers, headers: dict[str, str]) -> None:
    """401, and nothing runs."""
    response = ask(headers=headers)

    assert response.status_code == 401
    assert error_of(response)["code"] == "unauthorized"
    assert answers.calls == []


@pytest.mark.parametrize(
    ("claims", "change", "status", "code"),
    [
        pytest.param({"aud": "https://elsewhere.example"}, str, 401, "unauthorized", id="wrong-audience"),
        pytest.param({}, without_signature, 401, "unauthorized", id="no-signature"),
        pytest.param({"email": "mallory@acme.iam.gserviceaccount.com"}, str, 403, "forbidden", id="another-caller"),
    ],
)
@pytest.mark.usefixtures("closed")
def test_a_token_that_is_not_good_enough_is_refused(
    ask: Ask,
    answers: Answers,
    provider: IdentityProvider,
    now: datetime,
    *,
    claims: dict[str, str],
    change: Callable[[str], str],
    status: int,
    code: str,
) -> None:
    """401 for an unknown caller, 403 for a known one who may not call."""
    token = change(provider.token(google_claims(now, **claims)))

    response = ask(headers={"Authorization": f"Bearer {token}"})

    assert response.status_code == status
    assert error_of(response)["code"] == code
    assert answers.calls == []


@pytest.mark.usefixtures("closed")
def test_a_token_that_cannot_be_checked_now_is_no_refusal(
    ask: Ask, answers: Answers, provider: IdentityProvider, now: datetime
) -> None:
    """503, so that Scheduler and alerts see a fault of ours."""
    provider.status = 500

    response = ask(headers={"Authorization": f"Bearer {provider.token(google_claims(now))}"})

    assert response.status_code == 503
    assert error_of(response)["code"] == "certificates_unavailable"
    assert answers.calls == []


@pytest.mark.usefixtures("closed")
def test_certificates_are_kept_between_requests(ask: Ask, provider: IdentityProvider, now: datetime) -> None:
    """A tick a minute costs no fetch a minute."""
    headers = {"Authorization": f"Bearer {provider.token(google_claims(now))}"}

    ask(headers=headers)
    ask(headers=headers)

    assert provider.fetches == 1


@pytest.mark.usefixtures("closed")
def test_no_token_and_no_secret_is_logged(ask: Ask, lines: Lines, provider: IdentityProvider, now: datetime) -> None:
    """Neither for an accepted caller nor for a refused one."""
    good, bad = provider.token(google_claims(now)), provider.token(google_claims(now - timedelta(days=1)))

    for credentials in (good, bad, "open-sesame-open-sesame", "open-seasons-open-seasons"):
        ask(headers={"Authorization": f"Bearer {credentials}"})

    logged = json.dumps(lines())
    assert [secret for secret in (*good.split("."), *bad.split("."), "sesame", "seasons") if secret in logged] == []


@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer e30.e30.e30"}], ids=["no-token", "forged"])
def test_a_strangers_body_is_not_read(ask: Ask, headers: dict[str, str]) -> None:
    """A refused request costs no more than its headers."""
    response = ask(headers=headers, environ_overrides={"wsgi.input": Unread(), "CONTENT_LENGTH": "1" * 12})

    assert response.status_code == 401


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exc", "status", "code"),
    [
        pytest.param(InvalidInput("the id is taken"), 400, "invalid_request", id="input"),
        pytest.param(InvalidJob("the id is too long"), 400, "invalid_request", id="job"),
        pytest.param(NotPossible("it runs"), 400, "invalid_request", id="not-possible"),
        pytest.param(InvalidPayload("no message"), 400, "invalid_request", id="payload"),
        pytest.param(Unauthorized("who are you?"), 401, "unauthorized", id="unauthorized"),
        pytest.param(Forbidden("not you"), 403, "forbidden", id="forbidden"),
        pytest.param(InvalidSettings("LOG_LEVEL is odd"), 500, "invalid_settings", id="settings"),
        pytest.param(RenewalFailed("1 of 2", {}), 500, "renewal_failed", id="renewal"),
        pytest.param(StoreUnavailable("no store"), 503, "store_unavailable", id="store"),
        pytest.param(CertificatesUnavailable("no certificates"), 503, "certificates_unavailable", id="certificates"),
    ],
)
def test_an_error_of_ours_has_its_status(ask: Ask, answers: Answers, exc: Exception, status: int, code: str) -> None:
    """One table has all errors; the message is for the caller."""
    answers.outcome = exc

    response = ask()

    assert response.status_code == status
    assert error_of(response) == {"code": code, "message": str(exc)}


def test_a_partial_renewal_answers_with_what_did_work(ask: Ask, answers: Answers) -> None:
    """The answer has the lists beside the error and cannot replace it."""
    answers.outcome = RenewalFailed("1 of 2", {"watches": [1], "failed": [2], "status": "success"})

    response = ask()

    assert response.json is not None
    assert {name: response.json[name] for name in ("status", "watches", "failed")} == {
        "status": "error",
        "watches": [1],
        "failed": [2],
    }


def test_what_a_stranger_can_do_is_no_error_of_ours(ask: Ask, answers: Answers, lines: Lines) -> None:
    """It is logged as a warning, and wakes nobody."""
    answers.outcome = InvalidInput("odd")

    ask()

    assert ("WARNING", "odd") in [(line["severity"], line["message"]) for line in lines()]


@pytest.mark.parametrize("exc", [StoreUnavailable("no store"), InvalidSettings("LOG_LEVEL is odd")])
def test_an_error_that_is_our_trouble_is_logged_as_one(
    ask: Ask, answers: Answers, lines: Lines, exc: Exception
) -> None:
    """Alerts look for ERROR."""
    answers.outcome = exc

    ask()

    assert [line["message"] for line in lines() if line["severity"] == "ERROR"] == [str(exc)]


@pytest.mark.parametrize(
    "exc",
    [
        pytest.param(RuntimeError("password hunter2"), id="any-error"),
        pytest.param(WatchkeeperError("password hunter2"), id="an-error-of-ours-without-a-status"),
    ],
)
def test_an_unexpected_error_is_in_the_log_and_not_in_the_answer(
    ask: Ask, answers: Answers, lines: Lines, exc: Exception
) -> None:
    """The caller gets a trace id to look for; the log has the traceback under it."""
    answers.outcome = exc

    response = ask(headers={"X-Cloud-Trace-Context": TRACE})

    assert response.status_code == 500
    assert error_of(response)["code"] == "internal"
    assert "hunter2" not in response.text
    (line,) = [line for line in lines() if line["severity"] == "ERROR"]
    assert line["stack_trace"].startswith("Traceback")
    assert line["stack_trace"].endswith(": password hunter2")
    assert line[TRACE_FIELD] == TRACE


@pytest.mark.parametrize(("method", "path"), [("POST", "/"), ("GET", "/health")])
def test_wrong_settings_are_told_on_each_request(
    ask: Ask, env: dict[str, str], answers: Answers, lines: Lines, method: str, path: str
) -> None:
    """The function starts and answers with the error, and recovers once they are corrected."""
    env |= {"SCHEDULER_CONCURRENCY": "many", "LOG_LEVEL": "LOUD"}

    responses = [ask(method, path), ask(method, path)]
    said = [line["message"] for line in lines() if line["severity"] == "ERROR"]
    env |= {"SCHEDULER_CONCURRENCY": "8", "LOG_LEVEL": "INFO"}
    mended = ask(method, path)

    for response in responses:
        assert response.status_code == 500
        assert error_of(response)["code"] == "invalid_settings"
        assert "SCHEDULER_CONCURRENCY" in response.text
        assert "LOG_LEVEL" in response.text
    assert len(said) == 2
    assert mended.status_code == 200


def test_good_settings_are_read_once(ask: Ask, env: dict[str, str], answers: Answers) -> None:
    """An instance keeps the settings that it started with."""
    ask()
    env |= {"SCHEDULER_STORAGE": "firestore", "LOG_LEVEL": "LOUD"}
    ask()

    assert answers.calls[0].settings is answers.calls[1].settings
    assert ask("GET", "/health").json == {"status": "ok", "function": "tick", "storage": "json"}


# -- trace and log -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}, id="traceparent"),
        pytest.param({"traceparent": f"01-{TRACE}-b7ad6b7169203331-01-more"}, id="traceparent-of-a-later-version"),
        pytest.param({"X-Cloud-Trace-Context": f"{TRACE}/12345;o=1"}, id="cloud-trace"),
        pytest.param({"X-Cloud-Trace-Context": TRACE}, id="cloud-trace-alone"),
        pytest.param({"X-Cloud-Trace-Context": f"{TRACE.upper()}/1"}, id="cloud-trace-in-upper-case"),
        pytest.param(
            {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "X-Cloud-Trace-Context": f"{OTHER_TRACE}/1"},
            id="traceparent-before-cloud-trace",
        ),
        pytest.param(
            {"traceparent": f"00-{OTHER_TRACE}-short-01", "X-Cloud-Trace-Context": f"{TRACE}/1"},
            id="cloud-trace-when-traceparent-is-malformed",
        ),
        pytest.param(
            {"traceparent": f"00-{'0' * 32}-b7ad6b7169203331-01", "X-Cloud-Trace-Context": f"{TRACE}/1"},
            id="cloud-trace-when-traceparent-is-nought",
        ),
    ],
)
def test_the_trace_of_the_request_is_in_the_answer_and_on_every_line(
    ask: Ask, lines: Lines, headers: dict[str, str]
) -> None:
    """In lower case, so that the log of the caller and ours can be read together."""
    response = ask(headers=headers)

    assert response.json is not None
    assert response.json["trace_id"] == TRACE
    assert {line[TRACE_FIELD] for line in lines()} == {TRACE}


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="none"),
        pytest.param({"traceparent": f"00-{TRACE[:-1]}-b7ad6b7169203331-01"}, id="traceparent-too-short"),
        pytest.param({"traceparent": f"00-{TRACE[:-1]}g-b7ad6b7169203331-01"}, id="traceparent-not-hex"),
        pytest.param({"traceparent": f"00-{TRACE.upper()}-B7AD6B7169203331-01"}, id="traceparent-in-upper-case"),
        pytest.param({"traceparent": f"00-{TRACE}"}, id="traceparent-without-its-end"),
        pytest.param({"traceparent": f"00-{'0' * 32}-b7ad6b7169203331-01"}, id="traceparent-nought"),
        pytest.param({"X-Cloud-Trace-Context": "../../etc/passwd"}, id="cloud-trace-nonsense"),
        pytest.param({"X-Cloud-Trace-Context": f"{TRACE}0/1"}, id="cloud-trace-too-long"),
        pytest.param({"X-Cloud-Trace-Context": f"{'0' * 32}/1"}, id="cloud-trace-nought"),
        pytest.param({"X-Cloud-Trace-Context": f"/{TRACE}"}, id="cloud-trace-without-its-beginning"),
    ],
)
def test_a_request_without_a_good_trace_gets_one_of_its_own(ask: Ask, lines: Lines, headers: dict[str, str]) -> None:
    """So its lines can be found together."""
    responses = [ask(headers=headers), ask(headers=headers)]

    traces = [response.json["trace_id"] for response in responses if response.json]
    assert all(re.fullmatch(r"[0-9a-f]{32}", trace) and trace not in (TRACE, "0" * 32) for trace in traces)
    assert len(set(traces)) == 2
    assert {line[TRACE_FIELD] for line in lines()} == set(traces)


@pytest.mark.parametrize("outcome", [StoreUnavailable("no store"), RuntimeError("oh")], ids=["ours", "unexpected"])
def test_the_trace_is_in_error_answers_too(ask: Ask, answers: Answers, lines: Lines, outcome: Exception) -> None:
    """There it is needed most."""
    answers.outcome = outcome

    response = ask(headers={"X-Cloud-Trace-Context": f"{TRACE}/1"})

    assert response.json is not None
    assert response.json["trace_id"] == TRACE
    assert {line[TRACE_FIELD] for line in lines()} == {TRACE}


def test_the_trace_is_in_a_refusal_too(ask: Ask) -> None:
    """A wrong method is answered before anything else, and under the same trace."""
    response = ask("PUT", headers={"X-Cloud-Trace-Context": f"{TRACE}/1"})

    assert response.json is not None
    assert response.json["trace_id"] == TRACE


def test_the_trace_ends_with_its_request(ask: Ask, lines: Lines) -> None:
    """A line outside a request has none."""
    ask(headers={"X-Cloud-Trace-Context": f"{TRACE}/1"})
    lines()

    log.warning("between requests")

    assert [line.get(TRACE_FIELD) for line in lines()] == [None]


def test_the_trace_links_to_the_project(ask: Ask, env: dict[str, str], lines: Lines) -> None:
    """In the form that Cloud Logging makes a link of."""
    env["GOOGLE_CLOUD_PROJECT"] = "acme"

    ask(headers={"X-Cloud-Trace-Context": f"{TRACE}/1"})

    assert {line[TRACE_FIELD] for line in lines()} == {f"projects/acme/traces/{TRACE}"}


def test_each_call_is_one_line_that_names_the_caller(ask: Ask, lines: Lines) -> None:
    """With Scheduler's own headers, cut short, because anybody can send them."""
    ask(headers={"X-CloudScheduler-JobName": "j" * 1000, "X-CloudScheduler-ScheduleTime": "2026-11-21T09:00:00Z"})

    (line,) = [line for line in lines() if line["message"] == "tick called"]
    assert (line["severity"], line["caller"]) == ("INFO", "anonymous")
    assert (line["job"], line["scheduled"]) == ("j" * 100, "2026-11-21T09:00:00Z")


def test_the_log_level_of_the_settings_is_in_force(ask: Ask, env: dict[str, str], lines: Lines) -> None:
    """LOG_LEVEL=ERROR leaves out what succeeded."""
    env["LOG_LEVEL"] = "ERROR"

    ask()

    assert lines() == []


# -- the end of the process --------------------------------------------------------------------------------------------


class Worker:
    """A gunicorn worker: its signal handler is a method and clears `alive`."""

    def __init__(self) -> None:
        self.alive = True

    def handle_exit(self, number: int, frame: object) -> None:
        self.alive = False


@pytest.fixture
def sigterm() -> Iterator[Callable[[Any], object]]:
    """Return a function that sets the handler of SIGTERM; the former handler is restored after the test."""
    before = signal.getsignal(signal.SIGTERM)
    yield lambda handler: signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGTERM, before)


def test_a_worker_that_was_told_to_end_is_noticed(sigterm: Callable[[Any], object]) -> None:
    """From within the request that it is still working on."""
    worker = Worker()
    sigterm(worker.handle_exit)

    before = is_stopping()
    signal.raise_signal(signal.SIGTERM)

    assert (before, is_stopping()) == (False, True)


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(signal.SIG_DFL, id="nobody"),
        pytest.param(signal.SIG_IGN, id="ignored"),
        pytest.param(lambda number, frame: None, id="a-function"),
        pytest.param([].append, id="a-method-of-something-else"),
    ],
)
def test_without_gunicorn_nothing_is_stopping(sigterm: Callable[[Any], object], handler: Any) -> None:
    """On one's own machine, or under another server, a tick runs to its end."""
    sigterm(handler)

    assert not is_stopping()
