"""The storage SCP, with DCMTK's own programs as peers."""

import hashlib
import logging
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE

from hc_assets.imaging.headers.read import read_header
from hc_assets.imaging.receiving.storage_scp import ReceiverOptions, ReceiverRunningError, receive
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import batch_keys
from hc_assets_tests.imaging.receiving.conftest import LIMITS, PATIENCE

needs_dcmtk = pytest.mark.skipif(
    shutil.which("storescu") is None or shutil.which("echoscu") is None,
    reason="DCMTK's storescu and echoscu are not on this machine (Debian: dcmtk)",
)


def scu(
    program: str, port: int, *arguments: object, title: str = "", called: str = "HC_ASSETS"
) -> subprocess.CompletedProcess[str]:
    title = title or program.upper()
    return subprocess.run(
        [
            *(program, "-aet", title, "-aec", called),
            *map(str, arguments[:-1]),
            *("127.0.0.1", str(port)),
            *map(str, arguments[-1:]),
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)


@needs_dcmtk
def test_an_echo_is_answered(receiving):
    with receiving() as running:
        assert scu("echoscu", running.port).returncode == 0


@needs_dcmtk
@pytest.mark.parametrize(
    ("title", "called"), [("STRANGER", "HC_ASSETS"), ("ECHOSCU", "SOMEONE_ELSE")]
)
def test_who_is_not_allowed_or_calls_another_is_rejected(receiving, title, called):
    with receiving() as running:
        result = scu("echoscu", running.port, title=title, called=called)
    assert result.returncode != 0
    assert "Rejected" in result.stderr


@needs_dcmtk
def test_what_is_stored_is_landed_as_it_was_sent_and_leaves_the_landing_folder(receiving, testdata):
    sent = [testdata("CT_small.dcm"), testdata("MR_small.dcm"), testdata("reportsi.dcm")]
    with receiving() as running:
        for path in sent:
            assert scu("storescu", running.port, path).returncode == 0
        until(lambda: len(running.landed_files()) == 3)
        until(lambda: running.waiting() == [])
    found = {str(row["sop_instance_uid"]): row for row in map(read_header, running.landed_files())}
    for path in sent:
        original = pydicom.dcmread(path)
        original.pop("DataSetTrailingPadding", None)  # which peers need not send
        landed = next(
            p
            for p in running.landed_files()
            if read_header(p)["sop_instance_uid"] == original.SOPInstanceUID
        )
        assert pydicom.dcmread(landed).to_json_dict() == original.to_json_dict()
        assert str(original.SOPInstanceUID) in found


@needs_dcmtk
@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("MR_small_jp2klossless.dcm", "-xv"),
        ("MR_small_RLE.dcm", "-xr"),
        ("SC_rgb_jpeg_dcmtk.dcm", "-xy"),
        ("MR_small_bigendian.dcm", "-xb"),
    ],
)
def test_compressed_objects_come_as_they_are(receiving, testdata, name, option):
    path = testdata(name)
    with receiving() as running:
        assert scu("storescu", running.port, option, path).returncode == 0
        until(lambda: len(running.landed_files()) == 1)
    (landed,) = running.landed_files()
    original, got = pydicom.dcmread(path), pydicom.dcmread(landed)
    assert got.file_meta.TransferSyntaxUID == original.file_meta.TransferSyntaxUID
    assert got.PixelData == original.PixelData


@needs_dcmtk
def test_names_and_modes_reveal_nothing(receiving, testdata):
    with receiving(idle_seconds=3600, wait_seconds=3600) as running:
        assert scu("storescu", running.port, testdata("CT_small.dcm")).returncode == 0
        (path,) = running.waiting()
        assert path.stem == hashlib.sha256(path.read_bytes()).hexdigest()
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert list(path.parent.parent.glob(".receiving/*.dcm")) == []
        assert running.landed == []
    # Stopping lands what waits
    assert running.waiting() == []
    assert [result.landed for result in running.landed] == [1]


@needs_dcmtk
def test_the_same_object_twice_is_landed_once(receiving, testdata):
    with receiving() as running:
        for _ in range(2):
            assert scu("storescu", running.port, testdata("CT_small.dcm")).returncode == 0
            until(lambda: running.waiting() == [])
    assert len(running.landed_files()) == 1
    assert running.landed[-1].already_landed == 1


