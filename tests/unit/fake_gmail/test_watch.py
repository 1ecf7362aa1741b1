"""Watches of mailboxes: one topic at a time, for seven days."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from googleapiclient.errors import HttpError

from tests.support.google_client import (
    ADA,
    NOW,
    ONLY_ONE,
    OTHER_TOPIC,
    SECOND,
    TOPIC,
    Clock,
    Users,
    client_of,
    refusal,
    watch,
)
from watchkeeper.fakes.gmail import LIFETIME, ActiveWatch, Gmail
from watchkeeper.fakes.google_oauth import GoogleOAuth


def test_watch_answers_as_documented(gmail: Gmail, users: Users) -> None:
    """Both numbers are decimal strings, and the watch lasts seven days."""
    answer = watch(users(), labelIds=["INBOX"], labelFilterBehavior="include")

    assert answer == {"historyId": "1001", "expiration": str((SECOND + 7 * 24 * 3600) * 1000)}
    assert gmail.watches == {ADA: ActiveWatch(topic=TOPIC, labels=("INBOX",), expires_at=NOW + LIFETIME)}


def test_a_watch_is_renewed_on_the_same_topic(gmail: Gmail, users: Users) -> None:
    """Another call on the same topic succeeds, with a later history id, and is counted."""
    answers = [watch(users()), watch(users(), user=ADA)]

    assert int(answers[0]["historyId"]) < int(answers[1]["historyId"])
    assert gmail.renewals == {ADA: 2}
    assert gmail.state()["renewals"] == {ADA: 2}
    assert gmail.state()["watches"][ADA]["topic"] == TOPIC


def test_a_watch_on_another_topic_must_be_stopped_first(gmail: Gmail, users: Users) -> None:
    """There is one topic at a time; stop answers without a body."""
    client = users()
    watch(client)

    refused = refusal(lambda: watch(client, OTHER_TOPIC))
    stopped = client.stop(userId="me").execute()
    watch(client, OTHER_TOPIC)

    assert refused == (400, "INVALID_ARGUMENT", "invalidArgument", ONLY_ONE)
    assert not stopped
    assert gmail.watches[ADA].topic == OTHER_TOPIC


def test_stop_answers_204(gmail: Gmail, users: Users) -> None:
    """Stopping is answered 204, whether there was a watch or not."""
    client = users()
    watch(client)
    http = client.stop(userId="me").http

    answers = [http.request(f"{gmail.url}/gmail/v1/users/me/stop", "POST") for _ in range(2)]

    assert [(answer.status, content) for answer, content in answers] == [(204, b""), (204, b"")]
    assert gmail.watches == {}


def test_an_expired_watch_does_not_block_another_topic(gmail: Gmail, users: Users, clock: Clock) -> None:
    """A watch on another topic can begin once the first one's seven days are over, and not before."""
    client = users()
    watch(client)

    clock.now += LIFETIME - timedelta(seconds=1)
    refused = refusal(lambda: watch(client, OTHER_TOPIC))
    clock.now += timedelta(seconds=1)
    watch(client, OTHER_TOPIC)

    assert refused[3] == ONLY_ONE
    assert gmail.watches[ADA].topic == OTHER_TOPIC


def test_two_watch_calls_must_not_overlap(gmail: Gmail, users: Users) -> None:
    """During one call for a mailbox another one is refused, on the same topic too."""
    gmail.delay = 0.3

    def attempt(client: Any) -> str:
        try:
            return watch(client)["historyId"]
        except HttpError as exc:
            return str(exc.reason)

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(attempt, [users(), users()]))

    assert sorted(outcomes) == ["1001", ONLY_ONE]
    assert gmail.renewals == {ADA: 1}


def test_mailboxes_are_watched_independently(tmp_path: Path) -> None:
    """A watch on one mailbox does not affect another."""
    with GoogleOAuth() as oauth, Gmail(oauth) as gmail:
        for mailbox, topic in ((ADA, TOPIC), ("grace@example.com", OTHER_TOPIC)):
            watch(client_of(oauth, gmail, tmp_path, subject=mailbox), topic)

    assert {mailbox: watched.topic for mailbox, watched in gmail.watches.items()} == {
        ADA: TOPIC,
        "grace@example.com": OTHER_TOPIC,
    }


@pytest.mark.parametrize("topic", ["", "gmail", "projects/elsewhere/topics/gmail", f"{TOPIC}/more", f"{TOPIC}\n"])
def test_a_topic_must_be_of_the_project(users: Users, topic: str) -> None:
    """The topic's full name must be in the project of the calling client."""
    assert refusal(lambda: watch(users(), topic)) == (
        400,
        "INVALID_ARGUMENT",
        "invalidArgument",
        "Invalid topicName does not match projects/watchkeeper-local/topics/*",
    )


def test_a_topic_must_exist(gmail: Gmail, users: Users) -> None:
    """If topics are given, one that is missing cannot take the test notification."""
    gmail.topics = {TOPIC}
    client = users()
    watch(client)
    client.stop(userId="me").execute()

    refused = refusal(lambda: watch(client, OTHER_TOPIC))

    assert refused == (
        404,
        "NOT_FOUND",
        "notFound",
        f"Error sending test message to Cloud PubSub {OTHER_TOPIC} : Resource not found (resource=other).",
    )
    assert gmail.watches == {}
