import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hc_assets.sample_data.phantoms import grid, texture
from hc_assets.sample_data.phantoms_ct import abdomen_slice, chest_slice, outside_field
from hc_assets.sample_data.phantoms_mr import head_slice
from hc_assets.sample_data.phantoms_us import color_frames, gray_frames
from hc_assets.sample_data.phantoms_xray import breast_attenuation, chest_attenuation, shaken
from hc_assets.sample_data.seeded import pixel_stream


def _rng(*names):
    return pixel_stream(1, *names)


@given(
    st.tuples(st.floats(-1.5, 1.5), st.floats(-1.5, 1.5)),
    st.tuples(st.floats(0.01, 2), st.floats(0.01, 2)),
    st.floats(-7, 7),
)
@settings(max_examples=200, deadline=None)
def test_ellipse_marks_what_the_equation_says(centre, radii, turn):
    place = grid(40, 56)
    dx = place.x.astype(float) - centre[0]
    dy = place.y.astype(float) - centre[1]
    along = dx * np.cos(turn) + dy * np.sin(turn)
    across = dy * np.cos(turn) - dx * np.sin(turn)
    value = (along / radii[0]) ** 2 + (across / radii[1]) ** 2
    near_rim = np.abs(value - 1) < 1e-3 * (1 + 1 / min(radii))
    marked = place.ellipse(centre, radii, turn)
    assert np.array_equal(marked[~near_rim], (value <= 1)[~near_rim])
    painted = np.zeros(place.shape, np.float32)
    place.paint(painted, 5, centre, radii, turn)
    assert np.array_equal(painted == 5, marked)


@pytest.mark.parametrize("sigma", [1.0, 7.0, 25.0])
def test_texture_has_the_requested_deviation(sigma):
    assert texture((200, 240), sigma, 12, _rng("t")).std() == pytest.approx(12, rel=0.15)


def test_ct_tissues_have_their_hounsfield_units():
    hu = chest_slice(256, 0.3, _rng("c"), noise_hu=0)
    place = grid(256, 256)
    assert hu[place.ellipse((0.9, -0.8), (0.05, 0.05))].mean() == pytest.approx(-1000, abs=1)
    assert hu[place.ellipse((0.07, -0.14), (0.15, 0.15))].mean() == pytest.approx(160, abs=8)
    assert np.median(hu[place.ellipse((-0.41, -0.02), (0.2, 0.25))]) == pytest.approx(-850, abs=5)
    fat = place.ellipse((0, 0), (0.86, 0.64)) & ~place.ellipse((0, 0.01), (0.84, 0.61))
    assert hu[fat].mean() == pytest.approx(-95, abs=15)


@pytest.mark.parametrize("asked", [9.0, 40.0])
def test_ct_noise_is_as_strong_as_requested(asked):
    quiet = abdomen_slice(256, 0.5, _rng("n"), noise_hu=0)
    noisy = abdomen_slice(256, 0.5, _rng("n"), noise_hu=asked)
    inside = grid(256, 256).ellipse((0, 0), (0.5, 0.4))  # away from -1024, where it is clipped
    assert (noisy - quiet)[inside].std() == pytest.approx(asked, rel=0.1)


def test_ct_field_of_view_is_round():
    outside = outside_field(256)
    assert outside[0, 0]
    assert not outside[128, 0:256].any()
    assert outside.mean() == pytest.approx(1 - np.pi / 4, abs=0.005)


def test_mr_background_is_rayleigh():
    """Magnitude noise in air: mean sigma sqrt(pi/2), deviation sigma sqrt(2 - pi/2)."""
    image = head_slice(256, 0.4, "T1", _rng("a"), _rng("b"), noise_level=20)
    air = image[:24, :24]
    assert air.mean() == pytest.approx(20 * np.sqrt(np.pi / 2), rel=0.05)
    assert air.std() == pytest.approx(20 * np.sqrt(2 - np.pi / 2), rel=0.1)
    assert image.min() >= 0


def test_mr_weightings_turn_the_contrast_around():
    ventricle = grid(256, 256).ellipse((0.09, -0.04), (0.03, 0.08))
    white = grid(256, 256).ellipse((0.0, 0.45), (0.1, 0.05))
    means = {
        weighting: [
            head_slice(256, 0.5, weighting, _rng("a"), _rng("b"), noise_level=5)[mask].mean()
            for mask in (ventricle, white)
        ]
        for weighting in ("T1", "T2")
    }
    assert means["T1"][0] < means["T1"][1]
    assert means["T2"][0] > means["T2"][1]


def test_fewer_photons_are_more_noise():
    def roughness(photons):
        image = chest_attenuation(256, 256, _rng("x"), photons=photons)
        return _detail(image[60:140, 60:100])  # within a lung

    assert roughness(2_000) > 3 * roughness(50_000)


def _detail(image):
    return np.abs(np.diff(image, n=2)).mean()


def test_motion_blur_takes_away_detail():
    sharp = chest_attenuation(256, 256, _rng("x"), photons=50_000)
    assert _detail(shaken(sharp, 31)) < 0.1 * _detail(sharp)


def test_the_breast_is_at_the_side_of_the_chest_wall():
    left = breast_attenuation(288, 224, _rng("m"), is_left=True, photons=40_000)
    right = breast_attenuation(288, 224, _rng("m"), is_left=False, photons=40_000)
    assert np.array_equal(left[:, ::-1], right)
    assert left[144, :20].mean() > 1
    assert left[144, -5:].mean() == pytest.approx(0, abs=0.02)


def test_ultrasound_frames_move_and_stay_in_their_sector():
    frames = gray_frames(180, 240, 4, _rng("u"))
    assert frames.shape == (4, 180, 240)
    assert frames.dtype == np.uint8
    assert (frames[0] != frames[1]).any()
    assert (frames[:, 0, 0] == 0).all()
    colored = color_frames(180, 240, 2, _rng("u"))
    gray = (colored[..., 0] == colored[..., 1]) & (colored[..., 1] == colored[..., 2])
    assert 0.001 < 1 - gray.mean() < 0.1
