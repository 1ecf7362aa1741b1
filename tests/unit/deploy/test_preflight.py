"""What is refused before the first change, and which functions are left out."""

from pathlib import Path

import pytest

from tests.support.deploying import SETTINGS
from tests.support.gcloud import NUMBER, PROJECT
from tests.support.recorder import Recorder, commands, refused, shown
from watchkeeper.deploy.gcloud import Ended
from watchkeeper.deploy.staging import try_import

DATABASE = "firestore databases describe"
BUILDER = f"staging-build@{PROJECT}.iam.gserviceaccount.com"
CHAT_ONLY = "ALLOWED_USERS=*@example.com\n"


@pytest.mark.parametrize("verb", ["setup", "all"])
@pytest.mark.parametrize(
    ("lines", "answers", "says"),
    [
        pytest.param(
            "GMAIL_DELEGATE=\n", {}, "not set: GMAIL_DELEGATE or GCP_SERVICE_ACCOUNT_JSON_PATH", id="settings"
        ),
        pytest.param(
            "GMAIL_DELEGATE=\nGCP_SERVICE_ACCOUNT_JSON_PATH=/gone\n", {}, "names a file that cannot be read", id="key"
        ),
        pytest.param(
            "GCP_SERVICE_ACCOUNT_JSON_PATH=/gone\n",
            {},
            "GMAIL_DELEGATE and GCP_SERVICE_ACCOUNT_JSON_PATH are set (for gmail_watch), and one of them is allowed",
            id="two-ways-to-sign",
        ),
        pytest.param(
            "GMAIL_WATCH_TOPIC=gmail\n", {}, "the topic of gmail_watch is 'gmail': give projects/", id="topic"
        ),
        pytest.param("GMAIL_DELEGATE=--a b\n", {}, "is to act as '--a b': give the address of a", id="delegate"),
        pytest.param("FIRESTORE_DATABASE=My DB\n", {}, "FIRESTORE_DATABASE is 'My DB': a database has", id="database"),
        pytest.param("FIRESTORE_LOCATION=Paris (FR)\n", {}, "FIRESTORE_LOCATION is 'Paris (FR)': give", id="place"),
        pytest.param("SCHEDULER_CONCURRENCY=many\n", {}, "SCHEDULER_CONCURRENCY is 'many': it must be", id="number"),
        pytest.param("", {"version": shown("517.0.0")}, "gcloud is version 517.0.0, and 518 is needed", id="gcloud"),
        pytest.param(
            "", {DATABASE: shown("DATASTORE_MODE\tnam5")}, "is in Datastore mode: name another database", id="datastore"
        ),
        pytest.param(
            "FIRESTORE_LOCATION=eur3\n",
            {DATABASE: shown("FIRESTORE_NATIVE\tnam5")},
            "is in nam5, and FIRESTORE_LOCATION is eur3: set FIRESTORE_LOCATION=nam5, or name another",
            id="location",
        ),
        pytest.param(
            "DEPLOYMENT_PREFIX=staging-\n",
            {"iam service-accounts list": shown(f"{BUILDER}\tBuilds of staging\n")},
            f"{BUILDER} was not made by setup: its display name is 'Builds of staging'; set another DEPLOYMENT_PREFIX",
            id="account-of-another",
        ),
        pytest.param(
            "DEPLOYMENT_PREFIX=staging-\n",
            {"iam service-accounts list": shown(f"{BUILDER}\t\n")},
            f"run `gcloud iam service-accounts update {BUILDER} --display-name=staging-build --project {PROJECT}`",
            id="account-without-a-name",
        ),
    ],
)
def test_a_deployment_that_cannot_succeed_is_refused_before_the_first_change(
    settings: Path, capsys: pytest.CaptureFixture[str], verb: str, lines: str, answers: dict[str, Ended], says: str
) -> None:
    """With the remedy, in one line."""
    settings.write_text(SETTINGS + lines)
    gcloud = Recorder({"projects describe": shown(NUMBER), **answers})

    code = gcloud.run(settings, verb)

    said = capsys.readouterr().err
    assert (code, gcloud.changes) == (1, [])
    assert said.startswith("error: ")
    assert says in said
    assert said.count("\n") == 1


def test_accounts_made_by_setup_are_reused(settings: Path) -> None:
    """They are named like their ids. What else is in the project has any name."""
    settings.write_text(f"{SETTINGS}DEPLOYMENT_PREFIX=staging-\n")
    others = f"watchkeeper-build@{PROJECT}.iam.gserviceaccount.com\tBuilds\n"
    gcloud = Recorder(
        {
            "projects describe": shown(NUMBER),
            "iam service-accounts list": shown(BUILDER),
            "iam service-accounts list --format=value(email,": shown(f"{BUILDER}\tstaging-build\n{others}"),
        }
    )

    assert gcloud.run(settings, "setup") == 0
    assert "iam service-accounts create staging-build" not in gcloud.changes
    assert "iam service-accounts create staging-tick" in gcloud.changes


