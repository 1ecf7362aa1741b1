"""What people say in a space and tap there, and what is answered, in both generations of Chat."""

import json
import logging
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from answering import answer
from card_parts import EXAMPLES, Buttons
from chat_event import parse_event
from chat_reply import rendered, says
from conversation import NOT_OURS, Conversation
from managing import LISTED
from seal import Seal
from shared.errors import InvalidInput
from shared.handlers import check_payload, load_handlers
from shared.handlers.agent import AgentContext, Proposal, slow
from shared.handlers.agent_tools import agent_tools, proposer
from shared.handlers.asking import heard
from shared.handlers.proposal import proposed_message
from shared.jobs import Jobs, UnknownJob
from shared.model.history import Result
from shared.model.job import Job
from shared.model.times import iso
from shared.model.value import Status
from shared.model.wording import local_time
from shared.store.documents import Unreadable, to_document
from shared.store.json_file import JsonStore
from shared.store.protocol import Change, Store, Won
from tests.chatting import (
    SPACE,
    THREAD,
    AddOn,
    Classic,
    button,
    buttons_of,
    checked,
    closes,
    fields_of,
    from_person,
    is_dialog,
    message_in,
    message_of,
    replaces,
    with_markup,
    words_of,
)

App = type[Classic] | type[AddOn]
ELSEWHERE = "spaces/elsewhere"
REMIND = "remind me in 20 minutes to stretch"
WEEKDAYS = 'every weekday at 9:00 post "stand-up"'
HOUR = timedelta(hours=1)
MOMENT = timedelta(microseconds=1)
ADA = {"display_name": "Ada", "user_name": "users/104"}  # as a job tells the agent of her
BOB = {"name": "users/105", "displayName": "Bob", "email": "bob@example.com"}


@dataclass
class Chat:
    """A space with the app in it. `say` and `tap` give the reply as Chat gets it."""

    app: App
    jobs: Jobs
    store: Store
    now: datetime
    agent: str = ""
    agent_limit: timedelta = timedelta(seconds=10)
    seal: Seal | None = None
    count: int = field(default=0)

    def say(self, text: str, **given: Any) -> Any:
        """Write a message to the app; each has a name of its own."""
        return self.send(self.app.message(text, **{"name": f"M{self.count}", **given}))

    def tap(self, reply: Any, label: str, *, inputs: dict[str, str] | None = None, **given: Any) -> Any:
        """Tap the first button of that label in a reply."""
        return self.send(self.app.click(button(reply, label), inputs=inputs, **{"name": "card", **given}))

    def send(self, body: Any, *, at: datetime | None = None) -> Any:
        """Send an event, by default a moment after the one before, and look at the form of the answer."""
        self.count += 1
        (body["chat"] if self.app.is_add_on else body)["eventTime"] = iso(at or self.now + self.count * MOMENT)
        event = parse_event(body)
        conversation = Conversation(
            event=event,
            buttons=Buttons(function="https://example.com/chat", seal=self.seal, names=event.names),
            now=self.now,
            default_timezone="UTC",
            jobs=lambda: self.jobs,
            agent=self.agent,
            agent_limit=self.agent_limit,
            trace_id="trace",
        )
        reply = rendered(answer(conversation), event)
        assert not reply or bool({"hostAppDataAction", "action"} & reply.keys()) is self.app.is_add_on
        if reply and reply != closes(is_add_on=self.app.is_add_on):
            checked(reply)
        return reply

    def all(self) -> list[Job]:
        """Return all jobs."""
        return [job for job in self.jobs.list() if isinstance(job, Job)]

    def put(self, before: Job, after: Job) -> Job:
        """Store a later state of a job."""
        outcome = self.store.swap([Change(before, after)])[0]
        assert isinstance(outcome, Won)
        assert isinstance(outcome.job, Job)
        return outcome.job


@pytest.fixture(params=[Classic, AddOn], ids=["classic", "add-on"])
def chat(request: pytest.FixtureRequest, json_store: JsonStore, now: datetime) -> Chat:
    """A conversation at ten in the morning in Berlin, on a Saturday."""
    made: list[Chat] = []
    jobs = Jobs(json_store, clock=lambda: made[0].now, handlers=load_handlers(()), retention=timedelta(days=30))
    made.append(Chat(app=request.param, jobs=jobs, store=json_store, now=now))
    return made[0]


# -- making a job ------------------------------------------------------------------------------------------------------


def test_a_reminder_goes_from_words_to_a_job(chat: Chat, now: datetime) -> None:
    """It is said back first, and nothing is scheduled before it is confirmed."""
    asked = chat.say(REMIND)
    nothing_yet = chat.all()
    done = chat.tap(asked, "Confirm")

    (job,) = chat.all()
    assert nothing_yet == []
    assert "Sat 21 Nov 2026, 10:20" in words_of(asked)
    assert "I remind you: stretch" in words_of(asked)
    assert replaces(done)
    assert "Scheduled: stretch" in words_of(done)
    assert (job.job_type, job.schedule_at, job.space) == ("chat_message", now + timedelta(minutes=20), SPACE)
    assert {**job.payload, "cardsV2": ...} == {
        "text": "<users/104> stretch",
        "space": SPACE,
        "thread": THREAD,
        "cardsV2": ...,
    }
    assert job.created_by == "chat:ada@example.com"


@pytest.mark.parametrize(
    ("said", "job_type", "payload"),
    [
        pytest.param("remind us tomorrow at 9 to sing", "chat_message", {"text": "<users/all> sing"}, id="everybody"),
        pytest.param('tomorrow at 9 post "hello"', "chat_message", {"text": "hello"}, id="post"),
        pytest.param(
            'tomorrow at 9 ask "what is new?"',
            "agent",
            {"prompt": "what is new?", "timezone": "Europe/Berlin", "space_kind": "space", **ADA},
            id="ask",
        ),
    ],
)
def test_each_kind_of_request_makes_its_kind_of_job(
    chat: Chat, said: str, job_type: str, payload: dict[str, str]
) -> None:
    """A reminder mentions whom it is for; a question is the agent's."""
    chat.tap(chat.say(said), "Confirm")

    (job,) = chat.all()
    written = {name: value for name, value in job.payload.items() if name != "cardsV2"}
    assert (job.job_type, written) == (job_type, {**payload, "space": SPACE, "thread": THREAD})


@pytest.mark.parametrize(
    ("plain", "formatted", "shown", "posted"),
    [
        pytest.param(
            'every day at 9 post "hello @Bob, now"',
            'every day at 9 post "hello <users/105>, *now*"',
            "I post: hello @Bob, *now*",
            "hello <users/105>, *now*",
            id="post",
        ),
        pytest.param(
            'post "@Bob opens the door" every day at 9',
            'post "<users/105> opens the door" every day at 9',
            "I post: @Bob opens the door",
            "<users/105> opens the door",
            id="text-first",
        ),
        pytest.param(
            "remind me tomorrow at 9 to ask @Bob about the report",
            "remind me tomorrow at 9 to ask <users/105> about <https://example.com/12:30|the report>",
            "I remind you: ask @Bob about the report",
            "<users/104> ask <users/105> about <https://example.com/12:30|the report>",
            id="reminder",
        ),
        pytest.param(
            "remind us to thank @all tomorrow at 9",
            "remind us to thank <users/all> tomorrow at 9",
            "I remind everybody: thank @all",
            "<users/all> thank <users/all>",
            id="all",
        ),
        pytest.param(
            "remind me tomorrow at 9 to sing",
            "*remind* me tomorrow at _9_ to sing",
            "sing",
            "<users/104> sing",
            id="odd",
        ),
        pytest.param(
            "remind me tomorrow at 9 to sing",
            "remind me tomorrow at 10 to sing",
            "sing",
            "<users/104> sing",
            id="other",
        ),
    ],
)
def test_mentions_and_formatting_of_a_text_survive(
    chat: Chat, plain: str, formatted: str, shown: str, posted: str
) -> None:
    """What is posted mentions whom the person named; cards show names. The time is what was read without markup."""
    event = with_markup(chat.app.message(plain), f"<users/app> {formatted}", **{"105": "Bob"})

    asked = chat.send(event)
    chat.tap(asked, "Confirm")

    (job,) = chat.all()
    assert shown in words_of(asked)
    assert "Shall I do this?" in words_of(asked)
    assert job.payload["text"] == posted
    clock = local_time(job.schedule_at, "Europe/Berlin")[-5:]
    assert clock == "09:00"


def test_markup_survives_a_command_and_a_change(chat: Chat) -> None:
    """The field holds it, and what is sent from there is read like a message."""
    event = chat.app.command("every", 'day at 9 post "hi @Bob"')
    asked = chat.send(with_markup(event, '/every day at 9 post "hi <users/105>"', **{"105": "Bob"}))
    fields = fields_of(asked)

    changed = chat.tap(asked, "Change", inputs={"phrase": fields["phrase"].replace("9", "10")})
    chat.tap(changed, "Confirm")

    (job,) = chat.all()
    assert fields["phrase"] == 'every day at 9 post "hi <users/105>"'
    assert (job.payload["text"], job.cron) == ("hi <users/105>", "0 10 * * *")


def test_a_job_is_named_by_a_text_with_a_mention(chat: Chat) -> None:
    """As it was scheduled; the list shows that somebody is mentioned."""
    formatted = "remind me tomorrow at 9 to ask <users/105>"
    asked = chat.send(with_markup(chat.app.message("remind me tomorrow at 9 to ask @Bob"), formatted))
    chat.tap(asked, "Confirm")

    listed = chat.say("jobs")
    done = chat.send(with_markup(chat.app.message("cancel ask @Bob"), "cancel ask <users/105>"))

    assert "ask @someone" in words_of(listed)
    assert "It is cancelled." in words_of(done)


def test_what_is_not_understood_quotes_no_placeholder(chat: Chat) -> None:
    """The field has the text as it was written, and so has what may be meant."""
    event = with_markup(
        chat.app.message("remind me on wednsday to ask @Bob"), "remind me on wednsday to ask <users/105>"
    )

    told = chat.send(event)

    assert fields_of(told) == {"phrase": "remind me on wednsday to ask <users/105>"}
    assert not re.search("[\ue000-\uf8ff]", json.dumps(told, ensure_ascii=False))


