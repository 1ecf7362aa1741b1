"""What all steps of one run share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from watchkeeper.deploy.deployment import Deployment
from watchkeeper.deploy.functions_table import Function, Queue
from watchkeeper.deploy.gcloud import Gcloud
from watchkeeper.deploy.outside import Outside
from watchkeeper.deploy.patience import Patience
from watchkeeper.deploy.staging import try_import

# Imports a staged function from its folder with these settings, or raises StagingFailed.
TryImport = Callable[[Function, Path, Mapping[str, str]], None]


@dataclass(frozen=True, kw_only=True)
class Work:
    """One run: what is deployed, gcloud, a folder for files that is gone at the end, and ways to wait and to import.

    `leave_open` notes what the run leaves undone or unproved, with the remedy; all of it stands at its end.
    `settings` and `only` are as on the command line: a remedy names them. `back_to` has the revision to which a
    rollback goes back, by service; without it that is the one before.
    """

    deployment: Deployment
    gcloud: Gcloud
    folder: Path
    patience: Patience
    leave_open: Callable[[str], None]
    outside: Outside
    try_import: TryImport = try_import
    settings: Path | None = None
    only: Sequence[str] = ()
    back_to: Mapping[str, str] | None = None

    @property
    def is_dry_run(self) -> bool:
        """Return whether commands are printed instead of run."""
        return self.gcloud.is_dry_run

    @property
    def location(self) -> str:
        """Return where the Scheduler jobs and the queues are, as a flag."""
        return f"--location={self.deployment.region}"

    @property
    def region(self) -> str:
        """Return where the functions are, as a flag."""
        return f"--region={self.deployment.region}"

    def announce(self, text: str) -> None:
        """Print a headline; in a dry run it is a comment between the commands."""
        click.echo(f"# {text}" if self.is_dry_run else f"== {text}")

    def note(self, text: str) -> None:
        """Print a comment on a command of a dry run."""
        if self.is_dry_run:
            click.echo(f"# {text}")

    def describe_function(self, function: Function, fields: str) -> str | None:
        """Return these fields of a deployed function, None if it is not there."""
        service = self.deployment.service(function)
        return self.gcloud.look("functions", "describe", service, "--gen2", self.region, f"--format=value{fields}")

    def describe_job(self, job: str, fields: str) -> str | None:
        """Return these fields of a Scheduler job, None if it is not there."""
        return self.gcloud.look("scheduler", "jobs", "describe", job, self.location, f"--format=value{fields}")

    def describe_queue(self, queue: Queue, fields: str) -> str | None:
        """Return these fields of a queue, None if it is not there."""
        name = self.deployment.queue(queue)
        return self.gcloud.look("tasks", "queues", "describe", name, self.location, f"--format=value{fields}")
