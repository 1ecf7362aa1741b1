"""`cron` explains an expression and lists its next occurrences."""

import json
from datetime import timedelta

import pytest

from tests.support.command_line import Terminal
from watchkeeper.times import span


def test_occurrences_are_local_times(run: Terminal) -> None:
    """The description first; each time with offset and weekday; the day of a clock change is marked."""
    result = run("cron", "30 2 * * *", "--timezone", "Europe/Berlin", "--from", "2026-03-28T02:30", "--count", "3")

    assert result.stdout.splitlines() == [
        "At 02:30, every day (Europe/Berlin)",
        "2026-03-28 02:30:00+01:00  Saturday",
        "2026-03-29 03:00:00+02:00  Sunday    the clocks change on this day, from +01:00 to +02:00",
        "2026-03-30 02:30:00+02:00  Monday",
    ]


def test_occurrences_for_programs_are_utc(run: Terminal) -> None:
    """A list of ISO times from now on, in the zone of SCHEDULER_TIMEZONE."""
    run.env["SCHEDULER_TIMEZONE"] = "Asia/Tokyo"

    result = run("cron", "0 9 * * *", "--count", "2", "--json")

    assert json.loads(result.stdout) == ["2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"]


def test_a_doubtful_expression_gives_a_warning(run: Terminal) -> None:
    """On stderr, so that a script reads only JSON."""
    result = run("cron", "0 9 */2 * 1-5")

    assert "either is enough" in result.stderr
    assert len(result.stdout.splitlines()) == 5
    assert json.loads(run("cron", "0 9 */2 * 1-5", "--json").stdout)


def test_an_expression_that_begins_with_a_hyphen_is_not_an_option(run: Terminal) -> None:
    """The error is about the expression."""
    result = run("cron", "-5 * * * *")

    assert result.exit_code == 1
    assert "Cron expression '-5 * * * *', minute '-5'" in result.stderr


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        pytest.param("@daily", "Daily (UTC)", id="name"),
        pytest.param("0 9 * * l5", "At 09:00, on the last Friday of the month (UTC)", id="last-friday"),
        pytest.param("0 9 * * mon#2", "At 09:00, on the second Monday of the month (UTC)", id="second-monday"),
        pytest.param("*/15 * * * *", "Every 15 minutes (UTC)", id="step"),
    ],
)
def test_a_schedule_is_described_in_words(run: Terminal, expression: str, words: str) -> None:
    """The first line describes the expression."""
    assert run("cron", expression).stdout.splitlines()[0] == words


def test_a_schedule_that_words_cannot_describe_is_listed(run: Terminal) -> None:
    """An expression that the library cannot describe still has occurrences."""
    result = run("cron", "1 2,*/7 * * *", "--count", "1")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].endswith("Saturday")


@pytest.mark.parametrize(
    ("length", "text"),
    [
        pytest.param(timedelta(seconds=119), "119 s", id="seconds"),
        pytest.param(timedelta(minutes=2), "2 min", id="minutes"),
        pytest.param(timedelta(hours=34), "34 h", id="hours"),
        pytest.param(timedelta(days=41, hours=5), "41 days", id="days"),
    ],
)
def test_a_length_is_written_in_its_largest_unit(length: timedelta, text: str) -> None:
    """The largest unit that fits at least twice, so that rounding down loses little."""
    assert span(length) == text