def test_a_recurring_job_is_read_on_the_clocks_of_whoever_asks(chat: Chat) -> None:
    """The card shows the schedule in words and the next runs as local times."""
    asked = chat.say(WEEKDAYS)
    chat.tap(asked, "Confirm")

    (job,) = chat.all()
    assert (job.cron, job.timezone) == ("0 9 * * 1-5", "Europe/Berlin")
    assert "At 09:00, Monday through Friday (Europe/Berlin)" in words_of(asked)
    assert "Mon 23 Nov 2026, 09:00\nTue 24 Nov 2026, 09:00\nWed 25 Nov 2026, 09:00" in words_of(asked)


def test_the_card_warns_where_either_day_is_enough(chat: Chat) -> None:
    """Both day fields are set: five runs stand below the warning, and where one field is free there is none."""
    asked = chat.say('cron 0 9 */2 * 1-5 post "x"')

    assert "Note: day of month and day of week are both restricted, and either is enough" in words_of(asked)
    runs = ["Mon 23 Nov 2026", "Tue 24 Nov 2026", "Wed 25 Nov 2026", "Thu 26 Nov 2026", "Fri 27 Nov 2026"]
    assert "\n".join(f"{run}, 09:00" for run in runs) in words_of(asked)
    assert "either" not in words_of(chat.say(WEEKDAYS))


def test_a_day_on_which_the_clocks_change_is_marked(chat: Chat) -> None:
    """Among the next runs that the card shows."""
    chat.now = chat.now.replace(year=2027, month=3, day=26)

    asked = chat.say('every day at 9:00 post "x"')

    assert "Sun 28 Mar 2027, 09:00 (the clocks change on this day, from +01:00 to +02:00)" in words_of(asked)


def test_the_same_event_or_click_twice_makes_one_job(chat: Chat) -> None:
    """Chat may deliver either again: the id comes from the message that asked."""
    first, again = chat.say(REMIND, name="M"), chat.say(REMIND, name="M")
    other = chat.say(REMIND, name="other")

    replies = [chat.tap(first, "Confirm"), chat.tap(first, "Confirm"), chat.tap(again, "Confirm")]
    chat.tap(other, "Confirm")

    assert len(chat.all()) == 2
    assert all("Scheduled: stretch" in words_of(reply) for reply in replies)


def test_a_discarded_request_leaves_nothing(chat: Chat) -> None:
    """The card says so, and has no buttons any more."""
    done = chat.tap(chat.say(REMIND), "Discard")

    assert replaces(done)
    assert "nothing is scheduled" in words_of(done)
    assert not buttons_of(done)
    assert not chat.all()


def test_a_request_can_be_said_differently(chat: Chat) -> None:
    """The card takes new words, and asks again in the same place."""
    asked = chat.say(REMIND)

    changed = chat.tap(asked, "Change", inputs={"phrase": "remind me in 2 hours to rest"})
    chat.tap(changed, "Confirm")

    (job,) = chat.all()
    assert replaces(changed)
    assert job.payload["text"] == "<users/104> rest"
    assert job.schedule_at == chat.now + 2 * HOUR


@pytest.mark.parametrize("phrase", ["", "hello", "every 30 seconds post x", "remind me"])
def test_new_words_that_cannot_be_scheduled_are_told(chat: Chat, phrase: str) -> None:
    """With a way to go on; the card with the buttons stays."""
    told = chat.tap(chat.say(REMIND), "Change", inputs={"phrase": phrase})

    assert not replaces(told)
    assert buttons_of(told)
    assert chat.all() == []


def test_a_confirmation_that_comes_too_late_is_told(chat: Chat) -> None:
    """What was meant for a time that is over is not done at another one."""
    asked = chat.say(REMIND)
    chat.now += HOUR

    late = chat.tap(asked, "Confirm")

    assert "That time has passed" in words_of(late)
    assert chat.all() == []


@pytest.mark.parametrize("label", ["Confirm", "Discard"])
def test_a_card_that_was_confirmed_shows_its_job(chat: Chat, label: str) -> None:
    """Another person taps it, or Chat delivers the click again, when it is late: nothing says that there is no job."""
    asked = chat.say(REMIND)
    chat.tap(asked, "Confirm")
    chat.now += HOUR

    again = chat.tap(asked, label)

    assert "This was confirmed before." in words_of(again)
    assert "nothing is scheduled" not in words_of(again)
    assert len(chat.all()) == 1


def test_an_example_can_be_tapped_again(chat: Chat) -> None:
    """Each tap asks for a job of its own; one that is delivered twice does not."""
    told = chat.say("help")
    body = chat.app.click(button(told, EXAMPLES[0]))

    asked = [chat.send(body, at=chat.now + number * HOUR) for number in (1, 2, 2)]
    for each in asked:
        chat.tap(each, "Confirm")

    assert len(chat.all()) == 2


@pytest.mark.parametrize("order", ["", "[]", "{}", '{"at": null}', '{"at": "soon", "kind": "post"}', "[" * 3])
def test_a_confirmation_that_carries_no_order_is_refused(chat: Chat, order: str) -> None:
    """A card of another release, say."""
    asked = chat.say(REMIND)
    for pair in button(asked, "Confirm")["onClick"]["action"]["parameters"]:
        if pair["key"] == "order":
            pair["value"] = order

    with pytest.raises(InvalidInput, match="repeat the command"):
        chat.tap(asked, "Confirm")


def test_one_card_makes_one_job(chat: Chat) -> None:
    """Confirmed, then changed in an old copy of the card and confirmed again: it says that there is one."""
    asked = chat.say(REMIND)
    changed = chat.tap(asked, "Change", inputs={"phrase": "remind me in 2 hours to rest"})
    chat.tap(asked, "Confirm")

    with pytest.raises(InvalidInput, match="confirmed before"):
        chat.tap(changed, "Confirm")


def test_a_date_with_two_readings_is_asked_about(chat: Chat) -> None:
    """Each reading is a button with the person's text and time; tapping one asks for its confirmation."""
    told = chat.say("remind me on 12/1 at 17:30 to pay")

    asked = chat.tap(told, "remind me on 2027-01-12 at 17:30 to pay")

    assert "1 December 2026 or 12 January 2027?" in words_of(told)
    assert chat.all() == []
    assert "Tue 12 Jan 2027, 17:30" in words_of(asked)
    assert "I remind you: pay" in words_of(asked)


def test_what_is_not_understood_can_be_put_right_in_its_place(chat: Chat) -> None:
    """The card keeps every word of it in a field, and offers nothing that was not meant."""
    told = chat.say("remind me soonish to call Bob")

    asked = chat.tap(told, "Change", inputs={"phrase": "remind me tomorrow at 9:00 to call Bob"})
    chat.tap(asked, "Confirm")

    (job,) = chat.all()
    assert [each["text"] for each in buttons_of(told)] == ["Change"]
    assert fields_of(told) == {"phrase": "remind me soonish to call Bob"}
    assert job.payload["text"] == "<users/104> call Bob"


def test_the_other_reading_is_one_tap_away(chat: Chat) -> None:
    """At ten, "at 7" is seven in the evening; the morning is a button, which takes the place of the card."""
    asked = chat.say("remind me at 7 to stretch")

    changed = chat.tap(asked, "remind me on 2026-11-22 at 07:00 to stretch")
    chat.tap(changed, "Confirm")

    (job,) = chat.all()
    assert "Sat 21 Nov 2026, 19:00" in words_of(asked)
    assert replaces(changed)
    assert "Sun 22 Nov 2026, 07:00" in words_of(changed)
    assert local_time(job.schedule_at, "Europe/Berlin") == "Sun 22 Nov 2026, 07:00"


def test_short_months_are_told_and_the_last_day_offered(chat: Chat) -> None:
    """Five months of the year have no 31st."""
    asked = chat.say('every month on the 31st at 9:00 post "rent"')

    changed = chat.tap(asked, 'every month on the last day at 09:00 post "rent"')

    assert "Months without a 31st are left out." in words_of(asked)
    assert "Mon 30 Nov 2026, 09:00" in words_of(changed)


@pytest.mark.parametrize(
    ("said", "fields", "words"),
    [
        pytest.param(
            'every other friday at 10:00 post "pay"',
            {"every": "2w", "starts_at": "2026-11-27T09:00:00Z"},
            ["Every 2 weeks (Europe/Berlin)", "Fri 27 Nov 2026, 10:00\nFri 11 Dec 2026, 10:00"],
            id="weeks",
        ),
        pytest.param(
            'every 90 minutes post "pay"',
            {"every": "90m", "starts_at": "2026-11-21T10:30:00Z"},
            ["Every 90 minutes (Europe/Berlin)", "Sat 21 Nov 2026, 11:30\nSat 21 Nov 2026, 13:00"],
            id="minutes",
        ),
        pytest.param(
            'every day at 9:00 starting monday until friday except november 25 post "pay"',
            {
                "cron": "0 9 * * *",
                "starts_at": "2026-11-22T23:00:00Z",
                "until": "2026-11-27T23:00:00Z",
                "except_dates": ["2026-11-25"],
            },
            ["until Sat 28 Nov 2026, 00:00, except 25 Nov 2026", "Mon 23 Nov 2026, 09:00\nTue 24 Nov 2026, 09:00"],
            id="bounds",
        ),
        pytest.param(
            'weekdays at 9:00 except fridays until december post "pay"',
            {"cron": "0 9 * * 1,2,3,4", "until": "2026-11-30T23:00:00Z"},
            ["until Tue 1 Dec 2026, 00:00", "Wed 25 Nov 2026, 09:00"],
            id="weekdays-off",
        ),
    ],
)
def test_what_cron_cannot_say_is_an_interval_or_has_bounds(
    chat: Chat, said: str, fields: dict[str, Any], words: list[str]
) -> None:
    """The card says it with the next runs, and the job has every part of it."""
    asked = chat.say(said)
    done = chat.tap(asked, "Confirm")

    (job,) = chat.all()
    names = ("cron", "every", "until", "except_dates", "starts_at")
    stored = {name: value for name, value in to_document(job).items() if name in names and value}
    assert all(each in words_of(asked) for each in words), words_of(asked)
    assert json.loads(json.dumps(stored, default=iso)) == fields
    assert "Scheduled: pay" in words_of(done)


def test_a_note_says_what_may_not_be_meant(chat: Chat) -> None:
    """Both day fields are restricted, and either is enough."""
    assert "either is enough" in words_of(chat.say('cron 0 9 1 * 1 post "x"'))


