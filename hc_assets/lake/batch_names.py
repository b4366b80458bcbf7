"""How a batch is named: by when it was landed, behind all others of its kind, and by its content.

Belongs here: the name and its time. What a batch holds is in `landing.py`.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

_TIME = "%Y%m%dT%H%M%SZ"


class BatchName(NamedTuple):
    """The key of a batch to be, and the time in it.

    Attributes:
        key: `<UTC time>-<first 8 of its content's hash>`.
        landed_at: UTC.
        is_clock_behind: whether the clock is behind an earlier batch, whose time was followed.
    """

    key: str
    landed_at: datetime
    is_clock_behind: bool


def batch_name(now: datetime, content: str, others: Iterable[str]) -> BatchName:
    """Name a batch so that the order of keys is that of arrival, whatever the clock says.

    Args:
        now: time of landing, with its zone.
        content: hash of its content, in hex.
        others: names of the kind's other batches; folders named otherwise are passed over.
    """
    at = now.astimezone(UTC)
    key = f"{at:{_TIME}}-{content[:8]}"
    times = [(name, time) for name in others if (time := _time_of(name)) is not None]
    newest, landed = max(times, default=("", at))
    if key > newest:
        return BatchName(key, at, is_clock_behind=False)
    following = landed + timedelta(seconds=1)
    is_behind = at.replace(microsecond=0) < landed
    return BatchName(f"{following:{_TIME}}-{content[:8]}", following, is_behind)


def _time_of(key: str) -> datetime | None:
    try:
        return datetime.strptime(key.partition("-")[0], _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
