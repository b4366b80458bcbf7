"""A look at a landing folder: what is new there, whole and settled becomes batches.

Belongs here: telling files that are new from those that were seen, and keeping one look short. What
a batch is says `landing.py`; who looks, and when, `sensors.py`.

What was seen is a note of names and versions, so that a look at a folder of known files reads none
of them. It is only a shortcut: whether a file is landed is decided by its content, so where the
note is lost or a look is killed, files are hashed once more and nothing is landed twice.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from filelock import Timeout

from hc_assets.lake.atomic import make_folder
from hc_assets.lake.discovery import AnyPath, Found, discover
from hc_assets.lake.landing import BatchLimits, LandingResult, land
from hc_assets.lake.layout import Layout

_PRIVATE_FILE = 0o600
# A landing by hand may take hours: the next look is a better time than to wait for it.
_WAIT_SECONDS = 1.0
_SEEN = """
    CREATE TABLE IF NOT EXISTS seen (
        name TEXT PRIMARY KEY, version TEXT NOT NULL, since REAL NOT NULL,
        is_landed INTEGER NOT NULL, look INTEGER NOT NULL
    ) WITHOUT ROWID
"""


class Watch:
    """What was seen of one landing folder: versions of files, since when, and whether landed.

    `new_and_settled` gives what is to be landed; `keep` remembers that it was.
    """

    def __init__(self, notes: sqlite3.Connection, *, now: float, settle_seconds: float) -> None:
        self._notes, self._now, self._settle = notes, now, settle_seconds
        (last,) = notes.execute("SELECT coalesce(max(look), 0) FROM seen").fetchone()
        self._look = last + 1
        self._given: list[str] = []
        self._is_whole = False
        self.waiting = 0

    def new_and_settled(self, found: Iterable[Found]) -> Iterator[Found]:
        """Give files that are not landed in this version and have kept it long enough.

        Files that changed less than the settling time ago, or that are seen in this version for a
        shorter time where their file system does not tell, are counted as waiting.
        """
        for each in found:
            version = f"{each.version} {each.problem}"
            name = os.fsencode(str(each.path)).decode("utf-8", "backslashreplace")
            since, is_landed = self._note(name, version)
            if is_landed:
                continue
            age = self._now - (since if each.changed_at is None else min(since, each.changed_at))
            if age < self._settle:
                self.waiting += 1
                continue
            self._given.append(name)
            yield each
        self._is_whole = True

    def _note(self, name: str, version: str) -> tuple[float, bool]:
        row = self._notes.execute(
            "SELECT version, since, is_landed FROM seen WHERE name = ?", (name,)
        ).fetchone()
        if row is None or row[0] != version:
            row = (version, self._now, False)
        self._notes.execute(
            "INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?)", (name, *row, self._look)
        )
        return row[1], bool(row[2])

    def keep(self) -> None:
        """Remember that what was given is landed; forget what is no longer there."""
        self._notes.executemany(
            "UPDATE seen SET is_landed = 1 WHERE name = ?", ((name,) for name in self._given)
        )
        if self._is_whole:
            self._notes.execute("DELETE FROM seen WHERE look <> ?", (self._look,))


def look(
    folder: AnyPath,
    layout: Layout,
    kind: str,
    *,
    limits: BatchLimits,
    settle_seconds: float,
    landing_seconds: float,
    now: datetime,
    clock: Callable[[], float] = time.monotonic,
) -> LandingResult:
    """Land what is new and settled in a folder, as much as fits into a time.

    What does not fit is left for the next look. A folder that is not there holds nothing.

    Args:
        folder: local or an fsspec URL.
        layout: where batches go.
        kind: of the files.
        limits: how large a batch may grow.
        settle_seconds: for how long a file must not have changed.
        landing_seconds: after which no further file is begun; at least one is landed.
        now: UTC time of the look.
        clock: seconds that only grow.

    Returns:
        What was landed; `waiting` counts files that changed too lately, and `is_busy` says that
        somebody else is landing files of this kind.
    """
    if not folder.exists():
        return LandingResult()
    with _notes(layout, kind) as notes:
        watch = Watch(notes, now=now.timestamp(), settle_seconds=settle_seconds)
        new = watch.new_and_settled(discover([folder], folder))
        timely = _for_a_time(new, landing_seconds, clock)
        try:
            result = land(
                timely,
                layout,
                kind,
                limits=limits,
                now=now.astimezone(UTC),
                wait_seconds=_WAIT_SECONDS,
            )
        except Timeout:
            return LandingResult(is_busy=True)
        watch.keep()
        result.waiting += watch.waiting
        return result


def _for_a_time(
    found: Iterable[Found], seconds: float, clock: Callable[[], float]
) -> Iterator[Found]:
    # The time runs from the first new file: a folder full of known ones must not use it up. It is
    # looked at before a file is taken from `found`, which remembers as landed what was taken.
    deadline = None
    for each in found:
        deadline = clock() + seconds if deadline is None else deadline
        yield each
        if clock() >= deadline:
            return


@contextmanager
def _notes(layout: Layout, kind: str) -> Iterator[sqlite3.Connection]:
    make_folder(layout.batches(kind))
    path = layout.watched_files(kind)
    path.touch(mode=_PRIVATE_FILE)
    connection = sqlite3.connect(path)
    try:
        with connection:
            connection.execute(_SEEN)
            yield connection
    finally:
        connection.close()
