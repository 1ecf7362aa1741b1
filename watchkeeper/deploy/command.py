"""One run of `deploy_functions.sh`: from its command line to its exit code."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from shared.errors import WatchkeeperError
from shared.settings import DEFAULT_PREFIX, PROJECT_FOLDER
from watchkeeper.deploy.command_line import USAGE, CommandLine, HelpWanted, Misused, read_command_line
from watchkeeper.deploy.deployment import CHOSEN, UNKNOWN_NUMBER, Deployment, read_deployment
from watchkeeper.deploy.found import find_removed
from watchkeeper.deploy.gcloud import Execute, Gcloud, GcloudFailed, StepFailed, execute
from watchkeeper.deploy.operating import read_serving
from watchkeeper.deploy.outside import Outside
from watchkeeper.deploy.patience import Patience
from watchkeeper.deploy.plan import show_plan
from watchkeeper.deploy.preflight import deployed, refuse_at_once
from watchkeeper.deploy.progress import Progress
from watchkeeper.deploy.signals import Interrupted, raised
from watchkeeper.deploy.staging import try_import
from watchkeeper.deploy.steps import ALL, Step, steps_of, steps_of_removal
from watchkeeper.deploy.work import TryImport, Work

SHOWING = ("plan", "status", "serving")  # nothing but what they show is of interest
SCRIPT = str(PROJECT_FOLDER / "deploy_functions.sh")
OUTSIDE = Outside()


def main(
    words: Sequence[str],
    *,
    env: Mapping[str, str] = os.environ,
    execute: Execute = execute,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    try_import: TryImport = try_import,
    outside: Outside = OUTSIDE,
) -> int:
    """Run the command, and return its exit code; minus the number of a signal that ended it.

    `all` shows its plan, and asks, where stdin is a terminal.
    """
    try:
        line = read_command_line(words)
    except HelpWanted:
        click.echo(USAGE, nl=False)
        return 0
    except Misused as exc:
        click.echo(f"error: {exc}; see --help", err=True)
        return 2
    progress = Progress([])
    patience = Patience(sleep=sleep, clock=clock, is_terminal=sys.stderr.isatty())
    code = _attempt(lambda: _run(line, env, execute, try_import, patience, progress, outside))
    with suppress(OSError):  # nobody reads it
        if not progress.is_complete:
            commands = "".join(f"  {command}\n" for command in progress.commands(line, SCRIPT))
            click.echo(f"\n{progress.report()}To continue:\n{commands}", nl=False, err=True)
        if progress.left_open:
            points = "".join(f"  {point}\n" for point in progress.left_open)
            click.echo(f"\nLeft open:\n{points}", nl=False, err=True)
    return code


def _attempt(run: Callable[[], None]) -> int:
    try:
        with raised():
            run()
    except Interrupted as exc:
        return -exc.number
    except GcloudFailed:
        return 1
    except (WatchkeeperError, OSError) as exc:
        click.echo(f"error: {exc}", err=True)
        return 1
    return 0


def _run(
    line: CommandLine,
    env: Mapping[str, str],
    execute: Execute,
    try_import: TryImport,
    patience: Patience,
    progress: Progress,
    outside: Outside,
) -> None:
    called_from = Path(env.get("CALLED_FROM", "."))
    line.settings = _find_settings(line.settings, called_from)
    line.to = line.to and _find(line.to, called_from, "file of revisions")
    if not line.is_dry_run and not shutil.which("gcloud", path=env.get("PATH")):
        raise StepFailed("gcloud is not installed: https://cloud.google.com/sdk/docs/install")
    # What else operates asks about a deployment that is there: nothing was made or granted just now.
    may_wait = patience if line.verb in (*ALL, "all") else None
    gcloud = Gcloud(line.project, execute=execute, is_dry_run=line.is_dry_run, patience=may_wait)
    deployment = _prepared(line, gcloud)
    if not deployment.functions:
        return
    refuse_at_once(line.verb, deployment, gcloud, may_share=line.is_shared)
    with TemporaryDirectory() as folder:
        work = Work(
            deployment=deployment,
            gcloud=gcloud,
            folder=Path(folder),
            patience=patience,
            leave_open=progress.left_open.append,
            try_import=try_import,
            settings=Path(line.settings) if line.settings else None,
            only=line.only,
            back_to=read_serving(Path(line.to).read_text(encoding="utf-8", errors="replace")) if line.to else None,
            outside=outside,
        )
        if line.verb == "all" and not (line.is_confirmed or line.is_dry_run) and sys.stdin.isatty():
            show_plan(work)
            _confirm("Type yes to deploy this: ", "yes", "nothing was deployed")
        progress.steps = _removal(line, work) if line.is_removed else steps_of(line.verb, work)
        if not progress.steps and not line.is_removed:
            _have_nothing_to_do(line, deployment)
        for step in progress:
            if step.verb not in SHOWING:
                work.announce(step.title)
            step.do()
    if not line.is_dry_run and line.verb not in SHOWING:
        work.announce("done")


def _have_nothing_to_do(line: CommandLine, deployment: Deployment) -> None:
    """Say so. Raises StepFailed where a person named the functions: something else was expected then."""
    names = " or ".join(function.name for function in deployment.functions)
    says = f"there is nothing to do: neither a Cloud Scheduler job nor a queue calls {names}"
    if line.only and not line.is_if_configured:
        raise StepFailed(says)
    click.echo(f"# {says}" if line.is_dry_run else says)


def _find_settings(given: str, called_from: Path) -> str:
    """Return the settings file, as an absolute path, or "" where there is none."""
    if not given:
        default = PROJECT_FOLDER / ".env"
        return str(default) if default.is_file() else ""
    return _find(given, called_from, "settings file")


def _find(given: str, called_from: Path, what: str) -> str:
    """Return the absolute path of a file that was named. Raises StepFailed."""
    path = os.path.abspath(called_from / given)
    if not os.path.isfile(path):
        raise StepFailed(f"there is no {what} {given}")
    return path


def _prepared(line: CommandLine, gcloud: Gcloud) -> Deployment:
    """Return what is to be deployed, once the person who destroys it has confirmed that. Raises WatchkeeperError."""
    file = Path(line.settings) if line.settings else None
    deployment = read_deployment(
        project=line.project, region=line.region, number=UNKNOWN_NUMBER, only=line.only, file=file
    )
    is_deploying = line.verb in (*ALL, "plan", "all")
    # It refuses a webhook that would be unprotected. What operates, such as pause, is not kept from it by that.
    needs_number = is_deploying and deployment.needs_number
    if line.is_if_configured or (is_deploying and not line.only):
        deployment = _configured(line, deployment, gcloud)
    if line.verb == "destroy" and not line.is_removed:
        _confirm_destruction(line, deployment, [function.name for function in deployment.functions])
    if needs_number and line.verb in ("plan", "setup", "functions", "all"):
        return replace(deployment, number=_ask_number(gcloud, deployment))
    return deployment


def _configured(line: CommandLine, deployment: Deployment, gcloud: Gcloud) -> Deployment:
    """Return the deployment without the functions that are not configured, and say so."""
    wanted = deployment.without_unconfigured()
    left_out = [function for function in deployment.functions if function not in wanted.functions]
    prefix, is_data = "# " if line.is_dry_run else "", line.verb == "serving"  # whose output goes into a file
    if left_out and deployment.chosen_functions:
        names = ", ".join(each.name for each in left_out)
        click.echo(f"{prefix}left out, since {CHOSEN} does not name them: {names}", err=is_data)
    elif left_out:
        names = ", ".join(f"{each.name} ({', '.join('|'.join(one) for one in each.requires)})" for each in left_out)
        click.echo(f"{prefix}left out, since none of their settings is set: {names}", err=is_data)
    for name in deployed(deployment, left_out, gcloud) if line.verb in ("functions", "all") else ():
        click.echo(f"{name} is deployed, and no longer configured; it stays until `destroy --only {name}`")
    return wanted


def _ask_number(gcloud: Gcloud, deployment: Deployment) -> str:
    number = gcloud.look("projects", "describe", deployment.project, "--format=value(projectNumber)")
    if number is None and not gcloud.is_dry_run:
        raise StepFailed(f"there is no project {deployment.project}")
    return number or UNKNOWN_NUMBER


def _removal(line: CommandLine, work: Work) -> list[Step]:
    """Return the steps that destroy what the table no longer has, once a person has confirmed that."""
    removed = find_removed(work.deployment, work.gcloud)
    if removed.all:
        _confirm_destruction(line, work.deployment, list(dict.fromkeys(found.name for found in removed.all)))
    elif not work.is_dry_run:
        click.echo("everything deployed is in functions.toml")
    work.note("and then delete each of them that functions.toml no longer has")
    return steps_of_removal(removed, work)


def _confirm_destruction(line: CommandLine, deployment: Deployment, names: Sequence[str]) -> None:
    """Raise StepFailed unless somebody types the project's id, or has said that nobody is to be asked."""
    if line.is_confirmed or line.is_dry_run:
        return
    of = "" if deployment.table.prefix == DEFAULT_PREFIX else f", of the deployment {deployment.table.prefix}"
    what = f"functions and Scheduler jobs in {deployment.project} ({deployment.region}){of}"
    click.echo(f"This deletes {what}: {' '.join(names)}")
    question = "Everything else stays. Type the project's id to continue: "
    _confirm(question, deployment.project, "nothing was deleted")


def _confirm(question: str, wanted: str, otherwise: str) -> None:
    """Raise StepFailed unless somebody types what is wanted."""
    try:
        answer = input(question)
    except EOFError:
        answer = ""
    if answer.strip() != wanted:
        raise StepFailed(otherwise)
