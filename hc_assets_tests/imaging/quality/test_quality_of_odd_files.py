"""Odd files from bytes to scores: a number in range, or nothing with a reason."""

import io

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, SegmentationStorage

from hc_assets.imaging.pixels.frames import Frame, iter_frames
from hc_assets.imaging.quality.gates import explain
from hc_assets.imaging.quality.measure import Quality, measure

SIDE = 128
Y, X = np.mgrid[:SIDE, :SIDE] / SIDE


def body(side: int = SIDE, noise: float = 10) -> np.ndarray:
    """Soft tissue with a bone and two lungs, 0 to 2,000 as a CT scanner stores it."""
    y, x = np.mgrid[:side, :side] / side
    hu = np.full((side, side), -1000.0)
    for value, row, column, rows, columns in (
        (40, 0.5, 0.5, 0.35, 0.45),
        (-800, 0.45, 0.32, 0.2, 0.12),
        (-820, 0.47, 0.69, 0.18, 0.13),
        (600, 0.72, 0.5, 0.08, 0.08),
    ):
        hu[((y - row) / rows) ** 2 + ((x - column) / columns) ** 2 < 1] = value
    hu += np.random.default_rng(1).normal(0, noise, hu.shape)
    return np.clip(hu.round() + 1024, 0, 4095)


