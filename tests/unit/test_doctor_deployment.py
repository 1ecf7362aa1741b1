"""What `watchkeeper doctor --project` makes of what gcloud shows, and of what is on record."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from shared.model.job import Job
from shared.model.times import iso
from shared.model.value import Status
from shared.store.documents import Unreadable
from watchkeeper.cli.main import watchkeeper
from watchkeeper.deploy.asking import CannotAsk, last_error
from watchkeeper.deploy.checks import Check, Plan, beside, checks
from watchkeeper.deploy.examination import Subscribed, judge_subscription
from watchkeeper.deploy.functions_table import read_deployment
from watchkeeper.deploy.target import Target
from watchkeeper.findings import Finding
from watchkeeper.session import Session

DELEGATE = "delegate@demo.iam.gserviceaccount.com"
TOPIC = "projects/demo/topics/gmail"
SETTINGS = {
    "GMAIL_USER_EMAIL": "agent@example.com",
    "GMAIL_WATCH_TOPIC": TOPIC,
    "GMAIL_DELEGATE": DELEGATE,
    "AIRTABLE_API_KEY": "pat.s3cret",
    "AIRTABLE_BASE_ID": "appAAAAAAAAAAAAAA",
    "CRON_SECRET": "secret:3",
}
SCHEDULER = "serviceAccount:watchkeeper-scheduler@demo.iam.gserviceaccount.com"
PLACE = "--project demo --region eu"
SETUP = f"run `./deploy_functions.sh setup {PLACE} --settings prod.env`"


def plan(*only: str, **settings: str) -> Plan:
    """Return the plan of a deployment of these functions, or all, with these settings."""
    given = {**SETTINGS, **settings}
    table = read_deployment(given)
    functions = tuple(function for function in table.functions if not only or function.name in only)
    target = Target(table=table, settings=given, project="demo", region="eu", number="42", functions=functions)
    return Plan(target=target, file=Path("prod.env"), only=only)


def run(verb: str, function: str) -> str:
    """Return the remedy for one function."""
    return f"run `./deploy_functions.sh {verb} {PLACE} --settings prod.env --only {function}`"


def check(subject: str, about: str, wanted: Plan) -> Check:
    """Return the check of the plan that is about this."""
    (found,) = (each for each in checks(wanted) if (each.subject, each.about) == (subject, about))
    return found


def judged(subject: str, about: str, answer: Any, **settings: str) -> list[tuple[str, str]]:
    """Return state and text of what is found where gcloud answers so."""
    wanted = plan(**settings)
    found = (beside(wanted) if subject == "deployment" else check(subject, about, wanted)).findings(answer)
    assert {finding.subject for finding in found} == {subject}
    return [(finding.state, finding.says) for finding in found]


def policy(role: str, *members: str, **more: object) -> dict[str, Any]:
    """Return a policy of one binding."""
    return {"bindings": [{"role": role, "members": list(members), **more}]}


def email(name: str) -> str:
    """Return an account of the project."""
    return f"{name}@demo.iam.gserviceaccount.com"


def own(function: str) -> str:
    """Return the account of a function, as policies name it."""
    return f"serviceAccount:{email(f'watchkeeper-{function}')}"


# -- What else is deployed ---------------------------------------------------------------------------------------------


def listed(
    name: str, *, region: str = "eu", project: str = "demo", built_by: str = "watchkeeper-build", **env: str
) -> dict[str, Any]:
    """Return a function as gcloud lists it."""
    audience = f"https://{region}-{project}.cloudfunctions.net/{name}"
    builder = f"{built_by}@{project}.iam.gserviceaccount.com"
    return {
        "name": f"projects/{project}/locations/{region}/functions/{name}",
        "buildConfig": {"serviceAccount": f"projects/{project}/serviceAccounts/{builder}"},
        "serviceConfig": {"environmentVariables": {"AUTH_AUDIENCE": audience, **env}},
    }


@pytest.mark.parametrize(
    ("found", "state", "says"),
    [
        pytest.param(listed("watchkeeper-tick"), "ok", "no other deployment has something in common", id="own"),
        pytest.param(
            listed("staging-tick", built_by="staging-build", DEPLOYMENT_PREFIX="staging-"), "ok", "no other", id="apart"
        ),
        pytest.param(listed("watchkeeper-tick", region="us"), "wrong", "is deployed in us, not in eu", id="region"),
        pytest.param(listed("staging-tick", built_by="x"), "wrong", "has the same jobs, those of the col", id="jobs"),
        pytest.param(listed("watchkeeper-old"), "warning", "watchkeeper-old is deployed, and not in fun", id="removed"),
        pytest.param(listed("watchkeeper-own", built_by="somebody"), "ok", "no other deployment", id="not-built-by-us"),
    ],
)
def test_what_else_is_deployed_is_examined(found: dict[str, Any], state: str, says: str) -> None:
    """Another deployment that has something in common with this one, and what the table no longer has."""
    ((found_state, found_says),) = judged("deployment", "what else is deployed", [found])

    assert found_state == state
    assert says in found_says


def test_doctor_examines_the_deployment_of_the_prefix() -> None:
    """Each name that it asks for is of this environment."""
    wanted = plan(DEPLOYMENT_PREFIX="staging-")

    asked = [" ".join(each.question) for each in checks(wanted)]

    assert "functions describe staging-tick --gen2 --region=eu" in asked
    assert "scheduler jobs describe staging-gmail-watch-renewal --location=eu" in asked
    assert not [question for question in asked if "watchkeeper" in question]
    assert "SCHEDULER_COLLECTION=staging_scheduler_jobs" in wanted.jobs("upgrade")


# -- What setup sees to ------------------------------------------------------------------------------------------------


def test_an_api_that_is_off_is_named() -> None:
    """The others are not; a project without any lacks them all."""
    wanted = plan().target.apis
    services = [{"name": f"projects/42/services/{api}"} for api in wanted]

    assert judged("apis", "what is enabled", services) == [("ok", f"all {len(wanted)} are enabled")]
    assert judged("apis", "what is enabled", services[1:]) == [("wrong", f"not enabled: {wanted[0]}; {SETUP}")]
    assert judged("apis", "what is enabled", []) == [("wrong", f"not enabled: {', '.join(wanted)}; {SETUP}")]


@pytest.mark.parametrize(
    ("database", "expected"),
    [
        ({"type": "FIRESTORE_NATIVE"}, ("ok", "(default) is there")),
        (None, ("wrong", f"there is no Firestore database (default); {SETUP}")),
        (
            {"type": "DATASTORE_MODE"},
            (
                "wrong",
                "(default) is DATASTORE_MODE, not FIRESTORE_NATIVE; name another one in FIRESTORE_DATABASE; "
                + SETUP.replace("setup", "all", 1),
            ),
        ),
    ],
)
def test_the_database_must_be_there_and_of_its_kind(database: Any, expected: tuple[str, str]) -> None:
    """One of the other kind cannot be changed."""
    assert judged("database", "(default)", database) == [expected]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        pytest.param({}, [], id="well"),
        pytest.param({"expire_at": {"indexConfig": {}, "ttlConfig": {"state": "CREATING"}}}, [], id="begun"),
        pytest.param({"payload": None}, ["indexed, and should not be: payload"], id="indexed"),
        pytest.param(
            {"error": {"indexConfig": {"indexes": [{"order": "ASCENDING"}]}}},
            ["indexed, and should not be: error"],
            id="other-index",
        ),
        pytest.param({"expire_at": {"indexConfig": {}}}, ["the expiry by expire_at is off"], id="no-expiry"),
        pytest.param(
            {"expire_at": {"indexConfig": {}, "ttlConfig": {"state": "NEEDS_REPAIR"}}},
            ["the expiry by expire_at is NEEDS_REPAIR"],
            id="broken-expiry",
        ),
        pytest.param(
            {"expire_at": None},
            ["indexed, and should not be: expire_at", "the expiry by expire_at is off"],
            id="neither",
        ),
    ],
)
def test_the_fields_need_exemptions_and_expiry(changed: dict[str, Any], says: list[str]) -> None:
    """What gcloud does not list has the automatic index."""
    exempt: dict[str, Any] = {"indexConfig": {}}
    well = {
        "payload": exempt,
        "recent_runs": exempt,
        "error": exempt,
        "expire_at": {**exempt, "ttlConfig": {"state": "ACTIVE"}},
    }
    fields = [{"name": f"x/fields/{name}", **field} for name, field in {**well, **changed}.items() if field]

    found = judged("database", "the fields of scheduler_jobs", fields)

    wrong = [("wrong", f"scheduler_jobs: {each}; {SETUP}") for each in says]
    assert found == (wrong or [("ok", "scheduler_jobs has its expiry and its index exemptions")])


def test_the_history_needs_exemptions_and_expiry_too() -> None:
    """It is a collection of its own, which would grow for ever."""
    exempt: dict[str, Any] = {"indexConfig": {}}
    fields = [{"name": f"x/fields/{name}", **exempt} for name in ("error", "output", "expire_at")]

    found = judged("database", "the fields of scheduler_jobs_runs", fields)

    says = ["indexed, and should not be: trace", "the expiry by expire_at is off"]
    assert found == [("wrong", f"scheduler_jobs_runs: {each}; {SETUP}") for each in says]


def test_service_accounts_must_be_there_and_enabled() -> None:
    """One that is disabled is enabled, not made anew."""
    accounts = [{"email": plan().target.email(account.id)} for account in plan().target.accounts]
    tick = email("watchkeeper-tick")
    without = [account for account in accounts if account["email"] != tick]

    assert judged("accounts", "the service accounts", accounts) == [("ok", "all 8 are there")]
    assert judged("accounts", "the service accounts", without) == [("wrong", f"there is no {tick}; {SETUP}")]
    assert judged("accounts", "the service accounts", [*without, {"email": tick, "disabled": True}]) == [
        ("wrong", f"{tick} is disabled; run `gcloud iam service-accounts enable {tick} --project demo`")
    ]


def test_a_role_that_is_missing_or_conditional_is_named() -> None:
    """A condition may not hold, so such a role does not count."""
    wanted = plan("tick")
    build = [
        binding
        for role in wanted.target.table.build_account.roles
        for binding in policy(role, f"serviceAccount:{email('watchkeeper-build')}")["bindings"]
    ]
    tick = policy("roles/datastore.user", own("tick"))["bindings"]
    bound = policy("roles/datastore.user", own("tick"), condition={"expression": "false"})["bindings"]
    roles = check("roles", "who has which role", wanted)

    well = roles.findings({"bindings": [*build, *tick]})
    wrong = roles.findings({"bindings": [*build, *bound]})

    remedy = f"{SETUP[:-1]} --only tick`"
    assert well == [Finding("ok", "roles", "every service account has its roles")]
    assert wrong == [Finding("wrong", "roles", f"watchkeeper-tick has not roles/datastore.user; {remedy}")]


@pytest.mark.parametrize(
    ("name", "found", "expected"),
    [
        pytest.param("cron-secret", {"state": "ENABLED"}, ("ok", "watchkeeper-cron-secret is there"), id="well"),
        pytest.param(
            "cron-secret",
            None,
            (
                "wrong",
                "version 3 of watchkeeper-cron-secret is not there; put its value into the settings file, as "
                f"CRON_SECRET; {SETUP}",
            ),
            id="gone",
        ),
        pytest.param(
            "airtable-api-key",
            None,
            ("wrong", f"version latest of watchkeeper-airtable-api-key is not there; {SETUP}"),
            id="gone-and-in-the-file",
        ),
        pytest.param(
            "airtable-api-key",
            {"state": "DESTROYED"},
            ("wrong", f"version latest of watchkeeper-airtable-api-key is DESTROYED; {SETUP}"),
            id="destroyed",
        ),
        pytest.param(
            "airtable-api-key",
            {"state": "DISABLED", "name": "projects/42/secrets/watchkeeper-airtable-api-key/versions/4"},
            (
                "wrong",
                "version latest of watchkeeper-airtable-api-key is DISABLED; run `gcloud secrets versions enable 4 "
                "--secret=watchkeeper-airtable-api-key --project demo`",
            ),
            id="disabled",
        ),
    ],
)
def test_the_version_of_a_secret_must_be_enabled(name: str, found: Any, expected: tuple[str, str]) -> None:
    """A value that is not in the settings file has to be put there first."""
    assert judged("secret", f"watchkeeper-{name}", found) == [expected]


def test_who_needs_a_secret_must_be_able_to_read_it() -> None:
    """Nobody can, where there is no secret."""
    readers = ("tick", "gmail-watch", "airtable-refresh")
    about, role = "who may read watchkeeper-cron-secret", "roles/secretmanager.secretAccessor"

    assert judged("secret", about, policy(role, *map(own, readers)))[0][0] == "ok"
    assert judged("secret", about, policy(role, *map(own, readers[1:]))) == [
        ("wrong", f"watchkeeper-cron-secret may not be read by watchkeeper-tick; {SETUP}")
    ]
    assert judged("secret", about, None)[0][0] == "wrong"


@pytest.mark.parametrize(
    ("about", "answer", "expected"),
    [
        pytest.param(
            DELEGATE,
            policy("roles/iam.serviceAccountTokenCreator", own("gmail-watch")),
            ("ok", f"watchkeeper-gmail-watch may act as {DELEGATE}"),
            id="delegate",
        ),
        pytest.param(
            DELEGATE,
            policy("roles/iam.serviceAccountTokenCreator", own("tick")),
            ("wrong", f"watchkeeper-gmail-watch may not act as {DELEGATE}; {run('setup', 'gmail_watch')}"),
            id="other-actor",
        ),
        pytest.param(
            DELEGATE,
            None,
            (
                "wrong",
                f"there is no service account {DELEGATE}; make it as docs/SUBSCRIPTIONS.md says; "
                + run("setup", "gmail_watch"),
            ),
            id="no-delegate",
        ),
        pytest.param(
            TOPIC,
            policy("roles/pubsub.publisher", "serviceAccount:gmail-api-push@system.gserviceaccount.com"),
            ("ok", f"Gmail may publish to {TOPIC}"),
            id="topic",
        ),
        pytest.param(
            TOPIC, {}, ("wrong", f"Gmail may not publish to {TOPIC}; {run('setup', 'gmail_watch')}"), id="no-publisher"
        ),
        pytest.param(
            TOPIC, None, ("wrong", f"there is no topic {TOPIC}; {run('setup', 'gmail_watch')}"), id="no-topic"
        ),
    ],
)
def test_gmail_needs_its_topic_and_its_delegate(about: str, answer: Any, expected: tuple[str, str]) -> None:
    """Both are of one function, so the remedy is for it."""
    assert judged("topic" if about == TOPIC else "delegate", about, answer) == [expected]


QUEUE = {
    "state": "RUNNING",
    "rateLimits": {"maxConcurrentDispatches": 2, "maxDispatchesPerSecond": 1},
    "retryConfig": {
        **{"maxAttempts": 100, "maxRetryDuration": "86400s", "minBackoff": "10s", "maxBackoff": "600s"},
        "maxDoublings": 6,
    },
}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(QUEUE, ("ok", "watchkeeper-agents delivers 2 at once"), id="well"),
        pytest.param(
            {**QUEUE, "retryConfig": {**QUEUE["retryConfig"], "minBackoff": "10.000s"}},  # type: ignore[dict-item]
            ("ok", "watchkeeper-agents delivers 2 at once"),
            id="the-same-duration",
        ),
        pytest.param(None, ("wrong", f"there is no queue watchkeeper-agents; {SETUP}"), id="missing"),
        pytest.param(
            {**QUEUE, "state": "PAUSED"},
            ("warning", f"watchkeeper-agents is paused; {run('resume', 'run_job')}"),
            id="paused",
        ),
        pytest.param(
            {**QUEUE, "rateLimits": {"maxConcurrentDispatches": 1000, "maxDispatchesPerSecond": 1}},
            ("wrong", f"watchkeeper-agents has another max-concurrent-dispatches; {run('schedules', 'run_job')}"),
            id="more-at-once",
        ),
        pytest.param(
            {**QUEUE, "retryConfig": {"maxAttempts": -1}},
            (
                "wrong",
                "watchkeeper-agents has another max-attempts, max-retry-duration, min-backoff, max-backoff, "
                f"max-doublings; {run('schedules', 'run_job')}",
            ),
            id="tried-for-ever",
        ),
    ],
)
def test_a_queue_must_be_there_with_its_limits(found: Any, expected: tuple[str, str]) -> None:
    """A paused one is a warning, like a paused Scheduler job; Google writes a duration as it likes."""
    assert judged("queue", "watchkeeper-agents", found) == [expected]


def test_who_hands_jobs_over_must_be_able_to() -> None:
    """A role on the queue that is missing is named, and that the tick may not act as the account of the tasks."""
    tick, chat = own("tick"), own("chat-webhook")
    roles = [("enqueuer", [tick]), ("viewer", [tick]), ("taskDeleter", [tick, chat])]
    bindings = [{"role": f"roles/cloudtasks.{role}", "members": members} for role, members in roles]
    users, makers = "who may use watchkeeper-agents", f"who may act as {email('watchkeeper-tasks')}"

    assert judged("queue", users, {"bindings": bindings})[0][0] == "ok"
    assert judged("queue", users, {"bindings": bindings[1:]}) == [
        ("wrong", f"on watchkeeper-agents watchkeeper-tick has not roles/cloudtasks.enqueuer; {SETUP}")
    ]
    assert judged("queue", makers, policy("roles/iam.serviceAccountUser", tick))[0][0] == "ok"
    assert judged("queue", makers, policy("roles/iam.serviceAccountUser", chat)) == [
        ("wrong", f"watchkeeper-tick may not make tasks that act as {email('watchkeeper-tasks')}; {SETUP}")
    ]


def test_a_queue_that_is_not_there_is_said_once() -> None:
    """Who may use it is not asked about twice."""
    assert judged("queue", "who may use watchkeeper-agents", None)[0][0] == "ok"


def test_functions_without_a_queue_have_none_examined() -> None:
    """As an agent that only renews subscriptions."""
    assert not [each for each in checks(plan("gmail_watch")) if each.subject == "queue"]


# -- Functions and Scheduler jobs --------------------------------------------------------------------------------------


def function(name: str, wanted: Plan, **changes: Any) -> dict[str, Any]:
    """Return a function as gcloud shows it; `changes` are of its service."""
    (own,) = (each for each in wanted.target.functions if each.name == name)
    service = {
        "serviceAccountEmail": wanted.target.email(own.account.id),
        "environmentVariables": {**wanted.target.environment(own), "LOG_EXECUTION_ID": "true"},
        "secretEnvironmentVariables": [{"key": "CRON_SECRET", "secret": "watchkeeper-cron-secret", "version": "3"}],
    }
    return {"state": "ACTIVE", "serviceConfig": {**service, **changes}}


TICK = function("tick", plan())
TOLD = TICK["serviceConfig"]["environmentVariables"]
TICK_AUDIENCE = "https://eu-demo.cloudfunctions.net/watchkeeper-tick"


@pytest.mark.parametrize(
    ("found", "says"),
    [
        pytest.param(None, "is not deployed", id="missing"),
        pytest.param({**TICK, "state": "FAILED"}, "is FAILED", id="state"),
        pytest.param(
            function("tick", plan(), serviceAccountEmail="old@example.com"), "runs as old@example.com", id="account"
        ),
        pytest.param(
            function(
                "tick", plan(), environmentVariables={**TOLD, "AUTH_AUDIENCE": "https://old", "CHAT_AUDIENCE": "x"}
            ),
            "was deployed with another AUTH_AUDIENCE, CHAT_AUDIENCE",
            id="another-and-one-too-many",
        ),
        pytest.param(
            function("tick", plan(), environmentVariables={}),
            "was deployed with another AUTH_AUDIENCE, AUTH_CALLERS, CALL_TIMEOUT_SECONDS, GOOGLE_CLOUD_PROJECT, "
            "PUBLIC_URL, RUN_JOB_CALLER, RUN_JOB_URL, TASK_QUEUES",
            id="told-nothing",
        ),
        pytest.param(
            function("tick", plan(), secretEnvironmentVariables=[]),
            "was deployed with another CRON_SECRET",
            id="secret",
        ),
        pytest.param(
            {**function("tick", plan(), serviceAccountEmail="old@example.com"), "state": "FAILED"},
            "is FAILED, runs as old@example.com",
            id="several",
        ),
    ],
)
def test_a_function_that_differs_is_deployed_again(found: Any, says: str) -> None:
    """All that differs is in one line, settings by their names; no value is shown."""
    assert judged("function", "watchkeeper-tick", found) == [
        ("wrong", f"watchkeeper-tick {says}; {run('functions', 'tick')}")
    ]


def test_a_function_as_it_was_deployed_is_well() -> None:
    """What the platform adds to its environment does not count."""
    assert judged("function", "watchkeeper-tick", TICK) == [("ok", "watchkeeper-tick is deployed as the settings say")]


@pytest.mark.parametrize(
    ("version", "path", "state"),
    [
        pytest.param("latest", "service-account-key.json", "ok", id="as-gcloud-writes-it"),
        pytest.param("latest", "/service-account-key.json", "ok", id="with-a-slash"),
        pytest.param("2", "service-account-key.json", "wrong", id="another-version"),
    ],
)
def test_a_secret_that_is_mounted_is_compared_too(version: str, path: str, state: str) -> None:
    """It is named by its path."""
    key = {"GMAIL_DELEGATE": "", "GCP_SERVICE_ACCOUNT_JSON_PATH": "secret:latest"}
    versions = [{"path": path, "version": version}]
    volume = {"mountPath": "/secrets/gmail", "secret": "service-account-key", "versions": versions}
    found = function("gmail_watch", plan(**key), secretVolumes=[volume])

    ((found_state, says),) = judged("function", "watchkeeper-gmail-watch", found, **key)

    assert found_state == state
    assert ("/secrets/gmail/service-account-key.json" in says) is (state == "wrong")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(
            policy("roles/run.invoker", SCHEDULER),
            [("ok", f"watchkeeper-tick may be called by {SCHEDULER}, and nobody else")],
            id="well",
        ),
        pytest.param(
            policy("roles/run.invoker", SCHEDULER, "allUsers", "user:ada@example.com"),
            [("wrong", f"watchkeeper-tick may be called by allUsers, user:ada@example.com; {run('setup', 'tick')}")],
            id="others",
        ),
        pytest.param(
            policy("roles/run.admin", SCHEDULER),
            [("wrong", f"watchkeeper-tick may not be called by {SCHEDULER}; {run('setup', 'tick')}")],
            id="nobody",
        ),
        pytest.param(
            None,
            [("wrong", f"watchkeeper-tick may not be called by {SCHEDULER}; {run('functions', 'tick')}")],
            id="not-deployed",
        ),
    ],
)
def test_exactly_the_caller_may_call_a_function(answer: Any, expected: list[tuple[str, str]]) -> None:
    """Setup mends it where the function is deployed."""
    assert judged("caller", "who may call watchkeeper-tick", answer) == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param({"metadata": {}}, ("ok", "Cloud Run checks who calls watchkeeper-tick"), id="well"),
        pytest.param(
            {"metadata": {"annotations": {"run.googleapis.com/invoker-iam-disabled": "true"}}},
            (
                "wrong",
                "Cloud Run lets everybody in to watchkeeper-tick, whoever may call it; run `gcloud run services update "
                "watchkeeper-tick --invoker-iam-check --region=eu --project demo`",
            ),
            id="switched-off",
        ),
        pytest.param(
            None, ("wrong", f"there is no service watchkeeper-tick; {run('functions', 'tick')}"), id="not-deployed"
        ),
    ],
)
def test_cloud_run_must_check_callers_at_all(found: Any, expected: tuple[str, str]) -> None:
    """With AUTH_MODE=platform nobody else would, whatever the list of callers says."""
    assert judged("caller", "the lock of watchkeeper-tick", found) == [expected]


@pytest.mark.parametrize(
    ("chat_auth", "wanted"),
    [
        ("addon", "serviceAccount:service-42@gcp-sa-gsuiteaddons.iam.gserviceaccount.com"),
        ("endpoint", "serviceAccount:chat@system.gserviceaccount.com"),
        ("project_number", "allUsers"),
    ],
)
def test_who_calls_for_chat_follows_from_its_kind_of_token(chat_auth: str, wanted: str) -> None:
    """What is right for one kind is wrong for the others."""
    about = "who may call watchkeeper-chat-webhook"

    assert judged("caller", about, policy("roles/run.invoker", wanted), CHAT_AUTH=chat_auth)[0][0] == "ok"
    assert judged("caller", about, policy("roles/run.invoker", SCHEDULER), CHAT_AUTH=chat_auth)[0][0] == "wrong"


def schedule(**changes: Any) -> dict[str, Any]:
    """Return the tick's job as gcloud shows it."""
    token = {"serviceAccountEmail": email("watchkeeper-scheduler"), "audience": TICK_AUDIENCE}
    target = {"uri": TICK_AUDIENCE, "httpMethod": "POST", "oidcToken": token}
    well = {"state": "ENABLED", "schedule": "* * * * *", "timeZone": "UTC", "attemptDeadline": "180s", "status": {}}
    return {**well, "lastAttemptTime": "2026-11-21T09:00:00Z", "httpTarget": target, **changes}


