"""The steps of setup."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.support.deploying import DELEGATE, FUNCTIONS, REGION, SERVICES, SETTINGS
from tests.support.gcloud import NUMBER, PROJECT
from tests.support.recorder import MISSING, TICK, Recorder, refused, shown
from watchkeeper.deploy import setup
from watchkeeper.deploy.functions import deploy_function
from watchkeeper.deploy.gcloud import Ended, GcloudFailed
from watchkeeper.deploy.work import Work

QUEUES: dict[str, Ended | list[Ended]] = {"tasks queues describe": shown("RUNNING")}
ADDON = f"service-{NUMBER}@gcp-sa-gsuiteaddons.iam.gserviceaccount.com"


def test_the_database_is_made_with_exemptions_and_expiry(gcloud: Recorder, work: Work) -> None:
    """In the functions' region, protected from deletion; an indexed field is exempted."""
    gcloud.answers["firestore indexes fields describe"] = shown("True\t")

    setup.make_database(work)

    fields, run_fields = ("payload", "recent_runs", "error", "expire_at"), ("error", "output", "trace", "expire_at")
    assert gcloud.changes == [
        "firestore databases create",
        *(f"firestore indexes fields update {field}" for field in fields),
        "firestore fields ttls update expire_at",
        *(f"firestore indexes fields update {field}" for field in run_fields),
        "firestore fields ttls update expire_at",
    ]
    assert "--collection-group=scheduler_jobs_runs" in gcloud.flags("firestore indexes fields update output")
    flags = {"--database=(default)", f"--location={REGION}", "--type=firestore-native", "--delete-protection"}
    assert flags <= set(gcloud.flags("firestore databases create"))
    assert "--disable-indexes" in gcloud.flags("firestore indexes fields update payload")
    expiry = "firestore fields ttls update expire_at --collection-group=scheduler_jobs"
    assert "--enable-ttl" in gcloud.flags(f"{expiry} ")
    assert "--enable-ttl" in gcloud.flags(f"{expiry}_runs")


@pytest.mark.parametrize("ttl", ["ACTIVE", "CREATING"])
def test_a_database_as_it_should_be_is_left_alone(gcloud: Recorder, work: Work, ttl: str) -> None:
    """gcloud does not show an exempt field; an expiry that has begun is not started again."""
    exempt, expiry = "firestore indexes fields describe", "firestore indexes fields describe expire_at"
    gcloud.answers = {
        "firestore databases describe": shown("x"),
        exempt: shown("\t"),
        expiry: [shown(""), shown(ttl)] * 2,
    }

    setup.make_database(work)

    assert gcloud.changes == []


def test_existing_accounts_are_not_created(gcloud: Recorder, work: Work) -> None:
    """The others are; that of add-ons is requested each time, because nobody can list it."""
    accounts = [work.deployment.email(account.id) for account in work.deployment.accounts]
    gcloud.answers["iam service-accounts list"] = shown("\n".join(accounts[1:]))

    setup.make_accounts(work)

    assert gcloud.changes == [
        "iam service-accounts create watchkeeper-scheduler",
        "beta services identity create",
    ]


def test_roles_that_are_granted_are_not_granted_again(gcloud: Recorder, work: Work) -> None:
    """The project's policy is read once; the function creates tokens as GMAIL_DELEGATE, without a key."""
    tick = f"serviceAccount:{work.deployment.email(TICK.account.id)}"
    gcloud.answers["projects get-iam-policy"] = shown(f"roles/datastore.user\t{tick}\nroles/owner\tuser:ada")

    setup.grant_roles(work)

    granted = [words for words in gcloud.commands if words[-6:] and "add-iam-policy-binding" in words]
    assert f"--member={tick}" not in [word for words in granted for word in words]
    assert len(granted) == len(SERVICES) - 1 + 3 + 1
    assert [words[:4] for words in gcloud.commands if "get-iam-policy" in words] == [
        ["projects", "get-iam-policy", PROJECT, "--flatten=bindings[].members"],
        ["iam", "service-accounts", "get-iam-policy", DELEGATE],
    ]
    actor = f"--member=serviceAccount:watchkeeper-gmail-watch@{PROJECT}.iam.gserviceaccount.com"
    assert gcloud.flags("iam service-accounts add-iam-policy-binding")[:2] == [
        actor,
        "--role=roles/iam.serviceAccountTokenCreator",
    ]


