"""Rows of a table, found by their commits and read when asked for.

Belongs here: reading, whole or by pieces of work. Writing is in `parts.py`. A part is hashed when a
process first opens it here, and its pages' checksums are looked at whenever they are read: whatever
reads a part by its path alone (DuckDB knows neither) gets the path from here.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from hc_assets.lake.background import prefetched
from hc_assets.lake.exclusions import excluded
from hc_assets.lake.hashes import sha256_when_first_opened
from hc_assets.lake.layout import BATCH_PREFIX, SCHEMA_FOLDER, Layout
from hc_assets.lake.parts import Commit, DamagedPartError, Part, read_commit

# Of a Parquet file: the length of the footer, and the magic.
_FOOTER_END = 8


class MissingPartitionError(Exception):
    """A partition was asked for that no commit refers to."""


@dataclass(frozen=True)
class RowWork:
    """A piece of work: some row groups of one part.

    Attributes:
        path: of the part.
        siblings: paths of all parts that the same writer filled, this one among them; rows that
            came in together may be spread over them.
        groups: numbers of the row groups.
        number: of the piece in its partition, from 0.
    """

    path: str
    siblings: tuple[str, ...]
    groups: tuple[int, ...]
    number: int

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Read the rows in order, a row group ahead of the caller."""
        return prefetched(self._read(columns))

    def _read(self, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        table = UPath(self.path).parent.parent
        with opened_part(self.path) as file:
            for group in self.groups:
                yield from rows_of(file, group, columns, table)


@dataclass(frozen=True)
class LakeTable:
    """Rows of a table, read when asked for: of one batch, several, or all.

    Attributes:
        table: `<group>/<asset>`.
        folder: the table's folder.
        partitions: folder and commit of each partition, in the order of the batches.
    """

    table: str
    folder: UPath
    partitions: list[tuple[UPath, Commit]]

    def schema(self) -> pa.Schema:
        """The table's declared schema.

        Raises:
            MissingPartitionError: nobody declared it.
        """
        declared = declared_schema(self.folder)
        if declared is None:
            raise MissingPartitionError(f"{self.table}: no schema is declared")
        return declared

    def parts(self) -> list[UPath]:
        """Paths of the parts, in the order of the rows.

        Raises:
            DamagedPartError: one is gone or is not what its commit says.
        """
        return [
            verified_part(folder, part) for folder, made in self.partitions for part in made.parts
        ]

    def only(self, batches: Iterable[str]) -> "LakeTable":
        """Narrow to those of some batches that are committed."""
        keys = set(batches)
        kept = [(folder, made) for folder, made in self.partitions if made.batch in keys]
        return LakeTable(self.table, self.folder, kept)

    def of(self, batch: str) -> "LakeTable":
        """Narrow to one batch.

        Raises:
            MissingPartitionError: it is not committed.
        """
        narrowed = self.only([batch])
        if not narrowed.partitions:
            raise MissingPartitionError(f"{self.table}: no rows of {batch} are committed")
        return narrowed

    def check_pages(self, columns: Sequence[str]) -> None:
        """Read some columns for the checksums of their pages, and hash the footers, alone.

        For whoever then reads them elsewhere (in DuckDB), from parts so much larger than these
        columns that hashing all of it would cost more than the work itself.

        Raises:
            DamagedPartError: a part is gone, has another size, or one of these pages or the footer
                is not what was written.
        """
        for folder, made in self.partitions:
            for part in made.parts:
                path = folder / part.name
                if not path.exists() or path.stat().st_size != part.size:
                    raise DamagedPartError(f"{_named(path)} is gone or has another size")
                if not part.footer_sha256:
                    verified_part(folder, part)  # an older commit says no more than the whole hash
                elif part.footer_sha256 != _footer_sha256(path):
                    raise DamagedPartError(f"{_named(path)} is damaged: its footer is another")
                with opened_part(path) as file:
                    for group in range(file.num_row_groups):
                        file.read_row_group(group, columns=list(columns))

    def count_rows(self) -> int:
        """How many rows there are, by the commits."""
        return sum(made.rows for _, made in self.partitions)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Read the rows as record batches of bounded size, in order.

        Args:
            columns: names of those wanted; all where None.

        Raises:
            DamagedPartError: a part is gone or is not what its commit says.
        """
        for folder, made in self.partitions:
            for part in made.parts:
                with opened_part(verified_part(folder, part)) as file:
                    for group in range(file.num_row_groups):
                        yield from rows_of(file, group, columns, self.folder)

    def work(self, work_bytes: int) -> Iterator[RowWork]:
        """Divide the rows of one partition into pieces of work.

        Args:
            work_bytes: uncompressed size from which a piece is full.

        Raises:
            DamagedPartError: a part is gone or is not what its commit says.
        """
        number = 0
        for folder, made in self.partitions:
            for part in made.parts:
                siblings = tuple(
                    str(folder / each.name) for each in made.parts if each.number == part.number
                )
                with opened_part(verified_part(folder, part)) as file:
                    sizes = [
                        file.metadata.row_group(group).total_byte_size
                        for group in range(file.num_row_groups)
                    ]
                for groups in _grouped(sizes, work_bytes):
                    yield RowWork(str(folder / part.name), siblings, groups, number)
                    number += 1

    def to_table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Read all rows at once. For small tables and few columns.

        Raises:
            MissingPartitionError: there are no rows, and no schema is declared.
        """
        batches = list(self.batches(columns))
        if batches:
            return pa.Table.from_batches(batches)
        empty = self.schema().empty_table()
        return empty if columns is None else empty.select(list(columns))

    def digests(self) -> dict[str, str]:
        """Hash of each partition's content, by `<table>` or `<table>/<batch>`."""
        return {made.name: made.digest() for _, made in self.partitions}


def _grouped(sizes: Sequence[int], limit: int) -> Iterator[tuple[int, ...]]:
    groups: list[int] = []
    size = 0
    for group, bytes_ in enumerate(sizes):
        groups.append(group)
        size += bytes_
        if size >= limit:
            yield tuple(groups)
            groups, size = [], 0
    if groups:
        yield tuple(groups)


def declared_schema(table: UPath) -> pa.Schema | None:
    """The schema that is declared for a table.

    Args:
        table: its folder.

    Returns:
        None where nobody declared one.

    Raises:
        DamagedPartError: what was written down of it is damaged.
    """
    folder = table / SCHEMA_FOLDER
    declared = read_commit(folder)
    if declared is None:
        return None
    with opened_part(verified_part(folder, declared.parts[0])) as file:
        return file.schema_arrow


def rows_of(
    file: pq.ParquetFile, group: int, columns: Sequence[str] | None, table: UPath
) -> Iterator[pa.RecordBatch]:
    """Read a row group; columns that the table has got since the part was written are null."""
    rows = file.read_row_group(group, columns=columns)
    there = {*file.schema_arrow.names}
    if columns is not None and there.issuperset(columns):
        yield from rows.to_batches()
        return
    declared = declared_schema(table)
    if declared is None or there.issuperset(declared.names):
        yield from rows.to_batches()
        return
    wanted = [f for f in declared if columns is None or f.name in columns]
    for batch in rows.to_batches():
        arrays = [
            batch[f.name] if f.name in there else pa.nulls(batch.num_rows, f.type) for f in wanted
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=pa.schema(wanted))


def verified_part(folder: UPath, part: Part) -> UPath:
    """Find a part, once its bytes are those that its commit lists.

    Args:
        folder: of the partition.
        part: of its commit.

    Raises:
        DamagedPartError: it is gone or is not what its commit says.
    """
    path = folder / part.name
    try:
        found = sha256_when_first_opened(path)
    except FileNotFoundError as error:
        raise DamagedPartError(f"{_named(path)} is gone") from error
    if found != part.sha256:
        raise DamagedPartError(f"{_named(path)} is not what its commit says: its hash is {found}")
    return path


def _footer_sha256(path: UPath) -> str:
    """Hash the footer of a part, of the length that it says, with that length and the magic."""
    with path.open("rb") as stream:
        size = stream.seek(-_FOOTER_END, os.SEEK_END)
        length = int.from_bytes(stream.read(4), "little")
        stream.seek(max(size - length, 0))
        return hashlib.sha256(stream.read()).hexdigest()


def _named(path: UPath) -> str:
    """A part as people know it: table, partition and name."""
    return "/".join(path.parts[-4:])


@contextmanager
def opened_part(path: UPath | str) -> Iterator[pq.ParquetFile]:
    """Open a part to be read, with its pages' checksums looked at.

    Args:
        path: of a part; as `verified_part` gives it, where a commit lists it.

    Raises:
        DamagedPartError: then, or while it is read: a page, or what leads to it, is not what was
            written.
    """
    try:
        with (
            UPath(path).open("rb") as stream,
            pq.ParquetFile(stream, page_checksum_verification=True) as file,
        ):
            yield file
    except (OSError, pa.ArrowInvalid) as error:
        # Arrow's own have no number; those of the disk have one, and may pass
        if isinstance(error, OSError) and error.errno is not None:
            raise
        name = _named(UPath(path))
        raise DamagedPartError(f"{name} is damaged: it can't be read") from error


def read_partition(layout: Layout, table: str, batch: str | None) -> LakeTable:
    """Return the rows of one partition.

    Raises:
        MissingPartitionError: it does not exist.
    """
    folder = layout.partition(table, batch)
    made = read_commit(folder)
    if made is None:
        raise MissingPartitionError(f"{table}: no rows of {batch or 'all batches'} are committed")
    return LakeTable(table, layout.table(table), [(folder, made)])


def read_partitions(layout: Layout, table: str, batches: Iterable[str] | None = None) -> LakeTable:
    """Return the rows of several batches, or of all that are committed and not left out.

    Args:
        layout: where the lake is.
        table: `<group>/<asset>`.
        batches: keys; all committed ones but those that are left out where None.

    Raises:
        MissingPartitionError: one of the batches named does not exist.
    """
    folder = layout.table(table)
    if batches is not None:
        named = [read_partition(layout, table, batch) for batch in sorted(batches)]
        return LakeTable(table, folder, [each for one in named for each in one.partitions])
    children = sorted(folder.iterdir(), key=lambda p: p.name) if folder.exists() else []
    left_out = {SCHEMA_FOLDER, *(f"{BATCH_PREFIX}{key}" for key in excluded(layout))}
    commits = [(p, read_commit(p)) for p in children if p.name not in left_out and p.is_dir()]
    return LakeTable(table, folder, [(p, made) for p, made in commits if made is not None])
