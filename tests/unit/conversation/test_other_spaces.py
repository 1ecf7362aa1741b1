"""A job can be seen and changed in its own space only."""

import pytest

from shared.jobs import UnknownJob
from shared.model.job import Job
from shared.store.documents import Unreadable, to_document
from shared.store.protocol import Change, Won
from tests.support.chatting import buttons_of
from tests.support.conversing import ELSEWHERE, Chat


def test_unreadable_document_is_not_quoted(chat: Chat, tea: Job) -> None:
    """The reason would quote its content, and its space is unknown: it does not exist in any space."""
    broken = Unreadable(id="tea", reason="", document={**to_document(tea), "status": "sk-hunter2"})
    assert isinstance(chat.store.swap([Change(tea, broken)])[0], Won)

    with pytest.raises(UnknownJob, match="There is no job tea in this space"):
        chat.say("job tea")


@pytest.mark.parametrize(
    "job_id", ["other", "nowhere", "subscription:gmail:a@example.com", "unknown", "../x", "x" * 300]
)
def test_job_of_another_space_seems_not_to_exist(chat: Chat, tea: Job, job_id: str) -> None:
    """It cannot be seen or changed, by any button; the answer is the same as for an unknown id."""
    chat.jobs.schedule("log", {"message": "hello"}, id="other", space=ELSEWHERE)
    chat.jobs.schedule("log", {"message": "hello"}, id="nowhere")
    subscription = Job.create("subscription:gmail:a@example.com", "subscription_check", now=chat.now)
    assert isinstance(chat.store.swap([Change(None, subscription)])[0], Won)
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


def test_click_in_another_space_is_refused(chat: Chat, tea: Job) -> None:
    """The same click in another space is refused."""
    listed = chat.say("jobs")

    with pytest.raises(UnknownJob):
        chat.tap(listed, "Cancel", space=ELSEWHERE)
