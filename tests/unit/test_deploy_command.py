"""The command line of deploy_functions.sh: its dry run, its end, and the command to continue with."""

import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.deploying import REGION, SCRIPT, SERVICES, SETTINGS
from tests.gcloud import NUMBER, PROJECT
from tests.recorder import QUESTIONS, Recorder, commands, installed, refused, shown
from watchkeeper.deploy.command import main
from watchkeeper.deploy.command_line import USAGE, read_command_line
from watchkeeper.deploy.gcloud import Ended, execute
from watchkeeper.deploy.signals import Interrupted, raised
from watchkeeper.deploy.staging import try_import
from watchkeeper.deploy.steps import VERBS

PLACE = ("--project", PROJECT, "--region", REGION)
THERE = {"projects describe": shown(NUMBER), "tasks queues describe": shown("RUNNING")}
GO_ON = f"{SCRIPT} {{}} --project {PROJECT} --region {REGION} --settings {{}}"


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """The settings file of an environment."""
    path = tmp_path / "production.env"
    path.write_text(SETTINGS)
    return path


# -- The command line --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        pytest.param(["deploy"], 2, "unknown verb deploy; choose one of plan, setup, functions", id="verb"),
        pytest.param([], 2, "a verb is missing; see --help", id="no-verb"),
        pytest.param(["pause", "resume"], 2, "two verbs are given, pause and resume; see --help", id="two-verbs"),
        pytest.param(["all", "--force"], 2, "unrecognized arguments: --force; see --help", id="option"),
        pytest.param(["all", "-f"], 2, "unrecognized arguments: -f; see --help", id="short-option"),
        pytest.param(["all", "--only"], 2, "argument --only: expected at least one argument; see --help", id="only"),
        pytest.param(
            ["all", "--only", "--yes"], 2, "argument --only: expected at least one argument; see --help", id="only-yes"
        ),
        pytest.param(["all", "--region"], 2, "argument --region: expected one argument; see --help", id="no-value"),
        pytest.param(["all", "--region", ""], 2, "--region needs a value; see --help", id="empty"),
        pytest.param(["all", "--settings="], 2, "--settings needs a value; see --help", id="variable-that-is-not-set"),
        pytest.param(["all", "--proj", "p"], 2, "unrecognized arguments: --proj p; see --help", id="abbreviation"),
        pytest.param(
            ["all", "--settings", "--yes"], 2, "argument --settings: expected one argument; see --help", id="no-file"
        ),
        pytest.param(
            ["pause", "--only", "chat_webhook"],
            1,
            "neither a Cloud Scheduler job nor a queue calls chat_webhook",
            id="no-job",
        ),
        pytest.param(["all", "--only", "tock"], 1, "unknown function tock; choose one of tick, run_job", id="name"),
        pytest.param(["all", "--project", "No Such"], 1, "--project is 'No Such'", id="project"),
        pytest.param(["all", "--settings", "no.env"], 1, "there is no settings file no.env", id="settings"),
    ],
)
@pytest.mark.parametrize("is_dry_run", [True, False])
def test_a_wrong_command_line_is_one_clear_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    says: str,
    is_dry_run: bool,
) -> None:
    """It is refused before any call, with exit code 2 if it cannot be parsed."""
    gcloud = Recorder()
    before = [*PLACE, "--dry-run"] if is_dry_run else PLACE
    (tmp_path / "gcloud").touch(0o755)

    ended = main([*before, *arguments], env={"PATH": str(tmp_path), "CALLED_FROM": str(tmp_path)}, execute=gcloud)

    said = capsys.readouterr().err
    assert ended == code
    assert said.startswith("error: ")
    assert says in said
    assert said.count("\n") == 1
    assert gcloud.commands == []


@pytest.mark.parametrize("place", [(), PLACE[:2], PLACE[2:]])
def test_a_project_and_a_region_are_needed(
    settings: Path, capsys: pytest.CaptureFixture[str], place: Sequence[str]
) -> None:
    """The project of gcloud's own configuration is never used."""
    code = Recorder().run(settings, "all", place=place)

    assert code == 2
    assert capsys.readouterr().err == "error: --project and --region are required; see --help\n"


