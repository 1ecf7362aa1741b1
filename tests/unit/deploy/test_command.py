"""One run of deploy_functions.sh: how it ends, and the command to continue with."""

import re
import shlex
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.deploying import REGION, SCRIPT, SETTINGS
from tests.support.gcloud import NUMBER, PROJECT
from tests.support.recorder import Recorder, installed, refused, shown
from watchkeeper.deploy.command import main
from watchkeeper.deploy.gcloud import Ended, execute
from watchkeeper.deploy.signals import Interrupted, raised
from watchkeeper.deploy.staging import try_import

PLACE = ("--project", PROJECT, "--region", REGION)
THERE = {"projects describe": shown(NUMBER), "tasks queues describe": shown("RUNNING")}
GO_ON = f"{SCRIPT} {{}} --project {PROJECT} --region {REGION} --settings {{}}"


def test_a_failed_step_stops_the_run_and_prints_how_to_continue(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The output has what was done, what was not, and one command for each remaining verb; no files are left."""
    answers = {"projects describe": shown(NUMBER), "functions describe": shown("ACTIVE")}
    gcloud = Recorder({"scheduler jobs create http gmail": refused("no"), **answers})

    code = gcloud.run(settings, "schedules", "--only", "airtable_refresh", "gmail_watch", "tick")

    assert code == 1
    assert capsys.readouterr().err == (
        "\n"
        "done      schedule: tick\n"
        "FAILED    schedule: gmail_watch\n"
        "not done  schedule: airtable_refresh\n"
        "To continue:\n"
        f"  {GO_ON.format('schedules', settings)} --only gmail_watch airtable_refresh\n"
    )
    assert "airtable" not in repr(gcloud.changes)


def test_a_failed_build_keeps_the_functions_behind_it_as_they_are(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Staging counts as done, and the command to continue does it again."""
    gcloud = Recorder({**THERE, "functions deploy watchkeeper-tick": refused("Build failed")})

    code = gcloud.run(settings, "functions", "--only", "chat_webhook", "tick")

    assert code == 1
    assert capsys.readouterr().err == (
        "\n"
        "done      stage: functions\n"
        "FAILED    deploy: tick\n"
        "not done  deploy: chat_webhook\n"
        "To continue:\n"
        f"  {GO_ON.format('functions', settings)} --only tick chat_webhook\n"
    )
    assert gcloud.changes == ["functions deploy watchkeeper-tick"]


def test_the_rest_of_all_is_printed_as_one_command_per_verb(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Setup continues for the functions that were named, other verbs for those that remain."""
    gcloud = Recorder({"firestore databases": refused("PERMISSION_DENIED"), "projects describe": shown(NUMBER)})

    code = gcloud.run(settings, "all", "--only", "tick", "chat_webhook")

    said = capsys.readouterr().err
    assert code == 1
    assert "ERROR: PERMISSION_DENIED\nerror: gcloud firestore databases failed; see its error above" in said
    assert said.partition("To continue:\n")[2] == (
        f"  {GO_ON.format('setup', settings)} --only tick chat_webhook\n"
        f"  {GO_ON.format('functions', settings)} --only tick chat_webhook\n"
        f"  {GO_ON.format('schedules', settings)} --only tick\n"
        f"  {GO_ON.format('monitoring', settings)}\n"
        f"  {GO_ON.format('smoke', settings)} --only tick chat_webhook\n"
    )


def test_the_command_to_continue_a_build_leaves_out_the_same_functions(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A function that is not configured is refused if the command does not say that it may be left out."""
    settings.write_text("ALLOWED_USERS=*@example.com\n")
    names = ("--only", "tick", "airtable_refresh")

    code = Recorder({"services enable": refused("no")}).run(settings, "setup", "--if-configured", *names)

    (command,) = re.findall(r"^  .*deploy_functions.sh (.*)", capsys.readouterr().err, re.MULTILINE)
    assert code == 1
    assert Recorder().run(settings, *shlex.split(command), place=()) == 0


def test_the_command_to_continue_can_be_pasted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also if the name of the settings file has spaces or quotes."""
    settings = tmp_path / "our own.env"
    settings.write_text(SETTINGS)

    Recorder({"scheduler jobs describe": refused("no")}).run(settings, "pause")

    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("  "))
    assert shlex.split(line)[:8] == [str(SCRIPT), "pause", *PLACE, "--settings", str(settings)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_prints_how_to_continue(
    settings: Path, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    """Like a failure; the exit code shows the signal."""

    def interrupted(command: Sequence[str], *, stdin: bytes | None, is_captured: bool) -> Ended:
        signal.raise_signal(number)
        raise AssertionError("it goes on")

    env = {"PATH": str(settings.parent)}
    (settings.parent / "gcloud").touch(0o755)
    code = main(["pause", *PLACE, "--settings", str(settings)], env=env, execute=interrupted)

    said = capsys.readouterr().err
    assert code == -number
    assert "\nFAILED    pause: tick\nnot done  pause: gmail_watch\n" in said
    assert (
        f"To continue:\n  {GO_ON.format('pause', settings)} --only tick gmail_watch airtable_refresh run_job\n" in said
    )


def test_a_signal_that_is_ignored_interrupts_nothing() -> None:
    """For example, a hangup under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with raised():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_interruption_ends_the_command_that_runs() -> None:
    """Even if only our process got the signal."""

    def interrupt(number: int, frame: object) -> None:
        raise Interrupted(number)

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(Interrupted):
            execute(["sleep", "60"], stdin=None, is_captured=False)
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "says"),
    [
        pytest.param("JOB_HANDLERS=my_jobs", "the tick function cannot be imported as it would be", id="handlers"),
        pytest.param(
            "GMAIL_DELEGATE=", "GMAIL_DELEGATE or GCP_SERVICE_ACCOUNT_JSON_PATH (for gmail_watch)", id="unset"
        ),
        pytest.param("SCHEDULER_STORAGE=json", "SCHEDULER_STORAGE is 'json' in the cloud", id="local-storage"),
    ],
)
def test_a_function_that_would_not_run_is_not_uploaded(
    settings: Path, capsys: pytest.CaptureFixture[str], setting: str, says: str
) -> None:
    """All functions are imported and their settings checked before the first call that deploys."""
    settings.write_text(f"{SETTINGS}{setting}\n")
    gcloud = Recorder(try_import=try_import)

    code = gcloud.run(settings, "functions", "--only", "tick", "gmail_watch")

    said = capsys.readouterr().err
    assert code == 1
    assert says in said
    assert "FAILED    stage: functions" in said
    assert gcloud.changes == []


