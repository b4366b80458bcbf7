import functools
import io
import struct
from pathlib import Path
from types import SimpleNamespace

import imagecodecs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.uid import UID, JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from hc_assets.imaging.pixels.encapsulation import (
    TruncatedError,
    UnknownFramesError,
    encoded_frames,
)
from hc_assets.imaging.pixels.frames import Frame, iter_frames
from hc_assets_tests.imaging.pixels.decoded import compressed, failures, frames

SYNTAXES = [JPEGBaseline8Bit, JPEGLSLossless, RLELossless]


def picture(number: int) -> np.ndarray:
    return np.add.outer(np.arange(16), np.arange(24)).astype(np.uint8) + np.uint8(40 * number)


@functools.cache
def codestream(syntax: str, number: int) -> bytes:
    if syntax == JPEGBaseline8Bit:
        data = imagecodecs.jpeg8_encode(picture(number), level=100)
    elif syntax == JPEGLSLossless:
        data = imagecodecs.jpegls_encode(picture(number))
    else:
        rows = b"".join(b"\x17" + row.tobytes() for row in picture(number))
        data = struct.pack("<16L", 1, 64, *[0] * 14) + rows
    return data + b"\0" * (len(data) % 2)


def item(data: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + struct.pack("<L", len(data)) + data


def encapsulated(fragments: list[bytes], table: bytes = b"") -> bytes:
    return item(table) + b"".join(map(item, fragments)) + b"\xfe\xff\xdd\xe0\0\0\0\0"


def cut_or_refused(
    data: bytes, syntax: str, frames: int, extended: bytes | None = None
) -> tuple[list[bytes], bool]:
    """Encoded frames up to the first that is not there, and whether a reason follows them."""
    elements = {} if extended is None else {0x7FE00001: SimpleNamespace(value=extended)}
    header = SimpleNamespace(transfer_syntax=UID(syntax), elements=elements)
    found = []
    try:
        found.extend(encoded_frames(io.BytesIO(data), header, 0, frames))
    except (TruncatedError, UnknownFramesError):
        return found, True
    return found, False


def cut(data: bytes, syntax: str, frames: int, extended: bytes | None = None) -> list[bytes]:
    return cut_or_refused(data, syntax, frames, extended)[0]


def fragments_of(syntax: str, count: int, pieces: int) -> tuple[list[bytes], list[int]]:
    """Fragments, so many for each frame, and the true offsets of the frames."""
    fragments, offsets, at = [], [], 0
    for number in range(count):
        data = codestream(syntax, number)
        size = len(data) // pieces // 2 * 2
        ends = [size * piece for piece in range(1, pieces)] + [len(data)]
        offsets.append(at)
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            fragments.append(data[start:end])
            at += 8 + end - start
    return fragments, offsets


@st.composite
def damaged_tables(draw, offsets: list[int], last: int) -> list[int]:
    table = list(offsets)
    match draw(st.sampled_from(["move", "swap", "drop", "add", "shift", "zero", "replace"])):
        case "move":
            at = draw(st.integers(0, len(table) - 1))
            table[at] = max(0, table[at] + draw(st.integers(-40, 40)))
        case "swap":
            at, other = (draw(st.integers(0, len(table) - 1)) for _ in range(2))
            table[at], table[other] = table[other], table[at]
        case "drop":
            del table[draw(st.integers(0, len(table) - 1))]
        case "add":
            table.insert(draw(st.integers(0, len(table))), draw(st.integers(0, 2 * last)))
        case "shift":
            by = draw(st.integers(1, 200))
            table = [offset + by for offset in table]
        case "zero":
            table = [0] * draw(st.integers(1, len(table) + 1))
        case "replace":
            table = draw(st.lists(st.sampled_from([*offsets, 0, last, 2**32 - 1]), max_size=6))
    return table


@st.composite
def damaged_bytes(draw, table: bytes) -> bytes:
    """A table with other bytes in it, or of a length that is no table's."""
    at = draw(st.integers(0, max(0, len(table) - 1)))
    match draw(st.sampled_from(["none", "none", "flip", "cut", "lengthen"])):
        case "flip":
            return table[:at] + draw(st.binary(min_size=1, max_size=3)) + table[at + 1 :]
        case "cut":
            return table[:at]
        case "lengthen":
            return table + draw(st.binary(min_size=1, max_size=9))
    return table


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_whatever_is_wrong_with_a_table_each_frame_is_the_right_one_or_has_a_reason(data):
    """Basic tables and extended ones, a fragment a frame or several, of any count of frames."""
    syntax = data.draw(st.sampled_from(SYNTAXES))
    pieces = 1 if syntax == RLELossless else data.draw(st.integers(1, 3))
    count = data.draw(st.integers(1, 4))
    said = max(1, count + data.draw(st.integers(-1, 1)))
    fragments, offsets = fragments_of(syntax, count, pieces)
    basic, extended = b"", b""
    which = data.draw(st.sampled_from(["basic", "extended", "both", "one of both"]))
    if which != "extended":
        table = data.draw(damaged_tables(offsets, sum(map(len, fragments))))
        order = data.draw(st.sampled_from("<<>"))
        basic = struct.pack(f"{order}{len(table)}L", *(each % 2**32 for each in table))
        basic = data.draw(damaged_bytes(basic))
    if which in ("extended", "both"):
        table = data.draw(damaged_tables(offsets, sum(map(len, fragments))))
        order = data.draw(st.sampled_from("<<>"))
        extended = data.draw(damaged_bytes(struct.pack(f"{order}{len(table)}Q", *table)))
    if which == "one of both":
        extended = struct.pack(f"<{count}Q", *offsets)
    bytes_sent = encapsulated(fragments, basic)
    bytes_sent = bytes_sent[: data.draw(st.sampled_from([len(bytes_sent)] * 3 + [-30, -8]))]
    truth = [codestream(syntax, number) for number in range(count)]
    found, has_reason = cut_or_refused(bytes_sent, syntax, said, extended or None)
    for number, frame in enumerate(found[:said]):
        if said > 1 or pieces > 1 or count == 1:
            assert frame == truth[number]
        else:
            assert frame.startswith(truth[0])  # what decoders leave where they have the first
    assert has_reason or len(found) >= said


def test_an_item_without_bytes_is_no_frame_where_others_are():
    fragments, _ = fragments_of(RLELossless, 3, 1)
    truth = [codestream(RLELossless, number) for number in range(3)]
    assert cut(encapsulated([b"", *fragments]), RLELossless, 3) == truth
    # One for each was sent: the second has no bytes
    assert cut(encapsulated([fragments[0], b"", fragments[2]]), RLELossless, 3)[2] == truth[2]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_behind_a_lost_frame_none_is_taken_for_another(syntax):
    fragments = [codestream(syntax, number) + bytes(2 * number) for number in range(4)]
    offsets = [sum(len(each) + 8 for each in fragments[:number]) for number in range(4)]
    del fragments[1]
    table = struct.pack("<4L", *offsets)
    assert cut_or_refused(encapsulated(fragments, table), syntax, 4) == ([fragments[0]], True)
    # Where no table tells which one is lost, what is there is kept
    assert cut_or_refused(encapsulated(fragments), syntax, 4) == (fragments, True)


def test_fragments_that_break_off_are_no_whole_frame():
    fragments, _ = fragments_of(JPEGBaseline8Bit, 1, 2)
    data = bytearray(encapsulated(fragments))
    second = 8 + 8 + len(fragments[0])
    data[second : second + 4] = b"\0\0\0\0"
    assert cut_or_refused(bytes(data), JPEGBaseline8Bit, 1) == ([], True)


@pytest.mark.parametrize("pieces", [1, 2, 3])
@pytest.mark.parametrize(
    "table", [[], [0], [0, 0, 0], [20, 400, 800], [2**32 - 1] * 3, [0, 1, 2, 3]]
)
def test_frames_are_found_by_their_codestreams_where_a_table_is_no_table(pieces, table):
    fragments, _ = fragments_of(JPEGBaseline8Bit, 3, pieces)
    sent = encapsulated(fragments, struct.pack(f"<{len(table)}L", *table))
    truth = [codestream(JPEGBaseline8Bit, number) for number in range(3)]
    assert cut(sent, JPEGBaseline8Bit, 3) == truth
    extended = struct.pack(f"<{len(table)}Q", *table)
    assert cut(encapsulated(fragments), JPEGBaseline8Bit, 3, extended) == truth


def test_a_damaged_start_of_a_frame_costs_that_frame_alone():
    fragments, offsets = fragments_of(JPEGBaseline8Bit, 3, 2)
    fragments[2] = b"\0\0" + fragments[2][2:]
    truth = [codestream(JPEGBaseline8Bit, number) for number in range(3)]
    found = cut(encapsulated(fragments, struct.pack("<3L", *offsets)), JPEGBaseline8Bit, 3)
    assert (found[0], found[2]) == (truth[0], truth[2])
    # Without a table nobody knows whether there are two frames or three
    assert cut(encapsulated(fragments), JPEGBaseline8Bit, 3) in ([], truth[:1])


def test_a_table_that_is_left_out_is_no_frame():
    fragments, _ = fragments_of(JPEGBaseline8Bit, 2, 1)
    data = encapsulated(fragments)[8:]
    assert cut(data, JPEGBaseline8Bit, 2) == [codestream(JPEGBaseline8Bit, n) for n in range(2)]


def test_frames_beyond_the_number_of_frames_are_reported(write_dicom):
    encoded = [codestream(JPEGBaseline8Bit, number) for number in range(3)]
    path = compressed(write_dicom, encoded, JPEGBaseline8Bit, picture(0))
    data = path.read_bytes()
    at = data.index(b"\x28\0\x08\0IS")
    path.write_bytes(data[: at + 8] + b"2 " + data[at + 10 :])
    first, second, beyond = iter_frames(path)
    assert isinstance(first, Frame)
    assert isinstance(second, Frame)
    assert (beyond.index, "more frames than NumberOfFrames" in beyond.reason) == (2, True)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "1 components, the header"),
        ({"Rows": 17}, "24 by 16 pixels, the header says 24 by 17"),
        ({"Columns": 23}, "24 by 16 pixels, the header says 23 by 16"),
    ],
)
def test_a_codestream_that_contradicts_the_header_is_refused_with_both(
    write_dicom, attributes, words
):
    encoded = [codestream(JPEGLSLossless, 0)]
    path = compressed(write_dicom, encoded, JPEGLSLossless, picture(0), **attributes)
    (frame,) = failures(path)
    assert words in frame.reason


