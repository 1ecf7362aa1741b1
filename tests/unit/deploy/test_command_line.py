"""The command line of deploy_functions.sh, and the script itself."""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.deploying import REGION, SCRIPT
from tests.support.gcloud import NUMBER, PROJECT
from tests.support.recorder import Recorder, refused, shown
from watchkeeper.deploy.command import main
from watchkeeper.deploy.command_line import USAGE, read_command_line
from watchkeeper.deploy.steps import VERBS

PLACE = ("--project", PROJECT, "--region", REGION)
GO_ON = f"{SCRIPT} {{}} --project {PROJECT} --region {REGION} --settings {{}}"


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


def test_a_missing_package_is_one_clear_line(tmp_path: Path) -> None:
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
