"""What is answered: success, health, and methods and pages that are refused."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from shared.settings import AuthMode
from tests.support.called_function import METHODS, TRACE, Answers, Ask, Lines, Unread, error_of


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
def test_health_needs_no_authentication(ask: Ask, answers: Answers, path: str) -> None:
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
