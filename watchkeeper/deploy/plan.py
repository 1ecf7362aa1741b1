"""What a deployment would create, change and leave, and what is there that the table does not have. It only asks."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import click

from watchkeeper.deploy.asking import ApiOff, CannotAsk, NoGcloud, Question, answer_of, ask_all
from watchkeeper.deploy.checks import checks
from watchkeeper.deploy.function_checks import beside
from watchkeeper.deploy.functions_table import Function
from watchkeeper.deploy.gcloud import StepFailed
from watchkeeper.deploy.monitoring import placeholders, policies, read_filled
from watchkeeper.deploy.preflight import BUILDS_ALWAYS
from watchkeeper.deploy.problems import Check, Fate, Problem
from watchkeeper.deploy.remedies import Remedies
from watchkeeper.deploy.work import Work


class Line(NamedTuple):
    """One line of a plan: what is done with something."""

    fate: Fate
    subject: str
    says: str
    is_thing: bool = False  # not who may do something with one


# What has a price of its own, as docs/OPERATIONS.md has it under "What it costs".
COSTS: dict[str, Callable[[int], str]] = {
    "schedule": lambda count: (
        f"Scheduler jobs: {count}, ${count * 0.1:.2f}; the first three of a billing account are free"
    ),
    "secret": lambda count: (
        f"secrets: {count}, ${count * 0.06:.2f}; the first six versions of a billing account are free"
    ),
    "function": lambda count: f"functions: {count}, ticks free; $0.10 for each GB of their images beyond 0.5 GB",
    "database": lambda _: "Firestore: under $0.01 for 1,000 jobs a day, $8.32 for 100,000 in us-central1",
    "alert": lambda count: f"alerts: {count}; Google's price list has the price of a condition",
}


def show_plan(work: Work) -> None:
    """Print the plan of a deployment; in a dry run, the questions. Raises StepFailed if nothing can be asked."""
    remedies, gcloud = Remedies(deployment=work.deployment, file=work.settings, only=work.only), work.gcloud
    asked = [*checks(remedies), *_monitoring(remedies, policies(gcloud)), *_inventory(remedies)]
    questions = list(dict.fromkeys(check.question for check in asked))
    if gcloud.is_dry_run:
        for question in questions:
            gcloud.look(*question, "--format=json")
        return
    answers = dict(ask_all(questions, lambda question: answer_of(gcloud.ask(*question, "--format=json"))))
    for answer in answers.values():
        if isinstance(answer, NoGcloud):
            raise StepFailed(f"gcloud: {answer}")
    lines = [line for check in asked for line in lines_of(check, answers[check.question])]
    click.echo(f"what `all` does in {remedies.deployment.project} ({remedies.deployment.region}), and what it finds:\n")
    for text in (*_shown(lines), *_remarks(lines, answers.values(), work.deployment.region)):
        click.echo(text)


def lines_of(check: Check, answer: Any) -> Iterator[Line]:
    """Return what a deployment does about what is asked."""
    found = None if isinstance(answer, ApiOff) else answer
    try:
        problems = check.problems(found)
    except CannotAsk as exc:
        yield Line(Fate.UNKNOWN, check.subject, f"{check.about} could not be checked: {exc}")
        return
    lines = [line for problem in problems for line in _lines_about(check, problem, is_there=found is not None)]
    yield from dict.fromkeys(lines)
    if check.anyway and not any(line.fate is Fate.CREATE for line in lines):
        yield Line(Fate.CHANGE, check.subject, check.anyway)
    elif not lines and check.well:
        yield Line(
            *((Fate.CREATE, check.subject, check.about) if found is None else (Fate.LEAVE, check.subject, check.well))
        )


def _lines_about(check: Check, problem: Problem, *, is_there: bool) -> Iterator[Line]:
    fate = Fate.CREATE if problem.fate is Fate.CHANGE and not is_there else problem.fate
    if fate is None:
        return
    if fate is Fate.CREATE:
        is_thing = problem.fate is Fate.CREATE
        yield from (Line(fate, check.subject, thing, is_thing) for thing in problem.things or (check.about,))
    else:
        by_hand = f"; {problem.remedy}" if fate in (Fate.LEAVE, Fate.UNKNOWN) and problem.remedy else ""
        yield Line(fate, check.subject, f"{problem.says}{by_hand}")


def _shown(lines: Sequence[Line]) -> Iterator[str]:
    for fate in Fate:
        for line in lines:
            if line.fate is fate:
                yield f"{fate:<8} {line.subject:<10} {line.says}"


def _remarks(lines: Sequence[Line], answers: Iterable[Any], region: str) -> Iterator[str]:
    """Return what stands below the lines: how many there are, what could not be seen, and what it costs."""
    count = Counter(line.fate for line in lines)
    yield ""
    yield (
        f"to create: {count[Fate.CREATE]}, to change: {count[Fate.CHANGE]}, left as they are: {count[Fate.LEAVE]}, "
        f"unknown: {count[Fate.UNKNOWN]}; nothing was changed"
    )
    if any(line.fate is Fate.CREATE and line.subject == "function" for line in lines) and region not in BUILDS_ALWAYS:
        regions = ", ".join(sorted(BUILDS_ALWAYS))
        yield f"Google lets some projects build only in these regions, and {region} is not one of them: {regions}"
    if any(line.fate is Fate.LEAVE and line.subject == "secret" for line in lines):
        yield "the values of secrets are not compared; setup adds a version where the settings file has another value"
    if any(isinstance(answer, ApiOff) for answer in answers):
        yield "some APIs are off, so what they have is taken for missing"
    made = Counter(line.subject for line in lines if line.fate is Fate.CREATE and line.is_thing)
    if costs := [cost(made[subject]) for subject, cost in COSTS.items() if made[subject]]:
        yield "what is created costs a month (docs/OPERATIONS.md, What it costs):"
        yield from (f"  {cost}" for cost in costs)


# -- What `doctor` does not ask about ----------------------------------------------------------------------------------


def _monitoring(remedies: Remedies, policies: Question) -> Iterator[Check]:
    """Yield a check for each kind of monitoring. What is there is always brought up to date."""
    metrics = [json.loads(text)["name"] for text in read_filled(remedies.deployment, "metric-*.json").values()]
    titles = [json.loads(text)["displayName"] for text in read_filled(remedies.deployment, "alert-*.json").values()]
    name = placeholders(remedies.deployment)["DASHBOARD"]
    yield _listed(remedies, "metric", metrics, ("logging", "metrics", "list"), "name")
    yield _listed(remedies, "alert", titles, (*policies, "list"), "displayName")
    dashboard = ("monitoring", "dashboards", "describe", name)
    missing = Problem("there is no dashboard", remedies.deploy("monitoring"), fate=Fate.CREATE)
    anyway = f"{name} is brought up to date"
    yield Check("dashboard", name, dashboard, "", lambda found: iter(() if found else (missing,)), anyway)


def _listed(remedies: Remedies, subject: str, wanted: Sequence[str], question: Question, key: str) -> Check:
    def judge(found: Any) -> Iterator[Problem]:
        there = {each.get(key) for each in found or []}
        if missing := tuple(name for name in wanted if name not in there):
            yield Problem(
                f"there is no {', '.join(missing)}", remedies.deploy("monitoring"), fate=Fate.CREATE, things=missing
            )
        if stale := [name for name in wanted if name in there]:
            says = f"{len(stale)} of {len(wanted)} are there, and brought up to date"
            yield Problem(says, remedies.deploy("monitoring"), fate=Fate.CHANGE)

    return Check(subject, f"every {subject}", question, "", judge)


def _inventory(remedies: Remedies) -> Iterator[Check]:
    """Yield the checks that find what is named like ours and is not in the table, or not configured any more."""
    deployment, table = remedies.deployment, remedies.deployment.table
    region = deployment.region
    jobs = {function.scheduler_job.name for function in table.functions if function.scheduler_job}
    accounts = {table.scheduler_account.id, table.tasks_account.id, table.build_account.id}
    accounts |= {f"{table.prefix}deployer", *(function.account.id for function in table.functions)}
    yield beside(remedies)._replace(well="")
    yield _foreign(remedies, "schedule", ("scheduler", "jobs", "list", f"--location={region}"), jobs)
    queues = {deployment.queue(queue) for queue in table.queues}
    yield _foreign(remedies, "queue", ("tasks", "queues", "list", f"--location={region}"), queues)
    yield _foreign(remedies, "accounts", ("iam", "service-accounts", "list"), accounts)
    secrets = {f"{table.prefix}settings", *(secret.name for secret in table.secrets.values())}
    yield _foreign(remedies, "secret", ("secrets", "list"), secrets)
    if not remedies.only:
        left_out = [function for function in table.functions if function not in deployment.functions]
        yield from (_no_longer_configured(remedies, function) for function in left_out)


def _foreign(remedies: Remedies, subject: str, question: Question, known: Iterable[str]) -> Check:
    """Return the check that finds what has our prefix and is not known."""

    def judge(found: Any) -> Iterator[Problem]:
        names = [each.get("name", "").rpartition("/")[2].partition("@")[0] for each in found or []]
        for name in sorted({name for name in names if name.startswith(remedies.deployment.table.prefix)} - {*known}):
            yield Problem(f"{name} is there, and functions.toml does not have it; it stays", "", fate=Fate.UNKNOWN)

    return Check(subject, f"every {subject}", question, "", judge)


def _no_longer_configured(remedies: Remedies, function: Function) -> Check:
    service = remedies.deployment.service(function)

    def judge(found: Any) -> Iterator[Problem]:
        if found is not None:
            says = f"{service} is deployed, and no longer configured"
            yield Problem(says, remedies.deploy("destroy", function.name), fate=Fate.UNKNOWN)

    question = ("functions", "describe", service, "--gen2", f"--region={remedies.deployment.region}")
    return Check("function", service, question, "", judge)
