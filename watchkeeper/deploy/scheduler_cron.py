"""Which cron expressions Cloud Scheduler takes: fewer than a job may have."""

import re

_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_PLAIN_CRON = re.compile(r"\*(/\d+)?|(?P<low>\d+|[A-Z]{3})(-(?P<high>\d+|[A-Z]{3})(/\d+)?)?", re.ASCII)


def foreign_to_scheduler(schedule: str) -> str:
    """Return the first item of a cron expression that only Watchkeeper takes, or ""."""
    fields = schedule.upper().split()
    if len(fields) == 1:
        return schedule
    return next((item for field in fields for item in field.split(",") if not _is_plain_cron(item)), "")


def _is_plain_cron(item: str) -> bool:
    """Return whether an item is as in the documentation of Cloud Scheduler: no L, #, step of a number or wrapping."""
    match = _PLAIN_CRON.fullmatch(item)
    if match is None:
        return False
    low, high = match["low"] or "", match["high"] or match["low"] or ""
    if low.isalpha():
        names = _DAYS if low in _DAYS else _MONTHS
        return names.index(low) <= names.index(high)
    return not low or int(low) <= int(high)
