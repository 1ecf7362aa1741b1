"""Monitoring as code: its API accepts each file, and each filter finds lines that the code logs.

The lines come from the code itself: a tick in which everything happens that can, and both kinds of renewals. So an
alert cannot lose its field or its action unnoticed.
"""

import json
import logging
import re
import shlex
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.message import Message
from pathlib import Path
from typing import Any

import click
import pytest

from airtable_settings import AirtableSettings
from airtable_webhooks import renew_webhooks
from shared.errors import RenewalFailed
from shared.handlers import Context, Handler, Payload, load_handlers
from shared.logs import JsonFormatter
from shared.model.job import Job
from shared.model.times import iso
from shared.model.value import Status
from shared.renewals import NotRenewed, Renewals, Renewed
from shared.running.delivery import run_delivered
from shared.running.tasks import TaskRefused, Tasks, TaskState
from shared.running.tick import run_tick
from shared.settings import PROJECT_FOLDER, Settings
from shared.store.json_file import JsonStore
from shared.store.protocol import Change, Outcome, Refused, Won
from shared.subscriptions import CHECK, Subscription
from watchkeeper.cli.main import watchkeeper
from watchkeeper.deploy.functions_table import FUNCTIONS_TABLE, read_table
from watchkeeper.deploy.monitoring import fill, placeholders
from watchkeeper.deploy.steps import VERBS
from watchkeeper.deploy.target import Target
from watchkeeper.fakes.airtable import API_KEY, BASE, Airtable, webhook
from watchkeeper.fakes.discovery import Discovery
from watchkeeper.fakes.server import Request, json_response

FOLDER = PROJECT_FOLDER / "monitoring"
TABLE = tomllib.loads(FUNCTIONS_TABLE.read_text(encoding="utf-8"))


def target(**settings: str) -> Target:
    """Return a deployment of the whole table."""
    table = read_table(settings)
    return Target(
        table=table, settings=settings, project="demo", region="europe-west1", number="", functions=table.functions
    )


GIVEN = placeholders(target())
SERVICES = {target().service(function) for function in target().functions}
QUEUES = {target().queue(queue) for queue in target().table.queues}
SCHEDULER_JOBS = {function.scheduler_job.name for function in target().functions if function.scheduler_job}

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
HAND_OVER = {
    "TASK_QUEUES": "agents=projects/demo/locations/eu/queues/watchkeeper-agents",
    "RUN_JOB_URL": "https://run.example",
    "RUN_JOB_CALLER": "tasks@example.com",
}
SETTINGS = Settings.from_env({"CALL_TIMEOUT_SECONDS": "3600", **HAND_OVER})
LATE = timedelta(seconds=150)

Entry = dict[str, Any]


def read(path: Path) -> Any:
    """Read a file as it is applied, with the placeholders filled in."""
    return json.loads(fill(path.read_text(encoding="utf-8"), GIVEN))


def contents(kind: str) -> dict[str, Any]:
    return {path.stem.removeprefix(f"{kind}-"): read(path) for path in sorted(FOLDER.glob(f"{kind}*.json"))}


FILES = sorted(FOLDER.glob("*.json"))
METRICS, ALERTS, DASHBOARD = contents("metric"), contents("alert"), contents("dashboard")["dashboard"]
WIDGETS = [tile["widget"] for tile in DASHBOARD["mosaicLayout"]["tiles"]]
TEXTS = {
    "README.md": (FOLDER / "README.md").read_text(encoding="utf-8"),
    **{name: alert["documentation"]["content"] for name, alert in ALERTS.items()},
}


def found(content: Any, key: str) -> Iterator[Any]:
    """Find the values of a key at any depth."""
    if isinstance(content, dict):
        if key in content:
            yield content[key]
        for value in content.values():
            yield from found(value, key)
    if isinstance(content, list):
        for value in content:
            yield from found(value, key)


# -- filters: comparisons that are joined by AND, which is all that is used here ---------------------------------------

TERM = re.compile(r'(?P<field>[\w.]+)(?P<sign>=~|>=|!=|=)(?P<value>"[^"]*"|\w+|\w+\(.*\))')
SEVERITIES = ["DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL"]


