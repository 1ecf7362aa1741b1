"""`watchkeeper doctor --project` with the real gcloud, on what the script deployed to a cloud on this machine."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from google.cloud import firestore

from shared.model.job import Job
from shared.model.times import iso
from shared.store.firestore import FirestoreStore
from shared.store.protocol import Change, Won
from tests.support.building import FirstDeployment
from tests.support.deploying import REGION, Operator
from tests.support.gcloud import PROJECT, GoogleCloud, Refused
from watchkeeper.cli.main import watchkeeper
from watchkeeper.session import Session

pytestmark = pytest.mark.emulator

PLACE = f"projects/{PROJECT}/locations/{REGION}"
ONLY = ("tick", "run_job", "gmail_watch", "chat_webhook")  # an agent without Airtable
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
WATCH = "subscription:gmail:agent@example.com"
Findings = list[tuple[str, str, str]]


def account(name: str) -> str:
    """Return the address of a service account."""
    return f"{name}@{PROJECT}.iam.gserviceaccount.com"


@pytest.fixture(scope="module")
def watched(
    first: FirstDeployment, firestore_emulator: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    """An operator after the first deployment, whose Firestore has a record of the watched mailbox."""
    key = f"projects/{PROJECT}/secrets/watchkeeper-cron-secret/versions/3"
    with GoogleCloud() as cloud:
        first.copy_to(cloud)
        cloud.resources[key] = {"name": key, "state": "ENABLED"}
        for job in ("watchkeeper-tick", "gmail-watch-renewal"):
            cloud.resources[f"{PLACE}/jobs/{job}"]["lastAttemptTime"] = iso(NOW)
        record_watch()
        yield Operator(cloud, tmp_path_factory.mktemp("watched"))


def record_watch() -> None:
    """Record that the mailbox is watched for seven days."""
    client = firestore.Client(project=PROJECT)
    payload = {"subscription": "the Gmail watch", "expires_at": iso(NOW + timedelta(days=7))}
    job = Job.create(WATCH, "subscription_check", now=NOW, payload=payload)
    assert isinstance(FirestoreStore(client, "scheduler_jobs").swap([Change(None, job)])[0], Won)
    client.close()  # type: ignore[no-untyped-call]  # the library's own


@pytest.fixture
def doctor(watched: Operator) -> Iterator[Callable[..., tuple[int, Findings]]]:
    """Call `watchkeeper doctor` for the deployment; what a test breaks is repaired afterwards."""
    cloud = watched.cloud
    resources, policies = deepcopy(cloud.resources), deepcopy(cloud.policies)

    def call(at: datetime = NOW, **env: str) -> tuple[int, Findings]:
        place = ("--project", PROJECT, "--region", REGION, "--settings", str(watched.settings))
        only = (word for name in ONLY for word in ("--only", name))
        session = Session(env={**cloud.env(watched.folder), **env}, clock=lambda: at, user="ada")
        result = CliRunner().invoke(watchkeeper, ["doctor", *place, *only], obj=session)
        lines = [line.split(maxsplit=2) for line in result.output.splitlines()]
        return result.exit_code, [(state, subject, says) for state, subject, says in lines]

    yield call
    cloud.resources, cloud.policies = resources, policies
    cloud.refusals.clear()


def test_a_deployment_as_the_script_made_it_is_well(
    doctor: Callable[..., tuple[int, Findings]], watched: Operator
) -> None:
    """Every line is good, in order; nothing is changed, and every request is known to the fake."""
    watched.cloud.calls.clear()

    code, found = doctor()

    assert [finding for finding in found if finding[0] != "ok"] == []
    assert code == 0
    assert [subject for _, subject, _ in found] == [
        *("settings", "apis", "database", "database", "database", "accounts", "roles"),
        *("queue", "queue", "queue", "secret", "secret"),
        *("function", "caller", "caller", "schedule"),
        *("function", "caller", "caller"),
        *("delegate", "topic", "function", "caller", "caller", "schedule"),
        *("function", "caller", "caller"),
        *("deployment", "deployer", "gmail"),
    ]
    assert ("ok", "gmail", f"{WATCH} expires in 7 days") in found
    assert watched.cloud.changes == []
    assert watched.cloud.unknown == []


def test_everything_that_is_broken_is_named_with_its_remedy(
    doctor: Callable[..., tuple[int, Findings]], watched: Operator
) -> None:
    """Several faults at once; questions that fail are findings, and the rest is still examined."""
    cloud = watched.cloud
    project, invoker = f"projects/{PROJECT}", f"{PLACE}/services/watchkeeper-gmail-watch"
    services = cloud.resources[f"{project}/services"]
    services["services"] = [each for each in services["services"] if "cloudscheduler" not in each["name"]]
    (datastore,) = (each for each in cloud.policies[project]["bindings"] if each["role"] == "roles/datastore.user")
    datastore["members"].remove(f"serviceAccount:{account('watchkeeper-tick')}")
    cloud.policies[invoker]["bindings"][0]["members"].append("allUsers")
    job = cloud.resources[f"{PLACE}/jobs/gmail-watch-renewal"]
    job["httpTarget"]["oidcToken"]["audience"] = "https://old.run.app"
    job["state"] = "PAUSED"
    cloud.resources[f"{PLACE}/jobs/watchkeeper-tick"]["status"] = {"code": 16}
    del cloud.resources[f"{project}/secrets/watchkeeper-cron-secret/versions/3"]
    del cloud.resources[f"{PLACE}/functions/watchkeeper-chat-webhook"]
    told = cloud.resources[f"{PLACE}/functions/watchkeeper-tick"]["serviceConfig"]["environmentVariables"]
    told["AUTH_AUDIENCE"] = "https://old.run.app"
    queue = f"{PLACE}/queues/watchkeeper-agents"
    cloud.resources[queue] |= {"state": "PAUSED", "rateLimits": {"maxConcurrentDispatches": 9}}
    del cloud.policies[queue]
    cloud.policies[f"{project}/serviceAccounts/{account('watchkeeper-tasks')}"] = {"etag": "AA=="}
    denied = Refused(403, "PERMISSION_DENIED", "Permission 'pubsub.topics.getIamPolicy' denied")
    cloud.refusals[f"GET {project}/topics/gmail:getIamPolicy"] = denied

    code, found = doctor(NOW + timedelta(days=6, hours=1))

    def run(verb: str, *only: str) -> str:
        place = f"--project {PROJECT} --region {REGION} --settings {watched.settings}"
        return f"run `./deploy_functions.sh {verb} {place} --only {' '.join(only or ONLY)}`"

    assert code == 1
    assert [finding for finding in found if finding[0] != "ok"] == [
        ("wrong", "apis", f"not enabled: cloudscheduler.googleapis.com; {run('setup')}"),
        ("wrong", "roles", f"watchkeeper-tick lacks roles/datastore.user; {run('setup')}"),
        ("warning", "queue", f"watchkeeper-agents is paused; {run('resume', 'run_job')}"),
        (
            *("wrong", "queue"),
            "watchkeeper-agents has a different max-concurrent-dispatches, max-dispatches-per-second; "
            + run("schedules", "run_job"),
        ),
        (
            *("wrong", "queue"),
            "on watchkeeper-agents watchkeeper-tick lacks roles/cloudtasks.enqueuer, watchkeeper-tick lacks "
            "roles/cloudtasks.viewer, watchkeeper-tick lacks roles/cloudtasks.taskDeleter, watchkeeper-chat-webhook "
            f"lacks roles/cloudtasks.taskDeleter; {run('setup')}",
        ),
        (
            *("wrong", "queue"),
            f"watchkeeper-tick may not create tasks that act as {account('watchkeeper-tasks')}; {run('setup')}",
        ),
        (
            *("wrong", "secret"),
            "version 3 of watchkeeper-cron-secret is not there; put its value into the settings file, as CRON_SECRET; "
            + run("setup"),
        ),
        (
            *("wrong", "function"),
            f"watchkeeper-tick was deployed with a different AUTH_AUDIENCE; {run('functions', 'tick')}",
        ),
        (
            *("wrong", "schedule"),
            f"the last attempt of watchkeeper-tick, at {iso(NOW)}, failed with status 16 (401); the log of "
            f"watchkeeper-tick says why, docs/OPERATIONS.md what to do; then {run('smoke', 'tick')}",
        ),
        (
            *("wrong", "topic"),
            f"{project}/topics/gmail could not be checked: PERMISSION_DENIED: Permission 'pubsub.topics.getIamPolicy' "
            "denied. This command is unauthenticated because the [auth/disable_credentials] property is True",
        ),
        ("wrong", "caller", f"watchkeeper-gmail-watch may be called by allUsers; {run('setup', 'gmail_watch')}"),
        ("warning", "schedule", f"gmail-watch-renewal is paused; {run('resume', 'gmail_watch')}"),
        (
            *("wrong", "schedule"),
            f"gmail-watch-renewal has a different oidc-token-audience; {run('schedules', 'gmail_watch')}",
        ),
        ("wrong", "function", f"watchkeeper-chat-webhook is not deployed; {run('functions', 'chat_webhook')}"),
        ("wrong", "gmail", f"{WATCH} expires in 23 h; {run('smoke', 'gmail_watch')}"),
    ]


@pytest.mark.parametrize(
    ("env", "says"),
    [
        pytest.param({"PATH": ""}, "it is not installed: https://cloud.google.com/sdk/docs/install", id="missing"),
        pytest.param(
            {"CLOUDSDK_AUTH_DISABLE_CREDENTIALS": ""}, "it is not signed in; run `gcloud auth login`", id="signed-out"
        ),
    ],
)
def test_without_gcloud_the_subscriptions_are_examined_all_the_same(
    doctor: Callable[..., tuple[int, Findings]], env: dict[str, str], says: str
) -> None:
    """One line says that gcloud is missing, with the remedy."""
    code, found = doctor(**env)

    assert code == 1
    assert ("wrong", "gcloud", says) == found[1]
    assert [finding[:2] for finding in found] == [("ok", "settings"), ("wrong", "gcloud"), ("ok", "gmail")]


def test_a_project_that_is_not_there_is_the_only_finding_of_its_kind(
    doctor: Callable[..., tuple[int, Findings]], watched: Operator
) -> None:
    """Nothing else can be asked about it."""
    del watched.cloud.resources[f"projects/{PROJECT}"]

    code, found = doctor()

    assert code == 1
    assert found[1] == ("wrong", "project", f"there is no project {PROJECT}, or it may not be seen")
    assert len(found) == 3
