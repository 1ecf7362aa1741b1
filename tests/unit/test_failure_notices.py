"""The message to the space of a job that gives up: ticks over both kinds of store, and a fake of Chat."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from shared.errors import StoreUnavailable
from shared.handlers import Cancel, Context, Handler, Payload, Snooze, chat_message, load_handlers
from shared.model.history import Run, RunOutcome
from shared.model.job import Job
from shared.model.value import Status
from shared.running.failure_notice import failure_notice
from shared.running.report import TickReport
from shared.running.tick import run_tick
from shared.settings import Settings
from shared.store.json_file import JsonStore
from shared.store.protocol import Change, Outcome, Refused, Store, Unknown, Won
from tests.posting import google_chat
from watchkeeper.fakes.chat import Chat

SPACE = "spaces/AAAA"
THREAD = "spaces/AAAA/threads/BBBB"
KEY = "job@2026-11-21T09:00:00Z"
LOOK = "`watchkeeper jobs show job` and the log show the whole error."
SECRET = "sk-hunter2"
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
JobFactory = Callable[..., Job]


def give_up(payload: Payload, context: Context) -> None:
    raise Cancel("the report is gone")


def fail(payload: Payload, context: Context) -> None:
    raise RuntimeError("boom")


def put_off(payload: Payload, context: Context) -> None:
    raise Snooze(SECOND)


def do_nothing(payload: Payload, context: Context) -> None:
    """Succeed."""


@dataclass
class World:
    """A store, a clock that is turned by hand, and ticks over them. `answer` can answer in the store's place."""

    store: Store
    now: datetime
    run: Callable[[Payload, Context], None] = give_up
    answer: Callable[[Sequence[Change]], list[Outcome] | None] = lambda changes: None
    calls: list[str] = field(default_factory=list)
    delivered: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self.store, name)

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        self.calls.append("swap")
        answered = self.answer(changes)
        return self.store.swap(changes) if answered is None else answered

    def add(self, *jobs: Job) -> None:
        assert all(isinstance(outcome, Won) for outcome in self.store.swap([Change(None, job) for job in jobs]))

    def job(self, job_id: str) -> Job:
        job = self.store.get([job_id])[job_id]
        assert isinstance(job, Job)
        return job

    def change(self, job_id: str, transition: Callable[[Job], Job]) -> None:
        job = self.job(job_id)
        assert isinstance(self.store.swap([Change(job, transition(job))])[0], Won)

    def tick(self, handlers: Mapping[str, Handler] | None = None) -> TickReport:
        """Run a tick in which `work` does what `run` says, and messages are recorded instead of posted."""

        def deliver(payload: Payload, context: Context) -> None:
            self.delivered.append(context.execution_key)

        own = {"work": self.run, "chat_message": deliver}
        return run_tick(
            cast(Store, self),
            handlers or {name: Handler(job_type=name, run=handler) for name, handler in own.items()},
            settings=Settings.from_env({"SCHEDULER_TIMEZONE": "Europe/Berlin", **self.env}),
            clock=lambda: self.now,
            monotonic=lambda: self.now.timestamp(),
        )

    def notices(self) -> list[Job]:
        jobs = [job for job in self.store.page() if isinstance(job, Job)]
        return [job for job in jobs if job.job_type == "chat_message"]


@pytest.fixture
def world(store: Store, now: datetime, monkeypatch: pytest.MonkeyPatch) -> World:
    """An empty world on each kind of store."""
    return World(store, now)


@pytest.fixture
def on_file(json_store: JsonStore, now: datetime, monkeypatch: pytest.MonkeyPatch) -> World:
    """An empty world on a file, for tests that do not depend on the store."""
    return World(json_store, now)


@pytest.fixture
def work(job_factory: JobFactory) -> JobFactory:
    """Make a job of a space."""
    return lambda job_id="job", **given: job_factory(job_id, "work", **{"space": SPACE, "payload": {}, **given})


def text_of(notice: Job) -> str:
    return str(notice.payload["text"])


def button_of(notice: Job) -> Any:
    (card,) = notice.payload["cardsV2"]
    return card["card"]["sections"][0]["widgets"][0]["buttonList"]["buttons"][0]


def action_of(notice: Job) -> dict[str, str]:
    return {pair["key"]: pair["value"] for pair in button_of(notice)["onClick"]["action"]["parameters"]}


