"""A mailbox with a watch on another topic."""

from datetime import datetime

import pytest

from tests.support.local_google import ADA, DAY, RECORD, STOP, TOPIC, WATCH, LocalGoogle
from tests.support.renewing import call, utc_now
from tests.support.running import RunningFunction
from watchkeeper.fakes.gmail import ActiveWatch


def test_a_watch_on_another_topic_is_stopped_and_replaced(google: LocalGoogle, of_one: RunningFunction) -> None:
    """Gmail allows one watch per mailbox; it is stopped only if Gmail refuses the new one because of it."""
    other = f"{TOPIC}-other"
    google.gmail.watches[ADA] = ActiveWatch(topic=other, labels=(), expires_at=utc_now() + DAY)

    answered = call(of_one)

    assert answered.status == 200
    assert google.asked() == [WATCH, STOP, WATCH]
    assert google.gmail.watches[ADA].topic == TOPIC
    assert google.storage.record(RECORD).payload["history_id"] == answered.body["history_id"]


def test_a_watch_is_tried_only_once_more_after_the_stop(google: LocalGoogle, of_one: RunningFunction) -> None:
    """Another client sets its own watch again and again; the reason says that it must stop."""
    google.gmail.fail("other-topic", times=9, path=WATCH)

    answered = call(of_one)

    reason = answered.body["failed"][0]["reason"]
    assert answered.status == 500
    assert google.asked() == [WATCH, STOP, WATCH]
    assert reason.startswith("Gmail said 400 Only one user push notification client allowed per developer")
    assert f"end the other client that watches this mailbox on another topic than {TOPIC}" in reason


@pytest.mark.parametrize(
    ("fault", "path"),
    [
        pytest.param("not-a-publisher", WATCH, id="stopped-and-not-watched-again"),
        pytest.param("internal", STOP, id="perhaps-stopped"),
    ],
)
def test_a_watch_that_is_lost_by_the_stop_raises_the_alarm_at_once(
    google: LocalGoogle, of_one: RunningFunction, fault: str, path: str
) -> None:
    """Nothing is watched any more, although the record named a later expiry."""
    call(of_one)
    google.gmail.fail("other-topic", path=WATCH)
    google.gmail.fail(fault, path=path)
    before = utc_now()

    answered = call(of_one)

    record = google.storage.record(RECORD)
    assert "the former watch is stopped, or may be" in answered.body["failed"][0]["reason"]
    assert before <= datetime.fromisoformat(record.payload["expires_at"]) <= utc_now()
    assert record.ready_at is not None
    assert record.ready_at <= utc_now()
