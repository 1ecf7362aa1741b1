"""The status, the message and the log line of each error."""

import pytest

from shared.errors import (
    CertificatesUnavailable,
    Forbidden,
    InvalidInput,
    InvalidSettings,
    NotBegun,
    RenewalFailed,
    StoreUnavailable,
    Unauthorized,
    WatchkeeperError,
)
from shared.handlers import InvalidPayload
from shared.model.definition import InvalidJob
from shared.model.life import NotPossible
from tests.support.called_function import TRACE, TRACE_FIELD, Answers, Ask, Lines, error_of


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
        pytest.param(NotBegun("no time"), 503, "not_begun", id="not-begun"),
        pytest.param(CertificatesUnavailable("no certificates"), 503, "certificates_unavailable", id="certificates"),
    ],
)
def test_each_error_has_its_status(ask: Ask, answers: Answers, exc: Exception, status: int, code: str) -> None:
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


@pytest.mark.parametrize("exc", [InvalidInput("odd"), NotBegun("odd")])
def test_what_is_no_fault_of_the_function_is_a_warning(
    ask: Ask, answers: Answers, lines: Lines, exc: Exception
) -> None:
    """A stranger's bad request and the end of a process wake nobody."""
    answers.outcome = exc

    ask()

    assert ("WARNING", "odd") in [(line["severity"], line["message"]) for line in lines()]


@pytest.mark.parametrize("exc", [StoreUnavailable("no store"), InvalidSettings("LOG_LEVEL is odd")])
def test_a_server_error_is_logged_as_an_error(ask: Ask, answers: Answers, lines: Lines, exc: Exception) -> None:
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
def test_invalid_settings_are_reported_on_each_request(
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


def test_valid_settings_are_read_once(ask: Ask, env: dict[str, str], answers: Answers) -> None:
    """An instance keeps the settings that it started with."""
    ask()
    env |= {"SCHEDULER_STORAGE": "firestore", "LOG_LEVEL": "LOUD"}
    ask()

    assert answers.calls[0].settings is answers.calls[1].settings
    assert ask("GET", "/health").json == {"status": "ok", "function": "tick", "storage": "json"}
