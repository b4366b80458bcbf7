"""TLS for the storage SCP, by the BCP 195 profile of PS3.15 section B.12.

Belongs here: what is negotiated, and where a peer is refused before a byte of DICOM is read. What
is said over the connection is in `storage_scp.py`.
"""

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pynetdicom.transport import ThreadedAssociationServer

from hc_assets.core.errors import UsageError

# Of TLS 1.2, those that RFC 9325 section 4.2 recommends: forward secrecy, and nothing but AEAD.
# Those of TLS 1.3 are all of that kind.
_CIPHERS = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES256-GCM-SHA384", "AES128-GCM-SHA256")
    for key in ("ECDSA", "RSA")
)


class TlsOptionsError(UsageError):
    """A certificate or a key can't be used; says which file, and nothing of what is in it."""


@dataclass(frozen=True)
class TlsOptions:
    """How a receiver proves who it is, and whom it believes.

    Attributes:
        certificate: PEM file of the receiver's certificate, and those between it and its root.
        key: PEM file of its private key, not encrypted; its rights keep it safe.
        peers: PEM file of the certificates that peers' must be issued by, or be; None where peers
            need none.
    """

    certificate: Path
    key: Path
    peers: Path | None = None


def server_context(options: TlsOptions) -> ssl.SSLContext:
    """Prepare what connections are accepted with: TLS 1.3 where the peer has it, else 1.2.

    Raises:
        TlsOptionsError: a file can't be read, or is not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_RENEGOTIATION
    try:
        # Without this, OpenSSL would ask a terminal for the key's password
        context.load_cert_chain(options.certificate, options.key, password=_refuse_password)
    except (OSError, ValueError) as error:
        raise TlsOptionsError(
            f"{options.certificate} and {options.key}: expected PEM files of a certificate and of"
            f" its key without a password ({type(error).__name__})"
        ) from error
    if options.peers is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        # A peer's own certificate may be in the file, without that of who issued it
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        try:
            context.load_verify_locations(options.peers)
        except OSError as error:
            raise TlsOptionsError(
                f"{options.peers}: expected a PEM file of certificates ({type(error).__name__})"
            ) from error
    return context


def _refuse_password() -> str:
    raise ValueError("the key has a password")


class TlsAssociationServer(ThreadedAssociationServer):
    """Shakes hands in the thread of each connection: a peer that is silent holds up no other."""

    daemon_threads = True  # one that still shakes hands is no reason not to stop

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection, on which nothing was said yet."""
        assert isinstance(self.socket, socket.socket)  # noqa: S101 - it listens
        accepted, address = self.socket.accept()
        if self.ssl_context is None:
            return accepted, address
        accepted.settimeout(self.ae.network_timeout)
        wrapped = self.ssl_context.wrap_socket(
            accepted, server_side=True, do_handshake_on_connect=False
        )
        return wrapped, address

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Shake hands, and go on where the peer is believed."""
        if isinstance(request, ssl.SSLSocket):
            try:
                request.do_handshake()
            except OSError:  # no TLS, none that is allowed, no certificate, or nothing in time
                self.shutdown_request(request)
                return
        super().process_request_thread(request, client_address)
