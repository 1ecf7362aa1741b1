"""The rules of the fake's queues, to the second: limits, rate, and what follows an answer."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.fakes.task_queue import RESERVED, AttemptResult, InvalidQueue, RateLimits, RetryConfig, Task, TaskQueue

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
DONE, FAILED, BUSY, LATE = (
    AttemptResult(status=200),
    AttemptResult(status=500),
    AttemptResult(status=503),
    AttemptResult(failure="DEADLINE"),
)

MakeTask = Callable[..., Task]


def make_task(task_id: str = "a", **given: object) -> Task:
    usual = {"url": "http://127.0.0.1/", "method": "POST", "headers": {}, "body": b"", "account": "", "audience": ""}
    times = {"deadline": timedelta(minutes=10), "created_at": NOW, "due_at": NOW}
    return Task(**{"id": task_id, **usual, **times, **given})  # type: ignore[arg-type]


def make_queue(*tasks: Task, retry: RetryConfig = RetryConfig(), **limits: float) -> TaskQueue:  # noqa: B008  # it is frozen
    queue = TaskQueue(RateLimits(**limits), retry)  # type: ignore[arg-type]
    for task in tasks:
        queue.add(task)
    return queue


def dispatched(queue: TaskQueue, now: datetime) -> list[Task]:
    """Start every task that may start now."""
    begun = []
    while task := queue.next_task(now):
        queue.begin(task, now)
        begun.append(task)
    return begun


def test_tasks_begin_in_the_order_of_their_time_up_to_the_limit() -> None:
    """The third waits for the end of one of two, however long it takes."""
    late, early, later = make_task("late", due_at=NOW), make_task("early", due_at=NOW - SECOND), make_task("later")
    queue = make_queue(late, early, later, max_concurrent=2)

    first, in_between = dispatched(queue, NOW), dispatched(queue, NOW + DAY)
    queue.end(early, DONE, NOW + DAY)

    assert (first, in_between, dispatched(queue, NOW + DAY)) == ([early, late], [], [later])
    assert queue.pause(NOW + DAY) is None


def test_the_rate_is_a_bucket_of_tokens() -> None:
    """An idle queue dispatches a burst, and then its rate per second."""
    queue = make_queue(*(make_task(f"task-{number}") for number in range(8)), max_per_second=2)

    counts = [len(dispatched(queue, NOW + seconds * SECOND)) for seconds in (0, 0.25, 0.5, 1, 1, 100)]

    assert counts == [2, 0, 1, 1, 0, 2]


def test_a_queue_says_how_long_nothing_can_begin() -> None:
    """Until the next task is due or has a token; for ever if it is empty or paused."""
    empty, queue = make_queue(), make_queue(make_task("a"), make_task("b"), max_per_second=0.5)
    scheduled = make_queue(make_task(due_at=NOW + 7 * SECOND))
    dispatched(queue, NOW)

    pauses = [each.pause(NOW) for each in (empty, queue, scheduled)]
    scheduled.is_paused = True

    assert pauses == [None, 2 * SECOND, 7 * SECOND]
    assert scheduled.pause(NOW) is None


def test_no_task_begins_before_its_time_or_in_a_paused_queue() -> None:
    """A schedule time holds a task back to the second; a pause holds all of them."""
    task = make_task(due_at=NOW + SECOND)
    queue = make_queue(task)
    early = dispatched(queue, NOW + SECOND - timedelta(microseconds=1))

    queue.is_paused = True
    paused = dispatched(queue, NOW + SECOND)
    queue.is_paused = False

    assert (early, paused, dispatched(queue, NOW + SECOND)) == ([], [], [task])


def test_the_pauses_double_then_grow_by_equal_steps() -> None:
    """The example of Google's own documentation."""
    retry = RetryConfig(min_backoff=10 * SECOND, max_backoff=300 * SECOND, max_doublings=3)

    pauses = [retry.pause_after(attempts).total_seconds() for attempts in range(1, 9)]

    assert pauses == [10, 20, 40, 80, 160, 240, 300, 300]
    assert retry.pause_after(10**6) == 300 * SECOND
    assert RetryConfig(min_backoff=timedelta()).pause_after(3) == timedelta()


