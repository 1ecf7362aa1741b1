"""The commands of each step, for missing resources and for existing ones."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from tests.deploying import DELEGATE, FUNCTIONS, REGION, SCHEDULER, SERVICES, SETTINGS, url
from tests.gcloud import NUMBER, PROJECT
from tests.recorded_project import Key, RecordedProject
from tests.recorder import MISSING, TICK, Recorder, job_of, refused, shown, target_of
from watchkeeper.deploy import operating, setup
from watchkeeper.deploy.functions import allow_caller, deploy_function, schedule_function
from watchkeeper.deploy.gcloud import Ended, GcloudFailed, StepFailed
from watchkeeper.deploy.operating import Revision, revision_before
from watchkeeper.deploy.work import Work

GMAIL = FUNCTIONS["gmail_watch"]
KEY = "secrets versions access latest --secret=watchkeeper-airtable-api-key"
POLICY = "run services get-iam-policy watchkeeper-tick"
QUEUES: dict[str, Ended | list[Ended]] = {"tasks queues describe": shown("RUNNING")}
ADDON = f"service-{NUMBER}@gcp-sa-gsuiteaddons.iam.gserviceaccount.com"


@pytest.fixture
def gcloud() -> Recorder:
    """A gcloud on an empty project."""
    return Recorder()


@pytest.fixture
def work(gcloud: Recorder, tmp_path: Path) -> Work:
    """Work on every function, with the settings of an environment."""
    return gcloud.work(target_of(tmp_path / "production.env", SETTINGS), tmp_path)


def on(function: str) -> str:
    """Return the question for the Scheduler job of a function."""
    return f"scheduler jobs describe {job_of(FUNCTIONS[function])}"


# -- Setup -------------------------------------------------------------------------------------------------------------


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


def test_accounts_that_are_there_are_not_made(gcloud: Recorder, work: Work) -> None:
    """The others are; that of add-ons is requested each time, because nobody can list it."""
    accounts = [work.target.email(account.id) for account in work.target.accounts]
    gcloud.answers["iam service-accounts list"] = shown("\n".join(accounts[1:]))

    setup.make_accounts(work)

    assert gcloud.changes == [
        "iam service-accounts create watchkeeper-scheduler",
        "beta services identity create",
    ]


def test_roles_that_are_granted_are_not_granted_again(gcloud: Recorder, work: Work) -> None:
    """The project's policy is read once; the function creates tokens as GMAIL_DELEGATE, without a key."""
    tick = f"serviceAccount:{work.target.email(TICK.account.id)}"
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


# -- Functions and Scheduler jobs --------------------------------------------------------------------------------------


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


def test_a_function_that_was_opened_is_closed_again(gcloud: Recorder, work: Work) -> None:
    """Each deployment allows exactly one caller."""
    gcloud.answers[POLICY] = shown("allUsers\nuser:former@example.com")

    allow_caller(work, TICK)

    assert [words[2:4] + words[5:6] for words in gcloud.commands[1:]] == [
        ["remove-iam-policy-binding", "watchkeeper-tick", "--member=allUsers"],
        ["remove-iam-policy-binding", "watchkeeper-tick", "--member=user:former@example.com"],
        ["add-iam-policy-binding", "watchkeeper-tick", f"--member=serviceAccount:{SCHEDULER}"],
    ]


def test_a_condition_on_who_may_call_is_removed(gcloud: Recorder, work: Work) -> None:
    """gcloud refuses to change a policy with conditions unless it is told which binding is meant."""
    gcloud.answers[POLICY] = shown(
        f"user:former@example.com\t\nuser:former@example.com\tuntil May\nserviceAccount:{SCHEDULER}\tuntil May"
    )

    allow_caller(work, TICK)

    assert [words[2:4] + words[5:6] + words[7:8] for words in gcloud.commands[1:]] == [
        ["remove-iam-policy-binding", "watchkeeper-tick", "--member=user:former@example.com", "--all"],
        ["add-iam-policy-binding", "watchkeeper-tick", f"--member=serviceAccount:{SCHEDULER}", "--condition=None"],
    ]


