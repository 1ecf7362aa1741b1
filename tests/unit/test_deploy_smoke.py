"""The smoke test: what it proves, what it waits for, how it reports a failure, and that it leaves nothing behind."""

import signal
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from shared.errors import StoreUnavailable
from shared.model.job import Job
from shared.settings import Settings
from shared.store.protocol import Change, Store, Unknown
from tests.deploying import FUNCTIONS, SETTINGS, TASKS, url
from tests.gcloud import PROJECT
from tests.recorder import MISSING, Recorder, refused, shown, target_of
from tests.smoking import BEGAN, Deployment, left_by_a_killed_one
from watchkeeper.deploy.functions_table import Queue, read_table
from watchkeeper.deploy.gcloud import Ended, StepFailed
from watchkeeper.deploy.outside import HttpResponse, Outside, open_deployed
from watchkeeper.deploy.patience import LIMIT, StillRefused
from watchkeeper.deploy.signals import Interrupted
from watchkeeper.deploy.smoke import chat, queue, scheduler
from watchkeeper.deploy.smoke.scheduler import Attempt, verdict
from watchkeeper.deploy.smoke.trial import on_trial
from watchkeeper.deploy.steps import steps_of
from watchkeeper.deploy.work import Work

TICK, GMAIL, CHAT = FUNCTIONS["tick"], FUNCTIONS["gmail_watch"], FUNCTIONS["chat_webhook"]
QUEUE: Queue = read_table({}).queues[0]
RUN = "scheduler jobs run watchkeeper-tick"
# As the logs of Cloud Scheduler and Cloud Tasks word them.
FAULTS = {
    "PERMISSION_DENIED, URL_ERROR-ERROR_OTHER. Original HTTP response code number = 403": "run setup, which grants it",
    "RESOURCE_EXHAUSTED, Original HTTP response code number = 429": "another call takes as long",
    "UNAVAILABLE, URL_UNREACHABLE-UNREACHABLE_5xx. Original HTTP response code number = 503": "what it cannot reach",
}
UNAUTHENTICATED = "UNAUTHENTICATED, Original HTTP response code number = 401"
REMOVED = "signature removed by the platform; where Cloud Run IAM checks it, set AUTH_MODE=platform"


@pytest.fixture
def cloud(tmp_path: Path) -> Deployment:
    """A healthy deployment."""
    return Deployment(folder=tmp_path)


@pytest.fixture
def work(cloud: Deployment, tmp_path: Path) -> Work:
    """Work on every function, with the settings of an environment."""
    return cloud.work(target_of(tmp_path / "production.env", SETTINGS), tmp_path)


def call_tick(work: Work) -> None:
    """Make Cloud Scheduler call the tick."""
    assert TICK.scheduler_job
    scheduler.call(work, TICK, TICK.scheduler_job)


def call_gmail(work: Work) -> None:
    """Make Cloud Scheduler call a renewal, which runs no job."""
    assert GMAIL.scheduler_job
    scheduler.call(work, GMAIL, GMAIL.scheduler_job)


def deliver(work: Work) -> None:
    """Make the queue deliver."""
    queue.deliver(work, QUEUE)


def knock(work: Work) -> None:
    """Send Chat's function an unsigned event."""
    chat.send_unsigned_event(work, CHAT)


EVERY_WAY = pytest.mark.parametrize("take", [call_tick, call_gmail, deliver])
JOB_WAYS = pytest.mark.parametrize("take", [call_tick, deliver])


# -- What it proves ----------------------------------------------------------------------------------------------------


@JOB_WAYS
def test_a_job_is_made_run_once_and_deleted(
    cloud: Deployment, work: Work, capsys: pytest.CaptureFixture[str], take: Callable[[Work], None]
) -> None:
    """By the tick, and by the function that Cloud Tasks calls: the real ones, with the required token."""
    take(work)

    (ran,) = cloud.runs
    assert ran.startswith("smoke:")
    assert (cloud.jobs, cloud.tasks, cloud.left_open) == ([], {}, [])
    assert capsys.readouterr().out.startswith("proved: ")


