"""What the grammar does not understand goes to the agent, which answers in the reply or in a job."""

import json
import logging
import re
from datetime import timedelta

import pytest

from shared.handlers import check_payload, load_handlers
from shared.handlers.asking import unpack_asked
from shared.model.job import Job
from tests.support.answering_agents import AGENT, asked, slow_keys
from tests.support.chatting import (
    SPACE,
    THREAD,
    message_in,
    message_of,
    words_of,
)
from tests.support.conversing import ADA, REMIND, Chat


@pytest.mark.parametrize("text", ["what is new?", "help me understand this", "/list all", "every time I ask, you fail"])
def test_other_messages_go_to_the_agent(chat: Chat, text: str) -> None:
    """Its context says who asks, in which thread, and in which time zone."""
    chat.agent = f"{AGENT}:answering"
    asked.clear()

    reply = chat.say(text)

    ((said, context),) = asked
    assert message_of(reply)["text"] == f"You said: {text}"
    assert (said, context.space, context.thread, context.user) == (text, SPACE, THREAD, "ada@example.com")
    assert (context.timezone, context.now) == ("Europe/Berlin", chat.now)
    assert (context.space_kind, context.session_key, context.display_name) == ("space", THREAD, "Ada")
    assert context.user_name == "users/104"


def test_agent_can_manage_the_jobs_of_its_space(chat: Chat) -> None:
    """Within the reply, in the name of the person who asks."""
    chat.agent = f"{AGENT}:scheduling"

    reply = chat.say("keep an eye on the build")

    (job,) = chat.all()
    assert message_of(reply)["text"] == f"{job.id} is made"
    assert (job.job_type, job.space, job.created_by) == ("agent", SPACE, "agent:ada@example.com")


def test_agent_can_answer_with_a_card(chat: Chat) -> None:
    """The reply shows it."""
    chat.agent = f"{AGENT}:with_card"

    assert words_of(chat.say("hello")) == "A card"


def test_long_answer_continues_in_messages_posted_by_jobs(chat: Chat) -> None:
    """In the thread, in order, each part once and complete."""
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


def test_nothing_is_shown_if_the_agent_returns_nothing(chat: Chat) -> None:
    """There is no reply and no error."""
    chat.agent = f"{AGENT}:mute"

    assert chat.say("hello") == {}


def test_apology_is_shown_if_the_agent_fails(chat: Chat, caplog: pytest.LogCaptureFixture) -> None:
    """The apology has the trace id; the log does not have what was said."""
    chat.agent = f"{AGENT}:raising"

    reply = chat.say("my secret")

    (line,) = caplog.records
    assert "Sorry, that did not work" in message_of(reply)["text"]
    assert "trace" in message_of(reply)["text"]
    assert line.levelno == logging.ERROR
    assert "secret" not in json.dumps([line.getMessage(), vars(line)], default=str)


def test_log_says_what_is_wrong_with_the_agents_answer(chat: Chat, caplog: pytest.LogCaptureFixture) -> None:
    """The agent raised nothing, so a traceback would not help."""
    chat.agent = f"{AGENT}:counting"

    reply = chat.say("how many?")

    assert "Sorry, that did not work" in message_of(reply)["text"]
    assert caplog.messages == ["the agent must return a text, a card, a Chat message or a Proposal, not int"]


def test_job_answers_if_the_agent_takes_too_long(chat: Chat) -> None:
    """The job is due at once and posts here; the same message again makes no second job."""
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


def test_job_answers_for_a_slow_agent_from_the_start(chat: Chat) -> None:
    """The reply does not ask it; the job has everything that Chat would have passed."""
    chat.agent = f"{AGENT}:plodding"
    asked.clear()

    reply = chat.say("think hard", name="M")
    again = chat.say("think hard", name="M")

    (job,) = chat.all()
    assert asked == []
    assert message_of(reply)["text"] == message_of(again)["text"] == "I am on it, and will post the answer here."
    assert (job.job_type, job.payload["prompt"], job.created_by) == ("agent", "think hard", "chat:ada@example.com")
    assert job.payload["asked"] == {"message_name": f"{SPACE}/messages/M"}


def test_agent_gets_the_whole_message(chat: Chat) -> None:
    """In a reply, and in the job that answers later."""
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
    later = unpack_asked(job.payload["asked"])
    assert {name: getattr(context, name) for name in later} == later
    assert later.keys() == {"message_name", "formatted_text", "attachments", "quoted", "matched_url"}


def test_job_leaves_out_message_fields_that_are_too_long(chat: Chat) -> None:
    """The job always has the text itself."""
    chat.agent = f"{AGENT}:plodding"
    body = chat.app.message("hello")
    message_in(body)["formattedText"] = "x" * 30_000

    chat.send(body)

    (job,) = chat.all()
    assert job.payload["prompt"] == "hello"
    assert "asked" not in job.payload


@pytest.mark.parametrize("text", ["remind me soonish to call Bob", "remind me when it rains", "dance!"])
def test_agent_gets_text_that_the_grammar_does_not_understand(chat: Chat, text: str) -> None:
    """It may understand more than the grammar."""
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
def test_agent_does_not_get_text_that_the_grammar_can_explain(chat: Chat, text: str, says: str) -> None:
    """The grammar knows the answer."""
    chat.agent = f"{AGENT}:answering"

    assert says in words_of(chat.say(text))


def test_commands_work_without_a_usable_agent(chat: Chat, tea: Job) -> None:
    """Only what goes to the agent fails."""
    chat.agent = "nowhere:answer"

    assert "tea" in words_of(chat.say("jobs"))
    assert "Shall I do this?" in words_of(chat.say(REMIND))
