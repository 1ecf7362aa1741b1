"""The table of functions, and how it is read."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from shared.errors import InvalidSettings
from shared.handlers import load_handlers
from shared.handlers.registry import LONGEST_IN_QUEUE
from shared.model.recurrence import Recurrence
from shared.running.delivery import MARGIN
from shared.running.tasks import DISPATCH_DEADLINE
from shared.settings import PROJECT_FOLDER
from watchkeeper.deploy.functions_table import (
    FUNCTIONS_TABLE,
    Account,
    Caller,
    Function,
    Queue,
    RetryPolicy,
    SchedulerJob,
    Secret,
    read_functions,
    read_table,
)

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)

TABLE = """
prefix = "watchkeeper-"
runtime = "python313"
apis = ["run.googleapis.com"]
settings = ["LOG_LEVEL"]

[firestore]
database = "(default)"
location = ""
collection = "jobs"
ttl_field = "expire_at"
unindexed_fields = ["payload"]
unindexed_run_fields = ["error"]

[accounts.scheduler]
id = "caller"
roles = []

[accounts.tasks]
id = "tasker"
roles = []

[accounts.build]
id = "builder"
roles = ["roles/logging.logWriter"]

[queues.agents]
max_concurrent = 2
max_per_second = 1
max_attempts = 100
max_retry_duration = "86400s"
min_backoff = "10s"
max_backoff = "600s"
max_doublings = 6

[queues.reports]
max_concurrent = 3
max_per_second = 5
max_attempts = 100
max_retry_duration = "86400s"
min_backoff = "10s"
max_backoff = "600s"
max_doublings = 6

[secrets.CRON_SECRET]
name = "cron-secret"

[functions.tick]
entry_point = "tick"
memory = "512Mi"
cpu = "1"
timeout_seconds = 60
concurrency = 1
min_instances = 0
max_instances = 1
with_agent = true
account = "ticker"
roles = ["roles/datastore.user"]
requires = ["ONE", "THIS|THAT"]
settings = ["ONE", "THIS"]
secrets = ["CRON_SECRET"]

[functions.tick.scheduler]
name = "watchkeeper-tick"
schedule = "${SCHEDULER_CADENCE:-* * * * *}"
time_zone = "UTC"

