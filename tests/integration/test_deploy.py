"""Deploying with the real gcloud, to a Google Cloud on this machine that records what it is told."""

import io
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest

from tests.deploying import (
    DELEGATE,
    FUNCTIONS,
    PATIENCE,
    REGION,
    SCHEDULER,
    SCRIPT,
    SERVICES,
    Operator,
    needs,
    url,
)
from tests.gcloud import NUMBER, PROJECT, GoogleCloud
from watchkeeper.deploy.staging import stage

PLACE = f"projects/{PROJECT}/locations/{REGION}"
DEPLOYING = ("setup", "functions", "schedules")
ADDON = f"service-{NUMBER}@gcp-sa-gsuiteaddons.iam.gserviceaccount.com"


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GoogleCloud, str]]:
    """A cloud to which everything but monitoring was deployed once, and what the script said."""
    needs("gcloud")
    with GoogleCloud() as cloud:
        operator = Operator(cloud, tmp_path_factory.mktemp("first"))
        yield cloud, "".join(operator.run(verb) for verb in DEPLOYING)


@pytest.fixture
def cloud() -> Iterator[GoogleCloud]:
    """A cloud in which there is nothing."""
    with GoogleCloud() as cloud:
        yield cloud


@pytest.fixture
def operator(cloud: GoogleCloud, tmp_path: Path) -> Operator:
    """An operator who begins with nothing."""
    needs("gcloud")
    return Operator(cloud, tmp_path)


@pytest.fixture
def deployed(operator: Operator, first: tuple[GoogleCloud, str]) -> Operator:
    """An operator of a cloud that is as after the first deployment, with calls of its own."""
    operator.cloud.resources = deepcopy(first[0].resources)
    operator.cloud.policies = deepcopy(first[0].policies)
    return operator


def files(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def unpacked(archive: bytes) -> dict[str, bytes]:
    """Return every file of an archive."""
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        return {name: files.read(name) for name in files.namelist() if not name.endswith("/")}


# -- The first deployment ----------------------------------------------------------------------------------------------


def test_what_is_uploaded_is_the_staged_folder(first: tuple[GoogleCloud, str], tmp_path: Path) -> None:
    """Each archive holds every file of its function's folder, and no other one."""
    archives = [unpacked(archive) for archive in first[0].archives]

    for name, archive in zip(FUNCTIONS, archives, strict=True):
        stage(FUNCTIONS[name], tmp_path / name)
        staged = files(tmp_path / name)
        del staged[".gcloudignore"]

        assert archive == staged


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_deployed_as_the_table_says(first: tuple[GoogleCloud, str], name: str) -> None:
    """Every number of the table arrives, and the function has an account of its own."""
    function = FUNCTIONS[name]

    resource = first[0].resources[f"{PLACE}/functions/{SERVICES[name]}"]

    build, service = resource["buildConfig"], resource["serviceConfig"]
    assert (build["runtime"], build["entryPoint"]) == ("python313", function.entry_point)
    assert build["serviceAccount"].endswith(f"/watchkeeper-build@{PROJECT}.iam.gserviceaccount.com")
    assert service["serviceAccountEmail"] == f"{SERVICES[name]}@{PROJECT}.iam.gserviceaccount.com"
    assert service["timeoutSeconds"] == function.timeout.total_seconds()
    assert (service["availableMemory"], service["availableCpu"]) == ("512Mi", "1")
    assert service["maxInstanceRequestConcurrency"] == function.resources.concurrency
    assert service["maxInstanceCount"] == function.resources.max_instances
    assert service["allTrafficOnLatestRevision"] is True


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param(
            "tick",
            {
                "CHAT_AGENT": "agent.chat:answer",
                "SCHEDULER_CADENCE": "*/2 * * * *",
                "SCHEDULER_CONCURRENCY": "8",
                "AUTH_CALLERS": SCHEDULER,
                "CLOUD_RUN_TIMEOUT_SECONDS": "180",
            },
            id="tick",
        ),
        pytest.param(
            "gmail_watch",
            {
                "SCHEDULER_CADENCE": "*/2 * * * *",
                "SCHEDULER_CONCURRENCY": "8",
                "GMAIL_USER_EMAIL": "agent@example.com",
                "GMAIL_WATCH_TOPIC": f"projects/{PROJECT}/topics/gmail",
                "GMAIL_DELEGATE": DELEGATE,
                "AUTH_CALLERS": SCHEDULER,
                "CLOUD_RUN_TIMEOUT_SECONDS": "300",
            },
            id="gmail_watch",
        ),
        pytest.param(
            "airtable_refresh",
            {
                "SCHEDULER_CADENCE": "*/2 * * * *",
                "SCHEDULER_CONCURRENCY": "8",
                "AIRTABLE_BASE_ID": "appAAAAAAAAAAAAAA",
                "AUTH_CALLERS": SCHEDULER,
                "CLOUD_RUN_TIMEOUT_SECONDS": "300",
            },
            id="airtable_refresh",
        ),
        pytest.param(
            "chat_webhook",
            {
                "CHAT_AGENT": "agent.chat:answer",
                "SCHEDULER_CADENCE": "*/2 * * * *",
                "SCHEDULER_CONCURRENCY": "8",
                "ALLOWED_USERS": "*@example.com",
                "CHAT_AUDIENCE": url("chat_webhook"),
                "AUTH_CALLERS": ADDON,
                "CLOUD_RUN_TIMEOUT_SECONDS": "60",
            },
            id="chat_webhook",
        ),
    ],
)
def test_a_function_is_told_its_own_settings(
    first: tuple[GoogleCloud, str], name: str, expected: dict[str, str]
) -> None:
    """It has what the settings file says of it, and addresses and callers as they follow; no secret, nothing local."""
    service = first[0].resources[f"{PLACE}/functions/{SERVICES[name]}"]["serviceConfig"]

    told = {key: value for key, value in service["environmentVariables"].items() if key != "LOG_EXECUTION_ID"}

    assert told == {
        "LOG_LEVEL": "INFO",
        "GOOGLE_CLOUD_PROJECT": PROJECT,
        "AUTH_AUDIENCE": url(name),
        "PUBLIC_URL": url("chat_webhook"),
        **expected,
    }


