"""Batches that were taken out of all that is made of them, by whom, when and why.

Belongs here: the records. A batch is retracted while its record lies in `batches/<kind>/.retracted`:
one file, written at once, which no kill leaves half done. Its landed files and its parts stay as
they are; whatever reads over all batches leaves it out (`tables.read_partitions`, the views of
`warehouse.py`), and what was published with it counts as behind (`backlog.py`). Records of
retractions that were undone are kept beside, in `.restored`.
"""

import hashlib
import re
from collections.abc import Iterator
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


class Retraction(msgspec.Struct, frozen=True):
    """Why a batch is left out.

    Attributes:
        kind: of its files.
        key: of the batch.
        retracted_at: UTC time, ISO 8601.
        retracted_by: name of the account that did.
        reason: in the words of whoever did; "" where none was given. It may be about a patient: no
            command prints it.
        restored_at: UTC time, ISO 8601; "" while it is retracted.
        restored_by: name of the account that undid it; "" while it is retracted.
        check: SHA-256 of the record itself, without this, in hex.
    """

    kind: str
    key: str
    retracted_at: str
    retracted_by: str
    reason: str = ""
    restored_at: str = ""
    restored_by: str = ""
    check: str = ""


class DamagedRetractionError(DamagedLakeError):
    """The record of a retraction is not what was written; the batch counts as retracted."""

    advice: ClassVar[str] = "put it back from the backup, or retract the batch again"


def retracted(layout: Layout) -> frozenset[str]:
    """Keys of all batches that are retracted, of all kinds: those that a record lies there for."""
    return frozenset(key for kind in layout.kinds() for key in retracted_of(layout, kind))


def retracted_of(layout: Layout, kind: str) -> frozenset[str]:
    """Keys of the batches of a kind that are retracted."""
    return frozenset(path.name.removesuffix(_SUFFIX) for path in _records(layout, kind))


def standing_keys(layout: Layout, kind: str) -> list[str]:
    """Keys of all whole batches of a kind that are not retracted, oldest first."""
    gone = retracted_of(layout, kind)
    return [key for key in batch_keys(layout, kind) if key not in gone]


def retract(
    layout: Layout, kind: str, key: str, *, now: datetime, by: str, reason: str
) -> Retraction:
    """Record that a batch is retracted; a record that is there and whole stays as it is.

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
    if key in retracted_of(layout, kind):
        with suppress(DamagedRetractionError):
            return read_retraction(layout, kind, key)
    at = now.isoformat(timespec="seconds")
    made = Retraction(kind=kind, key=key, retracted_at=at, retracted_by=by, reason=reason)
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

    Raises:
        DamagedRetractionError: its record is not what was written.
    """
    if key not in retracted_of(layout, kind):
        return False
    at = now.isoformat(timespec="seconds")
    undone = msgspec.structs.replace(
        read_retraction(layout, kind, key), restored_at=at, restored_by=by
    )
    # Two records of one time are left by a kill in between, and then by whoever tries again
    name = f"{key}-{re.sub('[^0-9]', '', at)}{_SUFFIX}"
    write_bytes(layout.restored(kind) / name, _encoded(undone))
    _record(layout, kind, key).unlink(missing_ok=True)
    return True


def read_retraction(layout: Layout, kind: str, key: str) -> Retraction:
    """Read the record of a batch that is retracted.

    Raises:
        FileNotFoundError: it is not.
        DamagedRetractionError: the record is not what was written.
    """
    path = _record(layout, kind, key)
    encoded = path.read_bytes()
    try:
        found = msgspec.json.decode(encoded, type=Retraction)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _damaged(path) from error
    if found.check != _check_of(msgspec.to_builtins(found)) or (kind, key) != (
        found.kind,
        found.key,
    ):
        raise _damaged(path)
    return found


def damaged_records(layout: Layout, kind: str) -> Iterator[UPath]:
    """Records of a kind that are not what was written."""
    for path in sorted(_records(layout, kind), key=lambda each: each.name):
        try:
            read_retraction(layout, kind, path.name.removesuffix(_SUFFIX))
        except DamagedRetractionError:
            yield path


def recorded_at(layout: Layout, key: str) -> float:
    """POSIX time at which the record of a retracted batch was written."""
    places = (_record(layout, kind, key) for kind in layout.kinds())
    return max((path.stat().st_mtime for path in places if path.exists()), default=0.0)


def _records(layout: Layout, kind: str) -> list[UPath]:
    folder = layout.retracted(kind)
    return [path for path in folder.iterdir() if _is_record(path)] if folder.exists() else []


def _is_record(path: UPath) -> bool:
    return path.name.endswith(_SUFFIX) and not path.name.startswith(".")


def _record(layout: Layout, kind: str, key: str) -> UPath:
    return layout.retracted(kind) / f"{key}{_SUFFIX}"


def _damaged(path: UPath) -> DamagedRetractionError:
    where = "/".join(path.parts[-4:])
    return DamagedRetractionError(f"{where} is damaged: it is not what was written")


def _encoded(record: Retraction) -> bytes:
    checked = msgspec.structs.replace(record, check=_check_of(msgspec.to_builtins(record)))
    encoded: bytes = msgspec.json.format(msgspec.json.encode(checked), indent=1)
    return encoded


def _check_of(stored: dict[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(stored | {"check": ""})).hexdigest()