TARGET = schedule()["httpTarget"]
FAILED = "the last attempt of watchkeeper-tick, at 2026-11-21T09:00:00Z, failed with status"
LOG = "the log of watchkeeper-tick says why, docs/OPERATIONS.md what to do"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(None, ("wrong", f"watchkeeper-tick is not there; {run('schedules', 'tick')}"), id="missing"),
        pytest.param(
            schedule(state="UPDATE_FAILED"),
            ("wrong", f"watchkeeper-tick is UPDATE_FAILED; {run('schedules', 'tick')}"),
            id="state",
        ),
        pytest.param(
            schedule(state="PAUSED"), ("warning", f"watchkeeper-tick is paused; {run('resume', 'tick')}"), id="paused"
        ),
        pytest.param(
            schedule(schedule="*/5 * * * *", timeZone="Asia/Tokyo", attemptDeadline="15s"),
            (
                "wrong",
                f"watchkeeper-tick has another schedule, time-zone, attempt-deadline; {run('schedules', 'tick')}",
            ),
            id="when",
        ),
        pytest.param(
            schedule(httpTarget={**TARGET, "httpMethod": "PUT"}),
            ("wrong", f"watchkeeper-tick has another http-method; {run('schedules', 'tick')}"),
            id="method",
        ),
        pytest.param(
            schedule(httpTarget={**TARGET, "uri": "https://old"}, state="PAUSED", schedule="@daily"),
            ("wrong", f"watchkeeper-tick calls https://old, which is not ours; {run('schedules', 'tick')}"),
            id="not-ours",
        ),
        pytest.param(
            schedule(httpTarget={}),
            ("wrong", f"watchkeeper-tick calls no URL, which is not ours; {run('schedules', 'tick')}"),
            id="no-url",
        ),
        pytest.param(
            schedule(httpTarget={**TARGET, "oidcToken": {"serviceAccountEmail": "x", "audience": "https://old"}}),
            (
                "wrong",
                "watchkeeper-tick has another oidc-service-account-email, oidc-token-audience; "
                + run("schedules", "tick"),
            ),
            id="token",
        ),
        pytest.param(
            schedule(httpTarget={"uri": TICK_AUDIENCE, "httpMethod": "POST"}),
            (
                "wrong",
                "watchkeeper-tick has another oidc-service-account-email, oidc-token-audience; "
                + run("schedules", "tick"),
            ),
            id="no-token",
        ),
        pytest.param(
            schedule(status={"code": 7}), ("wrong", f"{FAILED} 7 (403); {LOG}; then {run('smoke', 'tick')}"), id="403"
        ),
        pytest.param(
            schedule(status={"code": 2}), ("wrong", f"{FAILED} 2; {LOG}; then {run('smoke', 'tick')}"), id="other-code"
        ),
        pytest.param(
            {name: value for name, value in schedule().items() if name != "lastAttemptTime"},
            ("warning", f"watchkeeper-tick has never run; {run('smoke', 'tick')}"),
            id="never-run",
        ),
    ],
)
def test_a_scheduler_job_that_is_not_right_is_named(found: Any, expected: tuple[str, str]) -> None:
    """Each with the command that mends it."""
    assert judged("schedule", "watchkeeper-tick", found) == [expected]


