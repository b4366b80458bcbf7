import struct
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels import apply_color_lut, apply_modality_lut
from pydicom.sequence import Sequence
from pydicom.uid import MPEG2MPML, JPEG2000Lossless, JPEGExtended12Bit, RLELossless

from hc_assets.imaging.headers.reading import UnreadableFile, opened, parse
from hc_assets.imaging.pixels.decoding import MISSING_LIMIT
from hc_assets.imaging.pixels.encapsulation import encoded_frames
from hc_assets.imaging.pixels.frames import Frame, iter_frames
from hc_assets_tests.imaging.pixels.decoded import RAMP, compressed, failures, frames, only


def test_pixels_are_those_that_pydicom_decodes_and_rescales(pydicom_files):
    compared = 0
    for path in pydicom_files:
        try:
            dataset = dcmread(path)
            array = dataset.pixel_array
            if int(dataset.get("NumberOfFrames", 1)) == 1:
                array = array[None]
        except Exception:  # noqa: BLE001, S112 - what pydicom can't decode is no oracle
            continue
        found = frames(path)
        assert [frame.index for frame in found] == list(range(len(array))), path.name
        for frame, stored in zip(found, array, strict=True):
            expected = apply_modality_lut(stored, dataset) if stored.ndim == 2 else stored
            if dataset.PhotometricInterpretation == "PALETTE COLOR":
                expected = apply_color_lut(stored, dataset)[..., :3]
            if "DoseGridScaling" in dataset:
                expected = expected * dataset.DoseGridScaling
            np.testing.assert_allclose(frame.pixels, expected, rtol=1e-6, err_msg=path.name)
        compared += len(found)
    assert compared > 100


def test_every_shared_file_with_pixels_is_decoded(shared_files):
    for file in shared_files:
        if file.pixels_ok == "1":
            assert frames(file.path), file.path
        elif file.pixels_ok == "none" and file.modality:
            assert list(iter_frames(file.path)) == [], file.path


def test_without_rescale_native_integers_come_out(write_dicom):
    frame = only(write_dicom(RAMP.astype(np.int16) - 5))
    assert frame.pixels.dtype == np.int16
    np.testing.assert_array_equal(frame.pixels, RAMP.astype(int) - 5)


def test_rescale_gives_hounsfield_units(write_dicom):
    frame = only(write_dicom(RAMP, RescaleSlope="2", RescaleIntercept="-1024"))
    assert frame.pixels.dtype == np.float32
    np.testing.assert_array_equal(frame.pixels, RAMP * 2.0 - 1024)
    assert (frame.context.units, frame.limits) == ("HU", (-1024, 65535 * 2 - 1024))


def test_unused_bits_do_not_leak_into_values(write_dicom):
    stored = RAMP | 0xF000
    frame = only(write_dicom(stored, BitsStored=12, HighBit=11))
    np.testing.assert_array_equal(frame.pixels, RAMP)
    assert frame.limits == (0, 4095)


def test_long_integers_keep_their_digits_after_rescale(write_dicom):
    values = np.array([[2**31, 2**31 + 1], [0, 1]], np.uint32)
    frame = only(write_dicom(values, RescaleSlope="1", RescaleIntercept="1"))
    np.testing.assert_array_equal(frame.pixels, values.astype(float) + 1)


def test_a_modality_table_replaces_rescale_and_reaches_below_its_first_entry(write_dicom):
    item = Dataset()
    item.LUTDescriptor = [4, 2, 16]
    item.LUTData = struct.pack("<4H", 10, 20, 30, 40)
    item.ModalityLUTType = "US"
    frame = only(write_dicom(RAMP, ModalityLUTSequence=Sequence([item]), RescaleSlope="9"))
    expected = np.array([10, 10, 10, 20, 30, 40, 40, 40, 40, 40, 40, 40]).reshape(3, 4)
    np.testing.assert_array_equal(frame.pixels, expected)


