"""What a new project refuses at first: every step waits for it, and gives up with one remedy."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.deploying import SETTINGS
from tests.support.drilling import API, FAULTS
from tests.support.gcloud import NUMBER, PROJECT
from tests.support.recorder import MISSING, QUESTIONS, Recorder, deployment_of, refused, shown
from watchkeeper.deploy.gcloud import Ended, GcloudFailed, execute
from watchkeeper.deploy.patience import LIMIT, Patience, StillRefused, passing
from watchkeeper.deploy.steps import steps_of

ASKED_TOO = (API, *(fault for fault in FAULTS if fault.startswith(("RESOURCE_EXHAUSTED", "UNAVAILABLE"))))


@dataclass
class NewProject(Recorder):
    """A project that refuses every command this many times for the same reason before it accepts it."""

    fault: str = ""
    times: int = 0
    refusals: dict[str, int] = field(default_factory=dict)

    def __call__(self, command: Sequence[str], *, stdin: bytes | None, is_captured: bool) -> Ended:
        words = " ".join(command)
        is_refused = self.fault in ASKED_TOO or not QUESTIONS.intersection(command)
        # What may be refused for good is not waited for.
        if is_refused and not {"--limit=1", "access"}.intersection(command):
            self.refusals.setdefault(words, 0)
            if self.refusals[words] < self.times:
                self.refusals[words] += 1
                self.commands.append([*command[1:]])
                return refused(self.fault)
        return super().__call__(command, stdin=stdin, is_captured=is_captured)


def deploy(gcloud: Recorder, folder: Path) -> None:
    """Take every step of `all` except staging, which calls nothing, and the smoke test, which has its own tests."""
    gcloud.answers.setdefault("tasks queues describe", [MISSING, shown("RUNNING")])
    work = gcloud.work(deployment_of(folder / "production.env", SETTINGS), folder)
    for step in steps_of("all", work):
        if not step.title.startswith(("stage", "smoke")):
            step.do()


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("fault", FAULTS)
def test_every_temporary_refusal_is_retried_at_every_step(tmp_path: Path, fault: str, times: int) -> None:
    """A first deployment succeeds, with the same changes as without refusals."""
    smooth, new = Recorder(), NewProject(fault=fault, times=times)

    deploy(smooth, tmp_path)
    deploy(new, tmp_path)

    assert list(dict.fromkeys(new.changes)) == list(dict.fromkeys(smooth.changes))
    assert set(new.refusals.values()) == {times}
    assert len(new.pauses) == sum(new.refusals.values())


@pytest.mark.parametrize(("fault", "remedy"), FAULTS.items())
def test_a_lasting_refusal_ends_with_its_remedy(tmp_path: Path, fault: str, remedy: str) -> None:
    """After about eight minutes; a new metric takes up to ten."""
    gcloud = NewProject(fault=fault, times=10**6)

    with pytest.raises(StillRefused, match=remedy) as caught:
        deploy(gcloud, tmp_path)

    assert str(caught.value).startswith(("waited 8 min for ", "waited 10 min for "))
    assert sum(gcloud.pauses) in (LIMIT, 600)
    assert gcloud.pauses[:5] == [5, 10, 20, 40, 60]


@pytest.mark.parametrize(
    "errors",
    [
        "PERMISSION_DENIED: Permission 'iam.serviceAccounts.create' denied on resource",
        "Build failed with status: FAILURE and message: module 'x' has no attribute 'tick'",
        "INVALID_ARGUMENT: Invalid value at 'schedule'",
        "HTTPError 409: Database already exists. Please use another database_id",
        "ALREADY_EXISTS: Requested entity already exists",
        "NOT_FOUND: it was not found",
        "INVALID_ARGUMENT: Queue.rate_limits.max_concurrent_dispatches must be less than or equal to 5000",
    ],
)
@pytest.mark.parametrize("is_question", [True, False])
def test_a_permanent_error_is_not_retried(errors: str, is_question: bool) -> None:
    """Waiting would only hide it."""
    assert passing(errors, is_question=is_question) is None


def test_a_usage_error_is_not_retried(tmp_path: Path) -> None:
    """gcloud prints every flag of the command then, and one of them may read like a refusal that passes."""
    usage = Ended(2, errors="ERROR: (gcloud.tasks.queues.create) unrecognized arguments: --x\n429 concurrent\n")
    gcloud = Recorder({"tasks queues create": usage})

    with pytest.raises(GcloudFailed):
        deploy(gcloud, tmp_path)

    assert gcloud.pauses == []


def test_a_change_whose_answer_was_lost_counts_as_done(tmp_path: Path) -> None:
    """A second creation is refused, because the resource exists."""
    create = "secrets create watchkeeper-airtable-api-key"
    gcloud = Recorder({create: [refused("UNAVAILABLE"), refused("ALREADY_EXISTS: it exists")]})

    deploy(gcloud, tmp_path)

    assert len(gcloud.pauses) == 1


def test_a_verb_that_only_asks_does_not_retry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing was created just now, so an API that is off stays off."""
    (settings := tmp_path / "production.env").write_text(SETTINGS)
    gcloud = Recorder({"functions describe": refused(API)})

    code = gcloud.run(settings, "status")

    assert (code, gcloud.pauses) == (1, [])
    assert API in capsys.readouterr().err