@pytest.mark.parametrize(
    ("retry", "attempts", "since_first", "gives_up"),
    [
        pytest.param(RetryConfig(max_attempts=3), 2, DAY, False, id="attempts-left"),
        pytest.param(RetryConfig(max_attempts=3), 3, timedelta(), True, id="attempts-spent"),
        pytest.param(RetryConfig(max_attempts=3, max_duration=SECOND), 3, SECOND / 2, False, id="time-left"),
        pytest.param(RetryConfig(max_attempts=3, max_duration=SECOND), 2, DAY, False, id="time-spent-attempts-left"),
        pytest.param(RetryConfig(max_attempts=3, max_duration=SECOND), 3, SECOND, True, id="both-spent"),
        pytest.param(RetryConfig(max_attempts=-1, max_duration=SECOND), 1, SECOND, True, id="time-alone"),
        pytest.param(RetryConfig(max_attempts=-1), 10**6, 30 * DAY, False, id="no-limit"),
    ],
)
def test_retries_end_when_attempts_and_time_are_used_up(
    retry: RetryConfig, attempts: int, since_first: timedelta, gives_up: bool
) -> None:
    """With two limits both must be reached; a limit that is not set does not count."""
    assert retry.gives_up(attempts, since_first) is gives_up


@pytest.mark.parametrize(
    "answer", [FAILED, BUSY, LATE, AttemptResult(status=302)], ids=["500", "503", "late", "redirect"]
)
def test_a_task_that_failed_is_tried_again_after_its_pause(answer: AttemptResult) -> None:
    """Any status but 2xx is a failure, and so is a deadline; its pause begins with the answer."""
    task = make_task()
    queue = make_queue(task, retry=RetryConfig(min_backoff=10 * SECOND))
    dispatched(queue, NOW)

    queue.end(task, answer, NOW + 60 * SECOND)

    assert task.due_at == NOW + 70 * SECOND
    assert (task.dispatches, task.responses, task.running) == (1, int(answer is not LATE), 0)


def test_a_task_ends_with_success_or_with_its_last_attempt() -> None:
    """It is deleted then, and its name is blocked for a day."""
    done, hopeless = make_task("done"), make_task("hopeless")
    queue = make_queue(done, hopeless, retry=RetryConfig(max_attempts=1))
    dispatched(queue, NOW)

    queue.end(done, DONE, NOW)
    queue.end(hopeless, FAILED, NOW)

    assert (queue.tasks, queue.done) == ({}, 1)
    edges = (NOW + RESERVED - SECOND, NOW + RESERVED)
    assert [queue.has_had("done", edge) for edge in edges] == [True, False]


def test_the_answer_of_a_task_that_was_removed_does_not_count() -> None:
    """Deleted while it ran, it is not tried again, and the queue has room."""
    task, other = make_task(), make_task("other")
    queue = make_queue(task, other, max_concurrent=1)
    dispatched(queue, NOW)
    queue.remove("a", NOW)

    queue.end(task, FAILED, NOW)

    assert [*queue.tasks] == ["other"]
    assert dispatched(queue, NOW) == [other]


def test_a_busy_worker_slows_the_queue_and_successes_speed_it_up() -> None:
    """Each 429 and 503 halves the rate, down to a sixteenth, and each other answer doubles it again."""
    queue = make_queue(*(make_task(f"task-{number}") for number in range(40)), max_per_second=16)
    begun = dispatched(queue, NOW)
    for task in begun[:3]:
        queue.end(task, AttemptResult(status=429), NOW)
    slow = len(dispatched(queue, NOW + SECOND))

    for task in begun[3:6]:
        queue.end(task, DONE, NOW + SECOND)

    assert (len(begun), slow) == (16, 2)
    assert len(dispatched(queue, NOW + 2 * SECOND)) == 16