def test_cloud_tasks_calls_the_function_as_it_always_does(cloud: Deployment, work: Work) -> None:
    """At its address, which is the audience too, and as its account."""
    deliver(work)

    assert {
        *("--queue=watchkeeper-agents", f"--url={url('run_job')}", f"--oidc-token-audience={url('run_job')}"),
        f"--oidc-service-account-email={TASKS}",
    } <= set(cloud.flags("tasks create-http-task"))


def test_all_ends_with_the_smoke_test(work: Work) -> None:
    """Every Scheduler job, every queue and Chat's function are tested, as the last step."""
    titles = [step.title for step in steps_of("all", work)]

    assert titles[-6:] == [
        *("apply: alerts", "smoke: tick", "smoke: gmail_watch", "smoke: airtable_refresh", "smoke: queue agents"),
        "smoke: chat_webhook",
    ]
    assert [step.title for step in steps_of("smoke", work)] == titles[-5:]


def test_a_whole_smoke_test_ends_well_and_says_what_is_left(
    cloud: Deployment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only Chat can sign an event, so this part stays open."""
    (settings := tmp_path / "production.env").write_text(SETTINGS)

    code = cloud.run(settings, "smoke")

    said = capsys.readouterr()
    assert code == 0
    assert said.out.count("proved: ") == 5
    assert said.err == (
        "\nLeft open:\n  not proved: that Google Chat reaches watchkeeper-chat-webhook; write `help` to the app\n"
    )


# -- Which attempt -----------------------------------------------------------------------------------------------------


def attempt(start: float, end: float | None, said: str = "") -> list[Attempt]:
    """Return the lines of an attempt, in seconds from the first one that counts."""
    times = [(start, False, ""), *([] if end is None else [(end, True, said)])]
    return [Attempt(BEGAN + timedelta(seconds=at), is_end, text) for at, is_end, text in times]


@pytest.mark.parametrize(
    ("attempts", "latest", "wanted"),
    [
        pytest.param([*attempt(0, None)], 0, None, id="begun"),
        pytest.param([*attempt(0, 3)], 0, "", id="well"),
        pytest.param([*attempt(0, 3, "13")], 0, "13", id="bad"),
        pytest.param([*attempt(-60, -57, "13"), *attempt(0, 3)], 0, "", id="bad-before"),
        pytest.param([*attempt(-60, -57), *attempt(0, 3, "13")], 0, "13", id="well-before"),
        pytest.param([*attempt(-60, 2), *attempt(0, None)], 0, None, id="end-of-one-that-was-under-way"),
        pytest.param([*attempt(-60, 2), *attempt(0, 3)], 0, "", id="both-well"),
        pytest.param([*attempt(-60, 2, "13"), *attempt(0, None)], 0, None, id="bad-end-of-one-that-was-under-way"),
        pytest.param([*attempt(-60, 2), *attempt(0, 3, "13")], 0, None, id="either-may-be-ours"),
        pytest.param([*attempt(-70, -65)[1:], *attempt(-60, 2), *attempt(0, None)], 0, None, id="start-was-not-read"),
        pytest.param([*attempt(0, 3, "7"), *attempt(20, None)], 20, None, id="waited-for"),
        pytest.param([*attempt(0, 3, "7"), *attempt(20, 23, "13")], 20, "13", id="bad-after-a-wait"),
        pytest.param([*attempt(0, 3, "7"), *attempt(20, 23)], 20, "", id="well-after-a-wait"),
        pytest.param([*attempt(-1, 3, "13")], 0, "13", id="log-and-job-differ-by-a-second"),
    ],
)
def test_only_an_attempt_that_began_with_the_test_counts(
    attempts: list[Attempt], latest: float, wanted: str | None
) -> None:
    """An end does not say to which start it belongs, and the former status is old."""
    ordered = sorted(attempts)

    assert verdict(ordered, first=BEGAN, latest=BEGAN + timedelta(seconds=latest)) == wanted


def test_what_the_job_says_of_its_last_attempt_is_not_asked(cloud: Deployment, work: Work) -> None:
    """While the new attempt runs, the job still shows the failure of the one before."""
    cloud.attempts.append((BEGAN - timedelta(seconds=60), BEGAN - timedelta(seconds=57), "INTERNAL, 500"))

    call_gmail(work)

    assert cloud.now() >= cloud.attempts[-1][1]
    assert not any("status" in word for words in cloud.commands for word in words)


# -- What passes by itself ---------------------------------------------------------------------------------------------


@EVERY_WAY
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("fault", FAULTS)
def test_what_passes_by_itself_is_waited_for(
    cloud: Deployment, work: Work, take: Callable[[Work], None], fault: str, times: int
) -> None:
    """A grant without effect yet, a busy instance, an unreachable store: it succeeds in the end, with one run."""
    cloud.said = [*[fault] * times, ""]

    take(work)

    assert len(cloud.runs) == (take is not call_gmail)
    assert (cloud.jobs, cloud.tasks, cloud.left_open) == ([], {}, [])
    assert {5, 10}.intersection(cloud.pauses)


@EVERY_WAY
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("is_lost", [False, True])
def test_a_command_that_is_refused_is_sent_again(
    cloud: Deployment,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
    take: Callable[[Work], None],
    times: int,
    is_lost: bool,
) -> None:
    """Each command, several times; also if it was executed and only its answer was lost."""
    answer, seen = cloud._answer, Counter[str]()

    def disturbed(words: Sequence[str]) -> Ended:
        command = " ".join(words)
        seen[command] += 1
        if seen[command] > times:
            is_made = is_lost and "create-http-task" in words
            return refused("ALREADY_EXISTS: The task exists") if is_made else answer(words)
        if is_lost and seen[command] == 1 and "describe" not in words:
            answer(words)
        return refused("UNAVAILABLE: The service is currently unavailable.")

    monkeypatch.setattr(cloud, "_answer", disturbed)

    take(work)

    assert len(cloud.runs) == (take is not call_gmail)
    assert (cloud.jobs, cloud.tasks, cloud.left_open) == ([], {}, [])


@EVERY_WAY
@pytest.mark.parametrize(("fault", "remedy"), FAULTS.items())
def test_what_stays_is_given_up_with_its_remedy(
    cloud: Deployment, work: Work, take: Callable[[Work], None], fault: str, remedy: str
) -> None:
    """After about eight minutes, and nothing is left behind."""
    cloud.said = [fault]

    with pytest.raises(StillRefused, match=remedy):
        take(work)

    assert LIMIT <= cloud.clock() < LIMIT + 120
    assert (cloud.jobs, cloud.tasks, cloud.runs) == ([], {}, [])


def test_an_instance_that_is_busy_with_the_tick_of_the_minute_is_no_failure(
    cloud: Deployment, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs the job, however often the other call is refused."""
    cloud.said = ["RESOURCE_EXHAUSTED, 429"]
    run = cloud._run

    def beside(name: str) -> object:
        cloud.tick()
        return run(name)

    monkeypatch.setattr(cloud, "_run", beside)

    call_tick(work)

    assert len(cloud.runs) == len([change for change in cloud.changes if change == RUN]) == 1


# -- What it says of a failure -----------------------------------------------------------------------------------------


@EVERY_WAY
@pytest.mark.parametrize(
    ("said", "reasons", "says"),
    [
        pytest.param("INTERNAL, 500", [""], "failed with INTERNAL, 500; the log of watchkeeper-", id="failed"),
        pytest.param(UNAUTHENTICATED, [REMOVED], "Set AUTH_MODE=platform in the settings file", id="removed"),
        pytest.param(UNAUTHENTICATED, ["", "", REMOVED], "Set AUTH_MODE=platform in the settings", id="log-is-late"),
        pytest.param(UNAUTHENTICATED, ["wrong audience"], "was refused by watchkeeper-.*: wrong audience", id="ours"),
        pytest.param("PERMISSION_DENIED, 403", ["the caller is not on the list"], "not on the list", id="our-403"),
        pytest.param(UNAUTHENTICATED, [""], r"waited 6\d s .* Cloud Run rejects the token", id="platform"),
    ],
)
def test_a_failure_says_what_to_do(
    cloud: Deployment, work: Work, take: Callable[[Work], None], said: str, reasons: list[str], says: str
) -> None:
    """Refusals of our code and of Cloud Run differ, and are not waited for; a removed signature has its setting."""
    cloud.said, cloud.reasons = [said], reasons

    with pytest.raises((StepFailed, StillRefused), match=says):
        take(work)

    assert cloud.clock() < 120
    assert (cloud.jobs, cloud.tasks) == ([], {})


@pytest.mark.parametrize(
    ("beginning", "answer", "says"),
    [
        ("scheduler jobs describe", MISSING, "there is no Scheduler job gmail-watch-renewal; run schedules"),
        ("scheduler jobs describe", shown("ENABLED|https://former.run.app"), "calls https://former.run.app, which is"),
        ("scheduler jobs run", shown(""), "was told to run, and no attempt was seen"),
        ("logging read", refused("PERMISSION_DENIED"), "takes roles/logging.viewer to read"),
        ("logging read", shown("[]"), "its log has no end; is it excluded from the log"),
    ],
)
def test_what_cannot_be_seen_is_not_called_well(
    cloud: Deployment, work: Work, beginning: str, answer: Ended, says: str
) -> None:
    """Nor is the run of another system's Scheduler job."""
    cloud.answers[beginning] = answer

    with pytest.raises(StepFailed, match=says):
        call_gmail(work)

    assert (beginning == "scheduler jobs describe") is (cloud.changes == [])


def test_a_tick_that_answers_and_runs_nothing_is_a_failure(cloud: Deployment, work: Work) -> None:
    """The call succeeds, but the first due job is still there: perhaps the collection is another one."""
    cloud.is_busy = True

    with pytest.raises(StepFailed, match=r"was called, and did not run the job smoke:\w+$"):
        call_tick(work)

    assert cloud.jobs == []


@JOB_WAYS
def test_a_job_that_fails_says_why(
    cloud: Deployment, work: Work, take: Callable[[Work], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example, if the handler of `log` is another one."""
    monkeypatch.setattr("tests.smoking.load_handlers", lambda modules: {})

    with pytest.raises(StepFailed, match=r"the job smoke:\w+ was run, and failed: .*log"):
        take(work)

    assert (cloud.jobs, cloud.tasks) == ([], {})


# -- What it leaves ----------------------------------------------------------------------------------------------------


@JOB_WAYS
@pytest.mark.parametrize("pause", range(6))
def test_an_interruption_leaves_nothing_behind(
    cloud: Deployment, tmp_path: Path, take: Callable[[Work], None], pause: int
) -> None:
    """At any pause at which the signal arrives."""

    class Pauses(list[float]):
        def append(self, seconds: float) -> None:
            if len(self) == pause:
                raise Interrupted(signal.SIGINT)
            super().append(seconds)

    cloud.said, cloud.pauses = [next(iter(FAULTS))], Pauses()
    work = cloud.work(target_of(tmp_path / "production.env", SETTINGS), tmp_path)

    with pytest.raises(Interrupted):
        take(work)

    assert (cloud.jobs, cloud.tasks) == ([], {})


@pytest.mark.parametrize("take", [call_tick, deliver])
def test_what_a_killed_one_left_is_deleted_by_the_next(
    cloud: Deployment, work: Work, take: Callable[[Work], None]
) -> None:
    """Once it is an hour old: a younger one may still be needed, and other jobs belong to somebody."""
    left = left_by_a_killed_one(cloud.now())
    others = [
        Job.create(job_id, kind, now=made, by=by, payload={"message": "x"}, at=BEGAN + timedelta(days=1))
        for job_id, kind, by, made in (
            ("smoke:fedcba9876543210", "log", "smoke", BEGAN),
            ("smoke:report", "log", "somebody", left.created_at),
            ("smoke:request", "http_request", "smoke", left.created_at),
            ("smokers", "log", "smoke", left.created_at),
        )
    ]
    cloud.store.swap([Change(None, job) for job in (left, *others)])

    take(work)

    assert cloud.jobs == [job.id for job in others]


@pytest.mark.parametrize("queue", ["", "agents"])
def test_every_store_takes_the_job_and_loses_it(store: Store, tmp_path: Path, queue: str) -> None:
    """By the store's own clock it is due, or waits in its queue for a delivery with its token."""
    gcloud = Recorder()
    gcloud.outside = Outside(open_store=lambda settings: store, request=gcloud.outside.request)
    work = gcloud.work(target_of(tmp_path / "production.env", SETTINGS), tmp_path)
    store.swap([Change(None, left_by_a_killed_one(store.now()))])

    with on_trial(work, TICK, proves="nothing", queue=queue) as trial:
        assert trial
        (job,) = store.page()
        assert isinstance(job, Job)
        assert (job.id, trial.has_run()) == (trial.id, False)
        assert job.is_due(store.now()) is not bool(queue)
        assert job.waits_for(trial.token or "") is bool(queue)

    assert (store.page(), gcloud.left_open) == ([], [])


def test_a_signal_while_the_job_is_deleted_leaves_no_job_unnamed(
    cloud: Deployment, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The remaining one is listed under "Left open"."""
    swap = cloud.store.swap

    def interrupted(changes: list[Change]) -> object:
        if changes[0].after is None:
            raise Interrupted(signal.SIGINT)
        return swap(changes)

    monkeypatch.setattr(cloud.store, "swap", interrupted)

    with pytest.raises(Interrupted):
        call_tick(work)

    (job,) = cloud.jobs
    assert cloud.left_open == [f"the job {job} could not be deleted: `watchkeeper jobs delete {job}`"]


def test_no_tick_takes_the_job_out_of_its_queue_while_it_is_waited_for(
    cloud: Deployment, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even after a long wait: the tick would hand it over again, and the test's task would do nothing."""
    cloud.is_busy = True
    swap, made = cloud.store.swap, list[Change]()

    def noting(changes: Sequence[Change]) -> object:
        made.extend(changes)
        return swap(changes)

    monkeypatch.setattr(cloud.store, "swap", noting)

    deliver(work)

    job = made[0].after
    assert isinstance(job, Job)
    assert job.lease_until
    assert job.lease_until > cloud.now()


def test_a_job_that_cannot_be_deleted_is_named(cloud: Deployment, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that deletes it."""
    swap = cloud.store.swap

    def keeping(changes: list[Change]) -> object:
        return [Unknown("away")] if changes[0].after is None else swap(changes)

    monkeypatch.setattr(cloud.store, "swap", keeping)

    call_tick(work)

    (point,) = cloud.left_open
    assert point == f"the job {cloud.jobs[0]} could not be deleted: `watchkeeper jobs delete {cloud.jobs[0]}`"


# -- What it leaves open -----------------------------------------------------------------------------------------------


def _read_only(cloud: Deployment) -> Callable[[Settings], Store]:
    def swap(changes: object) -> object:
        return [Unknown("PermissionDenied: Missing or insufficient permissions.")]

    cloud.store.swap = swap  # type: ignore[method-assign,assignment]  # as Firestore answers a reader
    return lambda settings: cloud.store


def _signed_out(cloud: Deployment) -> Callable[[Settings], Store]:
    def open_store(settings: Settings) -> Store:
        raise StoreUnavailable("sign in with `gcloud auth application-default login`")

    return open_store


@JOB_WAYS
@pytest.mark.parametrize(
    ("store", "says"), [(_read_only, "insufficient permissions"), (_signed_out, "gcloud auth application-default")]
)
def test_without_the_store_the_rest_is_proved(
    cloud: Deployment,
    tmp_path: Path,
    take: Callable[[Work], None],
    store: Callable[[Deployment], Callable[[Settings], Store]],
    says: str,
) -> None:
    """A deployer may not be allowed to create jobs; a queue then delivers a task without a job."""
    cloud.outside = Outside(open_store=store(cloud), request=cloud.outside.request)
    work = cloud.work(target_of(tmp_path / "production.env", SETTINGS), tmp_path)

    take(work)

    (point,) = cloud.left_open
    assert point.startswith("not proved: that watchkeeper-")
    assert says in point
    assert "roles/datastore.user" in point
    assert cloud.tasks == {}


@EVERY_WAY
def test_what_is_paused_is_not_woken(cloud: Deployment, work: Work, take: Callable[[Work], None]) -> None:
    """A person paused it; a tick would run what is due."""
    cloud.answers["tasks queues describe"] = shown("PAUSED")
    cloud.answers["scheduler jobs describe watchkeeper-tick"] = shown(f"PAUSED|{url('tick')}")
    cloud.answers["scheduler jobs describe gmail-watch-renewal"] = shown(f"PAUSED|{url('gmail_watch')}")

    take(work)

    (point,) = cloud.left_open
    assert "paused; `resume` wakes it" in point
    assert cloud.changes == []


@pytest.mark.parametrize(
    ("take", "says"),
    [
        (call_tick, "not proved: that watchkeeper-tick runs a job, since it is busy with those that are due before"),
        (
            deliver,
            "not proved: that watchkeeper-run-job runs what watchkeeper-agents delivers. It delivered nothing for 16",
        ),
    ],
)
def test_jobs_that_come_first_are_no_failure(
    cloud: Deployment, work: Work, take: Callable[[Work], None], says: str
) -> None:
    """A build would roll good code back because of a backlog, or of a queue full of long jobs."""
    before = Job.create("report", "log", now=BEGAN, payload={"message": "x"}, at=BEGAN - timedelta(hours=1))
    cloud.store.swap([Change(None, before)])
    cloud.is_busy = True

    take(work)

    (point,) = cloud.left_open
    assert point.startswith(says)
    assert (cloud.jobs, cloud.tasks) == (["report"], {})


def test_a_task_that_is_begun_and_gets_no_answer_is_a_failure(cloud: Deployment, work: Work) -> None:
    """It was delivered, so the function hangs."""
    cloud.answers["tasks describe"] = shown("2026-11-29T09:00:00Z|1||")

    with pytest.raises(StepFailed, match="the task in watchkeeper-agents got no answer"):
        deliver(work)

    assert (cloud.jobs, cloud.tasks) == ([], {})


@pytest.mark.parametrize(
    ("line", "collection"), [("", "scheduler_jobs"), ("DEPLOYMENT_PREFIX=staging-", "staging_scheduler_jobs")]
)
def test_the_job_is_made_where_the_functions_look_for_it(
    cloud: Deployment, tmp_path: Path, line: str, collection: str
) -> None:
    """In the collection of this environment, in this project."""
    opened: list[Settings] = []

    def open_store(settings: Settings) -> Store:
        opened.append(settings)
        return cloud.store

    cloud.outside = Outside(open_store=open_store, request=cloud.outside.request)

    deliver(cloud.work(target_of(tmp_path / "production.env", SETTINGS, line), tmp_path))

    assert [(each.storage, each.project, each.collection) for each in opened] == [("firestore", PROJECT, collection)]


def test_the_emulator_of_a_shell_is_no_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions would never find a job created there."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")

    with pytest.raises(StoreUnavailable, match="unset it"):
        open_deployed(Settings.from_env({"SCHEDULER_STORAGE": "firestore"}))


# -- Google Chat -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["unauthorized", "forbidden"])
def test_our_code_refuses_an_event_that_nobody_signed(
    cloud: Deployment, work: Work, capsys: pytest.CaptureFixture[str], code: str
) -> None:
    """This shows that it runs with its settings; whether Chat reaches it stays open."""
    cloud.reply = HttpResponse(401, f'{{"error": {{"code": "{code}"}}}}'.encode())

    knock(work)

    assert capsys.readouterr().out == "proved: watchkeeper-chat-webhook runs, and refuses an event that nobody signed\n"
    assert cloud.left_open == ["not proved: that Google Chat reaches watchkeeper-chat-webhook; write `help` to the app"]


@pytest.mark.parametrize(
    ("status", "token"), [(401, shown("a.b.c")), (403, shown("a.b.c")), (0, refused("You do not have an account"))]
)
def test_a_refusal_by_cloud_run_proves_less(
    cloud: Deployment, work: Work, capsys: pytest.CaptureFixture[str], status: int, token: Ended
) -> None:
    """The deployer may not be allowed to call, or may have no token for a call."""
    cloud.reply = HttpResponse(status, b"<html>Your client does not have permission to get URL</html>")
    cloud.answers["auth print-identity-token"] = token

    knock(work)

    assert capsys.readouterr().out == ""
    assert "Nor that it runs, since Cloud Run lets you in only with roles/run.invoker" in cloud.left_open[0]


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (HttpResponse(200, b"{}"), "accepts an event that nobody signed"),
        (
            HttpResponse(500, b'{"error": {"code": "invalid_settings"}}'),
            "answered 500 invalid_settings; its log says why",
        ),
        (HttpResponse(404, b"<html>"), "answered 404; its log says why"),
    ],
)
def test_another_answer_to_it_is_a_failure(cloud: Deployment, work: Work, reply: HttpResponse, says: str) -> None:
    """An open function above all."""
    cloud.reply = reply

    with pytest.raises(StepFailed, match=says):
        knock(work)


@pytest.mark.parametrize("status", [0, 429, 503])
def test_a_function_that_is_not_up_yet_is_waited_for(
    cloud: Deployment, work: Work, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """As long as the others."""
    cloud.reply = HttpResponse(status, b"")

    with pytest.raises(StillRefused):
        knock(work)

    assert cloud.clock() == LIMIT


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        pytest.param(SETTINGS, {"X-Serverless-Authorization": "Bearer a.b.c"}, id="private"),
        pytest.param(f"{SETTINGS}CHAT_AUTH=project_number\n", {}, id="public"),
    ],
)
def test_no_token_of_ours_reaches_the_code(
    cloud: Deployment, tmp_path: Path, settings: str, wanted: dict[str, str]
) -> None:
    """Cloud Run takes the deployer's token in its own header and checks no other; a public function needs none."""
    sent: list[dict[str, str]] = []

    def request(method: str, url: str, *, headers: dict[str, str], body: bytes | None) -> HttpResponse:
        sent.append(headers)
        return cloud.reply

    cloud.outside = Outside(open_store=cloud.outside.open_store, request=request)  # type: ignore[arg-type]

    knock(cloud.work(target_of(tmp_path / "production.env", settings), tmp_path))

    assert sent == [{"Content-Type": "application/json", **wanted}]


def test_a_dry_run_makes_no_job_and_calls_no_function(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It prints what it would create and send."""
    (settings := tmp_path / "production.env").write_text(SETTINGS)
    gcloud = Recorder()

    code = gcloud.run(settings, "smoke", "--dry-run")

    said = capsys.readouterr().out
    assert (code, gcloud.commands, gcloud.left_open) == (0, [], [])
    assert f"# POST {url('chat_webhook')} without a token of Chat" in said
    assert said.count("# a job smoke:ID is made in the store; it has to run, and is deleted\n") == 2
