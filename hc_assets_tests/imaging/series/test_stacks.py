import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.imaging.series.stacks import Plane, plane_name, stacks_of

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


def axial(heights, *, orientation=AXIAL, thickness=None, dimensions=()):
    return [Plane((0.0, 0.0, float(z)), orientation, thickness, dimensions) for z in heights]


def only(planes):
    (stack,) = stacks_of(planes)
    return stack


@given(
    count=st.integers(3, 60),
    spacing=st.floats(0.2, 12),
    start=st.floats(-900, 900),
    tilt=st.floats(-30, 30),
    turn=st.floats(-20, 20),
    order=st.randoms(use_true_random=False),
)
def test_a_regular_stack_is_measured_whatever_its_place_and_tilt(
    count, spacing, start, tilt, turn, order
):
    turned = np.radians(turn)
    row = (np.cos(turned), np.sin(turned), 0.0)
    column = (-np.sin(turned), np.cos(turned), 0.0)
    shear = np.tan(np.radians(tilt))
    planes = [
        Plane((5.0, k * spacing * shear, start + k * spacing), (*row, *column))
        for k in range(count)
    ]
    order.shuffle(planes)
    stack = only(planes)
    assert (stack.slices, stack.missing_slices, stack.duplicate_positions) == (count, 0, 0)
    assert stack.spacing == pytest.approx(spacing, abs=1e-6)
    assert stack.tilt == pytest.approx(abs(tilt), abs=1e-6)
    assert stack.frames_per_position == 1


@given(st.integers(6, 50), st.data())
def test_slices_that_are_taken_out_of_the_middle_are_missing(count, data):
    gone = data.draw(st.sets(st.integers(1, count - 2), max_size=count // 6))
    stack = only(axial(3.0 * k for k in range(count) if k not in gone))
    assert stack.missing_slices == len(gone)
    assert stack.slices == count - len(gone)


def test_a_change_of_thickness_is_no_gap():
    planes = axial([0, 5, 10, 15, 20], thickness=5) + axial([30, 40], thickness=10)
    assert only(planes).missing_slices == 0


def test_slices_at_random_distances_have_no_gaps_to_speak_of():
    assert only(axial([0, 3, 20, 21, 50, 90, 91.5])).missing_slices is None


def test_two_slices_say_nothing_of_gaps():
    stack = only(axial([0, 5]))
    assert (stack.spacing, stack.missing_slices) == (5, None)


def test_one_slice_has_no_spacing_and_no_tilt():
    stack = only(axial([4]))
    assert (stack.slices, stack.spacing, stack.tilt) == (1, None, None)


def test_a_slice_that_comes_twice_is_a_duplicate():
    stack = only(axial([0, 1, 2, 2, 3]))
    assert (stack.slices, stack.duplicate_positions, stack.frames_per_position) == (4, 1, 1)


def test_time_points_are_no_duplicates_and_one_that_is_cut_short_lacks_frames():
    planes = [
        plane
        for time in range(5)
        for plane in axial(range(6 if time < 4 else 4), dimensions=(time,))
    ]
    stack = only(planes)
    assert (stack.slices, stack.duplicate_positions) == (6, 0)
    assert (stack.frames_per_position, stack.missing_frames) == (5, 2)


def test_tiles_side_by_side_are_at_different_positions():
    planes = [Plane((10.0 * x, 0.0, 0.0), AXIAL) for x in range(4)]
    stack = only(planes)
    assert (stack.slices, stack.duplicate_positions, stack.frames_per_position) == (1, 0, 1)


def test_planes_of_three_directions_are_three_stacks():
    planes = axial([0, 10]) + axial([1], orientation=SAGITTAL) + axial([2], orientation=CORONAL)
    stacks = stacks_of(planes)
    assert [stack.planes for stack in stacks] == [2, 1, 1]
    assert [plane_name(s.orientation) for s in stacks] == ["AXIAL", "SAGITTAL", "CORONAL"]


def test_a_plane_between_axes_is_oblique():
    half = np.sqrt(0.5)
    assert plane_name((1, 0, 0, 0, half, half)) == "OBLIQUE"


@pytest.mark.parametrize(
    "orientation", [(0, 0, 0, 0, 0, 0), (1, 0, 0, 1, 0, 0), (2, 0, 0, 0, 2, 0)]
)
def test_what_is_no_orientation_makes_no_stack(orientation):
    assert stacks_of([Plane((0, 0, 0), orientation)]) == []
