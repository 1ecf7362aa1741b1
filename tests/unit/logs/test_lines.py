"""The format of a log line; every line arrives complete."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.logs import JsonFormatter, job_fields, set_up_logs
from tests.support.log_lines import TRACE, TRACE_FIELD, Lines, Unspeakable, log


def test_a_line_has_time_severity_and_message(lines: Lines) -> None:
    """Severity, message, time and logger are in the fields that Cloud Logging reads."""
    before = datetime.now(UTC)

    log.warning("Job %s will run again", "report")

    (line,) = lines()
    assert before <= datetime.fromisoformat(line.pop("time")) <= datetime.now(UTC)
    assert line == {"severity": "WARNING", "message": "Job report will run again", "logger": "watchkeeper.test"}


@pytest.mark.parametrize("severity", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
def test_the_severity_is_the_level(lines: Lines, severity: str) -> None:
    """Python's names are Cloud Logging's."""
    set_up_logs("DEBUG")

    log.log(getattr(logging, severity), "hello")

    assert [line["severity"] for line in lines()] == [severity]


def test_fields_are_beside_the_message(lines: Lines) -> None:
    """Each can be searched for."""
    log.info("Job completed", extra={"fields": {"action": "job_completed", "attempt": 2, "runs": [{"error": None}]}})

    (line,) = lines()
    assert (line["action"], line["attempt"], line["runs"]) == ("job_completed", 2, [{"error": None}])


def say(*values: object, **how: Any) -> None:
    """Print, as a handler does."""
    print(*values, **how)  # noqa: T201  # what is tested


@pytest.fixture
def running_job() -> Iterator[None]:
    """A handler that runs in this thread."""
    token = job_fields.set({"job_id": "report", "attempt": 2})
    yield
    job_fields.reset(token)


@pytest.mark.usefixtures("running_job")
def test_the_job_that_runs_is_on_every_line(lines: Lines) -> None:
    """Including lines of other libraries; a line's own fields have priority."""
    logging.getLogger("elsewhere").warning("one")
    log.warning("two", extra={"fields": {"attempt": 3, "rows": 7}})

    assert [(line["job_id"], line["attempt"], line.get("rows")) for line in lines()] == [
        ("report", 2, None),
        ("report", 3, 7),
    ]


@pytest.mark.usefixtures("running_job")
def test_what_a_handler_prints_names_its_job(lines: Lines) -> None:
    """It becomes a log line; an empty line does not."""
    say("two", "words", 3, sep="-")
    say()

    (line,) = lines()
    assert (line["message"], line["job_id"], line["severity"]) == ("two-words-3", "report", "INFO")