def test_secrets_come_from_secret_manager_alone(first: tuple[GoogleCloud, str]) -> None:
    """A value from the settings file is kept there as it stands, and told nowhere else; one that is there is used."""
    cloud, said = first
    secrets = {
        name: {
            (each["key"], each["secret"], each["version"])
            for each in cloud.resources[f"{PLACE}/functions/{SERVICES[name]}"]["serviceConfig"].get(
                "secretEnvironmentVariables", []
            )
        }
        for name in FUNCTIONS
    }

    cron = ("CRON_SECRET", "watchkeeper-cron-secret", "3")
    key = ("AIRTABLE_API_KEY", "watchkeeper-airtable-api-key", "latest")
    assert secrets == {"tick": {cron}, "gmail_watch": {cron}, "airtable_refresh": {cron, key}, "chat_webhook": set()}
    assert cloud.secret("watchkeeper-airtable-api-key") == b"pat$(id).s3cret"
    assert "s3cret" not in said
    assert not [call for call in cloud.calls if "s3cret" in repr(call)]
    readers = cloud.members(
        f"projects/{PROJECT}/secrets/watchkeeper-airtable-api-key", "roles/secretmanager.secretAccessor"
    )
    assert readers == {f"serviceAccount:watchkeeper-airtable-refresh@{PROJECT}.iam.gserviceaccount.com"}


def test_exactly_its_caller_may_call_a_function(first: tuple[GoogleCloud, str]) -> None:
    """The Scheduler's account may call the scheduled functions, Chat's the webhook, and nobody else any."""
    callers = {name: first[0].members(f"{PLACE}/services/{SERVICES[name]}") for name in FUNCTIONS}

    scheduler = {f"serviceAccount:{SCHEDULER}"}
    assert callers == {
        "tick": scheduler,
        "gmail_watch": scheduler,
        "airtable_refresh": scheduler,
        "chat_webhook": {f"serviceAccount:{ADDON}"},
    }


def test_the_account_of_add_ons_is_there_before_it_is_let_in(first: tuple[GoogleCloud, str]) -> None:
    """Google would make it when it is first used, and Cloud Run lets nobody in whom there is not."""
    made = f"POST projects/{PROJECT}/services/gsuiteaddons.googleapis.com:generateServiceIdentity"
    let_in = f"POST {PLACE}/services/{SERVICES['chat_webhook']}:setIamPolicy"

    changes = first[0].changes

    assert changes.index(made) < changes.index(let_in)


