import os
import struct
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from hc_assets.imaging.headers.dataset_encoding import inflated_limits
from hc_assets.imaging.headers.file_work import FileToRead
from hc_assets.imaging.headers.read import read_header
from hc_assets.imaging.headers.reading import UnreadableFile, opened, parse
from hc_assets.imaging.headers.rows import index_files
from hc_assets.imaging.settings import ImagingSettings
from hc_assets.lake.archives import ArchiveLimits


def reason(path) -> str:
    with pytest.raises(UnreadableFile) as caught:
        read_header(path)
    return caught.value.reason


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "0 bytes"),
        (b"Name,Dose\nx,1\n" * 20, "plain text"),
        (b'{"resourceType": "Patient"}' * 10, "JSON"),
        (b"<html><body></body></html>" * 10, "XML or HTML"),
        (b"\x89PNG\r\n\x1a\n" + bytes(300), "PNG"),
        (b"%PDF-1.7" + bytes(300), "PDF"),
        (b"PK\x03\x04" + bytes(300), "ZIP archive: unpack"),
        (bytes(1000), "zeros only"),
        (bytes(128) + b"DICM", "no data element"),
        (b"\x08\x00", "only 2 bytes"),
        (bytes(range(100, 256)) + bytes(range(256)), "no DICM prefix"),
        (b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100" + bytes(range(256)), "not DICOM"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_dicom_is_identified(tmp_path, content, words):
    path = tmp_path / "file.dcm"
    path.write_bytes(content)
    assert words in reason(path)


def test_a_reason_quotes_no_text_of_the_file(tmp_path):
    path = tmp_path / "file.dcm"
    path.write_bytes(b"Jane Doe, born 1970-01-01\n" * 20)
    assert "Jane" not in reason(path)


def test_a_missing_file_and_a_folder_are_reported(tmp_path):
    assert reason(tmp_path / "gone.dcm") == "the file is not there"
    assert reason(tmp_path) == "this is a folder, not a file"


def test_a_file_without_read_permission_is_reported(write_dicom, monkeypatch):
    path = write_dicom(np.zeros((4, 4), np.uint16))

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    # Root, which tests often run as, may read anything
    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(os, "open", refuse)
    assert reason(path) == "no permission to read the file"


def test_a_file_that_ends_after_its_file_meta_is_truncated(write_dicom):
    path = write_dicom(np.zeros((4, 4), np.uint16))
    meta_length = struct.unpack_from("<L", path.read_bytes(), 140)[0]
    path.write_bytes(path.read_bytes()[: 144 + meta_length])
    assert reason(path) == "truncated: nothing follows the file meta information"


def test_a_header_that_is_cut_off_keeps_what_is_whole(write_dicom):
    path = write_dicom(np.zeros((4, 4), np.uint16), SeriesDescription="x" * 60)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"x" * 60) + 30])
    row = read_header(path)
    assert row["modality"] == "CT"
    assert row["series_description"] is None
    assert "the header is truncated: the file ends within an element" in row["warnings"]


def test_a_length_of_four_gigabytes_asks_for_no_memory(write_dicom):
    path = write_dicom(np.zeros((4, 4), np.uint16))
    data = path.read_bytes()
    at = data.index(b"\xe0\x7f\x10\x00")
    bulk = b"\x09\x00\x10\x10OB\x00\x00\xfe\xff\xff\xff"
    path.write_bytes(data[:at] + bulk + data[at:])
    row = read_header(path)
    assert row["has_pixels"] is False
    assert any("truncated" in warning for warning in row["warnings"])


def nested(depth: int, *, is_closed: bool) -> bytes:
    opening = struct.pack("<HHLHHL", 0x0008, 0x1115, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
    closing = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    return opening * depth + closing * depth * is_closed


def implicit_file(path, content: bytes):
    meta = struct.pack("<HH2sHL", 2, 0, b"UL", 4, 26) + struct.pack("<HH2sH", 2, 0x10, b"UI", 18)
    class_uid = b"1.2.840.10008.5.1.4.1.1.2\0"
    dataset = struct.pack("<HHL", 0x0008, 0x0016, len(class_uid)) + class_uid + content
    path.write_bytes(bytes(128) + b"DICM" + meta + b"1.2.840.10008.1.2\0" + dataset)
    return path


def test_ten_thousand_nested_sequences_are_refused(tmp_path):
    path = implicit_file(tmp_path / "deep.dcm", nested(10_000, is_closed=True))
    assert reason(path) == "sequences are nested too deep"


def test_sequences_of_defined_length_are_followed_to_a_limit(tmp_path):
    content = b""
    for _ in range(2000):
        item = struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content
        content = struct.pack("<HHL", 0x0008, 0x1115, len(item)) + item
    row = read_header(implicit_file(tmp_path / "deep.dcm", content))
    assert any("nested too deep" in warning for warning in row["warnings"])


@pytest.fixture
def deflated(dataset_of, write_dicom):
    def write(**attributes):
        dataset = dataset_of(np.arange(16, dtype=np.uint16).reshape(4, 4), **attributes)
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        return write_dicom(dataset)

    return write


def test_a_deflated_dataset_is_read(deflated):
    row = read_header(deflated())
    assert (row["rows"], row["transfer_syntax_uid"]) == (4, "1.2.840.10008.1.2.1.99")


def test_a_deflate_bomb_is_refused(deflated):
    path = deflated(EncapsulatedDocument=bytes(10_000_000))
    assert path.stat().st_size < 20_000
    limits = ArchiveLimits(ratio=200, always=100_000)
    with opened(path) as file, pytest.raises(UnreadableFile, match="takes up more than"):
        parse(file, inflated_limits=limits)
    with opened(path) as file:
        assert parse(file, inflated_limits=limits._replace(ratio=1_100))[0].is_inflated


def test_how_much_a_deflated_dataset_may_take_up_is_a_setting(deflated):
    path = deflated(EncapsulatedDocument=bytes(3_000_000))
    limits = inflated_limits(ImagingSettings(archive_bytes=2_000_000))
    (found,) = index_files([FileToRead("a.dcm", path, "", 0)], "b", inflated_limits=limits)
    assert found.unreadable["reason"].to_pylist() == [
        "the deflated dataset takes up more than 2000000 bytes"
    ]
    assert inflated_limits(ImagingSettings(archive_bytes=2**40)).size == 2 * 1024**3