def test_a_secret_goes_through_stdin_alone(gcloud: Recorder, work: Work) -> None:
    """It is on no command line; only the function that uses it may read it."""
    gcloud.answers["secrets versions access"] = MISSING

    setup.keep_secrets(work)

    assert gcloud.changes[:2] == [
        "secrets create watchkeeper-airtable-api-key",
        "secrets versions add watchkeeper-airtable-api-key",
    ]
    assert list(gcloud.stdin.values()) == [b"pat$(id).s3cret"]
    assert "s3cret" not in repr(gcloud.commands)
    assert not [path for path in work.folder.rglob("*") if "s3cret" in path.read_text() and path.suffix != ".env"]
    reader = f"--member=serviceAccount:watchkeeper-airtable-refresh@{PROJECT}.iam.gserviceaccount.com"
    assert reader in gcloud.flags("secrets add-iam-policy-binding watchkeeper-airtable-api-key")


@pytest.mark.parametrize(
    ("kept", "is_added"),
    [
        pytest.param(Ended(0, b"pat$(id).s3cret"), False, id="same"),
        pytest.param(shown("pat$(id).s3cret"), True, id="one-newline-more"),
        pytest.param(refused("PERMISSION_DENIED"), True, id="not-readable"),
    ],
)
def test_a_secret_that_is_unchanged_gets_no_new_version(
    gcloud: Recorder, work: Work, kept: Ended, is_added: bool
) -> None:
    """It is compared to the byte."""
    gcloud.answers |= {"secrets describe": shown("there"), "secrets versions access": kept}

    setup.keep_secrets(work)

    assert ("secrets versions add watchkeeper-airtable-api-key" in gcloud.changes) is is_added
    assert "secrets create watchkeeper-airtable-api-key" not in gcloud.changes


def test_gmail_may_publish_to_its_topic(gcloud: Recorder, work: Work) -> None:
    """An existing topic is not created; Pub/Sub has no conditions."""
    topic = f"projects/{PROJECT}/topics/gmail"

    setup.make_topics(work)
    made = gcloud.changes
    gcloud.answers = {"pubsub topics describe": shown(topic)}
    gcloud.answers["pubsub topics get-iam-policy"] = shown(
        "roles/pubsub.publisher\tserviceAccount:gmail-api-push@system.gserviceaccount.com"
    )
    setup.make_topics(work)

    assert made == [f"pubsub topics create {topic}", f"pubsub topics add-iam-policy-binding {topic}"]
    assert gcloud.changes == made
    assert "--condition=None" not in gcloud.flags("pubsub topics add-iam-policy-binding")


RESTRICTED = refused(
    "FAILED_PRECONDITION: One or more users named in the policy do not belong to a permitted customer.\n"
    "  description: User gmail-api-push@system.gserviceaccount.com is not in permitted organization.\n"
    "  type: constraints/iam.allowedPolicyMemberDomains"
)


def test_an_organisation_that_refuses_gmail_keeps_nothing_else_from_being_set_up(
    gcloud: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The grant is listed as open, with the remedy; the later steps are done."""
    (settings := tmp_path / "production.env").write_text(SETTINGS)
    gcloud.answers = {
        **{"pubsub topics add-iam-policy-binding": RESTRICTED, "projects describe": shown(NUMBER), **QUEUES},
        "run services describe watchkeeper-tick": shown("watchkeeper-tick"),
    }

    code = gcloud.run(settings, "setup")

    said = capsys.readouterr().err
    assert code == 0
    assert "run services add-iam-policy-binding watchkeeper-tick" in gcloud.changes
    assert f"Left open:\n  Gmail may not publish to projects/{PROJECT}/topics/gmail" in said
    assert "run `setup --only gmail_watch`" in said
    assert "To go on" not in said


@pytest.mark.parametrize(
    ("answer", "is_open"), [(RESTRICTED, True), (refused("PERMISSION_DENIED: pubsub.topics.setIamPolicy"), False)]
)
def test_another_refusal_of_that_grant_ends_setup(gcloud: Recorder, work: Work, answer: Ended, is_open: bool) -> None:
    """A missing role can be granted."""
    gcloud.answers["pubsub topics add-iam-policy-binding"] = answer

    with nullcontext() if is_open else pytest.raises(GcloudFailed):
        setup.make_topics(work)

    assert bool(gcloud.left_open) is is_open


def test_an_organisation_that_refuses_chat_keeps_no_function_from_being_deployed(gcloud: Recorder, work: Work) -> None:
    """Only Chat has to wait."""
    gcloud.answers |= QUEUES | {"run services add-iam-policy-binding": RESTRICTED}

    deploy_function(work, FUNCTIONS["chat_webhook"])

    (point,) = gcloud.left_open
    assert point.startswith(f"serviceAccount:{ADDON} may not call watchkeeper-chat-webhook: the organisation allows")


def test_setup_lets_callers_call_what_is_deployed(gcloud: Recorder, work: Work) -> None:
    """And nothing else: without a function there is nothing to call."""
    gcloud.answers["run services describe watchkeeper-tick"] = shown("watchkeeper-tick")

    setup.allow_callers(work)

    assert gcloud.changes == ["run services add-iam-policy-binding watchkeeper-tick"]
