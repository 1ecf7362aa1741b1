"""Applying metrics, dashboard and alerts with the real gcloud, to a Google Cloud on this machine."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from shared.settings import PROJECT_FOLDER
from tests.deploying import REGION, Operator, needs
from tests.gcloud import NUMBER, PROJECT, GoogleCloud, Resource
from watchkeeper.deploy.gcloud import Gcloud, execute
from watchkeeper.deploy.monitoring import ALERT_PAUSE, apply_alerts
from watchkeeper.deploy.target import read_target
from watchkeeper.deploy.work import Work

FOLDER = PROJECT_FOLDER / "monitoring"
METRICS = f"projects/{PROJECT}/metrics"
ALERTS = f"projects/{PROJECT}/alertPolicies"
DASHBOARD = f"projects/{PROJECT}/dashboards/watchkeeper"
CHANNELS = [f"projects/{PROJECT}/notificationChannels/{number}" for number in (1, 2)]
LATE = "Watchkeeper: jobs run more than 2 minutes late"
GIVEN_UP = "Watchkeeper: a job was given up"


def read(kind: str) -> list[Any]:
    """Read the files of a kind as they are to be applied."""
    given = {"${PREFIX}": "watchkeeper-", "${PROJECT}": PROJECT, "${REGION}": REGION}
    texts = [path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob(f"{kind}*.json"))]
    for placeholder, value in given.items():
        texts = [text.replace(placeholder, value) for text in texts]
    return [json.loads(text) for text in texts]


def applied(cloud: GoogleCloud) -> dict[str, Resource]:
    """Return what is there, but not which state of the dashboard it is."""
    return {
        name: {key: value for key, value in resource.items() if key != "etag"}
        for name, resource in cloud.resources.items()
        if name.startswith((METRICS, ALERTS, DASHBOARD))
    }


def alert(cloud: GoogleCloud, title: str) -> Resource:
    """Return the first alert of this title."""
    return next(each for each in cloud.within(ALERTS) if each["displayName"] == title)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GoogleCloud, str]]:
    """A cloud to which all was applied once, and what the script said."""
    needs("gcloud")
    with GoogleCloud() as cloud:
        yield cloud, Operator(cloud, tmp_path_factory.mktemp("first")).run("monitoring")


@pytest.fixture
def operator(first: tuple[GoogleCloud, str], tmp_path: Path) -> Iterator[Operator]:
    """An operator of a cloud that is as after the first application, with calls of its own."""
    with GoogleCloud() as cloud:
        cloud.resources = deepcopy(first[0].resources)
        yield Operator(cloud, tmp_path)


def test_all_is_made_with_its_placeholders_filled_in(first: tuple[GoogleCloud, str]) -> None:
    """Each file arrives as it stands, but for the prefix, the project and the region."""
    alerts = {f"{ALERTS}/{number}": each for number, each in enumerate(read("alert"), 1)}

    assert applied(first[0]) == {
        DASHBOARD: read("dashboard")[0],
        **{f"{METRICS}/{each['name']}": each for each in read("metric")},
        **{name: {**each, "name": name, "enabled": True} for name, each in alerts.items()},
    }


def test_an_alert_on_a_new_metric_is_tried_again(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The refusal is recognised as gcloud words it, and shown; each alert is there in the end, and once."""
    cloud = operator.cloud
    for name, value in cloud.env(operator.folder).items():
        monkeypatch.setenv(name, value)
    before = [each["displayName"] for each in cloud.within(ALERTS)]
    for each in cloud.within(ALERTS):
        del cloud.resources[each["name"]]
    cloud.unknown_metrics = 2
    pauses: list[float] = []
    target = read_target(project=PROJECT, region=REGION, number=NUMBER, only=(), file=operator.settings)
    gcloud = Gcloud(PROJECT, execute=execute, is_dry_run=False)

    apply_alerts(Work(target=target, gcloud=gcloud, folder=operator.folder, sleep=pauses.append))

    said = capfd.readouterr()
    assert pauses == [ALERT_PAUSE] * 2
    assert said.err.count("Cannot find metric(s)") == said.out.count("trying again in 120 s\n") == 2
    assert [each["displayName"] for each in cloud.within(ALERTS)] == before


def test_a_second_application_mends_and_keeps_what_people_added(operator: Operator) -> None:
    """Nothing is made; what was changed is as in the files; channels, labels and a switch that is off stay."""
    cloud = operator.cloud
    late, given_up = alert(cloud, LATE), alert(cloud, GIVEN_UP)
    late |= {"enabled": False, "notificationChannels": CHANNELS, "userLabels": {"team": "ops", "level": "2"}}
    cloud.resources[f"{ALERTS}/twice"] = {**given_up, "name": f"{ALERTS}/twice"}
    expected = deepcopy(applied(cloud))
    late["conditions"] = []
    cloud.resources[f"{METRICS}/watchkeeper_ticks"]["filter"] = "stale"
    cloud.resources[DASHBOARD]["displayName"] = "stale"

    said = operator.run("monitoring")

    assert applied(cloud) == expected
    assert f'there is more than one alert policy "{GIVEN_UP}"; {given_up["name"]} is brought up to date\n' in said
