"""The metrics against phantoms whose truth is known."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hc_assets.imaging.pixels.frame_context import FrameContext
from hc_assets.imaging.pixels.frames import Frame
from hc_assets.imaging.quality.gates import explain
from hc_assets.imaging.quality.measure import measure

SIDE = 256


def disc(radius: float, row: float = 0.5, column: float = 0.5, side: int = SIDE) -> np.ndarray:
    """Mask of a disc; radius and centre in shares of the side."""
    y, x = np.mgrid[:side, :side] / side
    return (y - row) ** 2 + (x - column) ** 2 < radius**2


def gaussian(pixels: np.ndarray, deviation: float, seed: int = 1) -> np.ndarray:
    return pixels + np.random.default_rng(seed).normal(0, deviation, pixels.shape)


def rician(pixels: np.ndarray, deviation: float) -> np.ndarray:
    return np.hypot(gaussian(pixels, deviation, 1), gaussian(np.zeros(pixels.shape), deviation, 2))


def value(frame, metric: str) -> float:
    found = measure(frame).metrics[metric]
    assert found.value is not None, found.reason
    return found.value


@pytest.mark.parametrize("snr", [5, 10, 20, 50, 100])
@pytest.mark.parametrize(
    ("modality", "noise", "air", "water"),
    [("MR", gaussian, 0, 1000), ("MR", rician, 0, 1000), ("CT", gaussian, -1000, 0)],
)
def test_snr_of_a_uniform_cylinder(frame_of, snr, modality, noise, air, water):
    pixels = np.where(disc(0.38), float(water), air)
    frame = frame_of(noise(pixels, (water - air) / snr), modality)
    assert value(frame, "snr") == pytest.approx(snr, rel=0.05)


@pytest.mark.parametrize("cnr", [1, 2, 5, 10, 20])
def test_cnr_of_two_compartments(frame_of, cnr):
    pixels = np.where(disc(0.42), 1000.0, 0)
    pixels[disc(0.15, 0.45, 0.55)] += 20 * cnr
    assert value(frame_of(gaussian(pixels, 20)), "cnr") == pytest.approx(cnr, rel=0.05)


@pytest.mark.parametrize("cnr", [2, 5, 20])
def test_cnr_of_an_object_on_a_background(frame_of, cnr):
    pixels = np.where(disc(0.25), 1000.0 + 20 * cnr, 1000)
    assert value(frame_of(gaussian(pixels, 20)), "cnr") == pytest.approx(cnr, rel=0.05)


def test_padding_does_not_dilute_the_noise(frame_of):
    pixels = gaussian(np.where(disc(0.38), 0.0, -1000), 20)
    outside = ~disc(0.45)
    padded = np.where(outside, -2000, pixels)
    frame = frame_of(padded, "CT", padding=outside)
    assert measure(frame).noise_sd == pytest.approx(20, rel=0.05)
    # Scanners that name no PixelPaddingValue pad all the same
    assert measure(frame_of(padded, "CT")).noise_sd == pytest.approx(20, rel=0.05)


@pytest.mark.parametrize("blur", [0.8, 1.0, 1.5, 2.0, 3.0, 4.0])
@pytest.mark.parametrize("deviation", [1, 10, 50])
def test_edge_width_is_the_blur_whatever_the_noise(frame_of, blur, deviation):
    pixels = cv2.GaussianBlur(np.where(disc(0.35), 1000.0, 0), (0, 0), blur)
    found = measure(frame_of(gaussian(pixels, deviation))).edge_width
    assert found == pytest.approx(blur, rel=0.15)


def test_sharpness_is_the_frequency_at_half_contrast(frame_of):
    blur = 2.0
    pixels = cv2.GaussianBlur(np.where(disc(0.35), 1000.0, 0), (0, 0), blur)
    at_half = np.sqrt(np.log(2) / 2) / (np.pi * blur)
    assert value(frame_of(gaussian(pixels, 5)), "sharpness") == pytest.approx(
        at_half / 0.5, rel=0.1
    )


@pytest.mark.parametrize("side", [128, 256, 512])
def test_sharpness_does_not_depend_on_the_matrix(frame_of, side):
    pixels = cv2.GaussianBlur(np.where(disc(0.35, side=side), 1000.0, 0), (0, 0), 1.2)
    assert value(frame_of(gaussian(pixels, 5)), "sharpness") == pytest.approx(0.31, rel=0.1)


@pytest.mark.parametrize("slope", [0, 0.02, 0.05, 0.1, 0.15])
@pytest.mark.parametrize(("modality", "air", "water"), [("MR", 0, 1000), ("CT", -1000, 0)])
@pytest.mark.parametrize("deviation", [1, 20])
def test_uniformity_of_a_ramp(frame_of, slope, modality, air, water, deviation):
    ramp = 1 + slope * (np.mgrid[:SIDE, :SIDE][1] / SIDE - 0.5) / 0.4
    pixels = air + np.where(disc(0.4), (water - air) * ramp, 0)
    frame = frame_of(gaussian(pixels, deviation), modality)
    assert value(frame, "uniformity") == pytest.approx(100 * (1 - slope), abs=2)


def test_a_second_tissue_is_not_taken_for_shading(frame_of):
    pixels = np.where(disc(0.42), 1000.0, 0)
    pixels[disc(0.2, 0.4, 0.6)] = 1600
    assert value(frame_of(gaussian(pixels, 20)), "uniformity") > 97


@pytest.mark.parametrize(
    ("pixels", "context", "reason"),
    [
        (np.full((64, 64), 7, np.uint16), {}, "constant_image"),
        (np.arange(9, dtype=np.uint16).reshape(3, 3), {}, "image_too_small"),
        (np.eye(64, dtype=np.uint8), {"is_labels": True}, "labels_not_intensities"),
        (np.full((64, 64), np.nan), {}, "nearly_all_padding"),
        (np.kron(np.eye(2), np.ones((40, 40))).astype(np.uint8), {}, "noise_not_estimable"),
        (np.ones((64, 64)), {"padding": np.ones((64, 64), bool)}, "nearly_all_padding"),
    ],
)
def test_what_has_no_meaning_is_null_with_a_reason(frame_of, pixels, context, reason):
    quality = measure(frame_of(pixels, **context))
    assert quality.overall is None
    assert explain(quality, 0.5).text == f"no score: {reason}"
    for metric in quality.metrics.values():
        assert (metric.value, metric.part, metric.reason) == (None, None, reason)


@settings(max_examples=100, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(32, 56), st.integers(32, 56)),
        elements=st.floats(width=32),
        fill=st.sampled_from([0.0, 1.0, float("nan")]),
    ),
    st.sampled_from(["CT", "MR", "DX", "US"]),
)
def test_no_metric_is_ever_nan_or_infinite(pixels, modality):
    frame = Frame(0, pixels, False, None, (0.0, 1.0), "none", FrameContext(modality=modality))
    quality = measure(frame)
    for metric in quality.metrics.values():
        assert (metric.value is None) == (metric.reason is not None)
        assert metric.value is None or np.isfinite(metric.value)


DTYPES = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.float32, np.float64)


@settings(max_examples=100, deadline=None)
@given(
    pixels=st.sampled_from(DTYPES).flatmap(
        lambda dtype: hnp.arrays(
            dtype,
            hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=48),
            fill=st.just(dtype(0)),
        )
    ),
    modality=st.sampled_from(["CT", "MR", "DX", "US", "NM", ""]),
    is_labels=st.booleans(),
)
def test_pixels_of_any_kind_and_size_get_numbers_or_reasons(pixels, modality, is_labels):
    context = FrameContext(modality=modality, is_labels=is_labels)
    quality = measure(Frame(0, pixels, False, None, (0.0, 1.0), "none", context))
    too_small = min(pixels.shape) < 32
    for metric in quality.metrics.values():
        assert (metric.value is None) == (metric.part is None) == (metric.reason is not None)
        assert metric.value is None or (np.isfinite(metric.value) and 0 <= metric.part <= 1)
        assert metric.value is None or not (is_labels or too_small)
    assert quality.overall is None or 0 <= quality.overall <= 1


def test_screens_are_judged_where_their_header_says_the_image_is(frame_of):
    pixels = gaussian(np.where(disc(0.2), 1000.0, 300), 20)
    alone = measure(frame_of(pixels, "US", image_regions=((20, 20, 235, 235),)))
    pixels[:15, ::3], pixels[-12:, 40:200] = 4000, 4000
    drawn = measure(frame_of(pixels, "US", image_regions=((20, 20, 235, 235),)))
    assert drawn.metrics == alone.metrics
    assert measure(frame_of(pixels, "US")).metrics != alone.metrics


def test_edges_of_one_direction_that_got_softer_lower_the_sharpness(frame_of):
    pixels = cv2.GaussianBlur(np.where(disc(0.35), 1000.0, 0), (0, 0), 1)
    widths = [
        measure(frame_of(gaussian(cv2.blur(pixels, (length, 1)), 5))).edge_width
        for length in (1, 3, 7, 15)
    ]
    assert widths == sorted(widths)
    assert widths[-1] > 1.3 * widths[0]


def test_a_slanted_edge_distinguishes_sharp_from_soft(frame_of):
    y, x = np.mgrid[:SIDE, :SIDE]
    edge = np.where(x + 0.09 * y > 140, 1000.0, 200)
    blurs = (0.5, 0.8, 1.2, 2.0, 3.5)
    found = [
        value(frame_of(gaussian(cv2.GaussianBlur(edge, (0, 0), blur), 10)), "sharpness")
        for blur in blurs
    ]
    assert found == sorted(found, reverse=True)
    assert found[0] > 3 * found[-1]


def test_empty_borders_do_not_decide_how_sharp_an_image_is(frame_of):
    inner = cv2.GaussianBlur(np.where(disc(0.35), 1000.0, 400), (0, 0), 2)
    padded = np.zeros((320, 320))
    padded[32:-32, 32:-32] = inner
    zeroed, noisy = padded.copy(), gaussian(padded, 5)
    zeroed[32:-32, 32:-32] = gaussian(inner, 5)
    widths = [measure(frame_of(each)).edge_width for each in (zeroed, noisy)]
    assert widths == pytest.approx([2, 2], rel=0.15)


def test_a_projection_has_no_uniformity_and_shares_its_weight(frame_of):
    pixels = gaussian(cv2.GaussianBlur(np.where(disc(0.38), 1000.0, 100), (0, 0), 1), 20)
    quality = measure(frame_of(pixels, "DX"))
    assert quality.metrics["uniformity"].reason == "anatomy_not_told_from_shading"
    assert quality.weights_rescaled
    parts = {name: m.part for name, m in quality.metrics.items() if m.part is not None}
    expected = (
        0.25 * parts["snr"]
        + 0.25 * parts["cnr"]
        + 0.2 * parts["sharpness"]
        + 0.1 * parts["artifacts_score"]
    ) / 0.8
    assert quality.overall == pytest.approx(expected)


def test_the_score_is_the_weighted_mean_of_its_parts(frame_of):
    quality = measure(frame_of(gaussian(np.where(disc(0.38), 1000.0, 0), 50)))
    weights = {
        "snr": 0.25,
        "cnr": 0.25,
        "sharpness": 0.2,
        "uniformity": 0.2,
        "artifacts_score": 0.1,
    }
    assert not quality.weights_rescaled
    assert quality.overall == pytest.approx(
        sum(weight * quality.metrics[name].part for name, weight in weights.items())
    )


def striped(pixels: np.ndarray, amplitude: float) -> np.ndarray:
    rows = np.arange(len(pixels))[:, None]
    return pixels + amplitude * np.sign(np.sin(2 * np.pi * rows / 8))


def ghosted(pixels: np.ndarray, share: float) -> np.ndarray:
    return pixels + share * np.roll(pixels, SIDE // 2, axis=0)


@pytest.mark.parametrize(
    ("spoil", "detector", "strengths"),
    [
        (striped, "banding", [0, 10, 40, 150]),
        (ghosted, "ghosting", [0, 0.02, 0.05, 0.1]),
        (lambda p, q: np.minimum(p, np.quantile(p, 1 - q)), "clipping", [0, 0.01, 0.05, 0.2]),
    ],
)
def test_each_detector_answers_to_its_artifact_alone(frame_of, spoil, detector, strengths):
    base = gaussian(np.where(disc(0.3, 0.35, 0.5), 1000.0, 0), 15)
    found = [measure(frame_of(spoil(base, strength))).artifacts for strength in strengths]
    severities = [getattr(artifacts, detector) for artifacts in found]
    assert severities[0] < 0.05
    assert severities == sorted(severities)
    assert severities[-1] > 0.6
    for other in {"banding", "ghosting", "clipping"} - {detector}:
        assert getattr(found[1], other) < 0.1
