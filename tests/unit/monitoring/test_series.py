"""What charts and thresholds of monitoring/ are made of."""

import re
from collections import Counter
from typing import Any

import pytest

from tests.support.monitoring_files import (
    ALERTS,
    DASHBOARD,
    METRICS,
    QUEUES,
    SCHEDULER_JOBS,
    SERVICES,
    TABLE,
    found,
    terms,
)

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
def test_every_chart_uses_an_existing_series(filter_text: str, aggregation: Any) -> None:
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
def test_every_query_uses_an_existing_metric(query: str) -> None:
    """In PromQL the sum of a distribution has a name derived from the metric's."""
    (name,) = re.findall(r"logging_googleapis_com:user_(\w+)_sum\{", query)
    metric = OURS[f"logging.googleapis.com/user/{name}"]

    assert metric["type"] == "DISTRIBUTION"
    assert f'{{monitored_resource="{metric["resource"]}"}}' in query


def test_every_metric_is_used() -> None:
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
