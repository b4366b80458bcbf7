"""A lake made before there were sources: read, taken in, exported, and added to."""

from pathlib import Path

import pyarrow as pa
import pytest

from hc_assets.domains import warehouse_of
from hc_assets.fhir.export.exported_rows import current_lines
from hc_assets.fhir.schemas import TABLES
from hc_assets.fhir.versions.apply import Applied, apply_batches, rebuild
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import PartWriter, commit, declare
from hc_assets.lake.tables import read_partitions
from hc_assets.lake.warehouse import Warehouse
from hc_assets_tests.fhir.versions.delivered_rows import TABLE, Sent, body, row, state, write

NEW_COLUMNS = {"source", "last_updated_digits", "stated_version"}
NEW_IN_RAW = {"source", "last_modified_digits", "response_etag"}
# As `create_tables` made them then.
OLDER = """
    CREATE TABLE fhir.applied_batches (batch VARCHAR, digest VARCHAR, sequence BIGINT);
    CREATE TABLE fhir.deliveries (
        resource_type VARCHAR, resource_id VARCHAR, last_updated TIMESTAMPTZ,
        batch VARCHAR, source_file VARCHAR, position BIGINT, place BIGINT,
        content_sha256 VARCHAR, is_conditional BOOLEAN,
        identifiers VARCHAR[], conditional_references VARCHAR[],
        version_id BIGINT, is_current BOOLEAN
    );
    CREATE TABLE fhir.resolved_references (reference VARCHAR, target VARCHAR);
    CREATE TABLE fhir.resource_versions (
        resource_type VARCHAR, resource_id VARCHAR, version_id BIGINT, last_updated TIMESTAMPTZ,
        is_deleted BOOLEAN, patient_id VARCHAR, encounter_id VARCHAR, batch VARCHAR,
        content_sha256 VARCHAR, resource BLOB, source_file VARCHAR, position BIGINT,
        is_current BOOLEAN, place BIGINT, resolved BLOB
    );
    INSERT INTO fhir.resource_versions
    SELECT resource_type, resource_id, 1, last_updated, false, patient_id, encounter_id, batch,
        content_sha256, resource, source_file, position, true, 0, NULL
    FROM fhir.enriched_resources;
    INSERT INTO fhir.deliveries
    SELECT resource_type, resource_id, last_updated, batch, source_file, position, 0,
        content_sha256, false, identifiers, conditional_references, 1, true
    FROM fhir.enriched_resources;
    CREATE VIEW fhir.current_resources AS
    SELECT * EXCLUDE (source_file, position, is_current, place, resolved)
    FROM fhir.resource_versions WHERE is_current;
    CREATE VIEW fhir.resource_history AS
    SELECT * EXCLUDE (place, resolved) FROM fhir.resource_versions;
"""


def older(table: str) -> pa.Schema:
    new = NEW_COLUMNS | NEW_IN_RAW
    return pa.schema([f for f in TABLES[table].schema if f.name not in new])


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A lake with one batch, and its warehouse, as an earlier release left them."""
    layout = Layout.of(tmp_path)
    schema = older(TABLE)
    with PartWriter(layout.partition(TABLE, "b1"), schema) as writer:
        made = row("b1", 0, Sent("p1", "a", 0))
        listed = {name: value for name, value in made.items() if name in schema.names}
        writer.write(pa.RecordBatch.from_pylist([listed], schema))
    commit(layout, TABLE, "b1", writer.parts)
    (digest,) = (made.digest() for _, made in read_partitions(layout, TABLE).partitions)
    tables = {t: older(t) for t in warehouse_of(layout).tables if t in TABLES}
    with Warehouse(layout, tables).write() as connection:
        connection.execute(OLDER)
        connection.execute("INSERT INTO fhir.applied_batches VALUES ('b1', ?, 1)", [digest])
    return layout


def test_columns_that_a_part_lacks_are_null(layout):
    warehouse_of(layout).ensure()
    table = read_partitions(layout, TABLE)
    (batch,) = table.batches()
    assert batch.schema.names == TABLES[TABLE].schema.names
    assert all(batch[name].null_count == 1 for name in NEW_COLUMNS)
    (chosen,) = table.batches(["resource_id", "source"])
    assert {name: chosen[name].to_pylist() for name in chosen.schema.names} == {
        "source": [None],
        "resource_id": ["p1"],
    }
    (work,) = table.work(10**9)
    (whole,) = work.batches()
    assert whole.schema.names == TABLES[TABLE].schema.names


def test_a_warehouse_without_the_columns_gets_them_when_it_is_opened(layout):
    warehouse = warehouse_of(layout)
    assert not warehouse.is_made()
    with warehouse.read() as connection:
        assert [line for _, line in current_lines(connection)] == [body(Sent("p1", "a", 0))]
        columns = connection.sql("SELECT * FROM fhir.current_resources").columns
        assert columns == TABLES["fhir/current_resources"].schema.names
        assert connection.sql("SELECT source FROM fhir.enriched_resources").fetchall() == [(None,)]
    assert warehouse.is_made()


def test_new_batches_are_taken_in_beside_the_old_ones_as_in_a_rebuild(layout):
    warehouse = warehouse_of(layout)
    write(layout, "b2", [Sent("p1", "b", 1), Sent("p1", "c", 1, source="north")])
    with warehouse.write() as connection:
        applied = apply_batches(connection, read_partitions(layout, TABLE))
        assert applied == Applied(1, 0, 2, 0, 3)
        ours = connection.sql("SELECT * FROM fhir.resource_history ORDER BY ALL").fetchall()
    with warehouse.rewrite() as connection:
        assert rebuild(connection, layout) == 2
        rebuilt = connection.sql("SELECT * FROM fhir.resource_history ORDER BY ALL").fetchall()
    assert ours == rebuilt


def test_a_lake_without_sources_is_exported_as_before(layout):
    write(layout, "b2", [Sent("p2", "b", 1)])
    with warehouse_of(layout).write() as connection:
        apply_batches(connection, read_partitions(layout, TABLE))
        assert {group.source for group, _ in current_lines(connection)} == {None}
        assert state(connection).keys() == {"p1", "p2"}


def test_a_schema_that_changed_is_declared_again(layout):
    warehouse_of(layout).ensure()
    declare(layout, TABLE, older(TABLE))
    assert not warehouse_of(layout).is_made()
    warehouse_of(layout).ensure()
    assert read_partitions(layout, TABLE).schema().names == TABLES[TABLE].schema.names