def nowhere(chat: Chat, body: Any) -> Any:
    """Return an event without a time zone."""
    del (body["commonEventObject"] if chat.app.is_add_on else body["common"])["timeZone"]
    return body


def test_the_time_zone_is_told_where_chat_does_not_say_it(chat: Chat) -> None:
    """It can be changed on the card, and is kept through every change."""
    asked = chat.send(nowhere(chat, chat.app.message("remind me tomorrow at 9:00 to stretch")))

    click = chat.app.click(button(asked, "Change"), inputs={"phrase": REMIND, "timezone": "Asia/Tokyo"})
    changed = chat.send(nowhere(chat, click))
    other = chat.send(
        nowhere(chat, chat.app.click(button(changed, "Change"), inputs={"phrase": "remind me at 7 to rest"}))
    )
    last = chat.send(nowhere(chat, chat.app.click(button(other, "remind me on 2026-11-22 at 07:00 to rest"))))

    assert "Chat does not say your time zone; I took UTC." in words_of(asked)
    assert fields_of(asked) == {"phrase": "remind me tomorrow at 9:00 to stretch", "timezone": "UTC"}
    assert fields_of(changed)["timezone"] == "Asia/Tokyo"
    assert "Sun 22 Nov 2026, 07:00 (Asia/Tokyo)" in words_of(last)


def test_a_known_time_zone_is_not_asked_about(chat: Chat) -> None:
    """The card has no field for it."""
    assert list(fields_of(chat.say(REMIND))) == ["phrase"]


def test_an_unknown_time_zone_is_refused(chat: Chat) -> None:
    """With the remedy."""
    asked = chat.say(REMIND)

    with pytest.raises(InvalidInput, match="Write an IANA name"):
        chat.tap(asked, "Change", inputs={"phrase": REMIND, "timezone": "Bielefeld"})


def test_what_people_write_is_shown_and_not_read_as_markup(chat: Chat) -> None:
    """Chat knows tags in cards."""
    asked = chat.say('tomorrow at 9 post "<b>a</b> & <i>b</i>"')

    assert "I post: &lt;b&gt;a&lt;/b&gt; &amp; &lt;i&gt;b&lt;/i&gt;" in words_of(asked)


# -- help --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["help", "", "HELP"])
def test_help_shows_examples_that_can_be_tapped(chat: Chat, text: str) -> None:
    """Each of them is understood."""
    told = chat.say(text)

    labels = [each["text"] for each in buttons_of(told)]
    assert labels == list(EXAMPLES)
    for label in labels[:-1]:
        assert "Shall I do this?" in words_of(chat.tap(told, label))


@pytest.mark.parametrize("text", ["dance!", "help me write a letter", "jobs are hard to find", "job a b"])
def test_what_is_no_command_is_answered_with_help_where_there_is_no_agent(chat: Chat, text: str) -> None:
    """A friendly one."""
    assert "I do not understand that" in words_of(chat.say(text))


@pytest.mark.parametrize(
    ("word", "argument", "says"),
    [
        ("job", "", "Say which job"),
        ("help", "me", "This is what I can do"),
        ("every", "", "I do not understand that"),
        ("every", "now and then", "I do not understand that"),
        ("jobs", "all", "nothing scheduled in this space"),
    ],
)
def test_a_slash_command_is_never_for_the_agent(chat: Chat, word: str, argument: str, says: str) -> None:
    """Whatever stands behind it."""
    chat.agent = f"{AGENT}:answering"

    assert says in words_of(chat.send(chat.app.command(word, argument)))


def test_being_added_is_answered_with_a_greeting(chat: Chat) -> None:
    """With the examples."""
    assert words_of(chat.send(chat.app.added())).startswith("Hello!")


def ended(job: Job, now: datetime) -> Job:
    """Run a due job to its end."""
    held = job.claim(now=now, token="t", lease=HOUR, retention=HOUR)
    return held.finish(Result(started_at=now, ended_at=now, by="schedule"), retention=HOUR)


# -- managing jobs -----------------------------------------------------------------------------------------------------


@pytest.fixture
def tea(chat: Chat) -> Job:
    """A job of the space, every weekday at nine."""
    payload = {"text": "tea", "space": SPACE}
    job = chat.jobs.schedule(
        "chat_message", payload, id="tea", cron="0 9 * * 1-5", space=SPACE, by="chat:bob@example.com"
    )
    return job.job


def test_the_jobs_of_the_space_are_listed(chat: Chat, tea: Job) -> None:
    """With status, schedule in words and the next run; others' jobs, ended ones and subscriptions are left out."""
    for job_id, space in (("other", ELSEWHERE), ("nowhere", None), ("done", SPACE)):
        chat.jobs.schedule("log", {"message": "hello"}, id=job_id, space=space)
    chat.jobs.cancel("done")

    listed = chat.say("jobs")

    assert words_of(listed).splitlines() == [
        "What is scheduled in this space",
        "pending, tea",
        "tea",
        "At 09:00, Monday through Friday (UTC). It is not due until Mon 23 Nov 2026, 10:00.",
        "Run now",
        "Pause",
        "Cancel",
        "Why?",
    ]


@pytest.mark.parametrize("first", ["", "99", "-1", "x", "9" * 5000])
def test_a_page_that_is_not_there_is_the_first(chat: Chat, tea: Job, first: str) -> None:
    """The list was longer once, or the button is made up."""
    parameters = [{"key": "action", "value": "list"}, {"key": "first", "value": first}]
    more = {"text": "More", "onClick": {"action": {"function": "x", "parameters": parameters}}}

    assert "tea" in words_of(chat.send(chat.app.click(more)))


def test_an_empty_list_says_what_to_do(chat: Chat) -> None:
    """With examples."""
    told = chat.say("jobs")

    assert "nothing scheduled in this space" in words_of(told)
    assert buttons_of(told)


def test_a_long_list_has_pages(chat: Chat) -> None:
    """Each job once, in the same place."""
    for number in range(2 * LISTED + 1):
        chat.jobs.schedule("log", {"message": f"job {number:02}"}, id=f"job-{number:02}", space=SPACE)

    pages = [chat.say("jobs")]
    pages += [chat.tap(pages[0], "More")]
    pages += [chat.tap(pages[1], "More")]

    shown = [re.findall(r"job \d\d", words_of(page)) for page in pages]
    assert [len(page) for page in shown] == [LISTED, LISTED, 1]
    assert len({job for page in shown for job in page}) == 2 * LISTED + 1
    assert replaces(pages[1])
    assert not any(each["text"] == "More" for each in buttons_of(pages[2]))


@pytest.mark.parametrize(
    ("label", "status", "says"),
    [
        ("Run now", Status.PENDING, "It runs within a minute."),
        ("Pause", Status.PAUSED, "It was paused by ada@example.com at Sat 21 Nov 2026, 10:00"),
        ("Cancel", Status.CANCELLED, "It was cancelled by ada@example.com at Sat 21 Nov 2026, 10:00"),
    ],
)
def test_a_job_is_managed_by_its_buttons(
    chat: Chat, tea: Job, caplog: pytest.LogCaptureFixture, label: str, status: Status, says: str
) -> None:
    """What was done is shown in the place of the card, and stands in the job and, as a hash, in the log."""
    caplog.set_level(logging.INFO, "watchkeeper")

    done = chat.tap(chat.say("jobs"), label)

    job = chat.jobs.get("tea")
    assert replaces(done)
    assert says in words_of(done)
    assert (job.status, job.updated_by) == (status, "chat:ada@example.com")
    (fields,) = [getattr(line, "fields", {}) for line in caplog.records]
    assert fields["job_id"] == "tea"
    assert fields["by"] not in ("", "ada@example.com")
    assert "ada" not in caplog.text


def test_a_paused_job_is_resumed_and_a_failed_one_retried(chat: Chat, tea: Job) -> None:
    """The buttons follow the status."""
    paused = chat.tap(chat.say("job tea"), "Pause")
    resumed = chat.tap(paused, "Resume")
    once = chat.jobs.schedule("log", {"message": "hello"}, id="once", space=SPACE, max_attempts=1).job
    held = chat.put(once, once.claim(now=chat.now, token="t", lease=HOUR, retention=HOUR))
    result = Result(started_at=chat.now, ended_at=chat.now, by="schedule", error="no milk")
    chat.put(held, held.finish(result, retention=HOUR))
    failed = chat.say("job once")
    retried = chat.tap(failed, "Retry")

    assert "It goes on." in words_of(resumed)
    assert "It gave up after 1 attempt, because: an error." in words_of(failed)
    assert "It is tried again within a minute." in words_of(retried)
    assert chat.jobs.get("once").status is Status.PENDING


def test_one_job_tells_why_it_will_or_will_not_run(chat: Chat, tea: Job) -> None:
    """With its schedule, its last runs and who made it."""
    found = chat.put(tea, tea.run(now=chat.now))
    held = chat.put(found, found.claim(now=chat.now, token="t", lease=HOUR, retention=HOUR))
    running = words_of(chat.say("job tea"))
    result = Result(started_at=chat.now, ended_at=chat.now, by="schedule", error="RuntimeError: no milk, sk-hunter2")
    chat.put(held, held.finish(result, retention=HOUR))
    waiting = words_of(chat.say("job tea"))

    assert "It has been running since Sat 21 Nov 2026, 10:00 (leased until Sat 21 Nov 2026, 11:00)." in running
    assert "It is tried again at Sat 21 Nov 2026, 10:01: it failed 1 of 3 attempts, because: RuntimeError." in waiting
    assert "Sat 21 Nov 2026, 10:00: retried, RuntimeError" in waiting
    assert "`watchkeeper jobs show tea` and the log show the whole error." in waiting
    assert "At 09:00, Monday through Friday (UTC)." in waiting
    assert "Made by bob@example.com." in waiting


