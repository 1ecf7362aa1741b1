"""Deploying with the real gcloud, to a Google Cloud on this machine that records its requests."""

import io
import os
import signal
import subprocess
import sys
import zipfile
from copy import deepcopy
from pathlib import Path

import pytest

from tests.support import monitored
from tests.support.building import FirstDeployment
from tests.support.deploying import (
    DELEGATE,
    FUNCTIONS,
    PATIENCE,
    REGION,
    SCHEDULER,
    SCRIPT,
    SERVICES,
    TASKS,
    Operator,
    needs,
    url,
)
from tests.support.gcloud import NUMBER, PROJECT, GoogleCloud
from watchkeeper.deploy.staging import stage

PLACE = f"projects/{PROJECT}/locations/{REGION}"
QUEUE = f"{PLACE}/queues/watchkeeper-agents"
HAND_OVER = {"TASK_QUEUES": f"agents={QUEUE}", "RUN_JOB_URL": url("run_job"), "RUN_JOB_CALLER": TASKS}
ADDON = f"service-{NUMBER}@gcp-sa-gsuiteaddons.iam.gserviceaccount.com"


def files(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def unpacked(archive: bytes) -> dict[str, bytes]:
    """Return every file of an archive."""
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        return {name: files.read(name) for name in files.namelist() if not name.endswith("/")}


# -- The first deployment ----------------------------------------------------------------------------------------------


def test_what_is_uploaded_is_the_staged_folder(first: FirstDeployment, tmp_path: Path) -> None:
    """Each archive has every file of its function's folder, and no other one."""
    for name, function in FUNCTIONS.items():
        stage(function, tmp_path / name)
        staged = files(tmp_path / name)
        del staged[".gcloudignore"]

        archive = first.cloud.archive(f"{PLACE}/functions/{SERVICES[name]}")

        assert unpacked(archive) == staged


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_deployed_as_the_table_says(first: FirstDeployment, name: str) -> None:
    """Every number of the table arrives, and the function has its own account."""
    function = FUNCTIONS[name]

    resource = first.cloud.resources[f"{PLACE}/functions/{SERVICES[name]}"]

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
                "CALL_TIMEOUT_SECONDS": "180",
                **HAND_OVER,
            },
            id="tick",
        ),
        pytest.param(
            "run_job",
            {
                "CHAT_AGENT": "agent.chat:answer",
                "SCHEDULER_CADENCE": "*/2 * * * *",
                "SCHEDULER_CONCURRENCY": "8",
                "AUTH_CALLERS": TASKS,
                "CALL_TIMEOUT_SECONDS": "1800",
            },
            id="run_job",
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
                "CALL_TIMEOUT_SECONDS": "300",
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
                "CALL_TIMEOUT_SECONDS": "300",
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
                "CALL_TIMEOUT_SECONDS": "60",
                **HAND_OVER,
            },
            id="chat_webhook",
        ),
    ],
)
def test_a_function_is_told_its_own_settings(first: FirstDeployment, name: str, expected: dict[str, str]) -> None:
    """It has its part of the settings file, and the derived addresses and callers; no secret, nothing local."""
    service = first.cloud.resources[f"{PLACE}/functions/{SERVICES[name]}"]["serviceConfig"]

    told = {key: value for key, value in service["environmentVariables"].items() if key != "LOG_EXECUTION_ID"}

    assert told == {
        "LOG_LEVEL": "INFO",
        "GOOGLE_CLOUD_PROJECT": PROJECT,
        "AUTH_AUDIENCE": url(name),
        "PUBLIC_URL": url("chat_webhook"),
        **expected,
    }


def test_secrets_come_from_secret_manager_alone(first: FirstDeployment) -> None:
    """A value from the settings file is stored there unchanged and nowhere else; an existing one is used."""
    cloud, said = first.cloud, first.said
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
    assert secrets == {
        **{"tick": {cron}, "gmail_watch": {cron}, "airtable_refresh": {cron, key}},
        **{"run_job": set(), "chat_webhook": set()},
    }
    assert cloud.secret("watchkeeper-airtable-api-key") == b"pat$(id).s3cret"
    assert "s3cret" not in said
    assert not [call for call in cloud.calls if "s3cret" in repr(call)]
    readers = cloud.members(
        f"projects/{PROJECT}/secrets/watchkeeper-airtable-api-key", "roles/secretmanager.secretAccessor"
    )
    assert readers == {f"serviceAccount:watchkeeper-airtable-refresh@{PROJECT}.iam.gserviceaccount.com"}


