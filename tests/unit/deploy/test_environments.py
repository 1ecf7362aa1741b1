"""Environments that share a project: each has its own resources, and no verb changes another one."""

import json
import re
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from shared.errors import InvalidSettings
from shared.settings import DEFAULT_PREFIX, Settings
from tests.support.deploying import REGION, SETTINGS
from tests.support.gcloud import NUMBER, PROJECT
from tests.support.recorded_project import Key, RecordedProject
from tests.support.recorder import Recorder, shown
from watchkeeper.deploy.functions_table import FUNCTIONS_TABLE, read_table

Resources = Mapping[Key, Mapping[str, Any]]

DEPLOYING = ("setup", "functions", "schedules", "monitoring")
OTHER_REGION = "europe-west1"
STAGING_LINES = f"{SETTINGS}DEPLOYMENT_PREFIX=staging-\n"
CHANGED = 'SCHEDULER_CADENCE="*/5 * * * *"\nLOG_LEVEL=DEBUG\nAIRTABLE_API_KEY=pat.another\nSCHEDULER_LEASE_SECONDS=99\n'
# Of the project, not of a deployment: made once, and never changed by a second one.
SHARED = {"services", "firestore databases", "beta services identity", "pubsub topics"}


class Environments:
    """A project, and the settings files of its environments."""

    def __init__(self, folder: Path) -> None:
        self.project = RecordedProject()
        self.folder = folder
        self.own: dict[str, set[Key]] = {}

    def settings(self, name: str, lines: str) -> Path:
        """Write the settings file of an environment."""
        path = self.folder / f"{name}.env"
        path.write_text(lines)
        return path

    def deploy(self, name: str, lines: str) -> None:
        """Deploy an environment, and remember which resources it created."""
        before = set(self.project.resources)
        settings = self.settings(name, lines)
        assert [self.project.run(settings, verb) for verb in DEPLOYING] == [0] * len(DEPLOYING)
        self.own.setdefault(name, {key for key in self.project.resources if key not in before})

    def run(self, name: str, *words: str) -> int:
        """Run the command with the settings file of an environment."""
        return self.project.run(self.folder / f"{name}.env", *words)

    def of(self, name: str) -> Resources:
        """Return the resources of an environment."""
        return {key: each for key, each in self.project.snapshot().items() if key in self.own[name]}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Environments, Resources]:
    """Production and staging in one project and one region, and what production had before."""
    made = Environments(tmp_path_factory.mktemp("environments"))
    made.deploy("production", SETTINGS)
    alone = made.of("production")
    made.deploy("staging", STAGING_LINES)
    return made, alone


@pytest.fixture
def environments(deployed: tuple[Environments, Resources]) -> Environments:
    """The two of them, for one test."""
    return deepcopy(deployed[0])


@pytest.mark.slow
def test_a_second_environment_makes_everything_anew(
    environments: Environments, deployed: tuple[Environments, Resources]
) -> None:
    """Nothing of the first one changes; the second one has its own copy of each part."""
    assert environments.of("production") == deployed[1]
    own = [key for key in environments.own["production"] if key.kind not in SHARED]
    assert len(environments.own["staging"]) == len(own)
    assert {key.kind for key in environments.own["staging"]} == {key.kind for key in own}


def test_an_environment_contains_no_name_of_another(environments: Environments) -> None:
    """Neither in settings of functions, in filters of metrics and alerts, nor in texts for people."""
    texts = json.dumps([[*key, each] for key, each in environments.of("staging").items()], default=str)

    for name in (
        r"watchkeeper[-_]",
        r"Watchkeeper:",
        r"(?<!staging_)scheduler_jobs",
        r"(?<!staging-)gmail-watch-renewal",
    ):
        assert not re.search(name, texts), name
    assert "Watchkeeper (staging): " in texts


