"""Mentions and formatting survive from the message to the job."""

import json
import re

import pytest

from shared.model.wording import local_time
from tests.support.chatting import (
    fields_of,
    with_markup,
    words_of,
)
from tests.support.conversing import Chat


@pytest.mark.parametrize(
    ("plain", "formatted", "shown", "posted"),
    [
        pytest.param(
            'every day at 9 post "hello @Bob, now"',
            'every day at 9 post "hello <users/105>, *now*"',
            "I will post: hello @Bob, *now*",
            "hello <users/105>, *now*",
            id="post",
        ),
        pytest.param(
            'post "@Bob opens the door" every day at 9',
            'post "<users/105> opens the door" every day at 9',
            "I will post: @Bob opens the door",
            "<users/105> opens the door",
            id="text-first",
        ),
        pytest.param(
            "remind me tomorrow at 9 to ask @Bob about the report",
            "remind me tomorrow at 9 to ask <users/105> about <https://example.com/12:30|the report>",
            "I will remind you: ask @Bob about the report",
            "<users/104> ask <users/105> about <https://example.com/12:30|the report>",
            id="reminder",
        ),
        pytest.param(
            "remind us to thank @all tomorrow at 9",
            "remind us to thank <users/all> tomorrow at 9",
            "I will remind everybody: thank @all",
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
def test_text_keeps_its_mentions_and_formatting(
    chat: Chat, plain: str, formatted: str, shown: str, posted: str
) -> None:
    """The post mentions the people named, the card shows names, and the time is read from the text without markup."""
    event = with_markup(chat.app.message(plain), f"<users/app> {formatted}", **{"105": "Bob"})

    asked = chat.send(event)
    chat.tap(asked, "Confirm")

    (job,) = chat.all()
    assert shown in words_of(asked)
    assert "Shall I do this?" in words_of(asked)
    assert job.payload["text"] == posted
    clock = local_time(job.schedule_at, "Europe/Berlin")[-5:]
    assert clock == "09:00"


def test_command_and_change_keep_the_markup(chat: Chat) -> None:
    """The field holds the markup, and what is sent from it is read like a message."""
    event = chat.app.command("every", 'day at 9 post "hi @Bob"')
    asked = chat.send(with_markup(event, '/every day at 9 post "hi <users/105>"', **{"105": "Bob"}))
    fields = fields_of(asked)

    changed = chat.tap(asked, "Change", inputs={"phrase": fields["phrase"].replace("9", "10")})
    chat.tap(changed, "Confirm")

    (job,) = chat.all()
    assert fields["phrase"] == 'every day at 9 post "hi <users/105>"'
    assert (job.payload["text"], job.cron) == ("hi <users/105>", "0 10 * * *")


def test_job_is_found_by_a_text_with_a_mention(chat: Chat) -> None:
    """The text with its mention finds the job; the list shows that somebody is mentioned."""
    formatted = "remind me tomorrow at 9 to ask <users/105>"
    asked = chat.send(with_markup(chat.app.message("remind me tomorrow at 9 to ask @Bob"), formatted))
    chat.tap(asked, "Confirm")

    listed = chat.say("jobs")
    done = chat.send(with_markup(chat.app.message("cancel ask @Bob"), "cancel ask <users/105>"))

    assert "ask @someone" in words_of(listed)
    assert "It is cancelled." in words_of(done)


def test_unclear_request_is_shown_without_placeholders(chat: Chat) -> None:
    """The field holds the text as it was written, without the placeholders of the parser."""
    event = with_markup(
        chat.app.message("remind me on wednsday to ask @Bob"), "remind me on wednsday to ask <users/105>"
    )

    told = chat.send(event)

    assert fields_of(told) == {"phrase": "remind me on wednsday to ask <users/105>"}
    assert not re.search("[\ue000-\uf8ff]", json.dumps(told, ensure_ascii=False))


def test_cards_escape_what_people_write(chat: Chat) -> None:
    """Cards render tags, so the text is escaped."""
    asked = chat.say('tomorrow at 9 post "<b>a</b> & <i>b</i>"')

    assert "I will post: &lt;b&gt;a&lt;/b&gt; &amp; &lt;i&gt;b&lt;/i&gt;" in words_of(asked)
