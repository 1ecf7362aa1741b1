"""Time zones in a command: the person's own is read, any other is asked about."""

import pytest

from tests.support.phrasing import BERLIN, NOW, meaning, order, question, said

ZONES = [
    *("New York time", "Pacific", "Eastern", "Eastern time", "eastern standard time", "Central European time"),
    *("Tokyo time", "their time", "Bob's time", "ET", "PT", "IST", "SGT", "AEST", "EEST", "MEZ", "MESZ", "Z", "CEST"),
    *("UTC", "GMT", "gmt+2", "utc -5", "+1", "est", "et", "cet", "zulu", "Zulu", "msk"),
]


@pytest.mark.parametrize("zone", ZONES)
def test_a_time_zone_beside_a_time_is_asked_about(zone: str) -> None:
    """A time of another place would be wrong by hours."""
    for when in ("tomorrow at 9am", "every day at 9", "at 17:30", "at noon", "at 9 tomorrow"):
        for link in (" to", ", to", ":", " tomorrow to"):
            assert question(f"remind me {when} {zone}{link} call the bank")
    assert f"{zone.removesuffix(' time')}" in str(question(f"remind me tomorrow at 9am {zone} to call the bank"))
    assert question(f"remind me to call the bank tomorrow at 9am {zone}")
    assert meaning(f"tomorrow at 9am {zone} post 'x'", NOW, BERLIN) == "ask"


@pytest.mark.parametrize(
    "text", ["get milk", "eat", "wait for Bob", "tea time", "met office call", "central heating on"]
)
def test_ordinary_words_are_no_time_zones(text: str) -> None:
    """They may follow a time without a link; after "to" any word may."""
    assert order(f"remind me tomorrow at 9:00 {text}").text == text
    for linked in (text, "PUT the bins out", "Eastern egg hunt", "check the time to leave"):
        assert order(f"remind me tomorrow at 9:00 to {linked}").text == linked


@pytest.mark.parametrize("own", ["my time", "local time", "our time"])
def test_the_own_time_zone_may_be_named(own: str) -> None:
    """It is what every time is read in."""
    found = order(f"remind me tomorrow at 9:00 {own} to x")

    assert (said(found), found.text) == ("2026-11-26 09:00", "x")