def test_who_may_call_is_left_alone_where_it_is_right(gcloud: Recorder, work: Work) -> None:
    """For the Scheduler's account as for that of add-ons."""
    gcloud.answers[POLICY] = shown(f"serviceAccount:{SCHEDULER}")
    gcloud.answers["run services get-iam-policy watchkeeper-chat-webhook"] = shown(f"serviceAccount:{ADDON}")

    allow_caller(work, TICK)
    allow_caller(work, FUNCTIONS["chat_webhook"])

    assert gcloud.changes == []


def test_without_the_right_to_set_callers_it_says_whom_to_ask(gcloud: Recorder, work: Work) -> None:
    """The function is deployed; that nobody may call it yet is an error with its remedy."""
    gcloud.answers |= QUEUES | {"run services add-iam-policy-binding": refused("PERMISSION_DENIED")}

    with pytest.raises(StepFailed, match=r"watchkeeper-tick is deployed, but who may call .* roles/run.admin: have it"):
        deploy_function(work, TICK)

    assert gcloud.changes[0] == "functions deploy watchkeeper-tick"


def test_a_failed_build_is_not_opened_to_anybody(gcloud: Recorder, work: Work) -> None:
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
        gcloud.answers[on("gmail_watch")] = shown(state)

    schedule_function(work, GMAIL, GMAIL.scheduler_job)

    verb = "update" if state else "create"
    assert gcloud.changes == [f"scheduler jobs {verb} http gmail-watch-renewal"]
    flags = gcloud.flags(f"scheduler jobs {verb}")
    assert {f"--uri={url('gmail_watch')}", f"--oidc-token-audience={url('gmail_watch')}"} <= set(flags)
    assert ("--clear-headers" in flags) is bool(state)


# -- Operating ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "state", "is_told"),
    [
        ("pause", "ENABLED", True),
        ("pause", "PAUSED", False),
        ("resume", "PAUSED", True),
        ("resume", "ENABLED", False),
    ],
)
def test_a_job_is_paused_and_resumed_once(gcloud: Recorder, work: Work, verb: str, state: str, is_told: bool) -> None:
    """What is paused already is not paused again."""
    assert TICK.scheduler_job
    gcloud.answers[on("tick")] = shown(f"{state}|{url('tick')}")

    {"pause": operating.pause, "resume": operating.resume}[verb](work, TICK, TICK.scheduler_job)

    assert gcloud.changes == [f"scheduler jobs {verb} watchkeeper-tick"] * is_told


def test_a_job_that_is_not_there_keeps_nobody_from_pausing_the_others(
    gcloud: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named, and the verb succeeds."""
    (tmp_path / "settings").write_text(SETTINGS)
    gcloud.answers = {on(name): shown(f"ENABLED|{url(name)}") for name in ("tick", "airtable_refresh")}

    code = gcloud.run(tmp_path / "settings", "pause")

    said = capsys.readouterr().out
    assert (code, said.endswith("== done\n")) == (0, True)
    assert "there is no Scheduler job gmail-watch-renewal\n" in said
    assert gcloud.changes == ["scheduler jobs pause watchkeeper-tick", "scheduler jobs pause airtable-webhook-refresh"]


@pytest.mark.parametrize(
    ("uri", "called"),
    [("https://former.run.app/renew", "https://former.run.app/renew"), ("", "no URL"), (f"{url('tick')}/", None)],
)
def test_a_job_of_the_former_system_stays_as_it_is(
    gcloud: Recorder, work: Work, capsys: pytest.CaptureFixture[str], uri: str, called: str | None
) -> None:
    """It has the same name but calls another address; it is not deleted, but the function is."""
    assert GMAIL.scheduler_job
    gcloud.answers |= {on("gmail_watch"): shown(f"ENABLED|{uri}"), "functions describe": shown("ACTIVE")}

    operating.pause(work, GMAIL, GMAIL.scheduler_job)
    operating.destroy(work, GMAIL)

    line = f"gmail-watch-renewal calls {called or uri}, which is not ours; it stays as it is\n"
    assert capsys.readouterr().out == line * 2
    assert gcloud.changes == ["functions delete watchkeeper-gmail-watch"]


def test_the_status_shows_what_is_there_and_what_is_not(
    gcloud: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line for each function and each Scheduler job and nothing else, and nothing is changed."""
    (tmp_path / "settings").write_text(SETTINGS)
    gcloud.answers = {
        "functions describe watchkeeper-tick": shown("ACTIVE  watchkeeper-tick-00001-abc  "),
        on("gmail_watch"): shown("ENABLED  0 0 * * *  UTC    "),
    }

    code = gcloud.run(tmp_path / "settings", "status", "--only", "tick", "gmail_watch", "chat_webhook")

    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()] == [
        "function watchkeeper-tick ACTIVE watchkeeper-tick-00001-abc",
        "schedule watchkeeper-tick not there",
        "function watchkeeper-gmail-watch not deployed",
        "schedule gmail-watch-renewal ENABLED 0 0 * * * UTC",
        "function watchkeeper-chat-webhook not deployed",
    ]
    assert (code, gcloud.changes) == (0, [])