@pytest.mark.parametrize("later", [None, HOUR], ids=["failed", "put-off"])
@pytest.mark.parametrize("most", [1, 3], ids=["for-good", "to-be-tried-again"])
def test_no_card_shows_the_text_of_an_error(chat: Chat, later: timedelta | None, most: int) -> None:
    """A handler's error may quote a key: whatever is asked for, and after each button, the text is not there."""
    job = chat.jobs.schedule("log", {"message": "hello"}, id="once", space=SPACE, max_attempts=most).job
    held = chat.put(job, job.claim(now=chat.now, token="t", lease=HOUR, retention=HOUR))
    error = "no key sk-hunter2 <users/all>"
    result = Result(started_at=chat.now, ended_at=chat.now, by="schedule", error=error, later=later)
    chat.put(held, held.finish(result, retention=HOUR))

    shown = [words_of(chat.say("job once")), words_of(chat.say("jobs"))]
    shown += [words_of(chat.tap(chat.say("job once"), "All jobs")), words_of(chat.tap(chat.say("job once"), "Cancel"))]

    assert not [words for words in shown if "hunter2" in words or "users/all" in words]
    assert chat.jobs.get("once").error == error


def test_a_document_that_cannot_be_read_is_not_quoted(chat: Chat, tea: Job) -> None:
    """The reason quotes what stands in it, and nobody knows whose it is: in a space it does not exist."""
    broken = Unreadable(id="tea", reason="", document={**to_document(tea), "status": "sk-hunter2"})
    assert isinstance(chat.store.swap([Change(tea, broken)])[0], Won)

    with pytest.raises(UnknownJob, match="There is no job tea in this space"):
        chat.say("job tea")


@pytest.mark.parametrize(
    "job_id", ["other", "nowhere", "subscription:gmail:a@example.com", "unknown", "../x", "x" * 300]
)
def test_a_job_of_another_space_does_not_exist(chat: Chat, tea: Job, job_id: str) -> None:
    """Neither to be seen nor to be changed, whatever a button says; an unknown id is answered alike."""
    chat.jobs.schedule("log", {"message": "hello"}, id="other", space=ELSEWHERE)
    chat.jobs.schedule("log", {"message": "hello"}, id="nowhere")
    chat.jobs.schedule("log", {"message": "hello"}, id="subscription:gmail:a@example.com")
    listed = chat.say("jobs")
    before = list(chat.jobs.list(with_subscriptions=True))

    with pytest.raises(UnknownJob, match=r"There is no job .* in this space"):
        chat.say(f"job {job_id}")
    for each in buttons_of(listed):
        (named,) = [pair for pair in each["onClick"]["action"]["parameters"] if pair["key"] == "id"]
        named["value"] = job_id
        with pytest.raises(UnknownJob, match=r"There is no job .* in this space"):
            chat.send(chat.app.click(each))

    assert list(chat.jobs.list(with_subscriptions=True)) == before


def test_a_job_cannot_be_managed_from_another_space(chat: Chat, tea: Job) -> None:
    """The same click, come from elsewhere."""
    listed = chat.say("jobs")

    with pytest.raises(UnknownJob):
        chat.tap(listed, "Cancel", space=ELSEWHERE)


def test_a_command_that_is_not_possible_says_why(chat: Chat, tea: Job) -> None:
    """The card was older than the job's state."""
    listed = chat.say("jobs")
    chat.jobs.pause("tea")

    old = chat.tap(listed, "Pause")

    assert replaces(old)
    assert "Nothing changed: that is not possible now." in words_of(old)
    assert "It was paused" in words_of(old)


def test_a_click_that_is_delivered_again_changes_nothing(chat: Chat, tea: Job) -> None:
    """Not even after the job has run: it is not run once more."""
    run = chat.app.click(button(chat.say("jobs"), "Run now"))
    tapped_at = chat.now + 9 * MOMENT
    chat.now += timedelta(seconds=1)
    chat.send(run, at=tapped_at)
    asked_for = chat.jobs.get("tea")
    chat.put(asked_for, ended(asked_for, chat.now))
    chat.now += timedelta(seconds=40)
    before = chat.jobs.get("tea")

    again = chat.send(run, at=tapped_at)

    assert "Nothing changed" in words_of(again)
    assert chat.jobs.get("tea") == before


@pytest.mark.parametrize("parameters", [{}, {"action": "fly"}, {"action": "delete", "id": "tea"}, {"action": "get"}])
def test_a_button_that_is_not_known_does_nothing(chat: Chat, tea: Job, parameters: dict[str, str]) -> None:
    """One of another release, or made up."""
    pairs = [{"key": name, "value": value} for name, value in parameters.items()]
    unknown = {"text": "?", "onClick": {"action": {"function": "x", "parameters": pairs}}}

    assert chat.send(chat.app.click(unknown)) == {}
    assert chat.jobs.get("tea") == tea


# -- the right person --------------------------------------------------------------------------------------------------

BOB = {"name": "users/105", "displayName": "Bob", "email": "bob@example.com"}


def bob_taps(chat: Chat, reply: Any, label: str, **given: Any) -> Any:
    """Tap a button as another person of the space, on clocks in Tokyo."""
    body = from_person(chat.app.click(button(reply, label), **given), **BOB)
    (body["commonEventObject"] if chat.app.is_add_on else body["common"])["timeZone"] = {"id": "Asia/Tokyo"}
    return chat.send(body)


@pytest.mark.parametrize("said", [REMIND, WEEKDAYS, 'tomorrow at 9:00 ask "what is new?"'])
def test_a_job_belongs_to_who_asked_for_it(chat: Chat, said: str) -> None:
    """Another person of the space may confirm it, which the card says; both are recorded."""
    asked = chat.say(said)

    bob_taps(chat, asked, "Confirm")

    (job,) = chat.all()
    assert "Anyone in this space may confirm it; Ada asked for it" in words_of(asked)
    assert (job.created_by, job.updated_by) == ("chat:ada@example.com", "chat:bob@example.com")
    assert job.timezone == "Europe/Berlin" or not job.is_recurring
    assert "users/105" not in str(job.payload)


def test_who_confirms_their_own_request_is_named_once(chat: Chat) -> None:
    """Such a job was not changed since it was made."""
    chat.tap(chat.say(REMIND), "Confirm")

    (job,) = chat.all()
    assert (job.created_by, job.updated_by, job.updated_at) == ("chat:ada@example.com", None, None)


@pytest.mark.parametrize("label", ["Change", "on"])
def test_only_who_asked_may_change_a_request(chat: Chat, label: str) -> None:
    """Neither its words nor its zone move: it would run as somebody who has not said it."""
    asked = chat.say("remind me tomorrow at 9 to stretch")
    label = label if label == "Change" else buttons_of(asked)[0]["text"]

    told = bob_taps(chat, asked, label, inputs={"phrase": "remind me at 7:00 to rest"})
    chat.tap(asked, "Confirm")

    (job,) = chat.all()
    assert "only who asked for this" in words_of(told)
    assert (local_time(job.schedule_at, "Europe/Berlin"), job.created_by) == (
        "Sun 22 Nov 2026, 09:00",
        "chat:ada@example.com",
    )


def test_a_direct_message_speaks_of_nobody_else(chat: Chat) -> None:
    """It has one person, and nobody else may confirm what stands there."""
    body = chat.app.message(REMIND)
    (body["chat"]["messagePayload"] if chat.app.is_add_on else body)["space"] = {"name": SPACE, "type": "DM"}

    asked = chat.send(body)
    told = bob_taps(chat, asked, "Confirm")

    assert "Anyone" not in words_of(asked)
    assert "only who asked for this" in words_of(told)
    assert chat.all() == []


# -- managing jobs by words --------------------------------------------------------------------------------------------


def in_direct_message(event: Any) -> Any:
    """Return the event as one in the space of one person and the app."""
    payload = event["chat"]["messagePayload"] if "chat" in event else event
    payload["space"]["spaceType"] = "DIRECT_MESSAGE"
    return event


@pytest.mark.parametrize("text", ["my jobs", "show my reminders", "my reminders?"])
def test_my_jobs_are_the_persons_own(chat: Chat, tea: Job, text: str) -> None:
    """Those that the agent made for them count, and every page stays so; what others made is one tap away."""
    for number in range(LISTED + 1):
        by = f"{'agent' if number else 'chat'}:ada@example.com"
        payload = {"text": f"own {number}", "space": SPACE}
        chat.jobs.schedule("chat_message", payload, every="1d", space=SPACE, by=by, id=f"own-{number}")

    listed = chat.say(text)
    more = chat.tap(listed, "More")
    every = chat.tap(more, "All jobs")

    assert "What you have scheduled in this space" in words_of(listed)
    assert "tea" not in words_of(listed)
    assert len(re.findall("own [0-9]", words_of([listed, more]))) == LISTED + 1
    assert "tea" not in words_of(more)
    assert "tea" in words_of([every, chat.tap(every, "More")])


def test_who_has_no_jobs_of_their_own_is_told_so(chat: Chat, tea: Job) -> None:
    """In a direct message all are theirs, whoever made them."""
    none = chat.say("my jobs")
    direct = chat.send(in_direct_message(chat.app.message("my jobs")))

    assert "You have nothing scheduled in this space" in words_of(none)
    assert "tea" in words_of(chat.tap(none, "All jobs"))
    assert "tea" in words_of(direct)


@pytest.fixture
def mum(chat: Chat) -> Job:
    """A reminder of the space, tomorrow at 8:30 in Berlin."""
    payload = {"text": "<users/104> call mum", "space": SPACE}
    at = datetime.fromisoformat("2026-11-22T07:30:00Z")
    return chat.jobs.schedule("chat_message", payload, id="mum", at=at, space=SPACE).job


@pytest.mark.parametrize(
    "text", ["jobs", "list", "our jobs", "jobs?", "/jobs", "show the reminders", "Please list jobs."]
)
def test_the_list_has_many_names(chat: Chat, tea: Job, text: str) -> None:
    """Typed as people type it, with an agent or without."""
    chat.agent = f"{AGENT}:answering"

    assert "What is scheduled in this space" in words_of(chat.say(text))


@pytest.mark.parametrize("text", ["help", "help me", "/help", "help me!"])
def test_help_is_never_for_the_agent(chat: Chat, text: str) -> None:
    """It shows what the app can do."""
    chat.agent = f"{AGENT}:answering"

    assert "This is what I can do" in words_of(chat.say(text))


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("cancel the reminder to call mum", Status.CANCELLED),
        ("please delete my 8:30 reminder", Status.CANCELLED),
        ("pause call mum", Status.PAUSED),
        ("Pause mum", Status.PAUSED),
        ("can you pause job mum?", Status.PAUSED),
    ],
)
def test_a_job_is_managed_by_words(chat: Chat, tea: Job, mum: Job, text: str, status: Status) -> None:
    """It is named by its text, its time or its id, and no other job changes."""
    done = chat.say(text)

    assert (chat.jobs.get("mum").status, chat.jobs.get("tea").status) == (status, Status.PENDING)
    assert "call mum" in words_of(done)


