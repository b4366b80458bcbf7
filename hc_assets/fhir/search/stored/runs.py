"""Index files: each a run of batches in order, immutable; and the generation that names them.

Belongs here: which batches go into which file, making a file, and swapping generations. What a file
is made of is in `rows.py`, what is asked of it in `fhir/search/execute.py`.

Files are few, since runs that are small beside those after them are merged: of 500 batches of one
size, each is written nine times. Which batches make up which file follows from the batches alone,
so that from scratch the same files come out.
"""

import time
from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import duckdb
import msgspec
from upath import UPath

from hc_assets.fhir.search.stored.layout import ORDER, TABLES, VERSION
from hc_assets.lake.atomic import local_path, make_folder, write_bytes
from hc_assets.lake.layout import Layout

_GROWTH = 4
_KEPT_SECONDS = 3_600.0
_MEMORY_LIMIT = "400MiB"


class Share(msgspec.Struct, frozen=True):
    """Current resources that one batch brought.

    Attributes:
        batch: key.
        digest: of what they are.
        resources: how many.
        indexed: those among them that are in the index.
        refused: the others, by type and why.
    """

    batch: str
    digest: str
    resources: int
    indexed: int = 0
    refused: dict[str, int] = {}


class Run(msgspec.Struct, frozen=True):
    """One file.

    Attributes:
        name: of the file.
        shares: in the order of their batches, as their rows are.
    """

    name: str
    shares: tuple[Share, ...]

    def rows(self) -> int:
        """Resources in it."""
        return sum(share.indexed for share in self.shares)


class Generation(msgspec.Struct, frozen=True):
    """A state of the index.

    Attributes:
        runs: in the order of their batches.
        parameters: digest of those that are not R4's.
    """

    runs: tuple[Run, ...] = ()
    parameters: str = ""

    def name(self) -> str:
        """Follows from what is in it."""
        return sha256(
            "".join((self.parameters, *(run.name for run in self.runs))).encode()
        ).hexdigest()[:16]

    def shares(self) -> dict[str, Share]:
        """Of all runs, by batch."""
        return {share.batch: share for run in self.runs for share in run.shares}


class Piece(NamedTuple):
    """Rows that go into a file.

    Attributes:
        path: of a file of the index, or of a folder of Parquet that a worker wrote.
        low: the first of its rows.
        high: the row after the last of them.
        shift: what is added to each row's number.
    """

    path: Path
    low: int
    high: int
    shift: int


def folder_of(layout: Layout) -> UPath:
    """Where the index is."""
    return layout.data_dir / "search"


def file_of(layout: Layout, run: Run) -> Path:
    """Path of a run's file."""
    return local_path(folder_of(layout)) / run.name


def grouped(shares: Iterable[Share]) -> tuple[Run, ...]:
    """Put shares into runs; the resources of each are more than those of the next, fourfold.

    Args:
        shares: of all batches, in any order.
    """
    stack: list[list[Share]] = []
    for share in sorted(shares, key=lambda each: each.batch):
        stack.append([share])
        while len(stack) > 1 and _size(stack[-2]) < _GROWTH * _size(stack[-1]):
            last = stack.pop()
            stack[-1].extend(last)
    return tuple(_run(each) for each in stack)


def _size(shares: Sequence[Share]) -> int:
    return sum(share.resources for share in shares)


def _run(shares: Sequence[Share]) -> Run:
    text = VERSION + "".join(f"|{share.batch} {share.digest}" for share in shares)
    return Run(f"run-{sha256(text.encode()).hexdigest()[:24]}.duckdb", tuple(shares))