READY, BROKEN = True, False


@pytest.mark.parametrize(
    ("serving", "revisions", "before"),
    [
        pytest.param("c", [("c", READY), ("b", READY), ("a", READY)], "b", id="newest-before"),
        pytest.param("c", [("c", READY), ("b", BROKEN), ("a", READY)], "a", id="broken-before"),
        pytest.param("b", [("c", READY), ("b", READY), ("a", READY)], "a", id="newer-ones-stay"),
        pytest.param("a", [("b", READY), ("a", READY)], "", id="first"),
        pytest.param("b", [("b", READY), ("a", BROKEN)], "", id="none-works"),
        pytest.param("", [("b", READY), ("a", READY)], "", id="traffic-is-shared"),
        pytest.param("z", [("b", READY), ("a", READY)], "", id="unknown"),
        pytest.param("a", [], "", id="no-revisions"),
    ],
)
def test_a_rollback_goes_to_the_newest_that_works_before_the_one_that_serves(
    serving: str, revisions: list[tuple[str, bool]], before: str
) -> None:
    """A revision that never became ready takes no traffic, and a newer one is not before it."""
    assert revision_before(serving, [Revision(*each) for each in revisions]) == before


def test_a_rollback_gives_the_traffic_back(gcloud: Recorder, work: Work, capsys: pytest.CaptureFixture[str]) -> None:
    """All of it; a function without an earlier revision does not change and does not stop the others."""
    gcloud.answers = {
        "run services describe watchkeeper-tick": shown("\ttagged\n100\ttick-2"),
        "run revisions list --service=watchkeeper-tick": shown("tick-2\tTrue\ntick-1\tTrue"),
        "run services describe watchkeeper-gmail-watch": shown("50\tgmail-2\n50\tgmail-1"),
        "run revisions list --service=watchkeeper-gmail-watch": shown("gmail-2\tTrue\ngmail-1\tTrue"),
        "run services describe watchkeeper-run-job": shown("100\trun-1"),
        "run revisions list --service=watchkeeper-run-job": shown("run-2\tTrue\nrun-1\tTrue"),
    }

    for function in (GMAIL, FUNCTIONS["run_job"], TICK):
        operating.roll_back(work, function)

    assert gcloud.changes == ["run services update-traffic watchkeeper-tick"]
    assert "--to-revisions=tick-1=100" in gcloud.flags("run services update-traffic")
    assert capsys.readouterr().err == (
        "watchkeeper-gmail-watch has no working revision before one with all the traffic; it stays as it is\n"
        "watchkeeper-run-job has no working revision before run-1; it stays as it is\n"
    )