def test_a_job_that_was_paused_by_words_goes_on_by_words(chat: Chat, tea: Job, mum: Job) -> None:
    """Run makes it ready now."""
    chat.say("pause the tea job")
    paused = chat.jobs.get("tea").status
    chat.say("resume the tea job")
    chat.say("run call mum now")

    assert (paused, chat.jobs.get("tea").status) == (Status.PAUSED, Status.PENDING)
    assert chat.jobs.get("mum").ready_at == chat.now


def test_a_card_asks_where_two_jobs_fit(chat: Chat, mum: Job) -> None:
    """Nothing changes before one of them is tapped."""
    chat.jobs.schedule("log", {"message": "call mum"}, id="other", at=chat.now + HOUR, space=SPACE)

    which = chat.say("cancel the reminder to call mum")
    before = {job.status for job in chat.all()}
    done = chat.tap({"second": buttons_of(which)[1]}, "Cancel")

    assert "Which one do you mean?" in words_of(which)
    assert before == {Status.PENDING}
    assert (chat.jobs.get("mum").status, chat.jobs.get("other").status) == (Status.CANCELLED, Status.PENDING)
    assert replaces(done)


def test_a_part_of_the_text_is_asked_about(chat: Chat, mum: Job) -> None:
    """A job that is only like what was said is never changed unasked."""
    which = chat.say("run the call")

    assert "Which one do you mean?" in words_of(which)
    assert chat.jobs.get("mum") == mum


@pytest.mark.parametrize("text", ["cancel the reminder to buy milk", "run the tests", "move the party to 9"])
def test_what_no_job_fits_is_told_or_for_the_agent(chat: Chat, mum: Job, text: str) -> None:
    """Without an agent the answer says so."""
    told = chat.say(text)
    chat.agent = f"{AGENT}:answering"
    asked.clear()
    chat.say(text)

    assert "No job in this space fits" in words_of(told)
    assert [said for said, _ in asked] == [text]
    assert chat.jobs.get("mum") == mum


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("move my 8:30 reminder to 9", "2026-11-22T08:00:00+00:00"),
        ("move call mum to 7pm", "2026-11-22T18:00:00+00:00"),
        ("reschedule call mum to monday at 10:00", "2026-11-23T09:00:00+00:00"),
    ],
)
def test_a_reminder_is_moved(chat: Chat, tea: Job, mum: Job, text: str, at: str) -> None:
    """A bare time keeps the day and takes the half of the day that is nearer; the card asks first."""
    card = chat.say(text)
    before = chat.jobs.get("mum")
    done = chat.tap(card, "Move")

    assert before == mum
    assert chat.jobs.get("mum").schedule_at.isoformat() == at
    assert "It is moved." in words_of(done)


def test_what_recurs_keeps_its_days_when_it_is_moved(chat: Chat, tea: Job) -> None:
    """Only the clock time of its expression changes."""
    chat.tap(chat.say("move tea to 10:15"), "Move")

    assert chat.jobs.get("tea").cron == "15 10 * * 1-5"


@pytest.mark.parametrize(
    "text", ["move tea to tomorrow at 9:00", "move call mum to every day at 9", "move mum to soon"]
)
def test_a_time_to_which_a_job_cannot_be_moved_is_told(chat: Chat, tea: Job, mum: Job, text: str) -> None:
    """Nothing changes."""
    told = chat.say(text)

    assert "Nothing changed" in words_of(told)
    assert (chat.jobs.get("tea"), chat.jobs.get("mum")) == (tea, mum)


def test_a_card_to_move_a_job_that_is_used_late_changes_nothing(chat: Chat, mum: Job) -> None:
    """The time that it names has passed."""
    card = chat.say("move call mum to 7:00")
    chat.now += timedelta(hours=22)

    told = chat.tap(card, "Move")

    assert "that time has passed" in words_of(told)
    assert chat.jobs.get("mum") == mum


@pytest.mark.parametrize("at", [{}, {"at": ""}, {"at": "soon"}, {"at": "2026-11-22T09:00:00"}])
def test_a_card_to_move_a_job_without_a_time_is_refused(chat: Chat, mum: Job, at: dict[str, str]) -> None:
    """Nothing changes."""
    parameters = [{"key": key, "value": value} for key, value in {"action": "moved", "id": "mum", **at}.items()]

    with pytest.raises(InvalidInput, match="no longer be used"):
        chat.send(chat.app.click({"text": "Move", "onClick": {"action": {"function": "x", "parameters": parameters}}}))
    assert chat.jobs.get("mum") == mum


