"""Which expressions and timezones are refused, with what remedy, and which are mentioned as odd."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from shared.model.recurrence import InvalidSchedule, Recurrence, load_timezone, oddities


@pytest.mark.parametrize(
    ("cron", "complaint"),
    [
        pytest.param("R 9 * * *", "minute 'R': write 0-59,", id="random"),
        pytest.param("0 R(8-17) * * *", "hour 'R(8-17)': write 0-23,", id="random-in-a-range"),
        pytest.param("0 r/5 * * *", "hour 'r/5'", id="random-with-step"),
        pytest.param("H 9 * * *", "minute 'H'", id="hashed"),
        pytest.param("0 9 H(1-5) * *", "day of month 'H(1-5)'", id="hashed-in-a-range"),
        pytest.param("0 9 15W * *", "day of month '15W': W (the nearest weekday) is not", id="nearest-weekday"),
        pytest.param("0 9 ? * *", "day of month '?': ? is not supported; write * instead", id="question-mark"),
        pytest.param("0 9 L-2 * *", "day of month 'L-2'", id="before-the-last-day"),
        pytest.param("0 9 5L * *", "day of month '5L'", id="last-friday-as-quartz-writes-it-as-day-of-month"),
        pytest.param("0 9 LW * *", "W (the nearest weekday) is not supported", id="last-weekday-of-quartz"),
        pytest.param("0 9 1-0 * *", "day of month '1-0': write 1-31,", id="range-to-no-day"),
        pytest.param("0 9 27-0 * *", "day of month '27-0'", id="wrapping-range-to-no-day"),
        pytest.param("0 9 1 6-0 *", "month '6-0'", id="range-to-no-month"),
        pytest.param("0 9 * * 7-0", "day of week '7-0'", id="range-from-sunday-to-sunday"),
        pytest.param("0 9 * * L", "day of week 'L'", id="last-weekday-without-a-day"),
        pytest.param("0 9 L5 * *", "day of month 'L5'", id="last-friday-as-day-of-month"),
        pytest.param("0 9 * * mon#6", "day of week 'mon#6': write 0-7, SUN-SAT, MON#2", id="sixth-monday"),
        pytest.param("0 9 1#1 * *", "day of month '1#1'", id="nth-in-another-field"),
        pytest.param(
            "*/60 * * * *",
            "minute '*/60': write 0-59, a range of two or more (1-5), a step of 1 to 59",
            id="step-of-minutes",
        ),
        pytest.param("0 */24 * * *", "hour '*/24'", id="step-of-hours"),
        pytest.param("0 9 1/31 * *", "day of month '1/31'", id="step-of-days"),
        pytest.param("0 9 * */12 *", "month '*/12'", id="step-of-months"),
        pytest.param("0 9 * * 0-6/7", "day of week '0-6/7'", id="step-of-weekdays"),
        pytest.param("*/0 * * * *", "minute '*/0'", id="zero-step"),
        pytest.param("0 9-9 * * *", "hour '9-9': write 0-23, a range of two or more", id="range-of-one"),
        pytest.param("0 9-09 * * *", "hour '9-09'", id="range-of-one-spelt-twice"),
        pytest.param("0 9 * * sun-Sun", "day of week 'sun-Sun'", id="range-of-one-name"),
        pytest.param("0 21-4/2 * * *", "hour '21-4/2'", id="step-in-a-range-that-wraps-around"),
        pytest.param("60 * * * *", "minute '60'", id="minute-60"),
        pytest.param("0 24 * * *", "hour '24'", id="hour-24"),
        pytest.param("0 9 0 * *", "day of month '0'", id="day-0"),
        pytest.param("0 9 * 13 *", "month '13': write 1-12, JAN-DEC,", id="month-13"),
        pytest.param("0 9 * * 8", "day of week '8'", id="weekday-8"),
        pytest.param("0 9 * mon *", "month 'mon'", id="weekday-as-month"),
        pytest.param("0 jan * * *", "hour 'jan'", id="month-as-hour"),
        pytest.param("0 9 * * monday", "day of week 'monday'", id="full-name"),
        pytest.param("0 9 * * 1,,3", "day of week ''", id="empty-item"),
        pytest.param("-5 * * * *", "minute '-5'", id="negative"),
        pytest.param("1_0 * * * *", "minute '1_0'", id="underscore"),
        pytest.param(
            "0 9 * *", "exactly five fields (minute, hour, day of month, month, day of week", id="four-fields"
        ),
        pytest.param("0 0 9 * * *", "no seconds", id="seconds"),
        pytest.param("0 0 9 * * * 2026", "no years", id="years"),
        pytest.param("@reboot", "one of @hourly, @daily", id="reboot"),
        pytest.param("", "exactly five fields", id="empty"),
        pytest.param("0 9 * * *\n", "day of week '*\\n'", id="line-end"),
        pytest.param("0\u00a09 * * *", "plain ASCII", id="no-break-space"),
        pytest.param("\u0663 9 * * *", "plain ASCII", id="arabic-digit"),
        pytest.param("\uff10 9 * * *", "plain ASCII", id="full-width-digit"),
        pytest.param("@wee\u212aly", "plain ASCII", id="kelvin-sign"),
        pytest.param(9, "plain ASCII", id="no-text"),
        pytest.param("0 0 30 2 *", "never runs: month '2' has no day of month '30'", id="30-february"),
        pytest.param("0 0 31 feb,4-6/2,sep,11 *", "never runs", id="31-of-short-months"),
    ],
)
def test_expression_that_cannot_be_meant_is_refused(cron: str, complaint: str) -> None:
    """The error names the expression, the field and the remedy."""
    with pytest.raises(InvalidSchedule) as refused:
        Recurrence(cron, "UTC")

    assert f"Cron expression {cron!r}" in str(refused.value)
    assert complaint in str(refused.value)


@pytest.mark.parametrize("cron", ["0 9 * * FRI#L", "0 9 * * 5#L", "0 9 * * 5L", "0 9 * * friL"])
def test_the_last_friday_may_be_written_as_others_write_it(cron: str) -> None:
    """Quartz, Spring and others write 5L or FRI#L for L5."""
    ours, theirs = Recurrence("0 9 * * L5", "UTC"), Recurrence(cron, "UTC")
    moment = datetime(2026, 1, 1, tzinfo=UTC)

    for _ in range(24):
        moment = ours.after(moment)
        assert theirs.last_until(moment) == moment


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        pytest.param("10-20/15 * * * *", ["minute '10-20/15' has a step wider than its range"], id="step"),
        pytest.param("1,1,5 * * * *", ["minute '1,1,5' has a value more than once"], id="repeated"),
        pytest.param("0 9 * * 1-5,mon", ["day of week '1-5,mon' has a value more than once"], id="repeated-by-name"),
        pytest.param("0 9 */2 * 1-5", ["day of month and day of week are both restricted, and either"], id="either"),
        pytest.param("0 9 * * 1-5", [], id="plain"),
        pytest.param("10-20/10 * * * *", [], id="step-that-fits"),
        pytest.param("@daily", [], id="name"),
    ],
)
def test_what_a_person_may_not_have_meant_is_mentioned(cron: str, said: list[str]) -> None:
    """It is accepted, as by other crons."""
    found = oddities(cron)

    assert [line[: len(start)] for line, start in zip(found, said, strict=True)] == said


@pytest.mark.parametrize(
    "name",
    [
        *("", "Mars/Olympus", "Europe", "europe/berlin", "Europe/Berlin ", "UTC\0", "CEST", "+02:00"),
        *("localtime", "posixrules", "Factory", "right/UTC", "posix/UTC", "zone.tab"),
        *("/etc/localtime", "../zoneinfo/UTC", "./UTC", None, 2, ["UTC"]),
    ],
)
def test_timezone_that_is_no_iana_name_is_refused(name: str) -> None:
    """A name without meaning, or with one on this machine only, is refused with an example."""
    with pytest.raises(InvalidSchedule, match=r"^Timezone .* is not known\. Write an IANA name such as Europe/Berlin"):
        load_timezone(name)
    with pytest.raises(InvalidSchedule):
        Recurrence("0 9 * * *", name)


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT-5", "US/Pacific"])
def test_iana_timezone_is_found(name: str) -> None:
    """Every name that the IANA database lists can be used."""
    assert load_timezone(name) == ZoneInfo(name)