def test_every_account_has_its_roles_and_no_more(first: tuple[GoogleCloud, str]) -> None:
    """Functions may use Firestore, builds may build; the caller has no role in the project at all."""
    roles = {
        binding["role"]: {member.partition(":")[2].partition("@")[0] for member in binding["members"]}
        for binding in first[0].policies[f"projects/{PROJECT}"]["bindings"]
    }

    build = {"watchkeeper-build"}
    assert roles == {
        "roles/datastore.user": set(SERVICES.values()),
        "roles/artifactregistry.writer": build,
        "roles/logging.logWriter": build,
        "roles/storage.objectViewer": build,
    }


def test_gmail_may_publish_and_its_function_may_act_for_the_mailboxes(first: tuple[GoogleCloud, str]) -> None:
    """The topic is made and lets Gmail publish; the function makes tokens as GMAIL_DELEGATE, without a key."""
    cloud = first[0]

    publishers = cloud.members(f"projects/{PROJECT}/topics/gmail", "roles/pubsub.publisher")
    actors = cloud.members(f"projects/{PROJECT}/serviceAccounts/{DELEGATE}", "roles/iam.serviceAccountTokenCreator")

    assert f"projects/{PROJECT}/topics/gmail" in cloud.resources
    assert publishers == {"serviceAccount:gmail-api-push@system.gserviceaccount.com"}
    assert actors == {f"serviceAccount:watchkeeper-gmail-watch@{PROJECT}.iam.gserviceaccount.com"}


def test_the_database_is_made_with_exemptions_and_expiry(first: tuple[GoogleCloud, str]) -> None:
    """Firestore is in the functions' region and cannot be deleted by mistake; four fields have no index."""
    resources = first[0].resources
    database = f"projects/{PROJECT}/databases/(default)"
    fields = f"{database}/collectionGroups/scheduler_jobs/fields"

    assert resources[database]["locationId"] == REGION
    assert resources[database]["deleteProtectionState"] == "DELETE_PROTECTION_ENABLED"
    for name in ("payload", "recent_runs", "error", "expire_at"):
        assert not resources[f"{fields}/{name}"]["indexConfig"].get("indexes")
        assert "usesAncestorConfig" not in resources[f"{fields}/{name}"]["indexConfig"]
    assert "ttlConfig" in resources[f"{fields}/expire_at"]


@pytest.mark.parametrize(
    ("name", "job", "schedule", "deadline", "retry"),
    [
        pytest.param("tick", "watchkeeper-tick", "*/2 * * * *", "180s", (None, "0s", "5s", "3600s", 5), id="tick"),
        pytest.param(
            "gmail_watch", "gmail-watch-renewal", "0 0 * * *", "300s", (3, "3600s", "60s", "600s", 3), id="gmail"
        ),
        pytest.param(
            "airtable_refresh",
            "airtable-webhook-refresh",
            "0 0 * * *",
            "300s",
            (3, "3600s", "60s", "600s", 3),
            id="airtable",
        ),
    ],
)
def test_a_scheduler_job_arrives_complete(
    first: tuple[GoogleCloud, str], name: str, job: str, schedule: str, deadline: str, retry: tuple[object, ...]
) -> None:
    """The job as the API received it: cadence, target, audience, account, deadline and retries."""
    (body,) = (
        call.body
        for call in first[0].calls
        if str(call) == f"POST {PLACE}/jobs" and call.body["name"] == f"{PLACE}/jobs/{job}"
    )

    target = body["httpTarget"]
    assert (body["schedule"], body["timeZone"], body["attemptDeadline"]) == (schedule, "UTC", deadline)
    assert (target["uri"], target["httpMethod"], target["body"]) == (url(name), "POST", "e30=")
    assert target["oidcToken"] == {"audience": url(name), "serviceAccountEmail": SCHEDULER}
    keys = ("retryCount", "maxRetryDuration", "minBackoffDuration", "maxBackoffDuration", "maxDoublings")
    assert tuple(body["retryConfig"].get(key) for key in keys) in (retry, (0, *retry[1:]))


# -- Later deployments -------------------------------------------------------------------------------------------------


def test_a_second_deployment_creates_nothing(deployed: Operator) -> None:
    """Everything is found and brought up to date; who may call is left alone, since it is right."""
    before = deepcopy(deployed.cloud.resources)

    for verb in DEPLOYING:
        deployed.run(verb, "--only", "tick")

    names = {name for name in deployed.cloud.resources if "/operations/" not in name and "/revisions/" not in name}
    assert names <= set(before)
    assert deployed.cloud.changes == [
        f"POST projects/{PROJECT}/services:batchEnable",
        f"PATCH {PLACE}/functions/watchkeeper-tick",
        f"PATCH {PLACE}/jobs/watchkeeper-tick",
    ]
    job = f"{PLACE}/jobs/watchkeeper-tick"
    assert deployed.cloud.resources[job] == before[job]


