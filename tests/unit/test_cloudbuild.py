"""The build on merge: accepted by Cloud Build, with commands that exist and steps that wait for each other."""

import json
import re
import subprocess
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.settings import PROJECT_FOLDER
from watchkeeper.deploy.command_line import USAGE
from watchkeeper.deploy.functions_table import read_functions
from watchkeeper.deploy.preflight import OLDEST_GCLOUD
from watchkeeper.fakes.discovery import Discovery
from watchkeeper.fakes.server import Request, json_response

BUILD: dict[str, Any] = yaml.safe_load((PROJECT_FOLDER / "cloudbuild.yaml").read_text(encoding="utf-8"))
STEPS: dict[str, dict[str, Any]] = {step["id"]: step for step in BUILD["steps"]}
FUNCTIONS = [function.name for function in read_functions({})]
BUILT_IN = {"PROJECT_ID"}
GENERAL_POLICIES = 549  # of December 2025, the first gcloud with `gcloud monitoring policies`


def waits_for(step: str) -> set[str]:
    """Name every step that has ended before this one begins."""
    first = {name for name in STEPS[step]["waitFor"] if name != "-"}
    return first.union(*(waits_for(name) for name in first))


def test_it_is_a_build() -> None:
    """By the discovery document of Cloud Build, without unknown fields."""
    discovery = Discovery("cloudbuild", "v1", lambda code, status, message, reason: json_response(message, code))
    request = Request(
        method="POST", path="/v1/projects/demo/builds", query={}, headers=Message(), body=json.dumps(BUILD).encode()
    )
    method = discovery.method_of(request, faked=("cloudbuild.projects.builds.create",))

    assert discovery.checked_body(request, method)["steps"]


def test_every_substitution_is_declared_and_used() -> None:
    """Cloud Build refuses a build with an undeclared or an unused one."""
    used = set(re.findall(r"\$\{?(_?[A-Z][A-Z_]+)\}?", json.dumps(BUILD))) - {"BASH_SOURCE"}

    assert used == BUILD["substitutions"].keys() | BUILT_IN


def test_every_step_runs_in_one_pinned_image() -> None:
    """Somebody has to decide on a newer gcloud; alert policies are generally available in it, since it has no alpha."""
    image, _, version = BUILD["substitutions"]["_IMAGE"].rpartition(":")
    number = re.fullmatch(r"(\d+)\.0\.0-emulators", version)

    assert {step["name"] for step in STEPS.values()} == {"${_IMAGE}"}
    assert image == "gcr.io/google.com/cloudsdktool/google-cloud-cli"
    assert number
    assert int(number[1]) >= max(GENERAL_POLICIES, OLDEST_GCLOUD)


def test_the_check_installs_what_the_image_lacks() -> None:
    """It is a slim Debian: the tests call ps, and Debian's Python comes without venv."""
    (line,) = re.findall(r"apt-get install (.*)", STEPS["check"]["script"])

    assert {word for word in line.split() if not word.startswith("-")} == {"make", "procps", "python3-venv"}


def test_an_account_of_its_own_has_a_choice_of_logging() -> None:
    """Cloud Build requires it."""
    assert BUILD["serviceAccount"].startswith("projects/${PROJECT_ID}/serviceAccounts/")
    assert BUILD["options"]["logging"] == "CLOUD_LOGGING_ONLY"


def test_nothing_is_deployed_untested() -> None:
    """Functions wait for the check, the settings and a look at what serves; Scheduler jobs for all functions."""
    deployments = [name for name in STEPS if name.startswith("deploy-")]

    assert sorted(deployments) == sorted(f"deploy-{name}" for name in FUNCTIONS)
    assert all(waits_for(name) == {"check", "settings", "before"} for name in deployments)
    assert waits_for("schedules") == {"check", "settings", "before", *deployments}
    assert waits_for("smoke") == {*STEPS} - {"smoke"}


def test_every_step_has_a_time_out_within_that_of_the_build() -> None:
    """The longest way through the steps fits."""
    seconds = {name: int(step["timeout"].removesuffix("s")) for name, step in STEPS.items()}
    longest = seconds["check"] + seconds["before"] + max(seconds[f"deploy-{name}"] for name in FUNCTIONS)
    longest += seconds["schedules"] + seconds["smoke"]

    assert longest <= int(BUILD["timeout"].removesuffix("s"))


def test_the_rollback_has_time_after_the_longest_smoke_test() -> None:
    """Five minutes: otherwise the step would end with the smoke test, and the bad revisions would stay."""
    (limit,) = re.findall(r"timeout (\d+) \./deploy_functions\.sh smoke", STEPS["smoke"]["script"])

    assert int(limit) + 300 <= int(STEPS["smoke"]["timeout"].removesuffix("s"))


@pytest.mark.parametrize("name", STEPS)
def test_the_script_of_a_step_can_be_read_by_bash(name: str) -> None:
    """A syntax error would otherwise show only in Cloud Build."""
    said = subprocess.run(["bash", "-n"], input=STEPS[name]["script"], capture_output=True, text=True, check=False)

    assert said.stderr == ""


@pytest.mark.parametrize("name", [name for name, step in STEPS.items() if "./deploy_functions.sh" in step["script"]])
def test_the_script_of_a_step_calls_existing_commands(name: str) -> None:
    """Verbs and options are those of the usage text, functions those of the table."""
    for words in re.findall(r"\./deploy_functions\.sh (.+)", STEPS[name]["script"]):
        verb, *rest = words.partition(" && ")[0].partition(" >")[0].split()
        options = [word for word in rest if word.startswith("--")]

        assert re.search(rf"^  {verb} ", USAGE, re.MULTILINE)
        assert all(re.search(rf"^  {option} ", USAGE, re.MULTILINE) for option in options)
    assert name not in {f"deploy-{function}" for function in FUNCTIONS} or words.endswith(
        f"--if-configured --only {name[7:]}"
    )


@pytest.mark.parametrize(("code", "verbs"), [(0, ["smoke"]), (1, ["smoke", "rollback"])])
def test_a_failed_smoke_test_rolls_back(tmp_path: Path, code: int, verbs: list[str]) -> None:
    """The build still fails, and says what it did."""
    (script := tmp_path / "deploy_functions.sh").write_text(f'echo "$*" >>verbs\n[ "$1" != smoke ] || exit {code}\n')
    script.chmod(0o755)

    run = subprocess.run(["bash", "-c", STEPS["smoke"]["script"]], cwd=tmp_path, capture_output=True, text=True)

    assert run.returncode == code
    called = (tmp_path / "verbs").read_text().splitlines()
    assert [line.split()[0] for line in called] == verbs
    assert all(line.endswith("--to before.txt") for line in called if line.startswith("rollback"))
    assert ("the traffic goes back" in run.stderr) is bool(code)
