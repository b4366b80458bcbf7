"""What is left out of what is made of all batches: for how long, and whether to ask for it.

Belongs here: the decision, and what a sensor's cursor keeps for it between two looks. What is left
out is found by `lake/backlog.py`; that something is made in the usual case is decided by the
condition of `specs.py`, which goes by Dagster's events, and can miss one: a batch that ends while a
run over all batches is being recorded counts as handled by it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from hc_assets.orchestration import internals

_FIRST_PAUSE = timedelta(minutes=15)
_LONGEST_PAUSE = timedelta(days=1)


@dataclass(frozen=True)
class Patience:
    """How long the usual way has time to act.

    Attributes:
        quiet_cron: once a tick of it passes without a change, it is asked for.
        latest_cron: once a tick of it passes, it is asked for although batches come.
        grace: by which it is later than the condition that acts at the same ticks.
    """

    quiet_cron: str
    latest_cron: str
    grace: timedelta


@dataclass(frozen=True)
class Waiting:
    """What was left out when it was last looked at.

    Attributes:
        first: one of it, which has been left out since `first_at`; "" where nothing is.
        first_at: when it was first seen.
        all_sha256: of all that is left out.
        all_at: when that was first seen.
        requests: how often it was asked for while `first` was left out.
        asked_at: when it was last asked for.
    """

    first: str = ""
    first_at: datetime | None = None
    all_sha256: str = ""
    all_at: datetime | None = None
    requests: int = 0
    asked_at: datetime | None = None

    @classmethod
    def of_cursor(cls, cursor: str | None) -> "Waiting":
        """Read what the last look kept; None before the first one."""
        return msgspec.json.decode(cursor, type=cls) if cursor else cls()

    def to_cursor(self) -> str:
        """Write it for the next look; its size does not depend on what is left out."""
        return msgspec.json.encode(self).decode()

    def seen(self, left_out: Sequence[tuple[str, str]], now: datetime) -> "Waiting":
        """Compare it with what is left out now; after a clock was set back, waiting starts over."""
        if not left_out:
            return Waiting()
        if any(at and at > now for at in (self.first_at, self.all_at, self.asked_at)):
            return Waiting().seen(left_out, now)
        names = [f"{table} lacks {partition}" for table, partition in left_out]
        digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
        is_same = digest == self.all_sha256
        kept = self if self.first in names else Waiting(names[0], now)
        return replace(kept, all_sha256=digest, all_at=self.all_at if is_same else now)

    def is_due(self, patience: Patience, now: datetime, *, batches_come: bool) -> bool:
        """Whether to ask for it now.

        Each further request for the same waits twice as long, a day at most: a run that fails is
        tried again, and does not fill the record.

        Args:
            patience: how long to wait.
            now: time of the look.
            batches_come: whether a batch is on its way.
        """
        if self.first_at is None or self.all_at is None:
            return False
        if self.asked_at is not None:
            pause = min(_FIRST_PAUSE * 2 ** min(self.requests - 1, 10), _LONGEST_PAUSE)
            if now < self.asked_at + pause:
                return False
        latest_end = now - patience.grace
        is_late = internals.next_tick(patience.latest_cron, self.first_at) <= latest_end
        is_quiet = internals.next_tick(patience.quiet_cron, self.all_at) <= latest_end
        return is_late or (is_quiet and not batches_come)

    def asked(self, now: datetime) -> "Waiting":
        """Note that it was asked for."""
        return replace(self, requests=self.requests + 1, asked_at=now)
