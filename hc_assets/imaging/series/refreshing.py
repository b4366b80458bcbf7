"""Tables over all batches whose cost follows what is new: only studies with new files are redone.

Belongs here: which studies those are, and how their rows take the place of earlier ones. What a row
says is in `table.py` and `imaging_studies.py`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice

import pyarrow as pa

from hc_assets.core.fence import row_seconds
from hc_assets.core.progress import Listener, reported, short_hash
from hc_assets.imaging.fenced_batches import Failed, Row, errors_in, whole_batch
from hc_assets.imaging.series.instances import Instance, read_series
from hc_assets.lake.incremental import Update
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import Part, PartWriter, read_commit
from hc_assets.lake.tables import LakeTable, opened_part, read_partition

_ROWS = 500

MakeRows = Callable[[Iterable[Sequence[Instance]]], Iterator[Row]]


@dataclass(frozen=True)
class Refreshed:
    """A table that is written, and not committed yet.

    Attributes:
        parts: with all rows.
        rebuilt: how many rows were made from files.
        inputs: for the commit: hashes of the index, and the options.
    """

    parts: list[Part]
    rebuilt: int
    inputs: dict[str, str]


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
    failed: Failed,
    reasons: str,
    seconds: float,
    listener: Listener | None = None,
) -> Refreshed:
    """Write the rows of all studies; those without new files are taken over as they were.

    Args:
        layout: where the lake is.
        table: the table that is written.
        schema: of its rows.
        index: all committed batches of the index.
        make_rows: makes rows of series, in the order of `sorted_by`.
        sorted_by: columns that the rows are sorted by; the first is study_instance_uid.
        code_version: of the table; rows of another version are rebuilt.
        options: what the rows depend on besides, by name; where one is another than in the last
            commit, all rows are rebuilt.
        failed: makes the row that stands for one that does not fit the schema.
        reasons: column that says what was raised for a row. Studies with such a row are rebuilt,
            too: what failed once may not fail again.
        seconds: time that a row has; 0 for no bound.
        listener: that hears how far it is.

    Returns:
        What was written. The rows are the same as those made from scratch.
    """
    last = read_commit(layout.partition(table, None))
    update = Update.since(last, [index], code_version=code_version, options=options)
    added = update.added_parts(index)
    parts = [str(path) for path in index.parts()]
    before = read_partition(layout, table, None) if added is not None else None
    again = failed_studies(before, reasons) if before is not None else frozenset()
    made: Iterator[Row] = make_rows(read_series(parts, changed=added, studies=again))
    count = 0

    def counted() -> Iterator[Row]:
        nonlocal count
        name = sorted_by[-1]
        piece = "series" if name == "series_instance_uid" else "studies"
        for row in reported(
            made,
            table,
            piece,
            name=lambda row: short_hash(row[name]),
            listener=listener,
        ):
            count += 1
            yield row

    rows: Iterable[Row] = counted()
    if before is not None and added is not None:
        rows = merge(
            rows_of_other_studies(before, added, again),
            rows,
            key=lambda row: tuple(row[name] for name in sorted_by),
        )
    with row_seconds(seconds), PartWriter(layout.partition(table, None), schema) as writer:
        for group in _groups(rows):
            writer.write(whole_batch(group, schema, failed))
    return Refreshed(writer.parts, count, update.inputs)


def studies_in(parts: Iterable[str]) -> set[str | None]:
    """StudyInstanceUIDs of the files that parts of the index refer to, None where one has none."""
    studies: set[str | None] = set()
    for path in parts:
        with opened_part(path) as file:
            studies.update(file.read(["study_instance_uid"])["study_instance_uid"].to_pylist())
    return studies


def failed_studies(before: LakeTable, reasons: str) -> frozenset[str]:
    """StudyInstanceUIDs of the studies of which a row could not be made.

    Args:
        before: the table as it was.
        reasons: its column that holds the text of an `InternalError`, or a list of texts.
    """
    return frozenset(
        row["study_instance_uid"]
        for batch in before.batches(["study_instance_uid", reasons])
        for row in batch.to_pylist()
        if errors_in(row[reasons])
    )


def rows_of_other_studies(
    before: LakeTable, added: Iterable[str], again: Collection[str] = ()
) -> Iterator[Row]:
    """Earlier rows of the studies that have no new files.

    Args:
        before: the table as it was.
        added: paths of the parts of the index with the new files.
        again: StudyInstanceUIDs of further studies whose rows are rebuilt.
    """
    rebuilt = studies_in(added) | set(again)
    for batch in before.batches():
        yield from (row for row in batch.to_pylist() if row["study_instance_uid"] not in rebuilt)


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    source = iter(rows)
    while group := list(islice(source, _ROWS)):
        yield group
