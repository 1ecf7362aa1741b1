"""Deploying with the real gcloud, to a Google Cloud on this machine that records what it is told."""

import io
import os
import shlex
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest

from shared.errors import InvalidSettings
from tests.deploying import (
    DELEGATE,
    FUNCTIONS,
    PATIENCE,
    REGION,
    SCHEDULER,
    SCRIPT,
    SERVICES,
    SETTINGS,
    Operator,
    needs,
    url,
)
from tests.gcloud import NUMBER, PROJECT, GoogleCloud, Refused
from watchkeeper.deploy.staging import stage
from watchkeeper.deploy.target import Target, deploy_flags, read_target, schedule_flags, write_plan, write_secrets

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
    """Give every file of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def unpacked(archive: bytes) -> dict[str, bytes]:
    """Give every file of an archive."""
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


def test_no_other_kind_of_chat_needs_the_account_of_add_ons(operator: Operator) -> None:
    """With CHAT_AUTH=endpoint it is not made."""
    operator.settings.write_text(f"{SETTINGS}CHAT_AUTH=endpoint\n")

    said = operator.run("setup", "--dry-run")

    assert "services identity create" not in said


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


def test_chat_is_public_for_a_token_that_only_code_can_check(deployed: Operator) -> None:
    """With CHAT_AUTH=project_number everybody may call it, nobody else is named, and the number is asked for."""
    deployed.settings.write_text(f"{SETTINGS}CHAT_AUTH=project_number\n")

    deployed.run("functions", "--only", "chat_webhook")

    told = deployed.cloud.resources[f"{PLACE}/functions/watchkeeper-chat-webhook"]["serviceConfig"]
    assert deployed.cloud.members(f"{PLACE}/services/watchkeeper-chat-webhook") == {"allUsers"}
    assert told["environmentVariables"]["CHAT_AUDIENCE"] == NUMBER
    assert "AUTH_CALLERS" not in told["environmentVariables"]


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


def test_without_the_right_to_set_callers_it_says_whom_to_ask(deployed: Operator) -> None:
    """The function is deployed; that nobody may call it yet is an error with its remedy, and not passed over."""
    service = f"{PLACE}/services/watchkeeper-tick"
    deployed.cloud.policies[service] = {"bindings": [{"role": "roles/run.invoker", "members": ["allUsers"]}]}
    refused = Refused(403, "PERMISSION_DENIED", "Permission 'run.services.setIamPolicy' denied")
    deployed.cloud.refusals[f"POST {service}:setIamPolicy"] = refused

    code, said = deployed.attempt("functions", "--only", "tick")

    assert code == 1
    assert "Permission 'run.services.setIamPolicy' denied" in said
    assert "error: watchkeeper-tick is deployed, but who may call it could not be set" in said
    assert "roles/run.admin" in said
    assert f"--settings {deployed.settings} --only tick\n" in said


def test_an_interruption_says_how_to_go_on(operator: Operator, tmp_path: Path) -> None:
    """As a failure does; nothing of the plan is left behind."""
    (tmp_path / "work").mkdir()
    gcloud = tmp_path / "bin" / "gcloud"
    gcloud.parent.mkdir()
    gcloud.write_text("#!/bin/sh\necho begun\nexec sleep 60\n")
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
def test_what_would_not_run_is_not_uploaded(operator: Operator, setting: str, says: str) -> None:
    """All functions are imported, and their settings looked at, before the first call that deploys."""
    operator.settings.write_text(f"{SETTINGS}{setting}\n")

    code, said = operator.attempt("functions", "--only", "tick", "gmail_watch")

    assert code == 1
    assert says in said
    assert "FAILED    stage: functions" in said
    assert operator.cloud.calls == []


def test_a_dry_run_prints_every_command_and_calls_nothing(operator: Operator) -> None:
    """A shell can read each; what a function is told stands before its deployment, and no secret anywhere."""
    said = operator.run("all", "--dry-run")

    lines = [line for line in said.splitlines() if not line.startswith("#")]
    commands = [shlex.split(line) for line in lines]
    assert operator.cloud.calls == []
    assert {command[0] for command in commands} == {"gcloud"}
    deployments = [command[3] for command in commands if command[1:3] == ["functions", "deploy"]]
    assert deployments == list(SERVICES.values())
    assert "--schedule=*/2 * * * *" in [flag for command in commands for flag in command]
    assert ["monitoring", "dashboards", "create"] in [command[1:4] for command in commands]
    assert f'#  "GMAIL_WATCH_TOPIC": "projects/{PROJECT}/topics/gmail"' in said
    assert "s3cret" not in said


# -- What follows from the settings ------------------------------------------------------------------------------------


def target(settings: Path, *lines: str) -> Target:
    """Work out a deployment with these settings."""
    settings.write_text("\n".join(lines))
    return read_target(project=PROJECT, region="europe-west1", number=NUMBER, only=(), file=settings)


def test_another_region_is_another_address_and_audience(tmp_path: Path) -> None:
    """Address, audience and database follow the region that is named."""
    plan = target(tmp_path / "settings", "FIRESTORE_LOCATION=eur3")
    tick = FUNCTIONS["tick"]
    assert tick.scheduler_job is not None

    flags = schedule_flags(plan, tick, tick.scheduler_job)

    address = f"https://europe-west1-{PROJECT}.cloudfunctions.net/watchkeeper-tick"
    assert {f"--uri={address}", f"--oidc-token-audience={address}"} <= set(flags)
    assert plan.environment(tick)["AUTH_AUDIENCE"] == address
    assert plan.table.firestore.location == "eur3"


def test_a_key_file_is_mounted_and_its_path_told(tmp_path: Path) -> None:
    """The file's content is kept as a secret, as it is; the function is told where it finds it."""
    key = tmp_path / "key.json"
    key.write_bytes(b'{"private_key": "s3cret"}\n')
    plan = target(tmp_path / "settings", f"GCP_SERVICE_ACCOUNT_JSON_PATH={key}")
    gmail = FUNCTIONS["gmail_watch"]

    flags = deploy_flags(plan, gmail, tmp_path / "env.yaml")
    write_secrets(plan, tmp_path)

    path = "/secrets/gmail/service-account-key.json"
    assert f"--set-secrets={path}=service-account-key:latest" in flags
    assert plan.environment(gmail)["GCP_SERVICE_ACCOUNT_JSON_PATH"] == path
    assert (tmp_path / "secrets" / "service-account-key").read_bytes() == key.read_bytes()
    assert (tmp_path / "secrets" / "service-account-key").stat().st_mode & 0o777 == 0o600