def test_a_scheduler_job_can_have_several_faults() -> None:
    """Each is a finding of its own, since each has a remedy of its own."""
    found = schedule(state="PAUSED", schedule="@daily", status={"code": 13})

    states = [state for state, _ in judged("schedule", "watchkeeper-tick", found)]

    assert states == ["warning", "wrong", "wrong"]


def test_a_scheduler_job_that_is_right_is_well() -> None:
    """It says when it calls what."""
    assert judged("schedule", "watchkeeper-tick", schedule()) == [
        ("ok", "watchkeeper-tick calls watchkeeper-tick: * * * * * (UTC)")
    ]


# -- Questions ---------------------------------------------------------------------------------------------------------


def test_a_question_that_cannot_be_asked_is_a_finding() -> None:
    """It says what was asked about, and what gcloud said."""
    expected = [("wrong", "who has which role cannot be looked at: PERMISSION_DENIED: no")]

    assert judged("roles", "who has which role", CannotAsk("PERMISSION_DENIED: no")) == expected


@pytest.mark.parametrize(
    ("said", "line"),
    [
        pytest.param(
            "WARNING: old\nERROR: (gcloud.run.services.get-iam-policy) PERMISSION_DENIED: no\n- '@type': Info\n",
            "PERMISSION_DENIED: no",
            id="with-details",
        ),
        pytest.param("Traceback\nValueError: bad\n\n", "ValueError: bad", id="no-error-line"),
        pytest.param("ERROR: " + "x" * 400, "x" * 300, id="long"),
        pytest.param("", "gcloud failed and did not say why", id="nothing"),
    ],
)
def test_of_what_gcloud_says_the_error_is_shown(said: str, line: str) -> None:
    """In one line, without the name of the command."""
    assert last_error(said) == line


