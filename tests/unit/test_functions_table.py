"""The table of functions, and how it is read."""

from datetime import timedelta
from pathlib import Path

import pytest

from local.functions_table import Function, SchedulerJob, read_functions
from shared.errors import InvalidSettings
from shared.recurrence import Recurrence

TABLE = """
[functions.tick]
entry_point = "tick"
timeout_seconds = 60

[functions.tick.scheduler]
name = "watchkeeper-tick"
schedule = "${SCHEDULER_CADENCE:-* * * * *}"
time_zone = "UTC"
"""


def test_the_tick_runs_every_minute_and_has_time_for_its_longest_handler() -> None:
    """The shipped table: budget 50 s + longest handler 120 s + 10 s is the timeout, and the attempt deadline too."""
    three_minutes = timedelta(seconds=180)

    functions = read_functions({})

    assert functions[0] == Function(
        name="tick",
        entry_point="tick",
        timeout=three_minutes,
        scheduler_job=SchedulerJob(
            name="watchkeeper-tick", recurrence=Recurrence("* * * * *", "UTC"), attempt_deadline=three_minutes
        ),
    )


@pytest.mark.parametrize(
    ("cadence", "cron"),
    [
        pytest.param("*/5 * * * *", "*/5 * * * *", id="set"),
        pytest.param(" ", "* * * * *", id="empty"),
    ],
)
def test_a_setting_in_the_table_comes_from_the_environment(cadence: str, cron: str) -> None:
    """`${NAME:-default}` is the setting, and the default where the setting is empty, as everywhere."""
    functions = read_functions({"SCHEDULER_CADENCE": cadence, "SCHEDULER_TIMEZONE": "Europe/Berlin"})

    assert functions[0].scheduler_job is not None
    assert functions[0].scheduler_job.recurrence == Recurrence(cron, "Europe/Berlin")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param('entry_point = "tick"', "", "tick: entry_point must be text", id="missing"),
        pytest.param("60", '"60"', "tick: timeout_seconds must be a whole number", id="wrong-type"),
        pytest.param("tick.scheduler", "tick.schedule", "tick: there is no table schedule", id="misspelt-table"),
        pytest.param('"UTC"', '"Mars"', "scheduler: schedule or time_zone cannot be used: .*'Mars'", id="bad-zone"),
        pytest.param("[functions.tick]", "[functions.tick", "cannot be read: .*line 2", id="no-toml"),
    ],
)
def test_what_is_wrong_in_the_table_is_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    """An unusable table is one error that names the file and the key."""
    path = tmp_path / "functions.toml"
    path.write_text(TABLE.replace(old, new))

    with pytest.raises(InvalidSettings, match=f"{path}.*{says}"):
        read_functions({}, path)
