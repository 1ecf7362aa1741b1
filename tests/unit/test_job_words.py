"""Which command a text is, and which jobs it means: by rules."""

from datetime import UTC, datetime

import pytest

from job_words import Command, matching, read_command
from shared.model.job import Job

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)


def job(job_id: str, text: str, at: str) -> Job:
    """Make a job that posts a text at a clock time in UTC."""
    moment = datetime.fromisoformat(f"2026-11-22T{at}:00Z")
    return Job.create(job_id, "chat_message", payload={"text": text}, at=moment, now=NOW)


JOBS = (
    job("a1", "<users/1> call mum", "08:30"),
    job("a2", "stand-up", "09:00"),
    job("a3", "stand-up notes", "21:00"),
    job("a4", "send the report", "10:00"),
    job("a5", "water the plants", "12:00"),
    job("a6", "water the plants", "13:00"),
)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("jobs?", Command(action="list")),
        ("My jobs", Command(action="mine")),
        ("what's scheduled?", Command(action="list")),
        ("could you help me?", Command(action="help")),
        ("please cancel tea.", Command(action="cancel", about="tea")),
        ("cancel tea, please!", Command(action="cancel", about="tea")),
        ("move tea to 9 thanks", Command(action="move", about="tea", when="9")),
        ("cancel tea please, many thanks!", Command(action="cancel", about="tea")),
        ("cancel tea, thank you so much", Command(action="cancel", about="tea")),
        ("cancel the reminder to say thanks", Command(action="cancel", about="the reminder to say thanks")),
        ("remove my tea reminder", Command(action="cancel", about="my tea reminder")),
        ("run tea now", Command(action="run", about="tea")),
        ("show me the tea job", Command(action="show", about="the tea job")),
        ("show my jobs", Command(action="mine")),
        ("move walk to work to 9", Command(action="move", about="walk to work", when="9")),
        ("snooze", Command(action="snooze", when="10 minutes")),
        ("snooze this for 2 hours", Command(action="snooze", when="2 hours")),
        ("snooze until tomorrow", Command(action="snooze", when="tomorrow")),
        ("cancel say hello to Ada", Command(action="cancel", about="say hello to Ada")),
        ("move it", None),
        ("cancel", None),
        ("list the files of the project", None),
        ("help me with my jobs", None),
        ("why did you cancel tea?", None),
        ("runtime error", None),
    ],
)
def test_command_is_read(text: str, command: Command | None) -> None:
    """Other texts are not commands."""
    assert read_command(text) == command


@pytest.mark.parametrize(
    ("about", "ids", "is_sure"),
    [
        pytest.param("a4", ["a4"], True, id="its-id"),
        pytest.param("job a4", ["a4"], True, id="its-id-as-a-job"),
        pytest.param("the reminder to call mum", ["a1"], True, id="its-text"),
        pytest.param("Call Mum", ["a1"], True, id="in-capitals"),
        pytest.param("my 8:30 reminder", ["a1"], True, id="its-time"),
        pytest.param("the 8.30 am job", ["a1"], True, id="its-time-with-am"),
        pytest.param("my 8:30 pm reminder", [], False, id="another-half-of-the-day"),
        pytest.param("the reminder at 9", ["a2", "a3"], False, id="two-times"),
        pytest.param("the standup", ["a2"], True, id="without-its-hyphen"),
        pytest.param("stand-up", ["a2"], True, id="whole-before-a-part"),
        pytest.param("the notes", ["a3"], False, id="a-part"),
        pytest.param("report", ["a4"], False, id="one-word"),
        pytest.param("water the plants", ["a5", "a6"], False, id="two-texts"),
        pytest.param("call dad", [], False, id="another-text"),
        pytest.param("call", ["a1"], False, id="a-word-of-it"),
        pytest.param("the rep", [], False, id="no-whole-word"),
        pytest.param("my reminder", ["a1", "a2", "a3", "a4", "a5", "a6"], False, id="any"),
        pytest.param("it", [], False, id="it"),
        pytest.param("25:00", [], False, id="no-time"),
        pytest.param("13 pm", [], False, id="no-time-with-pm"),
    ],
)
def test_job_is_found_by_its_id_text_or_time(about: str, ids: list[str], is_sure: bool) -> None:
    """Whole names before parts; only one whole name is sure."""
    found = matching(about, JOBS, action="pause", timezone="UTC")

    assert ([each.id for each in found.jobs], found.is_sure) == (ids, is_sure)


def test_times_are_in_the_persons_time_zone() -> None:
    """The cards show them in this zone, too."""
    assert matching("9:30", JOBS, action="pause", timezone="Europe/Berlin").jobs == (JOBS[0],)


def test_job_that_allows_the_command_comes_first() -> None:
    """Of two plants, the one that is paused can be resumed."""
    paused = JOBS[4].pause(now=NOW)

    found = matching("water the plants", [paused, JOBS[5]], action="resume", timezone="UTC")

    assert (found.jobs, found.is_sure) == ((paused,), True)


@pytest.mark.parametrize(
    ("about", "ids"),
    [pytest.param("🍕", ["pizza"], id="the-one-it-names"), pytest.param("-", [], id="another-sign")],
)
def test_text_without_letters_is_found_by_its_signs(about: str, ids: list[str]) -> None:
    """Two such texts both have no words, but they are not the same."""
    jobs = [job("cake", "🎂", "09:30"), job("pizza", "🍕", "10:30")]

    assert [each.id for each in matching(about, jobs, action="cancel", timezone="UTC").jobs] == ids