def held_by_the_dead(job: Job, now: datetime, *, died_before: int) -> Job:
    """Return the job after its holder, and others before it, have died."""
    held = replace(job, reclaims=died_before).claim(now=now, token="t", lease=SECOND, retention=DAY)
    return replace(held, lease_until=now, ready_at=now)


# -- each way of giving up ---------------------------------------------------------------------------------------------


def test_a_final_failure_is_told(world: World, work: JobFactory) -> None:
    """The message is a job, due at once, in the space of the job; it names what failed and offers a retry."""
    world.add(work())

    world.tick()

    (notice,) = world.notices()
    assert (notice.id, notice.space, notice.max_attempts) == (f"{KEY}:failed", SPACE, 3)
    assert (notice.status, notice.ready_at) == (Status.PENDING, world.now)
    assert notice.payload.keys() == {"space", "text", "cardsV2"}
    assert text_of(notice) == f"Job job (work) failed for good at attempt 1: an error. {LOOK}"
    assert button_of(notice)["text"] == "Retry"
    assert button_of(notice)["onClick"]["action"]["function"] == "watchkeeper"
    assert action_of(notice) == {"action": "retry", "id": "job"}
    assert world.job("job").status is Status.FAILED


def test_the_last_attempt_is_told(world: World, work: JobFactory) -> None:
    """Only the last attempt is reported, not one that is followed by another."""
    world.run = fail
    world.add(work(max_attempts=2))

    world.tick()
    told_early = world.notices()
    world.now += timedelta(minutes=2)
    world.tick()

    assert told_early == []
    assert [notice.id for notice in world.notices()] == [f"{KEY}:failed"]
    assert text_of(world.notices()[0]).endswith(f"failed for good at attempt 2: RuntimeError. {LOOK}")


def test_five_dead_holders_are_told(world: World, work: JobFactory) -> None:
    """A job that kills its process gives up without a handler."""
    world.add(held_by_the_dead(work(), world.now, died_before=4))

    world.tick()

    (notice,) = world.notices()
    assert notice.id == f"{KEY}:failed"
    assert text_of(notice).endswith(f"failed for good at attempt 1: given up: 5 holders died. {LOOK}")
    assert action_of(notice)["action"] == "retry"


def test_a_recurring_job_can_be_run_now(world: World, work: JobFactory) -> None:
    """It is at its next occurrence, which the message names in local time; its id has the failed one."""
    world.add(work(cron="0 9 * * *"))

    world.tick()

    (notice,) = world.notices()
    assert notice.id == f"{KEY}:failed"
    assert text_of(notice).endswith(f"{LOOK}\nIt is not due until Sun 22 Nov 2026, 09:00.")
    assert button_of(notice)["text"] == "Run now"
    assert action_of(notice) == {"action": "run", "id": "job"}


