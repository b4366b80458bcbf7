"""Parquet parts and their commits: how rows are written.

Belongs here: the commit protocol, which holds on local disks and object stores alike, and knows
nothing of Dagster, so that worker processes can use it. Reading is in `tables.py`, the IO manager
in `parquet.py`.

A partition is a folder. It exists when its `_commit.json` does, which lists its parts and is
written last. A part's name holds the hash of its bytes, so a second run over the same input writes
the same names, and a run over other input never touches a part that the present commit lists.
"""

import time
from collections.abc import Sequence

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from hc_assets.lake.atomic import TEMPORARY_PREFIX, HashingSink, atomic_file, write_bytes
from hc_assets.lake.layout import COMMIT_NAME, SCHEMA_FOLDER, Layout

PART_BYTES = 256 * 1024**2
_ROW_GROUP_BYTES = 16 * 1024**2
_ORPHAN_AGE_SECONDS = 24 * 3600


class Part(msgspec.Struct, frozen=True):
    """One Parquet file of a partition: name, rows, bytes, and SHA-256 in hex."""

    name: str
    rows: int
    size: int
    sha256: str


class Commit(msgspec.Struct, frozen=True):
    """What makes a partition exist.

    Attributes:
        table: `<group>/<asset>`.
        batch: the batch's key; None where the rows are of all batches.
        rows: in all parts.
        parts: in the order of the rows.
        inputs: hash of each input by its name.
        code_version: of the asset that wrote it.
    """

    table: str
    batch: str | None
    rows: int
    parts: list[Part]
    inputs: dict[str, str] = {}
    code_version: str | None = None

    def digest(self) -> str:
        """Hash of the partition's content: that of its parts' hashes."""
        sink = HashingSink.discarding()
        for part in self.parts:
            sink.write(part.sha256.encode())
        return sink.hexdigest()


class DamagedPartError(Exception):
    """A part is gone or is not what its commit says."""


class PartWriter:
    """Writes record batches into parts of one partition, in bounded memory.

    Use as a context manager; `parts` is whole after the block. `number` tells apart the writers
    that fill one partition at the same time, and gives the order of their rows.
    """

    def __init__(
        self, folder: UPath, schema: pa.Schema, *, number: int = 0, part_bytes: int = PART_BYTES
    ) -> None:
        self.parts: list[Part] = []
        self._folder, self._schema, self._number = folder, schema, number
        self._part_bytes = part_bytes
        self._pending: list[pa.RecordBatch] = []
        self._pending_bytes = 0

    def __enter__(self) -> "PartWriter":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.close()

    def write(self, batch: pa.RecordBatch) -> None:
        """Take a batch of the writer's schema.

        Raises:
            pa.ArrowInvalid: its columns or types differ from the schema.
        """
        if batch.schema != self._schema:
            batch = batch.cast(self._schema)
        self._pending.append(batch)
        self._pending_bytes += batch.nbytes
        if self._pending_bytes >= self._part_bytes:
            self._flush()

    def close(self) -> None:
        """Write what is pending."""
        self._flush()

    def _flush(self) -> None:
        if not self._pending:
            return
        table = pa.Table.from_batches(self._pending, self._schema)
        self._pending, self._pending_bytes = [], 0
        if table.num_rows:
            stem = f"part-{self._number:05d}-{len(self.parts):03d}"
            self.parts.append(write_part(self._folder, stem, table))


def write_part(folder: UPath, stem: str, table: pa.Table) -> Part:
    """Write a table as one Parquet file named `<stem>-<first 12 of its hash>.parquet`.

    Statistics and dictionaries are left out of binary and tensor columns, where they only cost.
    """

    def name(sink: HashingSink) -> UPath:
        return folder / f"{stem}-{sink.hexdigest()[:12]}.parquet"

    plain = [f.name for f in table.schema if not _is_bulky(f.type)]
    group = max(1, min(table.num_rows, table.num_rows * _ROW_GROUP_BYTES // max(table.nbytes, 1)))
    with (
        atomic_file(folder, name) as sink,
        pq.ParquetWriter(
            pa.PythonFile(sink, mode="w"),
            table.schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=plain,
            write_statistics=plain,
        ) as writer,
    ):
        writer.write_table(table, row_group_size=group)
    return Part(name(sink).name, table.num_rows, sink.size, sink.hexdigest())


def _is_bulky(type_: pa.DataType) -> bool:
    return (
        isinstance(type_, pa.BaseExtensionType)
        or pa.types.is_binary(type_)
        or pa.types.is_large_binary(type_)
    )


def read_commit(folder: UPath) -> Commit | None:
    """Read a partition's commit; None where the partition does not exist.

    Raises:
        msgspec.DecodeError: the commit is damaged.
    """
    path = folder / COMMIT_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Commit)
    except FileNotFoundError:
        return None


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
    before = read_commit(folder)
    made = Commit(
        table=table,
        batch=batch,
        rows=sum(part.rows for part in parts),
        parts=list(parts),
        inputs=inputs or {},
        code_version=code_version,
    )
    write_bytes(folder / COMMIT_NAME, msgspec.json.format(msgspec.json.encode(made), indent=1))
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
        stray = path.name.startswith((TEMPORARY_PREFIX, "part-")) and path.name not in kept
        if path.name in replaced or (stray and path.stat().st_mtime < oldest):
            path.unlink(missing_ok=True)


def declare(layout: Layout, table: str, schema: pa.Schema) -> None:
    """Write down a table's schema as a committed partition without rows.

    Views read it beside the batches, so they have their columns before the first batch.
    """
    folder = layout.table(table) / SCHEMA_FOLDER
    part = write_part(folder, "part-00000-000", schema.empty_table())
    known = read_commit(folder)
    if known is None or [p.sha256 for p in known.parts] != [part.sha256]:
        made = Commit(table=table, batch=None, rows=0, parts=[part])
        write_bytes(folder / COMMIT_NAME, msgspec.json.encode(made))
        _clear(folder, known, made)