def test_monochrome1_is_not_inverted_for_measurement(write_dicom):
    frame = only(write_dicom(RAMP, PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(frame.pixels, RAMP)
    assert frame.context.is_inverted


@pytest.mark.parametrize(
    ("padding", "limit", "masked"),
    [(63536, None, [-2000]), (-2000, None, [-2000]), (-2000, -1998, [-2000, -1999, -1998])],
)
def test_padding_is_masked_however_its_sign_was_sent(write_dicom, padding, limit, masked):
    values = np.array([[-2000, -1999], [-1998, 0]], np.int16)
    dataset = {"RescaleSlope": "1", "RescaleIntercept": "24"}
    path = write_dicom(values, **dataset)
    written = dcmread(path)
    for tag, value in ((0x00280120, padding), (0x00280121, limit)):
        if value is not None:
            written.add_new(tag, "US" if value >= 0 else "SS", value)
    written.save_as(path)
    frame = only(path)
    np.testing.assert_array_equal(frame.padding, np.isin(values, masked))


def test_colour_comes_out_as_rgb(write_dicom):
    rgb = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    planes = np.ascontiguousarray(rgb.transpose(2, 0, 1))
    dataset = write_dicom(rgb)
    written = dcmread(dataset)
    written.PlanarConfiguration = 1
    written.PixelData = planes.tobytes() + b"\0"
    written.save_as(dataset)
    frame = only(dataset)
    assert frame.is_color
    np.testing.assert_array_equal(frame.pixels, rgb)


def test_what_is_not_subsampled_is_read_in_full_whatever_the_header_says(write_dicom):
    gray = np.full((4, 4, 3), 128, np.uint8)
    gray[..., 0] = np.arange(16).reshape(4, 4) * 10
    frame = only(write_dicom(gray, PhotometricInterpretation="YBR_FULL_422"))
    np.testing.assert_array_equal(frame.pixels[..., 0], gray[..., 0])


def per_frame(slope: str, spacing: str) -> Dataset:
    transform, measures, group = Dataset(), Dataset(), Dataset()
    transform.RescaleSlope, transform.RescaleIntercept, transform.RescaleType = slope, "0", "US"
    measures.PixelSpacing = [spacing, spacing]
    group.PixelValueTransformationSequence = Sequence([transform])
    group.PixelMeasuresSequence = Sequence([measures])
    return group


def test_each_frame_has_its_own_rescale_and_spacing(write_dicom):
    path = write_dicom(
        np.stack([RAMP, RAMP]),
        PerFrameFunctionalGroupsSequence=Sequence([per_frame("2", "1"), per_frame("3", "4")]),
    )
    first, second = frames(path)
    np.testing.assert_array_equal(first.pixels, RAMP * 2.0)
    np.testing.assert_array_equal(second.pixels, RAMP * 3.0)
    assert (first.context.spacing, second.context.spacing) == ((1, 1), (4, 4))


def test_only_wanted_frames_are_decoded(write_dicom):
    path = write_dicom(np.stack([RAMP, RAMP + 1, RAMP + 2]))
    found = frames(path, wanted=frozenset([2, 0]))
    assert [(frame.index, int(frame.pixels[0, 0])) for frame in found] == [(0, 0), (2, 2)]


@pytest.mark.parametrize(
    ("attributes", "source"),
    [
        ({"PixelSpacing": ["1", "2"], "ImagerPixelSpacing": ["3", "4"]}, "PixelSpacing"),
        ({"ImagerPixelSpacing": ["1", "2"]}, "ImagerPixelSpacing"),
        ({"PixelAspectRatio": ["1", "2"]}, "PixelAspectRatio"),
        ({"PixelSpacing": ["0", "0"]}, ""),
    ],
)
def test_spacing_falls_back_in_order(write_dicom, attributes, source):
    context = only(write_dicom(RAMP, **attributes)).context
    assert context.spacing_source == source
    assert context.spacing == ((1, 2) if source else None)


def test_a_report_has_no_frames(testdata):
    assert list(iter_frames(testdata("reportsi.dcm"))) == []


def test_frames_before_a_truncation_are_decoded_and_the_rest_reported(write_dicom):
    path = write_dicom(np.stack([RAMP, RAMP, RAMP]))
    path.write_bytes(path.read_bytes()[:-30])
    first, *rest = iter_frames(path)
    assert isinstance(first, Frame)
    assert [frame.index for frame in rest] == [1, 2]
    assert all("truncated: 42 bytes" in frame.reason for frame in rest)


def test_frames_far_beyond_what_the_pixels_can_hold_share_one_reason(write_dicom):
    path = write_dicom(RAMP)
    dataset = dcmread(path)
    dataset.NumberOfFrames = 1_000_000
    dataset.save_as(path)
    first, *rest = iter_frames(path)
    assert isinstance(first, Frame)
    assert [frame.index for frame in rest] == list(range(1, MISSING_LIMIT + 2))
    assert all("truncated: 24 bytes" in frame.reason for frame in rest[:-1])
    assert "NumberOfFrames is 1000000, the pixel data can't hold more than 1" in rest[-1].reason
    wanted = list(iter_frames(path, wanted=frozenset({0, 5, MISSING_LIMIT + 1, 999_999})))
    assert [frame.index for frame in wanted] == [0, 5, MISSING_LIMIT + 1]


def test_more_frames_than_are_read_are_refused_with_the_limit(write_dicom):
    path = write_dicom(RAMP)
    dataset = dcmread(path)
    dataset.NumberOfFrames = 1_000_000_000
    dataset.save_as(path)
    (frame,) = failures(path)
    assert frame.reason == "1000000000 frames: more than the 1048576 that are read"


def test_run_lengths_that_are_too_few_for_a_frame_are_not_made_room_for(write_dicom):
    path = compressed(write_dicom, [bytes(100)], RLELossless, Rows=20_000, Columns=20_000)
    (frame,) = failures(path)
    assert frame.reason == "the frame has 100 encoded bytes, too few for 20000 by 20000 pixels"


def test_an_offset_table_whose_frames_overlap_is_not_followed(rle_frames, tmp_path):
    path = tmp_path / "rle.dcm"
    size = len(rle_frames.PixelData)
    for lengths in [100, 100], [size, size]:
        rle_frames.add_new(0x7FE00001, "OV", struct.pack("<2Q", 0, 0))
        rle_frames.add_new(0x7FE00002, "OV", struct.pack("<2Q", *lengths))
        rle_frames.save_as(path)
        with opened(path) as file:
            header, stream = parse(file)
            encoded = list(encoded_frames(stream, header, header.pixels.offset, 2))
        assert encoded == list(generate_frames(rle_frames.PixelData, number_of_frames=2))
    first, second = iter_frames(path)
    np.testing.assert_array_equal(first.pixels, RAMP)
    np.testing.assert_array_equal(second.pixels, RAMP + 1)


def test_bytes_beyond_the_last_frame_are_padding(write_dicom):
    path = write_dicom(RAMP)
    dataset = dcmread(path)
    dataset.PixelData = RAMP.tobytes() + bytes(40)
    dataset.save_as(path)
    np.testing.assert_array_equal(only(path).pixels, RAMP)


@pytest.fixture
def rle_frames(write_dicom):
    dataset = dcmread(write_dicom(np.stack([RAMP, RAMP + 1])))
    dataset.compress(RLELossless, generate_instance_uid=False)
    return dataset


def test_compressed_frames_before_a_truncation_are_decoded(rle_frames, tmp_path):
    path = tmp_path / "rle.dcm"
    rle_frames.save_as(path)
    path.write_bytes(path.read_bytes()[:-40])
    first, second = iter_frames(path)
    np.testing.assert_array_equal(first.pixels, RAMP)
    assert second.reason.startswith("the pixel data are truncated")


def test_each_decoders_own_words_are_kept(write_dicom, testdata):
    good = dcmread(testdata("JPEG-lossy.dcm"))
    encoded = next(generate_frames(good.PixelData, number_of_frames=1))
    path = compressed(write_dicom, [encoded[:200]], JPEGExtended12Bit, np.zeros((1024, 256), "u2"))
    (frame,) = failures(path)
    assert frame.reason == "no decoder can read the frame"
    names = [name for name, _ in frame.decoders]
    assert names == ["gdcm", "pylibjpeg", "pillow", "imagecodecs"]
    assert all(words and "Unable to decode as" not in words for _, words in frame.decoders)


def test_a_damaged_frame_does_not_take_the_others_with_it(write_dicom, testdata):
    good = dcmread(testdata("MR_small_jp2klossless.dcm"))
    encoded = good.PixelData[good.PixelData.index(b"\xff\x4f\xff\x51") :]
    path = compressed(
        write_dicom,
        [encoded[:60] + bytes(200), encoded],
        JPEG2000Lossless,
        good.pixel_array,
        BitsAllocated=16,
    )
    damaged, whole = iter_frames(path)
    assert (damaged.index, damaged.reason) == (0, "no decoder can read the frame")
    np.testing.assert_array_equal(whole.pixels, good.pixel_array)


def test_a_codestream_larger_than_the_header_says_is_refused_unread(write_dicom):
    head = struct.pack(">HHHBHHB", 0xFFD8, 0xFFC0, 11, 8, 65535, 65535, 1)
    path = compressed(write_dicom, [head + bytes(60)], "1.2.840.10008.1.2.4.50")
    (frame,) = failures(path)
    assert "65535 by 65535 pixels, the header says 4 by 3" in frame.reason
    assert frame.decoders == ()


def test_a_frame_above_the_limit_is_refused_unread(write_dicom):
    (frame,) = failures(write_dicom(RAMP), frame_limit=20)
    assert frame.reason == "a frame takes up 24 bytes, more than the 20 that are allowed"


def test_a_bomb_of_frames_is_refused(write_dicom):
    (frame,) = failures(write_dicom(RAMP, NumberOfFrames=2_000_000_000))
    assert "more than the 1048576 that are read" in frame.reason


def test_every_frame_of_a_video_is_reported_with_its_transfer_syntax(write_dicom):
    path = compressed(write_dicom, [b"\x01\x02"] * 3, MPEG2MPML)
    found = failures(path)
    assert [frame.index for frame in found] == [0, 1, 2]
    assert {frame.reason for frame in found} == {
        "no decoder for transfer syntax 1.2.840.10008.1.2.4.100 (MPEG2 Main Profile / Main Level)"
    }


def test_an_unknown_transfer_syntax_is_named(write_dicom):
    (frame,) = failures(compressed(write_dicom, [b"\x01\x02"], "1.2.3.4"))
    assert frame.reason == "no decoder for transfer syntax 1.2.3.4"


def without_pixels(write_dicom, *others: str, **attributes):
    dataset = dcmread(write_dicom(RAMP, **attributes))
    for keyword in ("PixelData", *others):
        del dataset[keyword]
    return write_dicom(dataset)


def test_an_image_without_pixels_is_reported(write_dicom):
    (frame,) = failures(without_pixels(write_dicom))
    assert "no pixel data follow" in frame.reason
    (frame,) = failures(without_pixels(write_dicom, PixelDataProviderURL="https://a/b"))
    assert "on a server" in frame.reason
    assert failures(without_pixels(write_dicom), wanted=frozenset([1])) == []


def test_an_image_that_ends_before_its_pixels_is_reported(write_dicom):
    path = without_pixels(write_dicom, ICCProfile=bytes(1000))
    path.write_bytes(path.read_bytes()[:-500])
    (frame,) = failures(path)
    assert "before its pixel data" in frame.reason


def test_what_is_no_image_and_describes_no_pixels_has_no_frames(write_dicom):
    spectroscopy = without_pixels(
        write_dicom, "BitsAllocated", SOPClassUID="1.2.840.10008.5.1.4.1.1.4.2"
    )
    assert failures(spectroscopy) == []


def test_an_image_whose_description_is_lost_with_its_pixels_is_reported(write_dicom):
    (frame,) = failures(without_pixels(write_dicom, "BitsAllocated", "Rows", "Columns"))
    assert "no pixel data follow" in frame.reason


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"Rows": 0}, "(0028,0010) Rows is 0"),
        ({"BitsAllocated": 12}, "12 bits allocated"),
        ({"SamplesPerPixel": 2}, "2 samples per pixel"),
        ({"BitsStored": 20}, "(0028,0101) BitsStored is 20, not 1 to 16"),
        ({"PhotometricInterpretation": "RGB"}, "do not go with PhotometricInterpretation RGB"),
    ],
)
def test_an_impossible_description_is_reported(write_dicom, attributes, words):
    (frame,) = failures(write_dicom(RAMP, **attributes))
    assert words in frame.reason


def test_a_file_that_is_not_dicom_raises(tmp_path):
    path = tmp_path / "text.dcm"
    path.write_text("hello")
    with pytest.raises(UnreadableFile):
        list(iter_frames(path))


def test_a_palette_has_the_same_colours_in_either_byte_order() -> None:
    little = only(Path(get_testdata_file("OBXXXX1A.dcm", download=False)))
    big = only(Path(get_testdata_file("OBXXXX1A_expb.dcm", download=False)))
    assert little.pixels.max() > 60_000
    np.testing.assert_array_equal(little.pixels, big.pixels)
