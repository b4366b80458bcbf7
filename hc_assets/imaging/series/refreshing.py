"""Tables over all batches whose cost follows what is new: only studies with new files are redone.

Belongs here: which studies those are, and how their rows take the place of earlier ones. What a row
says is in `table.py` and `imaging_studies.py`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hc_assets.imaging.series.instances import Instance, read_series
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import Part, PartWriter, read_commit
from hc_assets.lake.tables import LakeTable, read_partition

_ROWS = 500

Row = dict[str, Any]
MakeRows = Callable[[Iterable[Sequence[Instance]]], Iterator[Row]]


def refreshed(
    layout: Layout,
    table: str,
    schema: pa.Schema,
    index: LakeTable,
    make_rows: MakeRows,
    *,
    sorted_by: Sequence[str],
    code_version: str,
    options: Mapping[str, str],
) -> tuple[list[Part], int]:
    """Write the rows of all studies; those without new files are taken over as they were.

    Args:
        layout: where the lake is.
        table: the table that is written.
        schema: of its rows.
        index: all committed batches of the index.
        make_rows: makes rows of series, in the order of `sorted_by`.
        sorted_by: columns that the rows are sorted by; the first is study_instance_uid.
        code_version: of the table; rows of another version are made anew.
        options: what the rows depend on besides, by name, kept among the commit's inputs by the
            caller; where one is another than in the last commit, all rows are made anew.

    Returns:
        The parts, not committed yet, and how many rows were made anew. The rows are the same as
        those made from scratch.
    """
    changed = _changed_parts(layout, table, index, code_version, options)
    parts = [str(path) for path in index.parts()]
    made: Iterator[Row] = make_rows(read_series(parts, changed=changed))
    count = 0

    def counted() -> Iterator[Row]:
        nonlocal count
        for row in made:
            count += 1
            yield row

    rows: Iterable[Row] = counted()
    if changed is not None:
        rows = merge(
            _kept(read_partition(layout, table, None), changed),
            rows,
            key=lambda row: tuple(row[name] for name in sorted_by),
        )
    with PartWriter(layout.partition(table, None), schema) as writer:
        for group in _groups(rows):
            writer.write(pa.RecordBatch.from_pylist(group, schema))
    return writer.parts, count


def _changed_parts(
    layout: Layout, table: str, index: LakeTable, code_version: str, options: Mapping[str, str]
) -> list[str] | None:
    """Parts of the batches that the table does not know; None where it is to be made anew."""
    before = read_commit(layout.partition(table, None))
    digests = index.digests()
    if before is None or before.code_version != code_version:
        return None
    if any(before.inputs.get(name) != value for name, value in options.items()):
        return None
    known = {name: d for name, d in before.inputs.items() if name.startswith(index.table)}
    if any(digests.get(name) != digest for name, digest in known.items()):
        return None
    return [
        str(folder / part.name)
        for folder, made in index.partitions
        if f"{index.table}/{made.batch}" not in known
        for part in made.parts
    ]


def _kept(before: LakeTable, changed: Sequence[str]) -> Iterator[Row]:
    """Earlier rows of the studies that have no new files."""
    anew: set[str | None] = set()
    for path in changed:
        column = pq.read_table(path, columns=["study_instance_uid"], partitioning=None)
        anew.update(column["study_instance_uid"].to_pylist())
    for batch in before.batches():
        yield from (row for row in batch.to_pylist() if row["study_instance_uid"] not in anew)


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    source = iter(rows)
    while group := list(islice(source, _ROWS)):
        yield group
