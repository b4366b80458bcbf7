import json
import struct
from collections import Counter
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from hc_assets.imaging.headers.dicom_json import BINARY_LIMIT
from hc_assets.imaging.headers.read import read_header, thorough_header
from hc_assets.imaging.headers.reading import UnreadableFile, quiet_pydicom
from hc_assets.imaging.schemas.index import DICOM_INDEX

BULK_VALUES = BINARY_LIMIT // 2 - 1  # of two bytes each
PIXELS = np.arange(12, dtype=np.uint16).reshape(3, 4)


def model(row) -> dict:
    return json.loads(row["dicom_json"])


def test_typed_columns_of_a_plain_image(write_dicom):
    row = read_header(
        write_dicom(
            PIXELS,
            StudyDate="20240229",
            PixelSpacing=["0.5", "0.25"],
            ImageOrientationPatient=["1", "0", "0", "0", "1", "0"],
            ImagePositionPatient=["-1.5", "2", "3e1"],
            WindowCenter=["40", "600"],
            WindowWidth=["400", "2000"],
            RescaleSlope="1",
            RescaleIntercept="-1024",
            SeriesNumber="7",
            BodyPartExamined="HEAD",
        )
    )
    assert row["study_date"] == date(2024, 2, 29)
    assert row["pixel_spacing"] == [0.5, 0.25]
    assert row["image_orientation"] == [1, 0, 0, 0, 1, 0]
    assert row["image_position"] == [-1.5, 2, 30]
    assert (row["window_center"], row["window_width"]) == ([40, 600], [400, 2000])
    assert (row["rescale_slope"], row["rescale_intercept"]) == (1, -1024)
    assert (row["rows"], row["columns"], row["frames"], row["series_number"]) == (3, 4, 1, 7)
    assert row["body_part"] == "HEAD"
    assert row["burned_in_annotation"] is None
    assert row["warnings"] == []


def with_bytes(path, before: bytes, after: bytes):
    data = path.read_bytes()
    assert data.count(before) == 1
    assert len(before) == len(after)
    path.write_bytes(data.replace(before, after))
    return path


@pytest.mark.parametrize(
    ("keyword", "value", "column", "malformed"),
    [
        ("SliceThickness", "1.25", "slice_thickness", b"1,25"),
        ("StudyDate", "20240101", "study_date", b"20241301"),
        ("SeriesNumber", "1234", "series_number", b"12.5"),
        ("RescaleSlope", "1.00", "rescale_slope", b"1\\2 "),
        ("PixelSpacing", ["1", "22"], "pixel_spacing", b"1 22"),
    ],
)
def test_a_malformed_value_is_null_warned_of_and_kept_as_text(
    write_dicom, keyword, value, column, malformed
):
    path = write_dicom(PIXELS, **{keyword: value})
    sent = dcmread(path).get_item(keyword)
    stored = sent.value.ljust(len(malformed))
    path = with_bytes(path, stored, malformed)
    row = read_header(path)
    assert row[column] is None
    assert any(keyword in warning for warning in row["warnings"])
    kept = model(row)[f"{int(sent.tag):08X}"]["Value"]
    assert "\\".join(str(part).removesuffix(".0") for part in kept) == malformed.decode().strip()
    assert row["modality"] == "CT"


def test_multi_frame_attributes_come_from_functional_groups(write_dicom):
    def macro(name: str, **values) -> Dataset:
        group, item = Dataset(), Dataset()
        for keyword, value in values.items():
            setattr(item, keyword, value)
        setattr(group, name, Sequence([item]))
        return group

    shared = macro("PixelMeasuresSequence", PixelSpacing=["0.7", "0.8"], SliceThickness="3")
    frames = [macro("PlanePositionSequence", ImagePositionPatient=["0", "0", z]) for z in "57"]
    path = write_dicom(
        np.stack([PIXELS, PIXELS]),
        SharedFunctionalGroupsSequence=Sequence([shared]),
        PerFrameFunctionalGroupsSequence=Sequence(frames),
    )
    row = read_header(path)
    assert row["frames"] == 2
    assert row["pixel_spacing"] == [0.7, 0.8]
    assert row["slice_thickness"] == 3
    assert row["image_position"] == [0, 0, 5]