def test_a_remedy_can_be_pasted_into_a_shell() -> None:
    """It names the settings file and the functions that were given, and neither if none was."""
    wanted = plan("tick", "gmail_watch")
    place = "./deploy_functions.sh setup --project demo --region eu"

    assert replace(wanted, file=Path("my prod.env")).deploy("setup") == (
        f"run `{place} --settings 'my prod.env' --only tick gmail_watch`"
    )
    assert replace(wanted, file=None, only=()).deploy("setup") == f"run `{place}`"


def doctor(env: Mapping[str, str], *arguments: str) -> Result:
    """Call `watchkeeper doctor`."""
    session = Session(env=env, clock=lambda: datetime.now(UTC), user="ada")
    return CliRunner().invoke(watchkeeper, ["doctor", *arguments], obj=session)


def test_without_a_right_every_question_is_a_line(tmp_path: Path) -> None:
    """What depends on the project's number, which nobody told, is left out."""
    gcloud = tmp_path / "gcloud"
    gcloud.write_text("#!/bin/sh\necho 'ERROR: (gcloud.any) PERMISSION_DENIED: no' >&2\nexit 1\n")
    gcloud.chmod(0o755)
    settings = tmp_path / "prod.env"
    settings.write_text("ALLOWED_USERS=*@example.com\n")
    only = ("--only", "tick", "--only", "chat_webhook")

    result = doctor({"PATH": str(tmp_path)}, "--project", "demo", "--region", "eu", "--settings", str(settings), *only)

    settings_line, project, *others = result.stdout.splitlines()
    assert result.exit_code == 1
    assert settings_line.startswith("ok       settings  jobs are kept in Firestore, project demo, database (default)")
    assert project.endswith(
        "demo cannot be looked at: PERMISSION_DENIED: no; what Chat calls is left out, since it depends on the "
        "project's number"
    )
    assert [line.split()[:2] for line in others] == [
        ["wrong", subject]
        for subject in (
            *("apis", "database", "database", "database", "accounts", "roles", "queue", "queue", "queue"),
            *("function", "caller", "caller", "schedule", "deployment", "deployer"),
        )
    ]


