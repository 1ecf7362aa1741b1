"""The trace of a request, the line about it, and the end of the process."""

import re
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.errors import StoreUnavailable
from shared.web.endpoint import is_stopping
from tests.support.called_function import OTHER_TRACE, TRACE, TRACE_FIELD, Answers, Ask, Lines, log


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
