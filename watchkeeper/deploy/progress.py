"""How far a run came: its steps one after the other, what was not done, and the commands to go on with."""

import shlex
from collections.abc import Iterator, Sequence
from itertools import groupby

from watchkeeper.deploy.command_line import CommandLine
from watchkeeper.deploy.steps import Step


class Progress:
    """The steps of a run, how many of them are done, and what those left open."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps
        self.done = 0
        self.left_open: list[str] = []

    def __iter__(self) -> Iterator[Step]:
        """Return one step after the other; the one before is done when the next is asked for."""
        for step in self.steps:
            yield step
            self.done += 1

    @property
    def is_complete(self) -> bool:
        """Return whether nothing is left to do."""
        return self.done == len(self.steps)

    def report(self) -> str:
        """Return a line for each step."""
        states = ["done    "] * self.done + ["FAILED  "] + ["not done"] * len(self.steps)
        return "".join(f"{state}  {step.title}\n" for state, step in zip(states, self.steps, strict=False))

    def commands(self, line: CommandLine, script: str) -> Iterator[str]:
        """Return the commands that go on: one for each verb that is not done, with the functions that are left."""
        for verb, steps in groupby(self.steps[self.done :], key=lambda step: step.verb):
            names = line.only if verb == "setup" else [step.function for step in steps if step.function]
            yield shlex.join(
                [
                    *(script, verb, "--project", line.project, "--region", line.region),
                    *(("--settings", line.settings) if line.settings else ()),
                    *(("--only", *names) if names else ()),
                    *(("--to", line.to) if line.to else ()),
                    *(("--if-configured",) if line.is_if_configured else ()),
                    *(("--removed",) if line.is_removed else ()),
                    *(("--share",) if line.is_shared else ()),
                    *(("--dry-run",) if line.is_dry_run else ()),
                ]
            )
