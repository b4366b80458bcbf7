"""A landing folder on another machine: a real FTP server, on loopback."""

import os
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from upath import UPath

from hc_assets.fhir.domain import FHIR_FILES
from hc_assets.lake.landing import BatchLimits, LandingResult
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import batch_keys, read_manifest
from hc_assets.lake.watching import look


@pytest.fixture
def served(tmp_path: Path) -> Path:
    folder = tmp_path / "served"
    (folder / "incoming").mkdir(parents=True)
    return folder


@pytest.fixture
def url(served: Path) -> Iterator[str]:
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of asyncore
        from pyftpdlib.authorizers import DummyAuthorizer
        from pyftpdlib.handlers import FTPHandler
        from pyftpdlib.servers import FTPServer

    class Handler(FTPHandler):
        authorizer = DummyAuthorizer()

    Handler.authorizer.add_user("sender", "secret", str(served), perm="elr")
    server = FTPServer(("127.0.0.1", 0), Handler)
    is_over = threading.Event()

    def serve() -> None:
        while not is_over.is_set():
            server.serve_forever(timeout=0.1, blocking=False)
        server.close_all()

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"ftp://sender:secret@127.0.0.1:{server.address[1]}/incoming"
    is_over.set()
    thread.join()


def test_files_of_a_server_are_landed_again_when_they_are_replaced_and_never_twice(
    served, url, tmp_path
):
    layout = Layout.of(tmp_path / "data")
    begun = datetime.now(UTC)

    def look_after(seconds: float) -> LandingResult:
        return look(
            UPath(url),
            layout,
            FHIR_FILES,
            limits=BatchLimits(10, 10**9),
            settle_seconds=10,
            landing_seconds=60,
            now=begun + timedelta(seconds=seconds),
        )

    incoming = served / "incoming"
    (incoming / "below").mkdir()
    (incoming / "a.json").write_bytes(b'"a"')
    (incoming / "below" / "b.json").write_bytes(b'"b"')

    assert look_after(0).waiting == 2
    assert look_after(20).landed == 2
    assert look_after(40).landed == 0

    (incoming / "a.json").write_bytes(b'"c"')  # of the same size
    os.utime(incoming / "a.json", (0, begun.timestamp() + 50))
    (incoming / "below" / "b.json").unlink()
    assert look_after(60).waiting == 1
    assert look_after(80).landed == 1

    landed = [
        (file.source_file, layout.landed_file("fhir", key, file.stored).read_bytes())
        for key in batch_keys(layout, "fhir")
        for file in read_manifest(layout, "fhir", key).files
    ]
    assert landed == [("a.json", b'"a"'), ("below/b.json", b'"b"'), ("a.json", b'"c"')]
