"""The score on real images and on copies that are known to be worse."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hc_assets.imaging.gates import explain
from hc_assets.imaging.pixels import Frame, iter_frames
from hc_assets.imaging.quality import measure
from hc_assets.sample_data.degradations import DEGRADATIONS, luma, spoiled

GATE = 0.5
# What a blind estimate of noise may wander by from copy to copy
SLACK = 0.02
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
