"""`watchkeeper doctor` for a deployment: its settings, errors of gcloud and remedies."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.support.examined import judged, remedies
from watchkeeper.cli.main import watchkeeper
from watchkeeper.deploy.asking import CannotAsk, last_error
from watchkeeper.session import Session


def test_a_question_that_cannot_be_asked_is_a_finding() -> None:
    """It names the question and has gcloud's error."""
    expected = [("wrong", "who has which role could not be checked: PERMISSION_DENIED: no")]

    assert judged("roles", "who has which role", CannotAsk("PERMISSION_DENIED: no")) == expected


@pytest.mark.parametrize(
    ("said", "line"),
    [
        pytest.param(
            "WARNING: old\nERROR: (gcloud.run.services.get-iam-policy) PERMISSION_DENIED: no\n- '@type': Info\n",
            "PERMISSION_DENIED: no",
            id="with-details",
        ),
        pytest.param("Traceback\nValueError: bad\n\n", "ValueError: bad", id="no-error-line"),
        pytest.param("ERROR: " + "x" * 400, "x" * 300, id="long"),
        pytest.param("", "gcloud failed and did not say why", id="nothing"),
    ],
)
def test_only_the_error_of_gcloud_is_shown(said: str, line: str) -> None:
    """In one line, without the name of the command."""
    assert last_error(said) == line


def test_a_remedy_can_be_pasted_into_a_shell() -> None:
    """It has the settings file and the functions that were given, or neither."""
    wanted = remedies("tick", "gmail_watch")
    place = "./deploy_functions.sh setup --project demo --region eu"

    assert replace(wanted, file=Path("my prod.env")).deploy("setup") == (
        f"run `{place} --settings 'my prod.env' --only tick gmail_watch`"
    )
    assert replace(wanted, file=None, only=()).deploy("setup") == f"run `{place}`"


@pytest.mark.parametrize(
    ("subject", "about", "answer"),
    [
        pytest.param("roles", "who has which role", "WARNING", id="a-text"),
        pytest.param("apis", "what is enabled", [{"config": {}}], id="without-a-name"),
        pytest.param("queue", "watchkeeper-agents", {"retryConfig": {"maxBackoff": "long"}}, id="no-number"),
    ],
)
def test_an_answer_of_another_form_is_a_finding(subject: str, about: str, answer: object) -> None:
    """Another version of gcloud may show something else; the other checks are still made."""
    (finding,) = judged(subject, about, answer)

    assert finding[0] == "wrong"
    assert finding[1].startswith(f"{about} could not be checked: gcloud answered in an unexpected form (")


def doctor(env: Mapping[str, str], *arguments: str) -> Result:
    """Call `watchkeeper doctor`."""
    session = Session(env=env, clock=lambda: datetime.now(UTC), user="ada")
    return CliRunner().invoke(watchkeeper, ["doctor", *arguments], obj=session)


def test_a_missing_permission_is_a_line_for_each_check(tmp_path: Path) -> None:
    """Checks that need the unknown number of the project are left out."""
    gcloud = tmp_path / "gcloud"
    gcloud.write_text("#!/bin/sh\necho 'ERROR: (gcloud.any) PERMISSION_DENIED: no' >&2\nexit 1\n")
    gcloud.chmod(0o755)
    settings = tmp_path / "prod.env"
    settings.write_text("ALLOWED_USERS=*@example.com\n")
    only = ("--only", "tick", "--only", "chat_webhook")

    result = doctor({"PATH": str(tmp_path)}, "--project", "demo", "--region", "eu", "--settings", str(settings), *only)

    settings_line, project, *others = result.stdout.splitlines()
    assert result.exit_code == 1
    assert settings_line.startswith(
        "ok       settings  jobs are kept in the REAL Firestore: project demo, database (default)"
    )
    assert project.endswith(
        "demo could not be checked: PERMISSION_DENIED: no; what Chat calls is left out, since it depends on the "
        "project's number"
    )
    assert [line.split()[:2] for line in others] == [
        ["wrong", subject]
        for subject in (
            *("apis", "database", "database", "database", "accounts", "roles", "queue", "queue", "queue"),
            *("function", "caller", "caller", "schedule", "deployment", "deployer"),
        )
    ]


