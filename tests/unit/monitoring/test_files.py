"""Each file of monitoring/ is one that its API takes."""

import json
import re
from email.message import Message
from pathlib import Path

import pytest

from tests.support.monitoring_files import (
    ALERTS,
    DASHBOARD,
    FILES,
    FOLDER,
    GIVEN,
    METRICS,
    read,
)
from watchkeeper.deploy.monitoring import fill
from watchkeeper.fakes.discovery import Discovery
from watchkeeper.fakes.server import Request, json_response

APIS = {
    "metric": ("logging", "v2", "/v2/projects/demo/metrics", "logging.projects.metrics.create"),
    "dashboard": ("monitoring", "v1", "/v1/projects/demo/dashboards", "monitoring.projects.dashboards.create"),
    "alert": ("monitoring", "v3", "/v3/projects/demo/alertPolicies", "monitoring.projects.alertPolicies.create"),
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_api_takes_the_file(path: Path) -> None:
    """Every field, type and enumeration value is in the discovery document."""
    api, version, deployment, method_id = APIS[path.stem.partition("-")[0]]
    discovery = Discovery(api, version, lambda status, code, message, reason: json_response(message, status))
    body = json.dumps(read(path)).encode()
    request = Request(method="POST", path=deployment, query={}, headers=Message(), body=body)

    checked = discovery.checked_body(request, discovery.method_of(request, faked=[method_id]))

    assert checked == read(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_contains_nothing_of_one_project(path: Path) -> None:
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
