"""Batches that are left out of all that is made of all batches: retracted, or blocked by a check.

Belongs here: the records. A batch is left out while its record lies in `batches/<kind>/.left_out`:
one file, written at once, which no kill leaves half done. Its landed files and its parts stay as
they are; whatever reads over all batches leaves it out (`tables.read_partitions`, the views of
`warehouse.py`), and what was published with it counts as behind (`backlog.py`).

Somebody retracts a batch, for good or until it is restored. A blocking check blocks one by itself,
until a run of it passes. Records of what was taken in again are kept, in `.restored`.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, ClassVar

import msgspec
from upath import UPath

from hc_assets.core.errors import DamagedLakeError
from hc_assets.lake.atomic import write_bytes
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import batch_keys

_SUFFIX = ".json"


class Exclusion(msgspec.Struct, frozen=True):
    """Why a batch is left out.

    Attributes:
        kind: of its files.
        key: of the batch.
        at: UTC time, ISO 8601.
        by: name of the account that retracted it; "" where a check blocks it.
        reason: in the words of whoever retracted it; "" where none was given. It may be about a
            patient: no command prints it.
        blocked_by: `<table>: <check>` of the blocking checks that did not hold; none where it is
            retracted.
        restored_at: when it was taken in again, UTC, ISO 8601; "" while it is left out.
        restored_by: name of the account that restored it; "" while it is left out, and where checks
            took it in again.
        check: SHA-256 of the record itself, without this, in hex.
    """

    kind: str
    key: str
    at: str
    by: str = ""
    reason: str = ""
    blocked_by: tuple[str, ...] = ()
    restored_at: str = ""
    restored_by: str = ""
    check: str = ""


class DamagedExclusionError(DamagedLakeError):
    """The record of an exclusion is not what was written; the batch counts as retracted."""

    advice: ClassVar[str] = (
        "put it back from the backup; or retract the batch once more, or restore it"
    )


def excluded(layout: Layout) -> frozenset[str]:
    """Keys of all batches that are left out, of all kinds: those that a record lies there for."""
    return frozenset(key for kind in layout.kinds() for key in _keys(layout, kind))


def exclusions(layout: Layout, kind: str) -> dict[str, Exclusion | None]:
    """Why batches of a kind are left out, by their keys; None where the record is damaged."""
    found: dict[str, Exclusion | None] = {}
    for key in sorted(_keys(layout, kind)):
        found[key] = None
        with suppress(DamagedExclusionError):
            found[key] = read_exclusion(layout, kind, key)
    return found


def retracted(layout: Layout) -> frozenset[str]:
    """Keys of all batches that are retracted, of all kinds."""
    return frozenset(
        key
        for kind in layout.kinds()
        for key, found in exclusions(layout, kind).items()
        if found is None or not found.blocked_by
    )


def standing_keys(layout: Layout, kind: str) -> list[str]:
    """Keys of all whole batches of a kind that are not retracted, oldest first."""
    gone = retracted(layout)
    return [key for key in batch_keys(layout, kind) if key not in gone]


def retract(
    layout: Layout, kind: str, key: str, *, now: datetime, by: str, reason: str
) -> Exclusion:
    """Record that a batch is retracted; where it is already, the record stays as it is.

    Args:
        layout: where the batches are.
        kind: of the batch.
        key: of the batch.
        now: UTC.
        by: name of the account.
        reason: in words.

    Returns:
        The record.
    """
    known = exclusions(layout, kind).get(key)
    if known is not None and not known.blocked_by:
        return known
    made = Exclusion(kind=kind, key=key, at=_stated(now), by=by, reason=reason)
    write_bytes(_record(layout, kind, key), _encoded(made))
    return made


def restore(layout: Layout, kind: str, key: str, *, now: datetime, by: str) -> bool:
    """Undo a retraction, and keep its record.

    Args:
        layout: where the batches are.
        kind: of the batch.
        key: of the batch.
        now: UTC.
        by: name of the account.

    Returns:
        Whether it was retracted.
    """
    if key not in retracted(layout) or key not in _keys(layout, kind):
        return False
    known = exclusions(layout, kind)[key] or Exclusion(kind=kind, key=key, at="")
    _undo(layout, known, now, by)
    return True


def _undo(layout: Layout, known: Exclusion, now: datetime, by: str) -> None:
    undone = msgspec.structs.replace(known, restored_at=_stated(now), restored_by=by)
    # A kill in between leaves the batch left out, and a second record once it is taken in again
    name = f"{known.key}-{re.sub('[^0-9]', '', undone.restored_at)}{_SUFFIX}"
    write_bytes(layout.restored(known.kind) / name, _encoded(undone))
    _record(layout, known.kind, known.key).unlink(missing_ok=True)


def block(layout: Layout, kind: str, key: str, *, now: datetime, blocked_by: Sequence[str]) -> None:
    """Record that blocking checks did not hold; nothing where the batch is retracted.

    Args:
        layout: where the batches are.
        kind: of the batch.
        key: of the batch.
        now: UTC.
        blocked_by: `<table>: <check>` of each, one at least.
    """
    if key in _keys(layout, kind) and key in retracted(layout):
        return
    names = tuple(sorted(blocked_by))
    known = exclusions(layout, kind).get(key)
    if known is not None and known.blocked_by == names:
        return
    made = Exclusion(kind=kind, key=key, at=_stated(now), blocked_by=names)
    write_bytes(_record(layout, kind, key), _encoded(made))


def unblock(layout: Layout, kind: str, key: str, *, now: datetime) -> None:
    """Take a batch in again whose blocking checks held; one that is retracted stays so."""
    known = exclusions(layout, kind).get(key)
    if known is not None and known.blocked_by:
        _undo(layout, known, now, by="")


def undone(layout: Layout, kind: str) -> int:
    """How often a batch of a kind was taken in again that had been left out."""
    folder = layout.restored(kind)
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    return sum(_is_record(name) for name in names)


def read_exclusion(layout: Layout, kind: str, key: str) -> Exclusion:
    """Read the record of a batch that is left out.

    Raises:
        FileNotFoundError: it is not.
        DamagedExclusionError: the record is not what was written.
    """
    path = _record(layout, kind, key)
    encoded = path.read_bytes()
    try:
        found = msgspec.json.decode(encoded, type=Exclusion)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _damaged(path) from error
    is_whole = found.check == _check_of(msgspec.to_builtins(found))
    if not is_whole or (kind, key) != (found.kind, found.key):
        raise _damaged(path)
    return found


def damaged_records(layout: Layout, kind: str) -> Iterator[UPath]:
    """Records of a kind that are not what was written."""
    for key, found in exclusions(layout, kind).items():
        if found is None:
            yield _record(layout, kind, key)


def recorded_at(layout: Layout, key: str) -> float:
    """POSIX time at which the record of a batch that is left out was written."""
    places = (_record(layout, kind, key) for kind in layout.kinds())
    return max((path.stat().st_mtime for path in places if path.exists()), default=0.0)


def _keys(layout: Layout, kind: str) -> set[str]:
    folder = layout.left_out(kind)
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    return {name.removesuffix(_SUFFIX) for name in names if _is_record(name)}


def _is_record(name: str) -> bool:
    return name.endswith(_SUFFIX) and not name.startswith(".")


def _record(layout: Layout, kind: str, key: str) -> UPath:
    return layout.left_out(kind) / f"{key}{_SUFFIX}"


def _stated(now: datetime) -> str:
    return now.isoformat(timespec="seconds")


def _damaged(path: UPath) -> DamagedExclusionError:
    where = "/".join(path.parts[-4:])
    return DamagedExclusionError(f"{where} is damaged: it is not what was written")


def _encoded(record: Exclusion) -> bytes:
    checked = msgspec.structs.replace(record, check=_check_of(msgspec.to_builtins(record)))
    encoded: bytes = msgspec.json.format(msgspec.json.encode(checked), indent=1)
    return encoded


def _check_of(stored: dict[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(stored | {"check": ""})).hexdigest()