@pytest.mark.parametrize("answer", ["Updates are available.", "[]", '{"name": "demo"}'])
def test_a_project_that_gcloud_shows_in_another_form_is_a_finding(tmp_path: Path, answer: str) -> None:
    """So is every other answer, and nothing is a traceback."""
    gcloud = tmp_path / "gcloud"
    gcloud.write_text(f"#!/bin/sh\necho '{answer}'\n")
    gcloud.chmod(0o755)
    (tmp_path / "prod.env").write_text("ALLOWED_USERS=*@example.com\n")
    place = ("--project", "demo", "--region", "eu", "--settings", str(tmp_path / "prod.env"), "--only", "tick")

    result = doctor({"PATH": str(tmp_path)}, *place)

    assert isinstance(result.exception, SystemExit)
    assert result.exit_code == 1
    assert "\nwrong    project   demo could not be checked: gcloud " in result.stdout


@pytest.mark.parametrize(
    ("only", "is_warned"), [pytest.param("chat_webhook", True, id="chat"), pytest.param("tick", False, id="another")]
)
def test_a_webhook_that_any_app_may_call_is_warned_of(tmp_path: Path, only: str, is_warned: bool) -> None:
    """If the webhook is examined; with the command to run after the change."""
    settings = tmp_path / "prod.env"
    settings.write_text("CHAT_AUTH=endpoint\n")

    result = doctor({"PATH": ""}, "--project", "demo", "--region", "eu", "--settings", str(settings), "--only", only)

    warnings = [line for line in result.stdout.splitlines() if line.startswith("warning  chat ")]
    assert len(warnings) == is_warned
    for line in warnings:
        assert "CHAT_AUTH=endpoint is legacy" in line
        assert "./deploy_functions.sh all --project demo --region eu" in line
        assert line.endswith("--only chat_webhook`")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        pytest.param("CHAT_AUTH=classic", "CHAT_AUTH is 'classic'", id="kind-of-token"),
        pytest.param("LOG_LEVEL=loud", "LOG_LEVEL is 'loud'", id="any-setting"),
    ],
)
def test_settings_that_cannot_be_used_are_the_only_finding(tmp_path: Path, line: str, says: str) -> None:
    """Without settings the right state is unknown, so gcloud is not called."""
    settings = tmp_path / "prod.env"
    settings.write_text(line)

    result = doctor({"PATH": ""}, "--project", "demo", "--region", "eu", "--settings", str(settings))

    assert result.exit_code == 1
    assert result.stdout.startswith("wrong    settings")
    assert says in result.stdout
    assert result.stdout.count("\n") == 1


def test_settings_that_are_missing_are_named(tmp_path: Path) -> None:
    """Everything else is still examined."""
    settings = tmp_path / "prod.env"
    settings.write_text("GMAIL_USER_EMAIL=agent@example.com\n")

    result = doctor({"PATH": ""}, "--project", "demo", "--region", "eu", "--settings", str(settings))

    first, second, *_ = result.stdout.splitlines()
    assert first.startswith("wrong    settings  not set: GMAIL_WATCH_TOPIC (for")
    assert second.startswith("wrong    gcloud    it is not installed")


@pytest.mark.parametrize("arguments", [("--project", "demo"), ("--region", "eu"), ("--only", "tick")])
def test_a_deployment_has_a_project_and_a_region(arguments: tuple[str, ...]) -> None:
    """Neither comes from gcloud's own configuration."""
    result = doctor({}, *arguments)

    assert result.exit_code == 2
    assert "give both --project and --region" in result.stderr
