"""A fake gcloud that records its commands and gives scripted answers, so that a deployment starts no gcloud."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shared.errors import StoreUnavailable
from shared.settings import Settings
from shared.store.protocol import Store
from tests.support.deploying import FUNCTIONS, REGION
from tests.support.gcloud import NUMBER, PROJECT
from watchkeeper.deploy.command import main
from watchkeeper.deploy.deployment import Deployment, read_deployment
from watchkeeper.deploy.functions_table import Function
from watchkeeper.deploy.gcloud import Ended, Gcloud
from watchkeeper.deploy.outside import HttpResponse, Outside
from watchkeeper.deploy.patience import Patience
from watchkeeper.deploy.work import TryImport, Work

MISSING = Ended(1, errors="ERROR: (gcloud) NOT_FOUND: it was not found\n")
# How a function of ours answers a stranger.
REFUSED_BY_CODE = HttpResponse(
    401, b'{"status": "error", "error": {"code": "unauthorized", "message": "no"}, "trace_id": "1"}'
)
QUESTIONS = {"describe", "list", "get-iam-policy", "access", "read", "version"}


def shown(text: str) -> Ended:
    """Return an answer that shows this, as gcloud ends it."""
    return Ended(0, f"{text}\n".encode())


def refused(errors: str) -> Ended:
    """Return an answer that is an error."""
    return Ended(1, errors=f"ERROR: {errors}\n")


def _import_nothing(*_: object) -> None:
    pass


def _signed_out(settings: Settings) -> Store:
    raise StoreUnavailable("nobody is signed in")


def _refuse(method: str, url: str, *, headers: Mapping[str, str], body: bytes | None) -> HttpResponse:
    return REFUSED_BY_CODE


@dataclass
class Recorder:
    """Records each command, without `gcloud`, and its stdin.

    `answers` maps the beginning of a command to how it ends, several times in this order where there are several; the
    longest one counts. Whatever else is asked for is missing, and every other change ends well. A staged function is
    not imported unless `try_import` is given: that takes a second.
    """

    answers: dict[str, Ended | list[Ended]] = field(default_factory=dict)
    commands: list[list[str]] = field(default_factory=list)
    stdin: dict[str, bytes] = field(default_factory=dict)
    pauses: list[float] = field(default_factory=list)
    try_import: TryImport = _import_nothing
    left_open: list[str] = field(default_factory=list)
    outside: Outside = field(default_factory=lambda: Outside(open_store=_signed_out, request=_refuse))

    def __call__(self, command: Sequence[str], *, stdin: bytes | None, is_captured: bool) -> Ended:
        program, *words = command
        assert program == "gcloud"
        self.commands.append(words)
        if stdin is not None:
            self.stdin[" ".join(words)] = stdin
        return self._answer(words)

    def _answer(self, words: Sequence[str]) -> Ended:
        beginnings = [each for each in self.answers if " ".join(words).startswith(each)]
        if not beginnings:
            return MISSING if QUESTIONS.intersection(words) else Ended(0)
        answer = self.answers[max(beginnings, key=len)]
        if isinstance(answer, list):
            return answer.pop(0) if len(answer) > 1 else answer[0]
        return answer

    @property
    def changes(self) -> list[str]:
        """Return what changes something, without its flags."""
        changes = [words for words in self.commands if not QUESTIONS.intersection(words)]
        return [" ".join(word for word in words if not word.startswith("--")) for words in changes]

    def flags(self, beginning: str) -> list[str]:
        """Return the flags of the only command that begins so."""
        (words,) = (words for words in self.commands if " ".join(words).startswith(beginning))
        return [word for word in words if word.startswith("--")]

    def work(self, deployment: Deployment, folder: Path) -> Work:
        """Return work on a deployment that this gcloud does."""
        patience = Patience(sleep=self.pauses.append, clock=self.clock)
        gcloud = Gcloud(deployment.project, execute=self, is_dry_run=False, patience=patience)
        return Work(
            deployment=deployment,
            gcloud=gcloud,
            folder=folder,
            patience=patience,
            leave_open=self.left_open.append,
            try_import=self.try_import,
            outside=self.outside,
        )

    def run(
        self, settings: Path, *words: str, place: Sequence[str] = ("--project", PROJECT, "--region", REGION)
    ) -> int:
        """Run deploy_functions.sh, and return its exit code."""
        env = {"PATH": str(installed(settings.parent))}
        line = [*words, *place, "--settings", str(settings)]
        return main(
            line,
            env=env,
            execute=self,
            sleep=self.pauses.append,
            clock=self.clock,
            try_import=self.try_import,
            outside=self.outside,
        )

    def clock(self) -> float:
        """Return the seconds that were waited in all: commands take no time."""
        return sum(self.pauses)


def installed(folder: Path) -> Path:
    """Make a folder with a gcloud that is only looked for, and return it."""
    program = folder / "installed" / "gcloud"
    program.parent.mkdir(exist_ok=True)
    program.touch(0o755)
    return program.parent


def commands(text: str) -> list[list[str]]:
    """Return the commands of a dry run, as a shell reads them."""
    return [shlex.split(line) for line in text.splitlines() if not line.startswith("#")]


def deployment_of(settings: Path, *lines: str, region: str = REGION, only: Sequence[str] = ()) -> Deployment:
    """Return the deployment of these settings, which are written to a file."""
    settings.write_text("\n".join(lines))
    return read_deployment(project=PROJECT, region=region, number=NUMBER, only=only, file=settings)


def job_of(function: Function) -> str:
    """Return the name of a function's Scheduler job."""
    assert function.scheduler_job
    return function.scheduler_job.name


TICK = FUNCTIONS["tick"]