def test_a_job_that_pauses_after_failures_says_so(
    world: World, work: JobFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """The last message says that the job is paused, without the error's text, and offers to resume."""
    world.add(work(cron="0 9 * * *", pause_after_failures=2))

    world.tick()
    world.now += DAY
    world.tick()

    first, last = sorted(world.notices(), key=lambda notice: notice.id)
    assert "paused" not in text_of(first)
    assert text_of(last).endswith(
        f"{LOOK}\nIt is paused after 2 failures in a row, the last because: an error. Resume lets it go on."
    )
    assert action_of(last) == {"action": "resume", "id": "job"}
    assert world.job("job").status is Status.PAUSED
    assert "Job job paused after 2 failures in a row" in caplog.messages


# -- once --------------------------------------------------------------------------------------------------------------


def test_it_is_delivered_once_by_the_next_tick(world: World, work: JobFactory) -> None:
    """The tick that gives up stores the message, the next one delivers it, and the one after it has nothing to do."""
    world.add(work())

    world.tick()
    delivered_at_once = list(world.delivered)
    second, third = world.tick(), world.tick()

    assert delivered_at_once == []
    assert world.delivered == [f"{KEY}:failed@2026-11-21T09:00:00Z"]
    assert (second.jobs_succeeded, third.jobs_checked) == (1, 0)


def test_a_failure_after_a_retry_is_told_too(world: World, work: JobFactory) -> None:
    """The person who tapped Retry needs to know; each failure of the occurrence is reported once."""
    world.add(work())
    world.tick()

    world.change("job", lambda job: job.retry(now=world.now))
    world.now += SECOND
    world.tick()
    world.tick()

    assert [notice.id for notice in world.notices()] == [f"{KEY}:failed", f"{KEY}:failed:2"]
    assert len(world.delivered) == 2


def test_it_arrives_in_chat(
    world: World, work: JobFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chat: Chat
) -> None:
    """The real handlers post it into the thread where the job was made."""
    handlers = {**load_handlers(()), "work": Handler(job_type="work", run=give_up)}
    world.add(work(payload={"thread": THREAD}))

    for _ in range(3):
        world.tick(handlers)

    (message,) = chat.messages
    assert (message.space, message.thread) == (SPACE, THREAD)
    assert message.text == f"Job job (work) failed for good at attempt 1: an error. {LOOK}"
    assert message.request_id == f"{KEY}:failed@2026-11-21T09:00:00Z"
    assert message.cards[0]["cardId"] == "failed"


@pytest.fixture
def chat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    """Chat, and credentials for it."""
    with google_chat(tmp_path, monkeypatch) as google:
        yield google.chat


# -- nobody to tell ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "given"),
    [
        pytest.param(give_up, {"space": None}, id="without-a-space"),
        pytest.param(give_up, {"job_id": f"{KEY}:failed"}, id="itself-a-notice"),
        pytest.param(give_up, {"job_id": f"{KEY}:failed:2"}, id="itself-a-second-notice"),
        pytest.param(fail, {}, id="tried-again"),
        pytest.param(put_off, {}, id="put-off"),
        pytest.param(do_nothing, {}, id="succeeded"),
    ],
)
def test_nothing_is_told_where_nothing_is_to_be_told(
    on_file: World, work: JobFactory, run: Callable[[Payload, Context], None], given: dict[str, Any]
) -> None:
    """No message, and no call to the store for it: one query, one claim, one finish."""
    on_file.run = run
    on_file.add(work(**given))

    on_file.tick()

    assert on_file.notices() == []
    assert on_file.calls == ["due", "swap", "swap"]


def test_a_cancelled_job_is_not_told_of(on_file: World, work: JobFactory) -> None:
    """The person who cancelled it does not need to know that it failed."""

    def cancelled_meanwhile(payload: Payload, context: Context) -> None:
        on_file.change("job", lambda job: job.cancel(now=on_file.now, retention=DAY))
        raise Cancel("the report is gone")

    on_file.run = cancelled_meanwhile
    on_file.add(work())

    report = on_file.tick()

    assert (report.jobs_failed, on_file.job("job").status) == (1, Status.CANCELLED)
    assert on_file.notices() == []


def test_a_notice_that_cannot_be_delivered_expires(on_file: World, work: JobFactory) -> None:
    """A space that is gone gets no notice about its notices, and failed notices do not accumulate."""
    on_file.add(work())
    handlers = {name: Handler(job_type=name, run=give_up) for name in ("work", "chat_message")}

    for _ in range(3):
        on_file.tick(handlers)

    assert [notice.status for notice in on_file.notices()] == [Status.FAILED]
    assert [notice.expire_at for notice in on_file.notices()] == [on_file.now + 30 * DAY]
    assert on_file.job("job").expire_at is None


# -- the calls to the store --------------------------------------------------------------------------------------------


def test_the_messages_of_many_failures_take_one_call(on_file: World, work: JobFactory) -> None:
    """Sixteen jobs that give up together are reported in one call."""
    on_file.add(*(work(f"job-{number}") for number in range(16)))

    on_file.tick()

    assert len(on_file.notices()) == 16
    assert on_file.calls.count("swap") <= 4  # one to claim, one or two to store how it ended, one to tell


def inserts(changes: Sequence[Change]) -> bool:
    """Return whether a message is among the changes."""
    return any(change.before is None for change in changes)


