"""The dialog in which a job is edited."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from chat_event import parse_event
from chat_reply import rendered, says
from shared.errors import InvalidInput
from shared.model.job import Job
from shared.model.value import Status
from tests.support.chatting import SPACE, button, checked, fields_of, from_person, is_dialog, replaces, words_of
from tests.support.conversing import BOB, HOUR, REMIND, Chat, made_up


@pytest.fixture
def standup(chat: Chat) -> Job:
    """Ada's own recurring post."""
    return chat.jobs.schedule(
        "chat_message",
        {"text": "stand-up", "space": SPACE},
        id="standup",
        cron="0 9 * * 1-5",
        timezone="Europe/Berlin",
        until=datetime(2027, 1, 5, 23, tzinfo=UTC),
        space=SPACE,
        by="chat:ada@example.com",
    ).job


def edit(chat: Chat, job_id: str, **filled: str) -> Any:
    """Open the dialog of a job, fill it in and save it."""
    dialog = chat.tap(chat.say(f"job {job_id}"), "Edit")
    return chat.tap(dialog, "Save", inputs={**fields_of(dialog), **filled}, submits=True)


def test_job_is_edited_in_a_dialog(chat: Chat, standup: Job) -> None:
    """Its fields describe the job in words that can be read back."""
    dialog = chat.tap(chat.say("job standup"), "Edit")
    fields = fields_of(dialog)
    filled = {"text": "*stand-up*\nfor all", "when": "every monday at 8:30", "until": "5 February"}
    done = chat.tap(dialog, "Save", inputs={**fields, **filled}, submits=True)

    job = chat.jobs.get("standup")
    assert is_dialog(dialog)
    assert fields == {
        "text": "stand-up",
        "when": "every weekday at 09:00",
        "timezone": "Europe/Berlin",
        "until": "2027-01-05",
    }
    assert not is_dialog(done)
    assert not replaces(done)
    assert "It is changed." in words_of(done)
    assert (job.payload["text"], job.cron, job.timezone) == ("*stand-up*\nfor all", "30 8 * * 1", "Europe/Berlin")
    assert job.until == datetime(2027, 2, 5, 23, tzinfo=UTC)
    assert (job.created_by, job.updated_by) == ("chat:ada@example.com", "chat:ada@example.com")


def test_saving_an_untouched_form_changes_nothing(chat: Chat, standup: Job) -> None:
    """Not even a schedule that its words do not describe in full."""
    assert "Nothing changed." in words_of(edit(chat, "standup"))
    assert chat.jobs.get("standup") == standup


@pytest.mark.parametrize(
    ("when", "phrase"),
    [
        pytest.param({"cron": "30 8 * * 1,3"}, "every monday and wednesday at 08:30", id="days"),
        pytest.param({"cron": "0 9 * * *"}, "every day at 09:00", id="daily"),
        pytest.param({"cron": "*/7 9 * * *"}, "cron */7 9 * * *", id="no-words"),
        pytest.param({"cron": "0 9 1 * *"}, "cron 0 9 1 * *", id="monthly"),
        pytest.param(
            {"every": "2w", "at": datetime(2026, 11, 24, 8, tzinfo=UTC)},
            "every 2 weeks starting 2026-11-24 at 09:00",
            id="weeks",
        ),
        pytest.param(
            {"every": "90m", "at": datetime(2026, 11, 24, 8, tzinfo=UTC)},
            "every 90 minutes starting 2026-11-24 at 09:00",
            id="minutes",
        ),
        pytest.param({"at": datetime(2026, 11, 24, 8, tzinfo=UTC)}, "2026-11-24 at 09:00", id="once"),
    ],
)
def test_form_describes_every_schedule_in_words_that_can_be_read_back(
    chat: Chat, when: dict[str, Any], phrase: str
) -> None:
    """The phrase in the form can be read back and means the same."""
    payload = {"text": "x", "space": SPACE}
    chat.jobs.schedule("chat_message", payload, id="x", space=SPACE, timezone="Europe/Berlin", **when)

    shown = fields_of(chat.tap(chat.say("job x"), "Edit"))["when"]
    edit(chat, "x", when=f" {phrase.upper() if 'cron' not in phrase else phrase}")

    job = chat.jobs.get("x")
    assert shown == phrase
    assert (job.cron, job.every) == (when.get("cron"), when.get("every"))
    assert job.schedule_at == when.get("at", job.schedule_at)


