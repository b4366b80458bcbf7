"""The score on real images and on copies that are known to be worse."""

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hc_assets.imaging.pixels.frames import Frame, iter_frames
from hc_assets.imaging.quality.gates import explain
from hc_assets.imaging.quality.measure import measure
from hc_assets_tests.imaging.quality.degradations import DEGRADATIONS, luma, spoiled, spread

GATE = 0.5
# What a blind estimate of noise may wander by from copy to copy
SLACK = 0.005
NAMES = ["MR_small.dcm", "examples_overlay.dcm", "examples_rgb_color.dcm"]


@pytest.fixture(scope="session")
def real_frame(testdata):
    def first(name: str) -> Frame:
        return next(iter(iter_frames(testdata(name))))

    return first


def score(frame: Frame) -> float:
    overall = measure(frame).overall
    return 0.0 if overall is None else overall


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "examples_overlay.dcm"])
def test_clean_clinical_images_pass_the_gate(real_frame, name):
    assert score(real_frame(name)) >= GATE


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "examples_overlay.dcm"])
@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_heavily_degraded_copies_do_not(real_frame, name, kind):
    heavy = DEGRADATIONS[kind].amounts[-1]
    assert score(spoiled(real_frame(name), DEGRADATIONS[kind], heavy)) < GATE


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(["CT_small.dcm", "examples_overlay.dcm", "J2K_pixelrep_mismatch.dcm"]),
    kind=st.sampled_from(sorted(DEGRADATIONS)),
    amounts=st.tuples(st.floats(0.1, 1), st.floats(0.1, 1)).filter(lambda a: a[1] >= 1.3 * a[0]),
)
def test_a_worse_copy_never_scores_higher(real_frame, name, kind, amounts):
    """Amounts are shares of a heavy one, far enough apart to be seen."""
    frame, heavy = real_frame(name), DEGRADATIONS[kind].amounts[-1]
    less, more = (score(spoiled(frame, DEGRADATIONS[kind], heavy * a)) for a in amounts)
    assert more <= less + SLACK
    assert more < score(frame)


@pytest.mark.parametrize("name", ["CT_small.dcm", "693_J2KI.dcm", *NAMES])
@pytest.mark.parametrize(
    ("gain", "offset"), [(2.0, 0.0), (0.25, 0.0), (1.0, 0.5), (1.7, -0.2), (1.0, -3.0)]
)
def test_scale_and_offset_do_not_matter(real_frame, name, gain, offset):
    frame = real_frame(name)
    pixels = luma(frame)
    changed = pixels * np.float32(gain) + np.float32(offset * np.ptp(pixels))
    before, after = (
        score(dataclasses.replace(frame, pixels=each, is_color=False)) for each in (pixels, changed)
    )
    assert after == pytest.approx(before, rel=0.01)


def ghosted_elsewhere(image: np.ndarray, amount: float) -> np.ndarray:
    shifted = np.roll(image, image.shape[1] // 8, axis=1)
    return (1 - amount) * image + amount * shifted


def moved(image: np.ndarray, amount: float) -> np.ndarray:
    return cv2.blur(image, (round(amount), 1))


def banded(image: np.ndarray, amount: float) -> np.ndarray:
    wave = np.sin(2 * np.pi * np.arange(image.shape[1]) / 11)
    return image + amount * spread(image) * wave


@pytest.mark.parametrize("name", ["CT_small.dcm", "examples_overlay.dcm", "693_J2KI.dcm"])
@pytest.mark.parametrize(
    ("spoil", "amounts"),
    [(ghosted_elsewhere, (0.1, 0.2, 0.4)), (moved, (3, 7, 15)), (banded, (0.05, 0.1, 0.2))],
)
def test_other_ghosts_blurs_and_bands_lower_the_score_too(real_frame, name, spoil, amounts):
    frame = real_frame(name)
    pixels = luma(frame)
    scores = [score(dataclasses.replace(frame, is_color=False))]
    for amount in amounts:
        worse = spoil(pixels, amount).astype(np.float32)
        scores.append(score(dataclasses.replace(frame, pixels=worse, is_color=False)))
    assert max(scores[1:]) < scores[0]
    assert np.diff(scores).max() <= SLACK


# Severity that no clean image of the body may have: ghosts, stripes, rings, missing lines, metal
QUIET = {"ghosting": 0.1, "banding": 0.1, "rings": 0.1, "clipping": 0.1, "missing_lines": 0.05}
CLEAN = ["CT_small.dcm", "693_UNCI.dcm", "examples_overlay.dcm", "MR2_UNCI.dcm", "dx_image.dcm"]


@pytest.mark.parametrize("name", CLEAN)
def test_detectors_are_quiet_on_clean_images(real_files, name):
    path = next((path for path in real_files if path.name == name), None)
    if path is None:
        pytest.skip(f"{name} is not here")
    frame = next(iter(iter_frames(path, wanted=frozenset([0]))))
    found = measure(frame).artifacts
    severities = {each: getattr(found, each) or 0.0 for each in QUIET}
    assert all(severities[each] <= most for each, most in QUIET.items()), severities


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
            worse += [score(spoiled(frame, d, d.amounts[-1])) for d in DEGRADATIONS.values()]
    assert np.mean(np.array(clean) >= GATE) >= 0.9
    assert np.mean(np.array(worse) >= GATE) <= 0.1