def test_detector_spacing_is_not_passed_off_as_the_patients(write_dicom):
    row = read_header(write_dicom(PIXELS, ImagerPixelSpacing=["0.1", "0.1"]))
    assert (row["pixel_spacing"], row["imager_pixel_spacing"]) == (None, [0.1, 0.1])


def test_json_holds_no_bulk_but_its_place(write_dicom):
    bulk, overlay = bytes(range(256)) * 40, b"\xaa\x55" * 4

    def change(dataset: Dataset) -> Dataset:
        block = dataset.private_block(0x0009, "MAKER", create=True)
        block.add_new(1, "OB", bulk)
        block.add_new(2, "OB", b"\x01\x02")
        dataset.add_new(0x60003000, "OW", overlay)
        return dataset

    path = write_dicom(PIXELS)
    dataset = change(dcmread(path))
    dataset.save_as(path)
    row = read_header(path)
    written = model(row)
    assert "7FE00010" not in written
    assert written["00091002"] == {"vr": "OB", "InlineBinary": "AQI="}
    assert set(written["60003000"]) == {"vr", "BulkDataURI"}
    assert row["private_creators"] == ["MAKER"]
    place = dict(
        part.split("=") for part in written["00091001"]["BulkDataURI"].removeprefix("#").split("&")
    )
    offset, length = int(place["offset"]), int(place["length"])
    assert path.read_bytes()[offset : offset + length] == bulk
    assert any(str(len(bulk)) in warning for warning in row["warnings"])