def test_an_update_leaves_nothing_stale(deployed: Operator) -> None:
    """A job that had another address, account, audience, retry and body has the right ones afterwards."""
    name = f"{PLACE}/jobs/gmail-watch-renewal"
    right = deepcopy(deployed.cloud.resources[name])
    deployed.cloud.resources[name].update(
        httpTarget={
            "uri": "https://old.run.app/x",
            "httpMethod": "PUT",
            "body": "b2xk",
            "oidcToken": {"audience": "https://old.run.app", "serviceAccountEmail": "old@example.com"},
        },
        retryConfig={"retryCount": 1},
        attemptDeadline="15s",
        state="PAUSED",
    )

    deployed.run("schedules", "--only", "gmail_watch")

    assert deployed.cloud.resources[name] == {**right, "state": "PAUSED"}


def test_a_function_that_was_opened_is_closed_again(deployed: Operator) -> None:
    """Each deployment lets the one caller call the function, and takes that from everybody else."""
    service = f"{PLACE}/services/watchkeeper-airtable-refresh"
    deployed.cloud.policies[service] = {
        "bindings": [{"role": "roles/run.invoker", "members": ["allUsers", "user:former@example.com"]}]
    }

    deployed.run("functions", "--only", "airtable_refresh")

    assert deployed.cloud.members(service) == {f"serviceAccount:{SCHEDULER}"}


# -- Failures ----------------------------------------------------------------------------------------------------------


def test_a_failed_build_stops_it_and_says_how_to_go_on(deployed: Operator) -> None:
    """What gcloud said is shown, then what was done, what was not, and the command for the rest."""
    deployed.cloud.failing_builds.add("watchkeeper-tick")

    code, said = deployed.attempt("functions", "--only", "chat_webhook", "tick")

    assert code == 1
    assert "Build failed with status: FAILURE" in said
    assert said.endswith(
        "done      stage: functions\n"
        "FAILED    deploy: tick\n"
        "not done  deploy: chat_webhook\n"
        "To go on:\n"
        f"  {SCRIPT} functions --project {PROJECT} --region {REGION} --settings {deployed.settings} "
        "--only tick chat_webhook\n"
    )
    assert f"PATCH {PLACE}/functions/watchkeeper-chat-webhook" not in deployed.cloud.changes