def test_the_list_does_not_read_what_is_over(chat: Chat, tea: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many jobs of the space have ended, and the rest by one query."""
    over = (Job.create(f"done-{number}", "log", now=chat.now, space=SPACE) for number in range(150))
    chat.store.swap([Change(None, ended(job, chat.now)) for job in over])
    read: list[list[str]] = []
    page = chat.store.page

    def counted(**given: Any) -> Any:
        found = page(**given)
        read.append([job.id for job in found])
        return found

    monkeypatch.setattr(chat.store, "page", counted)
    chat.say("jobs")

    assert read == [["tea"]]


# -- a reminder that was posted ----------------------------------------------------------------------------------------


def posted(chat: Chat) -> Job:
    """Ask for a reminder in the thread, and let it run when its time comes."""
    chat.tap(chat.say(REMIND), "Confirm")
    (job,) = chat.all()
    chat.now += timedelta(minutes=20)
    return chat.put(job, ended(job, chat.now))


@pytest.mark.parametrize(
    ("label", "at"),
    [
        ("Snooze 10 min", "Sat 21 Nov 2026, 10:30"),
        ("Snooze 1 h", "Sat 21 Nov 2026, 11:20"),
        ("Tomorrow", "Sun 22 Nov 2026, 09:00"),
    ],
)
def test_a_reminder_is_snoozed_by_its_buttons(chat: Chat, label: str, at: str) -> None:
    """It comes again with the same buttons, and still belongs to who asked for it."""
    reminder = posted(chat)

    done = chat.tap(reminder.payload, label)

    (again,) = [job for job in chat.all() if job.id != reminder.id]
    assert local_time(again.schedule_at, "Europe/Berlin") == at
    assert replaces(done)
    assert at in words_of(done)
    assert (again.payload["text"], again.payload["thread"]) == ("<users/104> stretch", THREAD)
    assert [each["text"] for each in buttons_of(again.payload)] == ["Snooze 10 min", "Snooze 1 h", "Tomorrow", "Done"]
    assert again.created_by == "chat:ada@example.com"
    assert chat.jobs.get(reminder.id) == reminder


def test_a_reminder_that_is_done_says_so(chat: Chat) -> None:
    """In the place of its buttons."""
    done = chat.tap(posted(chat).payload, "Done")

    assert replaces(done)
    assert words_of(done) == "Done: stretch"


def test_a_snooze_that_is_delivered_twice_makes_one_reminder(chat: Chat) -> None:
    """Even when it is delivered a while later."""
    reminder = posted(chat)
    click = chat.app.click(button(reminder.payload, "Snooze 10 min"))

    chat.send(click, at=chat.now)
    chat.now += timedelta(seconds=20)
    again = chat.send(click, at=chat.now - timedelta(seconds=20))

    assert len(chat.all()) == 2
    assert "10:30" in words_of(again)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("snooze 10 minutes", "Sat 21 Nov 2026, 10:30"),
        ("snooze", "Sat 21 Nov 2026, 10:30"),
        ("please snooze this for 2 hours", "Sat 21 Nov 2026, 12:20"),
        ("snooze until tomorrow at 8:00", "Sun 22 Nov 2026, 08:00"),
    ],
)
def test_a_reminder_is_snoozed_by_an_answer_in_its_thread(chat: Chat, text: str, at: str) -> None:
    """The last one that was posted there."""
    reminder = posted(chat)

    chat.say(text)

    (again,) = [job for job in chat.all() if job.id != reminder.id]
    assert local_time(again.schedule_at, "Europe/Berlin") == at


def test_there_is_nothing_to_snooze_elsewhere(chat: Chat) -> None:
    """Neither in another thread, nor before a reminder was posted."""
    chat.tap(chat.say(REMIND), "Confirm")
    early = chat.say("snooze")
    (job,) = chat.all()
    chat.put(job, ended(job, chat.now + HOUR))
    elsewhere = chat.say("snooze", thread=f"{SPACE}/threads/OTHER")

    assert "no reminder in this thread" in words_of(early)
    assert "no reminder in this thread" in words_of(elsewhere)
    assert len(chat.all()) == 1


def test_a_reminder_is_snoozed_in_a_direct_message(chat: Chat) -> None:
    """There each message has a thread of its own, so the last reminder is meant."""
    reminder = posted(chat)

    chat.send(in_direct_message(chat.app.message("snooze", thread=f"{SPACE}/threads/OTHER")))

    assert len(chat.all()) == 2
    assert chat.jobs.get(reminder.id) == reminder


def test_a_reminder_is_snoozed_by_somebody_else_and_stays_whose_it_is(chat: Chat) -> None:
    """Both are recorded."""
    reminder = posted(chat)

    chat.send(from_person(chat.app.click(button(reminder.payload, "Snooze 1 h"), name="card"), **BOB))

    (again,) = [job for job in chat.all() if job.id != reminder.id]
    assert (again.created_by, again.updated_by) == ("chat:ada@example.com", "chat:bob@example.com")


def test_a_time_to_snooze_that_is_none_is_told(chat: Chat) -> None:
    """Nothing is scheduled."""
    posted(chat)

    with pytest.raises(InvalidInput, match="until when"):
        chat.say("snooze every day")
    assert len(chat.all()) == 1


# -- run now, and undo -------------------------------------------------------------------------------------------------


def test_a_job_says_what_run_now_does_to_the_regular_run(chat: Chat, tea: Job, mum: Job) -> None:
    """What recurs keeps it; what runs once is moved."""
    assert "Run now is an extra run; the one at Mon 23 Nov 2026, 10:00 stays." in words_of(chat.say("job tea"))
    assert "Run now runs it now instead of later." in words_of(chat.say("job mum"))

    ran = chat.tap(chat.say("job tea"), "Run now")

    assert "That is an extra run; the regular one at Mon 23 Nov 2026, 10:00 stays." in words_of(ran)


@pytest.mark.parametrize("job_id", ["tea", "mum"])
def test_a_cancelled_job_is_brought_back(chat: Chat, tea: Job, mum: Job, job_id: str) -> None:
    """Cancel offers Undo, and the job goes on when it would have."""
    before = chat.jobs.get(job_id)
    cancelled = chat.say(f"cancel {job_id}")

    back = chat.tap(cancelled, "Undo")

    after = chat.jobs.get(job_id)
    assert "It is back." in words_of(back)
    assert (after.status, after.schedule_at, after.cron) == (Status.PENDING, before.schedule_at, before.cron)
    assert after.expire_at is None


def test_what_was_paused_is_brought_back_paused(chat: Chat, tea: Job) -> None:
    """Nobody has said that it shall run again."""
    chat.say("pause tea")
    chat.now += HOUR

    back = chat.tap(chat.say("cancel tea"), "Undo")

    assert "It is back, and still paused." in words_of(back)
    assert (chat.jobs.get("tea").status, chat.jobs.get("tea").cron) == (Status.PAUSED, tea.cron)


# -- editing -----------------------------------------------------------------------------------------------------------


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


def test_a_job_is_edited_in_a_dialog(chat: Chat, standup: Job) -> None:
    """Its fields hold what the job is, in words that can be read back."""
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


def test_a_form_that_is_saved_as_it_was_opened_changes_nothing(chat: Chat, standup: Job) -> None:
    """Not even a schedule that is longer than its words."""
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
def test_every_schedule_has_a_phrase_that_can_be_changed(chat: Chat, when: dict[str, Any], phrase: str) -> None:
    """What the form shows can be read back, and means the same."""
    payload = {"text": "x", "space": SPACE}
    chat.jobs.schedule("chat_message", payload, id="x", space=SPACE, timezone="Europe/Berlin", **when)

    shown = fields_of(chat.tap(chat.say("job x"), "Edit"))["when"]
    edit(chat, "x", when=f" {phrase.upper() if 'cron' not in phrase else phrase}")

    job = chat.jobs.get("x")
    assert shown == phrase
    assert (job.cron, job.every) == (when.get("cron"), when.get("every"))
    assert job.schedule_at == when.get("at", job.schedule_at)


def test_another_time_zone_moves_what_is_on_its_clocks(chat: Chat, standup: Job, mum: Job) -> None:
    """For what recurs as for what runs once."""
    edit(chat, "standup", timezone="America/New_York")
    edit(chat, "mum", timezone="America/New_York")

    assert chat.jobs.get("standup").timezone == "America/New_York"
    assert chat.jobs.get("mum").schedule_at == mum.schedule_at + 6 * HOUR


def test_an_end_is_removed_and_what_recurs_can_run_once(chat: Chat, standup: Job) -> None:
    """By an empty field, and by another phrase."""
    edit(chat, "standup", until="")
    assert chat.jobs.get("standup").until is None

    edit(chat, "standup", when="tomorrow at 8")
    once = chat.jobs.get("standup")
    assert (once.is_recurring, once.schedule_at) == (False, datetime(2026, 11, 22, 7, tzinfo=UTC))


def test_a_reminder_keeps_its_mention_when_its_text_is_edited(chat: Chat) -> None:
    """The mention is not a part of what was asked."""
    chat.tap(chat.say(REMIND), "Confirm")
    (job,) = chat.all()

    edit(chat, job.id, text="stretch your legs")

    assert chat.jobs.get(job.id).payload["text"] == "<users/104> stretch your legs"
    assert chat.jobs.get(job.id).schedule_at == job.schedule_at


@pytest.mark.parametrize(
    ("filled", "says"),
    [
        pytest.param({"when": "every day at 25:00"}, "25:00", id="time"),
        pytest.param({"when": "cron 61 9 * * *"}, "minute '61'", id="cron"),
        pytest.param({"when": ""}, "cannot be read", id="no-time"),
        pytest.param({"timezone": "Mars/Olympus"}, "Mars/Olympus", id="zone"),
        pytest.param({"until": "2026-11-01"}, "the schedule never comes", id="end-before"),
        pytest.param({"until": "soon"}, "soon", id="end"),
        pytest.param({"text": ""}, "the text has 0 characters", id="no-text"),
        pytest.param({"text": "x" * 4001}, "the text has 4001 characters", id="long-text"),
    ],
)
def test_what_is_wrong_with_a_form_is_said_in_the_dialog(
    chat: Chat, standup: Job, filled: dict[str, str], says: str
) -> None:
    """Which keeps what was filled in; nothing is changed, and it can be put right and saved."""
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


def test_only_who_asked_edits_the_text(chat: Chat) -> None:
    """The agent would run as Ada, with words that she never said; the time may be moved by anybody, as by `move`."""
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
    assert "Its text can be changed by ada@example.com" in words_of(dialog)
    assert (after.payload["prompt"], after.cron) == ("what is new?", "0 7 * * *")
    assert (after.created_by, after.updated_by) == ("chat:ada@example.com", "chat:bob@example.com")


def test_a_dialog_that_is_closed_is_not_answered(chat: Chat, standup: Job) -> None:
    """There is nowhere to show it."""
    dialog = chat.tap(chat.say("job standup"), "Edit")
    body = chat.app.click(button(dialog, "Save"), submits=True)
    (body["chat"]["buttonClickedPayload"] if chat.app.is_add_on else body)["dialogEventType"] = "CANCEL_DIALOG"

    assert chat.send(body) == {}


def test_a_dialog_of_a_job_that_is_gone_says_so(chat: Chat, standup: Job) -> None:
    """Where a dialog was asked for, only a dialog is shown."""
    card = chat.say("job standup")
    chat.jobs.delete("standup")
    event = parse_event(chat.app.click(button(card, "Edit"), name="card"))

    reply = rendered(says("There is no job <standup>", for_one=True), event)

    assert is_dialog(reply)
    assert words_of(checked(reply)) == "There is no job &lt;standup&gt;"


@pytest.mark.parametrize("was", ["", "[]", "{}", '{"text": "x"}'])
def test_a_form_without_what_it_was_is_refused(chat: Chat, standup: Job, was: str) -> None:
    """Whoever made it up."""
    with pytest.raises(InvalidInput):
        chat.tap(made_up(action="edited", id="standup", was=was), "Hooray", submits=True)


def test_an_interval_keeps_its_rhythm_when_it_is_brought_back(chat: Chat) -> None:
    """It does not start anew."""
    start = chat.now - timedelta(minutes=50)
    chat.jobs.schedule("log", {"message": "x"}, id="beat", every="90m", at=start, space=SPACE)

    chat.tap(chat.say("cancel beat"), "Undo")

    assert chat.jobs.get("beat").schedule_at == chat.now + timedelta(minutes=40)


def test_what_cannot_be_brought_back_says_why(chat: Chat, mum: Job) -> None:
    """Its time has passed, or it was never cancelled."""
    cancelled = chat.say("cancel mum")
    chat.tap(cancelled, "Undo")
    twice = chat.tap(cancelled, "Undo")
    cancelled = chat.say("cancel mum")
    chat.now += timedelta(days=2)
    late = chat.tap(cancelled, "Undo")

    assert "it is not cancelled" in words_of(twice)
    assert "its time has passed" in words_of(late)
    assert chat.jobs.get("mum").status is Status.CANCELLED


# -- the agent ---------------------------------------------------------------------------------------------------------

AGENT = "tests.unit.test_conversation"
asked: list[tuple[str, AgentContext]] = []
slow_keys: list[str] = []


def answering(text: str, context: AgentContext) -> str:
    """Answer at once."""
    asked.append((text, context))
    return f"You said: {text}"


def with_card(text: str, context: AgentContext) -> Any:
    """Answer with a card."""
    return {"header": {"title": "A card"}, "sections": []}


def scheduling(text: str, context: AgentContext) -> str:
    tools = {tool.__name__: tool for tool in agent_tools(context)}
    return f"{tools['schedule_job']('question', 'is it green?', every='1h')['job']['id']} is made"


def raising(text: str, context: AgentContext) -> str:
    """Fail, quoting what was said."""
    raise RuntimeError(f"cannot do {text}")


def late(text: str, context: AgentContext) -> str:
    """Take longer than anybody waits."""
    slow_keys.append(context.idempotency_key)
    time.sleep(0.5)
    return "too late"


def mute(text: str, context: AgentContext) -> None:
    """Have nothing to say."""


@pytest.mark.parametrize("text", ["what is new?", "help me understand this", "/list all", "every time I ask, you fail"])
def test_everything_else_goes_to_the_agent(chat: Chat, text: str) -> None:
    """It is told who asks, where, and on which clocks."""
    chat.agent = f"{AGENT}:answering"
    asked.clear()

    reply = chat.say(text)

    ((said, context),) = asked
    assert message_of(reply)["text"] == f"You said: {text}"
    assert (said, context.space, context.thread, context.user) == (text, SPACE, THREAD, "ada@example.com")
    assert (context.timezone, context.now) == ("Europe/Berlin", chat.now)
    assert (context.space_kind, context.session_key, context.display_name) == ("space", THREAD, "Ada")
    assert context.user_name == "users/104"


def test_the_agent_can_manage_the_jobs_of_its_space(chat: Chat) -> None:
    """Within the reply, in the name of who asks."""
    chat.agent = f"{AGENT}:scheduling"

    reply = chat.say("keep an eye on the build")

    (job,) = chat.all()
    assert message_of(reply)["text"] == f"{job.id} is made"
    assert (job.job_type, job.space, job.created_by) == ("agent", SPACE, "agent:ada@example.com")


def test_the_agent_may_answer_with_a_card(chat: Chat) -> None:
    """In the reply's own form."""
    chat.agent = f"{AGENT}:with_card"

    assert words_of(chat.say("hello")) == "A card"


def long_winded(text: str, context: AgentContext) -> str:
    """Return more than fits into two messages."""
    return "\n\n".join(f"{number}: {'word ' * 1000}" for number in range(15))


def test_a_long_answer_goes_on_in_messages_of_jobs(chat: Chat) -> None:
    """In the thread, in order, each once; nothing of it is left out."""
    chat.agent = f"{AGENT}:long_winded"

    first = chat.say("tell me all", name="M")
    chat.say("tell me all", name="M")

    rest = sorted(chat.all(), key=lambda job: job.schedule_at)
    texts = [message_of(first)["text"], *(job.payload["text"] for job in rest)]
    assert [job.job_type for job in rest] == ["chat_message"] * 2
    assert {(job.payload["thread"], job.created_by) for job in rest} == {(THREAD, "chat:ada@example.com")}
    assert [number for text in texts for number in re.findall(r"\d+(?=:)", text)] == [
        str(number) for number in range(15)
    ]
    for job in rest:
        check_payload(load_handlers(()), job.job_type, job.payload)


def test_an_agent_with_nothing_to_say_gets_no_apology(chat: Chat) -> None:
    """There is no reply, and no error."""
    chat.agent = f"{AGENT}:mute"

    assert chat.say("hello") == {}


def test_an_agent_that_fails_is_apologised_for(chat: Chat, caplog: pytest.LogCaptureFixture) -> None:
    """With the trace id; the log has the place, and not what was said."""
    chat.agent = f"{AGENT}:raising"

    reply = chat.say("my secret")

    (line,) = caplog.records
    assert "Sorry, that did not work" in message_of(reply)["text"]
    assert "trace" in message_of(reply)["text"]
    assert line.levelno == logging.ERROR
    assert "secret" not in json.dumps([line.getMessage(), vars(line)], default=str)


def test_an_agent_that_takes_long_answers_by_a_job(chat: Chat) -> None:
    """It is due at once, for this place; the same message again makes no second one."""
    chat.agent, chat.agent_limit = f"{AGENT}:late", timedelta(milliseconds=50)
    slow_keys.clear()

    replies = [chat.say("think hard", name="M") for _ in range(2)]

    (job,) = chat.all()
    assert "I will post the answer here" in message_of(replies[0])["text"]
    assert job.job_type == "agent"
    assert chat.now <= job.schedule_at < chat.now + timedelta(seconds=1)
    asker = {"timezone": "Europe/Berlin", "space_kind": "space", "locale": "en", **ADA}
    asked = {"message_name": f"{SPACE}/messages/M"}
    assert job.payload == {"prompt": "think hard", **asker, "asked": asked, "space": SPACE, "thread": THREAD}
    assert slow_keys[0] == job.execution_key


@slow
def plodding(text: str, context: AgentContext) -> str:
    """Be known to take long; Chat is not to wait for it."""
    asked.append((text, context))
    return "never said"


def test_a_slow_agent_answers_by_a_job_from_the_start(chat: Chat) -> None:
    """It is not asked within the reply at all, and the job tells it what Chat would have."""
    chat.agent = f"{AGENT}:plodding"
    asked.clear()

    reply = chat.say("think hard", name="M")
    again = chat.say("think hard", name="M")

    (job,) = chat.all()
    assert asked == []
    assert message_of(reply)["text"] == message_of(again)["text"] == "I am on it, and will post the answer here."
    assert (job.job_type, job.payload["prompt"], job.created_by) == ("agent", "think hard", "chat:ada@example.com")
    assert job.payload["asked"] == {"message_name": f"{SPACE}/messages/M"}


def test_the_agent_is_told_all_of_the_message(chat: Chat) -> None:
    """In a reply, and by the job that answers later."""
    chat.agent = f"{AGENT}:answering"
    asked.clear()
    body = chat.app.message("see @Bob", name="M")
    attachment = {"name": f"{SPACE}/messages/M/attachments/A", "contentName": "a.pdf"}
    message_in(body).update(
        formattedText="see <users/105>",
        attachment=[attachment, 7],
        quotedMessageMetadata={"name": f"{SPACE}/messages/Q"},
        matchedUrl={"url": "https://example.com/1"},
    )

    chat.send(body)
    chat.agent = f"{AGENT}:plodding"
    chat.send(body)

    ((_, context),) = asked
    (job,) = chat.all()
    assert (context.message_name, context.formatted_text) == (f"{SPACE}/messages/M", "see <users/105>")
    assert (context.attachments, context.quoted) == ((attachment,), {"name": f"{SPACE}/messages/Q"})
    assert (context.matched_url, context.locale, context.user_name) == ("https://example.com/1", "en", "users/104")
    assert context.action is None
    later = heard(job.payload["asked"])
    assert {name: getattr(context, name) for name in later} == later
    assert later.keys() == {"message_name", "formatted_text", "attachments", "quoted", "matched_url"}


def test_what_is_too_long_to_keep_is_left_out_of_the_job(chat: Chat) -> None:
    """The text itself is always there."""
    chat.agent = f"{AGENT}:plodding"
    body = chat.app.message("hello")
    message_in(body)["formattedText"] = "x" * 30_000

    chat.send(body)

    (job,) = chat.all()
    assert job.payload["prompt"] == "hello"
    assert "asked" not in job.payload


def asking(text: str, context: AgentContext) -> Any:
    """Answer with a form; its button approves."""
    asked.append((text, context))
    if context.action and context.action.kind == "click":
        return {"text": f"{context.action.name}d", "actionResponse": {"type": "UPDATE_MESSAGE"}}
    parameters = [{"key": "action", "value": "deploy"}, {"key": "id", "value": "7"}]
    action = {"function": "approve", "parameters": parameters}
    field = {"textInput": {"name": "why", "label": "Why", "onChangeAction": {"function": "typed"}}}
    links = {"text": "Read", "onClick": {"openLink": {"url": "https://example.com"}}}
    buttons = {"buttonList": {"buttons": [{"text": "Approve", "onClick": {"action": action}}, links]}}
    return {"header": {"title": "Deploy?"}, "sections": [{"widgets": [field, buttons]}]}


@pytest.mark.parametrize("seal", [None, Seal(lambda: b"key of this installation", SPACE)], ids=["plain", "sealed"])
def test_a_click_on_a_card_of_the_agent_reaches_it(chat: Chat, seal: Seal | None) -> None:
    """By the name and the parameters that it gave, with what stands in the fields; it may replace its card."""
    chat.agent, chat.seal = f"{AGENT}:asking", seal
    card = chat.say("may I?")
    asked.clear()

    reply = chat.tap(card, "Approve", inputs={"why": "it is green"})

    ((text, context),) = asked
    assert context.action is not None
    assert (text, context.action.kind, context.action.name) == ("", "click", "approve")
    assert context.action.parameters == {"action": "deploy", "id": "7"}
    assert context.action.inputs == {"why": ("it is green",)}
    assert context.action.message["name"] == f"{SPACE}/messages/card"
    assert (context.message_name, context.user) == ("", "ada@example.com")
    assert message_of(reply)["text"] == "approved"
    assert replaces(reply)
    called = button(card, "Approve")["onClick"]["action"]["function"]
    assert called == "https://example.com/chat"  # an add-on's button must call a URL


def test_an_agent_opens_a_dialog(chat: Chat) -> None:
    """By a button that asks for one: the answer is shown in it, and what is sent from there is answered as ever."""
    chat.agent = f"{AGENT}:asking"
    card = chat.say("may I?")
    opens = button(card, "Approve")
    opens["onClick"]["action"]["interaction"] = "OPEN_DIALOG"

    dialog = chat.send(chat.app.click(opens, name="card"))
    done = chat.send(chat.app.click(opens, submits=True, name="card"))
    chat.agent = f"{AGENT}:mute"
    closed = chat.send(chat.app.click(opens, submits=True, name="card"))

    assert is_dialog(dialog)
    assert words_of(message_of(dialog)) == "approved"
    assert message_of(done)["text"] == "approved"
    assert not replaces(done)
    assert closed == closes(is_add_on=chat.app.is_add_on)


def test_a_click_on_a_card_of_a_slow_agent_is_asked_about_by_a_job(chat: Chat) -> None:
    """Which then knows what was clicked, though nothing was said."""
    chat.agent = f"{AGENT}:asking"
    card = chat.say("may I?")
    chat.agent = f"{AGENT}:plodding"

    chat.tap(card, "Approve", inputs={"why": "x"})

    (job,) = chat.all()
    check_payload(load_handlers(()), "agent", job.payload)
    action = heard(job.payload["asked"])["action"]
    assert job.payload["prompt"] == ""
    assert (action.name, action.parameters["id"], action.inputs) == ("approve", "7", {"why": ("x",)})


def test_a_card_that_the_agent_posted_itself_comes_back_as_it_is(chat: Chat) -> None:
    """It did not pass through here, so nothing of it is ours."""
    chat.agent = f"{AGENT}:answering"
    asked.clear()
    posted = made_up(approve="yes")

    chat.tap(posted, "Hooray")

    ((_, context),) = asked
    assert context.action is not None
    assert context.action.parameters == {"approve": "yes"}
    assert context.action.name == ("" if chat.app.is_add_on else "x")


@pytest.mark.parametrize("kind", ["slash", "quick", "message"])
def test_a_command_that_is_not_ours_reaches_the_agent(chat: Chat, kind: str) -> None:
    """By its id. What somebody else wrote is no text of this person."""
    chat.agent = f"{AGENT}:answering"
    asked.clear()
    app = chat.app
    body = (
        app.command("staging", "--force")
        if kind == "slash"
        else app.quick_command("staging")
        if kind == "quick"
        else app.message_action(101, "the build is red")
    )

    chat.send(body)

    ((text, context),) = asked
    assert context.action is not None
    assert text == ("/staging --force" if kind == "slash" else "")
    assert (context.action.kind, context.action.name) == ("message_action" if kind == "message" else "command", "101")
    assert context.action.message.get("argumentText") == (" the build is red" if kind == "message" else None)
    assert bool(context.message_name) is (kind == "slash")


def test_a_command_that_is_not_ours_is_answered_with_help_where_there_is_no_agent(chat: Chat) -> None:
    """As before."""
    assert "I do not know that command" in words_of(chat.send(chat.app.command("staging", "--force")))


def proposing(text: str, context: AgentContext) -> Proposal:
    """Propose what the text is the JSON of, and nothing but a daily question for other texts."""
    given = json.loads(text) if text.startswith("{") else {"kind": "question", "text": text, "cron": "0 9 * * *"}
    return proposer(context)(**given)


@pytest.mark.parametrize(
    ("proposed", "says", "job_type", "payload"),
    [
        pytest.param(
            {"kind": "reminder", "text": "call mum", "at": "2026-11-24T17:00"},
            "I remind you: call mum",
            "chat_message",
            {"text": "<users/104> call mum"},
            id="reminder",
        ),
        pytest.param(
            {
                "kind": "message",
                "text": "stand-up",
                "every": "2w",
                "until": "2027-06-01",
                "except_dates": ["2026-12-24"],
            },
            "Every 2 weeks (Europe/Berlin), until Tue 1 Jun 2027, 00:00, except 24 Dec 2026",
            "chat_message",
            {"text": "stand-up"},
            id="message",
        ),
        pytest.param(
            {"kind": "question", "text": "is it green?", "cron": "0 9 * * *", "timezone": "Asia/Tokyo"},
            "I ask the agent: is it green?",
            "agent",
            {"prompt": "is it green?", "timezone": "Asia/Tokyo", "space_kind": "space", **ADA},
            id="question",
        ),
    ],
)
def test_what_the_agent_proposes_is_confirmed_by_a_person(
    chat: Chat, proposed: dict[str, Any], says: str, job_type: str, payload: dict[str, str]
) -> None:
    """It is the card that people get for what they ask for themselves; the job is of who asked the agent."""
    chat.agent = f"{AGENT}:proposing"

    asked = chat.say(json.dumps(proposed))
    before = chat.all()
    chat.send(from_person(chat.app.click(button(asked, "Confirm"), name="card"), **BOB))

    (job,) = chat.all()
    assert before == []
    assert "Shall I do this?" in words_of(asked)
    assert says in words_of(asked)
    assert (job.created_by, job.updated_by) == ("chat:ada@example.com", "chat:bob@example.com")
    written = {name: value for name, value in job.payload.items() if name != "cardsV2"}
    assert (job.job_type, written) == (job_type, {**payload, "space": SPACE, "thread": THREAD})
    assert job.timezone == (proposed.get("timezone", "Europe/Berlin") if job.is_recurring else None)


@pytest.mark.parametrize(
    ("proposed", "says"),
    [
        pytest.param({"at": "2026-11-20T17:00"}, "2026-11-20T16:00:00Z has passed", id="past"),
        pytest.param({"cron": "0 9 * * *", "until": "2026-11-21"}, "its schedule never comes", id="never"),
    ],
)
def test_a_proposal_that_never_would_run_is_told(chat: Chat, proposed: dict[str, str], says: str) -> None:
    """There is nothing to confirm."""
    chat.agent = f"{AGENT}:proposing"

    reply = chat.say(json.dumps({"kind": "message", "text": "x", **proposed}))

    assert says in message_of(reply)["text"]
    assert buttons_of(reply) == []


def test_a_proposal_is_said_differently_to_the_agent(chat: Chat) -> None:
    """What stands in its field is for the agent, as it was before; what the grammar reads is a card at once."""
    chat.agent = f"{AGENT}:proposing"
    asked = chat.say("keep an eye on the build")

    again = chat.tap(asked, "Change", inputs={"phrase": "keep an eye on the tests"})
    read = chat.tap(asked, "Change", inputs={"phrase": REMIND})

    assert "I ask the agent: keep an eye on the tests" in words_of(again)
    assert "I remind you: stretch" in words_of(read)


def test_a_proposal_of_a_job_is_confirmed_as_of_who_made_that_job(chat: Chat, now: datetime) -> None:
    """The job posts what it is, with a button that brings the card."""
    tea = Proposal(kind="reminder", text="tea <3", every="1d", at=now + HOUR)
    asker = {"user": "users/104", "by": "ada@example.com", "name": "Ada"}
    posted = proposed_message(tea, asker, timezone="Europe/Berlin", now=now, function="https://example.com/chat")

    card = chat.send(from_person(chat.app.click(button(posted, "Look at it"), name="card"), **BOB))
    chat.tap(card, "Confirm")

    (job,) = chat.all()
    assert checked(posted)
    assert "I remind: tea &lt;3\nEvery day, first at Sat 21 Nov 2026, 11:00 (Europe/Berlin)" in words_of(posted)
    assert replaces(card)
    assert "Anyone in this space may confirm it; Ada asked for it" in words_of(card)
    assert (job.created_by, job.payload["text"]) == ("chat:ada@example.com", "<users/104> tea <3")
    assert (job.every, job.timezone) == ("1d", "Europe/Berlin")


@pytest.mark.parametrize("packed", ["", "[]", "{}", '{"kind": "magic", "text": "x", "cron": "0 9 * * *"}'])
def test_a_button_without_a_proposal_is_refused(chat: Chat, packed: str) -> None:
    """Whatever it carries."""
    posted = made_up(action="proposed", proposal=packed)

    with pytest.raises(InvalidInput):
        chat.send(chat.app.click(posted, name="card"))


@pytest.mark.parametrize("text", ["remind me soonish to call Bob", "remind me when it rains", "dance!"])
def test_what_is_not_understood_is_for_the_agent(chat: Chat, text: str) -> None:
    """It may understand more than a grammar."""
    chat.agent = f"{AGENT}:answering"

    assert "Shall I do this?" not in words_of(chat.say(text))
    assert "I do not see when" not in words_of(chat.say(text))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("remind me on 12/1 to pay", "1 December 2026 or", id="a-choice"),
        pytest.param('cron 61 9 * * * post "x"', "minute '61'", id="an-expression"),
    ],
)
def test_what_the_grammar_can_say_better_is_not_for_the_agent(chat: Chat, text: str, says: str) -> None:
    """The answer is at hand."""
    chat.agent = f"{AGENT}:answering"

    assert says in words_of(chat.say(text))