def test_json_follows_part_18(write_dicom):
    item = Dataset()
    item.ReferencedSOPInstanceUID = "1.2.9"
    row = read_header(
        write_dicom(
            PIXELS,
            SpecificCharacterSet="ISO_IR 192",
            PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう",
            OtherPatientIDs=["a", "", "b"],
            ReferencedImageSequence=Sequence([item]),
            FrameIncrementPointer=[0x00181063, 0x00181065],
            RealWorldValueSlope=float("nan"),
            EthnicGroup="",
        )
    )
    written = model(row)
    assert written["00100010"]["Value"] == [
        {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
    ]
    assert written["00101000"]["Value"] == ["a", None, "b"]
    assert written["00081140"]["Value"] == [{"00081155": {"vr": "UI", "Value": ["1.2.9"]}}]
    assert written["00280009"] == {"vr": "AT", "Value": ["00181063", "00181065"]}
    assert written["00409225"] == {"vr": "FD", "Value": ["NaN"]}
    assert written["00102160"] == {"vr": "SH"}
    assert written["00280010"] == {"vr": "US", "Value": [3]}


def test_names_in_every_character_set_are_those_that_pydicom_decodes(pydicom_files):
    compared = 0
    for path in pydicom_files:
        if path.parent.name != "charset_files":
            continue
        name = dcmread(path).get("PatientName")
        if not name:
            continue
        (found,) = model(read_header(path))["00100010"]["Value"]
        groups = [name.alphabetic, name.ideographic, name.phonetic]
        keys = ["Alphabetic", "Ideographic", "Phonetic"]
        assert found == {key: group for key, group in zip(keys, groups, strict=True) if group}
        compared += 1
    assert compared > 10


@pytest.mark.parametrize(
    ("character_set", "sent", "text"),
    [
        ("\\ISO 2022 IR 58", b"Wang \x1b$)A\xcd\xf5\xd0\xa1\xb6\xab", "Wang 王小东"),
        ("\\ISO 2022 IR 149", b"Hong \x1b$)C\xb1\xe6\xb5\xbf", "Hong 길동"),
        ("\\ISO 2022 IR 87", b"\x1b$B;3ED\x1b(B", "山田"),
        ("\\ISO 2022 IR 159", b"\x1b$(D\x30\x21\x1b(B", "丂"),
        ("ISO 2022 IR 13\\ISO 2022 IR 87", b"\xd4\xcf\xc0\xde", "ﾔﾏﾀﾞ"),
        ("GB18030", "é 王".encode("gb18030"), "é 王"),
        ("GBK", "誠".encode("gbk"), "誠"),
        ("ISO_IR 192", "Ж 王".encode(), "Ж 王"),
        ("ISO_IR 144", "Жанна".encode("iso8859_5"), "Жанна"),
        ("ISO_IR 127", "قباني".encode("iso8859_6"), "قباني"),
        ("ISO_IR 166", "ไทย".encode("tis_620"), "ไทย"),
        ("ISO_IR 203", "5 €".encode("iso8859_15"), "5 €"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isascii() else "",
)
@pytest.mark.parametrize("reader", [read_header, thorough_header])
def test_text_comes_without_escapes_in_every_character_set(
    write_dicom, reader, character_set, sent, text
):
    path = write_dicom(PIXELS, SpecificCharacterSet="ISO_IR 6", StudyDescription="Q" * 40)
    data = path.read_bytes().replace(b"Q" * 40, sent.ljust(40))
    old = b"\x08\x00\x05\x00CS\x08\x00ISO_IR 6"
    assert old in data
    named = character_set.encode() + b" " * (len(character_set) % 2)
    new = old[:6] + len(named).to_bytes(2, "little") + named
    path.write_bytes(data.replace(old, new))
    row = reader(path)
    assert row["study_description"] == text
    assert model(row)["00081030"]["Value"] == [text]


@pytest.mark.parametrize("is_implicit", [True, False])
@pytest.mark.parametrize("is_little", [True, False])
def test_a_bare_dataset_may_begin_with_any_known_element(
    write_dicom, tmp_path, is_implicit, is_little
):
    if is_implicit and not is_little:
        pytest.skip("there is no such encoding")
    bare = Dataset()
    for element in dcmread(write_dicom(PIXELS)):
        if element.tag.group >= 0x0010:
            bare.add(element)
    bare.PatientID = "7"
    bare.save_as(tmp_path / "bare", implicit_vr=is_implicit, little_endian=is_little)
    row = read_header(tmp_path / "bare")
    assert (row["patient_id"], row["rows"], row["has_pixels"]) == ("7", 3, True)


def test_a_file_without_preamble_or_file_meta_is_indexed(write_dicom):
    path = write_dicom(PIXELS)
    data = path.read_bytes()
    path.write_bytes(data[144 + struct.unpack_from("<L", data, 140)[0] :])
    row = read_header(path)
    assert (row["modality"], row["transfer_syntax_uid"], row["rows"]) == ("CT", None, 3)
    assert "no preamble and no DICM prefix" in row["warnings"]


def test_a_dicomdir_and_a_report_are_indexed_as_what_they_are(testdata):
    directory = read_header(testdata("DICOMDIR"))
    assert directory["sop_class_uid"] == "1.2.840.10008.1.3.10"
    report = read_header(testdata("reportsi.dcm"))
    assert (report["modality"], report["has_pixels"], report["frames"]) == ("SR", False, None)


def test_big_and_little_endian_and_implicit_give_the_same_row(testdata):
    little, big = (read_header(testdata(f"MR_small{ending}.dcm")) for ending in ("", "_bigendian"))
    for column in set(little) - {"transfer_syntax_uid", "dicom_json", "warnings"}:
        assert little[column] == big[column], column


def test_every_readable_file_of_pydicom_makes_a_row_of_the_schema(pydicom_files):
    rows, refused = [], []
    for path in pydicom_files:
        try:
            rows.append(read_header(path))
        except UnreadableFile:
            refused.append(path.name)
    assert refused == ["no_meta.dcm"]  # it begins in the middle of nowhere
    keys = {"batch": "b", "source_file": "f", "file_sha256": "0", "file_size": 1}
    pa.RecordBatch.from_pylist([keys | row for row in rows], DICOM_INDEX).validate(full=True)


def test_every_shared_file_with_a_header_is_indexed(shared_files):
    for file in shared_files:
        if file.header_ok:
            row = read_header(file.path)
            assert row["sop_class_uid"], file.path
            assert file.modality in ("", row["modality"]), file.path


def numbers_or_texts(values: list) -> list:
    """Values without padding; an empty one is None, and NaN equal to itself."""
    stripped = [value.strip("\0 ") if isinstance(value, str) else value for value in values]
    return [
        None if value in ("", None) else "NaN" if value != value else value for value in stripped
    ]


def compared(dataset: Dataset, ours: dict) -> Counter[str]:
    """Hold each element of a dataset against our JSON: how many are the same, bulk, or differ."""
    counts: Counter[str] = Counter()
    for element in dataset:
        if element.tag.element == 0:
            continue  # group lengths are not part of the model
        mine = ours[f"{int(element.tag):08X}"]
        if element.VR == "SQ":
            items = mine.get("Value", [])
            assert len(items) == len(element.value)
            for item, of_mine in zip(element.value, items, strict=True):
                counts += compared(item, of_mine)
            continue
        try:
            theirs = element.to_json_dict(None, 1024)
        except ValueError:
            counts["malformed" if isinstance(mine["Value"][0], str) else "differs"] += 1
            continue
        if "InlineBinary" in theirs or not {"Value"} & mine.keys() & theirs.keys():
            is_large = (
                isinstance(element.value, bytes | list | MultiValue)
                and len(element.value) > BULK_VALUES
            )
            left_out = {"InlineBinary", "BulkDataURI"} & mine.keys() or element.is_empty or is_large
            counts["bulk" if left_out else "differs"] += 1
            continue
        same = numbers_or_texts(mine["Value"]) == numbers_or_texts(theirs["Value"])
        counts["same" if same else "differs"] += 1
    return counts


def test_the_json_of_every_real_file_equals_pydicom_s(real_files):
    counts: Counter[str] = Counter()
    for path in real_files:
        try:
            row = read_header(path)
        except UnreadableFile:
            continue
        if any("truncated" in warning for warning in row["warnings"]):
            continue  # of a piece of a value pydicom makes a value
        with quiet_pydicom():
            counts += compared(dcmread(path, force=True, stop_before_pixels=True), model(row))
    assert counts["differs"] == 0
    assert counts["same"] > 10_000


@pytest.mark.parametrize(
    ("name", "sop_class", "modality", "has_pixels"),
    [
        ("DICOMDIR", "Media Storage Directory Storage", None, False),
        ("rtplan.dcm", "RT Plan Storage", "RTPLAN", False),
        ("rtstruct.dcm", "RT Structure Set Storage", "RTSTRUCT", False),
        ("rtdose.dcm", "RT Dose Storage", "RTDOSE", True),
        ("reportsi.dcm", "Basic Text SR Storage", "SR", False),
        ("waveform_ecg.dcm", "12-lead ECG Waveform Storage", "ECG", False),
        ("liver_1frame.dcm", "Segmentation Storage", "SEG", True),
    ],
)
def test_every_object_is_indexed_by_what_it_is(testdata, name, sop_class, modality, has_pixels):
    row = read_header(testdata(name))
    assert (row["sop_class"], row["modality"]) == (sop_class, modality)
    assert row["has_pixels"] is has_pixels
    assert row["sop_instance_uid"]
    assert (row["frames"] is None) is not has_pixels


def test_an_overlay_of_implicit_vr_and_an_unknown_creator_are_read(tmp_path):
    dataset = Dataset()
    dataset.PatientID, dataset.Modality, dataset.StudyID = "1", "CT", "2"
    dataset.add_new(0x60000010, "US", 512)
    dataset.add_new(0x00090010, "LO", "MAKER")
    path = tmp_path / "overlay.dcm"
    dataset.save_as(path, implicit_vr=True, little_endian=True)
    row = read_header(path)
    assert model(row)["60000010"] == {"vr": "US", "Value": [512]}
    explicit = tmp_path / "explicit.dcm"
    dataset["00090010"].VR = "UN"
    dataset["00090010"].value = b"MAKER "
    dataset.save_as(explicit, implicit_vr=False, little_endian=True)
    assert read_header(explicit)["private_creators"] == ["MAKER"]