def test_an_interruption_says_how_to_go_on(operator: Operator, tmp_path: Path) -> None:
    """As a failure does; none of its files is left behind, and the signal is how it ends."""
    (tmp_path / "work").mkdir()
    gcloud = tmp_path / "bin" / "gcloud"
    gcloud.parent.mkdir()
    gcloud.write_text('#!/bin/sh\n[ "$1" != projects ] || exec echo 42\necho begun\nexec sleep 60\n')
    gcloud.chmod(0o755)
    path = f"{gcloud.parent}{os.pathsep}{os.environ['PATH']}"
    with subprocess.Popen(
        [str(SCRIPT), "setup", "--project", PROJECT, "--region", REGION, "--settings", str(operator.settings)],
        env={"PATH": path, "PYTHON": sys.executable, "TMPDIR": str(tmp_path / "work")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    ) as run:
        assert run.stdout
        while "begun" not in run.stdout.readline():
            pass

        os.killpg(run.pid, signal.SIGTERM)
        said = run.communicate(timeout=PATIENCE)[0]

    assert run.returncode == -signal.SIGTERM
    assert "FAILED    setup: apis\nnot done  setup: firestore\n" in said
    assert f"To go on:\n  {SCRIPT} setup --project {PROJECT}" in said
    assert list((tmp_path / "work").iterdir()) == []


# -- Operating ---------------------------------------------------------------------------------------------------------


def test_jobs_are_paused_and_resumed(deployed: Operator) -> None:
    """Pausing stops them all, one that is not there notwithstanding, and can be said twice."""
    del deployed.cloud.resources[f"{PLACE}/jobs/gmail-watch-renewal"]
    jobs = [f"{PLACE}/jobs/{job}" for job in ("watchkeeper-tick", "airtable-webhook-refresh")]

    said = deployed.run("pause")
    paused = [deployed.cloud.resources[job]["state"] for job in jobs]
    deployed.run("pause", "--only", "tick")
    deployed.run("resume", "--only", "tick")

    assert paused == ["PAUSED", "PAUSED"]
    assert "there is no Scheduler job gmail-watch-renewal" in said
    assert [deployed.cloud.resources[job]["state"] for job in jobs] == ["ENABLED", "PAUSED"]
    assert len(deployed.cloud.changes) == 3


def test_the_smoke_test_runs_every_job_once(deployed: Operator) -> None:
    """As Cloud Scheduler runs it; each attempt is seen and was answered well."""
    deployed.run("smoke")

    runs = [change for change in deployed.cloud.changes if change.endswith(":run")]
    assert sorted(run.rpartition("/")[2] for run in runs) == [
        "airtable-webhook-refresh:run",
        "gmail-watch-renewal:run",
        "watchkeeper-tick:run",
    ]


def test_a_rollback_gives_the_traffic_back(deployed: Operator) -> None:
    """The revision before that works has all of it; a function that has none before it stays as it is."""
    service = f"namespaces/{PROJECT}/services/watchkeeper-tick"
    deployed.cloud.add_revision("watchkeeper-tick", is_ready=False)
    deployed.cloud.add_revision("watchkeeper-tick")

    deployed.run("rollback", "--only", "tick")
    once = deployed.cloud.resources[service]["status"]["traffic"]
    said = deployed.run("rollback", "--only", "tick")

    assert [(each["revisionName"], each["percent"]) for each in once] == [("watchkeeper-tick-00001-abc", 100)]
    assert "no working revision before watchkeeper-tick-00001-abc; it stays as it is" in said
    assert deployed.cloud.resources[service]["status"]["traffic"] == once


def test_the_status_shows_what_is_there_and_what_is_not(deployed: Operator) -> None:
    """A line for each function and each Scheduler job, and nothing is changed."""
    del deployed.cloud.resources[f"{PLACE}/functions/watchkeeper-gmail-watch"]
    deployed.cloud.resources[f"{PLACE}/jobs/watchkeeper-tick"].update(
        lastAttemptTime="2026-11-22T09:00:00Z", status={"code": 13}
    )

    said = deployed.run("status", "--only", "tick", "gmail_watch")

    lines = [" ".join(line.split()) for line in said.splitlines() if line]
    assert lines == [
        "function watchkeeper-tick ACTIVE watchkeeper-tick-00001-abc",
        "schedule watchkeeper-tick ENABLED */2 * * * * UTC 2026-11-22T09:00:00Z 13",
        "function watchkeeper-gmail-watch not deployed",
        "schedule gmail-watch-renewal ENABLED 0 0 * * * UTC",
    ]
    assert deployed.cloud.changes == []


def test_destroying_asks_and_keeps_data(deployed: Operator) -> None:
    """Where nobody answers nothing is deleted; then functions and jobs go, and jobs' data and secrets stay."""
    before = set(deployed.cloud.resources)

    code, said = deployed.attempt("destroy", "--only", "tick")
    untouched = set(deployed.cloud.resources) == before
    deployed.run("destroy", "--only", "tick", "--yes")

    assert (code, untouched) == (1, True)
    assert "error: nothing was deleted" in said
    assert before - set(deployed.cloud.resources) == {
        f"{PLACE}/jobs/watchkeeper-tick",
        f"{PLACE}/functions/watchkeeper-tick",
    }


# -- The script --------------------------------------------------------------------------------------------------------


def test_the_help_names_every_verb(tmp_path: Path) -> None:
    """What the script can do is what its help says."""
    said = subprocess.run([str(SCRIPT), "--help"], capture_output=True, encoding="utf-8", check=True).stdout

    verbs = {line.split()[0] for line in said.splitlines() if line.startswith("  ") and line[2:3].isalpha()}
    assert verbs == {
        "setup",
        "functions",
        "schedules",
        "monitoring",
        "all",
        "smoke",
        "status",
        "pause",
        "resume",
        "rollback",
        "destroy",
    }


def test_the_script_is_clean() -> None:
    """Shellcheck has nothing to say."""
    shellcheck = needs("shellcheck")

    run = subprocess.run([shellcheck, str(SCRIPT)], capture_output=True, encoding="utf-8")

    assert run.stdout == ""
    assert run.returncode == 0
