"""The commands of the steps on queues: limits, roles, and an end that keeps the name."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.deploying import FUNCTIONS, REGION, SERVICES, SETTINGS, TASKS, url
from tests.support.gcloud import PROJECT
from tests.support.recorder import Recorder, deployment_of, refused, shown
from watchkeeper.deploy import operating, queues, setup
from watchkeeper.deploy.functions import deploy_function
from watchkeeper.deploy.functions_table import Queue, read_table
from watchkeeper.deploy.gcloud import StepFailed
from watchkeeper.deploy.smoke import queue
from watchkeeper.deploy.steps import steps_of
from watchkeeper.deploy.work import Work

QUEUE: Queue = read_table({}).queues[0]
NAME = "watchkeeper-agents"
DESCRIBE = f"tasks queues describe {NAME}"
LIMITS = {
    *("--max-concurrent-dispatches=2", "--max-dispatches-per-second=1", "--max-attempts=100", "--min-backoff=10s"),
    *("--max-backoff=600s", "--max-doublings=6", "--max-retry-duration=86400s"),
}


def member(name: str) -> str:
    """Return an account of the project, as policies name it."""
    return f"serviceAccount:watchkeeper-{name}@{PROJECT}.iam.gserviceaccount.com"


def granting(gcloud: Recorder) -> list[list[str]]:
    """Return the commands that grant a role."""
    return [words for words in gcloud.commands if "add-iam-policy-binding" in words]


def run(gcloud: Recorder, folder: Path, *words: str) -> int:
    """Run deploy_functions.sh with the settings of an environment."""
    (folder / "settings").write_text(SETTINGS)
    return gcloud.run(folder / "settings", *words)


# -- Settings ---------------------------------------------------------------------------------------------------------


def test_a_function_that_hands_jobs_over_gets_the_queues_and_the_worker(tmp_path: Path) -> None:
    """The tick and the webhook, where a person may cancel, get the queues; run_job gets its caller."""
    deployment = deployment_of(tmp_path / "settings", "TASKS_API_ENDPOINT=http://127.0.0.1:9")
    hand_over = {
        "TASK_QUEUES": f"agents=projects/{PROJECT}/locations/{REGION}/queues/{NAME}",
        "RUN_JOB_URL": url("run_job"),
        "RUN_JOB_CALLER": TASKS,
        "TASKS_API_ENDPOINT": "http://127.0.0.1:9",
    }

    told = {name: deployment.environment(function) for name, function in FUNCTIONS.items()}

    assert {name for name, env in told.items() if hand_over.items() <= env.items()} == {"tick", "chat_webhook"}
    assert {name for name, env in told.items() if env.keys() & hand_over.keys()} == {"tick", "chat_webhook"}
    assert (told["run_job"]["AUTH_AUDIENCE"], told["run_job"]["AUTH_CALLERS"]) == (url("run_job"), TASKS)
    assert deployment.invoker(FUNCTIONS["run_job"]) == f"serviceAccount:{TASKS}"


def test_a_function_that_uses_no_queue_needs_none_set_up(tmp_path: Path) -> None:
    """A function that uses one knows the address of run_job, even if it is deployed alone."""
    alone = deployment_of(tmp_path / "settings", only=["gmail_watch"])
    tick = deployment_of(tmp_path / "settings", only=["tick"])

    assert (alone.queues, alone.task_makers) == ((), [])
    assert TASKS not in [alone.email(account.id) for account in alone.accounts]
    assert "cloudtasks.googleapis.com" not in alone.apis
    assert tick.environment(FUNCTIONS["tick"])["RUN_JOB_URL"] == url("run_job")
    assert "cloudtasks.googleapis.com" in tick.apis


def test_queues_without_a_worker_are_ignored(tmp_path: Path) -> None:
    """Their handlers run in the tick, and no queue is set up that nothing empties."""
    deployment = deployment_of(tmp_path / "settings")
    functions = tuple(each for each in deployment.functions if each.name != "run_job")

    without = replace(deployment, table=replace(deployment.table, functions=functions), functions=functions)

    assert (without.queues, without.queue_grants, without.task_makers) == ((), [], [])
    assert "TASK_QUEUES" not in without.environment(FUNCTIONS["tick"])


# -- Setup and schedules -----------------------------------------------------------------------------------------------


def test_a_queue_is_made_with_its_limits_and_its_roles(gcloud: Recorder, work: Work) -> None:
    """The tick may use it and create tasks that act as their account; the webhook may delete tasks."""
    setup.make_queues(work)

    flags = [dict(word.split("=", 1) for word in words[4:]) | {"on": words[3]} for words in granting(gcloud)]
    granted = [(each["on"], each["--member"], each["--role"]) for each in flags]
    assert gcloud.changes[0] == f"tasks queues create {NAME}"
    assert LIMITS | {f"--location={REGION}"} <= set(gcloud.flags("tasks queues create"))
    assert granted == [
        (NAME, member("tick"), "roles/cloudtasks.enqueuer"),
        (NAME, member("tick"), "roles/cloudtasks.viewer"),
        (NAME, member("tick"), "roles/cloudtasks.taskDeleter"),
        (NAME, member("chat-webhook"), "roles/cloudtasks.taskDeleter"),
        (TASKS, member("tick"), "roles/iam.serviceAccountUser"),
    ]
    on_queue = [words for words in granting(gcloud) if words[0] == "tasks"]
    assert all(f"--location={REGION}" in words and "--condition=None" not in words for words in on_queue)


def test_an_existing_queue_is_updated(gcloud: Recorder, work: Work) -> None:
    """With every limit, because an update keeps the others; existing roles are not granted again."""
    gcloud.answers |= {
        DESCRIBE: shown("PAUSED"),
        "tasks queues get-iam-policy": shown("\n".join(f"{role}\t{who}" for role, who in work.deployment.queue_grants)),
        f"iam service-accounts get-iam-policy {TASKS}": shown(f"roles/iam.serviceAccountUser\t{member('tick')}"),
    }

    setup.make_queues(work)

    assert gcloud.changes == [f"tasks queues update {NAME}"]
    assert set(gcloud.flags("tasks queues update")) >= LIMITS


def test_a_deployment_brings_the_limits_up_to_date(gcloud: Recorder, tmp_path: Path) -> None:
    """Like the Scheduler jobs, so a merge is enough; a function without queues has none to update."""
    gcloud.answers["functions describe"] = shown("ACTIVE")
    other = Recorder({"functions describe": shown("ACTIVE")})

    code = run(gcloud, tmp_path, "schedules", "--only", "tick", "run_job")

    assert (code, run(other, tmp_path, "schedules", "--only", "tick")) == (0, 0)
    assert gcloud.changes == ["scheduler jobs create http watchkeeper-tick", f"tasks queues create {NAME}"]
    assert not [words for words in other.commands if words[0] == "tasks"]


@pytest.mark.parametrize("name", ["tick", "chat_webhook"])
def test_a_function_is_not_deployed_before_the_queue_that_it_uses(gcloud: Recorder, work: Work, name: str) -> None:
    """Its jobs would be refused every minute; an older deployment keeps working instead."""
    with pytest.raises(StepFailed, match=f"there is no queue {NAME}, which {SERVICES[name]} uses; run setup first"):
        deploy_function(work, FUNCTIONS[name])

    assert gcloud.changes == []
    gcloud.answers[DESCRIBE] = shown("PAUSED")
    deploy_function(work, FUNCTIONS[name])
    assert gcloud.changes[0] == f"functions deploy {SERVICES[name]}"


# -- Pausing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "state", "is_told"),
    [
        ("pause", "RUNNING", True),
        ("pause", "PAUSED", False),
        ("resume", "PAUSED", True),
        ("resume", "RUNNING", False),
    ],
)
def test_a_queue_is_paused_and_resumed_once(
    gcloud: Recorder, tmp_path: Path, verb: str, state: str, is_told: bool
) -> None:
    """After the tick, so that no job is handed over once it is paused."""
    gcloud.answers |= {
        DESCRIBE: shown(state),
        "scheduler jobs describe": shown(f"{'ENABLED' if verb == 'pause' else 'PAUSED'}|{url('tick')}"),
    }

    code = run(gcloud, tmp_path, verb, "--only", "tick", "run_job")

    assert code == 0
    assert gcloud.changes == [
        f"scheduler jobs {verb} watchkeeper-tick",
        *[f"tasks queues {verb} {NAME}"] * is_told,
    ]


def test_a_missing_queue_does_not_stop_pausing(
    gcloud: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named, and the verb succeeds."""
    assert run(gcloud, tmp_path, "pause") == 0
    assert f"there is no queue {NAME}\n" in capsys.readouterr().out
    assert gcloud.changes == []