def test_exactly_its_caller_may_call_a_function(first: FirstDeployment) -> None:
    """The Scheduler's account may call the scheduled functions, that of the tasks run_job, Chat's the webhook."""
    callers = {name: first.cloud.members(f"{PLACE}/services/{SERVICES[name]}") for name in FUNCTIONS}

    scheduler = {f"serviceAccount:{SCHEDULER}"}
    assert callers == {
        "tick": scheduler,
        "run_job": {f"serviceAccount:{TASKS}"},
        "gmail_watch": scheduler,
        "airtable_refresh": scheduler,
        "chat_webhook": {f"serviceAccount:{ADDON}"},
    }


def test_the_account_of_add_ons_is_there_before_it_is_let_in(first: FirstDeployment) -> None:
    """Google would create it at its first use, and Cloud Run accepts only existing accounts."""
    made = f"POST projects/{PROJECT}/services/gsuiteaddons.googleapis.com:generateServiceIdentity"
    let_in = f"POST {PLACE}/services/{SERVICES['chat_webhook']}:setIamPolicy"

    changes = first.cloud.changes

    assert changes.index(made) < changes.index(let_in)


def test_every_account_has_its_roles_and_no_more(first: FirstDeployment) -> None:
    """Functions may use Firestore, builds may build; the caller has no role in the project at all."""
    roles = {
        binding["role"]: {member.partition(":")[2].partition("@")[0] for member in binding["members"]}
        for binding in first.cloud.policies[f"projects/{PROJECT}"]["bindings"]
    }

    build = {"watchkeeper-build"}
    assert roles == {
        "roles/datastore.user": set(SERVICES.values()),
        "roles/artifactregistry.writer": build,
        "roles/logging.logWriter": build,
        "roles/storage.objectViewer": build,
    }


def test_the_queue_has_its_limits_and_its_users(first: FirstDeployment) -> None:
    """The tick creates, finds and deletes tasks, which act as their own account; the webhook deletes."""
    cloud = first.cloud
    tick, chat = (
        f"serviceAccount:{SERVICES[name]}@{PROJECT}.iam.gserviceaccount.com" for name in ("tick", "chat_webhook")
    )

    roles = {binding["role"]: set(binding["members"]) for binding in cloud.policies[QUEUE]["bindings"]}

    queue = cloud.resources[QUEUE]
    assert queue["state"] == "RUNNING"
    assert queue["rateLimits"] == {"maxConcurrentDispatches": 2, "maxDispatchesPerSecond": 1.0}
    assert queue["retryConfig"] == {
        **{"maxAttempts": 100, "maxRetryDuration": "86400s", "minBackoff": "10s", "maxBackoff": "600s"},
        "maxDoublings": 6,
    }
    assert roles == {
        "roles/cloudtasks.enqueuer": {tick},
        "roles/cloudtasks.viewer": {tick},
        "roles/cloudtasks.taskDeleter": {tick, chat},
    }
    assert cloud.members(f"projects/{PROJECT}/serviceAccounts/{TASKS}", "roles/iam.serviceAccountUser") == {tick}


def test_gmail_may_publish_and_its_function_may_act_for_the_mailboxes(first: FirstDeployment) -> None:
    """Gmail may publish to the topic; the function creates tokens as GMAIL_DELEGATE, without a key."""
    cloud = first.cloud

    publishers = cloud.members(f"projects/{PROJECT}/topics/gmail", "roles/pubsub.publisher")
    actors = cloud.members(f"projects/{PROJECT}/serviceAccounts/{DELEGATE}", "roles/iam.serviceAccountTokenCreator")

    assert f"projects/{PROJECT}/topics/gmail" in cloud.resources
    assert publishers == {"serviceAccount:gmail-api-push@system.gserviceaccount.com"}
    assert actors == {f"serviceAccount:watchkeeper-gmail-watch@{PROJECT}.iam.gserviceaccount.com"}


