"""Files that public tools were reported to read wrong, and others of each kind."""

import gzip
import json
import zlib

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from hc_assets.imaging.headers.read import read_header
from hc_assets.imaging.pixels.decoding import UndecodableFrame
from hc_assets.imaging.pixels.frames import iter_frames
from hc_assets.imaging.quality.measure import measure
from hc_assets_tests.imaging.pixels.decoded import RAMP, only

AT = (5, 9)
GE_PRIVATE = "1.2.840.113619.5.2"

CASES = {
    "private_vr_question_marks": ([55.0], "does not exist"),
    "vr_zero_bytes": ([55.0], "does not exist"),
    "truncated_in_element_header": (["before its pixel data"], "truncated"),
    "truncated_in_sequence_of_undefined_length": (["before its pixel data"], "truncated"),
    "ge_private_big_endian_pixels": ([725.0], ""),
    "jpeg_rgb_stream_header_says_mono": (["3 components, the header says 1"], ""),
    "bot_counts_from_offset_table_item": ([55.0, 95.0, 135.0], ""),
    "bot_one_zero_for_three_frames": ([55.0, 95.0, 135.0], ""),
    "header_says_4_frames_data_3": ([55.0, 95.0, 135.0, "hold 3 frames"], ""),
    "extended_offset_table_zero_filled": ([55.0, 95.0, 135.0], ""),
    "rescale_comma_decimal": ([725.0], "RescaleIntercept"),
    "charset_utf8_latin1_bytes": ([55.0], "character set"),
    "big_endian_un_undefined_length_sequence": ([725.0], ""),
    "deflated_zlib_wrapper": ([55.0], "wrapper"),
    "photometric_lower_case": ([55.0], ""),
}


@pytest.mark.parametrize("name", CASES)
def test_a_reported_case_comes_out_right(shared_data, name):
    expected, warning = CASES[name]
    path = shared_data / "dicom_cases" / f"{name}.dcm"
    warnings = read_header(path)["warnings"]
    assert any(warning in each for each in warnings) if warning else warnings == []
    for frame, right in zip(iter_frames(path), expected, strict=True):
        if isinstance(frame, UndecodableFrame):
            assert right in frame.reason
        else:
            assert float(frame.pixels[AT]) == right


def test_signed_values_of_12_bits_are_those_of_the_case(shared_data):
    frame = only(shared_data / "dicom_cases" / "jpegls_signed_12bit.dcm")
    assert frame.pixels[2, 3] == -882
    assert (frame.pixels.min(), frame.pixels.max()) >= frame.limits[:1]


@pytest.mark.parametrize(
    ("element", "sent"),
    [
        ("RescaleIntercept", b"-1024,5 "),
        ("RescaleSlope", b"one "),
        ("RescaleIntercept", b"-1024\\-1000 "),
        ("RescaleSlope", b"0 "),
    ],
)
def test_units_are_unknown_where_rescale_cant_be_read(write_dicom, element, sent):
    path = write_dicom(RAMP, RescaleSlope="2.0000000000", RescaleIntercept="1.0000000000")
    placed = b"1.0000000000" if element == "RescaleIntercept" else b"2.0000000000"
    path.write_bytes(path.read_bytes().replace(placed, sent.ljust(len(placed))))
    frame = only(path)
    np.testing.assert_array_equal(frame.pixels, RAMP)
    assert (frame.context.units, frame.context.has_unknown_units) == ("", True)
    assert any(element in note and "units unknown" in note for note in frame.notes)
    assert {metric.reason for metric in measure(frame).metrics.values()} == {"unknown_units"}


def test_units_are_unknown_where_a_modality_table_or_functional_groups_cant_be_read(write_dicom):
    table = Dataset()
    table.LUTDescriptor = [4, 0, 16]
    for broken in (
        write_dicom(RAMP, ModalityLUTSequence=Sequence([table])),
        write_dicom(RAMP, SharedFunctionalGroupsSequence=Sequence([Dataset()])),
    ):
        data = broken.read_bytes()
        at = data.find(b"\x00\x52\x29\x92SQ")
        if at > 0:
            broken.write_bytes(data[: at + 12] + b"\0" * 8 + data[at + 20 :])
        assert only(broken).context.has_unknown_units


def test_ge_private_pixels_are_big_endian_and_the_header_little(write_dicom):
    for pixels in (RAMP, RAMP.astype(np.uint8)):
        dataset = Dataset()
        dataset.update(dcmread(write_dicom(pixels)))
        dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()
        dataset["PixelData"].VR = "OW"
        dataset.file_meta = dcmread(write_dicom(pixels)).file_meta
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        path = write_dicom(dataset)
        uid = ImplicitVRLittleEndian.encode() + b"\0"
        written = path.read_bytes().replace(
            b"UI" + len(uid).to_bytes(2, "little") + uid,
            b"UI" + len(GE_PRIVATE).to_bytes(2, "little") + GE_PRIVATE.encode(),
        )
        path.write_bytes(written)
        assert read_header(path)["warnings"] == []
        np.testing.assert_array_equal(only(path).pixels, pixels)


@pytest.mark.parametrize("wrap", [zlib.compress, gzip.compress, lambda data: data])
def test_a_deflated_dataset_may_have_a_wrapper_or_not_be_deflated(write_dicom, wrap):
    dataset = dcmread(write_dicom(RAMP))
    path = write_dicom(dataset)
    plain = path.read_bytes()
    start = plain.index(b"\x08\0\x16\0UI")
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = write_dicom(dataset)
    deflated = path.read_bytes()
    meta = deflated[: 144 + int.from_bytes(deflated[140:144], "little")]
    bare = zlib.decompress(deflated[len(meta) :], -zlib.MAX_WBITS)
    assert bare == plain[start:]
    path.write_bytes(meta + wrap(bare))
    row = read_header(path)
    assert len(row["warnings"]) == 1
    np.testing.assert_array_equal(only(path).pixels, RAMP)
    assert "inflated" not in row["dicom_json"]
    assert json.loads(row["dicom_json"])["00280010"]["Value"] == [3]
