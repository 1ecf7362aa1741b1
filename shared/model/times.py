"""Times as machines read them."""

from datetime import UTC, datetime


def iso(moment: datetime) -> str:
    """Write an aware time as ISO 8601 in UTC, e.g. `2026-11-21T09:00:00Z`."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