def test_a_message_that_was_not_heard_is_stored_again(world: World, work: JobFactory) -> None:
    """The tick waits for the answer and does not end before."""
    tries = []

    def lose_two_answers(changes: Sequence[Change]) -> list[Outcome] | None:
        if not inserts(changes):
            return None
        tries.append(world.now)
        world.now += SECOND
        return [Unknown("no answer")] if len(tries) < 3 else None

    world.answer = lose_two_answers
    world.add(work())

    world.tick()

    assert len(tries) == 3
    assert [notice.id for notice in world.notices()] == [f"{KEY}:failed"]


def test_a_message_that_is_never_heard_fails_the_tick(
    on_file: World, work: JobFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """The tick ends within its own time, says what was lost, and the failure itself is stored."""

    def lose_every_answer(changes: Sequence[Change]) -> list[Outcome] | None:
        if not inserts(changes):
            return None
        on_file.now += timedelta(seconds=30)
        return [Unknown("no answer")]

    began = on_file.now
    on_file.answer = lose_every_answer
    on_file.add(work())

    with pytest.raises(StoreUnavailable, match="messages about failed jobs could not be stored"):
        on_file.tick()

    assert on_file.now - began <= timedelta(seconds=240)
    assert on_file.job("job").status is Status.FAILED
    lost = [vars(record)["fields"] for record in caplog.records if vars(record)["fields"]["action"] == "notice_lost"]
    assert [fields["job_id"] for fields in lost] == [f"{KEY}:failed"]


def test_a_message_that_was_stored_unheard_is_not_stored_twice(world: World, work: JobFactory) -> None:
    """If the same tick finds it due, it is stored: no call has the same job twice."""
    claims = []

    def lose_an_answer(changes: Sequence[Change]) -> list[Outcome] | None:
        claims.append([change.job_id for change in changes])
        if not inserts(changes) or world.notices():
            return None
        world.store.swap(changes)
        world.now += timedelta(seconds=11)  # the tick looks again, since something is still at work
        return [Unknown("no answer") for _ in changes]

    world.answer = lose_an_answer
    world.run = lambda payload, context: do_or_give_up(world, payload, context)
    world.add(work(), work("slow", payload={"slow": True}, space=None))

    world.tick()

    assert all(len(ids) == len(set(ids)) for ids in claims)
    assert [key.startswith(f"{KEY}:failed@") for key in world.delivered] == [True]
    assert world.job(f"{KEY}:failed").status is Status.COMPLETED


def do_or_give_up(world: World, payload: Payload, context: Context) -> None:
    """Fail for good, or, if the job is slow, succeed once the other job's message is delivered."""
    if not payload.get("slow"):
        raise Cancel("the report is gone")
    while not world.delivered and not context.stop.wait(0.01):
        world.now += timedelta(seconds=0.1)


def test_a_second_failure_is_told_while_the_first_is_being_delivered(world: World, work: JobFactory) -> None:
    """Each has its own id, and the one being delivered is not changed."""
    world.add(work())
    world.tick()
    world.change("job", lambda job: job.retry(now=world.now))

    def deliver(payload: Payload, context: Context) -> None:
        while world.job("job").status is not Status.FAILED and not context.stop.wait(0.01):
            world.now += timedelta(seconds=0.1)

    run = {"work": give_up, "chat_message": deliver}
    world.tick({name: Handler(job_type=name, run=handler) for name, handler in run.items()})

    assert [(job.id, job.status) for job in world.notices()] == [
        (f"{KEY}:failed", Status.COMPLETED),
        (f"{KEY}:failed:2", Status.PENDING),
    ]


def test_a_failure_at_the_end_of_its_time_is_told(on_file: World, work: JobFactory) -> None:
    """The tick has time for only two calls: the result of the job and the message.

    The first call for how it ended takes the tick's time, and has no answer.
    """

    def answer_at_the_end(changes: Sequence[Change]) -> list[Outcome] | None:
        if len(on_file.calls) != 3:
            return None
        on_file.now += timedelta(seconds=180)
        return [Unknown("no answer")]

    on_file.answer = answer_at_the_end
    on_file.add(work())

    on_file.tick()

    assert [notice.id for notice in on_file.notices()] == [f"{KEY}:failed"]
    assert on_file.calls == ["due", "swap", "swap", "swap", "swap"]


def test_a_message_that_the_store_refuses_is_logged(
    on_file: World, work: JobFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """The tick continues."""
    on_file.answer = lambda changes: [Refused("too odd")] if inserts(changes) else None
    on_file.add(work())

    on_file.tick()

    (record,) = [record for record in caplog.records if vars(record)["fields"]["action"] == "notice_refused"]
    assert "cannot be stored, so nobody is told: too odd" in record.getMessage()


# -- the message -------------------------------------------------------------------------------------------------------


def given_up(job: Job, error: str | None = "boom") -> Job:
    run = Run(schedule_at=job.schedule_at, outcome=RunOutcome.FAILED, error=error)
    return replace(job, status=Status.FAILED, ready_at=None, recent_runs=(run,))


def noticed(job: Job, now: datetime) -> Job:
    notice = failure_notice(job, now=now, retention=DAY, function="watchkeeper", timezone="UTC")
    assert notice is not None
    chat_message.check_message(notice.payload)
    return notice


def test_a_button_calls_the_function_at_its_address(
    on_file: World, work: JobFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An add-on's button names a URL: PUBLIC_URL."""
    on_file.env["PUBLIC_URL"] = "https://chat.example.com"
    on_file.add(work())

    on_file.tick()

    assert button_of(on_file.notices()[0])["onClick"]["action"]["function"] == "https://chat.example.com"


@pytest.mark.parametrize("thread", ["spaces/CCCC/threads/BBBB", "BBBB", f"{THREAD}/x", 7, None])
def test_a_thread_that_is_none_of_the_space_is_left_out(work: JobFactory, now: datetime, thread: object) -> None:
    """A job of any type may have a field `thread`; the message must still be deliverable."""
    assert "thread" not in noticed(given_up(work(payload={"thread": thread})), now).payload


def test_ids_are_of_a_length_that_is_allowed(work: JobFactory, now: datetime) -> None:
    """The longest ids are shortened and still differ for each job and occurrence."""
    jobs = [work("j" * length, at=at) for length in (171, 172, 173, 199, 200) for at in (now, now + SECOND)]

    ids = [noticed(given_up(job), now).id for job in jobs]

    assert ids[0] == f"{jobs[0].execution_key}:failed"
    assert len(set(ids)) == len(jobs)
    assert all(len(notice_id) <= 200 and notice_id.endswith(":failed") for notice_id in ids)
    assert ids == [noticed(given_up(job), now).id for job in jobs]


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        pytest.param(RuntimeError(f"401 for key {SECRET}"), "RuntimeError", id="exception"),
        pytest.param(KeyError(SECRET), "KeyError", id="only-the-secret"),
        pytest.param(Cancel(f"the key {SECRET} is not valid"), "an error", id="final"),
        pytest.param(Cancel(f"{SECRET}: no such key"), "an error", id="like-a-name"),
        pytest.param(Cancel(f"timed out after 30 s, with {SECRET}"), "an error", id="like-our-own-words"),
        pytest.param(Cancel("<users/all> look here"), "an error", id="mention"),
    ],
)
def test_the_text_of_an_error_stays_out_of_chat(on_file: World, work: JobFactory, raised: Exception, kind: str) -> None:
    """It may quote a key or mention everybody: the space gets the kind of error, the operator the text."""

    def run(payload: Payload, context: Context) -> None:
        raise raised

    on_file.run = run
    on_file.add(work(max_attempts=1))

    on_file.tick()

    (notice,) = on_file.notices()
    assert text_of(notice) == f"Job job (work) failed for good at attempt 1: {kind}. {LOOK}"
    assert SECRET not in json.dumps(notice.payload)
    assert "<" not in text_of(notice)
    assert str(raised) in (on_file.job("job").error or "")


def test_the_attempt_is_left_out_where_the_history_is_cut(work: JobFactory, now: datetime) -> None:
    """A message has no number that may be wrong."""
    run = Run(schedule_at=now, outcome=RunOutcome.RETRIED, error="boom")
    job = given_up(work(), "boom")
    job = replace(job, recent_runs=(*[run] * 9, *job.recent_runs))

    assert text_of(noticed(job, now)) == f"Job job (work) failed for good: an error. {LOOK}"


@pytest.mark.parametrize("error", [None, ""])
def test_an_error_that_says_nothing_is_no_trouble(work: JobFactory, now: datetime, error: str | None) -> None:
    """The message leaves the error out."""
    assert text_of(noticed(given_up(work(), error), now)).startswith("Job job (work) failed for good")
