import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.imaging.pixels.frames import Frame, iter_frames
from hc_assets.imaging.preprocessing.geometry import array_to_patient, placed
from hc_assets.imaging.preprocessing.parameters import Preprocessing
from hc_assets.imaging.preprocessing.registry import recipe_for

SIZES = st.integers(8, 90)


@given(
    rows=SIZES,
    columns=SIZES,
    flips=st.tuples(st.booleans(), st.booleans()),
    aspect=st.sampled_from(["letterbox", "stretch"]),
)
def test_the_transform_leads_to_where_a_mark_went(rows, columns, flips, aspect):
    pixels = np.zeros((rows, columns), np.float32)
    pixels[rows // 4 : rows // 4 + 3, columns // 2 : columns // 2 + 3] = 1
    made = placed(pixels, (64, 64), (1.0, 1.5), aspect=aspect, flips=flips)
    a, b, c, d, e, f = made.source_to_array
    row, column = rows // 4 + 1, columns // 2 + 1
    found = np.array(np.nonzero(made.pixels > 0)).T
    centre = np.average(found, axis=0, weights=made.pixels[tuple(found.T)])
    wanted = (a * row + b * column + c, d * row + e * column + f)
    np.testing.assert_allclose(centre, wanted, atol=1.0)


def test_stretched_frames_fill_their_array():
    made = placed(np.ones((20, 50), np.float32), (64, 64), None, aspect="stretch")
    assert made.pixels.min() == 1
    assert made.window == (slice(0, 64), slice(0, 64))


def test_a_side_that_shrinks_does_not_alias_while_the_other_grows():
    stripes = np.tile(np.array([0, 1], np.float32), (16, 256))
    made = placed(stripes, (64, 64), None, aspect="stretch")
    assert made.pixels == pytest.approx(0.5, abs=0.01)


def test_pixels_lead_to_the_patient_as_the_standard_has_it():
    """PS3.3 C.7.6.2.1.1: P = S + X * column spacing * column + Y * row spacing * row."""
    unmoved = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    plane = array_to_patient(unmoved, (10, 20, 30), (0, 1, 0, 0, 0, -1), (2.0, 3.0))
    at = np.array(plane).reshape(3, 3) @ (4, 5, 1)
    np.testing.assert_allclose(at, (10, 20 + 3 * 5, 30 - 2 * 4))


def test_a_place_in_the_array_is_the_same_place_in_the_patient(testdata):
    (frame,) = iter_frames(testdata("CT_small.dcm"))
    assert isinstance(frame, Frame)
    made = recipe_for("CT").run(frame)
    context = frame.context
    row, column = 17.0, 90.0
    x, y = np.array(context.orientation[:3]), np.array(context.orientation[3:])
    direct = np.array(context.position) + x * context.spacing[1] * column
    direct = direct + y * context.spacing[0] * row
    a, b, c, d, e, f = made.source_to_array
    there = (a * row + b * column + c, d * row + e * column + f, 1)
    np.testing.assert_allclose(np.array(made.array_to_patient).reshape(3, 3) @ there, direct)


@pytest.mark.parametrize("source", ["ImagerPixelSpacing", "PixelAspectRatio"])
def test_spacing_that_is_not_the_patients_keeps_proportions_but_gives_no_place(frame_of, source):
    frame = frame_of(
        np.ones((40, 40), np.uint8),
        "US",
        spacing=(1.0, 2.0),
        spacing_source=source,
        position=(0.0, 0.0, 0.0),
        orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    )
    made = recipe_for("US").run(frame)
    assert made.array_to_patient is None
    assert (made.source_to_array[0], made.source_to_array[4]) == (3.2, 6.4)


def test_stretching_is_a_setting(frame_of):
    frame = frame_of(np.full((20, 40), 9, np.uint8), "US")
    frame.pixels[0, 0] = 0
    made = recipe_for("US", Preprocessing(aspect="stretch")).run(frame).pixels
    assert (made[100:] > 0).all()
