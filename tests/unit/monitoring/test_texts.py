"""What the texts of monitoring/ tell people to do."""

import re
import shlex

import click
import pytest

from shared.settings import PROJECT_FOLDER
from tests.support.monitoring_files import ALERTS, FILES, GIVEN, SCHEDULER_JOBS, TABLE, TEXTS, found
from watchkeeper.cli.main import watchkeeper
from watchkeeper.deploy.steps import VERBS


def commands(start: str) -> list[str]:
    """Return the commands with this beginning that are in backticks in any text."""
    quoted = [span for text in TEXTS.values() for span in re.findall(r"`([^`]+)`", text)]
    return sorted({span for span in quoted if span.startswith(f"{start} ")})


@pytest.mark.parametrize("command", commands("watchkeeper"))
def test_every_command_exists(command: str) -> None:
    """The command line accepts it, with its options and choices."""
    _, *words = shlex.split(re.sub(r"\$\{[^}]*\}", "job", command))
    found_command: click.Command = watchkeeper

    while isinstance(found_command, click.Group):
        name, resolved, words = found_command.resolve_command(click.Context(found_command), words)
        assert name
        assert resolved
        found_command = resolved

    assert found_command.make_context("", words)  # raises UsageError


@pytest.mark.parametrize("command", commands("./deploy_functions.sh"))
def test_every_verb_of_the_deployment_exists(command: str) -> None:
    """It has the verb, project, region and settings, which identify the deployment."""
    _, verb, *options = shlex.split(command)
    place, more = options[:4], options[4:]

    assert verb in VERBS
    assert place in ([], ["--project", GIVEN["PROJECT"], "--region", GIVEN["REGION"]])
    assert more[:2] == (["--settings", "FILE"] if place else [])
    assert more[2:] == [] or (more[2] == "--only" and set(more[3:]) <= TABLE["functions"].keys())


@pytest.mark.parametrize("command", commands("gcloud"))
def test_every_gcloud_command_names_existing_resources(command: str) -> None:
    """It reads the log (its filter is tested above) or calls one of the Scheduler jobs, in the project."""
    words = shlex.split(command)

    assert words[-2:] == ["--project", GIVEN["PROJECT"]]
    assert words[1:3] == ["logging", "read"] or (
        words[1:4] == ["scheduler", "jobs", "run"] and words[4] in SCHEDULER_JOBS
    )


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_leads_to_what_there_is(name: str) -> None:
    """The headings and files that it names exist."""
    text = TEXTS[name]

    for page, heading in re.findall(r'(docs/\w+\.md)(?:, "([^"]*)")?', text):
        assert f"## {heading}" in (PROJECT_FOLDER / page).read_text(encoding="utf-8")
    assert set(re.findall(r"(?:alert|metric)-[a-z_]+\.json", text)) <= {path.name for path in FILES}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_happened_and_what_to_do(name: str) -> None:
    """Its conditions provide its variables."""
    alert = ALERTS[name]
    labels = {label for match in found(alert, "labelExtractors") for label in match}
    groups = {group for fields in found(alert, "groupByFields") for group in fields}

    variables = set(re.findall(r"\$\{([^}]*)\}", TEXTS[name]))

    assert re.search(r"\*\*What happened\.\*\*.*\*\*What to do\b", TEXTS[name], re.DOTALL)
    assert variables <= {f"log.extracted_label.{label}" for label in labels} | groups
