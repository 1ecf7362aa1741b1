"""Drills: a first deployment that is refused, interrupted or loses an answer at any step ends as if undisturbed."""

import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.support.deploying import SETTINGS
from tests.support.drilling import FAULTS, Project, State, attempt
from tests.support.recorder import refused
from watchkeeper.deploy.gcloud import Ended
from watchkeeper.deploy.signals import Interrupted

CHANGES = 80  # of a first deployment


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The settings file of an environment in which every function is configured."""
    path = tmp_path_factory.mktemp("drill") / "production.env"
    path.write_text(SETTINGS)
    return path


@pytest.fixture(scope="module")
def wanted(settings: Path) -> State:
    """The resources after an undisturbed first deployment."""
    project = Project()
    assert attempt(project, settings, "all") == ([], "")
    assert project.done == CHANGES
    return project.state


def go_on(project: Project, settings: Path, commands: Sequence[Sequence[str]]) -> None:
    """Run the commands that an ended run prints."""
    for words in commands:
        assert attempt(project, settings, *words) == ([], "")


def test_a_second_deployment_changes_nothing(settings: Path, wanted: State) -> None:
    """It may be run any number of times."""
    project = Project()
    for _ in range(2):
        attempt(project, settings, "all")

    assert project.state == wanted


@pytest.mark.parametrize("at", range(1, CHANGES + 1))
def test_an_interrupted_run_can_be_continued_as_printed(settings: Path, wanted: State, at: int) -> None:
    """At each change: it is made, but its answer is lost."""

    def interrupt(number: int, words: Sequence[str], do: Callable[[], Ended]) -> Ended:
        ended = do()
        if number == at:
            raise Interrupted(signal.SIGTERM)
        return ended

    project = Project(disturb=interrupt)

    commands, _ = attempt(project, settings, "all")

    assert project.done == at
    go_on(project, settings, commands)
    assert project.state == wanted


def test_a_lost_answer_causes_no_duplicate(settings: Path, wanted: State) -> None:
    """Each change is made but reported as refused, so it is tried again."""
    seen = set()

    def lose(number: int, words: Sequence[str], do: Callable[[], Ended]) -> Ended:
        ended, is_first = do(), tuple(words) not in seen
        seen.add(tuple(words))
        return refused("UNAVAILABLE: The service is currently unavailable.") if is_first else ended

    project = Project(disturb=lose)

    assert attempt(project, settings, "all") == ([], "")
    assert project.state == wanted


@pytest.mark.parametrize("at", range(1, CHANGES + 1))
def test_a_run_that_gives_up_names_the_remedy_and_can_be_continued(settings: Path, wanted: State, at: int) -> None:
    """At each change, for each of the reasons in turn."""
    fault, remedy = list(FAULTS.items())[at % len(FAULTS)]
    refused_command: list[Sequence[str]] = []

    def refuse(number: int, words: Sequence[str], do: Callable[[], Ended]) -> Ended:
        if number == at:
            refused_command.append(words)
        return refused(fault) if words in refused_command else do()

    project = Project(disturb=refuse)

    commands, error = attempt(project, settings, "all")

    assert error.startswith(("waited 8 min for ", "waited 10 min for "))
    assert remedy in error
    refused_command.clear()
    go_on(project, settings, commands)
    assert project.state == wanted
