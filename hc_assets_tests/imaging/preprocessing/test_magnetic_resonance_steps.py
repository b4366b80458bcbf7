import cv2
import numpy as np
import pytest
import SimpleITK as sitk

from hc_assets.imaging.preprocessing import mr
from hc_assets.imaging.preprocessing.bias import NoFieldError, homomorphic_field, n4_field
from hc_assets.imaging.preprocessing.denoising import adaptive_mean, additive_noise
from hc_assets.imaging.preprocessing.parameters import MrParameters, Preprocessing
from hc_assets.imaging.preprocessing.registry import recipe_for

SIDE = 160


def phantom() -> tuple[np.ndarray, np.ndarray]:
    """Two tissues in a disc with air around them, and where the object is."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    disc = np.hypot(y, x) < SIDE * 0.42
    checks = ((y // 10 + x // 10) % 2).astype(bool)
    return np.where(disc, np.where(checks, 900, 600), 0).astype(np.float32), disc


def shading() -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    return (0.6 + 0.5 * x + 0.3 * y * y).astype(np.float32)


def unevenness(image: np.ndarray, disc: np.ndarray) -> float:
    """Deviation over mean of what is smooth in the object."""
    weight = cv2.GaussianBlur(disc.astype(np.float32), (0, 0), 12)
    smooth = cv2.GaussianBlur(np.where(disc, image, 0).astype(np.float32), (0, 0), 12) / weight
    inside = cv2.erode(disc.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    return float(smooth[inside].std() / smooth[inside].mean())


@pytest.mark.parametrize("method", ["n4", "homomorphic"])
def test_shading_is_divided_out(method):
    image, disc = phantom()
    shaded = image * shading()
    if method == "n4":
        field = n4_field(shaded, disc, shrink=4, iterations=30, levels=3)
    else:
        field = homomorphic_field(shaded, disc, width=0.15)
    assert field[disc].mean() == pytest.approx(1, abs=1e-3)
    assert unevenness(shaded / field, disc) < unevenness(shaded, disc) / 2.5


@pytest.mark.parametrize("shrink", [1, 4, 16])
def test_the_field_is_of_full_resolution_whatever_it_is_fitted_on(shrink):
    image, disc = phantom()
    field = n4_field(image * shading(), disc, shrink=shrink, iterations=5, levels=2)
    assert field.shape == image.shape
    assert (field > 0).all()


def test_air_is_never_raised_above_what_the_object_needs():
    image, disc = phantom()
    for field in (
        n4_field(image * shading(), disc, shrink=4, iterations=30, levels=3),
        homomorphic_field(image * shading(), disc, width=0.15),
    ):
        assert field[~disc].min() >= field[disc].min()


@pytest.mark.parametrize("side", [4, 17])
def test_an_object_too_small_for_a_fit_is_left_alone(side):
    counts = np.zeros((side, side), np.bool_)
    counts[0, 0] = True
    field = n4_field(np.ones((side, side), np.float32), counts, shrink=4, iterations=5, levels=2)
    assert (field == 1).all()


def test_the_field_is_the_same_bytes_however_many_threads_there_are():
    image, disc = phantom()
    fields = []
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    try:
        for threads in (1, 2, 7):
            sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
            field = n4_field(image * shading(), disc, shrink=1, iterations=5, levels=2)
            fields.append(field.tobytes())
            assert sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == threads
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)
    assert fields[0] == fields[1] == fields[2]


def test_noise_is_measured_beside_zeroed_air():
    image, disc = phantom()
    noisy = np.where(disc, image + np.random.default_rng(1).normal(0, 30, image.shape), 0)
    found = additive_noise(noisy.astype(np.float32), noisy > 0) ** 0.5
    assert found == pytest.approx(30, rel=0.15)


def test_noise_falls_and_edges_stay():
    image, disc = phantom()
    noisy = (image + np.random.default_rng(2).normal(0, 30, image.shape)).astype(np.float32)
    made = adaptive_mean(noisy, 30.0**2, side=3, counts=disc)
    error_before, error_after = (
        float(np.sqrt(np.mean((each - image)[disc] ** 2))) for each in (noisy, made)
    )
    assert error_after < 0.75 * error_before
    np.testing.assert_array_equal(made[~disc], noisy[~disc])
    y = SIDE // 2
    steps_before, steps_after = (np.abs(np.diff(each[y, 40:120])).max() for each in (image, made))
    assert steps_after > 0.7 * steps_before


def test_without_noise_nothing_changes():
    image, _ = phantom()
    np.testing.assert_allclose(adaptive_mean(image, 0.0, side=3), image, rtol=1e-5)


def test_shaded_tissue_comes_out_even(frame_of):
    image, disc = phantom()
    frame = frame_of(image * shading(), "MR")
    spread = {}
    for bias in ("none", "homomorphic", "n4"):
        preprocessing = Preprocessing(mr=MrParameters(bias=bias, rows=SIDE, columns=SIDE))
        made = recipe_for("MR", preprocessing).run(frame)
        spread[bias] = unevenness(made.pixels, disc)
        assert made.pixels[~disc].max() < 0.05
    assert spread["n4"] < spread["none"] / 2
    assert spread["homomorphic"] < spread["none"] / 2


def test_maps_with_values_below_zero_are_no_magnitudes(frame_of):
    values = np.random.default_rng(3).normal(0, 100, (64, 64)).astype(np.float32)
    made = recipe_for("MR").run(frame_of(values, "MR"))
    assert made.decisions[0] == "no bias field or noise: values are no magnitudes"


@pytest.mark.parametrize("inside", [1.0, 1000.0])
def test_an_object_without_any_structure_goes_through(frame_of, inside):
    _, disc = phantom()
    made = recipe_for("MR").run(frame_of(np.where(disc, inside, 0).astype(np.float32), "MR"))
    assert np.isfinite(made.pixels).all()
    assert made.pixels[128, 128] > 0.7


def test_a_fit_that_fails_skips_the_correction_and_is_recorded(frame_of, monkeypatch):
    def failing(*_: object, **__: object) -> None:
        raise NoFieldError("N4 found no field")

    monkeypatch.setattr(mr, "n4_field", failing)
    image, _ = phantom()
    made = recipe_for("MR").run(frame_of(image, "MR"))
    assert "no bias field: N4 found no field" in made.decisions
    assert made.pixels[128, 128] > 0.4
