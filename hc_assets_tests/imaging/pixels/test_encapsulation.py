import functools
import io
import struct
from types import SimpleNamespace

import imagecodecs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
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


def cut(data: bytes, syntax: str, frames: int, extended: bytes | None = None) -> list[bytes]:
    """Encoded frames up to the first that is not there."""
    elements = {} if extended is None else {0x7FE00001: SimpleNamespace(value=extended)}
    header = SimpleNamespace(transfer_syntax=UID(syntax), elements=elements)
    found = []
    try:
        found.extend(encoded_frames(io.BytesIO(data), header, 0, frames))
    except (TruncatedError, UnknownFramesError):
        return found
    return found


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


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_whatever_is_wrong_with_a_table_no_frame_is_another(data):
    syntax = data.draw(st.sampled_from(SYNTAXES))
    pieces = 1 if syntax == RLELossless else data.draw(st.integers(1, 3))
    count = data.draw(st.integers(1, 4))
    said = max(1, count + data.draw(st.integers(-1, 1)))
    fragments, offsets = fragments_of(syntax, count, pieces)
    table = data.draw(damaged_tables(offsets, sum(map(len, fragments))))
    order = data.draw(st.sampled_from("<>"))
    basic = extended = b""
    if data.draw(st.booleans()):
        basic = struct.pack(f"{order}{len(table)}L", *(each % 2**32 for each in table))
    else:
        extended = struct.pack(f"{order}{len(table)}Q", *table)
    bytes_sent = encapsulated(fragments, basic)
    bytes_sent = bytes_sent[: data.draw(st.sampled_from([len(bytes_sent)] * 3 + [-30, -8]))]
    truth = [codestream(syntax, number) for number in range(count)]
    for number, frame in enumerate(cut(bytes_sent, syntax, said, extended or None)[:said]):
        if said > 1 or pieces > 1 or count == 1:
            assert frame == truth[number]
        else:
            assert frame.startswith(truth[0])  # what decoders leave where they have the first


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


def test_photometric_interpretations_are_read_however_they_are_written(write_dicom):
    for name in ("monochrome2", " MONOCHROME2 ", "Monochrome_2"):
        path = write_dicom(picture(0), PhotometricInterpretation=name)
        (frame,) = frames(path)
        np.testing.assert_array_equal(frame.pixels, picture(0))
