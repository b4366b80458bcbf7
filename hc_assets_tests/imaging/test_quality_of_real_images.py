"""The score on real images and on copies that are known to be worse."""

import dataclasses

import cv2
import numpy as np
import pytest

from hc_assets.imaging.gates import explain
from hc_assets.imaging.pixels import Frame, iter_frames
from hc_assets.imaging.quality import measure

GATE = 0.5
NAMES = ["MR_small.dcm", "examples_overlay.dcm", "examples_rgb_color.dcm"]


@pytest.fixture(scope="session")
def real_frame(testdata):
    def first(name: str) -> Frame:
        return next(iter(iter_frames(testdata(name))))

    return first


def noisy(pixels, amount):
    noise = np.random.default_rng(1).normal(0, 1, pixels.shape).astype(np.float32)
    return pixels + amount * np.ptp(np.percentile(pixels, [1, 99])) * noise


def blurred(pixels, amount):
    return cv2.GaussianBlur(pixels, (0, 0), amount) if amount else pixels


def striped(pixels, amount):
    wave = np.sin(2 * np.pi * np.arange(len(pixels)) / 8)[:, None].astype(np.float32)
    return pixels + amount * np.ptp(np.percentile(pixels, [1, 99])) * wave


def clipped(pixels, amount):
    return np.minimum(pixels, np.percentile(pixels, 100 - amount))


def spoiled(frame: Frame, spoil, amount) -> Frame:
    pixels = frame.pixels.astype(np.float32)
    if frame.is_color:
        pixels = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    return dataclasses.replace(frame, pixels=spoil(pixels, amount), is_color=False)


def score(frame: Frame) -> float:
    overall = measure(frame).overall
    return 0.0 if overall is None else overall


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "examples_overlay.dcm"])
def test_clean_clinical_images_pass_the_gate(real_frame, name):
    assert score(real_frame(name)) >= GATE


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "examples_overlay.dcm"])
@pytest.mark.parametrize(("spoil", "amount"), [(noisy, 0.3), (blurred, 5), (clipped, 40)])
def test_heavily_degraded_copies_do_not(real_frame, name, spoil, amount):
    assert score(spoiled(real_frame(name), spoil, amount)) < GATE


@pytest.mark.parametrize("name", ["CT_small.dcm", "examples_overlay.dcm"])
@pytest.mark.parametrize(
    ("spoil", "amounts"),
    [
        (noisy, [0, 0.02, 0.05, 0.1, 0.2]),
        (blurred, [0, 0.7, 1.5, 3, 5]),
        (striped, [0, 0.02, 0.05, 0.15]),
        (clipped, [0, 2, 10, 25]),
    ],
)
def test_a_worse_copy_never_scores_higher(real_frame, name, spoil, amounts):
    frame = real_frame(name)
    scores = [score(spoiled(frame, spoil, amount)) for amount in amounts]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("gain", "offset"), [(2.0, 0.0), (0.25, 0.0), (1.0, 0.5)])
def test_scale_and_offset_without_unit_do_not_matter(real_frame, name, gain, offset):
    frame = spoiled(real_frame(name), lambda pixels, _: pixels, 0)
    shift = offset * float(np.ptp(frame.pixels))
    changed = dataclasses.replace(frame, pixels=frame.pixels * np.float32(gain) + np.float32(shift))
    assert score(changed) == pytest.approx(score(frame), rel=0.01)


def test_real_images_get_numbers_or_reasons_never_nan(pydicom_files):
    scored = 0
    for path in pydicom_files:
        if path.stat().st_size > 600_000 or path.name == "no_meta.dcm":
            continue
        for frame in iter_frames(path, wanted=frozenset([0])):
            if not isinstance(frame, Frame):
                continue
            quality = measure(frame)
            for metric in quality.metrics.values():
                assert (metric.value is None) == (metric.reason is not None)
                if metric.value is not None:
                    assert np.isfinite(metric.value)
                    assert 0 <= metric.part <= 1
            if quality.overall is not None:
                assert 0 <= quality.overall <= 1
                scored += 1
            assert explain(quality, GATE).text
    assert scored > 20


def test_slices_of_the_body_pass_and_their_spoiled_copies_fail(shared_files):
    clean, worse = [], []
    slices = [f for f in shared_files if f.modality == "CT" and f.pixels_ok == "1"]
    for file in slices[::4]:
        for frame in iter_frames(file.path, wanted=frozenset([0])):
            assert isinstance(frame, Frame)
            clean.append(score(frame))
            worse += [score(spoiled(frame, noisy, 0.2)), score(spoiled(frame, blurred, 5))]
    assert np.mean(np.array(clean) >= GATE) >= 0.9
    assert np.mean(np.array(worse) >= GATE) <= 0.1
