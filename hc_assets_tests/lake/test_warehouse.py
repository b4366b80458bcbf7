import shutil
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from hc_assets.core.columns import column
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import DamagedPartError, PartWriter, commit
from hc_assets.lake.warehouse import (
    State,
    Warehouse,
    WarehouseBusyError,
    WarehouseDamagedError,
    WarehouseFailedError,
)

SCHEMA = pa.schema(
    [column("batch", pa.string(), "Key"), column("size", pa.int64(), "Size", unit="mm")]
)
TABLE = "imaging/things"


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(Layout.of(tmp_path / "o'data"), {TABLE: SCHEMA}, wait_seconds=0.3)


def write(warehouse: Warehouse, batch: str, size: int, *, committed: bool = True) -> None:
    with PartWriter(warehouse.layout.partition(TABLE, batch), SCHEMA) as writer:
        writer.write(pa.RecordBatch.from_pydict({"batch": [batch], "size": [size]}, SCHEMA))
    if committed:
        commit(warehouse.layout, TABLE, batch, writer.parts)


def sizes(warehouse: Warehouse) -> list[tuple[str, int]]:
    with warehouse.read() as connection:
        return connection.sql("SELECT batch, size FROM imaging.things ORDER BY ALL").fetchall()


def test_a_view_is_empty_before_the_first_batch(warehouse):
    assert sizes(warehouse) == []


def test_a_view_follows_the_commits_without_being_rebuilt(warehouse):
    warehouse.ensure()
    write(warehouse, "a", 1)
    write(warehouse, "b", 2)
    write(warehouse, "c", 3, committed=False)
    assert sizes(warehouse) == [("a", 1), ("b", 2)]
    write(warehouse, "a", 10)
    assert sizes(warehouse) == [("a", 10), ("b", 2)]


def test_a_view_leaves_out_a_part_that_was_written_but_not_committed(warehouse):
    write(warehouse, "a", 1)
    write(warehouse, "a", 2, committed=False)
    assert sizes(warehouse) == [("a", 1)]


def test_columns_carry_description_and_unit(warehouse):
    with warehouse.read() as connection:
        comments = connection.sql(
            "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'things'"
        ).fetchall()
    assert comments == [("batch", "Key"), ("size", "Size [mm]")]


def test_readers_cannot_write(warehouse):
    with warehouse.read() as connection, pytest.raises(duckdb.InvalidInputException):
        connection.execute("CREATE TABLE x (y INT)")


def test_a_failure_inside_closes_the_file(warehouse):
    with pytest.raises(RuntimeError), warehouse.write():
        raise RuntimeError
    with warehouse.write() as connection:
        assert connection.sql("SELECT 1").fetchall() == [(1,)]


def test_a_second_writer_waits_and_then_says_who_is_in_the_way(warehouse):
    warehouse.ensure()

    def second() -> None:
        with warehouse.write():
            pass

    with warehouse.write(), ThreadPoolExecutor() as pool:
        failure = pool.submit(second).exception()
    assert isinstance(failure, WarehouseBusyError)
    assert "being written by another program" in str(failure)


def test_the_warehouse_can_be_deleted_and_comes_back(warehouse):
    write(warehouse, "a", 1)
    warehouse.ensure()
    warehouse.layout.warehouse.unlink()
    assert sizes(warehouse) == [("a", 1)]


def test_ensure_adds_the_views_of_new_tables(warehouse):
    warehouse.ensure()
    more = Warehouse(warehouse.layout, {**warehouse.tables, "imaging/others": SCHEMA})
    more.ensure()
    with more.read() as connection:
        assert connection.sql("SELECT count(*) FROM imaging.others").fetchall() == [(0,)]


