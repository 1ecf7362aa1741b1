"""A reminder all the way: said and confirmed in Chat, kept in Firestore, run by the tick, posted where it was said."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from google.cloud import firestore

from shared.model.job import Job
from shared.model.value import Status
from tests.support.chatting import AddOn, Classic, button, checked, words_of
from tests.support.renewing import Storage, in_firestore
from tests.support.running import RunningFunction, running_function, until
from watchkeeper.fakes.chat import Chat, Message
from watchkeeper.fakes.google_oauth import GoogleOAuth

pytestmark = pytest.mark.emulator

App = type[Classic] | type[AddOn]
REMIND = "remind me in 2 seconds to stretch"
URL = "https://europe-west1-example.cloudfunctions.net/watchkeeper-chat-webhook"


@dataclass(frozen=True)
class World:
    """Both functions over one store, what they post to, and a space with a thread that somebody has begun."""

    webhook: RunningFunction
    ticking: RunningFunction
    storage: Storage
    chat: Chat
    app: App = Classic
    space: str = ""

    @property
    def thread(self) -> str:
        return f"{self.space}/threads/where-it-was-said"

    def say(self, text: str) -> Any:
        """Write to the app and give its reply."""
        return self._send(self.app.message(text, space=self.space, thread=self.thread))

    def tap(self, card: Any, label: str) -> Any:
        """Tap a button and give the reply."""
        return self._send(self.app.click(button(card, label), space=self.space, thread=self.thread))

    def wait_until_due(self) -> None:
        until(lambda: bool(self.storage.store.due(self.storage.store.now(), 1)), 10)

    def job(self) -> Job:
        """Return the job that was made; a notice of its failure is another one."""
        page = self.storage.store.page(after="", limit=100, space=self.space)
        (job,) = [job for job in page if isinstance(job, Job) and not job.id.endswith(":failed")]
        return job

    def tick(self) -> dict[str, Any]:
        """Call the tick and give its metrics."""
        status, answer = self.ticking.call("/cron/tick")
        assert status == 200, answer
        metrics: dict[str, Any] = answer["metrics"]
        return metrics

    def posted(self) -> list[Message]:
        """Return what was posted to the space."""
        return [message for message in self.chat.messages if message.space == self.space]

    def _send(self, event: Any) -> Any:
        body = json.dumps(event).encode()
        status, reply = self.webhook.call(headers={"Content-Type": "application/json"}, body=body)
        assert status == 200, reply
        checked(reply)
        return reply


@pytest.fixture(scope="module")
def running(firestore_client: firestore.Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """What all tests of this module share."""
    folder = tmp_path_factory.mktemp("reminder")
    storage = in_firestore(firestore_client)
    with GoogleOAuth() as oauth, Chat(oauth, spaces=(), threads=()) as chat:
        oauth.write_key_file(folder / "key.json")
        env = {
            **storage.env,
            "AUTH_MODE": "off",
            "ALLOWED_USERS": "*@example.com",
            "PUBLIC_URL": URL,
            "CHAT_AGENT": "",
            "CHAT_API_ENDPOINT": chat.url,
            "GOOGLE_APPLICATION_CREDENTIALS": str(folder / "key.json"),
        }
        with running_function("chat_webhook", folder, env) as webhook, running_function("tick", folder, env) as ticking:
            yield World(webhook, ticking, storage, chat)


@pytest.fixture(params=[Classic, AddOn], ids=["classic", "add-on"])
def world(running: World, request: pytest.FixtureRequest) -> World:
    """The app in a space of this test's own."""
    world = replace(running, app=request.param, space=f"spaces/{uuid.uuid4().hex[:11]}")
    assert world.chat.spaces is not None
    assert world.chat.threads is not None
    world.chat.spaces.add(world.space)
    world.chat.threads.add(world.thread)
    world.chat.requests.clear()
    return world


def test_reminder_is_posted_once_where_it_was_requested(world: World) -> None:
    """Although the click came twice, Chat posted it and was cut off before it said so, and more ticks came than one."""
    world.chat.fail("applied-but-cut")
    asked = world.say(REMIND)
    before = world.tick()
    confirmed = [world.tap(asked, "Confirm") for _ in range(2)]
    world.wait_until_due()

    unheard = world.tick()
    waiting = world.say(f"job {world.job().id}")
    world.tap(waiting, "Run now")
    heard = world.tick()
    after = world.tick()

    (message,) = world.posted()
    assert "I will remind you: stretch" in words_of(asked)
    assert all("Scheduled: stretch" in words_of(reply) for reply in confirmed)
    assert [tick["jobs_executed"] for tick in (before, unheard, heard, after)] == [0, 1, 1, 0]
    assert (unheard["jobs_retried"], heard["jobs_succeeded"]) == (1, 1)
    assert "it failed 1 of 3 attempts, because: an error." in words_of(waiting)
    assert (message.space, message.thread, message.text) == (world.space, world.thread, "<users/104> stretch")
    assert world.job().status is Status.COMPLETED
    assert len({request.query["requestId"] for request in world.chat.requests}) == 1


def test_failed_reminder_is_reported_and_can_be_retried(world: World) -> None:
    """The notice comes into the same thread, with a button that does what it says."""
    world.chat.fail("not-a-member")
    world.tap(world.say(REMIND), "Confirm")
    job = world.job()
    world.wait_until_due()

    ticks = [world.tick(), world.tick()]
    failed = world.job()
    (notice,) = world.posted()
    retried = world.tap({"cardsV2": notice.cards}, "Retry")
    again = world.job()
    world.tick()

    assert job.status is Status.PENDING
    assert sum(tick["jobs_failed"] for tick in ticks) == 1
    assert failed.status is Status.FAILED
    assert (notice.space, notice.thread) == (world.space, world.thread)
    assert notice.text.startswith(f"Job {job.id} (chat_message) failed for good at attempt 1: an error.")
    assert failed.error is not None
    assert failed.error.startswith("Chat said 403")
    assert "It is tried again within a minute." in words_of(retried)
    assert again.status is Status.PENDING
    assert world.job().status is Status.COMPLETED
    assert [message.text for message in world.posted()] == [notice.text, "<users/104> stretch"]
    assert world.posted()[1].thread == world.thread
