"""The DuckDB warehouse: one view per Parquet table, and the few tables that change in place.

Belongs here: opening and closing the file, and the views. What a state table holds belongs to the
domain that keeps it. The file can be deleted at any time: it is rebuilt from the Parquet.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb

import duckdb
import pyarrow as pa
from filelock import FileLock, Timeout

from hc_assets.core.columns import note
from hc_assets.core.errors import EnvironmentFaultError, TransientError
from hc_assets.lake.atomic import is_local, make_folder, sync_folder
from hc_assets.lake.layout import BATCH_PREFIX, COMMIT_NAME, Layout, name_in_warehouse
from hc_assets.lake.parts import declare
from hc_assets.lake.tables import declared_schema, read_partitions

_RETRY_SECONDS = 0.1
_TURN = ".turn.lock"
# DuckDB would take most of the machine; beyond this it works on disk, beside the file.
_MEMORY_LIMIT = "400MiB"


class WarehouseBusyError(TransientError):
    """Another program kept the warehouse open for longer than the longest wait."""


class WarehouseDamagedError(EnvironmentFaultError):
    """The file can't be opened, whoever has it."""


class WarehouseFailedError(EnvironmentFaultError):
    """DuckDB refused a statement; says its error's class and where, never its text, or values."""


@dataclass(frozen=True)
class State:
    """Tables of a domain that change in place.

    Attributes:
        names: of what readers see, `<group>/<asset>`.
        create: makes them where they are missing, empty.
    """

    names: frozenset[str]
    create: Callable[[duckdb.DuckDBPyConnection], None]