def test_tables_that_change_in_place_are_there_before_anything_is_in_them(warehouse):
    def create(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("CREATE SCHEMA IF NOT EXISTS fhir")
        connection.execute("CREATE TABLE IF NOT EXISTS fhir.versions (id BIGINT)")
        connection.execute("CREATE OR REPLACE VIEW fhir.current AS SELECT * FROM fhir.versions")

    warehouse.ensure()  # of a release that had none
    state = (State(frozenset({"fhir/current"}), create),)
    more = Warehouse(warehouse.layout, warehouse.tables, state)
    more.ensure()
    with more.write() as connection:
        connection.execute("INSERT INTO fhir.versions VALUES (1)")
    more.ensure()
    with more.read() as connection:
        assert connection.sql("SELECT * FROM fhir.current").fetchall() == [(1,)]


@pytest.mark.parametrize("how", ["read", "write", "ensure"])
def test_a_copied_or_moved_folder_reads_its_own_rows(warehouse, tmp_path, how):
    write(warehouse, "a", 1)
    warehouse.ensure()
    shutil.copytree(tmp_path / "o'data", tmp_path / "copied")
    copied = Warehouse(Layout.of(tmp_path / "copied"), warehouse.tables)
    write(copied, "b", 2)
    write(warehouse, "c", 3)
    if how == "write":
        with copied.write():
            pass
    if how == "ensure":
        copied.ensure()
    assert sizes(copied) == [("a", 1), ("b", 2)]
    assert sizes(warehouse) == [("a", 1), ("c", 3)]
    shutil.rmtree(tmp_path / "copied")
    shutil.move(tmp_path / "o'data", tmp_path / "copied")
    assert sizes(copied) == [("a", 1), ("c", 3)]


def test_a_folder_that_a_link_leads_to_is_the_same_folder(warehouse, tmp_path):
    warehouse.ensure()
    before = warehouse.layout.warehouse.stat().st_mtime_ns
    (tmp_path / "link").symlink_to(tmp_path / "o'data")
    assert sizes(Warehouse(Layout.of(tmp_path / "link"), warehouse.tables)) == []
    assert warehouse.layout.warehouse.stat().st_mtime_ns == before


def test_a_damaged_part_is_named_where_its_view_is_read_and_where_it_is_made(warehouse):
    write(warehouse, "a", 1)
    warehouse.ensure()
    (part,) = (warehouse.layout.table(TABLE) / "batch=a").glob("part-*")
    data = part.read_bytes()
    part.write_bytes(data[:-20] + bytes(20))
    with pytest.raises(DamagedPartError, match=part.name), warehouse.read(TABLE):
        pass
    with pytest.raises(DamagedPartError, match=part.name), warehouse.write() as connection:
        warehouse.create_views(connection)


def test_the_file_is_private(warehouse):
    warehouse.ensure()
    assert warehouse.layout.warehouse.stat().st_mode & 0o777 == 0o600


def test_the_text_of_an_error_which_may_quote_rows_stays_inside(warehouse):
    secret = "".join(["Quv", "zix"])
    with pytest.raises(WarehouseFailedError) as caught, warehouse.read() as connection:
        connection.execute("SELECT CAST(? AS INTEGER)", [secret]).fetchall()
    text = "".join(traceback.format_exception(caught.value))
    assert "ConversionException at test_warehouse.py:" in text
    assert secret not in text


def test_a_file_that_is_no_database_is_reported_with_what_to_do(warehouse):
    warehouse.layout.warehouse.parent.mkdir(parents=True)
    warehouse.layout.warehouse.write_bytes(b"no database" * 1000)
    with pytest.raises(WarehouseDamagedError, match="warehouse rebuild"), warehouse.read():
        pass


def test_the_log_of_a_deleted_file_is_not_played_into_the_next(warehouse):
    log = warehouse.layout.warehouse.with_name("warehouse.duckdb.wal")
    warehouse.ensure()
    warehouse.layout.warehouse.unlink()
    log.write_bytes(b"of another file")
    write(warehouse, "a", 1)
    assert sizes(warehouse) == [("a", 1)]
    assert not log.exists()


def test_a_rewrite_that_fails_leaves_the_file_as_it_was(warehouse):
    with warehouse.write() as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    with pytest.raises(RuntimeError), warehouse.rewrite() as connection:
        connection.execute("CREATE TABLE other AS SELECT 8 AS n")
        raise RuntimeError("halfway")
    with warehouse.read() as connection:
        assert connection.sql("SELECT n FROM kept").fetchall() == [(7,)]
    with warehouse.rewrite() as connection:
        connection.execute("CREATE TABLE other AS SELECT 8 AS n")
    with warehouse.read() as connection:
        assert connection.sql("SELECT n FROM other").fetchall() == [(8,)]
    assert sorted(path.name for path in warehouse.layout.data_dir.glob("warehouse.*")) == [
        "warehouse.duckdb",
        "warehouse.lock",
        "warehouse.turn.lock",
    ]
