"""A written command finds its job by text, time or id."""

import pytest

from shared.model.job import Job
from shared.model.value import Status
from tests.support.answering_agents import AGENT, asked
from tests.support.chatting import SPACE, buttons_of, replaces, words_of
from tests.support.conversing import HOUR, Chat


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
def test_job_is_managed_by_words(chat: Chat, tea: Job, mum: Job, text: str, status: Status) -> None:
    """It is named by its text, its time or its id; no other job changes."""
    done = chat.say(text)

    assert (chat.jobs.get("mum").status, chat.jobs.get("tea").status) == (status, Status.PENDING)
    assert "call mum" in words_of(done)


def test_job_is_resumed_and_run_by_words(chat: Chat, tea: Job, mum: Job) -> None:
    """`run` makes the other job ready now."""
    chat.say("pause the tea job")
    paused = chat.jobs.get("tea").status
    chat.say("resume the tea job")
    chat.say("run call mum now")

    assert (paused, chat.jobs.get("tea").status) == (Status.PAUSED, Status.PENDING)
    assert chat.jobs.get("mum").ready_at == chat.now


def test_card_asks_if_two_jobs_fit(chat: Chat, mum: Job) -> None:
    """Nothing changes before the person taps one of them."""
    chat.jobs.schedule("log", {"message": "call mum"}, id="other", at=chat.now + HOUR, space=SPACE)

    which = chat.say("cancel the reminder to call mum")
    before = {job.status for job in chat.all()}
    done = chat.tap({"second": buttons_of(which)[1]}, "Cancel")

    assert "Which one do you mean?" in words_of(which)
    assert before == {Status.PENDING}
    assert (chat.jobs.get("mum").status, chat.jobs.get("other").status) == (Status.CANCELLED, Status.PENDING)
    assert replaces(done)


def test_card_asks_if_only_a_part_of_the_text_fits(chat: Chat, mum: Job) -> None:
    """A job that is only similar never changes without a question."""
    which = chat.say("run the call")

    assert "Which one do you mean?" in words_of(which)
    assert chat.jobs.get("mum") == mum


def test_card_says_how_many_more_jobs_fit(chat: Chat) -> None:
    """It shows eight."""
    for number in range(10):
        chat.jobs.schedule("log", {"message": f"call {number}"}, id=f"call{number}", every="1d", space=SPACE)

    which = chat.say("cancel call")

    assert [each["text"] for each in buttons_of(which)] == ["Cancel"] * 8
    assert "2 more fit." in words_of(which)


@pytest.mark.parametrize("text", ["show tea", "show me the tea job", "can you show tea?"])
def test_job_is_shown_by_words(chat: Chat, tea: Job, text: str) -> None:
    """It is the card of `job ID`."""
    assert words_of(chat.say(text)) == words_of(chat.say("job tea"))


def test_agent_is_asked_to_show_what_is_not_the_whole_name_of_a_job(chat: Chat, mum: Job) -> None:
    """Agents are asked to show all kinds of things. Without one, a card asks which job is meant."""
    which = chat.say("show me the call")
    chat.agent = f"{AGENT}:answering"
    asked.clear()
    chat.say("show me the call")

    assert "Which one do you mean?" in words_of(which)
    assert [said for said, _ in asked] == ["show me the call"]


@pytest.mark.parametrize("text", ["cancel the reminder to buy milk", "run the tests", "move the party to 9"])
def test_command_that_fits_no_job_is_reported_or_goes_to_the_agent(chat: Chat, mum: Job, text: str) -> None:
    """Without an agent the answer says that no job fits."""
    told = chat.say(text)
    chat.agent = f"{AGENT}:answering"
    asked.clear()
    chat.say(text)

    assert "No job in this space fits" in words_of(told)
    assert [said for said, _ in asked] == [text]
    assert chat.jobs.get("mum") == mum