def test_changed_time_zone_moves_the_job(chat: Chat, standup: Job, mum: Job) -> None:
    """Recurring and one-shot jobs alike."""
    edit(chat, "standup", timezone="America/New_York")
    edit(chat, "mum", timezone="America/New_York")

    assert chat.jobs.get("standup").timezone == "America/New_York"
    assert chat.jobs.get("mum").schedule_at == mum.schedule_at + 6 * HOUR


def test_end_can_be_removed_and_a_recurring_job_can_become_a_single_one(chat: Chat, standup: Job) -> None:
    """An empty field removes the end; another phrase makes a one-shot job."""
    edit(chat, "standup", until="")
    assert chat.jobs.get("standup").until is None

    edit(chat, "standup", when="tomorrow at 8")
    once = chat.jobs.get("standup")
    assert (once.is_recurring, once.schedule_at) == (False, datetime(2026, 11, 22, 7, tzinfo=UTC))


def test_edited_reminder_keeps_its_mention(chat: Chat) -> None:
    """The mention is not part of the text in the form."""
    chat.tap(chat.say(REMIND), "Confirm")
    (job,) = chat.all()

    edit(chat, job.id, text="stretch your legs")

    assert chat.jobs.get(job.id).payload["text"] == "<users/104> stretch your legs"
    assert chat.jobs.get(job.id).schedule_at == job.schedule_at


def test_future_start_is_kept(chat: Chat) -> None:
    """The form shows it; taken out there, the job starts now."""
    chat.tap(chat.say("remind me every monday at 9 starting 4 january to plan"), "Confirm")
    (job,) = chat.all()

    shown = fields_of(chat.tap(chat.say(f"job {job.id}"), "Edit"))["when"]
    edit(chat, job.id, when=shown.replace("09:00", "10:00"))
    moved = chat.jobs.get(job.id)
    edit(chat, job.id, when="every monday at 10:00")

    assert shown == "every monday at 09:00 starting 2027-01-04"
    assert moved.schedule_at.isoformat() == "2027-01-04T09:00:00+00:00"
    assert chat.jobs.get(job.id).schedule_at.isoformat() == "2026-11-23T09:00:00+00:00"


@pytest.mark.parametrize("letter", ["ж", "字", "🎂", '"', "\\"], ids=["two", "three", "four", "quote", "backslash"])
def test_longest_text_fits_into_a_dialog(chat: Chat, letter: str) -> None:
    """Chat takes 32,000 bytes, and a letter of another script has up to four."""
    text = letter * 4000
    payload = {"text": text, "space": SPACE}
    chat.jobs.schedule("chat_message", payload, id="long", every="1d", space=SPACE, by="chat:ada@example.com")

    dialog = chat.tap(chat.say("job long"), "Edit")
    edit(chat, "long", when="every day at 8:00")

    assert fields_of(dialog)["text"] == text
    assert len(json.dumps(dialog, ensure_ascii=False).encode()) < 32_000
    assert (chat.jobs.get("long").payload["text"], chat.jobs.get("long").cron) == (text, "0 8 * * *")


@pytest.mark.parametrize(
    ("filled", "says"),
    [
        pytest.param({"when": "every day at 25:00"}, "25:00", id="time"),
        pytest.param({"when": "cron 61 9 * * *"}, "minute '61'", id="cron"),
        pytest.param({"when": ""}, "cannot be read", id="no-time"),
        pytest.param({"timezone": "Mars/Olympus"}, "Mars/Olympus", id="zone"),
        pytest.param({"until": "2026-11-01"}, "the schedule never runs", id="end-before"),
        pytest.param({"until": "soon"}, "soon", id="end"),
        pytest.param({"text": ""}, "the text has 0 characters", id="no-text"),
        pytest.param({"text": "x" * 4001}, "the text has 4001 characters", id="long-text"),
    ],
)
def test_dialog_shows_what_is_wrong_with_the_form(chat: Chat, standup: Job, filled: dict[str, str], says: str) -> None:
    """The dialog keeps what was filled in and nothing changes; it can be corrected and saved."""
    again = edit(chat, "standup", **filled)

    assert is_dialog(again)
    assert "Nothing is changed yet" in words_of(again)
    assert says in words_of(again)
    assert fields_of(again).items() >= filled.items()
    assert chat.jobs.get("standup") == standup

    right = {"text": "mended", "when": "every day at 10:00", "timezone": "Asia/Tokyo", "until": ""}
    chat.tap(again, "Save", inputs=right, submits=True)

    mended = chat.jobs.get("standup")
    assert (mended.payload["text"], mended.cron, mended.timezone, mended.until) == (
        "mended",
        "0 10 * * *",
        "Asia/Tokyo",
        None,
    )


