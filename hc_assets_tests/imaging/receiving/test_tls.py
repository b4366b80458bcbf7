"""TLS with pynetdicom as the peer, and with sockets that don't keep to it."""

import shutil
import socket
import ssl
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE

from hc_assets.imaging.receive_command import tls_options
from hc_assets.imaging.receiving.tls import TlsOptions, TlsOptionsError, server_context
from hc_assets.imaging.settings import ImagingSettings
from hc_assets_tests.imaging.receiving.conftest import PATIENCE

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl is not on this machine"
)
VERIFICATION = "1.2.840.10008.1.1"


@dataclass
class Identity:
    """Files of a certificate and its key."""

    certificate: Path
    key: Path


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def make(folder: Path, name: str) -> Identity:
    made = Identity(folder / f"{name}.pem", folder / f"{name}.key")
    openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-keyout", made.key, "-out", made.certificate, "-days", 2, "-subj", f"/CN={name}"),
        *("-addext", "subjectAltName=IP:127.0.0.1"),
    )
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def ours(folder: Path) -> Identity:
    return make(folder, "receiver")


@pytest.fixture(scope="module")
def peer(folder: Path) -> Identity:
    return make(folder, "peer")


@pytest.fixture(scope="module")
def stranger(folder: Path) -> Identity:
    return make(folder, "stranger")


@pytest.fixture
def tls(ours: Identity, peer: Identity) -> TlsOptions:
    return TlsOptions(ours.certificate, ours.key, peer.certificate)


def client_context(ours: Identity, own: Identity | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ours.certificate)
    if own:
        context.load_cert_chain(own.certificate, own.key)
    return context


def associate(port: int, context: ssl.SSLContext):
    entity = AE(ae_title="STORESCU")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = PATIENCE
    entity.add_requested_context(VERIFICATION, ExplicitVRLittleEndian)
    return entity.associate(
        "127.0.0.1", port, ae_title="HC_ASSETS", tls_args=(context, "127.0.0.1")
    )


def test_an_object_of_a_peer_with_a_certificate_is_landed(receiving, tls, ours, peer, shared_data):
    path = next((shared_data / "dicom").rglob("*.dcm"))
    dataset = pydicom.dcmread(path)
    with receiving(tls=tls) as running:
        context = client_context(ours, peer)
        uid = dataset.SOPClassUID
        entity = AE(ae_title="STORESCU")
        entity.add_requested_context(uid, dataset.file_meta.TransferSyntaxUID)
        association = entity.associate(
            "127.0.0.1", running.port, ae_title="HC_ASSETS", tls_args=(context, "127.0.0.1")
        )
        assert association.is_established
        assert association.send_c_store(dataset).Status == 0x0000
        association.release()
    assert len(running.landed_files()) == 1


def test_without_a_file_of_peers_any_peer_may_send(receiving, ours):
    with receiving(tls=TlsOptions(ours.certificate, ours.key)) as running:
        association = associate(running.port, client_context(ours, None))
        assert association.send_c_echo().Status == 0x0000
        association.release()


@pytest.mark.parametrize("own", ["none", "of a stranger"])
def test_a_peer_without_a_known_certificate_is_refused(receiving, tls, ours, stranger, own):
    context = client_context(ours, stranger if own == "of a stranger" else None)
    with (
        receiving(tls=tls) as running,
        socket.create_connection(("127.0.0.1", running.port), PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
        pytest.raises((ssl.SSLError, ConnectionResetError)),
    ):
        secured.recv(1)  # by TLS 1.3, the refusal comes after the client is through


def test_a_peer_that_speaks_no_tls_is_refused(receiving, tls):
    with (
        receiving(tls=tls) as running,
        socket.create_connection(("127.0.0.1", running.port), PATIENCE) as plain,
    ):
        plain.sendall(b"\x01\x00" + (70).to_bytes(4) + bytes(70))  # an A-ASSOCIATE-RQ
        answer = b""
        with suppress(ConnectionResetError):
            while more := plain.recv(100):
                answer += more
        assert answer[:1] in (b"", b"\x15")  # nothing, or an alert of TLS


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_tls_1_1_is_not_spoken_and_1_3_is_preferred(receiving, ours):
    # It waits so long for whoever connects and says nothing
    with receiving(tls=TlsOptions(ours.certificate, ours.key), timeout_seconds=1) as running:
        context = client_context(ours, None)
        with (
            socket.create_connection(("127.0.0.1", running.port), PATIENCE) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
        ):
            assert secured.version() == "TLSv1.3"
        old = client_context(ours, None)
        old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        with (
            socket.create_connection(("127.0.0.1", running.port), PATIENCE) as plain,
            pytest.raises(ssl.SSLError),
        ):
            old.wrap_socket(plain, server_hostname="127.0.0.1")


def test_tls_1_2_has_forward_secrecy_and_authenticated_encryption_only(ours):
    ciphers = server_context(TlsOptions(ours.certificate, ours.key)).get_ciphers()
    old = [each for each in ciphers if each["protocol"] == "TLSv1.2"]
    assert len(old) == 4
    assert all(each["aead"] and each["kea"] == "kx-ecdhe" for each in old)


def test_a_peer_that_connects_and_is_silent_holds_up_no_other(receiving, tls, ours, peer):
    with (
        receiving(tls=tls, timeout_seconds=1) as running,
        socket.create_connection(("127.0.0.1", running.port), PATIENCE) as silent,
    ):
        association = associate(running.port, client_context(ours, peer))
        assert association.send_c_echo().Status == 0x0000
        association.release()
        assert silent.recv(1) == b""  # and is cut off in the end


def test_a_file_that_is_no_key_or_certificate_is_named(ours, peer, tmp_path):
    with pytest.raises(TlsOptionsError, match=str(peer.key)):
        server_context(TlsOptions(ours.certificate, peer.key))
    with pytest.raises(TlsOptionsError, match="without a password"):
        openssl("pkey", "-in", ours.key, "-aes256", "-passout", "pass:x", "-out", tmp_path / "k")
        server_context(TlsOptions(ours.certificate, tmp_path / "k"))
    with pytest.raises(TlsOptionsError, match="nowhere"):
        server_context(TlsOptions(ours.certificate, ours.key, tmp_path / "nowhere"))


def test_tls_that_is_named_by_half_is_not_left_out(ours):
    assert tls_options(ImagingSettings()) is None
    for half in ("receive_tls_certificate", "receive_tls_key", "receive_tls_peers"):
        with pytest.raises(TlsOptionsError, match="name both"):
            tls_options(ImagingSettings().model_copy(update={half: ours.certificate}))