@pytest.mark.parametrize(
    ("only", "is_warned"), [pytest.param("chat_webhook", True, id="chat"), pytest.param("tick", False, id="another")]
)
def test_a_webhook_that_any_app_may_call_is_warned_of(tmp_path: Path, only: str, is_warned: bool) -> None:
    """Where the webhook is examined; with the command that follows the change."""
    settings = tmp_path / "prod.env"
    settings.write_text("CHAT_AUTH=endpoint\n")

    result = doctor({"PATH": ""}, "--project", "demo", "--region", "eu", "--settings", str(settings), "--only", only)

    warnings = [line for line in result.stdout.splitlines() if line.startswith("warning  chat ")]
    assert len(warnings) == is_warned
    for line in warnings:
        assert "CHAT_AUTH=endpoint is legacy" in line
        assert "./deploy_functions.sh all --project demo --region eu" in line
        assert line.endswith("--only chat_webhook`")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        pytest.param("CHAT_AUTH=classic", "CHAT_AUTH is 'classic'", id="kind-of-token"),
        pytest.param("LOG_LEVEL=loud", "LOG_LEVEL is 'loud'", id="any-setting"),
    ],
)
def test_settings_that_cannot_be_used_are_the_only_finding(tmp_path: Path, line: str, says: str) -> None:
    """Without them it is not known what should be there, so nothing is asked."""
    settings = tmp_path / "prod.env"
    settings.write_text(line)

    result = doctor({"PATH": ""}, "--project", "demo", "--region", "eu", "--settings", str(settings))

    assert result.exit_code == 1
    assert result.stdout.startswith("wrong    settings")
    assert says in result.stdout
    assert result.stdout.count("\n") == 1


