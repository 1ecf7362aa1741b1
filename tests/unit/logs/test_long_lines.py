"""How long a log line may be, and what is cut."""

import json
import logging
import re
from typing import Any, NoReturn

import pytest

from shared.logs import MOST_FIELDS, JsonFormatter, cut
from tests.support.log_lines import Lines, Unspeakable, log, parsed


class Wordy:
    """An object with a short text and a very long representation."""

    def __str__(self) -> str:
        return "short"

    def __repr__(self) -> str:
        return "x" * 1_000_000


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


HUGE = 300_000
LIMIT = 100_000  # bytes; Cloud Logging drops an entry of 256 KB
huge_texts = pytest.mark.parametrize("char", ["x", "\n", '"', "é", "😀", "\ud83d"])


@huge_texts
def test_a_long_message_is_cut_in_the_middle(char: str) -> None:
    """The line is below the limit, however long its characters are in JSON; the message keeps both ends."""
    record = logging.makeLogRecord({"levelname": "ERROR", "msg": f"head{char * HUGE}tail", "fields": {"action": "a"}})

    text = JsonFormatter().format(record)

    line = json.loads(text)
    assert len(text.encode()) < LIMIT
    assert (line["severity"], line["action"]) == ("ERROR", "a")
    assert line["message"].startswith(f"head{char * 100}")
    assert line["message"].endswith(f"{char * 100}tail")
    assert re.search(r" \.\.\. \[\d+ characters cut\] \.\.\. ", line["message"])


@huge_texts
def test_a_long_traceback_keeps_its_head_and_its_tail(char: str, lines: Lines) -> None:
    """The head names the place, the tail the last error; an error's text may have megabytes in between."""

    def handler() -> NoReturn:
        raise ValueError(char * HUGE)

    try:
        try:
            handler()
        except ValueError as exc:
            raise RuntimeError(f"gave up{char * HUGE}the end") from exc
    except RuntimeError:
        log.exception("Job failed", extra={"fields": {"action": "job_failed"}})

    (line,) = lines()
    assert len(json.dumps(line)) < LIMIT
    assert (line["severity"], line["message"], line["action"]) == ("ERROR", "Job failed", "job_failed")
    assert line["stack_trace"].startswith("Traceback (most recent call last):\n")
    assert "in handler" in line["stack_trace"]
    assert line["stack_trace"].endswith("the end")


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"error": "x" * HUGE}, id="a-text"),
        pytest.param({"error": ["😀" * HUGE]}, id="a-text-in-a-list"),
        pytest.param({"error": {str(number): number for number in range(50_000)}}, id="a-wide-object"),
        pytest.param({"error": nested(100_000)}, id="a-deep-list"),
        pytest.param({"error": b"\xff" * HUGE}, id="bytes"),
        pytest.param({"error": ValueError("x" * HUGE)}, id="an-exception"),
        pytest.param({"error": [Wordy()], "ratio": float("nan")}, id="one-that-is-long-only-as-a-text"),
        pytest.param({"error": Unspeakable(), "text": "x" * HUGE}, id="one-that-cannot-be-told"),
        pytest.param({"error": 1, "x" * HUGE: 1, "\n" * HUGE: 2}, id="long-names"),
        pytest.param({"error": 1, **{f"field-{number}": "x" * 1000 for number in range(1000)}}, id="many"),
        pytest.param({"error": 1, **{f"{number}" + "😀" * 999: "😀" * 999 for number in range(99)}}, id="many-wide"),
    ],
)
@pytest.mark.parametrize("message", ["Job failed", "😀" * HUGE], ids=["short-message", "long-message"])
def test_fields_of_any_size_fit_into_a_line(fields: dict[Any, Any], message: str) -> None:
    """Severity, message and action survive, and at least a part of the first field."""
    record = logging.makeLogRecord(
        {"levelname": "ERROR", "msg": message, "fields": {**fields, "action": "job_failed", "severity": "DEBUG"}}
    )

    text = JsonFormatter().format(record)

    line = parsed(text)
    assert len(text.encode()) < LIMIT
    assert (line["severity"], line["action"]) == ("ERROR", "job_failed")
    assert line["message"].startswith(message[:100])
    assert "error" in line


def test_what_is_left_out_of_a_line_is_counted() -> None:
    """So the rest is not taken for the whole."""
    fields = {f"field-{number}": "x" * 1000 for number in range(1000)}

    line = json.loads(JsonFormatter().format(logging.makeLogRecord({"msg": "hello", "fields": fields})))

    assert line["field-0"] == "x" * 1000
    assert line["fields_left_out"] == 1000 - MOST_FIELDS


def test_a_line_that_fits_is_whole() -> None:
    """Only a line that is too long loses fields."""
    fields = {"metrics": {str(number): number for number in range(1000)}, "error": "x" * 20_000}

    line = json.loads(JsonFormatter().format(logging.makeLogRecord({"msg": "x" * 15_000, "fields": fields})))

    assert {name: line[name] for name in fields} == fields
    assert line["message"] == "x" * 15_000


@pytest.mark.parametrize("size", [59, 60, 61, 100])
@pytest.mark.parametrize("char", ["x", "é", "😀"])
def test_a_text_at_the_limit_is_whole_and_a_longer_one_is_not(char: str, size: int) -> None:
    """The limit counts bytes as JSON."""
    text = char * size
    width = len(json.dumps(text)) - 2

    assert cut(text, width) == text
    assert len(json.dumps(cut(text * 100, 300))) - 2 <= 300