@pytest.mark.parametrize(("changes", "stays"), [("staging", "production"), ("production", "staging")])
def test_no_verb_touches_another_environment(environments: Environments, changes: str, stays: str) -> None:
    """After any verb on one, nothing of the other has changed by a byte."""
    before, lines = environments.of(stays), STAGING_LINES if changes == "staging" else SETTINGS
    seen = environments.of(changes)

    for verb in ("status", "pause", "resume", "deploy", "rollback", "destroy"):
        if verb == "deploy":
            environments.deploy(changes, lines + CHANGED)
        else:
            assert environments.run(changes, verb, *(["--yes"] if verb == "destroy" else [])) == 0
        assert environments.of(stays) == before
        assert (environments.of(changes) == seen) is (verb == "status"), verb
        seen = environments.of(changes)

    left = {key.kind for key in seen}
    assert not left & {"functions", "scheduler jobs"}
    assert "tasks queues" in left


def test_the_default_prefix_keeps_its_names() -> None:
    """Deployments from before environments existed keep their resources."""
    table = read_table({})

    assert table.prefix == DEFAULT_PREFIX == "watchkeeper-"
    assert [each.scheduler_job.name for each in table.functions if each.scheduler_job] == [
        "watchkeeper-tick",
        "gmail-watch-renewal",
        "airtable-webhook-refresh",
    ]
    assert {each.account.id for each in table.functions} == {
        f"watchkeeper-{each.name.replace('_', '-')}" for each in table.functions
    }
    assert {each.name for each in table.secrets.values()} == {
        *("watchkeeper-airtable-api-key", "watchkeeper-cron-secret", "service-account-key")
    }
    assert list(table.firestore.collections) == ["scheduler_jobs", "scheduler_jobs_runs"]


@pytest.mark.parametrize(
    ("settings", "collection"),
    [
        pytest.param({}, "scheduler_jobs", id="default"),
        pytest.param({"DEPLOYMENT_PREFIX": "staging-"}, "staging_scheduler_jobs", id="prefix"),
        pytest.param({"DEPLOYMENT_PREFIX": "staging-", "SCHEDULER_COLLECTION": "jobs"}, "jobs", id="set"),
    ],
)
def test_the_collection_is_the_same_for_functions_and_for_commands(settings: dict[str, str], collection: str) -> None:
    """A command with the settings file finds the jobs of this environment, not those of production."""
    table = read_table(settings)

    assert table.firestore.collection == Settings.from_env(settings).collection == collection
    for function in table.functions:
        told = function.passed_on(settings)
        assert Settings.from_env({**told, "K_SERVICE": "x"}).collection == collection


def test_a_prefix_in_the_table_leaves_the_jobs_where_they_are(tmp_path: Path) -> None:
    """A command on this machine does not read the table, and must find the jobs of the deployment."""
    table = FUNCTIONS_TABLE.read_text().replace("${DEPLOYMENT_PREFIX:-watchkeeper-}", "own-")
    (tmp_path / "functions.toml").write_text(table)

    read = read_table({}, tmp_path / "functions.toml")

    assert (read.prefix, read.scheduler_account.id) == ("own-", "own-scheduler")
    assert read.firestore.collection == Settings.from_env({}).collection == "scheduler_jobs"


