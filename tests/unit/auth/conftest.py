"""An identity provider and its certificates, and requests that must be refused."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from shared.errors import Unauthorized
from shared.settings import AuthMode, AuthPolicy
from shared.web.auth import authenticate
from shared.web.certificates import Certificates
from tests.support.callers import NOW, Issue, Logged, Refuse
from tests.support.tokens import IdentityProvider, without_signature


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with IdentityProvider() as provider:
        yield provider


@pytest.fixture
def certificates(provider: IdentityProvider) -> Certificates:
    return Certificates(provider.url)


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Logged:
    """Return the log so far, as data."""
    return lambda: [{"level": record.levelname, **vars(record)["fields"]} for record in caplog.records]


@pytest.fixture
def refuse(certificates: Certificates, caplog: pytest.LogCaptureFixture) -> Refuse:
    """Return a function that makes a request, asserts that it is refused, and returns the reason in the log.

    It also asserts that the caller gets one fixed sentence and that the log has no part of a token.
    """

    def refuse(headers: dict[str, str], policy: AuthPolicy, now: datetime = NOW) -> str:
        caplog.clear()
        with pytest.raises(Unauthorized) as caught:
            authenticate(headers, policy, certificates=certificates, now=now)

        (record,) = caplog.records
        everything = f"{caplog.text} {vars(record)}"
        tokens = [header.partition(" ")[2] for header in headers.values()]
        assert [part for token in tokens for part in token.split(".") if len(part) > 3 and part in everything] == []
        assert str(caught.value) == "The caller did not prove who it is."
        assert caught.value.__cause__ is None
        assert (record.levelname, vars(record)["fields"]["action"]) == ("WARNING", "auth_refused")
        reason: str = vars(record)["fields"]["reason"]
        assert record.getMessage() == f"Request refused: {reason}"
        return reason

    return refuse


@pytest.fixture(params=[AuthMode.VERIFY, AuthMode.PLATFORM])
def mode(request: pytest.FixtureRequest) -> AuthMode:
    mode: AuthMode = request.param
    return mode


@pytest.fixture
def issue(provider: IdentityProvider, mode: AuthMode) -> Issue:
    """Return a function that makes a token as it arrives in each mode: signed, or with the signature removed."""

    def issue(claims: object, **how: Any) -> str:
        token = provider.token(claims, **how)
        return without_signature(token) if mode is AuthMode.PLATFORM else token

    return issue
