"""A conversation in each generation of Chat, and two jobs of its space."""

from datetime import datetime, timedelta

import pytest

from shared.handlers import load_handlers
from shared.jobs import Jobs
from shared.model.job import Job
from shared.store.json_file import JsonStore
from tests.support.chatting import SPACE, AddOn, Classic
from tests.support.conversing import Chat


@pytest.fixture(params=[Classic, AddOn], ids=["classic", "add-on"])
def chat(request: pytest.FixtureRequest, json_store: JsonStore, now: datetime) -> Chat:
    """A conversation on a Saturday, at ten in the morning in Berlin."""
    made: list[Chat] = []
    jobs = Jobs(json_store, clock=lambda: made[0].now, handlers=load_handlers(()), retention=timedelta(days=30))
    made.append(Chat(app=request.param, jobs=jobs, store=json_store, now=now))
    return made[0]


@pytest.fixture
def tea(chat: Chat) -> Job:
    """A job of the space, every weekday at nine."""
    payload = {"text": "tea", "space": SPACE}
    job = chat.jobs.schedule(
        "chat_message", payload, id="tea", cron="0 9 * * 1-5", space=SPACE, by="chat:bob@example.com"
    )
    return job.job


@pytest.fixture
def mum(chat: Chat) -> Job:
    """A reminder of the space, tomorrow at 8:30 in Berlin."""
    payload = {"text": "<users/104> call mum", "space": SPACE}
    at = datetime.fromisoformat("2026-11-22T07:30:00Z")
    return chat.jobs.schedule("chat_message", payload, id="mum", at=at, space=SPACE).job
