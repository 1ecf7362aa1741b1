"""The role of a build that deploys: it allows what the build's commands do, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared.settings import PROJECT_FOLDER
from tests.support.deploying import SETTINGS
from tests.support.examined import remedies
from tests.support.gcloud import NUMBER
from tests.support.recorder import Recorder, shown
from tests.support.smoking import FakeDeployment
from watchkeeper.deploy.deployer import FILE, ROLE, deployer_check
from watchkeeper.deploy.gcloud import Ended
from watchkeeper.findings import Finding

PERMISSIONS: list[str] = json.loads(FILE.read_text(encoding="utf-8"))["includedPermissions"]
# What gcloud calls for each command, as it was recorded, and the permission that Google documents for it.
NEEDS = {
    "projects describe": {"resourcemanager.projects.get"},
    "functions describe": {"cloudfunctions.functions.get"},
    "functions list": {"cloudfunctions.functions.list"},
    "functions deploy": {
        *("cloudfunctions.functions.create", "cloudfunctions.functions.generateUploadUrl"),
        *("cloudfunctions.functions.get", "cloudfunctions.functions.update", "cloudfunctions.operations.get"),
        *("cloudfunctions.runtimes.list", "cloudbuild.builds.get", "serviceusage.services.get"),
    },
    "run services get-iam-policy": {"run.services.getIamPolicy"},
    "run services add-iam-policy-binding": {"run.services.getIamPolicy", "run.services.setIamPolicy"},
    "run services describe": {"run.services.get"},
    "run services update-traffic": {"run.services.get", "run.services.update"},
    "run revisions list": {"run.revisions.list"},
    "scheduler jobs describe": {"cloudscheduler.jobs.get"},
    "scheduler jobs create": {"cloudscheduler.jobs.create"},
    "scheduler jobs update": {"cloudscheduler.jobs.update"},
    "scheduler jobs run": {"cloudscheduler.jobs.run"},
    "tasks queues describe": {"cloudtasks.queues.get"},
    "tasks queues update": {"cloudtasks.queues.update"},
    "tasks create-http-task": {"cloudtasks.tasks.create"},
    "tasks describe": {"cloudtasks.tasks.get"},
    "tasks delete": {"cloudtasks.tasks.delete"},
    "logging read": {"logging.logEntries.list"},
    "auth print-identity-token": set(),
}
# What follows upon a refusal, and whether there is a job to update; the log is the build's own.
NOT_SEEN = {"scheduler jobs create", "tasks delete", "logging read"}
ITS_LOG = {"logging.logEntries.create"}
# The smoke test makes a job and deletes it, and calls the function of Chat.
ITS_JOB = {f"datastore.entities.{verb}" for verb in ("create", "delete", "get", "list")}
ITS_CALL = {"run.routes.invoke"}
THERE: dict[str, Ended | list[Ended]] = {
    "projects describe": shown(NUMBER),
    "tasks queues describe": shown("RUNNING"),
    "scheduler jobs describe": shown("ENABLED"),
    "functions describe": shown("ACTIVE"),
    "run services describe": shown("100\tb"),
    "run revisions list": shown("b\tTrue\na\tTrue"),
}


def sent(tmp_path: Path) -> set[str]:
    """Return what a build sends as these keys; anything else unchanged."""
    (settings := tmp_path / "production.env").write_text(SETTINGS)
    found = set()
    for verb in ("serving", "functions", "schedules", "smoke", "rollback"):
        gcloud = FakeDeployment(folder=tmp_path) if verb == "smoke" else Recorder(dict(THERE))
        gcloud.run(settings, verb, "--only", "tick", "run_job", "chat_webhook")
        lines = [" ".join(words) for words in gcloud.commands]
        found |= {next((each for each in NEEDS if line.startswith(f"{each} ")), line) for line in lines}
    return found


def test_the_role_allows_what_a_build_sends_and_nothing_else(tmp_path: Path) -> None:
    """A new command in a build needs its permissions here."""
    needed = sent(tmp_path) | NOT_SEEN

    assert needed - NEEDS.keys() == set()
    assert set().union(*(NEEDS[each] for each in needed)) | ITS_LOG | ITS_JOB | ITS_CALL == set(PERMISSIONS)
    assert sorted(PERMISSIONS) == PERMISSIONS


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        pytest.param(None, ("ok", f"the role {ROLE} lacks nothing, or is not used here"), id="none"),
        pytest.param(
            {"includedPermissions": [*PERMISSIONS, "run.services.delete"]},
            ("ok", f"the role {ROLE} lacks nothing, or is not used here"),
            id="well",
        ),
        pytest.param(
            {"includedPermissions": PERMISSIONS[1:]},
            (
                "wrong",
                "a build may lack cloudbuild.builds.get; run `gcloud iam roles update watchkeeperDeployer "
                "--file=deployer-role.json --quiet --project demo`",
            ),
            id="lacking",
        ),
        pytest.param(
            {"deleted": True},
            (
                "wrong",
                f"the role {ROLE} is deleted; run `gcloud iam roles undelete watchkeeperDeployer --project demo`",
            ),
            id="deleted",
        ),
    ],
)
def test_doctor_compares_the_role(role: Any, expected: tuple[str, str]) -> None:
    """Without the role, no build deploys."""
    (found,) = deployer_check(remedies()).findings(role)

    assert found == Finding(expected[0], "deployer", expected[1])


def test_the_documentation_makes_the_role() -> None:
    """From the file."""
    documented = (PROJECT_FOLDER / "docs" / "SCHEDULER_SETUP.md").read_text(encoding="utf-8")

    assert f"gcloud iam roles create {ROLE} --file={FILE.name} " in documented