def test_a_secret_that_is_no_longer_set_is_taken_away(tmp_path: Path) -> None:
    """An update says so, since it would keep a secret that it is not told of."""
    flags = deploy_flags(target(tmp_path / "settings"), FUNCTIONS["tick"], tmp_path / "env.yaml")

    assert "--clear-secrets" in flags


def test_a_secret_that_can_be_guessed_is_not_deployed(tmp_path: Path) -> None:
    """The functions would refuse it only when they run; one that is in Secret Manager already is not looked at."""
    with pytest.raises(InvalidSettings, match=r"CRON_SECRET is malformed: .* at least 16 characters"):
        target(tmp_path / "settings", "CRON_SECRET=hush")

    assert target(tmp_path / "settings", "CRON_SECRET=secret:3").settings == {"CRON_SECRET": "secret:3"}


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        pytest.param(["CHAT_AUTH=project_number", "AUTH_MODE=platform"], "must be public", id="public-and-platform"),
        pytest.param(["CHAT_AUTH=classic"], "CHAT_AUTH is 'classic'", id="unknown-kind"),
    ],
)
def test_a_webhook_that_would_be_unprotected_is_refused(tmp_path: Path, lines: list[str], says: str) -> None:
    """A public function that relied on Cloud Run to check tokens would let everybody in."""
    plan = target(tmp_path / "settings", *lines)

    with pytest.raises(InvalidSettings, match=says):
        write_plan(plan, tmp_path)


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


