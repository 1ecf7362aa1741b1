"""Metrics, dashboard and alerts: what is created, what is updated, and what people have added."""

import json
from pathlib import Path

import pytest

from shared.settings import PROJECT_FOLDER
from tests.support.deploying import REGION, SCRIPT, SETTINGS
from tests.support.gcloud import PROJECT
from tests.support.monitored import GIVEN
from tests.support.recorder import Recorder, commands, deployment_of, refused, shown
from watchkeeper.deploy.gcloud import Ended, GcloudFailed
from watchkeeper.deploy.monitoring import apply_alerts, apply_dashboard, apply_metrics, fill

FOLDER = PROJECT_FOLDER / "monitoring"
ALERTS = {
    path.name: json.loads(fill(path.read_text(), GIVEN))["displayName"] for path in sorted(FOLDER.glob("alert-*.json"))
}
LATE = ALERTS["alert-lateness.json"]
UNKNOWN = refused("(gcloud) Projects instance [demo-proj] not found: Cannot find metric(s) that match type.")
WRITES = ("monitoring policies create", "monitoring policies update")
SHOWS = "monitoring policies list"


def files(gcloud: Recorder) -> list[str]:
    """Return the files that were applied, in order."""
    words = [word for command in gcloud.commands for word in command if "-from-file=" in word]
    return [word.rpartition("/")[2] for word in words]


def test_everything_is_created_with_its_placeholders_filled_in(tmp_path: Path) -> None:
    """Only the names of the deployment and its place are filled in; Google's own placeholders stay."""
    gcloud = Recorder()
    work = gcloud.work(deployment_of(tmp_path / "settings", SETTINGS), tmp_path)

    for apply in (apply_metrics, apply_dashboard, apply_alerts):
        apply(work)

    assert files(gcloud) == [
        path.name for kind in ("metric", "dashboard", "alert") for path in sorted(FOLDER.glob(f"{kind}*"))
    ]
    assert all("create" in command for command in gcloud.commands if "--format=none" in command)
    for name in files(gcloud):
        assert (tmp_path / name).read_text() == fill((FOLDER / name).read_text(), GIVEN)
    assert "${log.extracted_label.job_id}" in (tmp_path / "alert-job_given_up.json").read_text()


def test_existing_parts_are_updated(tmp_path: Path) -> None:
    """A metric by its name; the dashboard from the state that it replaces."""
    answers = {"logging metrics list": shown("watchkeeper_ticks\nother"), "monitoring dashboards describe": shown("e1")}
    gcloud = Recorder({**answers})
    work = gcloud.work(deployment_of(tmp_path / "settings", SETTINGS), tmp_path)

    apply_metrics(work)
    apply_dashboard(work)

    updates = [change for change in gcloud.changes if "update" in change]
    assert updates == ["logging metrics update watchkeeper_ticks", "monitoring dashboards update watchkeeper"]
    applied = json.loads((tmp_path / "dashboard.json").read_text())
    assert applied.pop("etag") == "e1"
    assert applied["displayName"] == "Watchkeeper"


def test_an_alert_keeps_what_people_added(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its channels, its labels, and that it is off; of two with one title, the first is updated."""
    gcloud = Recorder({SHOWS: shown(f"p/1|{LATE}|False|c/1,c/2|team=ops,level=2\np/2|Other|True||\np/3|{LATE}|True||")})
    work = gcloud.work(deployment_of(tmp_path / "settings", SETTINGS), tmp_path)

    apply_alerts(work)

    assert f'there is more than one alert policy "{LATE}"; p/1 is brought up to date\n' in capsys.readouterr().out
    assert [change.split()[-1] for change in gcloud.changes if " update " in change] == ["p/1"]
    assert gcloud.flags("monitoring policies update p/1")[:4] == [
        "--no-enabled",
        "--set-notification-channels=c/1,c/2",
        "--update-user-labels=team=ops,level=2",
        f"--policy-from-file={tmp_path / 'alert-lateness.json'}",
    ]
    assert len(gcloud.changes) == len(ALERTS)


def test_an_alert_that_is_on_stays_on(tmp_path: Path) -> None:
    """An update replaces the whole policy, so it has to say this, too."""
    gcloud = Recorder({SHOWS: shown(f"p/1|{LATE}|True||")})

    apply_alerts(gcloud.work(deployment_of(tmp_path / "settings", SETTINGS), tmp_path))

    flags = gcloud.flags("monitoring policies update p/1")
    assert flags[:3] == ["--enabled", "--set-notification-channels=", "--update-user-labels="]


def test_an_alert_on_a_new_metric_is_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The alert is created in the end."""
    gcloud = Recorder({WRITES[0]: [UNKNOWN, UNKNOWN, shown("")]})

    apply_alerts(gcloud.work(deployment_of(tmp_path / "settings", SETTINGS), tmp_path))

    said = capsys.readouterr()
    assert said.err.count("waiting for a metric that was just created") == len(gcloud.pauses) == 2
    assert len(gcloud.changes) == len(ALERTS) + 2


def test_an_alert_that_stays_refused_is_an_error_with_its_remedy(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After ten minutes the error says what it waited for and how to continue."""
    gcloud = Recorder({WRITES[0]: UNKNOWN})

    code = gcloud.run(settings, "monitoring")

    assert code == 1
    assert sum(gcloud.pauses) == 600
    assert capsys.readouterr().err.endswith(
        "error: waited 10 min for a metric that was just created, without success: try again in a few minutes\n"
        "\n"
        "done      apply: metrics\n"
        "done      apply: dashboard\n"
        "FAILED    apply: alerts\n"
        "To continue:\n"
        f"  {SCRIPT} monitoring --project {PROJECT} --region {REGION} --settings {settings}\n"
    )


def test_an_older_gcloud_is_called_with_its_alpha_commands(tmp_path: Path) -> None:
    """The image of Cloud Build has no alpha component, an older gcloud has nothing else."""
    new, old = Recorder(), Recorder({"monitoring policies list": Ended(2, errors="Invalid choice: 'policies'.")})

    for gcloud in (new, old):
        apply_alerts(gcloud.work(deployment_of(tmp_path / "settings", SETTINGS), tmp_path))

    assert not [command for command in new.commands if "alpha" in command]
    assert set(old.changes) == {"alpha monitoring policies create"}


def test_an_alert_that_is_refused_for_another_reason_is_not_tried_again(tmp_path: Path) -> None:
    """gcloud's own error has the reason."""
    gcloud = Recorder({WRITES[0]: refused("INVALID_ARGUMENT: no")})

    with pytest.raises(GcloudFailed):
        apply_alerts(gcloud.work(deployment_of(tmp_path / "settings", SETTINGS), tmp_path))

    assert gcloud.pauses == []
    assert len(gcloud.changes) == 1


def test_a_dry_run_prints_a_command_for_each_file(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And the commands that would look for existing resources; nothing is called."""
    gcloud = Recorder()

    code = gcloud.run(settings, "monitoring", "--dry-run")

    printed = commands(capsys.readouterr().out)
    named = [word.rpartition("/")[2] for words in printed for word in words if "-from-file=" in word]
    assert named == [path.name for kind in ("metric", "dashboard", "alert") for path in sorted(FOLDER.glob(f"{kind}*"))]
    assert (code, gcloud.commands) == (0, [])
