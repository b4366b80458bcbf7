"""A look at a landing folder: what is new there, whole and settled becomes batches.

Belongs here: telling files that are new from those that were seen, and keeping one look short. What
a batch is is in `landing.py`; who looks, and when, in `orchestration/sensors.py`.

What was seen is a note of paths and versions, so that a look at a folder of known files reads none
of them, and asks after a bounded number only whether they are still what they were. It is only a
shortcut: whether a file is landed is decided by its content, so where the note is lost or a look is
killed, files are hashed once more and nothing is landed twice.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from filelock import Timeout

from hc_assets.core.domain import Kind
from hc_assets.lake.atomic import make_folder
from hc_assets.lake.discovery import AnyPath, Found, Place, as_local, discover, is_stored
from hc_assets.lake.landing import BatchLimits, LandingResult, land
from hc_assets.lake.layout import Layout

_PRIVATE_FILE = 0o600
# A landing by hand may take hours: the next look is a better time than to wait for it.
_WAIT_SECONDS = 1.0
# Time in which known files are checked; here some 50,000, the next look goes on with the rest.
_ASKING_SECONDS = 0.5
_ASKED_AT_ONCE = 500
# settled_at: POSIX time from which a file is worth a look again; NULL once it is landed.
_NOTES = """
    CREATE TABLE IF NOT EXISTS files (
        path BLOB PRIMARY KEY, version TEXT NOT NULL, since REAL NOT NULL, settled_at REAL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS place (path BLOB NOT NULL);
"""


class Watch:
    """What was seen of one landing folder: versions of files, since when, and whether landed.

    `new_and_settled` gives what is to be landed; `keep` remembers that it was.
    """

    def __init__(
        self,
        notes: sqlite3.Connection,
        *,
        now: float,
        settle_seconds: float,
        seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._notes, self._now, self._settle = notes, now, settle_seconds
        self._seconds, self._clock = seconds, clock
        self._taken: list[bytes] = []
        self.waiting = 0

    def forget_changed(self, place: Place, asked_at_once: int = _ASKED_AT_ONCE) -> None:
        """Forget known files that are gone or changed, so that they are new where they are there.

        Asks after as many as there is time for, some at once, from where the look before stopped.
        """
        (path,) = self._notes.execute("SELECT coalesce(max(path), x'') FROM place").fetchone()
        end = self._clock() + _ASKING_SECONDS
        while True:
            rows = self._notes.execute(
                "SELECT path, version FROM files WHERE path > ? ORDER BY path LIMIT ?",
                (path, asked_at_once),
            ).fetchall()
            changed = [
                (path,) for path, version in rows if place.version(os.fsdecode(path)) != version
            ]
            self._notes.executemany("DELETE FROM files WHERE path = ?", changed)
            path = rows[-1][0] if len(rows) == asked_at_once else b""
            if not path or self._clock() >= end:
                break
        self._notes.execute("DELETE FROM place")
        self._notes.execute("INSERT INTO place VALUES (?)", (path,))

    def forget_others(self, paths: set[bytes]) -> None:
        """Forget what is not among those paths."""
        known = self._notes.execute("SELECT path FROM files").fetchall()
        gone = [row for row in known if row[0] not in paths]
        self._notes.executemany("DELETE FROM files WHERE path = ?", gone)

    def is_of_no_interest(self, path: str) -> bool:
        """Whether a file is landed, or changed too lately to be worth a look; those are counted."""
        row = self._notes.execute(
            "SELECT settled_at FROM files WHERE path = ?", (os.fsencode(path),)
        ).fetchone()
        if row is None:
            return False
        is_waiting = row[0] is not None and row[0] > self._now
        self.waiting += is_waiting
        return is_waiting or row[0] is None

    def new_and_settled(self, found: Iterable[Found]) -> Iterator[Found]:
        """Return files that are not landed in this version and have kept it long enough.

        Files that changed less than the settling time ago, or that are seen in this version for a
        shorter time where their file system does not tell, are counted as waiting. Time counts from
        the first file that is not known; at least one is given, or noted as waiting.
        """
        end = None
        for each in found:
            if each.is_unfinished:
                self.waiting += 1
                continue
            path, version = os.fsencode(str(each.path)), each.noted()
            row = self._notes.execute(
                "SELECT version, since, settled_at FROM files WHERE path = ?", (path,)
            ).fetchone()
            is_same = row is not None and row[0] == version
            if is_same and row[2] is None:
                continue
            end = self._clock() + self._seconds if end is None else end
            since = row[1] if is_same else self._now
            changed_at = since if each.changed_at is None else min(since, each.changed_at)
            self._notes.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)",
                (path, version, since, changed_at + self._settle),
            )
            if changed_at + self._settle > self._now:
                self.waiting += 1
            else:
                self._taken.append(path)
                yield each
            # Looked at before a file is taken from `found`, and noted only once it is taken.
            if self._clock() >= end:
                return

    def keep(self) -> None:
        """Remember that what was taken is landed."""
        self._notes.executemany(
            "UPDATE files SET settled_at = NULL WHERE path = ?", ((path,) for path in self._taken)
        )


def look(
    folder: AnyPath,
    layout: Layout,
    kind: Kind,
    *,
    limits: BatchLimits,
    settle_seconds: float,
    landing_seconds: float,
    now: datetime,
    clock: Callable[[], float] = time.monotonic,
    wait_seconds: float = _WAIT_SECONDS,
    asked_at_once: int = _ASKED_AT_ONCE,
) -> LandingResult:
    """Land what is new and settled in a folder, as much as fits into a time.

    What does not fit is left for the next look. A folder that is not there holds nothing. A look
    lists all names; of the files themselves it asks only what is new, and, for half a second, known
    ones in turn. So a known file that was replaced may be seen some looks later where there are
    very many.

    Args:
        folder: local or an fsspec URL.
        layout: where batches go.
        kind: of the files.
        limits: how large a batch may grow.
        settle_seconds: for how long a file must not have changed.
        landing_seconds: after which no further file is begun; at least one is landed.
        now: UTC time of the look.
        clock: seconds that only grow.
        wait_seconds: for another landing of this kind to end.
        asked_at_once: known files between two glances at the clock.

    Returns:
        What was landed; `waiting` counts files that changed too lately, and `is_busy` says that
        somebody else is landing files of this kind.
    """
    if not folder.exists():
        return LandingResult()
    with _notes(layout, kind.name) as notes:
        watch = Watch(
            notes,
            now=now.timestamp(),
            settle_seconds=settle_seconds,
            seconds=landing_seconds,
            clock=clock,
        )
        try:
            result = land(
                watch.new_and_settled(_found(folder, watch, asked_at_once)),
                layout,
                kind,
                limits=limits,
                now=now.astimezone(UTC),
                wait_seconds=wait_seconds,
            )
        except Timeout:
            return LandingResult(is_busy=True)
        watch.keep()
        result.waiting += watch.waiting
        return result


def _found(folder: AnyPath, watch: Watch, asked_at_once: int) -> Iterator[Found]:
    if is_stored(folder):
        # Its listing has the versions of all objects, so nothing is checked by itself.
        listed = list(discover([folder], folder))
        watch.forget_others({os.fsencode(str(each.path)) for each in listed})
        yield from listed
        return
    local = as_local(folder).absolute()
    watch.forget_changed(Place(local.resolve(), local, local), asked_at_once)
    yield from discover([folder], folder, watch.is_of_no_interest)


@contextmanager
def _notes(layout: Layout, kind: str) -> Iterator[sqlite3.Connection]:
    make_folder(layout.batches(kind))
    path = layout.watched_files(kind)
    path.touch(mode=_PRIVATE_FILE)
    connection = sqlite3.connect(path)
    try:
        with connection:
            connection.executescript(_NOTES)
            yield connection
    finally:
        connection.close()
