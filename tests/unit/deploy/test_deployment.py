"""What is deployed: a value that follows from project, region, table and settings."""

from pathlib import Path

import pytest

from shared.errors import InvalidSettings
from tests.support.deploying import FUNCTIONS, SETTINGS, url
from tests.support.gcloud import PROJECT
from tests.support.recorder import Recorder, deployment_of
from watchkeeper.deploy.flags import deploy_flags, schedule_flags

RESERVED = {"PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION", "FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE"}


def test_another_region_is_another_address_and_audience(tmp_path: Path) -> None:
    """Address, audience and database follow the given region."""
    deployment = deployment_of(tmp_path / "settings", "FIRESTORE_LOCATION=eur3", region="europe-west1")
    tick = FUNCTIONS["tick"]
    assert tick.scheduler_job is not None

    flags = schedule_flags(deployment, tick, tick.scheduler_job)

    address = url("tick", "europe-west1")
    assert {f"--uri={address}", f"--oidc-token-audience={address}"} <= set(flags)
    assert deployment.environment(tick)["AUTH_AUDIENCE"] == address
    assert deployment.table.firestore.location == "eur3"


def test_a_key_file_is_mounted_and_its_path_is_set(tmp_path: Path) -> None:
    """The file's content becomes a secret; the function gets the path to it."""
    key = tmp_path / "key.json"
    key.write_bytes(b'{"private_key": "s3cret"}\n')
    deployment = deployment_of(tmp_path / "settings", f"GCP_SERVICE_ACCOUNT_JSON_PATH={key}")
    gmail = FUNCTIONS["gmail_watch"]

    flags = deploy_flags(deployment, gmail, tmp_path / "env.yaml")

    path = "/secrets/gmail/service-account-key.json"
    assert f"--set-secrets={path}=service-account-key:latest" in flags
    assert deployment.environment(gmail)["GCP_SERVICE_ACCOUNT_JSON_PATH"] == path
    assert deployment.secret_values() == {"service-account-key": key.read_bytes()}


def test_a_key_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """By its setting, not by its content."""
    deployment = deployment_of(tmp_path / "settings", f"GCP_SERVICE_ACCOUNT_JSON_PATH={tmp_path / 'gone'}")

    with pytest.raises(InvalidSettings, match="GCP_SERVICE_ACCOUNT_JSON_PATH names a file that cannot be read"):
        deployment.secret_values()


def test_a_secret_that_is_no_longer_set_is_cleared(tmp_path: Path) -> None:
    """The update names it, because it would keep it otherwise."""
    flags = deploy_flags(deployment_of(tmp_path / "settings"), FUNCTIONS["tick"], tmp_path / "env.yaml")

    assert "--clear-secrets" in flags


def test_a_secret_that_can_be_guessed_is_not_deployed(tmp_path: Path) -> None:
    """The functions would refuse it only at run time; one in Secret Manager is not read."""
    guessable = deployment_of(tmp_path / "settings", f"{SETTINGS}CRON_SECRET=hush")

    with pytest.raises(InvalidSettings, match=r"CRON_SECRET is malformed: .* at least 16 characters"):
        guessable.refuse_unusable()
    deployment_of(tmp_path / "settings", f"{SETTINGS}CRON_SECRET=secret:3").refuse_unusable()


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        pytest.param("CHAT_AUTH=project_number\nAUTH_MODE=platform\n", "must be public", id="public-and-platform"),
        pytest.param("CHAT_AUTH=classic\n", "CHAT_AUTH is 'classic'", id="unknown-kind"),
    ],
)
@pytest.mark.parametrize("verb", ["plan", "setup", "functions", "schedules", "smoke"])
def test_a_webhook_that_would_be_unprotected_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: str, says: str, verb: str
) -> None:
    """A public function that relies on Cloud Run to check tokens would accept everybody."""
    (tmp_path / "settings").write_text(lines)
    gcloud = Recorder()

    code = gcloud.run(tmp_path / "settings", verb)

    said = capsys.readouterr().err
    assert code == 1
    assert said.startswith("error: ")
    assert says in said
    assert gcloud.commands == []


@pytest.mark.parametrize("line", ["CHAT_AUTH=classic", "CRON_SECRET=hush", "LOG_LEVEL=loud", "GMAIL_WATCH_TOPIC="])
@pytest.mark.parametrize("verb", ["pause", "resume", "status", "serving", "rollback", "destroy"])
def test_what_deploys_nothing_does_not_need_the_settings_of_functions(tmp_path: Path, line: str, verb: str) -> None:
    """Somebody who must pause at once has no time to mend the settings of the functions."""
    (tmp_path / "settings").write_text(f"{SETTINGS}DEPLOYMENT_PREFIX=staging-\n{line}\n")
    broken, whole = Recorder(), Recorder()
    (tmp_path / "whole").write_text(f"{SETTINGS}DEPLOYMENT_PREFIX=staging-\n")

    code = broken.run(tmp_path / "settings", verb, "--yes")
    whole.run(tmp_path / "whole", verb, "--yes")

    assert code == 0
    assert broken.commands == whole.commands != []


def test_the_project_number_is_set_only_where_it_is_needed(tmp_path: Path) -> None:
    """A token of the classic kind is for the project's number; everybody may call then."""
    deployment = deployment_of(tmp_path / "settings", "CHAT_AUTH=project_number")
    chat = FUNCTIONS["chat_webhook"]

    assert deployment.needs_number
    assert deployment.invoker(chat) == "allUsers"
    assert deployment.environment(chat)["CHAT_AUDIENCE"] == deployment.number
    assert "AUTH_CALLERS" not in deployment.environment(chat)
    assert deployment.environment(chat)["GOOGLE_CLOUD_PROJECT"] == PROJECT


def test_no_function_is_told_a_setting_that_the_platform_reserves(tmp_path: Path) -> None:
    """Cloud Run refuses a deployment that sets one of its own names."""
    deployment = deployment_of(tmp_path / "settings", SETTINGS)

    told = {name for function in deployment.functions for name in deployment.environment(function)}

    assert "CALL_TIMEOUT_SECONDS" in told
    assert not [name for name in told if name in RESERVED or name.startswith(("CLOUD_RUN_", "X_GOOGLE_"))]