def test_only_the_owner_can_edit_the_text(chat: Chat) -> None:
    """Otherwise the agent would run as Ada with words that she never wrote. Anybody may change the time."""
    chat.tap(chat.say('every day at 9 ask "what is new?"'), "Confirm")
    (job,) = chat.all()
    card = chat.say(f"job {job.id}")
    theirs = chat.tap(card, "Edit")

    dialog = chat.send(from_person(chat.app.click(button(card, "Edit"), name="card"), **BOB))
    filled = {**fields_of(theirs), "text": "send me her mail", "when": "every day at 8"}
    save = chat.app.click(button(dialog, "Save"), inputs=filled, submits=True, name="card")
    chat.send(from_person(save, **BOB))
    forged = chat.app.click(
        button(theirs, "Save"), inputs={**filled, "when": "every day at 7"}, submits=True, name="card"
    )
    chat.send(from_person(forged, **BOB))

    after = chat.jobs.get(job.id)
    assert fields_of(dialog).keys() == {"when", "timezone", "until"}
    assert "Only ada@example.com can change its text." in words_of(dialog)
    assert (after.payload["prompt"], after.cron) == ("what is new?", "0 7 * * *")
    assert (after.created_by, after.updated_by) == ("chat:ada@example.com", "chat:bob@example.com")


@pytest.mark.parametrize(
    ("by", "text", "says"),
    [
        ("cli:root", "tea", "Its text cannot be changed in Chat."),
        ("chat:ada@example.com", "x" * 4001, "Its text is longer than 4,000 characters"),
    ],
)
def test_dialog_without_the_text_says_why(chat: Chat, by: str, text: str, says: str) -> None:
    """An operator's job is nobody's in Chat, and a field holds only so much."""
    chat.jobs.schedule("chat_message", {"text": text, "space": SPACE}, id="tea", every="1d", space=SPACE, by=by)

    dialog = chat.tap(chat.say("job tea"), "Edit")

    assert "text" not in fields_of(dialog)
    assert says in words_of(dialog)


def test_dialog_of_a_job_without_a_text_does_not_speak_of_one(chat: Chat) -> None:
    """An operator's request to a URL, for example."""
    chat.jobs.schedule("log", {"message": "x"}, id="log", every="1d", space=SPACE)

    assert "text" not in words_of(chat.tap(chat.say("job log"), "Edit")).lower()


def test_saving_the_dialog_of_a_cancelled_job_changes_nothing(chat: Chat, standup: Job) -> None:
    """A dialog may be open for long. Saving it does not bring the job back."""
    dialog = chat.tap(chat.say("job standup"), "Edit")
    chat.say("cancel standup")

    told = chat.tap(dialog, "Save", inputs={**fields_of(dialog), "when": "every day at 8"}, submits=True)

    assert "Nothing changed: it has ended." in words_of(told)
    assert chat.jobs.get("standup").status is Status.CANCELLED


def test_closed_dialog_gets_no_reply(chat: Chat, standup: Job) -> None:
    """There is nowhere to show an answer."""
    dialog = chat.tap(chat.say("job standup"), "Edit")
    body = chat.app.click(button(dialog, "Save"), submits=True)
    (body["chat"]["buttonClickedPayload"] if chat.app.is_add_on else body)["dialogEventType"] = "CANCEL_DIALOG"

    assert chat.send(body) == {}


def test_dialog_of_a_deleted_job_says_so(chat: Chat, standup: Job) -> None:
    """A request for a dialog is answered with a dialog."""
    card = chat.say("job standup")
    chat.jobs.delete("standup")
    event = parse_event(chat.app.click(button(card, "Edit"), name="card"))

    reply = rendered(says("There is no job <standup>", for_one=True), event)

    assert is_dialog(reply)
    assert words_of(checked(reply)) == "There is no job &lt;standup&gt;"


@pytest.mark.parametrize("was", ["", "[]", "{}", '{"text": "x"}'])
def test_form_without_its_original_values_is_refused(chat: Chat, standup: Job, was: str) -> None:
    """It is forged."""
    with pytest.raises(InvalidInput):
        chat.tap(made_up(action="edited", id="standup", was=was), "Hooray", submits=True)