def terms(filter_text: str) -> list[tuple[str, str, str]]:
    """Parse a filter into field, operator and value."""
    parts = [(part, TERM.fullmatch(part)) for part in filter_text.split(" AND ")]
    assert all(term for _, term in parts), [part for part, term in parts if not term]
    return [(term["field"], term["sign"], term["value"].strip('"')) for _, term in parts if term]


def value_of(entry: Entry, field: str) -> Any:
    value: Any = entry
    for name in field.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def matches(filter_text: str, entry: Entry) -> bool:
    """Return whether Cloud Logging would find this entry."""
    return all(_holds(value_of(entry, field), sign, value) for field, sign, value in terms(filter_text))


def _holds(present: Any, sign: str, value: str) -> bool:
    if not isinstance(present, str):
        return False
    if sign == ">=":
        return SEVERITIES.index(present) >= SEVERITIES.index(value)
    return present == value if sign == "=" else re.search(value, present) is not None


def log_filters() -> list[tuple[str, str]]:
    """Return every filter over log entries with its place, including those of the commands in the texts."""
    return [
        *((name, metric["filter"]) for name, metric in METRICS.items()),
        *((name, match["filter"]) for name, alert in ALERTS.items() for match in found(alert, "conditionMatchedLog")),
        *(("dashboard", panel["filter"]) for panel in found(DASHBOARD, "logsPanel")),
        *((name, told) for name, text in TEXTS.items() for told in re.findall(r"gcloud logging read '([^']*)'", text)),
    ]


# -- what is really logged ---------------------------------------------------------------------------------------------


class Lines(logging.Handler):
    """Keeps log lines in the form in which Cloud Logging stores them."""

    def __init__(self, function: str, entries: list[Entry]) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        labels = {"service_name": f"watchkeeper-{function.replace('_', '-')}"}
        self._resource = {"type": "cloud_run_revision", "labels": labels}
        self._entries = entries

    def emit(self, record: logging.LogRecord) -> None:
        line = json.loads(self.format(record))
        self._entries.append({"resource": self._resource, "severity": line.pop("severity"), "jsonPayload": line})


@contextmanager
def logged_by(function: str, entries: list[Entry]) -> Iterator[None]:
    own, lines = logging.getLogger("watchkeeper"), Lines(function, entries)
    level = own.level
    own.addHandler(lines)
    own.setLevel(logging.INFO)
    try:
        yield
    finally:
        own.setLevel(level)
        own.removeHandler(lines)


class TroubledStore(JsonStore):
    """A store that loses the claims of the jobs `taken-*` to another tick and refuses writes of `refused-*`."""

    def swap(self, changes: Sequence[Change]) -> list[Outcome]:
        super().swap([change for change in changes if change.job_id.startswith("taken")])
        return [self._swap_one(change) for change in changes]

    def _swap_one(self, change: Change) -> Outcome:
        is_end = isinstance(change.before, Job) and change.before.status is Status.RUNNING
        if change.job_id == "refused-claim" or (change.job_id == "refused-result" and is_end):
            return Refused("too large")
        return super().swap([change])[0]


def fail(payload: Payload, context: Context) -> None:
    raise RuntimeError("boom")


FAIL = Handler(job_type="fail", run=fail)


def due(job_id: str, job_type: str = "log", **given: Any) -> Job:
    return Job.create(job_id, job_type, **{"now": NOW - LATE, "payload": {"message": "hello"}, **given})


class SomeTasks(Tasks):
    """Cloud Tasks that accepts every task but one."""

    def create(self, job: Job) -> TaskState:
        if job.id == "refused-task":
            raise TaskRefused("Cloud Tasks said 404 the queue does not exist")
        return TaskState.WAITING


