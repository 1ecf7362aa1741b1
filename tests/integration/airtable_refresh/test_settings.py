"""The settings of airtable_refresh."""

import pytest

from airtable_settings import AirtableSettings
from shared.errors import InvalidSettings
from tests.support.local_airtable import OTHER_BASE, UNSET, LocalAirtable
from tests.support.renewing import call, let_out
from watchkeeper.fakes.airtable import BASE


def test_without_settings_health_answers_and_a_call_names_what_is_missing(local: LocalAirtable) -> None:
    """Health answers; a call names everything that is missing in one error and sends no request."""
    with local.running(UNSET) as function:
        health = function.call("/health", method="GET")
        answered = call(function)

    message = answered.body["error"]["message"]
    assert health == (200, {"status": "ok", "function": "airtable_refresh", "storage": "json"})
    assert (answered.status, answered.body["error"]["code"]) == (500, "invalid_settings")
    assert "AIRTABLE_API_KEY" in message
    assert "AIRTABLE_BASE_ID" in message
    assert local.asked() == []


def test_malformed_settings_are_named_together_and_the_key_is_not_shown(local: LocalAirtable) -> None:
    """The answer has the names, the log the faults, and neither has a value: they may be interchanged."""
    malformed = {"AIRTABLE_API_KEY": "patLocal s3cret", "AIRTABLE_BASE_ID": f"{BASE}, patOther.s3cret"}
    with local.running(malformed) as function:
        answered = call(function)

    message = answered.body["error"]["message"]
    (logged,) = answered.errors()
    assert (answered.status, answered.body["error"]["code"]) == (500, "invalid_settings")
    assert all(name in message and name in logged for name in malformed)
    assert "AIRTABLE_BASE_ID is malformed: a base id is app and 14 letters or digits" in logged
    assert "s3cret" not in let_out(function, answered)
    assert local.asked() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("AIRTABLE_API_KEY", "patLocal\nsecret", id="two-lines"),
        pytest.param("AIRTABLE_API_KEY", "pätLocal", id="no-ascii"),
        pytest.param("AIRTABLE_BASE_ID", "appShort", id="short-base"),
        pytest.param("AIRTABLE_BASE_ID", f"{BASE} {OTHER_BASE}", id="no-comma"),
        pytest.param("AIRTABLE_BASE_ID", " , ", id="only-commas"),
        pytest.param("AIRTABLE_API_ENDPOINT", "api.airtable.com", id="no-scheme"),
    ],
)
def test_a_malformed_setting_is_named(local: LocalAirtable, name: str, value: str) -> None:
    """Alone, if all others are valid."""
    with pytest.raises(InvalidSettings) as refused:
        AirtableSettings.from_env({**local.settings, name: value})

    assert refused.value.names == (name,)