def make_run(path: Path, pieces: Sequence[Piece]) -> None:
    """Make a file that appears under its name only when it is whole.

    Args:
        path: of the file.
        pieces: in the order of their rows.
    """
    fresh = path.with_suffix(".new")
    log = fresh.with_name(f"{fresh.name}.wal")
    for each in (fresh, log):
        each.unlink(missing_ok=True)
    with duckdb.connect(fresh) as connection:
        fresh.chmod(0o600)
        connection.execute(f"SET memory_limit = '{_MEMORY_LIMIT}'")
        files = sorted({piece.path for piece in pieces if piece.path.is_file()})
        for number, file in enumerate(files):
            connection.execute(f"ATTACH {_literal(file)} AS old{number} (READ_ONLY)")
        for table, schema in TABLES.items():
            columns = ", ".join(
                f"{name} + $shift AS {name}" if name == "row" else name for name in schema.names
            )
            types = ", ".join(f"{field.name} {_sql_type(str(field.type))}" for field in schema)
            connection.execute(f"CREATE TEMP TABLE gathered ({types})")
            for piece in pieces:
                whence = (
                    f"old{files.index(piece.path)}.{table}"
                    if piece.path.is_file()
                    else f"read_parquet({_literal(piece.path / f'{table}.parquet')})"
                )
                connection.execute(
                    f"INSERT INTO gathered SELECT {columns} FROM {whence} "  # noqa: S608
                    "WHERE row >= $low AND row < $high",
                    {"shift": piece.shift, "low": piece.low, "high": piece.high},
                )
            packed = types.replace("BLOB", "BLOB USING COMPRESSION uncompressed")
            connection.execute(f"CREATE TABLE {table} ({packed})")
            connection.execute(
                f"INSERT INTO {table} SELECT * FROM gathered ORDER BY {ORDER[table]}"  # noqa: S608
            )
            connection.execute("DROP TABLE gathered")
    fresh.replace(path)


def _sql_type(arrow: str) -> str:
    return {"int64": "BIGINT", "int32": "INTEGER", "string": "VARCHAR", "binary": "BLOB"}[arrow]


def _literal(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def pieces_of(run: Run, known: Sequence[tuple[Path, Run]], staged: dict[str, Path]) -> list[Piece]:
    """Where the rows of a run are to be taken from.

    Args:
        run: to be made.
        known: files of before, with their runs.
        staged: folder that a worker wrote, by batch, of those shares that no file has.
    """
    places: dict[tuple[str, str], tuple[Path, int]] = {}
    for path, each in known:
        start = 0
        for share in each.shares:
            places[(share.batch, share.digest)] = (path, start)
            start += share.indexed
    found: list[Piece] = []
    at = 0
    for share in run.shares:
        if share.batch in staged:
            path, start = staged[share.batch], 0
        else:
            path, start = places[(share.batch, share.digest)]
        found.append(Piece(path, start, start + share.indexed, at - start))
        at += share.indexed
    joined = []
    for (path, shift), some in groupby(found, key=lambda piece: (piece.path, piece.shift)):
        together = list(some)
        joined.append(Piece(path, together[0].low, together[-1].high, shift))
    return joined


def read_generation(layout: Layout, name: str | None = None) -> Generation | None:
    """A generation by its name, or the current one; None where there is none."""
    folder = folder_of(layout)
    if name is None:
        pointer = folder / "current"
        if not pointer.exists():
            return None
        name = pointer.read_text()
    path = folder / f"generation-{name}.json"
    return msgspec.json.decode(path.read_bytes(), type=Generation) if path.exists() else None


def write_generation(layout: Layout, generation: Generation) -> None:
    """Make a generation the current one, and forget those that nobody pages through any more."""
    folder = folder_of(layout)
    make_folder(folder)
    name = generation.name()
    write_bytes(folder / f"generation-{name}.json", msgspec.json.encode(generation))
    write_bytes(folder / "current", name.encode())
    kept = {run.name for run in generation.runs}
    oldest = time.time() - _KEPT_SECONDS
    for path in sorted(local_path(folder).glob("generation-*.json")):
        if path.stat().st_mtime < oldest and path.name != f"generation-{name}.json":
            path.unlink(missing_ok=True)
        else:
            older = msgspec.json.decode(path.read_bytes(), type=Generation)
            kept |= {run.name for run in older.runs}
    for path in local_path(folder).glob("run-*"):
        if path.name not in kept:
            path.unlink(missing_ok=True)
