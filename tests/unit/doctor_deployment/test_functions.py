"""The deployed functions and their callers, and other deployments beside this one."""

from typing import Any

import pytest

from tests.support.examined import SCHEDULER, judged, listed, policy, remedies, run
from watchkeeper.deploy.checks import checks
from watchkeeper.deploy.remedies import Remedies


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
def test_other_deployments_are_examined(found: dict[str, Any], state: str, says: str) -> None:
    """Another deployment that shares something with this one, and functions that are no longer in the table."""
    ((found_state, found_says),) = judged("deployment", "what else is deployed", [found])

    assert found_state == state
    assert says in found_says


def test_doctor_examines_the_deployment_of_the_prefix() -> None:
    """It asks for the names of this environment only."""
    wanted = remedies(DEPLOYMENT_PREFIX="staging-")

    asked = [" ".join(each.question) for each in checks(wanted)]

    assert "functions describe staging-tick --gen2 --region=eu" in asked
    assert "scheduler jobs describe staging-gmail-watch-renewal --location=eu" in asked
    assert not [question for question in asked if "watchkeeper" in question]
    assert "SCHEDULER_COLLECTION=staging_scheduler_jobs" in wanted.jobs("upgrade")


def function(name: str, wanted: Remedies, **changes: Any) -> dict[str, Any]:
    """Return a function as gcloud shows it, with these changes to its service."""
    (own,) = (each for each in wanted.deployment.functions if each.name == name)
    service = {
        "serviceAccountEmail": wanted.deployment.email(own.account.id),
        "environmentVariables": {**wanted.deployment.environment(own), "LOG_EXECUTION_ID": "true"},
        "secretEnvironmentVariables": [{"key": "CRON_SECRET", "secret": "watchkeeper-cron-secret", "version": "3"}],
    }
    return {"state": "ACTIVE", "serviceConfig": {**service, **changes}}


TICK = function("tick", remedies())
TOLD = TICK["serviceConfig"]["environmentVariables"]


@pytest.mark.parametrize(
    ("found", "says"),
    [
        pytest.param(None, "is not deployed", id="missing"),
        pytest.param({**TICK, "state": "FAILED"}, "is FAILED", id="state"),
        pytest.param(
            function("tick", remedies(), serviceAccountEmail="old@example.com"), "runs as old@example.com", id="account"
        ),
        pytest.param(
            function(
                "tick", remedies(), environmentVariables={**TOLD, "AUTH_AUDIENCE": "https://old", "CHAT_AUDIENCE": "x"}
            ),
            "was deployed with a different AUTH_AUDIENCE, CHAT_AUDIENCE",
            id="another-and-one-too-many",
        ),
        pytest.param(
            function("tick", remedies(), environmentVariables={}),
            "was deployed with a different AUTH_AUDIENCE, AUTH_CALLERS, CALL_TIMEOUT_SECONDS, GOOGLE_CLOUD_PROJECT, "
            "PUBLIC_URL, RUN_JOB_CALLER, RUN_JOB_URL, TASK_QUEUES",
            id="told-nothing",
        ),
        pytest.param(
            function("tick", remedies(), secretEnvironmentVariables=[]),
            "was deployed with a different CRON_SECRET",
            id="secret",
        ),
        pytest.param(
            {**function("tick", remedies(), serviceAccountEmail="old@example.com"), "state": "FAILED"},
            "is FAILED, runs as old@example.com",
            id="several",
        ),
    ],
)
def test_a_function_that_differs_is_deployed_again(found: Any, says: str) -> None:
    """One line has all differences, settings by name and without their values."""
    assert judged("function", "watchkeeper-tick", found) == [
        ("wrong", f"watchkeeper-tick {says}; {run('functions', 'tick')}")
    ]


def test_a_function_as_it_was_deployed_is_well() -> None:
    """What the platform adds to its environment is ignored."""
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
    found = function("gmail_watch", remedies(**key), secretVolumes=[volume])

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
            policy("roles/run.invoker", SCHEDULER, condition={"title": "until May", "expression": "false"}),
            [("wrong", f"watchkeeper-tick may not be called by {SCHEDULER}; {run('setup', 'tick')}")],
            id="under-a-condition",
        ),
        pytest.param(
            None,
            [("wrong", f"watchkeeper-tick may not be called by {SCHEDULER}; {run('functions', 'tick')}")],
            id="not-deployed",
        ),
    ],
)
def test_exactly_the_caller_may_call_a_function(answer: Any, expected: list[tuple[str, str]]) -> None:
    """`setup` corrects it where the function is deployed."""
    assert judged("caller", "who may call watchkeeper-tick", answer) == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param({"metadata": {}}, ("ok", "Cloud Run checks who calls watchkeeper-tick"), id="well"),
        pytest.param(
            {"metadata": {"annotations": {"run.googleapis.com/invoker-iam-disabled": "true"}}},
            (
                "wrong",
                "Cloud Run does not check who calls watchkeeper-tick; run `gcloud run services update "
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
    """With AUTH_MODE=platform nothing else would, whatever the list of callers is."""
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
    """The right caller of one kind is wrong for the others."""
    about = "who may call watchkeeper-chat-webhook"

    assert judged("caller", about, policy("roles/run.invoker", wanted), CHAT_AUTH=chat_auth)[0][0] == "ok"
    assert judged("caller", about, policy("roles/run.invoker", SCHEDULER), CHAT_AUTH=chat_auth)[0][0] == "wrong"