@pytest.mark.slow
def test_chat_is_public_for_a_token_that_only_code_can_check(settings: Path) -> None:
    """With CHAT_AUTH=project_number everybody may call it, and the project's number is looked up."""
    settings.write_text(f"{SETTINGS}CHAT_AUTH=project_number\n")
    policy = "run services get-iam-policy watchkeeper-chat-webhook"
    gcloud = Recorder({**THERE, policy: shown("user:former@example.com")})
    told: list[str] = []

    def execute(command: Sequence[str], *, stdin: bytes | None, is_captured: bool) -> Ended:
        told.extend(Path(word.partition("=")[2]).read_text() for word in command if word.startswith("--env-vars-file="))
        return gcloud(command, stdin=stdin, is_captured=is_captured)

    place = [*PLACE, "--settings", str(settings)]
    code = main(
        ["functions", "--only", "chat_webhook", *place], env={"PATH": str(installed(settings.parent))}, execute=execute
    )

    (env,) = told
    assert code == 0
    assert f'"CHAT_AUDIENCE": "{NUMBER}"' in env
    assert "AUTH_CALLERS" not in env
    assert "--member=allUsers" in gcloud.flags("run services add-iam-policy-binding")
    assert "--member=user:former@example.com" in gcloud.flags("run services remove-iam-policy-binding")


def test_a_missing_project_is_named(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its number is part of what is deployed."""
    code = Recorder().run(settings, "functions")

    assert code == 1
    assert capsys.readouterr().err == f"error: there is no project {PROJECT}\n"


def test_the_output_and_the_errors_of_a_command_are_kept_apart() -> None:
    """Its stdin, both outputs and its exit code arrive; there are no questions."""
    script = 'cat; echo "$CLOUDSDK_CORE_DISABLE_PROMPTS" >&2; exit 3'

    assert execute(["sh", "-c", script], stdin=b"\x00\xff", is_captured=True) == Ended(3, b"\x00\xff", "1\n")


def test_a_silenced_gcloud_still_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise everything would look as if it were missing, and no error had a reason."""
    monkeypatch.setenv("CLOUDSDK_CORE_USER_OUTPUT_ENABLED", "false")
    monkeypatch.setenv("CLOUDSDK_CORE_VERBOSITY", "none")
    script = 'echo "$CLOUDSDK_CORE_USER_OUTPUT_ENABLED $CLOUDSDK_CORE_VERBOSITY"'

    assert execute(["sh", "-c", script], stdin=None, is_captured=True).output == b"1 warning\n"


def test_a_warning_does_not_count_as_missing(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What may not be seen is not taken for missing."""
    denied = Ended(1, errors="WARNING: the configuration was not found\nERROR: (gcloud.scheduler) PERMISSION_DENIED\n")

    code = Recorder({"scheduler jobs describe": denied}).run(settings, "destroy", "--yes", "--only", "tick")

    assert code == 1
    assert "gcloud scheduler jobs failed" in capsys.readouterr().err