def test_an_agent_that_cannot_be_found_does_not_hinder_the_commands(chat: Chat, tea: Job) -> None:
    """Only what is meant for it fails."""
    chat.agent = "nowhere:answer"

    assert "tea" in words_of(chat.say("jobs"))
    assert "Shall I do this?" in words_of(chat.say(REMIND))


# -- where a click may come from anybody's app -------------------------------------------------------------------------


@pytest.fixture
def sealed(chat: Chat) -> Chat:
    """A conversation in which only marked buttons count."""
    chat.seal = Seal(lambda: b"key of this installation", SPACE)
    return chat


def made_up(**parameters: str) -> dict[str, Any]:
    """Make a button as somebody else's app can show it."""
    pairs = [{"key": name, "value": value} for name, value in parameters.items()]
    return {"text": "Hooray", "onClick": {"action": {"function": "x", "parameters": pairs}}}


def carried(button: Any) -> dict[str, str]:
    """Return what a button carries."""
    return {pair["key"]: pair["value"] for pair in button["onClick"]["action"]["parameters"]}


def failed_job(chat: Chat) -> Job:
    """Store a job that has given up."""
    once = chat.jobs.schedule("log", {"message": "hello"}, id="once", space=SPACE, max_attempts=1).job
    held = chat.put(once, once.claim(now=chat.now, token="t", lease=HOUR, retention=HOUR))
    result = Result(started_at=chat.now, ended_at=chat.now, by="schedule", error="no milk")
    return chat.put(held, held.finish(result, retention=HOUR))


