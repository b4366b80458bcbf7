"""Series of known geometry: which make a volume, where it lies, and which verdict others get."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.imaging.schemas.volume_verdicts import FINDINGS, VERDICTS
from hc_assets.imaging.volumes.geometry import line_up, ras_from_lps
from hc_assets.imaging.volumes.placing import CAPTURED
from hc_assets.imaging.volumes.splitting import PlacedFrame, candidates

SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
GRID = (24, 20, (0.8, 0.5), "1.2.3.9")


def upright(count: int, step: float = 2.0) -> list[tuple[float, float, float]]:
    return [(-5.0, -9.6, 100 + step * number) for number in range(count)]


def affine(row: dict) -> np.ndarray:
    return np.array(row["affine_lps"]).reshape(4, 4)


def test_slices_are_ordered_by_position_not_by_name_or_number(volumes, write_slices, blob):
    ((row, voxels),) = volumes(write_slices(blob, upright(12)))
    assert (row["verdict"], row["findings"], row["plane"]) == ("as_sent", [], "AXIAL")
    np.testing.assert_array_equal(voxels, blob)
    assert affine(row).tolist() == [
        [0.5, 0, 0, -5],
        [0, 0.8, 0, -9.6],
        [0, 0, 2, 100],
        [0, 0, 0, 1],
    ]
    assert row["spacing_mm"] == [2.0, 0.8, 0.5]
    np.testing.assert_array_equal(
        np.array(row["affine_ras"]).reshape(4, 4), ras_from_lps(affine(row))
    )


def test_a_sagittal_series_goes_from_right_to_left_or_as_its_normal_does(
    volumes, write_slices, blob
):
    positions = [(30.0 - 3 * number, -10.0, 50.0) for number in range(12)]
    ((row, voxels),) = volumes(write_slices(blob, positions, SAGITTAL))
    # Its normal points to the patient's right, as the positions do
    assert row["plane"] == "SAGITTAL"
    np.testing.assert_array_equal(voxels, blob)
    assert np.linalg.det(affine(row)[:3, :3]) > 0


def test_a_tilted_stack_is_sheared_straight(volumes, write_slices):
    angle = np.radians(15)
    orientation = (1.0, 0.0, 0.0, 0.0, np.cos(angle), np.sin(angle))
    normal = np.array([0, -np.sin(angle), np.cos(angle)])
    positions = [(-5.0, -20.0, 100 + 2.0 * number) for number in range(12)]

    def world(i, j, k):
        start = np.array(positions)[k.ravel().astype(int)]
        along = np.outer(i.ravel() * 0.5, orientation[:3]) + np.outer(
            j.ravel() * 0.8, orientation[3:]
        )
        return start + along

    k, j, i = np.mgrid[0:12, 0:48, 0:40]
    # What is seen is a slope in the patient, which linear interpolation keeps exactly
    direction = np.array([3.0, 5.0, 7.0])
    sent = (world(i, j, k) @ direction).reshape(k.shape)
    paths = write_slices(np.rint(sent * 10).astype(np.int16), positions, orientation)
    ((row, voxels),) = volumes(paths)
    assert (row["verdict"], row["findings"][0]) == ("resampled", "tilt")
    assert row["tilt_deg"] == pytest.approx(15, abs=0.01)
    axes = affine(row)[:3, :3] / np.linalg.norm(affine(row)[:3, :3], axis=0)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(axes[:, 2], normal, atol=1e-6)
    _, rows, columns = voxels.shape
    assert rows > 48
    assert columns == 40
    k, j, i = np.mgrid[2:10, rows // 2 - 8 : rows // 2 + 8, 2:38]
    at = affine(row) @ np.stack([i.ravel(), j.ravel(), k.ravel(), np.ones(i.size)])
    np.testing.assert_allclose(voxels[k, j, i].ravel() / 10, direction @ at[:3], atol=0.2)


def test_variable_spacing_is_interpolated_to_an_even_one(volumes, write_slices):
    heights = np.array([0, 2, 4, 6, 8, 12, 16, 20, 24.0])
    k, _, _ = np.mgrid[0:9, 0:24, 0:20]
    each = [{"SliceThickness": 2 if height < 8 else 4} for height in heights]
    paths = write_slices(
        (heights[k] * 10).astype(np.int16),
        [(0.0, 0.0, height) for height in heights],
        each=each,
    )
    ((row, voxels),) = volumes(paths)
    assert (row["verdict"], row["findings"]) == ("resampled", ["variable_spacing"])
    assert row["spacing_mm"][0] == 2
    np.testing.assert_allclose(voxels[:, 0, 0], np.arange(0, 25, 2) * 10)
    assert (row["least_spacing_mm"], row["greatest_spacing_mm"]) == (2, 4)


def test_a_gap_divides_a_stack_and_nothing_is_invented(volumes, write_slices, blob):
    at = upright(12)
    kept = [0, 1, 2, 3, 6, 7, 8, 9, 10, 11]
    made = volumes(write_slices(blob[kept], [at[n] for n in kept]))
    assert [row["verdict"] for row, _ in made] == ["as_sent", "as_sent"]
    assert all(row["findings"] == ["gap"] for row, _ in made)
    np.testing.assert_array_equal(made[0][1], blob[:4])
    np.testing.assert_array_equal(made[1][1], blob[6:])
    assert affine(made[1][0])[2, 3] == 112


def test_a_place_that_is_there_twice_counts_once(volumes, write_slices, blob):
    at = [*upright(12), upright(12)[4]]
    ((row, voxels),) = volumes(write_slices(np.concatenate([blob, blob[4:5] + 7]), at))
    assert row["findings"] == ["duplicates"]
    assert row["duplicate_frames"] == 1
    assert voxels.shape == blob.shape


def test_a_series_that_was_sent_twice_is_one_volume(volumes, write_slices, blob):
    made = volumes(write_slices(np.concatenate([blob, blob]), upright(12) * 2))
    assert sorted(row["verdict"] for row, _ in made) == ["as_sent", "repeated"]


def test_times_are_volumes_of_their_own(volumes, write_slices, blob):
    each = [
        {"TemporalPositionIdentifier": time + 1, "AcquisitionTime": f"1200{number:02d}"}
        for time in range(2)
        for number in range(12)
    ]
    made = volumes(write_slices(np.concatenate([blob, blob + 5]), upright(12) * 2, each=each))
    assert [row["dimensions"] for row, _ in made] == [
        '{"temporal_position":"1"}',
        '{"temporal_position":"2"}',
    ]
    np.testing.assert_array_equal(made[1][1], blob + 5)


def test_orientations_are_stacks_of_their_own(volumes, write_slices, blob):
    sagittal = [(30.0 - 3 * number, -10.0, 50.0) for number in range(4)]
    paths = write_slices(blob, upright(12)) + write_slices(blob[:4], sagittal, SAGITTAL)
    made = volumes(paths)
    assert [row["plane"] for row, _ in made] == ["AXIAL", "SAGITTAL"]
    assert all("mixed_orientation" in row["findings"] for row, _ in made)


@pytest.mark.parametrize(
    ("positions", "verdict"),
    [
        (upright(2), "too_few_slices"),
        ([(0, 0, 0), (0, 0, 1), (0, 0, 90), (0, 0, 95), (0, 0, 300)], "irregular_spacing"),
        ([(0, 0, 0), (0, 90, 1), (0, 180, 2), (0, 270, 3)], "misaligned_slices"),
    ],
)
def test_slices_that_are_no_grid_have_a_verdict(volumes, write_slices, blob, positions, verdict):
    ((row, voxels),) = volumes(write_slices(blob[: len(positions)], positions))
    assert (row["verdict"], voxels) == (verdict, None)
    assert row["frames"] == len(positions)
    assert row["volume_id"] is row["content_sha256"] is None


@pytest.mark.parametrize(
    ("attributes", "verdict"),
    [
        ({"PixelSpacing": None}, "no_pixel_spacing"),
        ({"ImagePositionPatient": None}, "no_positions"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.4"}, "labels"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}, "unknown_mosaic"),
    ],
)
def test_frames_that_are_no_volume_have_a_verdict(volumes, write_slices, blob, attributes, verdict):
    made = volumes(write_slices(blob, upright(12), each=[attributes] * 12))
    assert [row["verdict"] for row, _ in made] == [verdict]


def test_colour_and_size_and_gate_have_verdicts(volumes, write_slices, blob):
    colour = np.stack([blob.astype(np.uint8)] * 3, axis=-1)
    assert volumes(write_slices(colour, upright(12)))[0][0]["verdict"] == "color"
    paths = write_slices(blob, upright(12), SeriesInstanceUID="1.2.9")
    assert volumes(paths, limit=1000)[0][0]["verdict"] == "too_large"
    failing = {("b", str(path)): {0: False} for path in paths}
    assert volumes(paths, gates=failing)[0][0]["verdict"] == "below_gate"


def test_frames_without_pixels_are_counted_and_leave_a_gap(volumes, write_slices, blob):
    paths = write_slices(blob, upright(12))
    number = {path: sorted(paths).index(path) for path in paths}
    gates = {("b", str(path)): {0: True} for path in paths if number[path] != 0}
    made = volumes(paths, gates=gates)
    assert made[0][0]["verdict"] == "undecodable"
    assert made[0][0]["frames"] == 1
    assert all("undecodable_frames" in row["findings"] for row, _ in made[1:])
    assert sum(row["frames"] for row, _ in made) == 12


def test_pages_beside_slices_are_counted_and_are_in_no_volume(volumes, write_slices, blob):
    paths = write_slices(blob, upright(12))
    first = {str(path) for path in sorted(paths)[:2]}
    gates = {("b", str(path)): {0: CAPTURED if str(path) in first else True} for path in paths}
    refused, *made = (row for row, _ in volumes(paths, gates=gates))
    assert (refused["verdict"], refused["frames"]) == ("not_acquired", 2)
    assert sum(row["frames"] for row in made) == 10
    assert not any("undecodable_frames" in row["findings"] for row in made)


def test_padding_does_not_leak_into_a_straightened_volume(volumes, write_slices, blob):
    padded = blob.copy()
    padded[:, :, :3] = -2000
    positions = [(0.0, 2.0 * number, 2.0 * number) for number in range(12)]
    made = volumes(write_slices(padded, positions, PixelPaddingValue=-2000))
    ((row, voxels),) = made
    assert row["verdict"] == "resampled"
    assert voxels.min() >= row["fill_value"] == blob.min()


def test_every_word_is_one_of_the_documented(volumes, write_slices, blob):
    for row, _ in volumes(write_slices(blob[:, ::2], upright(12))):
        assert row["verdict"] in VERDICTS
        assert set(row["findings"]) <= FINDINGS.keys()


@given(
    st.permutations(range(9)),
    st.integers(1, 3),
    st.lists(st.integers(0, 8), max_size=3, unique=True),
)
def test_no_frame_is_lost_whatever_the_order(order, times, absent):
    frames = [
        PlacedFrame(
            (0.0, 0.0, 2.0 * place),
            (1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
            dimensions=(str(time),) + (None,) * 6,
            file=time * 9 + place,
            grid=GRID,
        )
        for time in range(times)
        for place in order
        if place not in absent
    ]
    made = candidates(frames)
    found = sorted(frame.file for each in made for frame in each.frames)
    assert found == sorted(frame.file for frame in frames)
    for each in made:
        heights = [frame.position[2] for frame in each.frames]
        assert heights == sorted(heights)
        assert len({frame.dimensions for frame in each.frames}) == 1


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3), st.floats(0.1, 5), st.integers(3, 9))
def test_an_affine_gives_back_the_positions(turn, step, count):
    cosines = np.linalg.qr(np.eye(3) + 0.3 * np.outer(turn, [1, 2, 3]) + 0.1)[0]
    if np.linalg.det(cosines) < 0:
        cosines[:, 2] *= -1
    positions = [np.array([1.0, 2.0, 3.0]) + n * step * cosines[:, 2] for n in range(count)]
    lineup = line_up(positions, [*cosines[:, 0], *cosines[:, 1]], (0.7, 0.4))
    assert lineup.is_even
    assert lineup.is_straight
    for number, position in enumerate(positions):
        found = lineup.affine() @ [0, 0, number, 1]
        np.testing.assert_allclose(found[:3], position, atol=1e-6)
    step_of = lineup.affine() @ [1, 0, 0, 0]
    np.testing.assert_allclose(step_of[:3], 0.4 * cosines[:, 0], atol=1e-9)