def test_the_database_is_made_with_exemptions_and_expiry(first: FirstDeployment) -> None:
    """Firestore is in the functions' region, protected from deletion; long fields have no index."""
    resources = first.cloud.resources
    database = f"projects/{PROJECT}/databases/(default)"
    fields, of_runs = (f"{database}/collectionGroups/scheduler_jobs{group}/fields" for group in ("", "_runs"))

    assert resources[database]["locationId"] == REGION
    assert resources[database]["deleteProtectionState"] == "DELETE_PROTECTION_ENABLED"
    long = [f"{fields}/{name}" for name in ("payload", "recent_runs", "error", "expire_at")]
    long += [f"{of_runs}/{name}" for name in ("error", "output", "trace", "expire_at")]
    for name in long:
        assert not resources[name]["indexConfig"].get("indexes")
        assert "usesAncestorConfig" not in resources[name]["indexConfig"]
    assert all("ttlConfig" in resources[f"{each}/expire_at"] for each in (fields, of_runs))


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
    first: FirstDeployment, name: str, job: str, schedule: str, deadline: str, retry: tuple[object, ...]
) -> None:
    """The job as the API received it: cadence, target, audience, account, deadline and retries."""
    (body,) = (
        call.body
        for call in first.cloud.calls
        if str(call) == f"POST {PLACE}/jobs" and call.body["name"] == f"{PLACE}/jobs/{job}"
    )

    target = body["httpTarget"]
    assert (body["schedule"], body["timeZone"], body["attemptDeadline"]) == (schedule, "UTC", deadline)
    assert (target["uri"], target["httpMethod"], target["body"]) == (url(name), "POST", "e30=")
    assert target["oidcToken"] == {"audience": url(name), "serviceAccountEmail": SCHEDULER}
    keys = ("retryCount", "maxRetryDuration", "minBackoffDuration", "maxBackoffDuration", "maxDoublings")
    assert tuple(body["retryConfig"].get(key) for key in keys) in (retry, (0, *retry[1:]))


# -- Later deployments -------------------------------------------------------------------------------------------------


def test_a_second_deployment_repairs_faults_and_creates_nothing(deployed: Operator) -> None:
    """Everything is found and brought up to date: a function that was opened, stale jobs and queues, monitoring.

    Who may call is left alone where it is right; so is what people have added to an alert, and that a job is paused.
    """
    cloud = deployed.cloud
    right = deepcopy(cloud.resources)
    stale, opened = f"{PLACE}/jobs/airtable-webhook-refresh", f"{PLACE}/services/watchkeeper-airtable-refresh"
    cloud.resources[stale].update(
        httpTarget={
            "uri": "https://old.run.app/x",
            "httpMethod": "PUT",
            "body": "b2xk",
            "headers": {"X-Old": "1"},
            "oidcToken": {"audience": "https://old.run.app", "serviceAccountEmail": "old@example.com"},
        },
        retryConfig={"retryCount": 1},
        attemptDeadline="15s",
        state="PAUSED",
    )
    cloud.resources[QUEUE] |= {"rateLimits": {"maxConcurrentDispatches": 9}, "state": "PAUSED"}
    cloud.policies[opened] = {
        "bindings": [{"role": "roles/run.invoker", "members": ["allUsers", "user:former@example.com"]}]
    }
    kept = monitored.disturb(cloud)
    before = set(cloud.resources)

    said = deployed.run("all", "--only", "tick", "airtable_refresh")
    again = deployed.run("schedules", "--only", "run_job")

    assert {name for name in cloud.resources if "/operations/" not in name and "/revisions/" not in name} <= before
    assert cloud.members(opened) == {f"serviceAccount:{SCHEDULER}"}
    assert cloud.resources[stale] == {**right[stale], "state": "PAUSED"}
    tick = f"{PLACE}/jobs/watchkeeper-tick"
    assert cloud.resources[tick] == {**right[tick], "lastAttemptTime": "2026-11-21T09:00:02Z"}
    assert "not proved: that Cloud Scheduler calls watchkeeper-airtable-refresh: airtable-webhook-refresh is p" in said
    assert cloud.resources[QUEUE] == {**right[QUEUE], "state": "PAUSED"}
    assert "Updated queue" in again
    assert monitored.applied(cloud) == kept
    assert monitored.TWICE in said
    assert [change for change in cloud.changes if not monitored.concerns(change)] == [
        f"POST projects/{PROJECT}/services:batchEnable",
        f"PATCH {QUEUE}",
        # Setup takes the right to call from two and grants it to one.
        *[f"POST {opened}:setIamPolicy"] * 3,
        f"PATCH {PLACE}/functions/watchkeeper-tick",
        f"PATCH {PLACE}/functions/watchkeeper-airtable-refresh",
        f"PATCH {tick}",
        f"PATCH {PLACE}/jobs/airtable-webhook-refresh",
        f"POST {tick}:run",
        f"PATCH {QUEUE}",
    ]


# -- Failures ----------------------------------------------------------------------------------------------------------


def test_an_interruption_prints_how_to_continue(cloud: GoogleCloud, tmp_path: Path) -> None:
    """Like a failure; none of its files is left, and the exit code shows the signal."""
    operator = Operator(cloud, tmp_path)
    (tmp_path / "work").mkdir()
    gcloud = tmp_path / "bin" / "gcloud"
    gcloud.parent.mkdir()
    gcloud.write_text("#!/bin/sh\ncase $1 in projects) echo 42;; services) echo begun; exec sleep 60;; esac\n")
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
    assert "FAILED    setup: apis\nnot done  setup: accounts\n" in said
    assert f"To continue:\n  {SCRIPT} setup --project {PROJECT}" in said
    assert list((tmp_path / "work").iterdir()) == []