def test_a_codestream_with_more_bits_than_a_cell_is_refused_with_both(write_dicom):
    encoded = imagecodecs.ljpeg_encode(picture(0).astype(np.uint16) * 16, bitspersample=12)
    path = compressed(write_dicom, [encoded], JPEGLosslessSV1, picture(0))
    (frame,) = failures(path)
    assert frame.reason == "the compressed image has 12 bits, the header says 8 allocated"


@pytest.mark.parametrize(
    ("tag", "assumed"),
    [
        (b"\x28\0\2\0", "SamplesPerPixel is missing: 1"),
        (b"\x28\0\4\0", "PhotometricInterpretation is missing: MONOCHROME2"),
        (b"\x28\0\1\1", "BitsStored is missing: 8"),
        (b"\x28\0\3\1", "PixelRepresentation is missing: 0"),
    ],
)
def test_what_is_assumed_of_pixels_is_noted_on_the_frame(write_dicom, tag, assumed):
    path = write_dicom(picture(0))
    data = path.read_bytes()
    at = data.index(tag)
    (size,) = struct.unpack_from("<H", data, at + 6)
    path.write_bytes(data[:at] + data[at + 8 + size :])
    (frame,) = frames(path)
    np.testing.assert_array_equal(frame.pixels, picture(0))
    assert [assumed in note for note in frame.notes] == [True]


