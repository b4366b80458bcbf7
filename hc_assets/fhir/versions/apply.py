"""Enriched batches become the versions of each resource, in DuckDB.

Belongs here: taking batches in, and taking back those that changed. The ledger of applied batches
and the rows change in one transaction, so a kill leaves both as they were. Which delivery is a
version is in `chain.py`, the tables are in `tables.py`.

The rows depend on the set of applied batches only: any order, in any portions, or all from scratch
give the same. So what arrives late goes into the history where it belongs.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hc_assets.fhir.schemas import ENRICHED_RESOURCES
from hc_assets.fhir.versions import conditional_references, ledger
from hc_assets.fhir.versions import deliveries as version_deliveries
from hc_assets.fhir.versions.resolver import Resolver
from hc_assets.fhir.versions.tables import create_tables
from hc_assets.lake.incremental import compare
from hc_assets.lake.layout import Layout
from hc_assets.lake.tables import LakeTable, read_partitions

# Read first, without the content, to find which rows are versions.
_SLIM = (
    "source",
    "resource_type",
    "resource_id",
    "last_updated",
    "last_updated_digits",
    "stated_version",
    "batch",
    "source_file",
    "position",
    "content_sha256",
    "request_if_none_exist",
    "request_method",
    "identifiers",
    "conditional_references",
)
_FULL = (
    "resource_type",
    "resource_id",
    "last_updated",
    "patient_id",
    "encounter_id",
    "batch",
    "content_sha256",
    "resource",
    "source_file",
    "position",
    "conditional_references",
)
_PLACE = pa.field("place", pa.int64())
_VERSIONS_TAKEN_BACK = (
    "DELETE FROM fhir.resource_versions WHERE batch IN (SELECT batch FROM taken_back)"
)
_RESOLUTIONS_TAKEN_BACK = (
    "DELETE FROM fhir.failed_resolutions WHERE batch IN (SELECT batch FROM taken_back)"
)
_VERSIONS_GONE = """
    DELETE FROM fhir.resource_versions AS known USING changes
    WHERE changes.batch = known.batch AND changes.place = known.place
        AND changes.version_id IS NULL
"""
# In the order of the rows: those found in any other order are each an update of their own.
_VERSIONS_MOVED = """
    CREATE OR REPLACE TEMP TABLE moved AS
    SELECT known.rowid AS row, changes.source, changes.version_id, changes.is_current
    FROM fhir.resource_versions AS known JOIN changes USING (batch, place)
    ORDER BY row
"""
_VERSIONS_RENUMBERED = """
    UPDATE fhir.resource_versions AS known
    SET source = moved.source, version_id = moved.version_id, is_current = moved.is_current,
        changed_sequence = CASE
            WHEN moved.is_current
                AND (NOT known.is_current OR known.source IS DISTINCT FROM moved.source)
            THEN $sequence ELSE known.changed_sequence END
    FROM moved WHERE moved.row = known.rowid
"""
# In the order of the batches, so that each finds its own without reading the others'.
_VERSIONS_NEW = """
    CREATE OR REPLACE TEMP TABLE new_versions AS
    SELECT batch, place, source, version_id, is_current, is_new FROM changes
    WHERE version_id IS NOT NULL AND old_version_id IS NULL
    ORDER BY batch, place
"""
# What was a repetition in a batch of before, and is a version now.
_VERSIONS_OF_OLD_BATCHES = """
    UPDATE fhir.resource_versions AS known SET changed_sequence = $sequence
    FROM new_versions AS new
    WHERE known.batch = new.batch AND known.place = new.place AND new.is_current AND NOT new.is_new
"""
# Versions that were there before, whose references stand for something else now.
_STALE = """
    CREATE OR REPLACE TEMP TABLE stale AS
    SELECT delivery.batch, delivery.place, row_number() OVER () AS number
    FROM fhir.deliveries AS delivery
    WHERE delivery.is_current AND len(delivery.conditional_references) > 0
        AND NOT EXISTS (
            SELECT 1 FROM new_versions AS new
            WHERE new.batch = delivery.batch AND new.place = delivery.place
        )
        AND (
            list_has_any(
                delivery.conditional_references,
                (SELECT coalesce(list(reference), []) FROM changed_references)
            )
            OR EXISTS (
                SELECT 1 FROM changes
                WHERE changes.batch = delivery.batch AND changes.place = delivery.place
            )
        )
