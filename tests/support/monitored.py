"""The monitoring of a Google Cloud on this machine: what is there, and what people and time have made of it."""

import json
from copy import deepcopy
from typing import Any

from shared.settings import PROJECT_FOLDER
from tests.support.deploying import REGION
from tests.support.gcloud import NUMBER, PROJECT, GoogleCloud, Resource
from watchkeeper.deploy.deployment import read_deployment
from watchkeeper.deploy.monitoring import fill, placeholders

METRICS = f"projects/{PROJECT}/metrics"
ALERTS = f"projects/{PROJECT}/alertPolicies"
DASHBOARD = f"projects/{PROJECT}/dashboards/watchkeeper"
CHANNELS = [f"projects/{PROJECT}/notificationChannels/{number}" for number in (1, 2)]
LATE = "Watchkeeper: jobs run more than 2 minutes late"
GIVEN_UP = "Watchkeeper: a job was given up"
GIVEN = placeholders(read_deployment(project=PROJECT, region=REGION, number=NUMBER, only=(), file=None))
TWICE = f'there is more than one alert policy "{GIVEN_UP}"; {ALERTS}/'


def read(kind: str) -> list[Any]:
    """Read the files of a kind as they are to be applied."""
    paths = sorted((PROJECT_FOLDER / "monitoring").glob(f"{kind}*.json"))
    return [json.loads(fill(path.read_text(encoding="utf-8"), GIVEN)) for path in paths]


def applied(cloud: GoogleCloud) -> dict[str, Resource]:
    """Return what is there, but not which state of the dashboard it is."""
    return {
        name: {key: value for key, value in resource.items() if key != "etag"}
        for name, resource in cloud.resources.items()
        if name.startswith((METRICS, ALERTS, DASHBOARD))
    }


def concerns(change: str) -> bool:
    """Return whether a change is one of the monitoring."""
    return change.partition(" ")[2].startswith((METRICS, ALERTS, DASHBOARD.rpartition("/")[0]))


def alert(cloud: GoogleCloud, title: str) -> Resource:
    """Return the first alert of this title."""
    return next(each for each in cloud.within(ALERTS) if each["displayName"] == title)


def disturb(cloud: GoogleCloud) -> dict[str, Resource]:
    """Make an alert, a metric and the dashboard stale, and return what should be there after an application.

    What people have added to an alert belongs to that, that it is off, and a second alert of one title.
    """
    late, given_up = alert(cloud, LATE), alert(cloud, GIVEN_UP)
    late |= {"enabled": False, "notificationChannels": CHANNELS, "userLabels": {"team": "ops", "level": "2"}}
    cloud.resources[f"{ALERTS}/twice"] = {**given_up, "name": f"{ALERTS}/twice"}
    expected = deepcopy(applied(cloud))
    late["conditions"] = []
    cloud.resources[f"{METRICS}/watchkeeper_ticks"]["filter"] = "stale"
    cloud.resources[DASHBOARD]["displayName"] = "stale"
    return expected
