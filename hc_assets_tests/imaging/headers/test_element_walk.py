import base64
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from hc_assets.imaging.headers.fast_headers import fast_header
from hc_assets.imaging.headers.read import completed, read_header, thorough_header
from hc_assets.imaging.headers.reading import TRUNCATED, UnreadableFile
from hc_assets.imaging.pixels.frames import iter_frames
from hc_assets_tests.imaging.pixels.decoded import failures, only

PIXELS = np.arange(12, dtype=np.uint16).reshape(3, 4)
UNDEFINED = 2**32 - 1
ITEM, ITEM_END, SEQUENCE_END = (
    struct.pack("<HHL", 0xFFFE, element, length)
    for element, length in ((0xE000, UNDEFINED), (0xE00D, 0), (0xE0DD, 0))
)


def short(group: int, element: int, vr: bytes, value: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}HH2sH", group, element, vr, len(value)) + value


def long(group: int, element: int, vr: bytes, length: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}HH2sHL", group, element, vr, 0, length) + value


@pytest.fixture
def spliced(write_dicom):
    """A file with elements of ours before its BodyPartExamined."""

    def write(elements: bytes, **attributes):
        path = write_dicom(PIXELS, BodyPartExamined="HEAD", **attributes)
        data = path.read_bytes()
        at = data.index(b"\x18\x00\x15\x00CS")
        path.write_bytes(data[:at] + elements + data[at:])
        return path

    return write


@pytest.mark.parametrize(
    "odd",
    [
        short(0x0009, 0x1001, b"??", b"ab"),
        short(0x0009, 0x1001, b"??", b""),
        short(0x0009, 0x1001, b"\0\0", b"abcd"),
        short(0x0009, 0x1001, b"-1", b"a" * 300),
        short(0x0009, 0x1001, b"xs", b"ab"),
        long(0x0009, 0x1001, b"ZZ", 6, b"abcdef"),
        short(0x0009, 0x1001, b"ZZ", b"abcdef"),
    ],
)
def test_an_element_with_a_vr_that_does_not_exist_costs_nothing_behind_it(spliced, odd):
    path = spliced(odd)
    row = read_header(path)
    assert (row["rows"], row["columns"], row["body_part"]) == (3, 4, "HEAD")
    element = json.loads(row["dicom_json"])["00091001"]
    assert element["vr"] == "UN"
    value = odd[-2:] if odd.endswith(b"ab") else base64.b64decode(element.get("InlineBinary", ""))
    assert odd.endswith(value)
    np.testing.assert_array_equal(only(path).pixels, PIXELS)


def test_a_vr_that_does_not_exist_is_named_and_kept_as_un(spliced):
    row = read_header(spliced(short(0x0008, 0x2111, b"\0\0", b"derived.")))
    assert row["warnings"] == [
        "(0008,2111) DerivationDescription has the VR 0000, which does not exist: kept as UN"
    ]
    assert json.loads(row["dicom_json"])["00082111"] == {
        "vr": "UN",
        "InlineBinary": base64.b64encode(b"derived.").decode(),
    }


def test_a_typed_column_is_read_in_spite_of_its_vr(write_dicom):
    path = write_dicom(PIXELS)
    path.write_bytes(path.read_bytes().replace(b"\x28\0\x10\0US", b"\x28\0\x10\0??"))
    assert read_header(path)["rows"] == 3
    np.testing.assert_array_equal(only(path).pixels, PIXELS)


def test_a_vr_that_does_not_exist_may_be_the_first_of_a_dataset_and_of_an_item(write_dicom):
    path = write_dicom(PIXELS, ReferencedStudySequence=Sequence([Dataset()]))
    dataset = dcmread(path)
    dataset.ReferencedStudySequence[0].ReferencedSOPClassUID = "1.2"
    dataset.save_as(path)
    data = path.read_bytes().replace(b"\x08\0\x50\x11UI", b"\x08\0\x50\x11??")
    at = data.index(b"\x08\0\x16\0UI")
    path.write_bytes(data[:at] + short(0x0008, 0x0001, b"!!", b"ab") + data[at:])
    row = read_header(path)
    assert (row["rows"], row["sop_instance_uid"]) == (3, "1.2.3.4")
    (item,) = json.loads(row["dicom_json"])["00081110"]["Value"]
    assert item["00081150"]["vr"] == "UN"