def test_a_run_that_gives_up_says_why_and_how_to_continue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In CI each pause is a line; the remedy is the only error."""
    (settings := tmp_path / "production.env").write_text(SETTINGS)
    gcloud = Recorder({"projects describe": shown(NUMBER), "iam service-accounts create": refused("ABORTED")})

    code = gcloud.run(settings, "setup")

    said = capsys.readouterr().err
    assert code == 1
    assert "waiting for another change of the same thing to end; trying again in 5 s\n" in said
    assert "waiting for another change of the same thing to end (75 s so far); trying again in 60 s\n" in said
    assert said.count("error: ") == 1
    assert "error: waited 8 min for another change" in said
    assert f"setup --project {PROJECT}" in said


def test_a_terminal_shows_one_line_that_counts_down(capsys: pytest.CaptureFixture[str]) -> None:
    """It is cleared at the end."""
    pauses: list[float] = []

    Patience(sleep=pauses.append, clock=lambda: 0, is_terminal=True).pause(2, "waiting for a role")

    assert pauses == [1, 1]
    assert capsys.readouterr().err == (
        "\rwaiting for a role; trying again in 2 s\x1b[K\rwaiting for a role; trying again in 1 s\x1b[K\r\x1b[K"
    )


def test_the_errors_of_a_change_are_shown_and_read(capfd: pytest.CaptureFixture[str]) -> None:
    """Its output goes only to the terminal; its stdin arrives."""
    script = "import sys; print(sys.stdin.read()); sys.stderr.write('ABORTED'); sys.exit(1)"

    ended = execute([sys.executable, "-S", "-c", script], stdin=b"a value", is_captured=False)

    assert ended == Ended(1, b"", "ABORTED")
    assert capfd.readouterr() == ("a value\n", "ABORTED")


def test_setup_continues_after_a_failed_first_build(tmp_path: Path) -> None:
    """The function exists in the state FAILED; there is no service to call."""
    (settings := tmp_path / "production.env").write_text(SETTINGS)
    there = {"projects describe": shown(NUMBER), "functions describe": shown("FAILED")}
    no_service = refused("(gcloud.run.services.describe) Cannot find service [watchkeeper-tick]")
    policy = refused("(gcloud.run.services.add-iam-policy-binding) NOT_FOUND: Resource was not found")
    gcloud = Recorder(
        {**there, "run services describe": no_service, "run services add-iam-policy-binding": policy},
    )

    code = gcloud.run(settings, "setup")

    assert code == 0
    assert "run services add-iam-policy-binding" not in repr(gcloud.changes)


def test_the_roles_of_builds_are_granted_before_slow_steps(tmp_path: Path) -> None:
    """They take effect only minutes later, so the database is created meanwhile."""
    gcloud = Recorder()

    deploy(gcloud, tmp_path)

    order = [change.partition(" watchkeeper")[0] for change in gcloud.changes]
    assert order.index(f"projects add-iam-policy-binding {PROJECT}") < order.index("firestore databases create")
    assert order.index("secrets add-iam-policy-binding") < order.index("firestore databases create")
