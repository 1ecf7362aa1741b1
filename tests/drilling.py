"""A project that remembers what was done to it, for drills: a deployment that is refused, interrupted and continued."""

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.errors import WatchkeeperError
from tests.deploying import REGION
from tests.gcloud import NUMBER, PROJECT
from tests.recorder import MISSING, Recorder, refused, shown
from watchkeeper.deploy.command_line import read_command_line
from watchkeeper.deploy.gcloud import Ended
from watchkeeper.deploy.progress import Progress
from watchkeeper.deploy.signals import Interrupted
from watchkeeper.deploy.steps import STAGING, steps_of
from watchkeeper.deploy.target import read_target

# As Google words them, by what a run does about those that stay.
API = "PERMISSION_DENIED: Cloud Firestore API has not been used in project 1 before or it is disabled."
FAULTS = {
    API: "enables the APIs",
    "INVALID_ARGUMENT: Service account tick@p.iam.gserviceaccount.com does not exist.": "whether it is there",
    "NOT_FOUND: Unknown service account": "whether it is there",
    "HTTPError 409: There were concurrent policy changes. Please retry.": "another deployment",
    "ABORTED: The operation was aborted.": "another deployment",
    "ResponseError: status=[Code=409], message=[unable to queue the operation]": "another deployment",
    "RESOURCE_EXHAUSTED: Quota exceeded for quota metric 'Write requests'": "quota",
    "UNAVAILABLE: The service is currently unavailable.": "status.cloud.google.com",
    "Permission denied on secret: projects/1/secrets/a for Revision service account x": "which grants it",
    "Build failed: failed to Fetch: Access to bucket gcf-v2-sources-1-us-central1 denied.": "which grants them",
    "Unable to retrieve the repository metadata for projects/p/repositories/gcf-artifacts.": "artifactregistry.reader",
    "INVALID_ARGUMENT: Cannot find metric(s) that match type.": "some minutes",
}
EXISTS = refused("ALREADY_EXISTS: Requested entity already exists")
# A file has another path in each run, so what is in it counts.
FROM_FILE = ("--config-from-file", "--policy-from-file", "--env-vars-file")
Disturbance = Callable[[int, Sequence[str], Callable[[], Ended]], Ended]


def undisturbed(number: int, words: Sequence[str], do: Callable[[], Ended]) -> Ended:
    """Let a command be done."""
    return do()


