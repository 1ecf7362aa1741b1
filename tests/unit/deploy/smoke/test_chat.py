"""The smoke test of Chat's function."""

from pathlib import Path

import pytest

from tests.support.deploying import SETTINGS, url
from tests.support.recorder import Recorder, deployment_of, refused, shown
from tests.support.smoking import FakeDeployment, knock
from watchkeeper.deploy.gcloud import Ended, StepFailed
from watchkeeper.deploy.outside import HttpResponse, Outside
from watchkeeper.deploy.patience import LIMIT, StillRefused
from watchkeeper.deploy.work import Work


@pytest.mark.parametrize("code", ["unauthorized", "forbidden"])
def test_our_code_refuses_an_unsigned_event(
    cloud: FakeDeployment, work: Work, capsys: pytest.CaptureFixture[str], code: str
) -> None:
    """This shows that it runs with its settings; whether Chat reaches it stays open."""
    cloud.reply = HttpResponse(401, f'{{"error": {{"code": "{code}"}}}}'.encode())

    knock(work)

    assert capsys.readouterr().out == "proved: watchkeeper-chat-webhook runs, and refuses an unsigned event\n"
    assert cloud.left_open == ["not proved: that Google Chat reaches watchkeeper-chat-webhook; write `help` to the app"]


@pytest.mark.parametrize(
    ("status", "token"), [(401, shown("a.b.c")), (403, shown("a.b.c")), (0, refused("You do not have an account"))]
)
def test_a_refusal_by_cloud_run_proves_less(
    cloud: FakeDeployment, work: Work, capsys: pytest.CaptureFixture[str], status: int, token: Ended
) -> None:
    """The deployer may not be allowed to call, or may have no token for a call."""
    cloud.reply = HttpResponse(status, b"<html>Your client does not have permission to get URL</html>")
    cloud.answers["auth print-identity-token"] = token

    knock(work)

    assert capsys.readouterr().out == ""
    assert "Nor that it runs, since Cloud Run lets you in only with roles/run.invoker" in cloud.left_open[0]


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (HttpResponse(200, b"{}"), "accepts an unsigned event"),
        (
            HttpResponse(500, b'{"error": {"code": "invalid_settings"}}'),
            "answered 500 invalid_settings; see its log",
        ),
        (HttpResponse(404, b"<html>"), "answered 404; see its log"),
    ],
)
def test_any_other_answer_is_a_failure(cloud: FakeDeployment, work: Work, reply: HttpResponse, says: str) -> None:
    """An open function above all."""
    cloud.reply = reply

    with pytest.raises(StepFailed, match=says):
        knock(work)


@pytest.mark.parametrize("status", [0, 429, 503])
def test_a_function_that_is_still_starting_is_waited_for(
    cloud: FakeDeployment, work: Work, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """As long as the others."""
    cloud.reply = HttpResponse(status, b"")

    with pytest.raises(StillRefused):
        knock(work)

    assert cloud.clock() == LIMIT


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        pytest.param(SETTINGS, {"X-Serverless-Authorization": "Bearer a.b.c"}, id="private"),
        pytest.param(f"{SETTINGS}CHAT_AUTH=project_number\n", {}, id="public"),
    ],
)
def test_no_token_of_ours_reaches_the_code(
    cloud: FakeDeployment, tmp_path: Path, settings: str, wanted: dict[str, str]
) -> None:
    """Cloud Run takes the deployer's token in its own header and checks no other; a public function needs none."""
    sent: list[dict[str, str]] = []

    def request(method: str, url: str, *, headers: dict[str, str], body: bytes | None) -> HttpResponse:
        sent.append(headers)
        return cloud.reply

    cloud.outside = Outside(open_store=cloud.outside.open_store, request=request)  # type: ignore[arg-type]

    knock(cloud.work(deployment_of(tmp_path / "production.env", settings), tmp_path))

    assert sent == [{"Content-Type": "application/json", **wanted}]


def test_a_dry_run_makes_no_job_and_calls_no_function(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It prints what it would create and send."""
    (settings := tmp_path / "production.env").write_text(SETTINGS)
    gcloud = Recorder()

    code = gcloud.run(settings, "smoke", "--dry-run")

    said = capsys.readouterr().out
    assert (code, gcloud.commands, gcloud.left_open) == (0, [], [])
    assert f"# POST {url('chat_webhook')} without a token of Chat" in said
    assert said.count("# a job smoke:ID is made in the store; it has to run, and is deleted\n") == 2
