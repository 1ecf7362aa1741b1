"""Only Google Chat may call, with the token of its kind of app, and invalid settings are reported."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chat_access import CHAT
from tests.support.chatting import AddOn, Classic, button, buttons_of, checked, words_of
from tests.support.renewing import in_file, utc_now
from tests.support.serving_chat import (
    ADD_ON,
    NUMBER,
    REMIND,
    SECRET,
    URL,
    App,
    both,
    running_chat,
)
from tests.support.tokens import IdentityProvider, google_claims, rs256, rsa_key


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    with IdentityProvider() as provider:
        yield provider


@pytest.mark.parametrize("kind", ["addon", "endpoint", "project_number"])
def test_only_chat_itself_is_accepted(provider: IdentityProvider, tmp_path: Path, kind: str) -> None:
    """One good and one bad call for each kind of token; no token reaches the log."""
    email, audience = {"addon": (ADD_ON, URL), "endpoint": (CHAT, URL), "project_number": (None, NUMBER)}[kind]
    issuer = CHAT if kind == "project_number" else "https://accounts.google.com"
    claims = google_claims(utc_now(), email=email, aud=audience, iss=issuer)
    good, bad = provider.token(claims), provider.token(claims, sign=rs256(rsa_key("mallory")))
    env = {"AUTH_MODE": "verify", "CHAT_AUTH": kind, "CHAT_AUDIENCE": audience, "AUTH_CERTS_URL": provider.url}

    def events(token: str) -> tuple[Any, dict[str, str]]:
        """Return an event and headers with the token in its place: the body of an add-on's event, or the header."""
        if kind == "addon":
            return AddOn.message("help", authorizationEventObject={"systemIdToken": token}), {}
        return Classic.message("help"), {"Authorization": f"Bearer {token}"}

    with running_chat(tmp_path, in_file(tmp_path), **env, AUTH_CALLERS=ADD_ON) as chat:
        let_in, refused, without = chat.send(*events(good)), chat.send(*events(bad)), chat.send(*events(""))
        leaks = chat.leaks(*good.split("."), *bad.split("."))

    assert let_in[0] == 200
    assert "This is what I can do" in words_of(let_in[1])
    assert (refused[0], refused[1]["error"]["code"]) == (401, "unauthorized")
    assert without[0] == 401
    assert leaks == []


@both
def test_only_our_own_buttons_work_if_any_app_may_call(
    provider: IdentityProvider, tmp_path: Path, space: str, app: App
) -> None:
    """With `endpoint` a forged order makes no job; an order of our card does, on another instance too."""
    token = provider.token(google_claims(utc_now(), email=CHAT, aud=URL))
    headers = {"Authorization": f"Bearer {token}"}
    env = {"AUTH_MODE": "verify", "CHAT_AUTH": "endpoint", "CHAT_AUDIENCE": URL, "AUTH_CERTS_URL": provider.url}
    storage = in_file(tmp_path)

    with running_chat(tmp_path, storage, **env) as chat:
        status, asked = chat.send(app.message(REMIND, space=space), headers)
        confirm = button(asked, "Confirm")
        pairs = [pair for pair in confirm["onClick"]["action"]["parameters"] if pair["key"] != "seal"]
        forged = {"text": "Hooray", "onClick": {"action": {"function": URL, "parameters": pairs}}}
        _, refused = chat.send(app.click(forged, space=space), headers)
        before = chat.jobs(space)
        logged = chat.logged("button_refused")
    with running_chat(tmp_path, storage, **env) as chat:
        _, done = chat.send(app.click(confirm, space=space), headers)
        after = chat.jobs(space)

    assert status == 200
    assert "I cannot verify that this button is mine" in words_of(checked(refused))
    assert before == []
    assert [line["severity"] for line in logged] == ["WARNING"]
    assert "Scheduled: stretch" in words_of(checked(done))
    assert [job.payload["text"] for job in after] == ["<users/104> stretch"]


@pytest.mark.parametrize("kind", ["endpoint", "project_number"])
def test_classic_app_accepts_its_own_add_on_token(
    provider: IdentityProvider, tmp_path: Path, space: str, kind: str
) -> None:
    """Google moves such apps; the token proves that the app is ours, so its buttons need no seal."""
    token = provider.token(google_claims(utc_now(), email=ADD_ON, aud=URL))
    audience = {"endpoint": URL, "project_number": NUMBER}[kind]
    env = {"AUTH_MODE": "verify", "CHAT_AUTH": kind, "CHAT_AUDIENCE": audience, "AUTH_CERTS_URL": provider.url}

    with running_chat(tmp_path, in_file(tmp_path), **env, AUTH_CALLERS=ADD_ON) as chat:
        status, asked = chat.send(AddOn.message(REMIND, space=space), {"Authorization": f"Bearer {token}"})
        leaks = chat.leaks(*token.split("."))

    assert status == 200
    assert [each["text"] for each in buttons_of(checked(asked))] == ["Confirm", "Change", "Discard"]
    assert "seal" not in json.dumps(asked)
    assert leaks == []


def test_response_names_invalid_settings(tmp_path: Path) -> None:
    """The answer has their names, only the log their values."""
    env = {"AUTH_MODE": "verify", "ALLOWED_USERS": "nonsense"}

    with running_chat(tmp_path, in_file(tmp_path), **env) as chat:
        status, answer = chat.send(Classic.message(SECRET))
        leaks = chat.leaks()

    assert (status, answer["error"]["code"]) == (500, "invalid_settings")
    assert answer["error"]["message"].endswith("ALLOWED_USERS, CHAT_AUDIENCE, AUTH_CALLERS")
    assert "nonsense" not in json.dumps(answer)
    assert leaks == []