def tick(folder: Path) -> None:
    """Run one tick in which jobs end in every possible way."""
    store = JsonStore(folder / "jobs.json", lambda: NOW)
    expiring = {"subscription": "the Gmail watch of a", "expires_at": iso(NOW + timedelta(hours=20))}
    jobs = [
        *(due(f"good-{number}") for number in range(5)),
        *(due(f"bad-{number}", "fail", max_attempts=1) for number in range(2)),
        *(due(f"again-{number}", "fail") for number in range(3)),
        *(due(f"taken-{number}") for number in range(4)),
        *(due(job_id) for job_id in ("odd", "refused-claim", "refused-result")),
        *(due(job_id, "long") for job_id in ("waits-0", "waits-1", "refused-task")),
        due("subscription:gmail:a@example.com", CHECK, payload=expiring),
    ]
    assert all(isinstance(outcome, Won) for outcome in store.swap([Change(None, job) for job in jobs]))
    content = json.loads((folder / "jobs.json").read_text())
    del content["jobs"]["odd"]["job_type"]
    (folder / "jobs.json").write_text(json.dumps(content))
    run_tick(
        TroubledStore(folder / "jobs.json", lambda: NOW),
        {**load_handlers(()), "fail": FAIL, "long": Handler(job_type="long", run=fail, queue="agents")},
        settings=SETTINGS,
        tasks=SomeTasks(SETTINGS.queues),
        clock=lambda: NOW,
        monotonic=time.monotonic,
    )


def deliveries(folder: Path) -> None:
    """Run three jobs that were handed over: one succeeds, one fails for good, one is retried."""
    store = JsonStore(folder / "handed-over.json", lambda: NOW)
    for job in (
        due("delivered"),
        due("bad-delivered", "fail", max_attempts=1),
        due("again-delivered", "fail"),
    ):
        held = job.claim(now=NOW, token="t", lease=SETTINGS.lease, retention=SETTINGS.retention, queue="agents")
        assert isinstance(store.swap([Change(None, held)])[0], Won)
        run_delivered(
            store,
            {**load_handlers(()), "fail": FAIL},
            *(job.id, "t"),
            settings=SETTINGS,
            clock=lambda: NOW,
            monotonic=time.monotonic,
        )


def renew_gmail(folder: Path) -> None:
    """Renew two mailboxes, one of which fails."""
    good, bad = (Subscription(id=f"subscription:gmail:{name}@example.com", title=name) for name in ("good", "bad"))

    def renew(subscription: Subscription) -> Renewed:
        if subscription is bad:
            raise NotRenewed("Gmail said 403 no; do something")
        return Renewed(expires_at=NOW + timedelta(days=7))

    store = JsonStore(folder / "gmail.json", lambda: NOW)
    Renewals(store, SETTINGS, now=NOW, clock=lambda: NOW, monotonic=time.monotonic, by="scheduler").renew_all(
        [good, bad], renew
    )


def renew_airtable(folder: Path) -> None:
    """Refresh two webhooks: one never expires and notifies nobody, the other has expired."""
    webhooks = [webhook("achSilent", expires_at=None, notifies=False), webhook("achExpired", expires_at=NOW)]
    with Airtable(bases={BASE: webhooks}) as airtable:
        env = {"AIRTABLE_API_KEY": API_KEY, "AIRTABLE_BASE_ID": BASE, "AIRTABLE_API_ENDPOINT": airtable.url}
        store = JsonStore(folder / "airtable.json", lambda: NOW)
        renewals = Renewals(store, SETTINGS, now=NOW, clock=lambda: NOW, monotonic=time.monotonic, by="scheduler")
        with pytest.raises(RenewalFailed):
            renew_webhooks(AirtableSettings.from_env(env), renewals)


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> list[Entry]:
    """What the functions log, and failed attempts as Cloud Scheduler logs them."""
    folder = tmp_path_factory.mktemp("monitoring")
    attempt = {"status": "UNAVAILABLE", "debugInfo": "URL_UNREACHABLE-UNREACHABLE_5xx"}
    logged: list[Entry] = [
        {
            "logName": f"projects/{target().project}/logs/{log}",
            "resource": {"type": "cloud_scheduler_job", "labels": {"job_id": job}},
            "severity": "ERROR",
            **what,
        }
        for job in (*sorted(SCHEDULER_JOBS), "somebody-elses")
        for log, what in (
            ("cloudscheduler.googleapis.com%2Fexecutions", {"jsonPayload": attempt}),
            # Somebody was not allowed to change the job.
            ("cloudaudit.googleapis.com%2Factivity", {"protoPayload": {"status": {"code": 7}}}),
        )
    ]
    runs = (("tick", tick), ("run_job", deliveries))
    for function, work in (*runs, ("gmail_watch", renew_gmail), ("airtable_refresh", renew_airtable)):
        with logged_by(function, logged):
            work(folder)
    return logged