def test_what_is_printed_elsewhere_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a job, to another file, or without the end of the line."""
    say("plain", flush=True)
    token = job_fields.set({"job_id": "report"})
    try:
        say("to stderr", file=sys.stderr)
        say("no end", end=".")
    finally:
        job_fields.reset(token)

    assert capsys.readouterr() == ("plain\nno end.", "to stderr\n")


@pytest.mark.usefixtures("request_with_trace")
@pytest.mark.parametrize(
    ("project", "trace"),
    [pytest.param("", TRACE, id="no-project"), pytest.param("acme", f"projects/acme/traces/{TRACE}", id="project")],
)
def test_the_trace_is_on_every_line(lines: Lines, project: str, trace: str) -> None:
    """With the project's name if it is known, so that Cloud Logging can link to it; other libraries' lines too."""
    set_up_logs("INFO", project)

    log.info("one")
    logging.getLogger("elsewhere").warning("two")

    assert [line[TRACE_FIELD] for line in lines()] == [trace, trace]


def test_without_a_request_there_is_no_trace(lines: Lines) -> None:
    """An empty trace would link to nothing."""
    log.info("starting")

    (line,) = lines()
    assert TRACE_FIELD not in line


def test_an_exception_is_logged_with_its_traceback(lines: Lines) -> None:
    """Error Reporting finds it under `stack_trace`."""
    try:
        raise ValueError("no such person")
    except ValueError:
        log.exception("Job failed")

    (line,) = lines()
    assert (line["severity"], line["message"]) == ("ERROR", "Job failed")
    assert line["stack_trace"].startswith("Traceback (most recent call last):\n")
    assert line["stack_trace"].endswith("ValueError: no such person")


def test_an_exception_may_be_given_by_itself(lines: Lines) -> None:
    """For example, one that was caught earlier in another thread."""
    log.error("Job failed", exc_info=ValueError("no such person"))

    (line,) = lines()
    assert line["stack_trace"] == "ValueError: no such person"


def test_a_line_without_an_exception_has_no_stack_trace(lines: Lines) -> None:
    """Otherwise Error Reporting would count it."""
    log.error("Job failed", exc_info=None)

    (line,) = lines()
    assert "stack_trace" not in line


@pytest.mark.parametrize(
    "message",
    [
        pytest.param("two\nlines\r\nand\u2028more\x00", id="newlines"),
        pytest.param("100 % of %s and %d", id="percent-signs"),
        pytest.param('{"severity": "EMERGENCY"}', id="json"),
        pytest.param("Grüße 😀", id="any-script"),
        pytest.param("", id="nothing"),
    ],
)
def test_any_message_is_one_line_and_comes_back_as_it_was(lines: Lines, message: str) -> None:
    """No message can forge a line or lose one."""
    log.info(message)

    assert [line["message"] for line in lines()] == [message]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        pytest.param(datetime(2026, 11, 21, 9, tzinfo=UTC), "2026-11-21 09:00:00+00:00", id="a-time"),
        pytest.param(ValueError("no"), "no", id="an-exception"),
        pytest.param(b"\xff", "b'\\xff'", id="bytes"),
        pytest.param({"ada"}, "{'ada'}", id="a-set"),
    ],
)
def test_a_value_that_json_does_not_know_is_logged_as_text(lines: Lines, value: object, told: str) -> None:
    """The line and its other fields arrive."""
    log.info("hello", extra={"fields": {"value": value, "attempt": 2}})

    (line,) = lines()
    assert (line["value"], line["attempt"]) == (told, 2)


def endless() -> dict[str, object]:
    value: dict[str, object] = {}
    value["itself"] = value
    return value


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(float("nan"), id="not-a-number"),
        pytest.param([float("inf")], id="infinity-in-a-list"),
        pytest.param({(1, 2): 3}, id="a-key-that-is-no-text"),
        pytest.param(endless(), id="without-end"),
        pytest.param(Unspeakable(), id="that-cannot-be-told"),
    ],
)
def test_a_value_that_cannot_be_written_does_not_lose_the_line(lines: Lines, value: object) -> None:
    """The message arrives with all other fields, as JSON that Cloud Logging can read."""
    log.info("hello", extra={"fields": {"value": value, "action": "test"}})

    (line,) = lines()
    assert (line["severity"], line["message"], line["action"]) == ("INFO", "hello", "test")
    assert "value" in line


def test_arguments_that_do_not_fit_do_not_lose_the_line() -> None:
    """A wrong call of the logger shows in the log, not on stderr."""
    record = logging.makeLogRecord({"msg": "%d jobs", "args": ("many",)})

    line = json.loads(JsonFormatter().format(record))

    assert line["message"] == "%d jobs ('many',)"


def test_a_message_that_cannot_be_printed_does_not_lose_the_line() -> None:
    """Even if the message itself is the object that fails."""
    line = json.loads(JsonFormatter().format(logging.makeLogRecord({"levelname": "ERROR", "msg": Unspeakable()})))

    assert line["severity"] == "ERROR"
    assert line["message"].startswith("a Unspeakable that cannot be printed")


def test_text_that_utf_8_cannot_encode_does_not_lose_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON allows half of a surrogate pair, so a job's message may contain it."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="utf-8"))

    log.info("half: \ud83d", extra={"fields": {"name": "\udc00"}})

    line = json.loads(written.getvalue())
    assert line["message"].startswith("half: ")


def test_fields_cannot_replace_those_of_the_line_itself(lines: Lines) -> None:
    """A field named `severity` or `message` does not hide an error."""
    log.error("hello", extra={"fields": {"severity": "DEBUG", "message": "nothing"}})

    (line,) = lines()
    assert (line["severity"], line["message"]) == ("ERROR", "hello")


def test_lines_go_to_the_current_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    """functions-framework replaces stdout for each request, to add the execution id."""
    replaced = io.StringIO()

    with redirect_stdout(replaced):
        log.info("within")
    log.info("after")

    assert json.loads(replaced.getvalue())["message"] == "within"
    assert json.loads(capsys.readouterr().out)["message"] == "after"


def test_each_line_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """So lines of different threads do not mix."""
    writes: list[str] = []

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            writes.append(text)
            return len(text)

    monkeypatch.setattr(sys, "stdout", Stream())

    log.info("hello")

    assert [json.loads(text)["message"] for text in writes] == ["hello"]
    assert writes[0].endswith("}\n")


def test_a_line_is_flushed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line of a killed process arrives."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(written), encoding="utf-8"))

    log.info("hello")

    assert b"hello" in written.getvalue()


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("DEBUG", ["our debug", "our info", "our error", "their info", "their error"]),
        ("INFO", ["our info", "our error", "their info", "their error"]),
        ("ERROR", ["our error", "their error"]),
    ],
)
def test_the_level_decides_what_is_logged(lines: Lines, level: str, heard: list[str]) -> None:
    """LOG_LEVEL=DEBUG is for our own lines: other libraries would log every detail of every request."""
    set_up_logs(level)

    for whose, logger in (("our", log), ("their", logging.getLogger("elsewhere"))):
        logger.debug("%s debug", whose)
        logger.info("%s info", whose)
        logger.error("%s error", whose)

    assert [line["message"] for line in lines()] == heard


def test_a_second_set_up_doubles_no_line(lines: Lines) -> None:
    """It replaces the handlers of the framework or of an earlier set-up."""
    logging.getLogger().addHandler(logging.StreamHandler(sys.stdout))
    set_up_logs("INFO")
    set_up_logs("INFO")

    log.info("hello")

    assert len(lines()) == 1
