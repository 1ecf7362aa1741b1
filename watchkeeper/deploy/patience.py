"""Refusals that pass by themselves: on a new project most of what Google makes or grants counts only minutes later."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from typing import NamedTuple

import click

from shared.errors import WatchkeeperError

PAUSES = (5, 10, 20, 40, 60)  # seconds; then every minute
LIMIT = 480  # seconds; Google speaks of 2 minutes, and of 7 or more


class Refusal(NamedTuple):
    """A refusal that passes, as gcloud words it: what it waits for, and the remedy if it stays.

    A question may be refused so, too, if it `concerns_questions`. Of others, "not found" is the answer.
    """

    words: re.Pattern[str]
    waits_for: str
    remedy: str
    concerns_questions: bool = False
    limit: int = LIMIT


def _refusal(
    words: str, waits_for: str, remedy: str, *, concerns_questions: bool = False, limit: int = LIMIT
) -> Refusal:
    return Refusal(re.compile(words, re.IGNORECASE), waits_for, remedy, concerns_questions, limit)


# The first that fits counts.
REFUSALS = (
    _refusal(
        r"SERVICE_DISABLED|has not been used in project|API .*not.* enabled|wait a few minutes for the action",
        "an API that was just enabled",
        "run setup, which enables the APIs; if it has, check that the project has a billing account",
        concerns_questions=True,
    ),
    _refusal(
        r"Cannot find metric|metric referenced by the provided filter is unknown",
        "a metric that was just created",
        "try again in a few minutes",
        limit=600,
    ),
    _refusal(
        r"Service account \S* ?(does not exist|was not found)|Unknown service account",
        "a service account that was just created",
        "check with `gcloud iam service-accounts list` that it exists; setup creates those of functions.toml",
    ),
    _refusal(
        r"Permission denied on secret",
        "the role on a secret",
        "run setup, which grants it; if it has, check whether an organisation policy takes it away",
    ),
    _refusal(
        r"Access to bucket gcf-\S* denied|storage\.objects\.get.* (access|denied)|artifactregistry\.\S* denied",
        "the roles of the account that builds",
        "run setup, which grants them; if it has, check whether an organisation policy takes them away",
    ),
    _refusal(
        r"Unable to retrieve the repository metadata",
        "the repository gcf-artifacts, which Google makes with the first build",
        "grant roles/artifactregistry.reader on the project to the service agent of Cloud Functions, "
        "service-PROJECT_NUMBER@gcf-admin-robot.iam.gserviceaccount.com",
    ),
    _refusal(
        r"Unable to queue the operation|ABORTED|(?<![-\w])concurrent\b|(HTTPError |code[ =:]*)409(?!.*exist)",
        "another change of the same thing to end",
        "check whether another deployment is running, and continue when it has ended",
    ),
    _refusal(
        r"RESOURCE_EXHAUSTED|\b429\b|rateLimitExceeded|Quota exceeded",
        "a quota of calls",
        "try again later, or ask for a higher quota (named above)",
        concerns_questions=True,
    ),
    _refusal(
        r"\bUNAVAILABLE\b|HTTPError 503|currently unavailable",
        "a service that is not available",
        "try again later; see https://status.cloud.google.com",
        concerns_questions=True,
    ),
)


def passing(errors: str, *, is_question: bool) -> Refusal | None:
    """Return the refusal that passes by itself, None if waiting would not help."""
    fitting = (each for each in REFUSALS if each.concerns_questions or not is_question)
    return next((each for each in fitting if each.words.search(errors)), None)


class StillRefused(WatchkeeperError):
    """A command is refused although its refusal was waited for; the message says what for, and the remedy."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """A way to wait, and to say so: on a terminal a line that counts down, elsewhere a line for each pause."""

    sleep: Callable[[float], None]
    clock: Callable[[], float]
    is_terminal: bool = False

    def pause(self, seconds: float, says: str) -> None:
        """Wait, and say what for."""
        if not self.is_terminal:
            click.echo(f"{says}; trying again in {seconds:.0f} s", err=True)
            self.sleep(seconds)
            return
        for left in range(round(seconds), 0, -1):
            click.echo(f"\r{says}; trying again in {left} s\x1b[K", nl=False, err=True, color=True)
            self.sleep(1)
        click.echo("\r\x1b[K", nl=False, err=True, color=True)


class Backoff:
    """The wait for one command: with pauses that grow, from its first refusal to the limit."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._pauses: Iterator[int] = chain(PAUSES, repeat(PAUSES[-1]))
        self._began: float | None = None

    def wait_for(self, refusal: Refusal) -> None:
        """Wait until the next attempt. Raises StillRefused if that is over."""
        now = self._patience.clock()
        self._began = now if self._began is None else self._began
        waited, left = now - self._began, self._began + refusal.limit - now
        if left <= 0:
            raise StillRefused(f"waited {_span(waited)} for {refusal.waits_for}, without success: {refusal.remedy}")
        so_far = f" ({_span(waited)} so far)" if waited else ""
        self._patience.pause(min(next(self._pauses), left), f"waiting for {refusal.waits_for}{so_far}")


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
