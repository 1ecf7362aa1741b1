"""Which requests the console answers: host names, origins, headers and the token."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.console_page import HERE, OURS, get, post
from watchkeeper.console import views
from watchkeeper.console.app import create_console
from watchkeeper.console.system import System

STATIC = Path(views.__file__).parent / "static"


@pytest.mark.parametrize("path", ["/", "/static/main.js", "/api/about", "/api/jobs"])
@pytest.mark.parametrize("host", ["evil.example:8080", "127.0.0.1", "127.0.0.1:9090", "localhost.evil.example:8080"])
def test_another_host_name_is_refused(system: System, path: str, host: str) -> None:
    """A name of another site that resolves to this machine (DNS rebinding) gets nothing."""
    answer = get(system, path, Host=host)

    assert answer.status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080"])
def test_requests_for_its_own_host_names_are_served(system: System, host: str) -> None:
    """The page is served under both names of this machine."""
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
def test_a_change_from_another_page_is_refused(system: System, headers: Mapping[str, str], mimetype: str) -> None:
    """Only our own origin may change anything, and only with JSON, which no form of another site can send."""
    answer = post(system, "/api/jobs", {"type": "log", "message": "hello"}, headers, mimetype)

    assert answer.status_code == 403
    assert list(system.jobs.list()) == []


@pytest.mark.parametrize("headers", [OURS, {"Sec-Fetch-Site": "same-origin"}])
def test_a_change_from_the_page_itself_is_made(system: System, headers: Mapping[str, str]) -> None:
    """Either header proves that our own page sent it."""
    answer = post(system, "/api/jobs", {"type": "log", "message": "hello", "id": "greeting"}, headers)

    assert (answer.status_code, answer.get_json()) == (201, {"id": "greeting", "outcome": "created"})
    assert system.jobs.get("greeting").payload == {"message": "hello"}


def test_another_site_cannot_cause_a_read(system: System) -> None:
    """Each read of the real Firestore costs money."""
    assert get(system, "/api/jobs", Sec_Fetch_Site="cross-site").status_code == 403


@pytest.mark.parametrize("path", ["/", "/static/console.css", "/api/jobs", "/nowhere"])
def test_every_response_has_the_security_headers(system: System, path: str) -> None:
    """The browser may run only our own files, show the page in no frame, and send no referrer."""
    headers = get(system, path).headers

    assert headers["Content-Security-Policy"].startswith("default-src 'self';")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert ("no-store" in headers.get("Cache-Control", "")) == path.startswith("/api/")


def test_the_page_has_no_inline_script_and_writes_no_markup(system: System) -> None:
    """The page has no inline script or style, and its scripts never turn text into elements."""
    page = get(system, "/").get_data(as_text=True)
    scripts = "\n".join(path.read_text(encoding="utf-8") for path in STATIC.glob("*.js"))

    assert page.count("<script") == page.count('<script type="module" src="/static/')
    assert not any(word in page for word in ("<style", " style=", " onclick="))
    assert not any(
        word in scripts for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(")
    )
    assert "//" not in page.replace("http://127.0.0.1", "")


def test_a_huge_body_is_refused(system: System) -> None:
    """A body that is too large is not read to its end."""
    assert post(system, "/api/jobs", {"message": "x" * 300_000}).status_code == 413


@pytest.mark.parametrize(
    ("shown", "status"), [("secret", 200), ("", 401), ("secret2", 401), ("Secret", 401), ("s\xe9cret", 401)]
)
def test_a_token_keeps_other_accounts_out(system: System, shown: str, status: int) -> None:
    """Every account on this machine can reach the port. The page's own files are not secret."""
    client = create_console(system, token="secret").test_client()

    def status_of(path: str) -> int:
        return client.get(path, base_url=HERE, headers={"X-Watchkeeper-Token": shown}, buffered=True).status_code

    assert {status_of(path) for path in ("/api/about", "/api/jobs", "/api/now")} == {status}
    assert status_of("/") == 200