# -- Status and destroying ---------------------------------------------------------------------------------------------


def test_the_status_shows_the_queue_behind_its_function(
    gcloud: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its state, and how many tasks it delivers at once and per second."""
    run(gcloud, tmp_path, "status", "--only", "run_job")
    gcloud.answers |= {"functions describe": shown("ACTIVE  r-1  "), DESCRIBE: shown("RUNNING  2  1.0")}
    run(gcloud, tmp_path, "status", "--only", "run_job", "tick")

    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()] == [
        "function watchkeeper-run-job not deployed",
        f"queue {NAME} not there",
        "function watchkeeper-tick ACTIVE r-1",
        "schedule watchkeeper-tick not there",
        "function watchkeeper-run-job ACTIVE r-1",
        f"queue {NAME} RUNNING 2 1.0",
    ]
    assert gcloud.changes == []


def test_destroying_empties_the_queue_and_keeps_it(
    gcloud: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A deleted name is blocked for a week. It is emptied once no job is handed over, and this can be repeated."""
    gcloud.answers |= {
        DESCRIBE: shown("RUNNING"),
        "functions describe": shown("ACTIVE"),
        "scheduler jobs describe watchkeeper-tick": shown(f"ENABLED|{url('tick')}"),
    }

    code = run(gcloud, tmp_path, "destroy", "--yes", "--only", "tick", "run_job")

    assert code == 0
    assert gcloud.changes == [
        "scheduler jobs delete watchkeeper-tick",
        "functions delete watchkeeper-tick",
        "functions delete watchkeeper-run-job",
        f"tasks queues purge {NAME}",
    ]
    assert f"the queue {NAME} is emptied, and stays: " in capsys.readouterr().out


def test_a_rollback_of_run_job_leaves_the_queue_alone(gcloud: Recorder, work: Work) -> None:
    """Only the function changes."""
    for step in steps_of("rollback", work):
        step.do()

    assert not [words for words in gcloud.commands if words[0] == "tasks"]


@pytest.mark.parametrize(
    ("verb", "changes"),
    [
        ("pause", [f"tasks queues pause {NAME}"]),
        ("resume", [f"tasks queues resume {NAME}"]),
        ("smoke", ["tasks create-http-task smoke-"]),
        ("schedules", [f"tasks queues create {NAME}"]),
        ("destroy", ["functions delete watchkeeper-run-job", f"tasks queues purge {NAME}"]),
        ("status", []),
    ],
)
def test_a_dry_run_shows_what_would_change(
    gcloud: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str, changes: list[str]
) -> None:
    """It asks nothing."""
    code = run(gcloud, tmp_path, verb, "--dry-run", "--only", "run_job")

    printed = [line.removeprefix("gcloud ") for line in capsys.readouterr().out.splitlines() if line[0] != "#"]
    would = [line for line in printed if not {"describe", "get-iam-policy"} & {*line.split()}]
    assert (code, gcloud.commands) == (0, [])
    assert len(would) == len(changes)
    assert all(line.startswith(change) for line, change in zip(would, changes, strict=True))


def test_a_queue_that_cannot_be_checked_stops_the_run(gcloud: Recorder, work: Work) -> None:
    """It is neither created again nor taken for a missing one."""
    gcloud.answers[DESCRIBE] = refused("PERMISSION_DENIED")

    for step in (queues.keep_queue, queues.pause, queue.deliver, queues.empty):
        with pytest.raises(StepFailed, match="gcloud tasks queues failed"):
            step(work, QUEUE)

    assert gcloud.changes == []
    operating.show_status(work, FUNCTIONS["tick"])  # a function without a queue still has a status
