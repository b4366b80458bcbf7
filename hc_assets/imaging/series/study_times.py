"""When a study or a series started: DICOM dates and times as FHIR dateTimes, compared as instants.

Belongs here: the forms of DA, TM and TimezoneOffsetFromUTC (PS3.5 6.2, PS3.3 C.12.1.1), and which
of several is the earliest. What else a study's resource says is in `imaging_studies.py`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

# PS3.5 6.2: YYYYMMDD; the ACR-NEMA form YYYY.MM.DD is still to be read. Ranges are of queries only
_DAY = re.compile(r"([0-9]{4})(\.?)([0-9]{2})\2([0-9]{2})")
# Components may be left out from the right; 60 is a leap second; with colons it is ACR-NEMA's
_TIME = re.compile(r"([01][0-9]|2[0-3])(?:(:?)([0-5][0-9])(?:\2([0-5][0-9]|60)(\.[0-9]{1,6})?)?)?")
# From -1200 to +1400 (C.12.1.1.1); FHIR has no offset beyond 14:00 either
_OFFSET = re.compile(r"-(?:(?:0[0-9]|1[01])[0-5][0-9]|1200)|\+(?:(?:0[0-9]|1[0-3])[0-5][0-9]|1400)")
_MOMENT = re.compile(r"[0-9]{8}([0-9]{2,6}(?:\.[0-9]{1,6})?)(?:[+-][0-9]{4})?")
_PADDING = "\0 "


@dataclass(frozen=True)
class Start:
    """A date, or a moment.

    Attributes:
        text: as FHIR has it.
        day: in its own time zone.
        instant: as UTC, of a moment; None of a date alone.
        fraction: of a second, of a moment: as many digits as were sent.
    """

    text: str
    day: date
    instant: datetime | None = None
    fraction: float = 0.0


def earliest(starts: Iterable[Start]) -> str | None:
    """Return the earliest of some starts as a FHIR dateTime; None where there are none.

    Moments are compared as instants, whatever their time zones. A date alone says less than a
    moment of that day, so it counts only where it is before the day of the earliest moment.
    """
    found = list(starts)
    days = sorted((each for each in found if each.instant is None), key=lambda each: each.day)
    moments = sorted(
        (each for each in found if each.instant is not None),
        key=lambda each: (each.instant, each.fraction, each.text),
    )
    if moments and days:
        return (days if days[0].day < moments[0].day else moments)[0].text
    return next((each.text for each in (*moments, *days)), None)


def start(day: date | str | None, time: str | None, offset: str | None) -> Start | None:
    """Make a start of what a file says.

    Args:
        day: DA, or the date that the index made of one.
        time: TM.
        offset: TimezoneOffsetFromUTC.

    Returns:
        The date alone where there is no time, or no offset from UTC, which FHIR demands with a
        time. None where there is no date. What is malformed counts as absent (the index keeps it
        as sent). -0000, which DICOM forbids, is no other offset than +0000.
    """
    parsed = day if isinstance(day, date) else _day(day)
    if parsed is None:
        return None
    clock = _TIME.fullmatch((time or "").strip(_PADDING))
    zone = (offset or "").strip(_PADDING)
    if not clock or not _OFFSET.fullmatch(zone):
        return Start(parsed.isoformat(), parsed)
    hour, _, minute, second, fraction = clock.groups()
    minute, second, fraction = minute or "00", second or "00", fraction or ""
    sign = "+" if zone == "-0000" else zone[0]
    ahead = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:])) * (1 if sign == "+" else -1)
    try:
        midnight = datetime(parsed.year, parsed.month, parsed.day, tzinfo=UTC)
        instant = midnight - ahead
        instant += timedelta(hours=int(hour), minutes=int(minute), seconds=int(second))
    except OverflowError:  # before the year 1, or after 9999
        return Start(parsed.isoformat(), parsed)
    text = f"{parsed.isoformat()}T{hour}:{minute}:{second}{fraction}{sign}{zone[1:3]}:{zone[3:]}"
    return Start(text, parsed, instant, float(fraction or 0))


def seconds_of_day(time: str | None) -> float | None:
    """Return the seconds from midnight to a time.

    Args:
        time: TM, or DT, whose date is left aside.
    """
    text = (time or "").strip(_PADDING)
    moment = _MOMENT.fullmatch(text)
    clock = _TIME.fullmatch(moment.group(1) if moment else text)
    if clock is None:
        return None
    hour, _, minute, second, fraction = clock.groups()
    whole = 3600 * int(hour) + 60 * int(minute or 0) + int(second or 0)
    return whole + float(fraction or 0)


def _day(text: str | None) -> date | None:
    match = _DAY.fullmatch((text or "").strip(_PADDING))
    if match is None:
        return None
    year, _, month, day = match.groups()
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None  # such as 30 February
