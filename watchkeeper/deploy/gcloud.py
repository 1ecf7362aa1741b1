"""Running gcloud: commands that change something, questions, and a dry run that prints both and runs neither."""

import os
import re
import shlex
from collections.abc import Sequence
from subprocess import PIPE, Popen
from typing import NamedTuple, Protocol

import click

from shared.errors import WatchkeeperError

_NOT_FOUND = re.compile(r"NOT_FOUND|not found|\[404\]", re.IGNORECASE)


class StepFailed(WatchkeeperError):
    """A step cannot be done; the message says why."""


class GcloudFailed(StepFailed):
    """gcloud failed, and has written why."""


class Ended(NamedTuple):
    """The end of a command: its exit code and, where that was captured, what it wrote."""

    code: int
    output: bytes = b""
    errors: str = ""


class Execute(Protocol):
    """Runs a command; tests record it instead."""

    def __call__(self, command: Sequence[str], *, stdin: bytes | None, is_captured: bool) -> Ended:
        """Run it to its end, with `stdin` or ours. What is not captured goes to the terminal."""
        ...


def execute(command: Sequence[str], *, stdin: bytes | None, is_captured: bool) -> Ended:
    """Run a command. An exception, such as that of a signal, ends it first."""
    pipe = PIPE if is_captured else None
    # Nothing is to wait for an answer that nobody gives.
    env = {**os.environ, "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}
    with Popen(command, stdin=None if stdin is None else PIPE, stdout=pipe, stderr=pipe, env=env) as process:
        try:
            output, errors = process.communicate(stdin)
        except BaseException:
            process.terminate()
            raise
    return Ended(process.returncode, output or b"", (errors or b"").decode(errors="replace"))


class Gcloud:
    """gcloud on one project."""

    def __init__(self, project: str, *, execute: Execute, is_dry_run: bool) -> None:
        self.is_dry_run = is_dry_run
        self._project = project
        self._execute = execute

    def run(self, *words: str, stdin: bytes | None = None) -> None:
        """Run a command that changes something. Raises GcloudFailed."""
        if self._end(words, stdin=stdin, is_captured=False).code:
            raise GcloudFailed

    def try_run(self, *words: str) -> Ended:
        """Run a command that changes something, show what it wrote, and return its end, whatever that is."""
        ended = self._end(words, is_captured=True)
        click.echo(ended.output, nl=False)
        click.echo(ended.errors, nl=False, err=True)
        return ended

    def look(self, *words: str) -> str | None:
        """Return what a question shows, None for what is not there; in a dry run nothing is. Raises StepFailed."""
        ended = self._end(words, is_captured=True)
        if self.is_dry_run:
            return None
        if ended.code == 0:
            return ended.output.decode().rstrip("\n")
        if _NOT_FOUND.search(ended.errors):
            return None
        click.echo(ended.errors, nl=False, err=True)
        raise StepFailed(f"gcloud {words[0]} {words[1]} could not be asked; what it said stands above")

    def ask(self, *words: str) -> Ended:
        """Return how a question ends that may be refused. A dry run does not print it."""
        return Ended(1) if self.is_dry_run else self._end(words, is_captured=True)

    def _end(self, words: Sequence[str], *, is_captured: bool, stdin: bytes | None = None) -> Ended:
        command = ["gcloud", *words, f"--project={self._project}"]
        if self.is_dry_run:
            click.echo(shlex.join(command))
            return Ended(0)
        return self._execute(command, stdin=stdin, is_captured=is_captured)
