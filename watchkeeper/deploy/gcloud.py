"""Running gcloud: commands that change something, questions, and a dry run that prints both and runs neither."""

import os
import re
import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from subprocess import PIPE, Popen
from typing import NamedTuple, Protocol

import click

from shared.errors import WatchkeeperError
from watchkeeper.deploy.patience import Backoff, Patience, passing

USAGE_ERROR = 2  # how gcloud ends upon a command that it does not know
# Nothing is to wait for an answer that nobody gives, nor be silenced by what a person has set in gcloud.
ENVIRONMENT = {
    "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
    "CLOUDSDK_CORE_USER_OUTPUT_ENABLED": "1",
    "CLOUDSDK_CORE_VERBOSITY": "warning",
}

# Warnings precede an error, and may speak of something else.
_NOT_FOUND = re.compile(r"^ERROR: .*(NOT_FOUND|not found|Cannot find|\[404\])", re.IGNORECASE | re.MULTILINE)

_EXISTS = re.compile(r"ALREADY_EXISTS|already exists", re.IGNORECASE)

_OUTSIDERS = re.compile(r"allowedPolicyMember|permitted customer", re.IGNORECASE)


class StepFailed(WatchkeeperError):
    """A step cannot be done; the message says why."""


class GcloudFailed(StepFailed):
    """gcloud failed, and has written why: its `errors`."""

    def __init__(self, errors: str = "") -> None:
        super().__init__()
        self.errors = errors

    @property
    def is_for_outsiders(self) -> bool:
        """Return whether the organisation lets nobody of another domain have a role, Google's own accounts included."""
        return _OUTSIDERS.search(self.errors) is not None


class Ended(NamedTuple):
    """The end of a command: its exit code, its errors and, where that was captured, its output."""

    code: int
    output: bytes = b""
    errors: str = ""

    @property
    def is_not_found(self) -> bool:
        """Return whether gcloud says that something is not there."""
        return self.code != 0 and _NOT_FOUND.search(self.errors) is not None


class Execute(Protocol):
    """Runs a command; tests record it instead."""

    def __call__(self, command: Sequence[str], *, stdin: bytes | None, is_captured: bool) -> Ended:
        """Run it to its end, with `stdin` or ours. What is not captured goes to the terminal; its errors do both."""
        ...


def execute(command: Sequence[str], *, stdin: bytes | None, is_captured: bool) -> Ended:
    """Run a command. An exception, such as that of a signal, ends it first."""
    env = {**os.environ, **ENVIRONMENT}
    output = PIPE if is_captured else None
    with Popen(command, stdin=None if stdin is None else PIPE, stdout=output, stderr=PIPE, env=env) as process:
        try:
            written, errors = process.communicate(stdin) if is_captured else (b"", _shown(process, stdin))
        except BaseException:
            process.terminate()
            raise
    return Ended(process.returncode, written, errors.decode(errors="replace"))


def _shown(process: Popen[bytes], stdin: bytes | None) -> bytes:
    """Show the errors of a command as they come, and return them."""
    if process.stdin is not None:
        with suppress(BrokenPipeError), process.stdin as pipe:
            pipe.write(stdin or b"")
    assert process.stderr is not None
    parts = []
    while part := os.read(process.stderr.fileno(), 4096):
        parts.append(part)
        click.echo(part, nl=False, err=True)
    return b"".join(parts)


class Gcloud:
    """gcloud on one project. With `patience` it tries again what is refused and passes by itself."""

    def __init__(self, project: str, *, execute: Execute, is_dry_run: bool, patience: Patience | None = None) -> None:
        self.is_dry_run = is_dry_run
        self._project = project
        self._execute = execute
        self._patience = patience

    def run(self, *words: str, stdin: bytes | None = None, unless: Callable[[], bool] | None = None) -> None:
        """Run a command that changes something. Raises GcloudFailed, and StillRefused if waiting did not help.

        After a wait it is not run again if `unless` says that it was done although its answer was lost.
        """
        ended = self._patiently(words, stdin=stdin, is_question=False, unless=unless)
        if ended.code:
            raise GcloudFailed(ended.errors)

    def look(self, *words: str) -> str | None:
        """Return what a question shows, None for what is not there; in a dry run nothing is.

        Raises StepFailed, and StillRefused if waiting did not help.
        """
        ended = self._patiently(words, is_question=True)
        if self.is_dry_run:
            return None
        if ended.code == 0:
            return ended.output.decode().rstrip("\n")
        if ended.is_not_found:
            return None
        click.echo(ended.errors, nl=False, err=True)
        raise StepFailed(f"gcloud {words[0]} {words[1]} failed; see its error above")

    def ask(self, *words: str) -> Ended:
        """Return how a question ends that may be refused. A dry run does not print it."""
        return Ended(1) if self.is_dry_run else self._end(words, is_captured=True)

    def is_missing(self, *words: str) -> bool:
        """Return whether a question says that something is not there; one that cannot be asked does not say so."""
        return self.ask(*words).is_not_found

    def _patiently(
        self,
        words: Sequence[str],
        *,
        is_question: bool,
        stdin: bytes | None = None,
        unless: Callable[[], bool] | None = None,
    ) -> Ended:
        """Return how a command ends, which is run again while its refusal passes by itself. Raises StillRefused."""
        backoff = Backoff(self._patience) if self._patience else None
        is_again = False
        while (ended := self._end(words, is_captured=is_question, stdin=stdin)).code and backoff:
            # The refusal may have come after the change, as when the answer was lost.
            if is_again and {"create", "create-http-task"}.intersection(words) and _EXISTS.search(ended.errors):
                return Ended(0)
            refusal = passing(ended.errors, is_question=is_question)
            if refusal is None or ended.code == USAGE_ERROR:
                break
            backoff.wait_for(refusal)
            if unless and unless():
                return Ended(0)
            is_again = True
        return ended

    def _end(self, words: Sequence[str], *, is_captured: bool, stdin: bytes | None = None) -> Ended:
        command = ["gcloud", *words, f"--project={self._project}"]
        if self.is_dry_run:
            click.echo(shlex.join(command))
            return Ended(0)
        return self._execute(command, stdin=stdin, is_captured=is_captured)
