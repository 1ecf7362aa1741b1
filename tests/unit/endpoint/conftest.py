"""The endpoint of a function that answers what a test sets, with its environment and its log."""

import json
import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import flask
import pytest
from werkzeug.test import TestResponse

from shared.web.endpoint import endpoint
from tests.support.called_function import METHODS, Answers, Ask, Lines
from tests.support.tokens import AUDIENCE, CALLER, IdentityProvider


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Restore the logging of this process."""
    root, own = logging.getLogger(), logging.getLogger("watchkeeper")
    handlers, levels = root.handlers[:], (root.level, own.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    own.setLevel(levels[1])


@pytest.fixture
def env() -> dict[str, str]:
    """The environment of the function; a test may change it."""
    return {"AUTH_MODE": "off"}


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def ask(env: dict[str, str], answers: Answers, now: datetime) -> Ask:
    """Return a function that makes a request, routed as functions-framework does: any path and any method."""
    serve = endpoint("tick", answers, env=env, clock=lambda: now)
    app = flask.Flask(__name__)
    app.add_url_rule("/", "root", lambda: serve(flask.request), methods=METHODS, provide_automatic_options=False)
    app.add_url_rule(
        "/<path:path>", "path", lambda path: serve(flask.request), methods=METHODS, provide_automatic_options=False
    )

    def ask(method: str = "POST", path: str = "/", **request: Any) -> TestResponse:
        return app.test_client().open(path, method=method, **request)

    return ask


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    """Return a function that returns the log lines since its last call."""
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with IdentityProvider() as provider:
        yield provider


@pytest.fixture
def closed(env: dict[str, str], provider: IdentityProvider) -> dict[str, str]:
    """The environment of a function that allows one caller."""
    env |= {
        "AUTH_MODE": "verify",
        "AUTH_AUDIENCE": AUDIENCE,
        "AUTH_CALLERS": CALLER,
        "AUTH_CERTS_URL": provider.url,
        "CRON_SECRET": "open-sesame-open-sesame",
    }
    return env
