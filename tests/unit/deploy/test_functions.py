"""The steps that deploy functions and their Scheduler jobs."""

import pytest

from tests.support.deploying import FUNCTIONS, SCHEDULER, url
from tests.support.gcloud import NUMBER
from tests.support.recorder import TICK, Recorder, job_of, refused, shown
from watchkeeper.deploy.functions import allow_caller, deploy_function, schedule_function
from watchkeeper.deploy.gcloud import Ended, GcloudFailed, StepFailed
from watchkeeper.deploy.work import Work

GMAIL = FUNCTIONS["gmail_watch"]
POLICY = "run services get-iam-policy watchkeeper-tick"
QUEUES: dict[str, Ended | list[Ended]] = {"tasks queues describe": shown("RUNNING")}
ADDON = f"service-{NUMBER}@gcp-sa-gsuiteaddons.iam.gserviceaccount.com"


def test_a_deployment_passes_the_environment_in_a_file(gcloud: Recorder, work: Work) -> None:
    """All values are text, even those that look like numbers; no secret is among them."""
    deploy_function(work, FUNCTIONS["airtable_refresh"])

    env = (work.folder / "airtable_refresh.yaml").read_text()
    assert f"--env-vars-file={work.folder / 'airtable_refresh.yaml'}" in gcloud.flags("functions deploy")
    assert f"--source={work.folder / 'airtable_refresh'}" in gcloud.flags("functions deploy")
    assert '"SCHEDULER_CONCURRENCY": "8"' in env
    assert "s3cret" not in env + repr(gcloud.commands)
    secret = "AIRTABLE_API_KEY=watchkeeper-airtable-api-key:latest,CRON_SECRET=watchkeeper-cron-secret:3"
    assert f"--set-secrets={secret}" in gcloud.flags("functions deploy")


def test_a_function_that_others_may_call_is_closed_again(gcloud: Recorder, work: Work) -> None:
    """Each deployment allows exactly one caller."""
    gcloud.answers[POLICY] = shown("allUsers\nuser:former@example.com")

    allow_caller(work, TICK)

    assert [words[2:4] + words[5:6] for words in gcloud.commands[1:]] == [
        ["remove-iam-policy-binding", "watchkeeper-tick", "--member=allUsers"],
        ["remove-iam-policy-binding", "watchkeeper-tick", "--member=user:former@example.com"],
        ["add-iam-policy-binding", "watchkeeper-tick", f"--member=serviceAccount:{SCHEDULER}"],
    ]


def test_a_conditional_caller_is_replaced(gcloud: Recorder, work: Work) -> None:
    """gcloud refuses to change a policy with conditions unless it is told which binding is meant."""
    gcloud.answers[POLICY] = shown(
        f"user:former@example.com\t\nuser:former@example.com\tuntil May\nserviceAccount:{SCHEDULER}\tuntil May"
    )

    allow_caller(work, TICK)

    assert [words[2:4] + words[5:6] + words[7:8] for words in gcloud.commands[1:]] == [
        ["remove-iam-policy-binding", "watchkeeper-tick", "--member=user:former@example.com", "--all"],
        ["add-iam-policy-binding", "watchkeeper-tick", f"--member=serviceAccount:{SCHEDULER}", "--condition=None"],
    ]


def test_a_correct_caller_is_left_alone(gcloud: Recorder, work: Work) -> None:
    """For the Scheduler's account as for that of add-ons."""
    gcloud.answers[POLICY] = shown(f"serviceAccount:{SCHEDULER}")
    gcloud.answers["run services get-iam-policy watchkeeper-chat-webhook"] = shown(f"serviceAccount:{ADDON}")

    allow_caller(work, TICK)
    allow_caller(work, FUNCTIONS["chat_webhook"])

    assert gcloud.changes == []


def test_without_permission_to_set_the_caller_the_error_names_the_role(gcloud: Recorder, work: Work) -> None:
    """The function is deployed; that nobody may call it yet is an error with its remedy."""
    gcloud.answers |= QUEUES | {"run services add-iam-policy-binding": refused("PERMISSION_DENIED")}

    with pytest.raises(
        StepFailed, match=r"is deployed, but its caller could not be set, .* roles/run.admin: grant that"
    ):
        deploy_function(work, TICK)

    assert gcloud.changes[0] == "functions deploy watchkeeper-tick"


def test_a_failed_build_gets_no_caller(gcloud: Recorder, work: Work) -> None:
    """gcloud's own error has the reason."""
    gcloud.answers |= QUEUES | {"functions deploy": refused("Build failed")}

    with pytest.raises(GcloudFailed):
        deploy_function(work, TICK)

    assert gcloud.changes == ["functions deploy watchkeeper-tick"]


@pytest.mark.parametrize("state", [None, "ENABLED", "PAUSED"])
def test_a_job_is_made_or_updated_completely(gcloud: Recorder, work: Work, state: str | None) -> None:
    """Both commands have every flag; other flags of the job are cleared, and it is not resumed."""
    assert GMAIL.scheduler_job
    if state:
        gcloud.answers[f"scheduler jobs describe {job_of(GMAIL)}"] = shown(state)

    schedule_function(work, GMAIL, GMAIL.scheduler_job)

    verb = "update" if state else "create"
    assert gcloud.changes == [f"scheduler jobs {verb} http gmail-watch-renewal"]
    flags = gcloud.flags(f"scheduler jobs {verb}")
    assert {f"--uri={url('gmail_watch')}", f"--oidc-token-audience={url('gmail_watch')}"} <= set(flags)
    assert ("--clear-headers" in flags) is bool(state)