def file_of(pixels: np.ndarray | None, *, bits: int = 16, **attributes: object) -> Dataset:
    """A dataset around pixels; attributes replace or add to those of a CT slice."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, "1.2.3"
    dataset.Modality = "CT"
    if pixels is not None:
        has_samples = pixels.ndim == 3
        dataset.Rows, dataset.Columns = pixels.shape[:2]
        dataset.SamplesPerPixel = 3 if has_samples else 1
        dataset.PhotometricInterpretation = "RGB" if has_samples else "MONOCHROME2"
        if has_samples:
            dataset.PlanarConfiguration = 0
        dataset.BitsAllocated = dataset.BitsStored = bits
        dataset.HighBit = bits - 1
        dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
        if pixels.dtype.kind == "f":
            name = {4: "FloatPixelData", 8: "DoubleFloatPixelData"}[pixels.dtype.itemsize]
            setattr(dataset, name, pixels.tobytes())
            for each in ("BitsStored", "HighBit", "PixelRepresentation"):
                delattr(dataset, each)
        else:
            data = pixels.tobytes()
            if bits == 1:
                data = np.packbits(pixels.astype(bool), bitorder="little").tobytes()
            dataset.PixelData = data + b"\0" * (len(data) % 2)
            dataset["PixelData"].VR = "OW" if bits > 8 else "OB"
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return dataset


@pytest.fixture
def quality_of(tmp_path):
    def quality(dataset: Dataset) -> Quality:
        path = tmp_path / "a.dcm"
        buffer = io.BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
        path.write_bytes(buffer.getvalue())
        (frame,) = iter_frames(path)
        assert isinstance(frame, Frame), frame
        return measure(frame)

    return quality


def assert_all_in_range(quality: Quality) -> None:
    assert quality.overall is not None
    assert 0 <= quality.overall <= 1
    for name, metric in quality.metrics.items():
        if metric.value is None:
            assert metric.reason, name
        else:
            assert np.isfinite(metric.value), name
            assert 0 <= metric.part <= 1, name


def assert_null_with(quality: Quality, reason: str) -> None:
    assert quality.overall is None
    assert {(m.value, m.part, m.reason) for m in quality.metrics.values()} == {(None, None, reason)}
    assert explain(quality, 0.5).text == f"no score: {reason}"


CT = {"RescaleSlope": 1, "RescaleIntercept": -1024}


def test_a_plain_slice_passes(quality_of):
    quality = quality_of(file_of(body().astype(np.uint16), **CT))
    assert_all_in_range(quality)
    assert quality.overall > 0.7


def test_a_constant_image_is_null(quality_of):
    assert_null_with(quality_of(file_of(np.full((64, 64), 7, np.uint16))), "constant_image")


def test_three_by_three_is_null(quality_of):
    pixels = np.arange(9, dtype=np.uint16).reshape(3, 3)
    assert_null_with(quality_of(file_of(pixels)), "image_too_small")


def test_a_segmentation_is_null(quality_of):
    mask = (body() > 1000).astype(np.uint8)
    segmentation = file_of(mask, bits=1, Modality="SEG", SOPClassUID=SegmentationStorage)
    assert_null_with(quality_of(segmentation), "labels_not_intensities")


def test_single_bits_are_labels_whatever_the_class(quality_of):
    mask = (body() > 1000).astype(np.uint8)
    assert_null_with(quality_of(file_of(mask, bits=1)), "labels_not_intensities")


def test_a_report_has_no_frame(tmp_path):
    report = file_of(None, Modality="SR", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11")
    report.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert list(iter_frames(tmp_path / "a.dcm")) == []


def test_colour_is_judged_by_its_luma(quality_of):
    gray = (body() / 16).astype(np.uint8)
    color = quality_of(file_of(np.repeat(gray[..., None], 3, axis=2), bits=8, Modality="XC"))
    plain = quality_of(file_of(gray, bits=8, Modality="XC"))
    assert_all_in_range(color)
    assert color.overall == pytest.approx(plain.overall, abs=0.01)


def test_a_small_matrix_is_judged_like_a_large_one(quality_of):
    large = quality_of(file_of(body(256).astype(np.uint16), **CT))
    small = quality_of(file_of(body(64).astype(np.uint16), **CT))
    assert_all_in_range(small)
    assert min(small.overall, large.overall) > 0.6


@pytest.mark.parametrize("is_named", [True, False])
def test_padding_around_does_not_count(quality_of, is_named):
    inner = body(noise=10).astype(np.int16)
    padded = np.full((4 * SIDE, 4 * SIDE), -2000, np.int16)
    padded[SIDE : 2 * SIDE, SIDE : 2 * SIDE] = inner
    dataset = file_of(padded, **CT)
    if is_named:
        dataset.add_new("PixelPaddingValue", "SS", -2000)
    alone, within = quality_of(file_of(inner, **CT)), quality_of(dataset)
    assert_all_in_range(within)
    assert within.noise_sd == pytest.approx(alone.noise_sd, rel=0.05)
    assert within.metrics["snr"].value == pytest.approx(alone.metrics["snr"].value, rel=0.05)
    assert within.overall == pytest.approx(alone.overall, abs=0.05)


@pytest.mark.parametrize("modality", ["CT", "MR", "CR", "US"])
def test_noise_alone_fails(quality_of, modality):
    noise = np.random.default_rng(2).normal(2000, 200, (SIDE, SIDE))
    quality = quality_of(file_of(noise.astype(np.uint16), Modality=modality))
    assert quality.overall is None or quality.overall < 0.2
    if quality.overall is not None:
        assert_all_in_range(quality)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_pixels_score_as_integers_do(quality_of, dtype):
    scaled = quality_of(file_of((body() / 4000).astype(dtype), bits=np.dtype(dtype).itemsize * 8))
    stored = quality_of(file_of(body().astype(np.uint16)))
    assert_all_in_range(scaled)
    assert scaled.overall == pytest.approx(stored.overall, rel=0.01)


def test_a_negative_slope_turns_nothing_round(quality_of):
    stored = body()
    turned = file_of(
        (4095 - stored).astype(np.uint16), RescaleSlope=-1, RescaleIntercept=4095 - 1024
    )
    quality = quality_of(turned)
    assert_all_in_range(quality)
    plain = quality_of(file_of(stored.astype(np.uint16), **CT))
    assert quality.overall == pytest.approx(plain.overall, rel=0.01)
    assert quality.metrics["snr"].value == pytest.approx(plain.metrics["snr"].value, rel=0.01)


def test_numbers_beyond_all_units_are_null_or_in_range(quality_of):
    huge = (body() * 1e35).astype(np.float32)
    assert_null_with(quality_of(file_of(huge, bits=32)), "range_beyond_float32")
    holed = body().astype(np.float32)
    holed[40:60, 40:60] = np.nan
    holed[0, 0] = np.inf
    assert_all_in_range(quality_of(file_of(holed, bits=32)))