def color_jpeg(write_dicom, photometric: str, **attributes):
    pixels = np.stack([picture(0), picture(1), picture(2)], -1)
    encoded = imagecodecs.jpeg8_encode(pixels, level=100)  # with the marker of JFIF
    attributes |= {"SamplesPerPixel": 3, "PhotometricInterpretation": photometric}
    return compressed(write_dicom, [encoded], JPEGBaseline8Bit, pixels, **attributes)


def test_colors_that_nobody_names_are_refused(write_dicom):
    path = color_jpeg(write_dicom, "")
    (frame,) = failures(path)
    assert "its colors may be RGB or YCbCr" in frame.reason


def test_colors_that_the_codestream_names_otherwise_are_noted(write_dicom):
    (frame,) = frames(color_jpeg(write_dicom, "YBR_FULL_422"))
    assert frame.notes == ()
    (other,) = frames(color_jpeg(write_dicom, "RGB"))
    assert other.notes == ("the compressed image is YCbCr by its own words, the header says RGB",)
    np.testing.assert_array_equal(frame.pixels, other.pixels)


def test_the_order_of_colors_is_the_codestream_s(write_dicom):
    (frame,) = frames(color_jpeg(write_dicom, "YBR_FULL_422", PlanarConfiguration=0))
    (other,) = frames(color_jpeg(write_dicom, "YBR_FULL_422", PlanarConfiguration=1))
    np.testing.assert_array_equal(frame.pixels, other.pixels)


def test_a_codestream_without_an_end_is_noted_or_refused(write_dicom):
    encoded = imagecodecs.jpeg8_encode(picture(0), level=100)[:-40]
    (frame,) = iter_frames(compressed(write_dicom, [encoded], JPEGBaseline8Bit, picture(0)))
    if isinstance(frame, Frame):
        assert "the compressed image has no end marker: pixels may be missing" in frame.notes


def test_a_jpeg_of_12_bits_is_none_of_8(tmp_path):
    data = Path(get_testdata_file("JPGExtended.dcm")).read_bytes()
    stored = b"\x28\0\1\1US\2\0"
    path = tmp_path / "stored.dcm"
    path.write_bytes(data.replace(stored + b"\x0c\0", stored + b"\x08\0", 1))
    (frame,) = failures(path)
    assert frame.reason == "the compressed image has 12 bits, the header says 8 stored"


def test_photometric_interpretations_are_read_however_they_are_written(write_dicom):
    for name in ("monochrome2", " MONOCHROME2 ", "Monochrome_2"):
        path = write_dicom(picture(0), PhotometricInterpretation=name)
        (frame,) = frames(path)
        np.testing.assert_array_equal(frame.pixels, picture(0))