@pytest.mark.parametrize("region", ["us-central1-a", "nam5", "eur3", "global", "us"])
@pytest.mark.parametrize("verb", ["setup", "schedules", "status"])
def test_a_zone_or_a_multi_region_is_refused(
    settings: Path, capsys: pytest.CaptureFixture[str], verb: str, region: str
) -> None:
    """Zones and multi-regions have similar names."""
    gcloud = Recorder({"projects describe": shown(NUMBER)})

    code = gcloud.run(settings, verb, place=("--project", PROJECT, "--region", region))

    assert (code, gcloud.changes) == (1, [])
    assert f"--region is {region}, which is not a region" in capsys.readouterr().err


@pytest.mark.parametrize("region", ["us-central1", "northamerica-northeast2", "europe-west12", "me-central1"])
def test_a_region_is_accepted(settings: Path, region: str) -> None:
    """With any number."""
    assert Recorder().run(settings, "pause", place=("--project", PROJECT, "--region", region)) == 0


FUNCTIONS_IN = "functions regions list"
SCHEDULER_IN = "scheduler locations list"
TASKS_IN = "tasks locations list"
OFF = refused("(gcloud.x) PERMISSION_DENIED: Cloud Tasks API has not been used in project 1 before")
THERE = shown("us-central1\neurope-west4")


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        pytest.param(
            {FUNCTIONS_IN: THERE, SCHEDULER_IN: THERE, TASKS_IN: shown("us-central1")},
            "error: cloudtasks.googleapis.com is not in europe-west4; these regions have everything: asia-east1, ",
            id="lacking",
        ),
        pytest.param(
            {FUNCTIONS_IN: THERE, SCHEDULER_IN: OFF, TASKS_IN: OFF},
            "has cloudscheduler.googleapis.com, cloudtasks.googleapis.com while that is not "
            f"enabled: run `gcloud services enable cloudscheduler.googleapis.com cloudtasks.googleapis.com --project "
            f"{PROJECT}` and try again, or choose another region; ",
            id="unknown",
        ),
        pytest.param({FUNCTIONS_IN: THERE, SCHEDULER_IN: THERE, TASKS_IN: THERE}, "", id="well"),
    ],
)
def test_a_region_that_lacks_a_service_is_refused(
    settings: Path, capsys: pytest.CaptureFixture[str], answers: dict[str, Ended], says: str
) -> None:
    """Google lists the regions of its services, if it can be asked."""
    gcloud = Recorder({"projects describe": shown(NUMBER), **answers})

    code = gcloud.run(settings, "setup", place=("--project", PROJECT, "--region", "europe-west4"))

    said = capsys.readouterr().err
    assert code == bool(says)
    assert bool(gcloud.changes) is not bool(says)
    assert says in said


def test_google_is_not_asked_about_a_known_region(settings: Path) -> None:
    """A new project, which cannot be asked, does not refuse it either."""
    gcloud = Recorder({"projects describe": shown(NUMBER)})

    assert gcloud.run(settings, "setup", place=("--project", PROJECT, "--region", "asia-northeast2")) == 0
    assert "locations list" not in repr([" ".join(words) for words in gcloud.commands])


def test_a_database_that_cannot_be_asked_about_yet_is_left_to_its_step(settings: Path) -> None:
    """In a new project the API is off until setup enables it."""
    off = refused("Cloud Firestore API has not been used in project 1 before or it is disabled.")
    gcloud = Recorder({"projects describe": shown(NUMBER), DATABASE: [off, shown("")]})

    assert (gcloud.run(settings, "setup"), gcloud.pauses) == (0, [])