# -- the files ---------------------------------------------------------------------------------------------------------

APIS = {
    "metric": ("logging", "v2", "/v2/projects/demo/metrics", "logging.projects.metrics.create"),
    "dashboard": ("monitoring", "v1", "/v1/projects/demo/dashboards", "monitoring.projects.dashboards.create"),
    "alert": ("monitoring", "v3", "/v3/projects/demo/alertPolicies", "monitoring.projects.alertPolicies.create"),
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_api_takes_the_file(path: Path) -> None:
    """Every field, type and enumeration value is in the discovery document."""
    api, version, target, method_id = APIS[path.stem.partition("-")[0]]
    discovery = Discovery(api, version, lambda status, code, message, reason: json_response(message, status))
    body = json.dumps(read(path)).encode()
    request = Request(method="POST", path=target, query={}, headers=Message(), body=body)

    checked = discovery.checked_body(request, discovery.method_of(request, played=[method_id]))

    assert checked == read(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nothing_of_one_project_stands_in_a_file(path: Path) -> None:
    """Nor of one deployment; the project decides whom to notify."""
    text = path.read_text(encoding="utf-8")

    assert set(re.findall(r"\$\{([A-Z_]+)\}", text)) <= GIVEN.keys()
    assert not re.search(r"notificationChannels|@|\.iam\.|projects/(?!\$\{PROJECT\})", text)
    assert not re.search(r"watchkeeper[-_]|gmail-watch-renewal|airtable-webhook", text)


def test_what_is_there_is_found_again_by_its_name() -> None:
    """A metric is named after its file, and no two alerts have the same name."""
    assert {name: metric["name"] for name, metric in METRICS.items()} == {
        name: f"watchkeeper_{name}" for name in METRICS
    }
    titles = [alert["displayName"] for alert in ALERTS.values()]
    assert len(set(titles)) == len(titles)
    assert all(title.startswith("Watchkeeper: ") for title in titles)
    # This is how the script finds the title within a file.
    files = [fill(path.read_text(encoding="utf-8"), GIVEN) for path in sorted(FOLDER.glob("alert-*.json"))]
    assert [re.findall(r'^  "displayName": "(.*)",$', text, re.MULTILINE) for text in files] == [
        [title] for title in titles
    ]
    assert DASHBOARD["name"] == "projects/demo/dashboards/watchkeeper"


# -- what the filters find ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "filter_text",
    [pytest.param(filter_text, id=f"{place}-{number}") for number, (place, filter_text) in enumerate(log_filters())],
)
def test_a_filter_finds_what_is_logged(filter_text: str, entries: list[Entry]) -> None:
    """It finds a line, and if it names alternatives, a line for each of them."""
    lines = [entry for entry in entries if matches(filter_text, entry)]

    assert lines
    for field, sign, value in terms(filter_text):
        if sign == "=~" and (group := re.search(r"\(([^)]*)\)", value)):
            seen = {re.search(value, value_of(line, field))[1] for line in lines}  # type: ignore[index]  # it matches
            assert seen == set(group[1].split("|"))


def test_the_metrics_count_what_happens(entries: list[Entry]) -> None:
    """Counters count lines, by their label where they have one; distributions add up the field of the report."""
    measured = {name: measure(metric, entries) for name, metric in METRICS.items()}

    assert measured == {
        "ticks": {"": 1},
        "jobs_executed": 15,
        "jobs_succeeded": 6,
        "jobs_failed": 3,
        "jobs_retried": 5,
        "jobs_lost": 1,
        "jobs_skipped": 4,
        "jobs_handed_over": 2,
        "jobs_not_handed_over": 1,
        "lateness": LATE.total_seconds(),
        "renewals": {"renewed": 2, "renewal_failed": 2},
        "scheduler_failures": {"": 3},
    }


def measure(metric: Any, entries: list[Entry]) -> Any:
    lines = [entry for entry in entries if matches(metric["filter"], entry)]
    if "valueExtractor" in metric:
        return sum(extracted(metric["valueExtractor"], line) for line in lines)
    labels = list(metric.get("labelExtractors", {}).values())
    return dict(Counter(",".join(extracted(label, line) for label in labels) for line in lines))


def extracted(extractor: str, entry: Entry) -> Any:
    call = re.fullmatch(r"EXTRACT\((\S+)\)", extractor)
    assert call, extractor
    return value_of(entry, call[1])


@pytest.mark.parametrize(
    ("alert", "job_ids"),
    [
        ("job_given_up", {"bad-0", "bad-1", "bad-delivered", "odd", "refused-claim", "refused-result"}),
        ("hand_over_refused", {"refused-task"}),
        ("renewal_failing", {"subscription:gmail:bad@example.com", f"subscription:airtable:{BASE}:achExpired"}),
        ("subscription_expiring", {"subscription:gmail:a@example.com"}),
        ("webhook_problem", {f"subscription:airtable:{BASE}:achSilent"}),
    ],
)
def test_an_alert_names_each_job_that_it_is_about(alert: str, job_ids: set[str], entries: list[Entry]) -> None:
    """It is raised for these jobs and for no other."""
    (match,) = found(ALERTS[alert], "conditionMatchedLog")

    raised = {
        extracted(match["labelExtractors"]["job_id"], entry) for entry in entries if matches(match["filter"], entry)
    }

    assert raised == job_ids


# -- what charts and thresholds are made of ----------------------------------------------------------------------------

# Metrics of Google's own, each with the labels that are used here.
GOOGLES: dict[str, dict[str, Any]] = {
    "run.googleapis.com/request_count": {"type": "INT64", "labels": {"response_code_class"}},
    "run.googleapis.com/request_latencies": {"type": "DISTRIBUTION", "labels": set()},
    "logging.googleapis.com/log_entry_count": {"type": "INT64", "labels": {"severity"}},
    **{
        f"cloudtasks.googleapis.com/queue/{name}": {"type": kind, "labels": labels, "resource": "cloud_tasks_queue"}
        for name, kind, labels in (
            ("depth", "INT64", set[str]()),
            ("task_attempt_count", "INT64", {"response_code"}),
            ("task_attempt_delays", "DISTRIBUTION", set[str]()),
        )
    },
}
OURS = {
    f"logging.googleapis.com/user/{metric['name']}": {
        "type": metric["metricDescriptor"]["valueType"],
        "labels": {label["key"] for label in metric["metricDescriptor"].get("labels", [])},
        "resource": {field: value for field, _, value in terms(metric["filter"])}["resource.type"],
    }
    for metric in METRICS.values()
}
RESOURCE_LABELS = {
    "cloud_run_revision": {"resource.label.service_name": SERVICES},
    "cloud_scheduler_job": {"resource.label.job_id": SCHEDULER_JOBS},
    "cloud_tasks_queue": {"resource.label.queue_id": QUEUES},
}
THRESHOLDS = [condition for alert in ALERTS.values() for condition in found(alert, "conditionThreshold")]
SERIES = [
    *((threshold["filter"], threshold["aggregations"][0]) for threshold in THRESHOLDS),
    *((chart["filter"], chart["aggregation"]) for chart in found(DASHBOARD, "timeSeriesFilter")),
    *(
        (ratio[part]["filter"], ratio[part]["aggregation"])
        for ratio in found(DASHBOARD, "timeSeriesFilterRatio")
        for part in ("numerator", "denominator")
    ),
]
QUERIES = list(found(DASHBOARD, "prometheusQuery"))


@pytest.mark.parametrize(("filter_text", "aggregation"), SERIES)
def test_a_series_is_one_that_there_is(filter_text: str, aggregation: Any) -> None:
    """Metric, resource, labels and names exist, and the aligner fits the metric's type."""
    compared = {field: value for field, _, value in terms(filter_text)}
    metric = {**GOOGLES, **OURS}[compared.pop("metric.type")]
    resource = compared.pop("resource.type")
    own_labels = {f"metric.label.{label}" for label in metric["labels"]}

    assert resource == metric.get("resource", "cloud_run_revision")
    assert set(aggregation.get("groupByFields", [])) <= RESOURCE_LABELS[resource].keys() | own_labels
    is_distribution = metric["type"] == "DISTRIBUTION"
    assert aggregation["perSeriesAligner"].startswith("ALIGN_PERCENTILE_") == is_distribution
    # A function has a series for each revision, so without a reducer a deployment would look like silence.
    assert aggregation["crossSeriesReducer"] == ("REDUCE_MAX" if is_distribution else "REDUCE_SUM")
    for field, value in compared.items():
        if field in own_labels:
            continue
        names = RESOURCE_LABELS[resource][field]
        if beginning := re.fullmatch(r'starts_with\("([^"]*)"\)', value):
            assert all(name.startswith(beginning[1]) for name in names)
        else:
            assert set(re.findall(r"[\w-]+", value.removeprefix("one_of"))) <= names


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_is_over_a_metric_that_there_is(query: str) -> None:
    """In PromQL the sum of a distribution has a name derived from the metric's."""
    (name,) = re.findall(r"logging_googleapis_com:user_(\w+)_sum\{", query)
    metric = OURS[f"logging.googleapis.com/user/{name}"]

    assert metric["type"] == "DISTRIBUTION"
    assert f'{{monitored_resource="{metric["resource"]}"}}' in query


def test_every_metric_is_looked_at() -> None:
    """Each is on a chart or in an alert."""
    looked_at = " ".join([*QUERIES, *(filter_text for filter_text, _ in SERIES)])

    assert [name for name in METRICS if not re.search(rf"watchkeeper_{name}\b|watchkeeper_{name}_sum", looked_at)] == []


def test_the_lateness_of_the_alarm_is_a_limit_between_buckets() -> None:
    """A percentile is interpolated within its bucket: 119 s must not pass for 121."""
    (threshold,) = found(ALERTS["lateness"], "conditionThreshold")

    assert threshold["thresholdValue"] in METRICS["lateness"]["bucketOptions"]["explicitBuckets"]["bounds"]


def test_a_renewal_is_given_up_when_no_attempt_is_left() -> None:
    """The alarm is raised by the failure of the last attempt that functions.toml allows."""
    (threshold,) = found(ALERTS["renewal_given_up"], "conditionThreshold")
    retries = {TABLE["functions"][name]["scheduler"]["retry_count"] for name in ("gmail_watch", "airtable_refresh")}

    assert {threshold["thresholdValue"]} == retries


def test_the_tiles_of_the_dashboard_lie_side_by_side() -> None:
    """None overlaps another or exceeds the last column."""
    layout = DASHBOARD["mosaicLayout"]

    blocks = Counter(
        (tile.get("xPos", 0) + x, tile.get("yPos", 0) + y)
        for tile in layout["tiles"]
        for x in range(tile["width"])
        for y in range(tile["height"])
    )

    assert max(blocks.values()) == 1
    assert max(x for x, _ in blocks) < layout["columns"]


# -- what the texts tell people to do ----------------------------------------------------------------------------------


def commands(start: str) -> list[str]:
    """Return the commands with this beginning that are in backticks in any text."""
    quoted = [span for text in TEXTS.values() for span in re.findall(r"`([^`]+)`", text)]
    return sorted({span for span in quoted if span.startswith(f"{start} ")})


@pytest.mark.parametrize("command", commands("watchkeeper"))
def test_a_command_is_one_that_there_is(command: str) -> None:
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
def test_a_verb_of_the_deployment_is_one_that_there_is(command: str) -> None:
    """It has the verb, project, region and settings, which identify the deployment."""
    _, verb, *options = shlex.split(command)
    place, more = options[:4], options[4:]

    assert verb in VERBS
    assert place in ([], ["--project", GIVEN["PROJECT"], "--region", GIVEN["REGION"]])
    assert more[:2] == (["--settings", "FILE"] if place else [])
    assert more[2:] == [] or (more[2] == "--only" and set(more[3:]) <= TABLE["functions"].keys())


@pytest.mark.parametrize("command", commands("gcloud"))
def test_a_command_of_gcloud_names_what_there_is(command: str) -> None:
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
