"""A storage SCP at work in a thread of the test."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hc_assets.imaging.receiving.storage_scp import ReceiverOptions, receive
from hc_assets.lake.landing import BatchLimits, LandingResult, batch_keys, read_manifest
from hc_assets.lake.layout import Layout

LIMITS = BatchLimits(10_000, 2**31)
PATIENCE = 120.0
"""Seconds that a loaded machine may take; nothing waits for so long where all is well."""


@dataclass
class Running:
    """A receiver at work in a thread."""

    layout: Layout
    port: int = 0
    landed: list[LandingResult] = field(default_factory=list)

    def waiting(self) -> list[Path]:
        return sorted(Path(str(self.layout.landing("dicom") / "received")).glob("*"))

    def landed_files(self) -> list[Path]:
        return [
            Path(str(self.layout.landed_file("dicom", key, file.stored)))
            for key in batch_keys(self.layout, "dicom")
            for file in read_manifest(self.layout, "dicom", key).files
        ]


@pytest.fixture
def receiving(tmp_path: Path) -> Callable[..., object]:
    @contextmanager
    def run(**changed: object) -> Iterator[Running]:
        running = Running(Layout.of(tmp_path / "data"))
        options = ReceiverOptions(
            host="127.0.0.1", port=0, ae_title="HC_ASSETS", allowed=("STORESCU", "ECHOSCU")
        )
        options = ReceiverOptions(
            **vars(options)
            | {"idle_seconds": 0.2, "timeout_seconds": PATIENCE, "free_bytes": 0}
            | changed
        )
        stop, ready = threading.Event(), threading.Event()

        def on_ready(port: int) -> None:
            running.port = port
            ready.set()

        def work() -> None:
            receive(
                running.layout,
                LIMITS,
                options,
                stop=stop,
                on_ready=on_ready,
                on_landed=running.landed.append,
            )

        thread = threading.Thread(target=work)
        thread.start()
        assert ready.wait(PATIENCE)
        try:
            yield running
        finally:
            stop.set()
            thread.join(PATIENCE)
            assert not thread.is_alive()

    return run
