"""A dry run of deploy_functions.sh."""

from pathlib import Path

import pytest

from tests.support.deploying import SERVICES, SETTINGS
from tests.support.gcloud import PROJECT
from tests.support.recorder import QUESTIONS, Recorder, commands


def test_a_dry_run_prints_every_command_and_calls_nothing(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A shell can parse each; a function's settings are printed before its deployment, and no secret is."""
    gcloud = Recorder()

    code = gcloud.run(settings, "all", "--dry-run")

    said = capsys.readouterr()
    printed = commands(said.out)
    assert (code, said.err, gcloud.commands) == (0, "", [])
    assert {command[0] for command in printed} == {"gcloud"}
    deployments = [command[3] for command in printed if command[1:3] == ["functions", "deploy"]]
    assert deployments == list(SERVICES.values())
    assert "--schedule=*/2 * * * *" in [flag for command in printed for flag in command]
    assert ["monitoring", "dashboards", "create"] in [command[1:4] for command in printed]
    assert f'#  "GMAIL_WATCH_TOPIC": "projects/{PROJECT}/topics/gmail"' in said.out
    assert "s3cret" not in said.out


@pytest.mark.parametrize(
    ("verb", "changes"),
    [
        ("smoke", ["scheduler jobs run gmail-watch-renewal"]),
        ("status", []),
        ("pause", ["scheduler jobs pause gmail-watch-renewal"]),
        ("resume", ["scheduler jobs resume gmail-watch-renewal"]),
        ("rollback", ["run services update-traffic watchkeeper-gmail-watch"]),
        ("destroy", ["scheduler jobs delete gmail-watch-renewal", "functions delete watchkeeper-gmail-watch"]),
    ],
)
def test_every_verb_has_a_dry_run(
    settings: Path, capsys: pytest.CaptureFixture[str], verb: str, changes: list[str]
) -> None:
    """It asks nothing, not even whether to destroy, and prints the commands that would change the project."""
    gcloud = Recorder()

    code = gcloud.run(settings, verb, "--dry-run", "--only", "gmail_watch")

    printed = commands(capsys.readouterr().out)
    assert (code, gcloud.commands) == (0, [])
    assert all(command[0] == "gcloud" and f"--project={PROJECT}" in command for command in printed)
    would = [
        " ".join(word for word in command[1:] if word[0] != "-") for command in printed if not QUESTIONS & {*command}
    ]
    assert would == changes


def test_only_add_ons_need_the_account_of_add_ons(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With CHAT_AUTH=endpoint it is not created."""
    Recorder().run(settings, "setup", "--dry-run")
    assert "services identity create" in capsys.readouterr().out
    settings.write_text(f"{SETTINGS}CHAT_AUTH=endpoint\n")

    Recorder().run(settings, "setup", "--dry-run")

    assert "services identity create" not in capsys.readouterr().out
