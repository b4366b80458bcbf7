"""FHIR's dates and times as Python's.

Belongs here: reading the text of a valid date, dateTime or instant. Whether it is valid is judged
in `validation.py`.
"""

import re
from datetime import date, datetime

_DATE_LENGTH = len("2026-01-31")
_LEAP_SECOND = re.compile(r"(.{17})60(?:\.\d+)?(.*)")


def day_of(text: object) -> date | None:
    """Day of a date or dateTime; None where it is less precise than a day, or absent."""
    if not isinstance(text, str) or len(text) < _DATE_LENGTH:
        return None
    return date.fromisoformat(text[:_DATE_LENGTH])


def first_day_of(text: str) -> date | None:
    """First day that a date, which may state only year and month, can be."""
    padded = {len("2026"): f"{text}-01-01", len("2026-01"): f"{text}-01"}.get(len(text), text)
    return day_of(padded)


def moment_of(text: object) -> datetime | None:
    """Moment of a dateTime or instant; None where it has no time of the day, or is absent.

    Returns:
        With the offset that the text has; what is finer than a microsecond is cut off. A leap
        second, which Python can't hold, becomes the microsecond before it.
    """
    if not isinstance(text, str) or "T" not in text:
        return None
    leap = _LEAP_SECOND.fullmatch(text)
    return datetime.fromisoformat(f"{leap[1]}59.999999{leap[2]}" if leap else text)
