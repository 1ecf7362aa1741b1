"""How a smoke test waits, and which answers of a function pass by themselves."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from shared.model.times import iso
from watchkeeper.deploy.functions_table import Function
from watchkeeper.deploy.gcloud import StepFailed
from watchkeeper.deploy.patience import LIMIT, Backoff, Refusal
from watchkeeper.deploy.smoke.trial import Trial
from watchkeeper.deploy.work import Work

LOOK_SECONDS = 5
APART = timedelta(seconds=5)  # by so much the start of an attempt may differ between its log and its job

# Answers that pass by themselves, by Google's word or HTTP status in what is said of them.
BUSY = Refusal(
    re.compile(r"RESOURCE_EXHAUSTED|\b429\b"),
    "an instance that is free",
    "another call takes as long as the function may: its log says what it does",
)
UNAVAILABLE = Refusal(
    re.compile(r"UNAVAILABLE|\b503\b"),
    "a function that starts, and a store that answers it",
    "the log of the function says what it cannot reach",
)
PASSING = (
    Refusal(
        re.compile(r"PERMISSION_DENIED|\b403\b"),
        "the right to call the function",
        "run setup, which grants it; if it has, check whether an organisation policy takes it away",
    ),
    BUSY,
    UNAVAILABLE,
    Refusal(
        re.compile(r"UNAUTHENTICATED|\b401\b"),
        "an auth_refused line in the log of the function",
        "there is no such line, so Cloud Run rejects the token: run functions and schedules, which set its audience",
        limit=60,
    ),
)


def polls(work: Work, limit: timedelta) -> Iterator[None]:
    """Yield at once, and then after each pause, until the limit."""
    end = work.patience.clock() + limit.total_seconds()
    yield
    while work.patience.clock() < end:
        work.patience.sleep(LOOK_SECONDS)
        yield


def await_run(work: Work, trial: Trial) -> bool:
    """Wait until the job of the test has run, and return whether it has. Raises StepFailed when it failed."""
    return any(trial.has_run() for _ in polls(work, timedelta(seconds=LIMIT)))


def wait_or_raise(work: Work, function: Function, backoff: Backoff, caller: str, said: str, *, since: datetime) -> None:
    """Wait for what passes by itself. Raises StepFailed for what does not, and StillRefused if waiting did not help."""
    service = work.deployment.service(function)
    refusal = next((each for each in PASSING if each.words.search(said)), None)
    if refusal is None:
        raise StepFailed(f"{caller} failed with {said}; the log of {service} says why")
    if refusal is not BUSY and (reason := _own_reason(work, service, since)):
        raise _refused(caller, service, reason)
    backoff.wait_for(refusal)


def _own_reason(work: Work, service: str, since: datetime) -> str:
    """Ask the log why our code refused the caller; "" where it did not, or where the log may not be read."""
    lines = (
        f'resource.labels.service_name="{service}" AND jsonPayload.action="auth_refused" AND '
        f'timestamp>="{iso(since - APART)}"'
    )
    found = work.gcloud.ask("logging", "read", lines, "--limit=1", "--format=value(jsonPayload.reason)")
    return found.output.decode().strip() if found.code == 0 else ""


def _refused(caller: str, service: str, reason: str) -> StepFailed:
    if reason.startswith("signature removed"):
        return StepFailed(
            f"{caller} was refused: Cloud Run removes the signature of its token here. Set AUTH_MODE=platform in the "
            "settings file, and deploy the functions again"
        )
    return StepFailed(f"{caller} was refused by {service}: {reason}. Run functions and schedules, which agree on that")
