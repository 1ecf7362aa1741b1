"""The fakes of a local run: which services are faked, and the settings that point to them."""

import pytest
import requests

from shared.settings import Settings
from watchkeeper.fakes.services import DEFAULT_QUEUES, FAKES, Worker, running_fakes

URL = "http://127.0.0.1:8090"
QUEUE = "projects/watchkeeper-local/locations/local/queues/watchkeeper-agents"
PATIENCE = 10  # seconds
WORKER = Worker(url=URL, queues=DEFAULT_QUEUES)
PORTS = [0] * FAKES


def test_cloud_tasks_is_faked_for_a_worker() -> None:
    """The settings name the queue and the function as a deployment does, and allow the calls."""
    with running_fakes({}, PORTS, WORKER) as services:
        settings = Settings.from_env({**services.settings, **services.worker_settings})
        certificates = requests.get(settings.certs_url, timeout=PATIENCE).json()

    assert settings.queues.full_name("agents") == QUEUE
    assert settings.queues.worker_url == URL
    assert settings.queues.endpoint == services.addresses["Cloud Tasks"]
    assert settings.auth.audiences == (URL,)
    assert settings.auth.callers == {settings.queues.caller}
    assert [text.startswith("-----BEGIN CERTIFICATE-----") for text in certificates.values()] == [True]


@pytest.mark.parametrize(
    ("env", "worker", "state"),
    [
        pytest.param({}, None, "absent", id="no-function"),
        pytest.param({"TASK_QUEUES": f"agents={QUEUE}"}, WORKER, "real", id="configured"),
        pytest.param({"TASK_QUEUES": f"agents={QUEUE}"}, None, "real", id="configured-without-function"),
    ],
)
def test_cloud_tasks_is_not_faked_otherwise(env: dict[str, str], worker: Worker | None, state: str) -> None:
    """Without the function nothing could be called, and a queue in the settings is a real one."""
    with running_fakes(env, PORTS, worker) as services:
        told = {service.name: service.is_fake for service in services.told()}

    assert "TASKS_API_ENDPOINT" not in services.settings
    assert told.get("Cloud Tasks") is (False if state == "real" else None)


@pytest.mark.parametrize(
    ("env", "status"),
    [
        pytest.param({}, 401, id="fake-credentials"),
        pytest.param({"CHAT_AUDIENCE": "https://example.com"}, 200, id="real-chat"),
        pytest.param({"SCHEDULER_STORAGE": "firestore"}, 200, id="real-firestore"),
    ],
)
def test_a_token_of_real_credentials_opens_the_fake(env: dict[str, str], status: int) -> None:
    """If the functions have real credentials, their tokens come from Google and are unknown to the fake."""
    with running_fakes(env, PORTS, WORKER) as services:
        url = f"{services.addresses['Cloud Tasks']}/v2/{QUEUE}"
        answer = requests.get(url, headers={"Authorization": "Bearer ya29.of-google"}, timeout=PATIENCE)

    assert answer.status_code == status
