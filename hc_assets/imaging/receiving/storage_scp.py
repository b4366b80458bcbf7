"""A DICOM storage SCP: what peers send becomes files, and the files become batches.

Belongs here: the association side (PS3.4 annexes A and B, PS3.7 C-STORE and C-ECHO), its bounds,
and when what was received is landed. What a batch is, is in `lake/landing.py`; how one becomes
known to Dagster is decided by whoever passes `on_landed`.
"""

import hashlib
import logging
import os
import shutil
import socketserver
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pynetdicom import AE, _config, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import ThreadedAssociationServer

from hc_assets.imaging.domain import DICOM_FILES
from hc_assets.imaging.receiving.tls import TlsAssociationServer, TlsOptions, server_context
from hc_assets.lake.atomic import local_path, make_folder, sync_folder
from hc_assets.lake.discovery import discover
from hc_assets.lake.landing import BatchLimits, LandingResult, land
from hc_assets.lake.layout import Layout

RECEIVED = "received"
"""Folder below the DICOM landing folder of objects that are whole and wait to be landed."""
INCOMING = ".receiving"
"""Folder of objects that are still coming in; hidden, so that landing leaves it alone."""

# Status codes of the storage service (PS3.4 Table B.2-1)
_SUCCESS, _OUT_OF_RESOURCES = 0x0000, 0xA700
_P_DATA_TF = 0x04
_PDU_BYTES = 256 * 1024
# What a peer may say is the length of one PDU: an A-ASSOCIATE-RQ with 128 contexts stays below it
_PDU_LIMIT = 1024**2
_POLL_SECONDS = 0.1
_SHUTDOWN_POLL_SECONDS = 0.05


class ReceiverRunningError(OSError):
    """Another receiver is at work on the same data folder."""


@dataclass(frozen=True)
class ReceiverOptions:
    """How to receive.

    Attributes:
        host: address to listen on.
        port: TCP port; 0 for any free one.
        ae_title: called AE title that peers must use.
        allowed: calling AE titles that may associate; all others are rejected.
        associations: at once, at most; further ones are rejected.
        object_bytes: of one object, at most; a peer that sends more is cut off.
        free_bytes: of the disk that must stay free; below, objects are refused as out of
            resources (A700) and the peer may try again.
        idle_seconds: without a new object until what came is landed.
        wait_seconds: since the first object until what came is landed all the same.
        timeout_seconds: a peer may be silent for, and has to finish in when we stop.
        tls: how connections are secured; None where they are not.
    """

    host: str
    port: int
    ae_title: str
    allowed: tuple[str, ...]
    associations: int = 10
    object_bytes: int = 4 * 1024**3
    free_bytes: int = 1024**3
    idle_seconds: float = 5.0
    wait_seconds: float = 300.0
    timeout_seconds: float = 30.0
    tls: TlsOptions | None = None


@dataclass
class Received:
    """Counts of one receiver: objects stored, refused, and landed, and batches made."""

    stored: int = 0
    refused: int = 0
    landed: int = 0
    batches: int = 0


def receive(
    layout: Layout,
    limits: BatchLimits,
    options: ReceiverOptions,
    *,
    stop: threading.Event,
    on_ready: Callable[[int], None],
    on_landed: Callable[[LandingResult], None],
) -> Received:
    """Receive until asked to stop, landing what comes.

    A C-STORE is answered with success only once the object is whole and on disk under the landing
    folder, named by its hash. From there it is landed here or, after a kill, by the next receiver
    or by any other landing; it is removed once a batch holds it.

    Args:
        layout: of the data folder, which must be local.
        limits: of a batch.
        options: how to receive.
        stop: set from anywhere to stop: nothing new is accepted, associations get
            `timeout_seconds` to finish, what is left is landed.
        on_ready: called with the port once connections are accepted.
        on_landed: called after each landing that made a batch, or found its files in earlier ones.

    Returns:
        What was done.

    Raises:
        ReceiverRunningError: another receiver is at work on the data folder.
        TlsOptionsError: a certificate or a key can't be used.
        OSError: the port can't be had, or the disk fails.
    """
    landing = local_path(layout.landing("dicom"))
    make_folder(layout.landing("dicom") / INCOMING)
    try:
        with FileLock(landing / INCOMING / ".lock", timeout=0, mode=0o600):
            return _Receiver(layout, limits, options, on_landed).run(stop, on_ready)
    except Timeout as error:
        raise ReceiverRunningError("another receiver works on this data folder") from error


