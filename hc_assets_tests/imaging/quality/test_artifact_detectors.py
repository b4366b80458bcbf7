"""Each detector against phantoms with its artifact, and all of them against clean ones."""

from dataclasses import fields

import cv2
import numpy as np
import pytest

from hc_assets.imaging.quality.artifacts import Artifacts
from hc_assets.imaging.quality.measure import measure

SIDE = 256
DETECTORS = [field.name for field in fields(Artifacts)]
Y, X = np.mgrid[:SIDE, :SIDE] / SIDE


def ellipse(row: float, column: float, rows: float, columns: float) -> np.ndarray:
    return ((Y - row) / rows) ** 2 + ((X - column) / columns) ** 2 < 1


def scanned(pixels: np.ndarray, noise: float, seed: int = 1) -> np.ndarray:
    """What a scanner makes of it: a point spread of 0.8 pixels, and noise."""
    blurred = cv2.GaussianBlur(pixels.astype(np.float64), (0, 0), 0.8)
    return blurred + np.random.default_rng(seed).normal(0, noise, pixels.shape)


def trunk(row: float = 0.5) -> np.ndarray:
    """Hounsfield units: fat around muscle, with a pair of lungs that are alike, and a spine."""
    hu = np.full((SIDE, SIDE), -1000.0)
    for value, *place in (
        (-90, row, 0.5, 0.34, 0.44),
        (50, row, 0.5, 0.30, 0.40),
        (-800, row - 0.02, 0.34, 0.20, 0.13),
        (-800, row - 0.02, 0.66, 0.20, 0.13),
        (300, row + 0.2, 0.5, 0.06, 0.06),
    ):
        hu[ellipse(*place)] = value
    return hu


def head() -> np.ndarray:
    """Signal of MR: a bright rim, two tissues, dark air."""
    signal = np.zeros((SIDE, SIDE))
    for value, *place in ((900, 0.5, 0.5, 0.4, 0.32), (500, 0.5, 0.5, 0.36, 0.28)):
        signal[ellipse(*place)] = value
    signal[ellipse(0.45, 0.55, 0.12, 0.08)] = 800
    return signal


def radiograph() -> np.ndarray:
    """Attenuation of a limb with a bone; 0 where the detector is bare."""
    along = np.sqrt(np.clip(1 - ((X - 0.5) / 0.3) ** 2, 0, None))
    bone = np.sqrt(np.clip(1 - ((X - 0.45 - 0.1 * Y) / 0.06) ** 2, 0, None))
    return 2000 * along + 1200 * bone


CLEAN = {
    "CT": lambda: scanned(trunk(), 12),
    "MR": lambda: scanned(head(), 12),
    "DX": lambda: scanned(radiograph(), 12),
    "US": lambda: scanned(head(), 12),
}


@pytest.mark.parametrize("modality", CLEAN)
def test_all_are_quiet_on_what_is_clean(frame_of, modality):
    found = measure(frame_of(CLEAN[modality](), modality)).artifacts
    loud = {name: getattr(found, name) for name in DETECTORS if (getattr(found, name) or 0) > 0.1}
    assert loud == {}


def rings(pixels: np.ndarray, strength: float) -> np.ndarray:
    radius = np.hypot(Y - 0.5 + 0.5 / SIDE, X - 0.5 + 0.5 / SIDE) * SIDE
    return pixels + strength * np.sign(np.sin(radius * 2 * np.pi / 7))


def bands(pixels: np.ndarray, strength: float) -> np.ndarray:
    return pixels + strength * np.sin(2 * np.pi * np.arange(SIDE) / 9)[:, None]


def ghosts(pixels: np.ndarray, strength: float) -> np.ndarray:
    return pixels + strength * np.roll(pixels - pixels.min(), SIDE // 2, axis=0)


def dead_lines(pixels: np.ndarray, strength: float) -> np.ndarray:
    dead = pixels.copy()
    dead[:, np.linspace(90, 160, int(strength)).astype(int)] = 0
    return dead


def metal(pixels: np.ndarray, strength: float) -> np.ndarray:
    return np.where(ellipse(0.7, 0.5, strength, strength), 8000.0, pixels)


def saturated(pixels: np.ndarray, strength: float) -> np.ndarray:
    return np.minimum(pixels, np.quantile(pixels, 1 - strength))


def beyond_the_field(_: np.ndarray, strength: float) -> np.ndarray:
    """The body, enlarged about the middle of the field."""
    place = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), 0, strength)
    return scanned(cv2.warpAffine(trunk(), place, (SIDE, SIDE), borderValue=-1000), 12)


def undersampled(pixels: np.ndarray, strength: float) -> np.ndarray:
    """A grating that gets finer than the pixels, sampled without smoothing."""
    grating = np.sign(np.sin(2 * np.pi * SIDE * (0.1 * X + 0.4 * X**2)))
    return pixels + strength * np.where(ellipse(0.5, 0.5, 0.4, 0.32), grating, 0)