[functions.run_job]
entry_point = "run_job"
memory = "512Mi"
cpu = "1"
timeout_seconds = 1800
concurrency = 1
min_instances = 0
called_by = "tasks"
account = "worker"
roles = []
"""
# Settings of one machine, of the deployment itself, or that the deployment works out.
NOT_PASSED_ON = {
    *("AIRTABLE_REFRESH_SCHEDULE", "AUTH_AUDIENCE", "AUTH_CALLERS", "CHAT_AUDIENCE", "DEV_PORT", "FIRESTORE_LOCATION"),
    *(
        "DEPLOYMENT_FUNCTIONS",
        "GMAIL_WATCH_SCHEDULE",
        "GOOGLE_CLOUD_PROJECT",
        "PUBLIC_URL",
        "RUN_JOB_CALLER",
        "RUN_JOB_URL",
        "TASK_QUEUES",
    ),
}


def test_the_tick_runs_every_minute_and_has_time_for_its_longest_handler() -> None:
    """The shipped table: budget 50 s + longest handler 120 s + 10 s is the timeout, and the attempt deadline too."""
    three_minutes = timedelta(seconds=180)

    tick = read_functions({})[0]

    assert (tick.name, tick.entry_point, tick.timeout) == ("tick", "tick", three_minutes)
    assert tick.scheduler_job == SchedulerJob(
        name="watchkeeper-tick",
        recurrence=Recurrence("* * * * *", "UTC"),
        attempt_deadline=three_minutes,
        retry=RetryPolicy(count=0),
    )


def test_renewals_are_tried_again_within_the_hour() -> None:
    """The shipped table: both renewals have three more attempts, 1 to 10 minutes apart, and three doublings."""
    jobs = [function.scheduler_job for function in read_functions({}) if function.scheduler_job is not None][1:]

    assert [job.name for job in jobs] == ["gmail-watch-renewal", "airtable-webhook-refresh"]
    for job in jobs:
        assert job.retry == RetryPolicy(
            count=3, max_duration=HOUR, min_backoff=MINUTE, max_backoff=10 * MINUTE, max_doublings=3
        )


def test_every_function_has_its_own_account_that_may_only_use_the_jobs() -> None:
    """The shipped table: each function has its own service account, which may use only Firestore."""
    deployment = read_table({})

    accounts = [function.account for function in deployment.functions]

    assert len({account.id for account in accounts}) == len(accounts) == 5
    assert {account.roles for account in accounts} == {("roles/datastore.user",)}
    assert deployment.scheduler_account == Account(id="watchkeeper-scheduler", roles=())
    assert deployment.tasks_account == Account(id="watchkeeper-tasks", roles=())


def test_run_job_has_as_many_instances_as_its_queues_deliver_at_once() -> None:
    """The shipped table: one job per instance, for as long as Cloud Tasks waits."""
    deployment = read_table({})

    (worker,) = (function for function in deployment.functions if function.called_by is Caller.TASKS)

    assert (worker.name, worker.timeout, worker.resources.concurrency) == ("run_job", timedelta(seconds=1800), 1)
    assert worker.resources.max_instances == sum(queue.max_concurrent for queue in deployment.queues) == 2
    assert worker.timeout.total_seconds() == float(DISPATCH_DEADLINE.removesuffix("s"))
    assert worker.timeout > LONGEST_IN_QUEUE + MARGIN


def test_a_task_is_tried_for_a_day_and_not_for_ever() -> None:
    """The shipped table: Cloud Tasks stops when both the attempts and the time are used up, so both are limited."""
    for queue in read_table({}).queues:
        assert queue.retry.count > 0
        assert queue.retry.max_duration == 24 * HOUR


def test_only_functions_that_hand_jobs_over_have_roles_on_queues() -> None:
    """The shipped table: the tick makes, asks for and deletes tasks; the webhook deletes what a person cancels."""
    roles = {function.name: function.queue_roles for function in read_functions({}) if function.queue_roles}

    assert roles == {
        "tick": ("roles/cloudtasks.enqueuer", "roles/cloudtasks.viewer", "roles/cloudtasks.taskDeleter"),
        "chat_webhook": ("roles/cloudtasks.taskDeleter",),
    }


def test_a_handler_finds_its_queue() -> None:
    """The shipped table has the queue of the handlers that come with it."""
    queues = {handler.queue for handler in load_handlers(()).values()} - {None}

    assert queues == {queue.name for queue in read_table({}).queues}


def test_every_setting_is_described_and_passed_on() -> None:
    """Every setting in .env.example reaches a function, is a secret, or is known to stay behind; no other is passed."""
    described = set(re.findall(r"^#([A-Z_]+)=", (PROJECT_FOLDER / ".env.example").read_text(), re.MULTILINE))

    functions = read_functions({})
    passed_on = {name for function in functions for name in (*function.settings, *function.secrets)}

    assert passed_on | NOT_PASSED_ON == described
    assert not passed_on & NOT_PASSED_ON


def test_every_required_setting_is_passed_on() -> None:
    """The shipped table passes every required setting to its function."""
    for function in read_functions({}):
        required = {name for names in function.requires for name in names}

        assert required <= {*function.settings, *function.secrets}


def test_a_table_is_read_into_values(tmp_path: Path) -> None:
    """A function has the common settings and its own; alternatives of a requirement are grouped."""
    path = tmp_path / "functions.toml"
    path.write_text(TABLE)

    deployment = read_table({}, path)

    function: Function = deployment.functions[0]
    assert function.settings == ("LOG_LEVEL", "ONE", "THIS")
    assert function.requires == (("ONE",), ("THIS", "THAT"))
    assert function.account == Account(id="ticker", roles=("roles/datastore.user",))
    assert (function.runtime, function.with_agent, function.apis) == ("python313", True, ())
    assert deployment.secrets == {"CRON_SECRET": Secret(setting="CRON_SECRET", name="cron-secret", mounted_at="")}
    assert function.scheduler_job is not None
    assert function.scheduler_job.retry == RetryPolicy()
    worker = deployment.functions[1]
    assert (function.called_by, worker.called_by) == (Caller.SCHEDULER, Caller.TASKS)
    assert worker.resources.max_instances == 5
    assert deployment.queues[1] == Queue(
        name="reports",
        max_concurrent=3,
        max_per_second=5,
        retry=RetryPolicy(
            count=100, max_duration=24 * HOUR, min_backoff=MINUTE / 6, max_backoff=10 * MINUTE, max_doublings=6
        ),
    )


def test_a_project_may_have_no_queues(tmp_path: Path) -> None:
    """Then the handlers that name a queue run in the tick."""
    path = tmp_path / "functions.toml"
    path.write_text(re.sub(r"\[queues\.(.|\n)*(?=\[secrets)", "", TABLE))

    assert read_table({}, path).queues == ()


@pytest.mark.parametrize(
    ("cadence", "cron"),
    [
        pytest.param("*/5 * * * *", "*/5 * * * *", id="set"),
        pytest.param(" ", "* * * * *", id="empty"),
    ],
)
def test_a_setting_in_the_table_comes_from_the_environment(cadence: str, cron: str) -> None:
    """`${NAME:-default}` is the setting, or the default if the setting is empty."""
    functions = read_functions({"SCHEDULER_CADENCE": cadence, "SCHEDULER_TIMEZONE": "Europe/Berlin"})

    assert functions[0].scheduler_job is not None
    assert functions[0].scheduler_job.recurrence == Recurrence(cron, "Europe/Berlin")


@pytest.mark.parametrize(
    ("cadence", "item"),
    [
        ("@hourly", "@hourly"),
        ("0 9 L * *", "L"),
        ("0 9 * * 5L", "5L"),
        ("0 9 * * MON#2", "MON#2"),
        ("0 9 1,L * *", "L"),
        ("0 22-5 * * *", "22-5"),
        ("0 9 * * FRI-MON", "FRI-MON"),
        ("0 9 * Nov-Feb *", "NOV-FEB"),
        ("5/10 * * * *", "5/10"),
    ],
)
def test_an_expression_that_cloud_scheduler_rejects_is_refused(cadence: str, item: str) -> None:
    """A job may recur like this, but Cloud Scheduler would refuse it after everything else is deployed."""
    assert Recurrence(cadence, "UTC")

    for name in ("SCHEDULER_CADENCE", "GMAIL_WATCH_SCHEDULE", "AIRTABLE_REFRESH_SCHEDULE"):
        with pytest.raises(InvalidSettings, match=re.escape(f"Cloud Scheduler does not take {item!r}; it takes")):
            read_functions({name: cadence})


@pytest.mark.parametrize(
    "cadence", ["*/5 * * * *", "0-59/7 8-17 1,15 JAN-MAR,dec 1-5", "0 0 * * 7", "0 0 * * MON-FRI", "0 0 31 12 sun"]
)
def test_an_expression_that_cloud_scheduler_accepts_is_accepted(cadence: str) -> None:
    """As in its documentation: numbers, names, ranges, their steps, and lists."""
    assert read_functions({"SCHEDULER_CADENCE": cadence})[0].scheduler_job is not None


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param('entry_point = "tick"', "", "tick: entry_point must be text", id="missing"),
        pytest.param("= 60", '= "60"', "tick: timeout_seconds must be a whole number", id="wrong-type"),
        pytest.param("= 60", "= true", "tick: timeout_seconds must be a whole number", id="truth-as-number"),
        pytest.param("with_agent = true", "with_agent = 1", "tick: with_agent must be true or false", id="number"),
        pytest.param('["payload"]', "[1]", "firestore: unindexed_fields must be a list of texts", id="wrong-list"),
        pytest.param("tick.scheduler", "tick.schedule", "tick: unknown table schedule", id="misspelt-table"),
        pytest.param("memory =", "memmory =", "tick: unknown key memmory", id="misspelt-key"),
        pytest.param('secrets = ["CRON', 'secrets = ["CORN', "tick: secrets: there is no secret CORN", id="no-secret"),
        pytest.param('"UTC"', '"Mars"', "scheduler: schedule or time_zone cannot be used: .*'Mars'", id="bad-zone"),
        pytest.param("queues.agents", "queues.Agents", "Agents: a queue is named by small letters", id="queue-name"),
        pytest.param("= 2", "= 0", "agents: max_concurrent must be a whole number from 1 to", id="nothing-at-once"),
        pytest.param(
            "= 5\n", "= 501\n", "reports: max_per_second must be a whole number from 1 to 500", id="too-quick"
        ),
        pytest.param('"tasks"', '"cron"', "run_job: called_by must be tasks or chat, or", id="unknown-caller"),
        pytest.param('"tasks"', '"tasks"\nmax_instances = 9', "run_job: max_instances follows", id="two-numbers"),
        pytest.param("1800", "1801", "run_job: timeout_seconds must be .* from 15 to 1800", id="longer-than-a-task"),
        pytest.param(
            "= 60", "= 14", "tick: timeout_seconds must be a whole number from 15 to", id="shorter-than-a-call"
        ),
        pytest.param('"UTC"', '"UTC"\nretry_count = 6', "scheduler: retry_count must be .* from 0 to 5", id="retries"),
        pytest.param('"10s"', '"ten"', "agents: min_backoff must be a duration such as 60s", id="no-duration"),
        pytest.param('"10s"', '"10"', "agents: min_backoff must be a duration such as 60s", id="no-unit"),
        pytest.param('"10s"', '"9999999999d"', "agents: min_backoff must be a duration such as 60s", id="too-long"),
        pytest.param('"10s"', '"1h"', "agents: min_backoff is above max_backoff", id="backoff-that-shrinks"),
        pytest.param("concurrency = 1", "concurrency = 0", "concurrency must be .* of at least 1", id="no-calls"),
        pytest.param("[functions.tick]", "[functions.tick", "cannot be read: .*line", id="no-toml"),
    ],
)
def test_an_error_in_the_table_is_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    """An invalid table is one error that names the file and the key."""
    assert old in TABLE
    path = tmp_path / "functions.toml"
    path.write_text(TABLE.replace(old, new))

    with pytest.raises(InvalidSettings, match=f"{path}.*{says}"):
        read_functions({}, path)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param(
            'name = "airtable-webhook-refresh"',
            'name = "gmail-watch-renewal"',
            "two functions have a Scheduler job named gmail-watch-renewal",
            id="scheduler-job",
        ),
        pytest.param(
            'max_instances = 5\ncalled_by = "chat"',
            'called_by = "tasks"',
            "called_by is tasks for run_job and chat_webhook; only one can run the queues' jobs",
            id="worker",
        ),
    ],
)
def test_a_table_that_was_copied_and_not_changed_everywhere_is_refused(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    """One function would take the calls of the other, without an error."""
    text = FUNCTIONS_TABLE.read_text()
    assert old in text
    path = tmp_path / "functions.toml"
    path.write_text(text.replace(old, new))

    with pytest.raises(InvalidSettings, match=f"functions: {says}"):
        read_functions({}, path)


def test_a_duration_is_read_as_gcloud_reads_it(tmp_path: Path) -> None:
    """In seconds, minutes, hours and days, and several of them together."""
    path = tmp_path / "functions.toml"
    path.write_text(TABLE.replace('"10s"', '"0.5s"').replace('"86400s"', '"1d1h30m"'))

    retry = read_table({}, path).queues[0].retry

    assert (retry.min_backoff, retry.max_duration) == (timedelta(seconds=0.5), timedelta(hours=25, minutes=30))
