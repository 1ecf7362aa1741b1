"""The function answers each kind of event of both generations of Chat, over each kind of store."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.logs import hashed
from shared.model.value import Status
from tests.support.chatting import AddOn, Classic, button, buttons_of, checked, from_person, message_of, words_of
from tests.support.renewing import in_file, in_firestore
from tests.support.serving_chat import (
    REMIND,
    SECRET,
    URL,
    App,
    ServedChat,
    both,
    running_chat,
)


@pytest.fixture(scope="module", params=["json", pytest.param("firestore", marks=pytest.mark.emulator)])
def stored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedChat]:
    """The function over each kind of store."""
    folder = tmp_path_factory.mktemp("chat")
    is_file = request.param == "json"
    storage = in_file(folder) if is_file else in_firestore(request.getfixturevalue("firestore_client"))
    with running_chat(folder, storage) as chat:
        yield chat


def example(text: str) -> dict[str, Any]:
    """Return a button that says a text."""
    pairs = [{"key": "action", "value": "say"}, {"key": "text", "value": text}]
    return {"text": text, "onClick": {"action": {"function": URL, "parameters": pairs}}}


def unknown(app: App, space: str) -> Any:
    """An event of a kind that does not exist yet."""
    if app.is_add_on:
        return {"chat": {"user": {"email": "ada@example.com"}, "newPayload": {"space": {"name": space}}}}
    return app.message(SECRET, space=space) | {"type": "NEWS"}


EVENTS: dict[str, tuple[Callable[[App, str], Any], str, str]] = {
    "message": (lambda app, space: app.message("help", space=space), "message", "This is what I can do"),
    "schedule": (lambda app, space: app.message(f"{REMIND} {SECRET}", space=space), "message", "Shall I do this?"),
    "slash-command": (
        lambda app, space: app.command("remind", f"in 20 minutes to {SECRET}", space=space),
        "message",
        f"I will remind you: {SECRET}",
    ),
    "quick-command": (lambda app, space: app.quick_command("jobs", space=space), "message", "nothing scheduled"),
    "added": (lambda app, space: app.added(space=space), "added", "Hello!"),
    "clicked": (lambda app, space: app.click(example(REMIND), space=space), "clicked", "Shall I do this?"),
    "removed": (lambda app, space: app.removed(space=space), "quiet", ""),
    "unknown": (unknown, "unknown", ""),
    "by-a-bot": (lambda app, space: from_person(app.message("help", space=space), type="BOT"), "message", ""),
}


@both
@pytest.mark.parametrize(("make", "kind", "says"), EVENTS.values(), ids=EVENTS)
def test_every_kind_of_event_is_answered(
    stored: ServedChat, space: str, app: App, make: Callable[[App, str], Any], kind: str, says: str
) -> None:
    """In its own format, or with nothing; the log has the kind, and the person as a hash."""
    status, reply = stored.send(make(app, space))

    line = stored.logged("chat_event")[-1]
    assert status == 200
    assert says in words_of(checked(reply)) if says else reply == {}
    assert not reply or ("hostAppDataAction" in reply) is app.is_add_on
    assert line["kind"] == kind
    assert line["user"] == hashed("ada@example.com")
    assert stored.jobs(space) == []
    assert stored.leaks() == []


def test_being_added_by_a_mention_is_answered_once(stored: ServedChat, space: str) -> None:
    """A classic app gets one event, with the message; an add-on gets two, and answers only the second."""
    assert "nothing scheduled" in words_of(stored.ask(Classic.added("jobs", space=space)))
    assert stored.send(AddOn.added("jobs", space=space)) == (200, {})


@both
def test_stranger_learns_whom_to_ask(stored: ServedChat, space: str, app: App) -> None:
    """Privately, for any event; nothing else happens, and a removal is not answered."""
    asked = stored.ask(app.message(REMIND, space=space))
    wanted = [
        app.message(f"{REMIND} {SECRET}", space=space),
        app.quick_command("jobs", space=space),
        app.added(space=space),
        app.click(button(asked, "Confirm"), space=space),
    ]

    eve = {"email": "ada@evil-example.com", "name": "users/666"}
    replies = [stored.ask(from_person(event, **eve)) for event in wanted]
    left = stored.send(from_person(app.removed(space=space), **eve))

    for reply in replies:
        assert set(message_of(reply)) == {"text", "privateMessageViewer"}
        assert message_of(reply)["privateMessageViewer"] == {"name": "users/666"}
        assert message_of(reply)["text"].startswith("Sorry, I may not talk to you yet. Please ask")
    assert left == (200, {})
    assert stored.jobs(space) == []
    assert stored.leaks("evil-example", "users/666") == []


@pytest.mark.parametrize("path", ["/health", "/chat/health"])
def test_health_is_public(stored: ServedChat, path: str) -> None:
    """With the kind of store, and no other setting."""
    status, answer = stored.function.call(path, method="GET")

    storage = stored.storage.env.get("SCHEDULER_STORAGE", "json")
    assert (status, answer) == (200, {"status": "ok", "function": "chat_webhook", "storage": storage})


@both
def test_job_is_managed_in_its_space(stored: ServedChat, space: str, app: App) -> None:
    """From the card to the list, to its own card, through all its buttons."""
    stored.ask(app.click(button(stored.ask(app.message(REMIND, space=space)), "Confirm"), space=space))
    (job,) = stored.jobs(space)
    listed = stored.ask(app.message("jobs", space=space))
    card = stored.ask(app.message(f"job {job.id}", space=space))

    states = []
    for label in ("Pause", "Resume", "Run now", "Cancel"):
        card = stored.ask(app.click(button(card, label), space=space))
        states.append(stored.jobs(space)[0].status)

    (after,) = stored.jobs(space)
    assert (job.job_type, job.payload["text"], job.created_by) == (
        "chat_message",
        "<users/104> stretch",
        "chat:ada@example.com",
    )
    assert "stretch" in words_of(listed)
    assert states == [Status.PAUSED, Status.PENDING, Status.PENDING, Status.CANCELLED]
    assert [each["text"] for each in buttons_of(card)] == ["Undo", "All jobs"]
    assert after.updated_by == "chat:ada@example.com"
    actions = [line["action"] for line in stored.function.log_lines() if line.get("job_id") == job.id]
    assert actions == ["job_created", "job_pause", "job_resume", "job_run", "job_cancel"]
    assert stored.leaks("stretch") == []


@both
def test_job_seems_not_to_exist_in_another_space(stored: ServedChat, space: str, app: App) -> None:
    """It cannot be listed, shown or changed there; the answer is the one for an unknown id."""
    elsewhere = f"{space}x"
    stored.ask(app.click(button(stored.ask(app.message(REMIND, space=space)), "Confirm"), space=space))
    (job,) = stored.jobs(space)
    pressed = [*buttons_of(stored.ask(app.message("jobs", space=space))), example(f"job {job.id}")]

    listed = stored.ask(app.message("jobs", space=elsewhere))
    shown = stored.ask(app.command("job", job.id, space=elsewhere))
    never = stored.ask(app.command("job", "nothing", space=elsewhere))
    replies = [stored.ask(app.click(each, space=elsewhere)) for each in pressed]

    assert len(pressed) == 5
    assert "nothing scheduled in this space" in words_of(listed)
    assert message_of(shown)["text"] == message_of(never)["text"].replace("nothing", job.id)
    assert all(message_of(reply) == message_of(shown) for reply in replies)
    assert stored.jobs(space) == [job]
    assert stored.jobs(elsewhere) == []


@both
def test_message_and_click_delivered_twice_make_one_job(stored: ServedChat, space: str, app: App) -> None:
    """One after the other and at once; another message makes another job."""
    cards = [stored.ask(app.message(REMIND, space=space, name="M1.M1")) for _ in range(2)]
    clicks = [app.click(button(card, "Confirm"), space=space) for card in (*cards, *cards)]

    with ThreadPoolExecutor(len(clicks)) as pool:
        at_once = list(pool.map(stored.send, clicks))
    again = stored.send(clicks[0])
    after_one_message = stored.jobs(space)
    stored.ask(app.click(button(stored.ask(app.message(REMIND, space=space, name="M2.M2")), "Confirm"), space=space))

    # The second card was asked for a moment later, so its confirmation may be told that there is a job already.
    assert {status for status, _ in (*at_once, again)} == {200}
    assert len(after_one_message) == 1
    assert len(stored.jobs(space)) == 2