def test_a_plan_is_about_its_own_environment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It neither asks about another one nor mentions it."""
    gcloud = Recorder({"projects describe": shown(NUMBER)})
    (tmp_path / "staging.env").write_text(STAGING_LINES)

    assert gcloud.run(tmp_path / "staging.env", "plan") == 0

    said = capsys.readouterr().out
    assert "create   dashboard  staging\n" in said
    for name in ("watchkeeper-", "watchkeeper_", "Watchkeeper:"):
        assert name not in said
        assert name not in repr(gcloud.commands)


@pytest.mark.parametrize(
    ("prefix", "says"),
    [
        pytest.param("staging", "it must be one word", id="no-hyphen"),
        pytest.param("watchkeeper-staging-", "it must be one word", id="begins-with-another"),
        pytest.param("Staging-", "it must be one word", id="capital"),
        pytest.param("9-", "it must be one word", id="digit"),
        pytest.param("preproduction9-", "31 characters, and Google takes 6 to 30: .* at most 14$", id="too-long"),
    ],
)
def test_a_prefix_that_could_not_be_kept_apart_is_refused(prefix: str, says: str) -> None:
    """So is one with which a service account could not be named."""
    with pytest.raises(InvalidSettings, match=says):
        read_table({"DEPLOYMENT_PREFIX": prefix})


@pytest.mark.parametrize("prefix", ["s-", "productionxxx-"])
def test_the_shortest_and_the_longest_prefix_name_every_account(prefix: str) -> None:
    """An id of a service account has 6 to 30 characters."""
    table = read_table({"DEPLOYMENT_PREFIX": prefix})

    accounts = [table.scheduler_account, table.tasks_account, table.build_account]
    assert all(6 <= len(each.id) <= 30 for each in (*accounts, *(own.account for own in table.functions)))


# -- What is refused ---------------------------------------------------------------------------------------------------


def place(region: str) -> tuple[str, ...]:
    """Return where to deploy to, as words of a command line."""
    return ("--project", PROJECT, "--region", region)


@pytest.mark.parametrize("verb", ["setup", "functions", "schedules", "monitoring", "all"])
def test_a_second_region_is_refused(environments: Environments, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    """Before the first change, with the finding and the remedy; nothing is created."""
    before, settings = environments.project.snapshot(), environments.folder / "production.env"

    code = environments.project.run(settings, verb, place=place(OTHER_REGION))

    said = capsys.readouterr().err
    assert (code, environments.project.snapshot()) == (1, before)
    assert said.startswith(f"error: watchkeeper-tick is deployed in {REGION}, not in {OTHER_REGION}, and a deployment")
    for remedy in (
        f"use --region {REGION}, or run destroy with it",
        "set another DEPLOYMENT_PREFIX",
        "staging-",
        "--share",
    ):
        assert remedy in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("region", [REGION, OTHER_REGION])
def test_a_second_prefix_on_the_same_jobs_is_refused(
    environments: Environments, capsys: pytest.CaptureFixture[str], region: str
) -> None:
    """In any region: two ticks would run each job."""
    settings = environments.settings("third", f"{SETTINGS}DEPLOYMENT_PREFIX=t-\nSCHEDULER_COLLECTION=scheduler_jobs\n")
    before = environments.project.snapshot()

    code = environments.project.run(settings, "all", place=place(region))

    said = capsys.readouterr().err
    assert (code, environments.project.snapshot()) == (1, before)
    assert said.startswith(f"error: watchkeeper-tick in {REGION} belongs to another deployment and has the same jobs")
    assert "leave SCHEDULER_COLLECTION unset" in said
    assert "--share" in said


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param("DEPLOYMENT_PREFIX=t-\n", id="its-own-jobs"),
        pytest.param(
            "DEPLOYMENT_PREFIX=t-\nSCHEDULER_COLLECTION=scheduler_jobs\nFIRESTORE_DATABASE=other\n", id="database"
        ),
        pytest.param("", id="the-same-deployment"),
    ],
)
def test_a_deployment_that_shares_nothing_is_accepted(environments: Environments, lines: str) -> None:
    """Also beside two environments."""
    settings = environments.settings("third", SETTINGS + lines)

    assert environments.project.run(settings, "setup") == 0


def test_deliberate_sharing_is_accepted(environments: Environments) -> None:
    """A move to another region needs both for a while."""
    settings = environments.folder / "production.env"

    assert environments.project.run(settings, "setup", "--share", place=place(OTHER_REGION)) == 0


def test_a_function_of_other_software_is_no_neighbour(environments: Environments) -> None:
    """Also if it has a similar name."""
    key = Key("functions", "watchkeeper-report", OTHER_REGION)
    flags = {"build-service-account": "", "env-vars-file": {"SCHEDULER_COLLECTION": "scheduler_jobs"}}
    environments.project.resources[key] = {"state": "ACTIVE", "flags": flags}

    assert environments.run("production", "monitoring") == 0


def test_a_scheduler_job_of_another_deployment_is_not_taken_over(
    environments: Environments, capsys: pytest.CaptureFixture[str]
) -> None:
    """A job of the former system is: it does not have our description."""
    tick, gmail = (Key("scheduler jobs", name, REGION) for name in ("staging-tick", "staging-gmail-watch-renewal"))
    environments.project.resources[tick]["description"] = "Calls the function former-tick"
    environments.project.resources[gmail]["description"] = ""
    before = environments.project.snapshot()[tick]

    codes = [environments.run("staging", "schedules", "--only", name) for name in ("tick", "gmail_watch")]

    assert codes == [1, 0]
    assert environments.project.resources[tick] == before
    assert environments.project.resources[gmail]["description"] == "Calls the function staging-gmail-watch"
    assert (
        "the Scheduler job staging-tick calls former-tick, which belongs to another deployment"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("verb", ["plan", "schedules", "all"])
def test_a_scheduler_job_of_another_deployment_is_refused_before_the_first_change(
    environments: Environments, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    """For each of the jobs."""
    airtable = Key("scheduler jobs", "staging-airtable-webhook-refresh", REGION)
    environments.project.resources[airtable]["description"] = "Calls the function former-airtable"
    before = environments.project.snapshot()

    code = environments.run("staging", verb, "--yes")

    assert code == 1
    assert environments.project.snapshot() == before
    assert "staging-airtable-webhook-refresh calls former-airtable, which belongs to" in capsys.readouterr().err


# -- What the table no longer has --------------------------------------------------------------------------------------


@pytest.fixture
def outdated(environments: Environments) -> Environments:
    """Both environments have a function and a Scheduler job that are not in the table; one function is foreign."""
    resources = environments.project.resources
    for prefix in ("watchkeeper-", "staging-"):
        report, tick = Key("functions", f"{prefix}report", REGION), Key("functions", f"{prefix}tick", REGION)
        resources[report] = {**resources[tick]}
        resources[report._replace(kind="scheduler jobs")] = {
            "state": "ENABLED",
            "httpTarget.uri": f"https://{REGION}-{PROJECT}.cloudfunctions.net/{prefix}report",
            "description": f"Calls the function {prefix}report",
            "flags": {},
        }
    by_hand = {"build-service-account": "projects/x/serviceAccounts/default", "env-vars-file": {}}
    resources[Key("functions", "staging-by-hand", REGION)] = {"state": "ACTIVE", "flags": by_hand}
    return environments


def test_the_status_shows_what_was_removed_from_the_table(
    outdated: Environments, capsys: pytest.CaptureFixture[str]
) -> None:
    """For this environment only; functions that others built are left out."""
    assert outdated.run("staging", "status") == 0

    shows = [line.split() for line in capsys.readouterr().out.splitlines()][-2:]
    assert [line[:3] for line in shows] == [
        ["schedule", "staging-report", "ENABLED"],
        ["function", "staging-report", "ACTIVE"],
    ]
    assert all("destroy --removed" in " ".join(line) for line in shows)


def test_what_was_removed_from_the_table_can_be_destroyed(
    outdated: Environments, capsys: pytest.CaptureFixture[str]
) -> None:
    """Function and Scheduler job, and nothing else; then nothing is left to destroy."""
    before = outdated.project.snapshot()

    codes = [outdated.run("staging", "destroy", "--removed", "--yes") for _ in range(2)]

    gone = {Key(kind, "staging-report", REGION) for kind in ("functions", "scheduler jobs")}
    assert codes == [0, 0]
    assert outdated.project.snapshot() == {key: each for key, each in before.items() if key not in gone}
    assert "everything deployed is in functions.toml\n" in capsys.readouterr().out


def test_nothing_is_destroyed_without_confirmation(
    outdated: Environments, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question names the resources and the deployment."""
    monkeypatch.setattr("builtins.input", lambda prompt: "yes")
    before = outdated.project.snapshot()

    code = outdated.run("staging", "destroy", "--removed")

    said = capsys.readouterr()
    assert (code, outdated.project.snapshot()) == (1, before)
    assert said.err == "error: nothing was deleted\n"
    assert said.out == (
        f"This deletes functions and Scheduler jobs in {PROJECT} ({REGION}), of the deployment staging-: "
        "staging-report\n"
    )


def test_a_dry_run_of_the_removal_changes_nothing(outdated: Environments, capsys: pytest.CaptureFixture[str]) -> None:
    """It prints the questions; it does not know what exists."""
    commands = len(outdated.project.commands)

    assert outdated.run("staging", "destroy", "--removed", "--dry-run") == 0

    assert "gcloud functions list --v2" in capsys.readouterr().out
    assert len(outdated.project.commands) == commands