def test_settings_that_are_missing_are_named(tmp_path: Path) -> None:
    """The rest is examined all the same."""
    settings = tmp_path / "prod.env"
    settings.write_text("GMAIL_USER_EMAIL=agent@example.com\n")

    result = doctor({"PATH": ""}, "--project", "demo", "--region", "eu", "--settings", str(settings))

    first, second, *_ = result.stdout.splitlines()
    assert first.startswith("wrong    settings  not set: GMAIL_WATCH_TOPIC (for")
    assert second.startswith("wrong    gcloud    it is not installed")


@pytest.mark.parametrize("arguments", [("--project", "demo"), ("--region", "eu"), ("--only", "tick")])
def test_a_deployment_has_a_project_and_a_region(arguments: tuple[str, ...]) -> None:
    """Neither is taken from whatever gcloud is configured for."""
    result = doctor({}, *arguments)

    assert result.exit_code == 2
    assert "give both --project and --region" in result.stderr


# -- Subscriptions -----------------------------------------------------------------------------------------------------

WATCH = "subscription:gmail:agent@example.com"
RENEW = run("smoke", "gmail_watch")
MAILBOX = Subscribed("gmail", "agent@example.com", RENEW)
JOBS = (
    "env SCHEDULER_STORAGE=firestore GOOGLE_CLOUD_PROJECT=demo 'FIRESTORE_DATABASE=(default)' "
    "SCHEDULER_COLLECTION=scheduler_jobs watchkeeper jobs"
)
Record = Callable[..., Job]


