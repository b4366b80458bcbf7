"""Parquet parts and their commits: how rows are written.

Belongs here: the commit protocol, which holds on local disks and object stores alike and knows
nothing of Dagster. Reading is in `tables.py`, the IO manager in `orchestration/io_manager.py`.

A partition is a folder. It exists when its `_commit.json` does, which lists its parts and is
written last. A part's name holds the hash of its bytes: a second run over the same input writes the
same names, and one over other input touches no part that the present commit lists.
"""

import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from hc_assets.core.errors import DamagedLakeError
from hc_assets.lake.atomic import TEMPORARY_PREFIX, HashingSink, atomic_file, write_bytes
from hc_assets.lake.background import BackgroundWorker
from hc_assets.lake.layout import COMMIT_NAME, SCHEMA_FOLDER, Layout

_PREFIX = "part"
PART_BYTES = 256 * 1024**2
# Small enough that a piece of work has several: one is packed while the next is made.
_ROW_GROUP_BYTES = 4 * 1024**2
_ORPHAN_AGE_SECONDS = 24 * 3600


class Part(msgspec.Struct, frozen=True):
    """One Parquet file of a partition.

    Attributes:
        name: of the file.
        rows: in it.
        size: bytes.
        sha256: in hex.
        number: of the writer that filled it, of which a partition may have several.
        place: among the parts of that writer, from 0.
        footer_sha256: of Parquet's footer with its length and magic; "" in commits without it.
    """

    name: str
    rows: int
    size: int
    sha256: str
    number: int
    place: int
    footer_sha256: str = ""


class Commit(msgspec.Struct, frozen=True):
    """What makes a partition exist.

    Attributes:
        table: `<group>/<asset>`.
        batch: the batch's key; None where the rows are of all batches.
        rows: in all parts.
        parts: in the order of the rows.
        inputs: hash of each input by its name.
        code_version: of the asset that wrote it.
        check: SHA-256 of the commit itself, without this, in hex.
    """

    table: str
    batch: str | None
    rows: int
    parts: list[Part]
    inputs: dict[str, str] = {}
    code_version: str | None = None
    check: str = ""

    @property
    def name(self) -> str:
        """Of the partition, as inputs of other commits name it: `<table>` or `<table>/<batch>`."""
        return self.table if self.batch is None else f"{self.table}/{self.batch}"

    def digest(self) -> str:
        """Hash of the partition's content: that of its parts' hashes."""
        sink = HashingSink.discarding()
        for part in self.parts:
            sink.write(part.sha256.encode())
        return sink.hexdigest()


class DamagedPartError(DamagedLakeError):
    """A part is gone or is not what its commit says."""


class DamagedCommitError(DamagedLakeError):
    """A commit is not what was written."""


class PartWriter:
    """Writes record batches into parts of one partition; holds no more than two row groups of them.

    A row group is packed and written beside the caller, while it makes the next.

    Use as a context manager; `parts` is whole after the block. `number` distinguishes the writers
    that fill one partition at the same time, and gives the order of their rows. Parts that a later
    look replaces before the commit are drafts: they have a name of their own in each run, so that
    of two runs over the same batch neither removes the other's.
    """

    def __init__(
        self,
        folder: UPath,
        schema: pa.Schema,
        *,
        number: int = 0,
        part_bytes: int = PART_BYTES,
        is_draft: bool = False,
    ) -> None:
        self.parts: list[Part] = []
        self._prefix = f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}" if is_draft else _PREFIX
        self._folder, self._schema, self._number = folder, schema, number
        self._part_bytes = part_bytes
        self._pending: list[pa.RecordBatch] = []
        self._pending_bytes = 0
        self._open: _OpenPart | None = None
        self._file = ExitStack()
        self._background = BackgroundWorker()

    def __enter__(self) -> "PartWriter":
        self._background.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.close()
        except BaseException:
            kind, error, trace = sys.exc_info()
            raise
        finally:
            self._background.__exit__(kind, error, trace)
            if kind is not None:
                self._file.__exit__(kind, error, trace)

    def write(self, batch: pa.RecordBatch) -> None:
        """Take a batch of the writer's schema.

        Raises:
            pa.ArrowInvalid: its columns or types differ from the schema.
        """
        if not batch.num_rows:
            return
        if batch.schema != self._schema:
            batch = batch.cast(self._schema)
        self._pending.append(batch)
        self._pending_bytes += batch.nbytes
        if self._pending_bytes >= min(_ROW_GROUP_BYTES, self._part_bytes):
            self._write_group()

    def close(self) -> None:
        """Write what is pending."""
        self._write_group()
        self._finish_part()

    def _write_group(self) -> None:
        if not self._pending:
            return
        table = pa.Table.from_batches(self._pending, self._schema)
        if self._open is None:
            stem = _Stem(self._number, len(self.parts), self._prefix)
            self._open = self._file.enter_context(_open_part(self._folder, stem, self._schema))
        self._background.run(partial(self._open.write, table, table.num_rows))
        size, self._pending, self._pending_bytes = self._pending_bytes, [], 0
        self._open.table_bytes += size
        if self._open.table_bytes >= self._part_bytes:
            self._finish_part()

    def _finish_part(self) -> None:
        if self._open is not None:
            self._background.wait()
            made, self._open = self._open, None
            self._file.close()
            self.parts.append(made.part())


