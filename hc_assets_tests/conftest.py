"""What all tests share: a data folder of their own, and the real data beside the checkout."""

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import duckdb
import pytest
from hypothesis import settings
from sqlalchemy import event
from sqlalchemy.engine import Engine
from typer.testing import CliRunner, Result

import hc_assets_tests.quick_record  # noqa: F401 - works by being imported, before Dagster
from hc_assets.cli.main import app
from hc_assets.core.domain import Catalog
from hc_assets.domains import DOMAINS
from hc_assets.fhir.search_index import SEARCH_INDEX
from hc_assets.fhir.views.declared import view_files, view_tables
from hc_assets_tests.scheduling import ByScope, place_of

# Other processes may hold the cores: how long an example takes says nothing of the code.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")
# A second process is tested where it matters; in hundreds of small ingests it only starts and ends.
os.environ.setdefault("HC_WORKERS", "1")


@event.listens_for(Engine, "connect")
def _wait_for_no_disk(connection: object, _: object) -> None:
    """Dagster's record outlives this process, but need not outlive a loss of power."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are cores: each waits a tenth of its time, for a disk or a browser."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByScope:
    """Tests that share what is costly to make run in one process."""
    config.option.loadscopereorder = False  # by their number of tests
    return ByScope(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest, where processes share the tests."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: place_of(item.nodeid))


SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data that the project does not carry."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data beside the checkout (../shared/data) is not there")
    return SHARED_DATA


@dataclass(frozen=True)
class DataFolder:
    """A data folder that tests share, and the environment of the commands on it.

    Attributes:
        path: of the folder, with a Dagster instance in it.
        environment: variables that are set while a command runs, and only then.
    """

    path: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: object) -> Result:
        """Run the command line in this process."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HC_DATA_DIR", str(self.path))
            patch.setenv("DAGSTER_HOME", "")
            for name, value in self.environment.items():
                patch.setenv(name, value)
            return invoke(*arguments)

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """Ask the warehouse, as a user would."""
        return run_query(self.path, sql)


def invoke(*arguments: object, stdin: bytes | None = None) -> Result:
    """Run the command line in this process and environment."""
    texts = [str(each) for each in arguments]
    return CliRunner().invoke(app, texts, input=stdin, catch_exceptions=False)


def run_query(data_dir: Path, sql: str) -> list[tuple[object, ...]]:
    """Rows of a query on a warehouse."""
    with duckdb.connect(data_dir / "warehouse.duckdb", read_only=True) as connection:
        return connection.sql(sql).fetchall()


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own, with a Dagster instance in it."""
    folder = tmp_path / "data"
    monkeypatch.setenv("HC_DATA_DIR", str(folder))
    monkeypatch.setenv("DAGSTER_HOME", "")  # the first command sets it; forgotten after the test
    return folder


@pytest.fixture
def hc_assets(data_dir: Path) -> Callable[..., Result]:
    """Run the command line in this process, on the test's data folder."""
    return invoke


@pytest.fixture
def query(data_dir: Path) -> Callable[[str], list[tuple[object, ...]]]:
    """Ask the test's warehouse, as a user would."""
    return partial(run_query, data_dir)


@pytest.fixture
def shipped_catalog(monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalog]:
    """All that is declared, with what tests go without: shipped views, and the search index."""
    monkeypatch.setenv("HC_SHIPPED_VIEWS", "true")
    monkeypatch.delenv("HC_VIEWS", raising=False)
    view_files.cache_clear()
    first, *others = DOMAINS
    yield Catalog([replace(first, tables=(*first.tables, *view_tables(), SEARCH_INDEX)), *others])
    view_files.cache_clear()


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """URL for alerts of a server on loopback, and what it was sent."""
    with listening() as alerts:
        yield alerts


@contextmanager
def listening() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The same for fixtures that last longer than a test."""
    received: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"json://127.0.0.1:{server.server_port}", received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
