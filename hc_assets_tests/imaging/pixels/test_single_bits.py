import struct
import zlib

import numpy as np
from pydicom.uid import JPEG2000Lossless, RLELossless

from hc_assets_tests.imaging.pixels.decoded import compressed, failures, frames, only


def bits_dataset(write_dicom, bits: np.ndarray, encoded: list[bytes], syntax: str):
    packed = np.zeros(bits.shape[-2:], np.uint8)
    return compressed(
        write_dicom,
        encoded,
        syntax,
        packed,
        BitsAllocated=1,
        BitsStored=1,
        HighBit=0,
    )


def packed_bits(bits: np.ndarray) -> bytes:
    return np.packbits(bits.ravel(), bitorder="little").tobytes()


def test_deflated_image_frames_of_single_bits_are_decoded(write_dicom):
    bits = np.random.default_rng(1).integers(0, 2, (2, 5, 7), dtype=np.uint8)
    encoded = []
    for frame in bits:
        compress = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        encoded.append(compress.compress(packed_bits(frame)) + compress.flush())
    # pydicom does not know the syntax and so does not write it
    path = bits_dataset(write_dicom, bits, encoded, JPEG2000Lossless)
    known, wanted = JPEG2000Lossless.encode(), b"1.2.840.10008.1.2.8.1\0"
    path.write_bytes(path.read_bytes().replace(known, wanted))
    for frame, expected in zip(frames(path), bits, strict=True):
        np.testing.assert_array_equal(frame.pixels, expected)
        assert frame.context.is_labels


def test_run_lengths_of_single_bits_are_decoded(write_dicom):
    bits = np.zeros((1, 16, 16), np.uint8)
    bits[0, 4:9] = 1
    plain = packed_bits(bits)
    segment = b"".join(
        struct.pack("bB", 1 - (end - start), plain[start])
        for start, end in ((0, 8), (8, 18), (18, 32))
    )
    header = struct.pack("<16L", 1, 64, *[0] * 14)
    path = bits_dataset(write_dicom, bits, [header + segment], RLELossless)
    np.testing.assert_array_equal(only(path).pixels, bits[0])


def test_a_run_length_segment_that_ends_early_is_reported(write_dicom):
    header = struct.pack("<16L", 1, 64, *[0] * 14)
    path = bits_dataset(write_dicom, np.zeros((1, 16, 16)), [header + b"\xf9\x01"], RLELossless)
    (frame,) = failures(path)
    assert frame.decoders == (("rle-1-bit", "the RLE segment gives 8 bytes, 32 are needed"),)
