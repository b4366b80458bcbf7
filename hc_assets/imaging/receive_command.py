"""`hc-assets receive`: the storage SCP with this deployment's settings, signals and batches.

Belongs here: wiring only. Receiving is in `imaging/receiving/storage_scp.py`.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from hc_assets.domains import warehouse_of
from hc_assets.imaging.receiving.storage_scp import ReceiverOptions, receive
from hc_assets.imaging.receiving.tls import TlsOptions, TlsOptionsError
from hc_assets.imaging.settings import ImagingSettings
from hc_assets.lake.landing import BatchLimits, LandingResult
from hc_assets.lake.layout import Layout
from hc_assets.orchestration.runs import open_instance, register_batches


def run(settings: ImagingSettings) -> None:
    """Receive until SIGINT or SIGTERM; batch keys go to stdout, counts to stderr.

    Raises:
        ReceiverRunningError: another receiver works on the data folder.
        TlsOptionsError: a certificate or key can't be used, or one is named without the other.
        OSError: the port can't be had, or the disk fails.
    """
    layout, tls = Layout.configured(settings), tls_options(settings)
    warehouse_of(layout).ensure()

    def on_ready(port: int) -> None:
        _print_message(
            f"receiving as {settings.receive_ae_title} on {settings.receive_host}:{port} from"
            f" {', '.join(settings.receive_allowed)}{', with TLS' if tls else ''}"
        )

    def on_landed(result: LandingResult) -> None:
        keys = sorted({*result.batches, *result.known_batches})
        with open_instance(layout) as instance:
            register_batches(instance, "dicom", keys)
        for key in result.batches:
            typer.echo(key)
        _print_message(
            f"landed {result.landed} objects; {result.already_landed} were known by their content"
        )

    with _stopped_by_signals() as stop:
        counts = receive(
            layout,
            BatchLimits.configured(settings),
            ReceiverOptions(
                host=settings.receive_host,
                port=settings.receive_port,
                ae_title=settings.receive_ae_title,
                allowed=settings.receive_allowed,
                associations=settings.receive_associations,
                object_bytes=settings.receive_object_bytes,
                free_bytes=settings.receive_free_bytes,
                idle_seconds=settings.receive_idle_seconds,
                timeout_seconds=settings.receive_timeout_seconds,
                tls=tls,
            ),
            stop=stop,
            on_ready=on_ready,
            on_landed=on_landed,
        )
    _print_message(
        f"stopped: {counts.stored} objects stored, {counts.refused} refused, {counts.landed}"
        f" landed in {counts.batches} batches"
    )


def tls_options(settings: ImagingSettings) -> TlsOptions | None:
    """Return the options of TLS; None where no file is named.

    Raises:
        TlsOptionsError: only some are named: who wants TLS must not be served without it.
    """
    certificate, key = settings.receive_tls_certificate, settings.receive_tls_key
    if certificate is not None and key is not None:
        return TlsOptions(certificate, key, settings.receive_tls_peers)
    if certificate or key or settings.receive_tls_peers:
        raise TlsOptionsError("TLS needs a certificate and its key: name both")
    return None


def _print_message(text: str) -> None:
    typer.echo(text, err=True)


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    stop = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
