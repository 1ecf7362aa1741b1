"""What `setup` makes: APIs, the database, accounts, roles, secrets and the parts of Gmail."""

from typing import Any

import pytest

from tests.support.examined import DELEGATE, SETUP, TOPIC, check, email, judged, own, policy, remedies, run
from watchkeeper.findings import Finding


def test_an_api_that_is_off_is_named() -> None:
    """Only those that are off; in a project without any, all of them."""
    wanted = remedies().deployment.apis
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
    """A database of another kind cannot be changed."""
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
    """A field that gcloud does not list has the automatic index."""
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
    """It is a separate collection, which would grow for ever."""
    exempt: dict[str, Any] = {"indexConfig": {}}
    fields = [{"name": f"x/fields/{name}", **exempt} for name in ("error", "output", "expire_at")]

    found = judged("database", "the fields of scheduler_jobs_runs", fields)

    says = ["indexed, and should not be: trace", "the expiry by expire_at is off"]
    assert found == [("wrong", f"scheduler_jobs_runs: {each}; {SETUP}") for each in says]


def test_service_accounts_must_be_there_and_enabled() -> None:
    """A disabled account is enabled, not created again."""
    accounts = [{"email": remedies().deployment.email(account.id)} for account in remedies().deployment.accounts]
    tick = email("watchkeeper-tick")
    without = [account for account in accounts if account["email"] != tick]

    assert judged("accounts", "the service accounts", accounts) == [("ok", "all 8 are there")]
    assert judged("accounts", "the service accounts", without) == [("wrong", f"there is no {tick}; {SETUP}")]
    assert judged("accounts", "the service accounts", [*without, {"email": tick, "disabled": True}]) == [
        ("wrong", f"{tick} is disabled; run `gcloud iam service-accounts enable {tick} --project demo`")
    ]


def test_a_role_that_is_missing_or_conditional_is_named() -> None:
    """A conditional role does not count, because its condition may not hold."""
    wanted = remedies("tick")
    build = [
        binding
        for role in wanted.deployment.table.build_account.roles
        for binding in policy(role, f"serviceAccount:{email('watchkeeper-build')}")["bindings"]
    ]
    tick = policy("roles/datastore.user", own("tick"))["bindings"]
    bound = policy("roles/datastore.user", own("tick"), condition={"expression": "false"})["bindings"]
    roles = check("roles", "who has which role", wanted)

    well = roles.findings({"bindings": [*build, *tick]})
    wrong = roles.findings({"bindings": [*build, *bound]})

    remedy = f"{SETUP[:-1]} --only tick`"
    assert well == [Finding("ok", "roles", "every service account has its roles")]
    assert wrong == [Finding("wrong", "roles", f"watchkeeper-tick lacks roles/datastore.user; {remedy}")]


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
    """A value that is not in the settings file has to be added there first."""
    assert judged("secret", f"watchkeeper-{name}", found) == [expected]


def test_a_function_must_be_able_to_read_its_secrets() -> None:
    """A secret that does not exist cannot be read by anybody."""
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
    """Only one function needs them, so the remedy is for that function."""
    assert judged("topic" if about == TOPIC else "delegate", about, answer) == [expected]
