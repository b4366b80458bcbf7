"""What all tests share: a data folder of their own, and the real data beside the checkout."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import duckdb
import pytest
from hypothesis import settings
from typer.testing import CliRunner, Result

from hc_assets.cli.main import app

# Other processes may hold the cores: how long an example takes says nothing of the code.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data that the project does not carry."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data beside the checkout (../shared/data) is not there")
    return SHARED_DATA


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

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)

    return run


@pytest.fixture
def query(data_dir: Path) -> Callable[[str], list[tuple[object, ...]]]:
    """Ask the test's warehouse, as a user would."""

    def ask(sql: str) -> list[tuple[object, ...]]:
        with duckdb.connect(data_dir / "warehouse.duckdb", read_only=True) as connection:
            return connection.sql(sql).fetchall()

    return ask


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """URL for alerts of a server on loopback, and what it was sent."""
    with listening() as told:
        yield told


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