def test_a_queue_goes_on_after_the_clock_was_put_back() -> None:
    """The tokens are computed from the new time."""
    queue = make_queue(make_task("a"), make_task("b", due_at=NOW - DAY), max_per_second=1)
    dispatched(queue, NOW)

    dispatched(queue, NOW - DAY)

    assert len(dispatched(queue, NOW - DAY + SECOND)) == 0  # the other one is due later
    assert len(dispatched(queue, NOW)) == 1


@pytest.mark.parametrize(
    ("read", "resource", "says"),
    [
        pytest.param(RateLimits.of, {"maxDispatchesPerSecond": 501}, "maxDispatchesPerSecond", id="rate"),
        pytest.param(RateLimits.of, {"maxDispatchesPerSecond": -1}, "maxDispatchesPerSecond", id="no-rate"),
        pytest.param(RateLimits.of, {"maxConcurrentDispatches": 5001}, "maxConcurrentDispatches", id="concurrent"),
        pytest.param(RetryConfig.of, {"maxAttempts": -2}, "maxAttempts", id="attempts"),
        pytest.param(RetryConfig.of, {"minBackoff": "-1s"}, "minBackoff", id="negative-backoff"),
        pytest.param(RetryConfig.of, {"minBackoff": "9s", "maxBackoff": "8s"}, "minBackoff", id="backoff"),
    ],
)
def test_limits_beyond_those_of_cloud_tasks_are_refused(
    read: Callable[[dict[str, object]], object], resource: dict[str, object], says: str
) -> None:
    """The error names the field."""
    with pytest.raises(InvalidQueue, match=says):
        read(resource)


def test_a_whole_number_may_be_text() -> None:
    """As the JSON of Protocol Buffers allows."""
    assert RateLimits.of({"maxConcurrentDispatches": "2"}).max_concurrent == 2
    assert RetryConfig.of({"maxAttempts": "-1", "maxDoublings": "0"}) == RetryConfig(max_attempts=-1, max_doublings=0)


@pytest.mark.parametrize(
    "value",
    [RateLimits(), RateLimits(max_concurrent=2, max_per_second=0.5), RetryConfig(), RetryConfig(max_duration=DAY)],
)
def test_a_configuration_is_read_as_it_is_written(value: RateLimits | RetryConfig) -> None:
    """What a queue answers can be sent back."""
    assert type(value).of(value.resource()) == value


STATUSES = st.sampled_from([200, 204, 302, 404, 429, 500, 503, 0])


@pytest.mark.slow
@given(
    limits=st.builds(RateLimits, max_concurrent=st.integers(1, 4), max_per_second=st.sampled_from([0.5, 1, 3, 500])),
    steps=st.lists(st.tuples(st.floats(0, 2), st.integers(0, 4), st.lists(STATUSES, max_size=4)), max_size=40),
)
def test_whatever_the_workers_answer_the_limits_hold(
    limits: RateLimits, steps: list[tuple[float, int, list[int]]]
) -> None:
    """Time passes, tasks are made and answered: never too many at once or per second, and none twice."""
    queue = TaskQueue(limits, RetryConfig(max_attempts=3, min_backoff=SECOND))
    now, out, begun = NOW, list[Task](), list[datetime]()
    for number, (seconds, count, statuses) in enumerate(steps):
        now += seconds * SECOND
        for each in range(count):
            queue.add(make_task(f"task-{number}-{each}", created_at=now, due_at=now))
        for status, task in zip(statuses, tuple(out), strict=False):
            out.remove(task)
            queue.end(task, AttemptResult(status=status), now)
        for task in dispatched(queue, now):
            out.append(task)
            begun.append(now)

        assert len(out) <= limits.max_concurrent
        assert len({task.id for task in out}) == len(out)
    beyond = begun[limits.burst + math.ceil(limits.max_per_second) :]
    assert all(later - earlier >= SECOND for earlier, later in zip(begun, beyond, strict=False))
