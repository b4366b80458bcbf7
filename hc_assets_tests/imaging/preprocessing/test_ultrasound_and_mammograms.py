import numpy as np
import pytest

from hc_assets.imaging.preprocessing.mg import breast_mask
from hc_assets.imaging.preprocessing.parameters import (
    MammogramParameters,
    Preprocessing,
    UltrasoundParameters,
)
from hc_assets.imaging.preprocessing.registry import recipe_for

SIDE = 256


def speckled(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A bright square in tissue, and the same under multiplicative speckle."""
    truth = np.full((SIDE, SIDE), 0.3)
    truth[80:176, 80:176] = 0.7
    speckle = np.random.default_rng(seed).rayleigh(1, truth.shape) / np.sqrt(np.pi / 2)
    return truth, np.clip(truth * (1 + 0.4 * (speckle - 1)), 0, 1)


def test_speckle_falls_and_the_edge_stays(frame_of):
    _, seen = speckled()
    frame = frame_of(np.rint(seen * 255).astype(np.uint8), "US")
    made, untouched = (
        recipe_for("US", Preprocessing(us=UltrasoundParameters(despeckle_pixels=side)))
        .run(frame)
        .pixels
        for side in (5, 1)
    )
    for place in (slice(100, 156), slice(10, 60)):
        assert made[place, place].std() < 0.6 * untouched[place, place].std()
        assert made[place, place].mean() == pytest.approx(untouched[place, place].mean(), rel=0.03)
    across = made[100:156].mean(axis=0)
    assert across[86] - across[73] > 0.8 * (across[120] - across[40])


def coloured() -> np.ndarray:
    _, seen = speckled()
    pixels = np.repeat(np.rint(seen * 255).astype(np.uint8)[..., None], 3, axis=2)
    pixels[100:140, 20:60] = (220, 30, 20)
    return pixels


def test_a_colour_overlay_is_detected_and_changes_nothing(frame_of):
    with_flow = recipe_for("US").run(frame_of(coloured(), "US", limits=(0.0, 255.0)))
    flow = np.unpackbits(np.frombuffer(with_flow.overlay, np.uint8)).reshape(SIDE, SIDE) > 0
    assert flow[100:140, 20:60].all()
    assert flow.sum() == 40 * 40
    luminance = (0.299 * 220 + 0.587 * 30 + 0.114 * 20) / 255
    assert with_flow.pixels[flow] == pytest.approx(luminance, abs=1e-5)
    # Around the overlay no red has bled in: what is there is near what was there
    beside = with_flow.pixels[100:140, 60:63]
    assert beside.mean() == pytest.approx(coloured()[100:140, 60:63, 0].mean() / 255, rel=0.1)


def test_single_coloured_pixels_are_noise_and_two_that_touch_are_not(frame_of):
    pixels = coloured()
    for row, column in ((0, 0), (30, 90), (50, 90), (51, 91)):
        pixels[row, column] = (220, 30, 20)
    made = recipe_for("US").run(frame_of(pixels, "US", limits=(0.0, 255.0)))
    overlay = np.unpackbits(np.frombuffer(made.overlay, np.uint8)).reshape(SIDE, SIDE) > 0
    assert not overlay[0, 0]
    assert not overlay[30, 90]
    assert overlay[50, 90]
    assert overlay[51, 91]
    assert overlay.sum() == 40 * 40 + 2


def test_an_overlay_can_be_removed(frame_of):
    preprocessing = Preprocessing(us=UltrasoundParameters(overlays="remove"))
    made = (
        recipe_for("US", preprocessing).run(frame_of(coloured(), "US", limits=(0.0, 255.0))).pixels
    )
    assert made[100:140, 20:60].max() == 0


def test_a_tinted_image_is_no_overlay(frame_of):
    _, seen = speckled()
    tint = np.rint(seen[..., None] * np.array([255, 190, 120])).astype(np.uint8)
    made = recipe_for("US").run(frame_of(tint, "US", limits=(0.0, 255.0)))
    assert made.overlay is None


def mammogram(*, right: bool = False) -> np.ndarray:
    """A half disc of tissue at the chest wall, skin darker, a label in the far corner."""
    rows, columns = 600, 400
    y, x = np.mgrid[:rows, :columns]
    radius = np.hypot((y - 260) / 200, x / 250)
    generator = np.random.default_rng(5)
    tissue = 2500 - 1200 * radius**4 + generator.normal(0, 40, radius.shape)
    pixels = np.where(radius < 1, tissue, 80 + generator.normal(0, 8, radius.shape))
    pixels[20:60, 320:390] = 3900
    pixels = np.clip(pixels, 0, 4095).astype(np.uint16)
    return pixels[:, ::-1] if right else pixels


def test_the_mask_is_the_breast_to_its_edge_without_the_label():
    visible = (mammogram() / 4095).astype(np.float32)
    y, x = np.mgrid[:600, :400]
    breast = np.hypot((y - 260) / 200, x / 250) < 1
    found = breast_mask(visible)
    overlap = (found & breast).sum() / (found | breast).sum()
    assert overlap > 0.98
    assert not found[20:60, 320:390].any()


def test_all_breasts_point_to_the_right(frame_of):
    preprocessing = Preprocessing(mg=MammogramParameters(rows=512, columns=512))
    left, right = (
        recipe_for("MG", preprocessing).run(frame_of(mammogram(right=side), "MG"))
        for side in (False, True)
    )
    np.testing.assert_allclose(left.pixels, right.pixels, atol=1e-6)
    assert "turned left to right" in right.decisions
    assert "turned left to right" not in left.decisions
    assert right.source_to_array[4] == -left.source_to_array[4]


@pytest.mark.parametrize(
    ("patient_orientation", "turned"),
    [
        (("A", "F"), ()),
        (("P", "F"), ("turned left to right",)),
        (("P", "H"), ("turned left to right", "turned upside down")),
        (("AL", "FR"), ()),
    ],
)
def test_patient_orientation_decides_where_it_is_sent(frame_of, patient_orientation, turned):
    preprocessing = Preprocessing(mg=MammogramParameters(rows=64, columns=64))
    frame = frame_of(mammogram(), "MG", patient_orientation=patient_orientation)
    assert recipe_for("MG", preprocessing).run(frame).decisions[-len(turned) or 9 :] == turned


def test_orientation_can_stay_as_stored(frame_of):
    preprocessing = Preprocessing(
        mg=MammogramParameters(rows=64, columns=64, orientation="as_stored")
    )
    made = recipe_for("MG", preprocessing).run(frame_of(mammogram(right=True), "MG"))
    assert made.source_to_array[4] > 0


def test_12_bits_fill_the_range_before_they_are_equalised(frame_of):
    narrow = (mammogram() // 8).astype(np.uint16)
    preprocessing = Preprocessing(mg=MammogramParameters(clahe_clip_limit=0, rows=600, columns=600))
    made = recipe_for("MG", preprocessing).run(frame_of(narrow, "MG")).pixels
    tissue = made[made > 0]
    assert np.quantile(tissue, 0.99) > 0.95
    assert np.quantile(tissue, 0.02) < 0.2
