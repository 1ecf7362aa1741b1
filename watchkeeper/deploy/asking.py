"""Asking gcloud: many questions side by side, and what its answers say."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

from shared.errors import WatchkeeperError
from watchkeeper.deploy.gcloud import Ended

ASKED_AT_ONCE = 4
Question = tuple[str, ...]


class CannotAsk(WatchkeeperError):
    """A question could not be asked; the message is what gcloud said."""


class NoGcloud(CannotAsk):
    """No question at all can be asked; the message says what to do."""


class ApiOff(CannotAsk):
    """A question could not be asked because its API is off; so there is nothing of it yet."""


class Answered(NamedTuple):
    """A question and its answer: what gcloud shows, None for what is not there, or CannotAsk."""

    question: Question
    answer: Any


def ask_all(questions: Iterable[Question], ask: Callable[[Question], Any]) -> Iterator[Answered]:
    """Yield each question with its answer, in order; some are asked at a time."""
    asked = list(questions)
    pool = ThreadPoolExecutor(ASKED_AT_ONCE)
    try:
        yield from map(Answered, asked, pool.map(ask, asked))
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupted run waits only for what is being asked


def answer_of(ended: Ended) -> Any:
    """Return what gcloud shows as JSON, None for what is not there, or CannotAsk."""
    if ended.code == 0:
        try:
            return json.loads(ended.output)
        except ValueError:
            return CannotAsk("gcloud did not answer in JSON")
    if "gcloud auth login" in ended.errors:
        return NoGcloud("it is not signed in; run `gcloud auth login`")
    if re.search(r"SERVICE_DISABLED|has not been used in project|API .*not.* enabled", ended.errors, re.IGNORECASE):
        return ApiOff(last_error(ended.errors))
    if ended.is_not_found:
        return None
    return CannotAsk(last_error(ended.errors))


@contextmanager
def reading_answers() -> Iterator[None]:
    """Raise CannotAsk if an answer that is read within this context has another form than gcloud's."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as exc:
        raise CannotAsk(f"gcloud answered in an unexpected form ({type(exc).__name__}: {exc})") from exc


def last_error(said: str) -> str:
    """Return the last line that is an error, or else the last one: the details of an error follow it."""
    lines = [line for line in said.splitlines() if line.strip()] or ["gcloud failed and did not say why"]
    errors = [line for line in lines if line.startswith("ERROR: ")] or lines
    return re.sub(r"^ERROR: (\(gcloud[^)]*\) )?", "", errors[-1])[:300]