def test_two_bad_deployments_in_a_row_go_back_to_the_good_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in a build: the second rollback skips the first bad revision, which is the previous one by age."""
    project = RecordedProject()
    settings, before = tmp_path / "production.env", tmp_path / "before.txt"
    work = project.work(target_of(settings, SETTINGS), tmp_path)
    deploy_function(work, GMAIL)

    for _ in range(2):
        capsys.readouterr()
        project.run(settings, "serving")
        before.write_text(capsys.readouterr().out)
        deploy_function(work, GMAIL)
        assert project.run(settings, "rollback", "--if-configured", "--to", str(before)) == 0

    service = project.resources[Key("run services", "watchkeeper-gmail-watch", REGION)]
    assert service["revisions"][-1] == "watchkeeper-gmail-watch-3"
    assert service["serves"] == "watchkeeper-gmail-watch-1"
    assert before.read_text() == "watchkeeper-gmail-watch watchkeeper-gmail-watch-1\n"


def test_a_rollback_to_a_file_leaves_what_is_not_in_it(
    gcloud: Recorder, work: Work, capsys: pytest.CaptureFixture[str]
) -> None:
    """A function that was deployed for the first time has no earlier revision; one that serves it already stays."""
    gcloud.answers = {
        "run services describe watchkeeper-tick": shown("100\ttick-1"),
        "run services describe watchkeeper-gmail-watch": shown("100\tgmail-1"),
    }

    for function in (GMAIL, TICK):
        operating.roll_back(replace(work, back_to={"watchkeeper-tick": "tick-1"}), function)

    assert gcloud.changes == []
    says = "--to names no revision of watchkeeper-gmail-watch; it stays as it is\n"
    assert capsys.readouterr().err == says


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "error: there is no file of revisions before.txt\n"),
        ("tick\n", "error: --to: `tick` is no line of SERVICE REVISION, as `serving` prints them\n"),
        ("tick\x84\n", "error: --to: `tick\ufffd` is no line of SERVICE REVISION, as `serving` prints them\n"),
    ],
)
def test_a_file_of_another_kind_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, says: str
) -> None:
    """Before the first change."""
    (settings := tmp_path / "production.env").write_text(SETTINGS)
    gcloud = Recorder()
    if content:
        (tmp_path / "before.txt").write_text(content, encoding="latin-1")

    code = gcloud.run(settings, "rollback", "--to", str(tmp_path / "before.txt"))

    assert (code, gcloud.changes) == (1, [])
    assert capsys.readouterr().err.replace(f"{tmp_path}/", "") == says


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        pytest.param(None, 1, id="nobody-answers"),
        pytest.param("yes", 1, id="another-word"),
        pytest.param(PROJECT, 0, id="the-project"),
    ],
)
def test_destroying_asks(
    gcloud: Recorder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    typed: str | None,
    code: int,
) -> None:
    """Nothing is deleted until somebody types the project; then job and function go, and nothing else."""

    def answer(prompt: str) -> str:
        if typed is None:
            raise EOFError
        return typed

    monkeypatch.setattr("builtins.input", answer)
    (tmp_path / "settings").write_text(SETTINGS)
    gcloud.answers = {on("tick"): shown(f"ENABLED|{url('tick')}"), "functions describe": shown("ACTIVE")}

    ended = gcloud.run(tmp_path / "settings", "destroy", "--only", "tick")

    said = capsys.readouterr()
    deleted = ["scheduler jobs delete watchkeeper-tick", "functions delete watchkeeper-tick"]
    assert said.out.startswith(f"This deletes functions and Scheduler jobs in {PROJECT} ({REGION}): tick\n")
    assert (ended, gcloud.changes) == (code, [] if code else deleted)
    assert said.err == ("error: nothing was deleted\n" if code else "")


def test_what_is_gone_already_is_not_deleted(gcloud: Recorder, work: Work) -> None:
    """So `destroy` can be repeated."""
    for function in FUNCTIONS.values():
        operating.destroy(work, function)

    assert gcloud.changes == []
