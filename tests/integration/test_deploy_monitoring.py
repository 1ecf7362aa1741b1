"""Applying metrics, dashboard and alerts with the real gcloud, to a Google Cloud on this machine.

That a second application mends what is stale and keeps what people added is shown by the second deployment.
"""

import shutil
from pathlib import Path

import pytest

from shared.settings import PROJECT_FOLDER
from tests.support.building import FirstDeployment
from tests.support.deploying import REGION, Operator
from tests.support.gcloud import NUMBER, PROJECT
from tests.support.monitored import ALERTS, DASHBOARD, LATE, METRICS, applied, read
from watchkeeper.deploy import monitoring
from watchkeeper.deploy.deployment import read_deployment
from watchkeeper.deploy.gcloud import Gcloud, execute
from watchkeeper.deploy.monitoring import apply_alerts
from watchkeeper.deploy.outside import Outside
from watchkeeper.deploy.patience import PAUSES, Patience
from watchkeeper.deploy.work import Work


def test_everything_is_created_with_its_placeholders_filled_in(first: FirstDeployment) -> None:
    """Each file arrives unchanged, except for the prefix, the project and the region."""
    alerts = {f"{ALERTS}/{number}": each for number, each in enumerate(read("alert"), 1)}

    assert applied(first.cloud) == {
        DASHBOARD: read("dashboard")[0],
        **{f"{METRICS}/{each['name']}": each for each in read("metric")},
        **{name: {**each, "name": name, "enabled": True} for name, each in alerts.items()},
    }


def test_an_alert_on_a_new_metric_is_tried_again(
    deployed: Operator, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """gcloud's refusal is recognised and shown; the alert is created in the end, once."""
    cloud = deployed.cloud
    for name, value in cloud.env(deployed.folder).items():
        monkeypatch.setenv(name, value)
    for each in cloud.within(ALERTS):
        del cloud.resources[each["name"]]
    cloud.unknown_metrics = 2
    (only := tmp_path / "only").mkdir()
    shutil.copy(PROJECT_FOLDER / "monitoring" / "alert-lateness.json", only)
    monkeypatch.setattr(monitoring, "FOLDER", only)  # each of the others is one more start of gcloud
    pauses: list[float] = []
    deployment = read_deployment(project=PROJECT, region=REGION, number=NUMBER, only=(), file=deployed.settings)
    patience = Patience(sleep=pauses.append, clock=lambda: sum(pauses))
    gcloud = Gcloud(PROJECT, execute=execute, is_dry_run=False, patience=patience)

    apply_alerts(
        Work(
            deployment=deployment,
            gcloud=gcloud,
            folder=deployed.folder,
            patience=patience,
            leave_open=print,
            outside=Outside(),
        )
    )

    said = capfd.readouterr()
    assert pauses == [*PAUSES[:2]]
    assert said.err.count("Cannot find metric(s)") == said.err.count("trying again in") == 2
    assert [each["displayName"] for each in cloud.within(ALERTS)] == [LATE]