@dataclass(frozen=True)
class Warehouse:
    """The warehouse of one data folder.

    Attributes:
        layout: where the lake and the file are.
        tables: schema of each Parquet table by its name, `<group>/<asset>`.
        state: what is kept in the file itself.
        wait_seconds: how long to wait for another program that has the file open.
    """

    layout: Layout
    tables: Mapping[str, pa.Schema]
    state: tuple[State, ...] = ()
    wait_seconds: float = 60.0

    @contextmanager
    def read(self, *tables: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open read-only, and close whatever happens.

        Args:
            tables: names of those whose views are read. Their parts are hashed first: DuckDB knows
                no hash of a file, and looks at no checksum of a page.

        Raises:
            DamagedPartError: a part is gone or is not what its commit says.
            WarehouseBusyError: a writer kept it longer than `wait_seconds`.
        """
        for table in tables:
            read_partitions(self.layout, table).parts()
        if self.layout.warehouse.exists():
            with self._open(self.layout.warehouse, read_only=True) as connection:
                if self._has_views(connection):
                    yield connection
                    return
        self.ensure()
        with self._open(self.layout.warehouse, read_only=True) as connection:
            yield connection

    @contextmanager
    def read_state(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open a warehouse that is there, for the tables that DuckDB itself keeps.

        No view is looked at, nor made again: what damage there is to the Parquet makes no
        difference.

        Raises:
            WarehouseBusyError: a writer kept it longer than `wait_seconds`.
        """
        with self._open(self.layout.warehouse, read_only=True) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open for writing, one program at a time, and close whatever happens.

        A file that is not there yet is made, with its views.

        Raises:
            WarehouseBusyError: readers or another writer kept it longer than `wait_seconds`.
        """
        with self._lock():
            if not self.layout.warehouse.exists():
                with self._beside():
                    pass
            with self._open(self.layout.warehouse, read_only=False) as connection:
                if not self._has_views(connection):
                    self.create_views(connection)
                yield connection

    @contextmanager
    def rewrite(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Rebuild the file, with its views; where the block ends well, it replaces the old one.

        Readers have the old file until then, and where the block raises or the process is killed.

        Raises:
            WarehouseBusyError: another writer kept it longer than `wait_seconds`.
        """
        with self._lock(), self._beside() as connection:
            yield connection

    @contextmanager
    def _lock(self, suffix: str = ".lock") -> Iterator[None]:
        make_folder(self.layout.data_dir)
        path = self.layout.warehouse
        lock = FileLock(path.with_suffix(suffix), timeout=self.wait_seconds, mode=0o600)
        try:
            lock.acquire()
        except Timeout as error:
            raise WarehouseBusyError(f"{path.name} is being written by another program") from error
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _beside(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Make a file beside the warehouse and put it in its place: DuckDB makes none at once."""
        path = self.layout.warehouse
        fresh = path.with_suffix(".new")
        _remove(fresh)
        try:
            with self._open(fresh, read_only=False) as connection:
                self.create_views(connection)
                yield connection
            # The log of a file that was deleted, or is to be replaced, must not meet the new one.
            _log_of(path).unlink(missing_ok=True)
            fresh.replace(path)
        finally:
            _remove(fresh)
        sync_folder(self.layout.data_dir)

    @contextmanager
    def _open(self, path: Path, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        connection = self._connect(path, read_only=read_only)
        try:
            if not read_only:
                path.chmod(0o600)
            yield connection
        except duckdb.Error as error:
            # Its text may quote rows: `Could not convert string ...`, `Duplicate key ...`
            frames = [f for f in extract_tb(error.__traceback__) if "hc_assets" in f.filename]
            where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "SQL"
            raise WarehouseFailedError(
                f"{path.name}: {type(error).__name__} at {where}; `hc-assets lake verify` reports"
                " whether what it reads is damaged"
            ) from None
        finally:
            connection.close()

    def _connect(self, path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        """Open the file, each in its turn.

        DuckDB keeps a writer out while there is any reader, so readers that never cease would keep
        it out for ever: a writer takes the turn until it is in, and new readers wait for that.
        """
        with self._lock(_TURN) if not read_only else nullcontext():
            # Where nothing may be written, nobody else writes either
            if read_only and os.access(path.with_suffix(_TURN), os.W_OK):
                with self._lock(_TURN):
                    pass
            return self._connect_in_turn(path, read_only=read_only)

    def _connect_in_turn(self, path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        deadline = time.monotonic() + self.wait_seconds
        while True:
            try:
                connection = duckdb.connect(path, read_only=read_only)
                connection.execute(f"SET memory_limit = '{_MEMORY_LIMIT}'")
                # Where the order of rows counts, it is asked for.
                connection.execute("SET preserve_insertion_order = false")
                return connection
            except duckdb.IOException as error:
                if "lock" not in str(error):
                    raise WarehouseDamagedError(
                        f"{path.name} can't be opened; where no right is missing, `hc-assets"
                        " warehouse rebuild` rebuilds it"
                    ) from error
                if time.monotonic() > deadline:
                    raise WarehouseBusyError(
                        f"{path.name} is kept open by another program"
                    ) from error
                time.sleep(_RETRY_SECONDS)

    def is_made(self) -> bool:
        """Whether the file is there and every table's schema is declared, without opening it."""
        return self.layout.warehouse.exists() and all(
            (found := declared_schema(self.layout.table(table))) is not None
            and found.names == schema.names
            for table, schema in self.tables.items()
        )

    def ensure(self) -> None:
        """Make the file, and those views and tables that it lacks, or that read another folder.

        Schemas that are not declared, or otherwise than they are now, are declared.

        A view holds the folder that it reads: in one that was moved or copied, it would read the
        rows of the old place.
        """
        if self.layout.warehouse.exists():
            with self._open(self.layout.warehouse, read_only=True) as connection:
                has_views = self._has_views(connection)
            if has_views and self.is_made():
                return
        with self.write() as connection:
            if not self.is_made():
                self.create_views(connection)

    def _has_views(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """Whether there is a view of all that is named, and those of tables read this folder.

        One that has fewer columns than its table was made before the table got them.
        """
        rows = connection.sql(
            "SELECT schema_name || '/' || view_name, sql, column_count FROM duckdb_views() "
            "WHERE NOT internal"
        ).fetchall()
        views = {name: (sql, columns) for name, sql, columns in rows}
        return self._names() <= views.keys() and all(
            self._commits(table) in views[name][0]
            and self._left_out() in views[name][0]
            and views[name][1] == len(schema)
            for table, schema in self.tables.items()
            for name in ["/".join(name_in_warehouse(table))]
        )

    def _commits(self, table: str) -> str:
        """Pattern of the paths of a table's commits, as a literal in SQL."""
        return _literal(f"{self._folder(table)}/*/{COMMIT_NAME}")

    def _left_out(self) -> str:
        """Pattern of the paths of the records of batches that are left out, as a literal in SQL."""
        folder = self.layout.left_out("*")
        parent = self.layout.data_dir
        root = os.path.realpath(parent.path) if is_local(parent) else str(parent)
        return _literal(f"{root}/{'/'.join(folder.parts[-3:])}/*.json")

    def _folder(self, table: str) -> str:
        """Folder of a table, without links: the same whichever way leads to it."""
        folder = self.layout.table(table)
        return os.path.realpath(folder.path) if is_local(folder) else str(folder)

    def _names(self) -> set[str]:
        """Of all that readers find, as `<schema>/<name>`."""
        named = {"/".join(name_in_warehouse(table)) for table in self.tables}
        return named.union(*(each.names for each in self.state))

    def create_views(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Create or replace the view of every Parquet table, with comments, and what state lacks.

        So all that readers ask for is there, empty, before anything was ever published.

        All of them or none: that is one write to the disk, and not one for every comment.

        Raises:
            DamagedLakeError: a commit or a part is so damaged that its table can't be read.
        """
        connection.begin()
        for table, schema in self.tables.items():
            declare(self.layout, table, schema)
            name = quoted_name(table)
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {name.split('.')[0]}")
            try:
                connection.execute(f"CREATE OR REPLACE VIEW {name} AS {self._select(table)}")
            except duckdb.Error:
                # DuckDB looks at every part's footer, and names none
                read_partitions(self.layout, table).parts()
                raise
            for field in schema:
                text = _literal(describe(field))
                connection.execute(f"COMMENT ON COLUMN {name}.{_identifier(field.name)} IS {text}")
        for each in self.state:
            each.create(connection)
        connection.commit()

    def _select(self, table: str) -> str:
        """SQL that reads what the commits list, whenever it is run.

        The view needs no change when a batch is committed, so writers of Parquet need not write
        here. Parts that a run has written but not committed are left out by name, and those of
        batches that are left out by theirs.
        """
        commits = self._commits(table)
        parts = _literal(f"{self._folder(table)}/*/part-*.parquet")
        return f"""
            SELECT * EXCLUDE (filename)
            FROM read_parquet(
                {parts}, filename = true, union_by_name = true, hive_partitioning = false
            )
            WHERE filename IN (
                SELECT replace(filename, '{COMMIT_NAME}', part.name)
                FROM (
                    SELECT filename, unnest(parts) AS part
                    FROM read_json(
                        {commits}, filename = true, hive_partitioning = false,
                        columns = {{parts: 'STRUCT(name VARCHAR)[]'}}
                    )
                    WHERE regexp_extract(filename, '/{BATCH_PREFIX}([^/]*)/[^/]*$', 1) NOT IN (
                        SELECT regexp_extract(file, '([^/]*)\\.json$', 1)
                        FROM glob({self._left_out()})
                    )
                )
            )
        """  # noqa: S608 - every value is quoted above


def _log_of(path: Path) -> Path:
    """DuckDB's write-ahead log of a file; left behind only where a writer was killed."""
    return path.with_name(f"{path.name}.wal")


def _remove(path: Path) -> None:
    for each in (path, _log_of(path)):
        each.unlink(missing_ok=True)


def quoted_name(table: str) -> str:
    """Name of `<group>/<asset>` in SQL: `"<group>"."<asset>"`."""
    return ".".join(map(_identifier, name_in_warehouse(table)))


def describe(field: pa.Field) -> str:
    """Description of a column, with its unit where it has one."""
    noted = note(field)
    return f"{noted.description} [{noted.unit}]" if noted.unit else noted.description


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str | os.PathLike[str]) -> str:
    return "'" + str(text).replace("'", "''") + "'"