def write_part(
    folder: UPath, table: pa.Table, *, number: int = 0, place: int = 0, prefix: str = _PREFIX
) -> Part:
    """Write a table as one Parquet file.

    Args:
        folder: of the partition.
        table: all of its rows.
        number: of the writer.
        place: among the parts of that writer.
        prefix: that its name begins with; another one for drafts.
    """
    stem = _Stem(number, place, prefix)
    group = max(1, min(table.num_rows, table.num_rows * _ROW_GROUP_BYTES // max(table.nbytes, 1)))
    with _open_part(folder, stem, table.schema) as made:
        made.write(table, group)
    return made.part()


@dataclass(frozen=True)
class _Stem:
    """What the name of a part says besides the hash of its bytes."""

    number: int
    place: int
    prefix: str

    def named(self, sink: HashingSink) -> str:
        return f"{self.prefix}-{self.number:05d}-{self.place:03d}-{sink.hexdigest()[:12]}.parquet"


@dataclass
class _OpenPart:
    """A part that is being written."""

    stem: _Stem
    sink: HashingSink
    writer: pq.ParquetWriter
    rows: int = 0
    table_bytes: int = 0

    def write(self, table: pa.Table, row_group_size: int) -> None:
        self.writer.write_table(table, row_group_size=row_group_size)
        self.rows += table.num_rows

    def part(self) -> Part:
        return Part(
            name=self.stem.named(self.sink),
            rows=self.rows,
            size=self.sink.size,
            sha256=self.sink.hexdigest(),
            number=self.stem.number,
            place=self.stem.place,
            footer_sha256=self.sink.ending_hexdigest(),
        )


@contextmanager
def _open_part(folder: UPath, stem: _Stem, schema: pa.Schema) -> Iterator[_OpenPart]:
    """Open a part, which appears under its name when the block ends without an error.

    Statistics and dictionaries are left out of binary and tensor columns, where they only cost.
    """
    plain = [f.name for f in schema if not _is_bulky(f.type)]
    with (
        atomic_file(folder, lambda sink: folder / stem.named(sink)) as sink,
        pq.ParquetWriter(
            pa.PythonFile(sink, mode="w"),
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=plain,
            write_statistics=plain,
            write_page_checksum=True,
        ) as writer,
    ):
        yield _OpenPart(stem, sink, writer)
        sink.begin_ending()


def _is_bulky(type_: pa.DataType) -> bool:
    return (
        isinstance(type_, pa.BaseExtensionType)
        or pa.types.is_binary(type_)
        or pa.types.is_large_binary(type_)
    )


def read_commit(folder: UPath) -> Commit | None:
    """Read a partition's commit; None where the partition does not exist.

    Raises:
        DamagedCommitError: the commit is not what was written.
    """
    try:
        stored = msgspec.json.decode((folder / COMMIT_NAME).read_bytes(), type=dict[str, Any])
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DamagedCommitError(_damaged(folder, "no commit can be read from it")) from error
    if stored.get("check") != _check_of(stored):
        raise DamagedCommitError(_damaged(folder, "its hash is not that of what it says"))
    parts = [_numbered(part) for part in stored["parts"]]
    return msgspec.convert(stored | {"parts": parts}, Commit)


def _check_of(stored: dict[str, Any]) -> str:
    """What `check` of a commit has to be: the hash of all that it says besides."""
    sink = HashingSink.discarding()
    sink.write(msgspec.json.encode(stored | {"check": ""}))
    return sink.hexdigest()


def _numbered(part: dict[str, Any]) -> dict[str, Any]:
    """Fill in what commits of earlier releases say in the names of their parts only."""
    if "number" in part:
        return part
    _, number, place, _ = part["name"].rsplit("-", 3)
    return part | {"number": int(number), "place": int(place)}


def _damaged(folder: UPath, why: str) -> str:
    table, partition = "/".join(folder.parts[-3:-1]), folder.name
    return f"{table}: {partition}/{COMMIT_NAME} is damaged: {why}"


def _replaced(folder: UPath) -> Commit | None:
    """Return the commit that another one is about to replace, if it can be read."""
    try:
        return read_commit(folder)
    except DamagedCommitError:
        return None  # the parts that it listed become strays, which are cleared a day later


def _write_commit(folder: UPath, made: Commit) -> Commit:
    checked = msgspec.structs.replace(made, check=_check_of(msgspec.to_builtins(made)))
    encoded = msgspec.json.format(msgspec.json.encode(checked), indent=1)
    write_bytes(folder / COMMIT_NAME, encoded)
    return checked


def commit(
    layout: Layout,
    table: str,
    batch: str | None,
    parts: Sequence[Part],
    *,
    inputs: dict[str, str] | None = None,
    code_version: str | None = None,
) -> Commit:
    """Make the parts the partition's rows, then remove those that were.

    Args:
        layout: where the lake is.
        table: `<group>/<asset>`.
        batch: the batch's key; None for a table over all batches.
        parts: already written into the partition's folder.
        inputs: hash of each input by its name.
        code_version: of the asset.

    Raises:
        DamagedPartError: a part is not in the folder.
    """
    folder = layout.partition(table, batch)
    for part in parts:
        if not (folder / part.name).exists():
            raise DamagedPartError(f"{table}: {part.name} is gone before its commit")
    before = _replaced(folder)
    made = Commit(
        table=table,
        batch=batch,
        rows=sum(part.rows for part in parts),
        parts=list(parts),
        inputs=inputs or {},
        code_version=code_version,
    )
    made = _write_commit(folder, made)
    _clear(folder, before, made)
    return made


def _clear(folder: UPath, before: Commit | None, after: Commit) -> None:
    """Remove parts that the last commit listed, and what a killed run left a day ago or earlier.

    Younger strays may belong to a run that is still writing.
    """
    kept = {part.name for part in after.parts}
    replaced = {part.name for part in before.parts} - kept if before else set()
    oldest = time.time() - _ORPHAN_AGE_SECONDS
    for path in folder.iterdir():
        stray = path.name.startswith((TEMPORARY_PREFIX, f"{_PREFIX}-")) and path.name not in kept
        if path.name in replaced or (stray and path.stat().st_mtime < oldest):
            path.unlink(missing_ok=True)


def declare(layout: Layout, table: str, schema: pa.Schema) -> None:
    """Write down a table's schema as a committed partition without rows.

    Views read it beside the batches, so they have their columns before the first batch.
    """
    folder = layout.table(table) / SCHEMA_FOLDER
    part = write_part(folder, schema.empty_table())
    known = _replaced(folder)
    if known is None or [p.sha256 for p in known.parts] != [part.sha256]:
        made = Commit(table=table, batch=None, rows=0, parts=[part])
        _write_commit(folder, made)
        _clear(folder, known, made)