class _Receiver:
    def __init__(
        self,
        layout: Layout,
        limits: BatchLimits,
        options: ReceiverOptions,
        on_landed: Callable[[LandingResult], None],
    ) -> None:
        self._layout, self._limits, self._options = layout, limits, options
        self._on_landed = on_landed
        self._tls = server_context(options.tls) if options.tls else None
        self._landing = local_path(layout.landing("dicom"))
        self._incoming = self._landing / INCOMING
        self._folder = self._landing / RECEIVED
        make_folder(layout.landing("dicom") / RECEIVED)
        self._lock = threading.Lock()
        self._counts = Received()
        self._coming: dict[Any, int] = {}
        self._waiting_files = self._waiting_bytes = 0
        self._first = self._last = 0.0

    def run(self, stop: threading.Event, on_ready: Callable[[int], None]) -> Received:
        for leftover in self._incoming.glob("*.dcm"):
            leftover.unlink()  # a transfer that was never acknowledged: the peer sends it again
        self._land()
        with _quiet_network(), _temporary_files_in(self._incoming), self._serving() as server:
            on_ready(server.server_address[1])
            while not stop.wait(_POLL_SECONDS):
                self._land_if_due()
        self._land()
        return self._counts

    def _land_if_due(self) -> None:
        with self._lock:
            now = time.monotonic()
            due = self._waiting_files and (
                now - self._last >= self._options.idle_seconds
                or now - self._first >= self._options.wait_seconds
                or self._waiting_files >= self._limits.files
                or self._waiting_bytes >= self._limits.size
            )
        if due:
            self._land()
            self._remove_leftovers()

    @contextmanager
    def _serving(self) -> Iterator[ThreadedAssociationServer]:
        server = self._application_entity().make_server(
            (self._options.host, self._options.port),
            evt_handlers=[
                (evt.EVT_CONN_OPEN, self._connected),
                (evt.EVT_CONN_CLOSE, self._disconnected),
                (evt.EVT_DATA_RECV, self._count_received),
                (evt.EVT_C_STORE, self._store),
                (evt.EVT_C_ECHO, lambda _event: _SUCCESS),
            ],
            ssl_context=self._tls,
            server_class=TlsAssociationServer,
        )
        loop = threading.Thread(
            target=server.serve_forever, args=(_SHUTDOWN_POLL_SECONDS,), daemon=True
        )
        loop.start()
        try:
            yield server
        finally:
            # pynetdicom's own shutdown would abort the associations at once
            socketserver.BaseServer.shutdown(server)
            deadline = time.monotonic() + self._options.timeout_seconds
            while server.active_associations and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
            server.server_close()  # aborts those that are left
            loop.join()

    def _application_entity(self) -> AE:
        entity = AE(ae_title=self._options.ae_title)
        entity.require_called_aet = True
        entity.require_calling_aet = list(self._options.allowed)
        entity.maximum_associations = self._options.associations
        entity.maximum_pdu_size = _PDU_BYTES
        entity.network_timeout = self._options.timeout_seconds
        entity.acse_timeout = self._options.timeout_seconds
        entity.dimse_timeout = self._options.timeout_seconds
        entity.add_supported_context(Verification)
        return entity

    def _connected(self, event: evt.Event) -> None:
        """Refuse to read a PDU that says it is longer than any can be, before memory is taken."""
        socket: Any = event.assoc.dul.socket
        read = socket.recv

        def read_bounded(size: int) -> bytearray:
            if size > _PDU_LIMIT:
                raise OSError("a PDU longer than allowed")
            data: bytearray = read(size)
            return data

        socket.recv = read_bounded

    def _disconnected(self, event: evt.Event) -> None:
        with self._lock:
            self._coming.pop(event.assoc, None)

    def _count_received(self, event: evt.Event) -> None:
        if event.data[0] != _P_DATA_TF:
            return
        with self._lock:
            before = self._coming.get(event.assoc, 0)
            size = self._coming[event.assoc] = before + len(event.data)
            becomes_too_large = before <= self._options.object_bytes < size
            self._counts.refused += becomes_too_large
        if becomes_too_large:
            # This runs in the thread that aborting waits for
            threading.Thread(target=event.assoc.abort, daemon=True).start()

    def _store(self, event: evt.Event) -> int:
        """Keep one object: hashed, synced, under its final name; only then is it a success."""
        path = event.dataset_path
        with self._lock:
            self._coming[event.assoc] = 0
        if path.stat().st_size > self._options.object_bytes:
            return _OUT_OF_RESOURCES  # one that came whole before its association was aborted
        try:
            if shutil.disk_usage(self._folder).free < self._options.free_bytes:
                raise OSError("the disk is nearly full")
            with path.open("rb+") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                size = file.tell()
                os.fsync(file.fileno())
            path.replace(self._folder / f"{sha256}.dcm")
            sync_folder(self._layout.landing("dicom") / RECEIVED)
        except OSError:
            with self._lock:
                self._counts.refused += 1
            return _OUT_OF_RESOURCES
        with self._lock:
            self._counts.stored += 1
            self._last = time.monotonic()
            if not self._waiting_files:
                self._first = self._last
            self._waiting_files += 1
            self._waiting_bytes += size
        return _SUCCESS

    def _land(self) -> None:
        """Make batches of what is there, and remove what they hold."""
        with self._lock:
            paths = sorted(self._folder.glob("*.dcm"))
            self._waiting_files = self._waiting_bytes = 0
        if not paths:
            return
        result = land(
            discover(paths, self._landing),
            self._layout,
            DICOM_FILES,
            limits=self._limits,
            now=datetime.now(UTC),
        )
        self._counts.landed += result.landed
        self._counts.batches += len(result.batches)
        self._on_landed(result)
        if not result.waiting:
            for path in paths:
                path.unlink(missing_ok=True)

    def _remove_leftovers(self) -> None:
        """Remove what an association that broke off has left behind."""
        oldest = time.time() - 2 * self._options.timeout_seconds
        for path in self._incoming.glob("*.dcm"):
            try:
                if path.stat().st_mtime < oldest:
                    path.unlink()
            except FileNotFoundError:
                continue  # it has become whole in between


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Let pynetdicom write what comes in where a rename makes it whole, and not to /tmp."""
    before = tempfile.tempdir
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


@contextmanager
def _quiet_network() -> Iterator[None]:
    """Take any storage class and transfer syntax, in chunks, and log nothing of what comes."""
    logger = logging.getLogger("pynetdicom")
    before = (
        logger.disabled,
        _config.LOG_HANDLER_LEVEL,
        _config.UNRESTRICTED_STORAGE_SERVICE,
        _config.STORE_RECV_CHUNKED_DATASET,
    )
    # Its loggers are children that handlers of the root would hear: silence each of them
    children = [
        each
        for name, each in logging.Logger.manager.loggerDict.items()
        if name.startswith("pynetdicom.") and isinstance(each, logging.Logger)
    ]
    were_disabled = [each.disabled for each in children]
    logger.disabled = True
    for each in children:
        each.disabled = True
    _config.LOG_HANDLER_LEVEL = "none"
    _config.UNRESTRICTED_STORAGE_SERVICE = True
    _config.STORE_RECV_CHUNKED_DATASET = True
    try:
        yield
    finally:
        (
            logger.disabled,
            _config.LOG_HANDLER_LEVEL,
            _config.UNRESTRICTED_STORAGE_SERVICE,
            _config.STORE_RECV_CHUNKED_DATASET,
        ) = before
        for each, was_disabled in zip(children, were_disabled, strict=True):
            each.disabled = was_disabled
