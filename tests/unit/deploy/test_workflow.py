"""The deployment by GitHub Actions: without a key, only of what CI has tested, and by commands that exist."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.settings import PROJECT_FOLDER
from watchkeeper.deploy.command_line import read_command_line

FOLDER = PROJECT_FOLDER / ".github" / "workflows"
TEXT = (FOLDER / "deploy.yml").read_text(encoding="utf-8")
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
CI: dict[Any, Any] = yaml.safe_load((FOLDER / "ci.yml").read_text(encoding="utf-8"))
ON = True  # which YAML takes the word for
(JOB,) = WORKFLOW["jobs"].values()
RUNS: list[str] = [step["run"] for step in JOB["steps"] if "run" in step]
USES: dict[str, dict[str, Any]] = {
    step["uses"].partition("@")[0]: step.get("with", {}) for step in JOB["steps"] if "uses" in step
}
VERBS = ["serving", "functions", "schedules", "smoke", "rollback"]


def words_of(line: str) -> list[str]:
    """Return the words of a command, with a project and a region."""
    place = "--project demo --region us-central1 --settings deploy.env"
    command = line.replace("$PLACE", place).partition(" && ")[0].partition(" >")[0]
    return command.partition("./deploy_functions.sh ")[2].split()


def test_there_is_no_key() -> None:
    """The job uses GitHub's own token and may otherwise only read at GitHub."""
    assert WORKFLOW["permissions"] == {"contents": "read", "id-token": "write"}
    assert USES["google-github-actions/auth"].keys() == {"project_id", "workload_identity_provider", "service_account"}
    assert "secrets." not in TEXT
    assert USES["actions/checkout"]["persist-credentials"] is False


def test_only_what_ci_has_tested_is_deployed() -> None:
    """Exactly the commit, the newest of main, never one of a pull request; never without its variables."""
    assert WORKFLOW[ON] == {"workflow_run": {"workflows": [CI["name"]], "types": ["completed"], "branches": ["main"]}}
    assert JOB["if"].split(" && ") == [
        "vars.DEPLOY_PROJECT",
        "github.event.workflow_run.conclusion == 'success'",
        "github.event.workflow_run.event == 'push'",
        "github.event.workflow_run.head_sha == github.sha",
    ]
    assert USES["actions/checkout"]["ref"] == "${{ github.event.workflow_run.head_sha }}"


def test_a_deployment_is_never_cut_off_by_the_next() -> None:
    """GitHub makes the next one wait."""
    assert WORKFLOW["concurrency"] == "deploy"


def test_its_commands_exist() -> None:
    """In the order of the build on merge; each has project, region and settings."""
    lines = [line.strip() for run in RUNS for line in run.splitlines() if "./deploy_functions.sh" in line]

    read = [read_command_line(words_of(line)) for line in lines]

    assert [line.verb for line in read] == VERBS
    assert {line.settings for line in read} == {"deploy.env"}


@pytest.mark.parametrize("run", RUNS)
def test_its_scripts_can_be_read_by_bash(run: str) -> None:
    """A syntax error would otherwise show only at GitHub."""
    said = subprocess.run(["bash", "-n"], input=run, capture_output=True, text=True, check=False)

    assert said.stderr == ""


@pytest.mark.parametrize(("code", "verbs"), [(0, ["smoke"]), (1, ["smoke", "rollback"])])
def test_a_failed_smoke_test_rolls_back(tmp_path: Path, code: int, verbs: list[str]) -> None:
    """The job still fails, and says what it did."""
    (script := tmp_path / "deploy_functions.sh").write_text(f'echo "$*" >>verbs\n[ "$1" != smoke ] || exit {code}\n')
    script.chmod(0o755)

    # As GitHub runs a step.
    run = subprocess.run(["bash", "-e", "-c", RUNS[-1]], cwd=tmp_path, capture_output=True, text=True)

    assert run.returncode == code
    called = (tmp_path / "verbs").read_text().splitlines()
    assert [line.split()[0] for line in called] == verbs
    assert all(line.endswith("--to before.txt") for line in called if line.startswith("rollback"))
    assert ("the traffic goes back" in run.stderr) is bool(code)


def test_the_rollback_has_time_after_the_longest_smoke_test() -> None:
    """Half of the job's time is left for the other steps."""
    (limit,) = re.findall(r"timeout (\d+) \./deploy_functions\.sh smoke", RUNS[-1])

    assert 2 * int(limit) <= JOB["timeout-minutes"] * 60


def test_its_variables_are_documented() -> None:
    """Each stands where the documentation sets them."""
    documented = (PROJECT_FOLDER / "docs" / "SCHEDULER_SETUP.md").read_text(encoding="utf-8")

    assert all(f"gh variable set {name} " in documented for name in set(re.findall(r"vars\.(\w+)", TEXT)))
