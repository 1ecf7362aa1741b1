"""The list of the jobs in a space, a page at a time."""

import re
from typing import Any

import pytest

from managing import LISTED
from shared.model.job import Job
from shared.store.protocol import Change
from tests.support.answering_agents import AGENT
from tests.support.chatting import SPACE, buttons_of, replaces, words_of
from tests.support.conversing import ELSEWHERE, Chat, ended, in_direct_message


def test_list_shows_the_jobs_of_the_space(chat: Chat, tea: Job) -> None:
    """With status, schedule in words and next run; jobs of other spaces, ended jobs and subscriptions are left out."""
    for job_id, space in (("other", ELSEWHERE), ("nowhere", None), ("done", SPACE)):
        chat.jobs.schedule("log", {"message": "hello"}, id=job_id, space=space)
    chat.jobs.cancel("done")

    listed = chat.say("jobs")

    assert words_of(listed).splitlines() == [
        "What is scheduled in this space",
        "Times are in Europe/Berlin.",
        "pending, tea",
        "tea",
        "At 09:00, Monday through Friday (UTC). It is not due until Mon 23 Nov 2026, 10:00.",
        "Run now",
        "Pause",
        "Cancel",
        "Why?",
    ]


@pytest.mark.parametrize("first", ["", "99", "-1", "x", "9" * 5000])
def test_missing_page_falls_back_to_the_first(chat: Chat, tea: Job, first: str) -> None:
    """The list was longer before, or the button is forged."""
    parameters = [{"key": "action", "value": "list"}, {"key": "first", "value": first}]
    more = {"text": "More", "onClick": {"action": {"function": "x", "parameters": parameters}}}

    assert "tea" in words_of(chat.send(chat.app.click(more)))


def test_empty_list_offers_examples(chat: Chat) -> None:
    """It offers examples."""
    told = chat.say("jobs")

    assert "nothing scheduled in this space" in words_of(told)
    assert buttons_of(told)


def test_long_list_has_pages(chat: Chat) -> None:
    """Each job is on one page; a page replaces the one before it."""
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


@pytest.mark.parametrize("text", ["my jobs", "show my reminders", "my reminders?"])
def test_my_jobs_lists_only_the_persons_own(chat: Chat, tea: Job, text: str) -> None:
    """They include those that the agent made for the person, on every page; All jobs shows the others too."""
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


def test_my_jobs_says_so_if_there_are_none(chat: Chat, tea: Job) -> None:
    """In a direct message all jobs belong to the person."""
    none = chat.say("my jobs")
    direct = chat.send(in_direct_message(chat.app.message("my jobs")))

    assert "You have nothing scheduled in this space" in words_of(none)
    assert "tea" in words_of(chat.tap(none, "All jobs"))
    assert "tea" in words_of(direct)


@pytest.mark.parametrize(
    "text", ["jobs", "list", "our jobs", "jobs?", "/jobs", "show the reminders", "Please list jobs."]
)
def test_list_can_be_asked_for_in_many_words(chat: Chat, tea: Job, text: str) -> None:
    """Each is understood with an agent, too."""
    chat.agent = f"{AGENT}:answering"

    assert "What is scheduled in this space" in words_of(chat.say(text))


def test_list_reads_no_finished_jobs(chat: Chat, tea: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """One query reads the listed jobs, however many of the space have ended."""
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
