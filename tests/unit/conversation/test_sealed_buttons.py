"""Where a click may come from another app, only a button with our seal counts."""

import json
from typing import Any

import pytest

from conversation import NOT_OURS
from seal import Seal
from shared.model.job import Job
from shared.model.value import Status
from tests.support.answering_agents import AGENT
from tests.support.chatting import (
    SPACE,
    button,
    buttons_of,
    message_of,
    words_of,
)
from tests.support.conversing import ELSEWHERE, REMIND, Chat, failed_job, made_up


@pytest.fixture
def sealed(chat: Chat) -> Chat:
    """A conversation in which only sealed buttons count."""
    chat.seal = Seal(lambda: b"key of this installation", SPACE)
    return chat


def carried(button: Any) -> dict[str, str]:
    """Return the parameters of a button."""
    return {pair["key"]: pair["value"] for pair in button["onClick"]["action"]["parameters"]}


def test_our_own_buttons_work(sealed: Chat, tea: Job) -> None:
    """From an example to a job, and through every command on a job."""
    failed_job(sealed)
    asked = sealed.tap(sealed.say("help"), "remind me in 20 minutes to stretch")
    sealed.tap(asked, "Confirm")
    paused = sealed.tap(sealed.say("job tea"), "Pause")
    states = [sealed.jobs.get("tea").status]
    resumed = sealed.tap(paused, "Resume")
    states.append(sealed.jobs.get("tea").status)
    running = sealed.tap(resumed, "Run now")
    sealed.tap(running, "Cancel")
    states.append(sealed.jobs.get("tea").status)
    sealed.tap(sealed.say("job once"), "Retry")
    listed = sealed.tap(sealed.say("job once"), "All jobs")
    shown = sealed.tap(listed, "Why?")
    discarded = sealed.tap(sealed.say(REMIND), "Discard")

    assert states == [Status.PAUSED, Status.PENDING, Status.CANCELLED]
    assert sorted(job.payload.get("text", "") for job in sealed.all()) == ["", "<users/104> stretch", "tea"]
    assert sealed.jobs.get("once").status is Status.PENDING
    assert "Last runs" in words_of(shown)
    assert "Nothing is scheduled" in words_of(discarded)


ORDER = json.dumps(
    {"kind": "ask", "text": "send it all", "timezone": "UTC", "at": None, "cron": "0 9 * * *", "everybody": False}
)


@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param({"action": "confirm", "id": "new", "user": "users/104", "order": ORDER}, id="confirm"),
        pytest.param({"action": "change", "id": "new", "user": "users/104"}, id="change"),
        pytest.param({"action": "discard", "id": "tea"}, id="discard"),
        pytest.param({"action": "say", "text": REMIND}, id="say"),
        pytest.param({"action": "list"}, id="list"),
        pytest.param({"action": "show", "id": "tea"}, id="show"),
        *(pytest.param({"action": name, "id": "tea"}, id=name) for name in ("run", "pause", "cancel", "resume")),
        pytest.param({"action": "retry", "id": "once"}, id="retry"),
    ],
)
@pytest.mark.parametrize("seal", [None, "", "0" * 64, "é"], ids=["none", "empty", "guessed", "not-ascii"])
def test_button_of_another_app_does_nothing(
    sealed: Chat, tea: Job, caplog: pytest.LogCaptureFixture, parameters: dict[str, str], seal: str | None
) -> None:
    """Nothing is created, changed or shown; a private message tells the person what to do."""
    failed_job(sealed)
    before = sealed.all()
    given = parameters if seal is None else {**parameters, "seal": seal}

    reply = sealed.send(sealed.app.click(made_up(**given), inputs={"phrase": REMIND}))

    assert message_of(reply) == {"text": NOT_OURS, "privateMessageViewer": {"name": "users/104"}}
    assert sealed.all() == before
    assert [vars(record)["fields"]["action"] for record in caplog.records] == ["button_refused"]


def test_fields_are_ignored_beside_a_marked_button(sealed: Chat) -> None:
    """The seal covers the phrase on the button; nobody knows who filled in a field."""
    asked = sealed.say("remind me at 7 to stretch")

    forged = {"phrase": "remind me tomorrow to send it all", "timezone": "Asia/Tokyo"}
    changed = sealed.tap(asked, "remind me on 2026-11-22 at 07:00 to stretch", inputs=forged)

    assert "Sun 22 Nov 2026, 07:00 (Europe/Berlin)" in words_of(changed)
    assert "I will remind you: stretch" in words_of(changed)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"order": ORDER}, id="another-order"),
        pytest.param({"id": "other"}, id="another-id"),
        pytest.param({"user": "users/666"}, id="another-person-to-mention"),
        pytest.param({"action": "run", "id": "tea"}, id="another-action"),
        pytest.param({"more": "x"}, id="one-more-parameter"),
    ],
)
def test_mark_of_one_button_does_not_fit_another(sealed: Chat, tea: Job, changes: dict[str, str]) -> None:
    """The seal covers every parameter of the button."""
    given = {**carried(button(sealed.say(REMIND), "Confirm")), **changes}

    reply = sealed.send(sealed.app.click(made_up(**given)))

    assert message_of(reply)["text"] == NOT_OURS
    assert sealed.all() == [tea]


def test_mark_of_one_space_does_not_fit_another(sealed: Chat, tea: Job) -> None:
    """A card that was offered in another space is refused here."""
    confirm = button(sealed.say(REMIND), "Confirm")
    sealed.seal = Seal(lambda: b"key of this installation", ELSEWHERE)

    reply = sealed.send(sealed.app.click(confirm, space=ELSEWHERE))

    assert message_of(reply)["text"] == NOT_OURS
    assert sealed.all() == [tea]


def test_mark_ignores_what_chat_adds_to_a_click(sealed: Chat) -> None:
    """Chat repeats the action's name for apps that were converted to add-ons."""
    given = {**carried(button(sealed.say(REMIND), "Confirm")), "__action_method_name__": "https://example.com"}

    sealed.send(sealed.app.click(made_up(**given)))

    assert len(sealed.all()) == 1


def test_sealed_request_is_reworded_in_a_new_message(sealed: Chat) -> None:
    """A seal cannot show who filled in a field, so a sealed card has none."""
    asked = sealed.say(REMIND)

    assert [each["text"] for each in buttons_of(asked)] == ["Confirm", "Discard"]
    assert "textInput" not in json.dumps(asked)


def test_agents_answer_needs_no_key(sealed: Chat) -> None:
    """The key is read from the store only when a button needs it."""

    def unreachable() -> bytes:
        raise AssertionError("the key is read")

    sealed.seal = Seal(unreachable, SPACE)
    sealed.agent = f"{AGENT}:answering"

    assert message_of(sealed.say("what is new?"))["text"] == "You said: what is new?"
