"""What a command in plain English means: an order, told in one line, or a question."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from orders import NotUnderstood, Order
from phrases import understand

BERLIN = "Europe/Berlin"
NOW = datetime(2026, 11, 25, 10, 7, tzinfo=ZoneInfo(BERLIN))  # a Wednesday
SATURDAY = datetime(2026, 11, 21, 10, 30, tzinfo=ZoneInfo(BERLIN))


def local(moment: datetime, timezone: str) -> datetime:
    return moment.astimezone(ZoneInfo(timezone)).replace(tzinfo=None)


def meaning(text: str, now: datetime, timezone: str) -> Order | str:
    try:
        return understand(text, now=now, timezone=timezone) or "agent"
    except NotUnderstood:
        return "ask"


def said(order: Order) -> str:
    """Return the fields of a schedule, on its own clocks."""
    when = order.when
    at, until = (f"{local(each, order.timezone):%Y-%m-%d %H:%M}" if each else "" for each in (when.at, when.until))
    parts = [
        when.cron,
        when.every and f"every {when.every}",
        at and f"{'from ' if when.is_recurring else ''}{at}",
        until and f"until {until}",
        f"except {' '.join(map(str, when.except_dates))}" if when.except_dates else "",
    ]
    return ", ".join(part for part in parts if part)


def order(command: str, *, now: datetime = NOW, timezone: str = BERLIN) -> Order:
    found = meaning(command, now, timezone)
    assert isinstance(found, Order), found
    return found


def question(command: str, *, now: datetime = NOW, timezone: str = BERLIN) -> NotUnderstood:
    with pytest.raises(NotUnderstood) as caught:
        understand(command, now=now, timezone=timezone)
    return caught.value
