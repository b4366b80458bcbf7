import imagecodecs
import numpy as np
import pytest
from pydicom.uid import JPEG2000, JPEGLosslessSV1, JPEGLSLossless

from hc_assets_tests.imaging.pixels.decoded import compressed, failures, only

SIGNED = np.arange(-192, 192, dtype=np.int16).reshape(16, 24) * 5


def test_signed_values_that_were_not_extended_get_their_sign(write_dicom):
    cells = (SIGNED & 0x0FFF).astype(np.uint16)
    for encoded, syntax in [
        (imagecodecs.jpegls_encode(cells), JPEGLSLossless),
        (imagecodecs.ljpeg_encode(cells, bitspersample=16), JPEGLosslessSV1),
    ]:
        path = compressed(write_dicom, [encoded], syntax, SIGNED, BitsStored=12, HighBit=11)
        frame = only(path)
        np.testing.assert_array_equal(frame.pixels, SIGNED)
        assert frame.notes == ()
    native = only(write_dicom(cells.view(np.int16), BitsStored=12, HighBit=11))
    np.testing.assert_array_equal(native.pixels, SIGNED)


def test_bits_above_the_highest_stored_are_left_out_and_noticed(write_dicom):
    values = np.arange(384, dtype=np.uint16).reshape(16, 24)
    values[0, :3] += 0x1000
    native = only(write_dicom(values, BitsStored=12, HighBit=11))
    encoded = [imagecodecs.jpegls_encode(values)]
    lossless = only(
        compressed(write_dicom, encoded, JPEGLSLossless, values, BitsStored=12, HighBit=11)
    )
    for frame in native, lossless:
        np.testing.assert_array_equal(frame.pixels, values & 0x0FFF)
        assert frame.notes == (
            "3 samples have bits above HighBit 11, which are no part of the values",
        )


def test_what_a_lossy_codec_makes_beyond_the_range_is_kept_and_noticed(write_dicom):
    values = np.arange(384, dtype=np.uint16).reshape(16, 24) + 3800
    encoded = [imagecodecs.jpeg2k_encode(values, level=0, codecformat="j2k", bitspersample=16)]
    frame = only(compressed(write_dicom, encoded, JPEG2000, values, BitsStored=12, HighBit=11))
    np.testing.assert_array_equal(frame.pixels, values)
    assert frame.notes == (
        "values are 3800 to 4183, BitsStored and PixelRepresentation say 0 to 4095",
    )


def test_a_sign_that_may_be_one_of_two_bits_is_refused_with_both(write_dicom):
    cells = np.arange(384, dtype=np.uint16).reshape(16, 24) * 10
    encoded = [imagecodecs.ljpeg_encode(cells, bitspersample=12)]
    path = compressed(write_dicom, encoded, JPEGLosslessSV1, SIGNED)
    (frame,) = failures(path)
    assert "12 bits without a sign, the header says 16 with one" in frame.reason


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.53", "1.2.840.10008.1.2.4.55"])
def test_retired_processes_of_jpeg_are_read(write_dicom, syntax):
    values = np.arange(384, dtype=np.uint8).reshape(16, 24)
    smooth = np.sort(values, axis=None).reshape(16, 24)
    path = compressed(write_dicom, [imagecodecs.jpeg8_encode(smooth, level=100)], syntax, smooth)
    np.testing.assert_allclose(only(path).pixels.astype(int), smooth.astype(int), atol=3)


def test_progressive_colours_without_a_marker_are_those_of_the_header(write_dicom):
    values = np.zeros((16, 24, 3), np.uint8) + np.array([200, 30, 90], np.uint8)
    data = imagecodecs.jpeg8_encode(
        values, level=100, colorspace="RGB", outcolorspace="RGB", subsampling="444"
    )
    at = data.find(b"\xff\xee")
    bare = data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]
    path = compressed(write_dicom, [bare], "1.2.840.10008.1.2.4.55", values)
    np.testing.assert_allclose(only(path).pixels.astype(int), values.astype(int), atol=3)