def test_a_cut_anywhere_gives_what_came_before_with_a_warning(write_dicom):
    inner = Dataset()
    inner.CodeValue = "1"
    inner.CodingSchemeDesignator = "99X"
    path = write_dicom(PIXELS, ProcedureCodeSequence=Sequence([inner, inner]), PatientSex="F")
    dataset = dcmread(path)
    dataset["ProcedureCodeSequence"].is_undefined_length = True
    for item in dataset.ProcedureCodeSequence:
        item.is_undefined_length_sequence_item = True
    dataset.save_as(path)
    data = path.read_bytes()
    whole = thorough_header(path)
    first, pixels = data.index(b"\x08\0\x16\0UI"), data.index(b"\xe0\x7f\x10\0")
    unnoticed, reasons = 0, set()
    for cut in range(first + 1, pixels):
        path.write_bytes(data[:cut])
        try:
            row = read_header(path)
        except UnreadableFile as error:
            reasons.add(error.reason)
            continue
        assert not row["has_pixels"]
        unnoticed += TRUNCATED not in row["warnings"]
        # Wherever it is cut, it is an image whose pixels are not there
        (frame,) = failures(path)
        assert "pixel data" in frame.reason
        assert row["patient_id"] in (None, whole["patient_id"])
    # Only between two elements nothing tells that more was to come
    assert unnoticed <= len(dataset)
    assert all("damaged" not in reason for reason in reasons)


def test_un_of_undefined_length_is_implicit_little_endian_inside_big_endian_too(write_dicom):
    sent = dcmread(write_dicom(PIXELS))
    item = struct.pack("<HHL", 0x0008, 0x1150, 4) + b"1.2\0"
    sequence = ITEM + item + ITEM_END + SEQUENCE_END
    for order, syntax in (("<", "1.2.840.10008.1.2.1"), (">", "1.2.840.10008.1.2.2")):
        dataset = Dataset()
        dataset.update(sent)
        dataset.file_meta = sent.file_meta
        dataset.file_meta.TransferSyntaxUID = syntax
        path = write_dicom(dataset)
        data = path.read_bytes()
        at = data.index(struct.pack(order + "HH", 0x0010, 0x0020))
        spliced = long(0x0008, 0x2112, b"UN", UNDEFINED, sequence, order)
        path.write_bytes(data[:at] + spliced + data[at:])
        row = read_header(path)
        assert row == completed(thorough_header(path), path)
        (inside,) = json.loads(row["dicom_json"])["00082112"]["Value"]
        assert inside["00081150"] == {"vr": "UI", "Value": ["1.2"]}
        assert row["rows"] == 3


def test_an_empty_private_element_sent_as_un_in_an_item_is_un_to_both_readers(spliced):
    item = (
        short(0x0029, 0x0010, b"LO", b"SIEMENS CSA HEADER")
        + long(0x0029, 0x1008, b"UN", 0, b"")
        + ITEM_END
    )
    path = spliced(long(0x0018, 0x0012, b"SQ", UNDEFINED, ITEM + item + SEQUENCE_END))
    fast, thorough = fast_header(path), thorough_header(path)
    assert fast == thorough
    (inside,) = json.loads(thorough["dicom_json"])["00180012"]["Value"]
    assert inside["00291008"] == {"vr": "UN"}


def test_what_is_left_out_of_the_json_is_marked_with_its_place_in_sequences_too(write_dicom):
    icon = Dataset()
    icon.PixelData = bytes(range(256)) * 32
    icon["PixelData"].VR = "OB"
    path = write_dicom(PIXELS, IconImageSequence=Sequence([icon]))
    fast, thorough = fast_header(path), thorough_header(path)
    assert fast == thorough
    (inside,) = json.loads(thorough["dicom_json"])["00880200"]["Value"]
    uri = inside["7FE00010"]["BulkDataURI"]
    offset, length = (int(part.partition("=")[2]) for part in uri.removeprefix("#").split("&"))
    assert path.read_bytes()[offset : offset + length] == icon.PixelData


