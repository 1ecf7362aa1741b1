"""What a smoke test proves."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.deploying import SETTINGS, TASKS, url
from tests.support.smoking import JOB_WAYS, FakeDeployment, deliver
from watchkeeper.deploy.steps import steps_of
from watchkeeper.deploy.work import Work


@JOB_WAYS
def test_a_job_is_made_run_once_and_deleted(
    cloud: FakeDeployment, work: Work, capsys: pytest.CaptureFixture[str], take: Callable[[Work], None]
) -> None:
    """By the tick, and by the function that Cloud Tasks calls: the real ones, with the required token."""
    take(work)

    (ran,) = cloud.runs
    assert ran.startswith("smoke:")
    assert (cloud.jobs, cloud.tasks, cloud.left_open) == ([], {}, [])
    assert capsys.readouterr().out.startswith("proved: ")


def test_cloud_tasks_calls_the_function_as_it_always_does(cloud: FakeDeployment, work: Work) -> None:
    """At its address, which is the audience too, and as its account."""
    deliver(work)

    assert {
        *("--queue=watchkeeper-agents", f"--url={url('run_job')}", f"--oidc-token-audience={url('run_job')}"),
        f"--oidc-service-account-email={TASKS}",
    } <= set(cloud.flags("tasks create-http-task"))


def test_all_ends_with_the_smoke_test(work: Work) -> None:
    """Every Scheduler job, every queue and Chat's function are tested, as the last step."""
    titles = [step.title for step in steps_of("all", work)]

    assert titles[-6:] == [
        *("apply: alerts", "smoke: tick", "smoke: gmail_watch", "smoke: airtable_refresh", "smoke: queue agents"),
        "smoke: chat_webhook",
    ]
    assert [step.title for step in steps_of("smoke", work)] == titles[-5:]


def test_a_whole_smoke_test_ends_well_and_says_what_is_left(
    cloud: FakeDeployment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only Chat can sign an event, so this part stays open."""
    (settings := tmp_path / "production.env").write_text(SETTINGS)

    code = cloud.run(settings, "smoke")

    said = capsys.readouterr()
    assert code == 0
    assert said.out.count("proved: ") == 5
    assert said.err == (
        "\nLeft open:\n  not proved: that Google Chat reaches watchkeeper-chat-webhook; write `help` to the app\n"
    )