@pytest.fixture
def record(job_factory: Callable[..., Job], now: datetime) -> Record:
    """Make a record of a subscription with so much time left, and anything else in its payload."""

    def make(left: timedelta | None = None, *, id: str = WATCH, status: Status = Status.PENDING, **payload: Any) -> Job:
        expiry = {} if left is None else {"expires_at": iso(now + left)}
        job = job_factory(id, "subscription_check", payload={**expiry, **payload})
        return replace(job, status=status)

    return make


DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("left", "payload", "expected"),
    [
        pytest.param(DAY + timedelta(seconds=1), {}, ("ok", "expires in 24 h"), id="time-left"),
        pytest.param(DAY, {}, ("wrong", f"expires in 24 h; {RENEW}"), id="at-the-edge"),
        pytest.param(timedelta(hours=-3), {}, ("wrong", f"lapsed 3 h ago; {RENEW}"), id="lapsed"),
        pytest.param(None, {}, ("wrong", f"has never been renewed; {RENEW}"), id="never-renewed"),
        pytest.param(None, {"expires_at": None}, ("ok", "never expires"), id="never-expires"),
        pytest.param(
            timedelta(hours=3), {"error": "no"}, ("wrong", f"expires in 3 h; last error: no; {RENEW}"), id="last-error"
        ),
    ],
)
def test_a_subscription_needs_more_than_a_day(
    record: Record, now: datetime, left: timedelta | None, payload: dict[str, Any], expected: tuple[str, str]
) -> None:
    """With less the renewals have failed for days, or nobody calls them."""
    found = list(judge_subscription(MAILBOX, [record(left, **payload)], plan=plan(), now=now))

    assert found == [Finding(expected[0], "gmail", f"{WATCH} {expected[1]}")]


