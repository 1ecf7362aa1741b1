"""Help, wrong usage and how a command ends."""

from collections.abc import Iterator, Mapping, Sequence

import click
import pytest

from tests.support.command_line import HELLO, Terminal
from watchkeeper.cli.main import watchkeeper


def commands(group: click.Group, *path: str) -> Iterator[Sequence[str]]:
    """Return the path of every command below a group."""
    for name, command in group.commands.items():
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)


@pytest.mark.parametrize("path", [pytest.param(path, id=" ".join(path)) for path in commands(watchkeeper)])
def test_every_command_has_help_with_an_example(run: Terminal, path: Sequence[str]) -> None:
    """Its help describes it and gives an example."""
    result = run(*path, "--help")

    assert result.exit_code == 0
    assert path == ("jobs",) or f"  watchkeeper {' '.join(path)}" in result.stdout


@pytest.mark.parametrize("path", [[], ["jobs"]], ids=["watchkeeper", "jobs"])
def test_the_list_of_commands_has_whole_sentences(run: Terminal, path: Sequence[str]) -> None:
    """click cuts a long one at the width of the terminal."""
    listed = run(*path, "--help").stdout.partition("Commands:\n")[2]

    assert [line for line in listed.splitlines() if not line.endswith(".")] == []


def test_the_version_is_that_of_the_package(run: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--version` prints the installed release."""
    monkeypatch.setattr("importlib.metadata.version", {"watchkeeper": "1.2.3"}.get)

    assert run("--version").stdout == "watchkeeper 1.2.3\n"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param(["jobs", "add", "log", "--payload", "{"], "'{' is not JSON", id="broken-json"),
        pytest.param(["jobs", "add", "log", "--payload", "[1]"], "no object", id="no-object"),
        pytest.param(["jobs", "add", "log", "--payload", "@nowhere"], "nowhere cannot be read", id="no-payload-file"),
        pytest.param(["jobs", "add", "log", "--at", "tomorrow"], "'tomorrow' is not an ISO time", id="time"),
        pytest.param(["jobs", "add", "log", "--in", "5x"], "'5x' is not a duration", id="duration"),
        pytest.param(["jobs", "add", "log", "--in", ""], "'' is not a duration", id="empty-duration"),
        pytest.param(["jobs", "add", "log", "--in", "5m", "--at", "2026-11-22"], "not both", id="two-times"),
        pytest.param(["jobs", "add", "log", "--cron", "@daily", "--every", "1d"], "not both", id="two-rhythms"),
        pytest.param(["jobs", "add", "log", "--every", "1d", "--until", "soon"], "'soon' is not an ISO", id="until"),
        pytest.param(["jobs", "edit", "job", "--except", "2026-02-30"], "'2026-02-30' is not a date", id="no-date"),
        pytest.param(["jobs", "edit", "job", "--except", ""], "'' is not a date", id="empty-date"),
        pytest.param(["jobs", "edit", "job", "--grace", "soon"], "'soon' is not a duration", id="grace"),
        pytest.param(["jobs", "edit", "job", "--pause-after-failures", "-1"], "-1 is not in the range", id="failures"),
        pytest.param(["jobs", "add", "log", "--misfire", "panic"], "'panic'", id="misfire"),
        pytest.param(["jobs", "edit", "job"], "Nothing to change", id="empty-edit"),
        pytest.param(["jobs", "list", "--status", "odd"], "'odd'", id="status"),
        pytest.param(["jobs", "cancel"], "Missing argument 'ID...'", id="no-id"),
        pytest.param(["jobs", "import", "nowhere.json"], "nowhere.json", id="no-file"),
        pytest.param(["cron", "@daily", "--count", "0"], "0 is not in the range", id="count"),
        pytest.param(["renew"], "choose gmail or airtable", id="nothing-to-renew"),
        pytest.param(["renew", "slack"], "'slack' is not one of 'gmail', 'airtable'", id="no-service"),
        pytest.param(["remind"], "No such command", id="no-command"),
    ],
)
def test_a_usage_error_names_what_is_wrong(run: Terminal, args: Sequence[str], says: str) -> None:
    """The exit code is 2, and nothing is stored."""
    result = run(*args)

    assert result.exit_code == 2
    assert says in result.stderr
    assert not run.path.exists()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param(["jobs", "add", "log", "--payload", "{}"], "a log job needs", id="payload"),
        pytest.param(["jobs", "add", "no type"], "'no type", id="type"),
        pytest.param(["jobs", "add", "log", "--id", "no id", "--payload", HELLO], "the id 'no id'", id="id"),
        pytest.param(["jobs", "add", "log", "--cron", "61 * * * *"], "'61'", id="cron"),
        pytest.param(["jobs", "add", "log", "--every", "1 day"], "every '1 day' cannot be read", id="every"),
        pytest.param(["jobs", "add", "log", "--every", "1d", "--until", "2020-01-01"], "never runs", id="never"),
        pytest.param(["jobs", "add", "log", "--until", "2027-01-01"], "give cron or every", id="end-of-a-one-shot"),
        pytest.param(["jobs", "add", "log", "--every", "1d", "--grace", "9s"], "from 60", id="grace"),
        pytest.param(["jobs", "add", "log", "--cron", "@daily", "--timezone", "Mars"], "'Mars'", id="timezone"),
        pytest.param(["jobs", "add", "log", "--at", "2027-01-01", "--timezone", "Mars"], "'Mars'", id="zone-of-at"),
        pytest.param(["jobs", "add", "log", "--at", "0001-01-01T00:00+14:00"], "too far away", id="before-all-time"),
        pytest.param(["jobs", "show", "job"], "there is no job job", id="unknown"),
        pytest.param(["jobs", "edit", "job", "--cron", "@daily"], "there is no job job", id="edit-unknown"),
        pytest.param(["cron", "* * *"], "'* * *'", id="cron-fields"),
        pytest.param(["cron", "@daily", "--from", "2026-03-29T02:30", "--timezone", "Europe/Berlin"], "skip", id="gap"),
    ],
)
def test_an_error_is_one_line(run: Terminal, args: Sequence[str], says: str) -> None:
    """A command that cannot be done ends with 1 and one line on stderr that names the cause."""
    result = run(*args)

    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_settings_are_needed_only_where_they_are_used(run: Terminal) -> None:
    """Wrong settings are an error that names them; `cron` with a time zone reads none."""
    run.env["SCHEDULER_STORAGE"] = "paper"

    assert "SCHEDULER_STORAGE is 'paper'" in run("jobs", "list").stderr
    assert run("cron", "@daily", "--timezone", "UTC").exit_code == 0


def test_dev_passes_the_environment_on(run: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code is that of the local run."""
    given: list[tuple[Mapping[str, str], str | None]] = []

    def local_run(env: Mapping[str, str], storage: str | None) -> int:
        given.append((env, storage))
        return 3

    monkeypatch.setattr("watchkeeper.dev.run.run", local_run)

    assert run("dev").exit_code == 3
    assert run("dev", "--storage", "firestore").exit_code == 3
    assert given == [({"SCHEDULER_JSON_PATH": str(run.path)}, storage) for storage in (None, "firestore")]
