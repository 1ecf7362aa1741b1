"""Each filter of monitoring/ finds lines that the code logs.

So an alert cannot lose its field or its action unnoticed.
"""

import re
from collections import Counter
from typing import Any

import pytest

from tests.support.logged_entries import LATE, deliveries, logged_by, renew_airtable, renew_gmail, tick
from tests.support.monitoring_files import (
    ALERTS,
    METRICS,
    SCHEDULER_JOBS,
    Entry,
    deployment,
    found,
    log_filters,
    matches,
    terms,
    value_of,
)
from watchkeeper.fakes.airtable import BASE


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> list[Entry]:
    """What the functions log, and failed attempts as Cloud Scheduler logs them."""
    folder = tmp_path_factory.mktemp("monitoring")
    attempt = {"status": "UNAVAILABLE", "debugInfo": "URL_UNREACHABLE-UNREACHABLE_5xx"}
    logged: list[Entry] = [
        {
            "logName": f"projects/{deployment().project}/logs/{log}",
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