@dataclass
class Project(Recorder):
    """Remembers each resource by its kind and name, with the flags that it was told last, and each policy.

    `disturb` is told the number of each change, and how to do it; its answer is that of gcloud.
    """

    resources: dict[str, Any] = field(default_factory=dict)
    policies: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    disturb: Disturbance = undisturbed
    done: int = 0

    @property
    def state(self) -> dict[str, Any]:
        """Return all that there is, for comparison."""
        return {**self.resources, **{f"policy of {name}": members for name, members in self.policies.items()}}

    def __call__(self, command: Sequence[str], *, stdin: bytes | None, is_captured: bool) -> Ended:
        _, *words = command
        if is_captured:  # a question
            return self._show(words)
        self.done += 1
        return self.disturb(self.done, words, lambda: self._change(words, stdin))

    def _show(self, words: Sequence[str]) -> Ended:
        plain, flags = _split(words)
        match plain:
            case ["version"] | ["monitoring", "policies", "list"] if "--limit" in flags:
                return shown("")
            case ["projects", "describe", _]:
                return shown(NUMBER)
            case [*kind, "get-iam-policy", name]:
                members = sorted(self.policies.get(" ".join((*kind, name)), ()))
                is_run = kind[0] == "run"
                return shown("\n".join(member if is_run else f"{role}\t{member}" for role, member in members))
            case ["iam", "service-accounts", "list"]:
                return shown("\n".join(f"{name}@{PROJECT}.iam.gserviceaccount.com" for name in self._names(plain[:2])))
            case ["logging", "metrics", "list"]:
                return shown("\n".join(self._names(plain[:2])))
            case ["monitoring", "policies", "list"]:
                return shown("\n".join(f"{name}|{name.partition('#')[0]}|True||" for name in self._names(plain[:2])))
            case ["firestore", "indexes", "fields", "describe", field]:
                return self._show_field(f"{flags['--collection-group']}.{field}", flags["--format"])
            case ["secrets", "versions", "access", _]:
                values = self.resources.get(f"secrets versions {flags['--secret']}")
                return Ended(0, values[-1]) if values else MISSING
            case ["run", "services", "describe", name]:
                return shown("ready") if f"functions {name}" in self.resources else MISSING
            case [*kind, "describe"]:
                return shown("RUNNING") if f"{' '.join(kind)} {flags['--database']}" in self.resources else MISSING
            case [*kind, "describe", name]:
                return shown("RUNNING") if f"{' '.join(kind)} {name}" in self.resources else MISSING
        raise AssertionError(f"nobody has asked so far: {words}")

    def _show_field(self, name: str, shows: str) -> Ended:
        done = self.resources.get(f"field {name}", set())
        if "ttlConfig" in shows:
            return shown("CREATING" if "--enable-ttl" in done else "")
        return shown("\t" if "--disable-indexes" in done else "True\t")

    def _names(self, kind: Sequence[str]) -> list[str]:
        beginning = f"{' '.join(kind)} "
        return [name.removeprefix(beginning) for name in self.resources if name.startswith(beginning)]

    def _change(self, words: Sequence[str], stdin: bytes | None) -> Ended:
        plain, flags = _split(words)
        told: dict[str, Any] = {flag: _content(value) if flag in FROM_FILE else value for flag, value in flags.items()}
        told.pop("--source", None)
        match plain:
            case ["services", "enable", *apis]:
                return self._put("apis", apis)
            case ["beta", "services", "identity", "create"]:
                return self._put("identity", told)
            case [*kind, ("add-iam-policy-binding" | "remove-iam-policy-binding") as verb, name]:
                members = self.policies.setdefault(" ".join((*kind, name)), set())
                change = members.add if verb.startswith("add") else members.discard
                change((flags["--role"], flags["--member"]))
                return Ended(0)
            case ["firestore", "indexes", "fields", "update", field] | ["firestore", "fields", "ttls", "update", field]:
                done = self.resources.setdefault(f"field {flags['--collection-group']}.{field}", set())
                done.update({"--disable-indexes", "--enable-ttl"} & flags.keys())
                return Ended(0)
            case ["secrets", "versions", "add", name]:
                self.resources.setdefault(f"secrets versions {name}", []).append(stdin)
                return Ended(0)
            case ["functions", "deploy", name]:
                return self._put(f"functions {name}", told)
            case ["monitoring", "policies", "create"]:
                title = told["--policy-from-file"]["displayName"]
                count = sum(name.partition("#")[0] == title for name in self._names(plain[:2]))
                return self._put(f"monitoring policies {title}{'#' * count}", told)
            case ["monitoring", "dashboards", "create"]:
                return self._create("monitoring dashboards watchkeeper", told)
            case ["firestore", "databases", "create"]:
                return self._create(f"firestore databases {flags['--database']}", told)
            case [*kind, ("create" | "update") as verb, "http", name] | [*kind, ("create" | "update") as verb, name]:
                key = f"{' '.join(kind)} {name}"
                return self._create(key, told) if verb == "create" else self._update(key, told)
        raise AssertionError(f"nobody has done so far: {words}")

    def _put(self, key: str, told: Any) -> Ended:
        self.resources[key] = told
        return Ended(0)

    def _create(self, key: str, told: Any) -> Ended:
        return EXISTS if key in self.resources else self._put(key, told)

    def _update(self, key: str, told: dict[str, Any]) -> Ended:
        if key not in self.resources:
            return MISSING
        self.resources[key] |= {flag: value for flag, value in told.items() if flag in self.resources[key]}
        return Ended(0)


def _split(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the words of a command, and its flags with their values."""
    plain = [word for word in words if not word.startswith("--")]
    flags = [word.partition("=") for word in words if word.startswith("--")]
    return plain, {flag: value for flag, _, value in flags}


def _content(path: str) -> Any:
    """Return what a file says, without the state of a dashboard that it replaces."""
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    content.pop("etag", None)
    return content


def attempt(project: Project, settings: Path, *words: str) -> tuple[list[list[str]], str]:
    """Run a verb without staging. Return the commands to go on with, none at the end, and the error."""
    line = read_command_line([*words, "--project", PROJECT, "--region", REGION, "--settings", str(settings)])
    target = read_target(project=PROJECT, region=REGION, number=NUMBER, only=line.only, file=settings)
    work = project.work(target, settings.parent)
    progress = Progress([step for step in steps_of(line.verb, work) if step.title != STAGING])
    error = ""
    try:
        for step in progress:
            step.do()
    except (Interrupted, WatchkeeperError) as exc:
        error = str(exc)
    return [_verb(command) for command in progress.commands(line, "deploy")], error


def _verb(command: str) -> list[str]:
    """Return the verb of a command to go on with, and the functions that it names."""
    _, verb, *words = shlex.split(command)
    return [verb, *words[words.index("--only") :]] if "--only" in words else [verb]
