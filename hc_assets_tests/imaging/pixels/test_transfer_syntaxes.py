"""Every transfer syntax, colour space and bit layout gives what pydicom's own functions give."""

import hashlib
import itertools
import struct
import tracemalloc

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array
from pydicom.sequence import Sequence
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from hc_assets.imaging.pixels.display import displayed
from hc_assets.imaging.pixels.frames import Frame, iter_frames

RNG = np.random.default_rng(5)
# What DCMTK's dcmdjpeg makes of pydicom's JPEG-lossy.dcm: SHA-256 of its values as uint16
DCMDJPEG_SHA256 = "d30242775a414c01d616447854ebe3f2b20259822894bcd6891f879bcdcbf313"


def frames(path) -> list[Frame]:
    found = list(iter_frames(path))
    assert all(isinstance(frame, Frame) for frame in found), found
    return found


def only(path) -> Frame:
    (frame,) = frames(path)
    return frame


def in_syntax(dataset, syntax: str, encoded: list[bytes]):
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate(encoded)
    dataset["PixelData"].is_undefined_length = True
    dataset["PixelData"].VR = "OB"
    return dataset


def values(bits_stored: int, dtype: str, shape=(7, 9)) -> np.ndarray:
    low = -(2 ** (bits_stored - 1)) if dtype[0] == "i" else 0
    return RNG.integers(low, low + 2**bits_stored, shape).astype(dtype)


DEPTHS = [
    (8, 8, "u1"),
    (8, 8, "i1"),
    (8, 6, "u1"),
    (16, 16, "u2"),
    (16, 16, "i2"),
    (16, 12, "u2"),
    (16, 12, "i2"),
    (16, 10, "u2"),
    (32, 32, "u4"),
    (32, 20, "i4"),
]


PLAIN = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,  # for 8 and 16 bits only (PS3.5 8.2.2)
]