def test_buttons_that_are_ours_work_as_ever(sealed: Chat, tea: Job) -> None:
    """From an example to a job, and through everything that is done to one."""
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
    assert "nothing is scheduled" in words_of(discarded)


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
def test_a_button_of_another_app_does_nothing(
    sealed: Chat, tea: Job, caplog: pytest.LogCaptureFixture, parameters: dict[str, str], seal: str | None
) -> None:
    """Whatever it asks for: nothing is made, changed or even shown, and the person is told in private what to do."""
    failed_job(sealed)
    before = sealed.all()
    given = parameters if seal is None else {**parameters, "seal": seal}

    reply = sealed.send(sealed.app.click(made_up(**given), inputs={"phrase": REMIND}))

    assert message_of(reply) == {"text": NOT_OURS, "privateMessageViewer": {"name": "users/104"}}
    assert sealed.all() == before
    assert [vars(record)["fields"]["action"] for record in caplog.records] == ["button_refused"]


def test_no_field_of_a_marked_button_counts(sealed: Chat) -> None:
    """The mark is for the phrase on the button, and nobody knows who has filled in a field."""
    asked = sealed.say("remind me at 7 to stretch")

    forged = {"phrase": "remind me tomorrow to send it all", "timezone": "Asia/Tokyo"}
    changed = sealed.tap(asked, "remind me on 2026-11-22 at 07:00 to stretch", inputs=forged)

    assert "Sun 22 Nov 2026, 07:00 (Europe/Berlin)" in words_of(changed)
    assert "I remind you: stretch" in words_of(changed)


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
def test_the_mark_of_one_button_does_not_serve_another(sealed: Chat, tea: Job, changes: dict[str, str]) -> None:
    """It covers everything that a button carries."""
    given = {**carried(button(sealed.say(REMIND), "Confirm")), **changes}

    reply = sealed.send(sealed.app.click(made_up(**given)))

    assert message_of(reply)["text"] == NOT_OURS
    assert sealed.all() == [tea]


def test_the_mark_of_one_space_does_not_serve_another(sealed: Chat, tea: Job) -> None:
    """What a card offered elsewhere was not offered here."""
    confirm = button(sealed.say(REMIND), "Confirm")
    sealed.seal = Seal(lambda: b"key of this installation", ELSEWHERE)

    reply = sealed.send(sealed.app.click(confirm, space=ELSEWHERE))

    assert message_of(reply)["text"] == NOT_OURS
    assert sealed.all() == [tea]


def test_what_chat_adds_to_a_click_does_not_matter(sealed: Chat) -> None:
    """It names the action once more for apps that were made into add-ons."""
    given = {**carried(button(sealed.say(REMIND), "Confirm")), "__action_method_name__": "https://example.com"}

    sealed.send(sealed.app.click(made_up(**given)))

    assert len(sealed.all()) == 1


def test_a_request_that_is_sealed_is_said_differently_by_saying_it(sealed: Chat) -> None:
    """No mark says who has filled in the field of a card, so there is none."""
    asked = sealed.say(REMIND)

    assert [each["text"] for each in buttons_of(asked)] == ["Confirm", "Discard"]
    assert "textInput" not in json.dumps(asked)


def test_the_agents_answer_needs_no_key(sealed: Chat) -> None:
    """The key is read from the store when a button needs it."""

    def unreachable() -> bytes:
        raise AssertionError("the key is read")

    sealed.seal = Seal(unreachable, SPACE)
    sealed.agent = f"{AGENT}:answering"

    assert message_of(sealed.say("what is new?"))["text"] == "You said: what is new?"
