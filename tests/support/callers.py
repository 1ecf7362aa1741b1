"""Callers, their tokens and the policy that judges them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.settings import AuthMode, AuthPolicy
from tests.support.tokens import AUDIENCE, CALLER

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
STRANGER = "mallory@elsewhere.iam.gserviceaccount.com"
Issue = Callable[..., str]
Logged = Callable[[], list[dict[str, Any]]]
Refuse = Callable[..., str]


def policy(mode: AuthMode = AuthMode.VERIFY, **changes: Any) -> AuthPolicy:
    return AuthPolicy(**{"mode": mode, "audiences": (AUDIENCE,), "callers": frozenset({CALLER}), **changes})


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


NO_OBJECTS = [
    pytest.param([], "header or claims are not a JSON object", id="list"),
    pytest.param("text", "header or claims are not a JSON object", id="text"),
    pytest.param(1, "header or claims are not a JSON object", id="number"),
    pytest.param(None, "header or claims are not a JSON object", id="null"),
    pytest.param(b"{", "the token cannot be checked (JSONDecodeError)", id="broken-json"),
    pytest.param(b"\xff\xff\xff", "the token cannot be checked (UnicodeDecodeError)", id="binary"),
    pytest.param(b"", "not three parts in base64url", id="empty"),
]