@pytest.mark.parametrize(
    ("status", "days", "expected"),
    [
        pytest.param(
            Status.PAUSED,
            6,
            ("warning", f"{WATCH} is paused: there is no alarm; run `{JOBS} resume {WATCH}`"),
            id="paused",
        ),
        pytest.param(Status.PAUSED, -2, ("wrong", f"{WATCH} lapsed 2 days ago; {RENEW}"), id="paused-and-lapsed"),
        pytest.param(
            Status.CANCELLED,
            6,
            (
                "warning",
                f"{WATCH} is cancelled: there is no alarm; run `{JOBS} delete {WATCH}`, then {RENEW}",
            ),
            id="cancelled",
        ),
    ],
)
def test_a_subscription_without_an_alarm_is_a_warning(
    record: Record, now: datetime, status: Status, days: int, expected: tuple[str, str]
) -> None:
    """It is renewed, but nobody would hear of it if it were not."""
    records = [record(timedelta(days=days), status=status)]

    found = list(judge_subscription(MAILBOX, records, plan=plan(), now=now))

    assert found == [Finding(expected[0], "gmail", expected[1])]


def test_a_subscription_without_a_record_is_wrong(record: Record, now: datetime) -> None:
    """That of a mailbox whose address only begins alike is another one."""
    records = [record(DAY * 6, id=f"{WATCH}.au")]

    found = list(judge_subscription(MAILBOX, records, plan=plan(), now=now))

    assert found == [Finding("wrong", "gmail", f"there is no subscription of agent@example.com; {RENEW}")]


def test_a_record_that_cannot_be_read_is_wrong(now: datetime) -> None:
    """It is repaired first."""
    unreadable = Unreadable(id=WATCH, version=1, reason="no status", document={})

    (found,) = judge_subscription(MAILBOX, [unreadable], plan=plan(), now=now)

    assert found.state == "wrong"
    assert found.says.endswith(f"cannot be read (no status); repair it, then run `{JOBS} upgrade`")


def test_every_webhook_of_a_base_is_judged(record: Record, now: datetime) -> None:
    """But not one whose alarm a person has ended, since another one took its place."""
    base = "subscription:airtable:appA"
    records = [
        record(DAY * 6, id=f"{base}:ach1"),
        record(DAY / 2, id=f"{base}:ach2"),
        record(-DAY, id=f"{base}:ach3", status=Status.CANCELLED),
        record(-DAY, id="subscription:airtable:appB:ach4"),
    ]

    found = list(judge_subscription(Subscribed("airtable", "appA", "renew it"), records, plan=plan(), now=now))

    assert found == [
        Finding("ok", "airtable", f"{base}:ach1 expires in 6 days"),
        Finding("wrong", "airtable", f"{base}:ach2 expires in 12 h; renew it"),
    ]