@pytest.mark.slow
def test_a_function_that_cannot_be_imported_changes_nothing(settings: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`all` stages and imports before it sets anything up."""
    settings.write_text(f"{CHAT_ONLY}JOB_HANDLERS=no.such.module\n")
    gcloud = Recorder({"projects describe": shown(NUMBER)}, try_import=try_import)

    code = gcloud.run(settings, "all", "--only", "tick")

    assert (code, gcloud.changes) == (1, [])
    assert "FAILED    stage: functions\nnot done  setup: apis" in capfd.readouterr().err


def test_a_function_that_is_not_deployed_is_not_scheduled(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything missing is named before the first job is created."""
    gcloud = Recorder({"functions describe watchkeeper-tick": shown("ACTIVE")})

    code = gcloud.run(settings, "schedules")

    assert (code, gcloud.changes) == (1, [])
    assert capsys.readouterr().err == (
        "error: not deployed: gmail_watch, airtable_refresh; run functions first, or name the other functions with "
        "--only\n"
    )


@pytest.mark.parametrize("verb", ["setup", "functions", "schedules", "smoke"])
def test_functions_that_are_not_configured_are_left_out(
    settings: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    """One line names them and the settings that each needs."""
    settings.write_text(CHAT_ONLY)

    code = Recorder().run(settings, verb, "--dry-run")

    said = capsys.readouterr().out
    assert code == 0
    assert said.startswith("# left out, since none of their settings is set: gmail_watch (GMAIL_USER_EMAIL, ")
    assert "airtable_refresh (AIRTABLE_API_KEY, AIRTABLE_BASE_ID)\n" in said
    assert "gmail-watch" not in repr(commands(said))
    assert "watchkeeper-tick" in repr(commands(said))


def test_a_function_that_is_no_longer_configured_is_named(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It does not change."""
    settings.write_text(CHAT_ONLY)
    gcloud = Recorder(
        {
            "projects describe": shown(NUMBER),
            "functions describe watchkeeper-gmail-watch": shown("ACTIVE"),
            "tasks queues describe": shown("RUNNING"),
        }
    )

    code = gcloud.run(settings, "functions")

    assert code == 0
    assert "gmail_watch is deployed, and no longer configured; it stays until" in capsys.readouterr().out
    assert "gmail-watch" not in repr(gcloud.changes)


def test_a_function_that_is_named_is_not_left_out(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An error names what is missing."""
    settings.write_text(CHAT_ONLY)

    code = Recorder().run(settings, "setup", "--only", "airtable_refresh")

    assert code == 1
    assert "not set: AIRTABLE_API_KEY (for airtable_refresh); AIRTABLE_BASE_ID" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["functions", "rollback"])
def test_a_build_leaves_out_what_is_not_configured(
    settings: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    """It names every function; if nothing is left to do, that is not a failure."""
    settings.write_text(CHAT_ONLY)
    gcloud = Recorder({"projects describe": shown(NUMBER)})

    code = gcloud.run(settings, verb, "--if-configured", "--only", "airtable_refresh")

    said = capsys.readouterr()
    assert (code, gcloud.changes, said.err) == (0, [], "")
    assert said.out.startswith("left out, since none of their settings is set: airtable_refresh (")


CHOSEN = "DEPLOYMENT_FUNCTIONS=tick,run_job,airtable_refresh\n"


def test_a_setting_chooses_the_functions_of_an_environment(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whether or not others are configured."""
    settings.write_text(SETTINGS + CHOSEN)
    gcloud = Recorder()

    code = gcloud.run(settings, "schedules", "--dry-run")

    said = capsys.readouterr().out
    assert code == 0
    assert said.startswith("# left out, since DEPLOYMENT_FUNCTIONS does not name them: gmail_watch, chat_webhook\n")
    assert "gmail-watch-renewal" not in said
    assert "airtable-webhook-refresh" in said


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        pytest.param("airtable_refresh", 1, "not set: AIRTABLE_API_KEY (for airtable_refresh)", id="chosen"),
        pytest.param("chat_webhook", 0, "", id="not-chosen"),
    ],
)
def test_a_build_deploys_what_a_setting_chooses(
    settings: Path, capsys: pytest.CaptureFixture[str], name: str, code: int, says: str
) -> None:
    """A chosen function without settings is refused, not left out."""
    settings.write_text(CHAT_ONLY + CHOSEN)
    gcloud = Recorder({"projects describe": shown(NUMBER)})

    ended = gcloud.run(settings, "functions", "--if-configured", "--only", name)

    assert (ended, gcloud.changes) == (code, [])
    assert says in capsys.readouterr().err


def test_an_unknown_chosen_function_is_named(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before any question."""
    settings.write_text(f"{SETTINGS}DEPLOYMENT_FUNCTIONS=tock\n")
    gcloud = Recorder()

    assert (gcloud.run(settings, "setup"), gcloud.commands) == (1, [])
    assert "DEPLOYMENT_FUNCTIONS: unknown function tock; choose one of tick, " in capsys.readouterr().err


@pytest.mark.parametrize(("only", "code"), [((), 0), (("--only", "chat_webhook"), 1)])
def test_an_environment_without_scheduled_functions_has_nothing_to_schedule(
    settings: Path, capsys: pytest.CaptureFixture[str], only: tuple[str, ...], code: int
) -> None:
    """That fails no build; a person who names a function expects something else."""
    settings.write_text(f"{CHAT_ONLY}DEPLOYMENT_FUNCTIONS=chat_webhook\n")
    gcloud = Recorder()

    assert gcloud.run(settings, "schedules", *only) == code
    said = capsys.readouterr()
    assert "nothing to do: neither a Cloud Scheduler job nor a queue calls chat_webhook\n" in (
        said.err if code else said.out
    )
    assert gcloud.changes == []