def test_a_job_of_the_former_system_stays_as_it_is(deployed: Operator) -> None:
    """It has the name of ours, and calls another address."""
    name, former = f"{PLACE}/jobs/gmail-watch-renewal", "https://former.run.app/renew"
    deployed.cloud.resources[name]["httpTarget"]["uri"] = former

    said = [deployed.run(verb, "--only", "gmail_watch", "--yes") for verb in ("pause", "destroy")]

    line = f"gmail-watch-renewal calls {former}, which is not ours; it stays as it is\n"
    assert [line in each for each in said] == [True, True]
    assert deployed.cloud.changes == [f"DELETE {PLACE}/functions/watchkeeper-gmail-watch"]


def test_the_smoke_test_runs_every_job_once(deployed: Operator) -> None:
    """As Cloud Scheduler runs it; each attempt is seen and was answered well."""
    deployed.run("smoke")

    runs = [change for change in deployed.cloud.changes if change.endswith(":run")]
    assert sorted(run.rpartition("/")[2] for run in runs) == [
        "airtable-webhook-refresh:run",
        "gmail-watch-renewal:run",
        "watchkeeper-tick:run",
    ]


@pytest.mark.parametrize(
    ("log", "says"),
    [
        ([], "the attempt of watchkeeper-tick failed with status 16; the log of watchkeeper-tick says why"),
        ([{"jsonPayload": {"reason": "signature removed by the platform"}}], "Set AUTH_MODE=platform in the settings"),
    ],
)
def test_a_smoke_test_that_fails_says_what_to_do(deployed: Operator, log: list[dict[str, object]], says: str) -> None:
    """A token whose signature Cloud Run removed has a remedy of its own."""
    deployed.cloud.attempt = 16
    deployed.cloud.log = log

    code, said = deployed.attempt("smoke", "--only", "tick")

    assert code == 1
    assert says in said


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


# -- The command line --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        pytest.param(["deploy"], 2, "there is no verb deploy", id="verb"),
        pytest.param([], 2, "a verb is missing", id="no-verb"),
        pytest.param(["all", "--force"], 2, "there is no option --force", id="option"),
        pytest.param(["all", "--only"], 2, "--only needs the names of functions", id="only"),
        pytest.param(["pause", "--only", "chat_webhook"], 1, "no Cloud Scheduler job calls chat_webhook", id="no-job"),
        pytest.param(["all", "--only", "tock"], 1, "there is no function tock; there are tick, gmail_watch", id="name"),
        pytest.param(["all", "--project", "No Such"], 1, "--project is 'No Such'", id="project"),
        pytest.param(["all", "--settings", "no.env"], 1, "there is no settings file no.env", id="settings"),
    ],
)
def test_a_wrong_command_line_is_one_clear_line(
    cloud: GoogleCloud, tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    """It is refused before anything is called, with exit code 2 if it cannot be understood."""
    command = [str(SCRIPT), "--project", PROJECT, "--region", REGION, "--dry-run", *arguments]

    run = subprocess.run(
        command,
        env={**cloud.env(tmp_path), "PYTHON": sys.executable},
        capture_output=True,
        encoding="utf-8",
        cwd=tmp_path,
    )

    assert run.returncode == code
    assert run.stderr.startswith("error: ")
    assert says in run.stderr
    assert run.stderr.count("\n") == 1
    assert cloud.calls == []


def test_a_project_and_a_region_are_needed(operator: Operator) -> None:
    """Nothing is deployed to whatever project gcloud happens to be configured for."""
    code, said = operator.attempt("all", place=())

    assert code == 2
    assert said == "error: --project and --region are needed; see --help\n"


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