@pytest.mark.parametrize(
    ("syntax", "allocated", "stored", "dtype"),
    [(s, *depth) for s in PLAIN for depth in DEPTHS if s != RLELossless or depth[0] < 32],
)
def test_uncompressed_and_run_lengths(dataset_of, write_dicom, syntax, allocated, stored, dtype):
    pixels = values(stored, dtype)
    dataset = dataset_of(pixels, BitsStored=stored, HighBit=stored - 1)
    if syntax == RLELossless:
        dataset.compress(RLELossless, encoding_plugin="pylibjpeg", generate_instance_uid=False)
    else:
        dataset.file_meta.TransferSyntaxUID = syntax
        if syntax == ExplicitVRBigEndian:
            # Swapped by words (PS3.5 8.1.1), as OW has it
            word = np.frombuffer(dataset.PixelData.ljust(-(-pixels.nbytes // 2) * 2, b"\0"), "<u2")
            swapped = pixels.astype(pixels.dtype.newbyteorder(">"))
            dataset.PixelData = swapped.tobytes() if allocated > 8 else word.tobytes()
            dataset["PixelData"].VR = "OW" if allocated > 8 else "OB"
    dataset.SOPInstanceUID = "1.2.3.4"
    path = write_dicom(dataset)
    frame = only(path)
    np.testing.assert_array_equal(frame.pixels, pixels)
    np.testing.assert_array_equal(frame.pixels, dcmread(path).pixel_array)


# JPEG-LS has no signed samples, and near-lossless would wrap them
@pytest.mark.parametrize(
    ("syntax", "allocated", "stored", "dtype"),
    [
        (s, *depth)
        for s in (JPEG2000Lossless, JPEG2000, JPEGLSLossless, JPEGLSNearLossless)
        for depth in DEPTHS[:8]
        if s != JPEGLSNearLossless or depth[2][0] == "u"
    ],
)
def test_compressed_grayscale(dataset_of, write_dicom, syntax, allocated, stored, dtype):
    smooth = np.add.outer(np.arange(32), np.arange(40)) % 2 ** (stored - 1)
    pixels = smooth.astype(dtype)
    dataset = dataset_of(pixels, BitsStored=stored, HighBit=stored - 1)
    lossy = {JPEG2000: {"j2k_cr": [4]}, JPEGLSNearLossless: {"jls_error": 1}}
    dataset.compress(syntax, generate_instance_uid=False, **lossy.get(syntax, {}))
    path = write_dicom(dataset)
    frame = only(path)
    np.testing.assert_array_equal(frame.pixels, pixel_array(path))
    if syntax not in lossy:
        np.testing.assert_array_equal(frame.pixels, pixels)


# pydicom converts YBR of 8 bits only
@pytest.mark.parametrize(
    ("photometric", "dtype"), [("RGB", "u1"), ("RGB", "u2"), ("YBR_FULL", "u1")]
)
@pytest.mark.parametrize("planar", [0, 1])
def test_colour_and_planes(dataset_of, write_dicom, photometric, planar, dtype):
    pixels = values(8 * np.dtype(dtype).itemsize, dtype, (6, 8, 3))
    dataset = dataset_of(pixels, PhotometricInterpretation=photometric, PlanarConfiguration=planar)
    if planar:
        dataset.PixelData = np.ascontiguousarray(pixels.transpose(2, 0, 1)).tobytes()
    path = write_dicom(dataset)
    frame = only(path)
    assert frame.is_color
    np.testing.assert_array_equal(frame.pixels, pixel_array(path))
    if photometric == "RGB":
        np.testing.assert_array_equal(frame.pixels, pixels)


def test_subsampled_colour(dataset_of, write_dicom):
    # Two luminances share one pair of chrominances (PS3.3 C.7.6.3.1.2)
    packed = values(8, "u1", (6, 4, 4))
    dataset = dataset_of(np.zeros((6, 8, 3), np.uint8), PhotometricInterpretation="YBR_FULL_422")
    dataset.PixelData = packed.tobytes()
    path = write_dicom(dataset)
    np.testing.assert_array_equal(only(path).pixels, pixel_array(path))


@pytest.mark.parametrize(
    ("syntax", "photometric"), [(JPEG2000Lossless, "YBR_RCT"), (JPEG2000, "YBR_ICT")]
)
def test_colour_transforms_of_jpeg_2000(dataset_of, write_dicom, syntax, photometric):
    pixels = np.stack([np.add.outer(np.arange(32), np.arange(32) + c * 50) for c in range(3)], -1)
    dataset = dataset_of(pixels.astype(np.uint8), PhotometricInterpretation=photometric)
    options = {"j2k_cr": [4]} if syntax == JPEG2000 else {}
    dataset.PhotometricInterpretation = "RGB"
    dataset.compress(syntax, generate_instance_uid=False, **options)
    dataset.PhotometricInterpretation = photometric
    path = write_dicom(dataset)
    np.testing.assert_array_equal(only(path).pixels, pixel_array(path))
    np.testing.assert_allclose(
        only(path).pixels.astype(int), pixels, atol=0 if syntax == JPEG2000Lossless else 24
    )


@pytest.mark.parametrize(
    ("keyword", "dtype"), [("FloatPixelData", "f4"), ("DoubleFloatPixelData", "f8")]
)
def test_floating_point_pixels(dataset_of, write_dicom, keyword, dtype):
    pixels = RNG.normal(size=(2, 5, 6)).astype(dtype) * 1e6
    dataset = dataset_of(np.zeros((2, 5, 6), np.uint32))
    for name in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(dataset, name)
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    setattr(dataset, keyword, pixels.tobytes())
    path = write_dicom(dataset)
    found = frames(path)
    np.testing.assert_array_equal([frame.pixels for frame in found], pixels)
    np.testing.assert_array_equal([frame.pixels for frame in found], pixel_array(path))


@pytest.mark.parametrize("dtype", ["u2", "i2"])
@pytest.mark.parametrize("encode", ["native", "rle"])
def test_a_high_bit_above_the_stored_bits_means_that_the_lower_ones_are_not_pixels(
    dataset_of, write_dicom, dtype, encode
):
    pixels = values(12, dtype)
    cells = (pixels.astype("i4") << 4 | RNG.integers(0, 16, pixels.shape)).astype(dtype)
    dataset = dataset_of(cells, BitsStored=12, HighBit=15)
    if encode == "rle":
        dataset.compress(RLELossless, encoding_plugin="pylibjpeg", generate_instance_uid=False)
    frame = only(write_dicom(dataset))
    np.testing.assert_array_equal(frame.pixels, pixels)
    assert frame.limits == ((-2048, 2047) if dtype == "i2" else (0, 4095))


def test_an_impossible_high_bit_is_passed_over(write_dicom):
    pixels = values(12, "u2")
    frame = only(write_dicom(pixels, BitsStored=12, HighBit=40))
    np.testing.assert_array_equal(frame.pixels, pixels)


def test_encapsulated_uncompressed(dataset_of, write_dicom):
    pixels = values(16, "i2", (2, 5, 6))
    dataset = dataset_of(pixels)
    path = write_dicom(in_syntax(dataset, JPEG2000Lossless, [frame.tobytes() for frame in pixels]))
    known, wanted = JPEG2000Lossless.encode(), b"1.2.840.10008.1.2.1.98"
    assert len(known) == len(wanted)
    path.write_bytes(path.read_bytes().replace(known, wanted))
    np.testing.assert_array_equal([frame.pixels for frame in frames(path)], pixels)


def test_jpeg_of_twelve_bits_is_what_dcmtk_makes_of_it(testdata):
    frame = only(testdata("JPEG-lossy.dcm"))
    assert frame.decoder == "imagecodecs"
    assert hashlib.sha256(frame.pixels.astype("<u2").tobytes()).hexdigest() == DCMDJPEG_SHA256


@pytest.fixture
def write_jpeg_xl(dataset_of, write_dicom):
    """pydicom does not know the syntax and so does not write it."""

    def write(pixels, encoded, **attributes):
        path = write_dicom(in_syntax(dataset_of(pixels, **attributes), HTJ2KLossless, [encoded]))
        data = path.read_bytes()
        assert data.count(HTJ2KLossless.encode()) == 1
        path.write_bytes(data.replace(HTJ2KLossless.encode(), b"1.2.840.10008.1.2.4.110"))
        return path

    return write


@pytest.mark.parametrize(("stored", "dtype"), [(8, "u1"), (12, "u2"), (16, "u2"), (12, "i2")])
def test_jpeg_xl_in_gray(write_jpeg_xl, stored, dtype):
    pixels = values(stored, dtype, (16, 20))
    unsigned = (pixels.astype("i4") % 2**stored).astype(dtype.replace("i", "u"))
    encoded = imagecodecs.jpegxl_encode(unsigned, lossless=True)
    path = write_jpeg_xl(pixels, encoded, BitsStored=stored, HighBit=stored - 1)
    np.testing.assert_array_equal(only(path).pixels, pixels)


def test_jpeg_xl_in_colour(write_jpeg_xl):
    pixels = values(8, "u1", (16, 20, 3))
    path = write_jpeg_xl(pixels, imagecodecs.jpegxl_encode(pixels, lossless=True))
    np.testing.assert_array_equal(only(path).pixels, pixels)


def test_jpeg_xl_of_another_size_is_refused(write_jpeg_xl):
    encoded = imagecodecs.jpegxl_encode(np.zeros((200, 200), np.uint8))
    (frame,) = iter_frames(write_jpeg_xl(np.zeros((4, 4), np.uint8), encoded))
    assert frame.decoders[0][0] == "imagecodecs"
    assert "not (4, 4)" in frame.decoders[0][1]


def lut(entries: list[int], first: int, bits: int = 16) -> dict:
    item = {"LUTDescriptor": [len(entries), first, bits]}
    return item | {"LUTData": struct.pack(f"<{len(entries)}H", *entries)}


@pytest.fixture
def with_voi(dataset_of, write_dicom):
    """A file with several VOI LUTs or windows, and its dataset as pydicom reads it."""
    from pydicom.dataset import Dataset

    def write(pixels, luts=(), **attributes):
        dataset = dataset_of(pixels, **attributes)
        items = []
        for each in luts:
            item = Dataset()
            for name, value in each.items():
                setattr(item, name, value)
            item["LUTData"].VR = "OW"
            items.append(item)
        if items:
            dataset.VOILUTSequence = Sequence(items)
        path = write_dicom(dataset)
        return path, dcmread(path)

    return write


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("view", [0, 1])
def test_each_voi_table_is_what_pydicom_applies(with_voi, photometric, view):
    pixels = values(10, "u2")
    tables = [lut([0, 300, 1023], 100, 10), lut([1023, 5, 0, 77], 500, 10)]
    path, dataset = with_voi(pixels, tables, PhotometricInterpretation=photometric)
    expected = apply_voi_lut(dataset.pixel_array, dataset, index=view) / 1023
    expected = 1 - expected if photometric == "MONOCHROME1" else expected
    np.testing.assert_allclose(displayed(only(path), window=view), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("function", "view", "slope"),
    list(itertools.product(["LINEAR", "LINEAR_EXACT", "SIGMOID"], [0, 1], ["1", "2.5"])),
)
def test_each_window_is_what_pydicom_applies_after_rescale(with_voi, function, view, slope):
    path, dataset = with_voi(
        values(12, "u2"),
        BitsStored=12,
        HighBit=11,
        RescaleSlope=slope,
        RescaleIntercept="-1024",
        WindowCenter=["40", "300"],
        WindowWidth=["400", "1500"],
        VOILUTFunction=function,
    )
    units = apply_modality_lut(dataset.pixel_array, dataset)
    windowed = apply_voi_lut(units, dataset, index=view)
    # pydicom's windows end at what the bits can hold, in modality units
    low, high = (bound * float(slope) - 1024 for bound in (0, 4095))
    expected = (windowed - low) / (high - low)
    frame = only(path)
    np.testing.assert_array_equal(frame.pixels, units)
    np.testing.assert_allclose(displayed(frame, window=view), expected, atol=1e-5)


def test_frames_come_one_at_a_time_in_bounded_memory(dataset_of, write_dicom):
    frame_bytes, count = 128 * 128 * 2, 300
    pixels = RNG.integers(0, 2**16, (count, 128, 128)).astype(np.uint16)
    native = write_dicom(dataset_of(pixels), "native.dcm")
    dataset = dataset_of(pixels)
    dataset.compress(RLELossless, encoding_plugin="pylibjpeg", generate_instance_uid=False)
    for path in (native, write_dicom(dataset, "rle.dcm")):
        seen = 0
        tracemalloc.start()
        for frame in iter_frames(path):
            np.testing.assert_array_equal(frame.pixels, pixels[frame.index])
            seen += 1
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert seen == count
        assert peak < 20 * frame_bytes, path.name
