"""What a smoke test waits for, and gives up."""

from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from tests.support.recorder import refused
from tests.support.smoking import EVERY_WAY, FAULTS, RUN, FakeDeployment, call_gmail, call_tick
from watchkeeper.deploy.gcloud import Ended
from watchkeeper.deploy.patience import LIMIT, StillRefused
from watchkeeper.deploy.work import Work


@EVERY_WAY
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_temporary_refusal_is_waited_for(
    cloud: FakeDeployment, work: Work, take: Callable[[Work], None], fault: str, times: int
) -> None:
    """A grant without effect yet, a busy instance, an unreachable store: it succeeds in the end, with one run."""
    cloud.said = [*[fault] * times, ""]

    take(work)

    assert len(cloud.runs) == (take is not call_gmail)
    assert (cloud.jobs, cloud.tasks, cloud.left_open) == ([], {}, [])
    assert {5, 10}.intersection(cloud.pauses)


@EVERY_WAY
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("is_lost", [False, True])
def test_a_refused_command_is_sent_again(
    cloud: FakeDeployment,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
    take: Callable[[Work], None],
    times: int,
    is_lost: bool,
) -> None:
    """Each command, several times; also if it was executed and only its answer was lost."""
    answer, seen = cloud._answer, Counter[str]()

    def disturbed(words: Sequence[str]) -> Ended:
        command = " ".join(words)
        seen[command] += 1
        if seen[command] > times:
            is_made = is_lost and "create-http-task" in words
            return refused("ALREADY_EXISTS: The task exists") if is_made else answer(words)
        if is_lost and seen[command] == 1 and "describe" not in words:
            answer(words)
        return refused("UNAVAILABLE: The service is currently unavailable.")

    monkeypatch.setattr(cloud, "_answer", disturbed)

    take(work)

    assert len(cloud.runs) == (take is not call_gmail)
    assert (cloud.jobs, cloud.tasks, cloud.left_open) == ([], {}, [])


@EVERY_WAY
@pytest.mark.parametrize(("fault", "remedy"), FAULTS.items())
def test_a_refusal_that_lasts_ends_with_its_remedy(
    cloud: FakeDeployment, work: Work, take: Callable[[Work], None], fault: str, remedy: str
) -> None:
    """After about eight minutes, and nothing is left behind."""
    cloud.said = [fault]

    with pytest.raises(StillRefused, match=remedy):
        take(work)

    assert LIMIT <= cloud.clock() < LIMIT + 120
    assert (cloud.jobs, cloud.tasks, cloud.runs) == ([], {}, [])


def test_an_instance_that_is_busy_with_the_tick_of_the_minute_is_no_failure(
    cloud: FakeDeployment, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs the job, however often the other call is refused."""
    cloud.said = ["RESOURCE_EXHAUSTED, 429"]
    run = cloud._run

    def beside(name: str) -> object:
        cloud.tick()
        return run(name)

    monkeypatch.setattr(cloud, "_run", beside)

    call_tick(work)

    assert len(cloud.runs) == len([change for change in cloud.changes if change == RUN]) == 1