"""
_RESOLVED_ROWS = pa.schema(
    [
        pa.field("batch", pa.string()),
        pa.field("place", pa.int64()),
        pa.field("resolved", pa.binary()),
    ]
)
_RESOLVED_AT_ONCE = 10_000
_TEMPORARY = ("stale", "changes", "moved", "new_versions", "changed_references")


@dataclass(frozen=True)
class Applied:
    """What an application did.

    Attributes:
        batches: taken in, those among them that had changed since they were taken in before.
        taken_back: batches that had changed or are gone.
        rows: current resources there are now, the deleted ones among them.
        deleted: of which are deleted.
        versions: there are now, of all resources.
        unresolved: resources whose references by query were left as they are, since resolving them
            raised, by class and place of the error.
        compared: deliveries that were put in order: those that are new, and those of before that
            they may change.
    """

    batches: int
    taken_back: int
    rows: int
    deleted: int
    versions: int
    unresolved: Counter[str] = field(default_factory=Counter)
    compared: int = field(default=0, compare=False)


def apply_batches(
    connection: duckdb.DuckDBPyConnection,
    enriched: LakeTable,
    *,
    slice_rows: int = version_deliveries.SLICE_ROWS,
) -> Applied:
    """Take in the enriched batches that were not taken in yet, and take back what is no more.

    A batch that was taken in and has changed since, or is gone, is taken back first; only the
    resources that it and the new batches refer to are looked at again.

    Args:
        connection: open for writing.
        enriched: all committed batches of `fhir/enriched_resources`.
        slice_rows: about how many deliveries are put in order at a time, which memory follows; the
            outcome does not.

    Returns:
        What was done.

    Raises:
        DamagedPartError: a part is gone or is not what its commit says; nothing has changed then.
    """
    digests = {str(made.batch): made.digest() for _, made in enriched.partitions}
    unresolved: Counter[str] = Counter()
    compared = 0
    connection.begin()
    try:
        create_tables(connection)
        changes = compare(ledger.digests(connection), digests)
        gone, new = sorted(changes.to_take_back()), sorted(changes.to_take_in())
        # Before any of them is read by DuckDB, which would not say which part is damaged
        enriched.only(new).parts()
        if gone or new:
            sequence = ledger.sequence_after(connection, new)
            compared, unresolved = _apply(
                connection, enriched, new, gone, sequence=sequence, slice_rows=slice_rows
            )
            ledger.record(connection, {batch: digests[batch] for batch in new})
        counts = connection.execute(
            "SELECT count(*) FILTER (is_current), count(*) FILTER (is_current AND is_deleted), "
            "count(*) FROM fhir.resource_versions"
        ).fetchall()[0]
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    rows, deleted, versions = counts
    return Applied(len(new), len(gone), rows, deleted, versions, unresolved, compared)


def rebuild(
    connection: duckdb.DuckDBPyConnection, layout: Layout, *, batches: Iterable[str] | None = None
) -> int:
    """Rebuild the versions of resources from the Parquet.

    Args:
        connection: to a warehouse without them.
        layout: where the lake is.
        batches: keys of those that are wanted; all that are committed where None.

    Returns:
        How many current resources it holds.
    """
    enriched = read_partitions(layout, "fhir/enriched_resources")
    if batches is not None:
        enriched = enriched.only(batches)
    return apply_batches(connection, enriched).rows


def _apply(
    connection: duckdb.DuckDBPyConnection,
    enriched: LakeTable,
    new: list[str],
    gone: list[str],
    *,
    sequence: int,
    slice_rows: int,
) -> tuple[int, Counter[str]]:
    connection.register("taken_back", pa.table({"batch": pa.array(gone, pa.string())}))
    version_deliveries.take_back(connection)
    connection.execute(_VERSIONS_TAKEN_BACK)
    connection.execute(_RESOLUTIONS_TAKEN_BACK)
    slim = pa.schema([*(ENRICHED_RESOURCES.field(name) for name in _SLIM), _PLACE])
    _from_stream(connection, version_deliveries.ARRIVED, slim, _placed(enriched, new))
    compared = version_deliveries.take_in(connection, slice_rows)
    version_deliveries.note_gone(connection, sequence)
    connection.execute(_VERSIONS_GONE)
    connection.execute(_VERSIONS_MOVED)
    connection.execute(_VERSIONS_RENUMBERED, {"sequence": sequence})
    connection.execute(_VERSIONS_NEW)
    conditional_references.look_up(connection)
    resolver = Resolver(conditional_references.targets(connection))
    _insert_versions(connection, enriched, resolver)
    connection.execute(_VERSIONS_OF_OLD_BATCHES, {"sequence": sequence})
    _resolve_again(connection, resolver, sequence)
    for table in _TEMPORARY:
        connection.execute(f"DROP TABLE {table}")
    return compared, resolver.keep_errors(connection)


def _from_stream(
    connection: duckdb.DuckDBPyConnection,
    statement: str,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
) -> None:
    reader = pa.RecordBatchReader.from_batches(schema, batches)
    connection.register("incoming", reader)
    connection.execute(statement)
    connection.unregister("incoming")


def _placed(enriched: LakeTable, batches: Iterable[str]) -> Iterator[pa.RecordBatch]:
    """Rows without content, each with its place among those of its batch."""
    for batch in batches:
        place = 0
        for rows in enriched.of(batch).batches(_SLIM):
            places = pa.array(np.arange(place, place + rows.num_rows))
            yield rows.select(list(_SLIM)).append_column(_PLACE, places)
            place += rows.num_rows


_VERSION_ROWS = pa.schema(
    [
        *(ENRICHED_RESOURCES.field(name) for name in _FULL if name != "conditional_references"),
        _PLACE,
        pa.field("source", pa.string()),
        pa.field("version_id", pa.int64()),
        pa.field("is_current", pa.bool_()),
        pa.field("is_deleted", pa.bool_()),
        pa.field("resolved", pa.binary()),
    ]
)


def _insert_versions(
    connection: duckdb.DuckDBPyConnection, enriched: LakeTable, resolver: Resolver
) -> None:
    """Fetch the content of the new versions, a stream over the batches that hold some."""
    batches = connection.execute("SELECT DISTINCT batch FROM new_versions ORDER BY 1").fetchall()
    for (batch,) in batches:
        enriched.of(batch).parts()  # old batches may be among them
        wanted = connection.sql(
            "SELECT place, source, version_id, is_current FROM new_versions "
            "WHERE batch = ? ORDER BY place",
            params=[batch],
        ).to_arrow_table()
        _from_stream(
            connection,
            "INSERT INTO fhir.resource_versions BY NAME SELECT * FROM incoming",
            _VERSION_ROWS,
            _versions_of(enriched.of(batch), wanted, resolver),
        )


def _versions_of(
    batch: LakeTable, wanted: pa.Table, resolver: Resolver
) -> Iterator[pa.RecordBatch]:
    """Rows of the table of versions, of those places of a batch that are wanted."""
    places = wanted["place"].to_numpy()
    first = 0
    for rows in batch.batches(_FULL):
        begin, end = np.searchsorted(places, [first, first + rows.num_rows])
        if begin < end:
            chosen = rows.take(pa.array(places[begin:end] - first))
            resources = chosen["resource"]
            of_rows = wanted.slice(begin, end - begin).combine_chunks()
            columns = {name: chosen[name] for name in _VERSION_ROWS.names if name in _FULL}
            columns |= {name: of_rows[name].chunk(0) for name in wanted.column_names}
            columns |= {
                "is_deleted": resources.is_null(),
                "resolved": _resolved(chosen, columns, resolver),
            }
            yield pa.RecordBatch.from_arrays(
                [columns[name] for name in _VERSION_ROWS.names], schema=_VERSION_ROWS
            )
        first += rows.num_rows


def _resolved(
    rows: pa.RecordBatch, columns: Mapping[str, pa.Array], resolver: Resolver
) -> pa.Array:
    is_current = columns["is_current"].to_numpy(zero_copy_only=False)
    lengths = pc.fill_null(pc.list_value_length(rows["conditional_references"]), 0)
    concerned = np.flatnonzero(is_current & (lengths.to_numpy(zero_copy_only=False) > 0))
    found: list[bytes | None] = [None] * rows.num_rows
    for index in concerned:
        batch, place, source = (
            column[index].as_py() for column in (rows["batch"], columns["place"], columns["source"])
        )
        found[index] = resolver(rows["resource"][index].as_py(), batch, place, source)
    return pa.array(found, pa.binary())


def _resolve_again(
    connection: duckdb.DuckDBPyConnection, resolver: Resolver, sequence: int
) -> None:
    """Resolve references of versions that were there before, some at a time."""
    connection.execute(_STALE)
    count = connection.execute("SELECT count(*) FROM stale").fetchall()[0][0]
    for first in range(1, count + 1, _RESOLVED_AT_ONCE):
        rows = connection.execute(
            "SELECT batch, place, source, resource FROM stale "
            "JOIN fhir.resource_versions USING (batch, place) WHERE number BETWEEN ? AND ?",
            [first, first + _RESOLVED_AT_ONCE - 1],
        ).fetchall()
        again = [
            {"batch": batch, "place": place, "resolved": resolver(resource, batch, place, source)}
            for batch, place, source, resource in rows
        ]
        connection.register("resolved_again", pa.Table.from_pylist(again, _RESOLVED_ROWS))
        connection.execute(
            "UPDATE fhir.resource_versions AS known "
            "SET resolved = again.resolved, changed_sequence = $sequence "
            "FROM resolved_again AS again "
            "WHERE known.batch = again.batch AND known.place = again.place "
            "AND known.resolved IS DISTINCT FROM again.resolved",
            {"sequence": sequence},
        )
        connection.unregister("resolved_again")
