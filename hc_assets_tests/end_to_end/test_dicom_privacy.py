"""No value of a header leaves the tables: not into logs, Dagster's records, or names of files."""

import logging
import struct
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEGBaseline8Bit

MARK = "Zyxwv"
UID = "1.2.826.31337"


def marked(number: int) -> Dataset:
    """A dataset whose every text says the mark."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = f"{UID}.{number}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{UID}.77", f"{UID}.78"
    dataset.PatientName, dataset.PatientID = f"{MARK}^Name", f"{MARK}ID{number}"
    dataset.AccessionNumber, dataset.StudyDescription = f"{MARK}ACC", f"{MARK} study"
    dataset.SeriesDescription, dataset.StationName = f"{MARK} series", f"{MARK}ST"
    dataset.Modality, dataset.Manufacturer = "CT", f"{MARK} Inc"
    dataset.Rows = dataset.Columns = 16
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.PixelData = np.arange(256, dtype=np.uint16).tobytes()
    return dataset


def spoiled(path: Path, tag: tuple[int, int], vr: bytes, value: bytes) -> None:
    """Put a value into a file that pydicom would not write."""
    data = path.read_bytes()
    at = data.index(struct.pack("<HH", *tag) + vr)
    length = struct.unpack_from("<H", data, at + 6)[0]
    head = data[: at + 6] + struct.pack("<H", len(value)) + value
    path.write_bytes(head + data[at + 8 + length :])


@pytest.fixture
def drop(tmp_path) -> Path:
    """Good files, and files bad in as many ways as give a reason."""
    folder = tmp_path / "drop"
    folder.mkdir()
    for number in range(8):
        marked(number).save_as(folder / f"{number}.dcm", enforce_file_format=True)
    mark = f"{MARK}!!!".encode()
    spoiled(folder / "1.dcm", (0x0028, 0x0004), b"CS", mark)
    spoiled(folder / "2.dcm", (0x0020, 0x000E), b"UI", mark)
    spoiled(folder / "3.dcm", (0x0020, 0x000D), b"UI", mark)
    spoiled(folder / "4.dcm", (0x0008, 0x0018), b"UI", f"{UID}.00".encode())
    (folder / "5.dcm").write_bytes((folder / "5.dcm").read_bytes()[:-100])
    (folder / "6.dcm").write_bytes((folder / "6.dcm").read_bytes()[:500])
    compressed = dcmread(folder / "7.dcm")
    compressed.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    compressed.PixelData = b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\x08\0\0\0" + mark
    compressed["PixelData"].VR, compressed["PixelData"].is_undefined_length = "OB", True
    compressed.save_as(folder / "7.dcm")
    (folder / "notes.dcm").write_text(f"{MARK} was here\n" * 30)
    return folder


def test_no_header_value_is_logged_or_told_to_dagster(hc_assets, query, data_dir, drop, caplog):
    caplog.set_level(logging.DEBUG)
    result = hc_assets("ingest", drop, "--kind", "dicom")
    report = hc_assets("report")
    assert result.exit_code == 0, result.output
    printed = result.stdout + result.stderr + report.stdout + report.stderr + caplog.text
    # The tables do hold what the files say, with a reason for what could not be used
    assert query("SELECT count(*) FROM imaging.dicom_index")[0][0] >= 7
    assert query(
        f"SELECT count(*) > 0 FROM imaging.dicom_index WHERE patient_id LIKE '{MARK}%'"  # noqa: S608
    ) == [(True,)]
    assert query("SELECT count(*) > 0 FROM imaging.undecodable_frames") == [(True,)]

    records = [path for path in (data_dir / "dagster").rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in records)
    for mark in (MARK, UID):
        assert mark not in printed
        for path in records:
            assert mark.encode() not in path.read_bytes(), path.name
    for path in data_dir.rglob("*"):
        assert MARK not in str(path.relative_to(data_dir))
        assert UID not in str(path.relative_to(data_dir))