def test_options_may_stand_anywhere() -> None:
    """The names of functions end with the next option. A value may follow an equals sign, as with gcloud."""
    place = (f"--project={PROJECT}", f"--region={REGION}")
    line = read_command_line(["--only", "tick", "gmail_watch", "--yes", "destroy", *place, "--only", "tock"])

    assert (line.verb, line.only, line.is_confirmed) == ("destroy", ("tick", "gmail_watch", "tock"), True)
    assert (line.project, line.region) == (PROJECT, REGION)
    assert not line.is_dry_run


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["all", "--help", "--nonsense"], ["--nonsense", "-h"]])
def test_the_help_is_shown_whatever_else_is_asked(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    """It names every verb."""
    code = main(words, env={})

    said = capsys.readouterr()
    assert (code, said.out, said.err) == (0, USAGE, "")
    assert sorted(re.findall(r"^  ([a-z]+) ", USAGE, re.MULTILINE)) == sorted(VERBS)
    assert {*VERBS} == {
        *("plan", "setup", "functions", "schedules", "monitoring", "all"),
        *("smoke", "status", "pause", "resume", "serving", "rollback", "destroy"),
    }


def test_a_settings_file_is_found_from_the_folder_of_the_caller(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands to continue with name it so that they work in every folder."""
    gcloud = Recorder({"services enable": refused("no"), "projects describe": shown(NUMBER)})
    env = {"PATH": str(settings.parent), "CALLED_FROM": str(settings.parent)}
    (settings.parent / "gcloud").touch(0o755)

    code = main(["setup", *PLACE, "--settings", f"../{settings.parent.name}/production.env"], env=env, execute=gcloud)

    assert code == 1
    assert f"\n  {GO_ON.format('setup', settings)}\n" in capsys.readouterr().err


def test_without_gcloud_it_says_where_to_get_it(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run does not need it."""
    env = {"PATH": str(settings.parent)}

    code = main(["pause", *PLACE, "--settings", str(settings)], env=env, execute=Recorder())
    dry = main(["pause", *PLACE, "--settings", str(settings), "--dry-run"], env=env, execute=Recorder())

    assert (code, dry) == (1, 0)
    assert capsys.readouterr().err == "error: gcloud is not installed: https://cloud.google.com/sdk/docs/install\n"


# -- The script --------------------------------------------------------------------------------------------------------


def test_without_an_environment_the_script_says_how_to_make_one(tmp_path: Path) -> None:
    """In one line, with the remedy."""
    script = tmp_path / "deploy_functions.sh"
    script.write_text(SCRIPT.read_text())

    run = subprocess.run(
        ["bash", script, "status"], capture_output=True, encoding="utf-8", env={"PATH": "/usr/bin:/bin"}
    )

    assert run.returncode == 1
    assert run.stderr == (
        f"error: {tmp_path}/.venv/bin/python is not there: run 'make setup', or name a Python that has "
        "requirements-dev.txt in PYTHON\n"
    )


def test_the_script_finds_its_folder_however_it_is_called(tmp_path: Path) -> None:
    """By a link, or where CDPATH makes `cd` print where it goes."""
    (tmp_path / "project").symlink_to(SCRIPT.parent)
    (tmp_path / "deploy").symlink_to(SCRIPT)
    env = {"PATH": "/usr/bin:/bin", "PYTHON": sys.executable, "CDPATH": str(tmp_path)}

    for script in ("deploy", "project/deploy_functions.sh"):
        run = subprocess.run(["bash", script, "--help"], capture_output=True, encoding="utf-8", env=env, cwd=tmp_path)

        assert (run.returncode, run.stdout, run.stderr) == (0, USAGE, "")


def test_an_environment_that_lacks_packages_is_one_line_too(tmp_path: Path) -> None:
    """The system's Python, for example, has none of them."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    python.chmod(0o755)

    run = subprocess.run([SCRIPT, "--help"], capture_output=True, encoding="utf-8", env={"PYTHON": str(python)})

    assert run.returncode == 1
    assert run.stderr.startswith("error: ")
    assert "No module named" in run.stderr
    assert "run 'make setup'" in run.stderr
    assert run.stderr.count("\n") == 1


# -- A dry run ---------------------------------------------------------------------------------------------------------


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


def test_no_other_kind_of_chat_needs_the_account_of_add_ons(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With CHAT_AUTH=endpoint it is not created."""
    Recorder().run(settings, "setup", "--dry-run")
    assert "services identity create" in capsys.readouterr().out
    settings.write_text(f"{SETTINGS}CHAT_AUTH=endpoint\n")

    Recorder().run(settings, "setup", "--dry-run")

    assert "services identity create" not in capsys.readouterr().out


# -- Failures, and how to go on ----------------------------------------------------------------------------------------


def test_a_failed_step_stops_it_and_says_how_to_go_on(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
        "To go on:\n"
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
        "To go on:\n"
        f"  {GO_ON.format('functions', settings)} --only tick chat_webhook\n"
    )
    assert gcloud.changes == ["functions deploy watchkeeper-tick"]


def test_what_is_left_of_all_is_a_command_for_each_verb(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Setup continues for the functions that were named, other verbs for those that remain."""
    gcloud = Recorder({"firestore databases": refused("PERMISSION_DENIED"), "projects describe": shown(NUMBER)})

    code = gcloud.run(settings, "all", "--only", "tick", "chat_webhook")

    said = capsys.readouterr().err
    assert code == 1
    assert "ERROR: PERMISSION_DENIED\nerror: gcloud firestore databases could not be asked; what it said" in said
    assert said.partition("To go on:\n")[2] == (
        f"  {GO_ON.format('setup', settings)} --only tick chat_webhook\n"
        f"  {GO_ON.format('functions', settings)} --only tick chat_webhook\n"
        f"  {GO_ON.format('schedules', settings)} --only tick\n"
        f"  {GO_ON.format('monitoring', settings)}\n"
        f"  {GO_ON.format('smoke', settings)} --only tick chat_webhook\n"
    )


def test_what_is_left_of_a_build_leaves_out_the_same_functions(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A function that is not configured is refused if the command does not say that it may be left out."""
    settings.write_text("ALLOWED_USERS=*@example.com\n")
    names = ("--only", "tick", "airtable_refresh")

    code = Recorder({"services enable": refused("no")}).run(settings, "setup", "--if-configured", *names)

    (command,) = re.findall(r"^  .*deploy_functions.sh (.*)", capsys.readouterr().err, re.MULTILINE)
    assert code == 1
    assert Recorder().run(settings, *shlex.split(command), place=()) == 0


def test_a_command_to_go_on_with_can_be_pasted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also if the name of the settings file has spaces or quotes."""
    settings = tmp_path / "our own.env"
    settings.write_text(SETTINGS)

    Recorder({"scheduler jobs describe": refused("no")}).run(settings, "pause")

    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("  "))
    assert shlex.split(line)[:8] == [str(SCRIPT), "pause", *PLACE, "--settings", str(settings)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_says_how_to_go_on(
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
    assert f"To go on:\n  {GO_ON.format('pause', settings)} --only tick gmail_watch airtable_refresh run_job\n" in said


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
def test_what_would_not_run_is_not_uploaded(
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


def test_a_project_that_is_not_there_is_named(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its number is part of what is deployed."""
    code = Recorder().run(settings, "functions")

    assert code == 1
    assert capsys.readouterr().err == f"error: there is no project {PROJECT}\n"


def test_what_a_command_writes_is_kept_apart() -> None:
    """Its stdin, both outputs and its exit code arrive; there are no questions."""
    script = 'cat; echo "$CLOUDSDK_CORE_DISABLE_PROMPTS" >&2; exit 3'

    assert execute(["sh", "-c", script], stdin=b"\x00\xff", is_captured=True) == Ended(3, b"\x00\xff", "1\n")


def test_a_gcloud_that_is_told_to_be_silent_answers_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise everything would look as if it were missing, and no error had a reason."""
    monkeypatch.setenv("CLOUDSDK_CORE_USER_OUTPUT_ENABLED", "false")
    monkeypatch.setenv("CLOUDSDK_CORE_VERBOSITY", "none")
    script = 'echo "$CLOUDSDK_CORE_USER_OUTPUT_ENABLED $CLOUDSDK_CORE_VERBOSITY"'

    assert execute(["sh", "-c", script], stdin=None, is_captured=True).output == b"1 warning\n"


def test_a_warning_that_something_is_not_found_is_no_answer(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What may not be seen is not taken for missing."""
    denied = Ended(1, errors="WARNING: the configuration was not found\nERROR: (gcloud.scheduler) PERMISSION_DENIED\n")

    code = Recorder({"scheduler jobs describe": denied}).run(settings, "destroy", "--yes", "--only", "tick")

    assert code == 1
    assert "gcloud scheduler jobs could not be asked" in capsys.readouterr().err