@needs_dcmtk
def test_what_a_killed_receiver_left_is_landed_by_the_next(receiving, testdata, tmp_path):
    landing = tmp_path / "data" / "landing" / "dicom"
    (landing / "received").mkdir(parents=True)
    (landing / ".receiving").mkdir()
    shutil.copy(testdata("CT_small.dcm"), landing / "received" / "whole.dcm")
    (landing / ".receiving" / "tmpabc.dcm").write_bytes(b"half of an object")
    with receiving() as running:
        assert len(running.landed_files()) == 1
        assert list((landing / ".receiving").glob("*.dcm")) == []


@needs_dcmtk
def test_an_object_that_is_too_large_is_cut_off_and_leaves_nothing(receiving, testdata):
    with receiving(object_bytes=20_000) as running:
        assert scu("storescu", running.port, testdata("CT_small.dcm")).returncode != 0
        assert scu("storescu", running.port, testdata("MR_small.dcm")).returncode == 0
        until(lambda: len(running.landed_files()) == 1)
    (landed,) = running.landed_files()
    assert read_header(landed)["modality"] == "MR"


@needs_dcmtk
def test_a_full_disk_is_reported_to_the_peer(receiving, testdata):
    with receiving(free_bytes=2**62) as running:
        result = scu("storescu", running.port, "-v", testdata("CT_small.dcm"))
        assert "Refused: OutOfResources" in result.stdout + result.stderr
    assert running.landed == []


def test_an_unknown_storage_class_is_kept(receiving):
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.3.4.5.6.7.8", "1.2.3.99"
    dataset.PatientID, dataset.Modality = "P1", "OT"
    with receiving() as running:
        peer = AE(ae_title="STORESCU")
        peer.add_requested_context("1.2.3.4.5.6.7.8", ExplicitVRLittleEndian)
        association = peer.associate("127.0.0.1", running.port, ae_title="HC_ASSETS")
        assert association.is_established
        assert association.send_c_store(dataset).Status == 0
        association.release()
        until(lambda: len(running.landed_files()) == 1)


def test_a_length_of_four_gigabytes_is_not_read(receiving):
    with (
        receiving(timeout_seconds=1.0) as running,
        socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE) as peer,
    ):
        peer.sendall(struct.pack(">BBL", 1, 0, 2**32 - 1) + bytes(10_000))
        # Closed by the receiver's timeout at the latest, whatever was promised
        with suppress(ConnectionResetError):
            assert peer.recv(4096) == b""


def test_only_one_receiver_works_on_a_data_folder(receiving):
    with receiving() as running, pytest.raises(ReceiverRunningError):
        receive(
            running.layout,
            LIMITS,
            ReceiverOptions("127.0.0.1", 0, "X", ("Y",)),
            stop=threading.Event(),
            on_ready=lambda port: None,
            on_landed=lambda result: None,
        )


@needs_dcmtk
def test_nothing_of_a_patient_is_logged(receiving, testdata, caplog):
    caplog.set_level(logging.DEBUG)
    with receiving() as running:
        assert scu("storescu", running.port, testdata("CT_small.dcm")).returncode == 0
        scu("echoscu", running.port, title="STRANGER")
        until(lambda: len(running.landed_files()) == 1)
    assert "CompressedSamples" not in caplog.text
    assert "1.3.6.1.4.1.5962" not in caplog.text


@needs_dcmtk
def test_the_command_receives_until_it_is_stopped(data_dir, testdata):
    Path(sys.executable).with_name("hc-assets")
    process = subprocess.Popen(
        [
            Path(sys.executable).with_name("hc-assets"),
            "receive",
            "--port",
            "0",
            "--allow",
            "STORESCU",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"HC_DATA_DIR": str(data_dir), "HC_RECEIVE_IDLE_SECONDS": "3600"},
    )
    try:
        first = process.stderr.readline()
        assert first.startswith("receiving as HC_ASSETS on 127.0.0.1:"), first
        port = int(first.split(":")[1].split()[0])
        assert scu("storescu", port, testdata("CT_small.dcm")).returncode == 0
        process.send_signal(signal.SIGTERM)
        out, messages = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 0
    (key,) = out.split()
    assert batch_keys(Layout.of(data_dir), "dicom") == [key]
    assert "1 objects stored, 0 refused, 1 landed in 1 batches" in messages
    assert "CompressedSamples" not in messages


def test_without_a_list_of_peers_nothing_is_received(hc_assets):
    result = hc_assets("receive")
    assert result.exit_code == 2
    assert "--allow" in result.stderr
