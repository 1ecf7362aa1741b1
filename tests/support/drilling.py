"""A project that remembers what was done to it, for drills: a deployment that is refused, interrupted and continued."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from shared.errors import WatchkeeperError
from tests.support.deploying import REGION
from tests.support.gcloud import NUMBER, PROJECT
from tests.support.recorded_project import Key, RecordedProject
from watchkeeper.deploy.command_line import read_command_line
from watchkeeper.deploy.deployment import Deployment, read_deployment
from watchkeeper.deploy.gcloud import Ended
from watchkeeper.deploy.progress import Progress
from watchkeeper.deploy.signals import Interrupted
from watchkeeper.deploy.steps import STAGING, steps_of

# As Google words them, by what a run does about those that stay.
API = "PERMISSION_DENIED: Cloud Firestore API has not been used in project 1 before or it is disabled."
FAULTS = {
    API: "enables the APIs",
    "INVALID_ARGUMENT: Service account tick@p.iam.gserviceaccount.com does not exist.": "that it exists",
    "NOT_FOUND: Unknown service account": "that it exists",
    "HTTPError 409: There were concurrent policy changes. Please retry.": "another deployment",
    "ABORTED: The operation was aborted.": "another deployment",
    "ResponseError: status=[Code=409], message=[unable to queue the operation]": "another deployment",
    "RESOURCE_EXHAUSTED: Quota exceeded for quota metric 'Write requests'": "quota",
    "UNAVAILABLE: The service is currently unavailable.": "status.cloud.google.com",
    "Permission denied on secret: projects/1/secrets/a for Revision service account x": "which grants it",
    "Build failed: failed to Fetch: Access to bucket gcf-v2-sources-1-us-central1 denied.": "which grants them",
    "Unable to retrieve the repository metadata for projects/p/repositories/gcf-artifacts.": "artifactregistry.reader",
    "INVALID_ARGUMENT: Cannot find metric(s) that match type.": "a few minutes",
}
State = dict[Key, dict[str, Any]]
Disturbance = Callable[[int, Sequence[str], Callable[[], Ended]], Ended]


def undisturbed(number: int, words: Sequence[str], do: Callable[[], Ended]) -> Ended:
    """Let a command be done."""
    return do()


@dataclass
class Project(RecordedProject):
    """A project in which changes are disturbed: `disturb` gets the number of each, and how to do it.

    It returns the answer of gcloud.
    """

    disturb: Disturbance = undisturbed
    done: int = 0

    @property
    def state(self) -> State:
        """Return all that there is, for comparison: however often a function was deployed."""
        return {key: each for key, each in self.resources.items() if key.kind != "run services" or key.member}

    def __call__(self, command: Sequence[str], *, stdin: bytes | None, is_captured: bool) -> Ended:
        do = partial(super().__call__, command, stdin=stdin, is_captured=is_captured)
        if is_captured:  # a question
            return do()
        self.done += 1
        return self.disturb(self.done, command[1:], do)


def attempt(project: Project, settings: Path, *words: str) -> tuple[list[list[str]], str]:
    """Run a verb, without staging or smoke test. Return the commands to go on with, none at the end, and the error."""
    line = read_command_line([*words, "--project", PROJECT, "--region", REGION, "--settings", str(settings)])
    work = project.work(_deployment(settings, line.only), settings.parent)
    progress = Progress([step for step in steps_of(line.verb, work) if step.title != STAGING and step.verb != "smoke"])
    error = ""
    try:
        for step in progress:
            step.do()
    except (Interrupted, WatchkeeperError) as exc:
        error = str(exc)
    return [_verb(command) for command in progress.commands(line, "deploy")], error


@cache
def _deployment(settings: Path, only: tuple[str, ...]) -> Deployment:
    return read_deployment(project=PROJECT, region=REGION, number=NUMBER, only=only, file=settings)


def _verb(command: str) -> list[str]:
    """Return the verb of a command to go on with, and the functions that it names."""
    _, verb, *words = shlex.split(command)
    return [verb, *words[words.index("--only") :]] if "--only" in words else [verb]