# -- Operating ---------------------------------------------------------------------------------------------------------


def test_jobs_are_paused_and_resumed(deployed: Operator) -> None:
    """Pausing stops them all and the queue, even if one does not exist."""
    del deployed.cloud.resources[f"{PLACE}/jobs/gmail-watch-renewal"]
    jobs = [*(f"{PLACE}/jobs/{job}" for job in ("watchkeeper-tick", "airtable-webhook-refresh")), QUEUE]

    said = deployed.run("pause")
    paused = [deployed.cloud.resources[job]["state"] for job in jobs]
    deployed.run("resume", "--only", "tick", "run_job")

    assert paused == ["PAUSED", "PAUSED", "PAUSED"]
    assert "there is no Scheduler job gmail-watch-renewal" in said
    assert [deployed.cloud.resources[job]["state"] for job in jobs] == ["ENABLED", "PAUSED", "RUNNING"]
    assert len(deployed.cloud.changes) == 5


def test_a_rollback_moves_the_traffic_back(deployed: Operator) -> None:
    """The last working revision before it gets all of it."""
    service = f"namespaces/{PROJECT}/services/watchkeeper-tick"
    deployed.cloud.add_revision("watchkeeper-tick", is_ready=False)
    deployed.cloud.add_revision("watchkeeper-tick")

    deployed.run("rollback", "--only", "tick")

    traffic = deployed.cloud.resources[service]["status"]["traffic"]
    assert [(each["revisionName"], each["percent"]) for each in traffic] == [("watchkeeper-tick-00001-abc", 100)]


def test_the_status_shows_existing_and_missing_parts(deployed: Operator) -> None:
    """A line for each function and each Scheduler job, and nothing is changed."""
    del deployed.cloud.resources[f"{PLACE}/functions/watchkeeper-gmail-watch"]
    deployed.cloud.resources[f"{PLACE}/jobs/watchkeeper-tick"].update(
        lastAttemptTime="2026-11-22T09:00:00Z", status={"code": 13}
    )

    said = deployed.run("status", "--only", "tick", "run_job", "gmail_watch")

    lines = [" ".join(line.split()) for line in said.splitlines() if line]
    assert lines == [
        "function watchkeeper-tick ACTIVE watchkeeper-tick-00001-abc",
        "schedule watchkeeper-tick ENABLED */2 * * * * UTC 2026-11-22T09:00:00Z 13",
        "function watchkeeper-run-job ACTIVE watchkeeper-run-job-00001-abc",
        "queue watchkeeper-agents RUNNING 2 1.0",
        "function watchkeeper-gmail-watch not deployed",
        "schedule gmail-watch-renewal ENABLED 0 0 * * * UTC 2026-11-21T09:00:01Z",
    ]
    assert deployed.cloud.changes == []


def test_destroying_keeps_data(deployed: Operator) -> None:
    """Functions and Scheduler jobs are deleted; the jobs' data, the secrets and the emptied queue stay."""
    before = set(deployed.cloud.resources)

    deployed.run("destroy", "--only", "tick", "run_job", "--yes")

    assert before - set(deployed.cloud.resources) == {
        f"{PLACE}/jobs/watchkeeper-tick",
        f"{PLACE}/functions/watchkeeper-tick",
        f"{PLACE}/functions/watchkeeper-run-job",
    }
    assert deployed.cloud.changes[-1] == f"POST {QUEUE}:purge"


def test_a_task_that_is_refused_fails_the_smoke_test(deployed: Operator) -> None:
    """The error has Cloud Tasks' reason, and the task is deleted."""
    deployed.cloud.refused_tasks = "INTERNAL(13): HTTP status code 500"
    before = set(deployed.cloud.resources)

    code, said = deployed.attempt("smoke", "--only", "run_job")

    assert code == 1
    assert "error: the task in watchkeeper-agents failed with INTERNAL(13): HTTP status code 500; the log of" in said
    assert set(deployed.cloud.resources) == before


# -- The script --------------------------------------------------------------------------------------------------------


def test_the_script_is_clean() -> None:
    """Shellcheck finds nothing."""
    shellcheck = needs("shellcheck")

    run = subprocess.run([shellcheck, str(SCRIPT)], capture_output=True, encoding="utf-8")

    assert run.stdout == ""
    assert run.returncode == 0