@pytest.mark.parametrize(
    ("detector", "modality", "spoil", "strengths"),
    [
        ("rings", "CT", rings, (10, 30, 90)),
        ("banding", "MR", bands, (10, 30, 90)),
        ("banding", "DX", bands, (30, 90, 270)),
        ("ghosting", "MR", ghosts, (0.03, 0.06, 0.2)),
        ("ghosting", "CT", ghosts, (0.06, 0.12, 0.25)),
        ("clipping", "MR", saturated, (0.02, 0.1, 0.3)),
        ("clipping", "DX", saturated, (0.15, 0.3, 0.45)),
        ("missing_lines", "DX", dead_lines, (1, 2, 4)),
        ("metal", "CT", metal, (0.02, 0.04, 0.06)),
        ("truncation", "CT", beyond_the_field, (1.2, 1.5, 1.8)),
        ("aliasing", "MR", undersampled, (20, 60, 200)),
    ],
)
def test_each_goes_off_for_its_artifact(frame_of, detector, modality, spoil, strengths):
    clean = CLEAN[modality]()
    frames = [frame_of(clean, modality)]
    frames += [frame_of(spoil(clean, strength), modality) for strength in strengths]
    measured = [measure(frame) for frame in frames]
    severities = [getattr(quality.artifacts, detector) for quality in measured]
    assert severities == sorted(severities)
    assert severities[-1] > 0.5
    assert measured[-1].artifacts.score < measured[0].artifacts.score


def test_detectors_of_other_modalities_have_no_value(frame_of):
    assert measure(frame_of(CLEAN["MR"](), "MR")).artifacts.rings is None
    assert measure(frame_of(CLEAN["DX"](), "DX")).artifacts.metal is None
    assert measure(frame_of(CLEAN["US"](), "US")).artifacts.missing_lines is None
    # Scaled values are no Hounsfield units, so none of them is known to be metal
    assert measure(frame_of(CLEAN["CT"]() * 3 + 500, "CT")).artifacts.metal is None


def breast() -> np.ndarray:
    """Attenuation: nothing covers two thirds of the detector, and air is cut off at 0."""
    inside = ellipse(0.5, 0.0, 0.42, 0.5)
    rim = cv2.GaussianBlur(inside.astype(np.float64), (0, 0), 3)
    gland = cv2.GaussianBlur(np.random.default_rng(2).normal(0, 1, inside.shape), (0, 0), 6)
    tissue = np.where(inside, 2000 * rim + 6000 * gland, 0)
    return np.clip(scanned(tissue, 15), 0, 4095).round()


@pytest.mark.parametrize("is_inverted", [False, True])
@pytest.mark.parametrize("brightens_with_dose", [None, False, True])
def test_bare_detector_is_no_saturation_whatever_the_header_says(
    frame_of, is_inverted, brightens_with_dose
):
    pixels = 4095 - breast() if is_inverted else breast()
    context = {"is_inverted": is_inverted, "brightens_with_dose": brightens_with_dose}
    quality = measure(frame_of(pixels, "MG", **context))
    assert quality.artifacts.clipping < 0.05
    assert quality.measurable_share > 0.99
    # The brightest tenth of the image is much of the breast
    cut = np.quantile(breast(), 0.9)
    spoiled = np.maximum(pixels, 4095 - cut) if is_inverted else np.minimum(pixels, cut)
    assert measure(frame_of(spoiled, "MG", **context)).artifacts.clipping > 0.5


def test_raw_radiographs_are_bare_where_the_header_says_doses_go(frame_of):
    raw = 4095 - breast()
    bright = measure(frame_of(raw, "MG", brightens_with_dose=True))
    assert bright.artifacts.clipping < 0.05


def test_what_was_cut_out_of_the_midst_of_a_body_is_no_bare_detector(frame_of):
    body = scanned(1500 + 1000 * np.sin(3 * X) * np.cos(4 * Y), 15)
    shares = [0.0, 0.2, 0.4]
    cut = [np.maximum(body, np.quantile(body, share)) for share in shares]
    found = [measure(frame_of(each, "DX")).artifacts.clipping for each in cut]
    assert found[0] < 0.05
    assert found == sorted(found)
    assert found[-1] > 0.9


def test_organs_that_are_alike_are_no_ghosts_where_the_air_shows_none(frame_of):
    clean = measure(frame_of(scanned(trunk(), 12), "CT"))
    assert clean.artifacts.ghosting < 0.05
    # As far apart as the lungs are
    far = round(0.32 * SIDE)
    pixels = scanned(trunk(), 12)
    ghosted = pixels + 0.2 * np.roll(pixels + 1000, far, axis=1)
    assert measure(frame_of(ghosted, "CT")).artifacts.ghosting > 0.5


def test_below_32_pixels_nothing_is_measured(frame_of):
    pixels = cv2.resize(CLEAN["CT"](), (31, 31), interpolation=cv2.INTER_AREA)
    quality = measure(frame_of(pixels, "CT"))
    assert quality.overall is None
    assert {metric.reason for metric in quality.metrics.values()} == {"image_too_small"}