@pytest.mark.parametrize(
    ("character_set", "sent", "read"),
    [
        ("ISO_IR 192", "Schädel".encode("latin-1"), "Sch\N{REPLACEMENT CHARACTER}del"),
        ("", "Schädel".encode("latin-1"), "Schädel"),
        ("ISO_IR 100", b"a\x93b", "a\x93b"),
        ("ISO_IR 192", "Schädel".encode(), None),
        ("ISO_IR 100", "Schädel".encode("latin-1"), None),
    ],
)
def test_bytes_that_do_not_fit_the_character_set_are_noted_with_their_place(
    write_dicom, character_set, sent, read
):
    path = write_dicom(PIXELS, SpecificCharacterSet=character_set, StudyDescription="PLACE")
    padded = sent + b" " * (len(sent) % 2)
    path.write_bytes(
        path.read_bytes().replace(
            b"LO\x06\0PLACE ", b"LO" + struct.pack("<H", len(padded)) + padded
        )
    )
    fast, row = fast_header(path), thorough_header(path)
    assert fast in (None, row)
    notes = [note for note in row["warnings"] if "StudyDescription" in note]
    if read is None:
        assert notes == []
        return
    (note,) = notes
    offset, length = (int(part.partition("=")[2]) for part in note.partition("#")[2].split("&"))
    assert path.read_bytes()[offset : offset + length] == padded
    assert row["study_description"] == read


def test_a_character_set_that_does_not_exist_is_noted(write_dicom):
    row = read_header(write_dicom(PIXELS, SpecificCharacterSet="ISO_IR 999"))
    assert any("SpecificCharacterSet" in note for note in row["warnings"])


def test_an_element_that_is_sent_twice_is_noted(spliced):
    row = read_header(spliced(short(0x0010, 0x0020, b"LO", b"OTHER ")))
    assert "(0010,0020) is sent twice: the last one counts" in row["warnings"]
    assert list(iter_frames(spliced(short(0x0010, 0x0020, b"LO", b"OTHER "))))


def test_a_delimiter_that_does_not_belong_in_a_sequence_is_passed_over(spliced):
    inside = ITEM + short(0x0008, 0x1155, b"UI", b"1.2\0") + ITEM_END
    sequence = long(0x0008, 0x2112, b"SQ", UNDEFINED, ITEM_END + inside + SEQUENCE_END)
    row = read_header(spliced(sequence))
    assert json.loads(row["dicom_json"])["00082112"]["Value"] == [
        {"00081155": {"vr": "UI", "Value": ["1.2"]}}
    ]
    assert row["body_part"] == "HEAD"
    assert any("a delimiter where none belongs" in note for note in row["warnings"])


def test_an_item_longer_than_the_file_ends_with_its_delimiter(spliced):
    too_long = struct.pack("<HHL", 0xFFFE, 0xE000, UNDEFINED - 255)
    items = (too_long + short(0x0008, 0x1155, b"UI", b"1.2\0") + ITEM_END) * 2
    row = read_header(spliced(long(0x0008, 0x2112, b"SQ", UNDEFINED, items + SEQUENCE_END)))
    assert len(json.loads(row["dicom_json"])["00082112"]["Value"]) == 2
    assert row["body_part"] == "HEAD"
    assert any("an item is longer than its sequence" in note for note in row["warnings"])


def test_a_delimiter_with_a_vr_costs_nothing_behind_it(spliced):
    row = read_header(spliced(short(0xFFFE, 0xE00D, b"CS", b"ODD ")))
    assert (row["rows"], row["body_part"]) == (3, "HEAD")
    assert row["warnings"] == ["a delimiter where none belongs is passed over"]


def test_malformed_numbers_are_kept_with_those_beside_them(spliced):
    row = read_header(spliced(short(0x0018, 0x0088, b"DS", b"1.5\\x\\2.5 ")))
    assert json.loads(row["dicom_json"])["00180088"] == {"vr": "DS", "Value": ["1.5", "x", "2.5"]}


def test_a_group_length_of_a_vr_that_does_not_exist_is_warned_of(spliced):
    row = read_header(spliced(short(0x0018, 0x0000, b"xx", b"\0\0\0\0")))
    assert row["warnings"] == [
        "(0018,0000) has the VR 'xx', which does not exist: kept as UN",
    ]


def test_the_encoding_is_the_one_in_which_elements_are_read(tmp_path):
    data = Path(get_testdata_file("MR_small_bigendian.dcm")).read_bytes()
    path = tmp_path / "swapped.dcm"
    path.write_bytes(data.replace(b"1.2.840.10008.1.2.2", b"1.2.840.10008.1.2.1", 1))
    row = read_header(path)
    assert (row["rows"], row["columns"]) == (64, 64)
    assert row["warnings"] == ["the dataset is big endian, against its transfer syntax"]
