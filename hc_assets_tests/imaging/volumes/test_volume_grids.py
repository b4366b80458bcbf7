"""Volumes on other grids and in other forms: isotropic, as pictures, as NIfTI; checks that fail."""

import gzip
import io

import cv2
import nibabel
import numpy as np
import pyarrow as pa
import pytest

from hc_assets.imaging.verdicts import volumes as accounting
from hc_assets.imaging.volumes.geometry import ras_from_lps, spacing_of
from hc_assets.imaging.volumes.nifti import nifti_bytes
from hc_assets.imaging.volumes.pictures import PICTURE_BYTES, three_planes
from hc_assets.imaging.volumes.resampling import isotropic
from hc_assets.imaging.volumes.volume import Volume, from_image, to_image

TURN = np.linalg.qr(np.array([[1.0, 0.2, 0.1], [-0.2, 1.0, 0.3], [0.0, -0.3, 1.0]]))[0]


def slope(shape=(10, 30, 40), spacing=(0.8, 0.8, 3.0)) -> tuple[Volume, np.ndarray]:
    """A volume whose values are a linear function of the place in the patient."""
    affine = np.eye(4)
    affine[:3, :3] = TURN * np.sign(np.linalg.det(TURN)) * spacing
    affine[:3, 3] = (-20, 30, 5)
    direction = np.array([2.0, -3.0, 5.0])
    k, j, i = np.indices(shape).reshape(3, -1)
    at = affine @ [i, j, k, np.ones(i.size)]
    values = (direction @ at[:3]).reshape(shape).astype(np.float32)
    return Volume(values, affine, float(values.min())), direction


def test_an_isotropic_volume_holds_the_same_values_at_the_same_places():
    volume, direction = slope()
    made = isotropic(volume, 1.0)
    np.testing.assert_allclose(spacing_of(made.affine), 1.0)
    assert made.voxels.shape == (30, 24, 32)
    k, j, i = np.mgrid[3:27, 3:21, 3:29].reshape(3, -1)
    expected = direction @ (made.affine @ [i, j, k, np.ones(i.size)])[:3]
    np.testing.assert_allclose(made.voxels[k, j, i], expected, atol=0.05)


def test_detail_finer_than_the_new_grid_does_not_alias():
    stripes = np.zeros((12, 64, 64), np.float32)
    stripes[:, :, ::2] = 100
    made = isotropic(Volume(stripes, np.diag([0.5, 0.5, 2.0, 1.0]), 0.0), 2.0)
    inside = made.voxels[2:-2, 3:-3, 3:-3]
    assert inside.mean() == pytest.approx(50, abs=2)
    assert inside.std() < 3


def test_absurd_spacing_does_not_ask_for_absurd_memory():
    volume = Volume(np.zeros((8, 8, 8), np.float32), np.diag([1e4, 1e4, 1e4, 1.0]), 0.0)
    assert isotropic(volume, 200.0).voxels.size <= 2**28


def test_images_of_simpleitk_and_volumes_are_the_same():
    volume, _ = slope()
    back = from_image(to_image(volume), volume.fill)
    np.testing.assert_array_equal(back.voxels, volume.voxels)
    np.testing.assert_allclose(back.affine, volume.affine, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_nifti_holds_voxels_and_affine_and_the_same_bytes_each_time(dtype):
    volume, _ = slope()
    values = np.rint(volume.voxels) if dtype is np.int16 else volume.voxels
    volume = Volume(values.astype(np.float32), volume.affine, 0.0)
    data = nifti_bytes(volume)
    assert data == nifti_bytes(volume)
    image = nibabel.Nifti1Image.from_stream(io.BytesIO(gzip.decompress(data)))
    assert image.get_data_dtype() == dtype
    np.testing.assert_array_equal(image.get_fdata(dtype=np.float32).T, volume.voxels)
    np.testing.assert_allclose(image.affine, ras_from_lps(volume.affine), atol=1e-5)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 1)
    assert image.header.get_xyzt_units()[0] == "mm"


def test_a_picture_shows_three_planes_head_up():
    voxels = np.zeros((20, 40, 60), np.float32)
    voxels[10:, 5:35, 5:55] = 100  # the upper half
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    data = three_planes(Volume(voxels, affine, 0.0))
    assert len(data) < PICTURE_BYTES
    drawn = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert drawn.shape == (128, 392)
    coronal = drawn[:, 132:260]
    assert coronal[:64].mean() > 5 * coronal[64:].mean()
    # The same place in the patient looks the same from axes in another order
    turned = Volume(np.ascontiguousarray(voxels.transpose(1, 0, 2)), affine[:, [0, 2, 1, 3]], 0.0)
    np.testing.assert_array_equal(
        cv2.imdecode(np.frombuffer(three_planes(turned), np.uint8), cv2.IMREAD_UNCHANGED), drawn
    )


def row(**changes: object) -> dict:
    affine = np.diag([0.5, 0.8, 2.0, 1.0])
    return {
        "verdict": "as_sent",
        "shape": [3, 4, 5],
        "spacing_mm": [2.0, 0.8, 0.5],
        "affine_lps": affine.ravel().tolist(),
        "affine_ras": ras_from_lps(affine).ravel().tolist(),
    } | changes


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        ({}, True),
        ({"spacing_mm": [0.5, 0.8, 2.0]}, False),
        ({"affine_ras": np.diag([0.5, 0.8, 2.0, 1.0]).ravel().tolist()}, False),
        ({"affine_lps": np.diag([-0.5, 0.8, 2.0, 1.0]).ravel().tolist()}, False),
        ({"affine_lps": np.zeros(16).tolist()}, False),
        ({"verdict": "too_few_slices", "affine_lps": None}, True),
    ],
)
def test_a_geometry_that_is_not_sound_fails(changes, passes):
    batch = pa.RecordBatch.from_pylist([row(**changes)])
    assert accounting.geometry_sound([batch]).passed is passes


def test_a_gated_series_without_row_fails():
    reported = pa.chunked_array([["1.2"]])
    assert accounting.series_accounted_for({"1.2"}, reported).passed
    assert accounting.series_accounted_for({"1.2", "1.3"}, reported).value == 1


@pytest.mark.parametrize(
    ("slices", "passes"),
    [
        ([[0.0, 1.0], [2.0, 3.0]], True),
        ([[0.0, 1.0]], False),
        ([[0.0, 1.0], [2.0]], False),
        ([[0.0, 1.0], [2.0, float("nan")]], False),
    ],
)
def test_a_volume_with_damaged_slices_fails(slices, passes):
    volumes = pa.table({"volume_id": ["a", None], "shape": [[2, 1, 2], None]})
    batch = pa.RecordBatch.from_pylist(
        [{"volume_id": "a", "voxels": each} for each in slices],
        pa.schema([("volume_id", pa.string()), ("voxels", pa.list_(pa.float32()))]),
    )
    assert accounting.slices_whole(volumes, [batch]).passed is passes


def test_gaps_and_failed_registrations_are_counted():
    verdicts = pa.chunked_array([["as_sent", "irregular_spacing"]])
    findings = pa.chunked_array([[["gap"], []]])
    judged = accounting.stacks_usable(verdicts, findings)
    assert (judged.value, judged.counts["finding_gap"]) == (2, 1)
    words = ["reference", "registered", "alone", "too_small", "implausible"]
    assert accounting.volumes_registered(pa.chunked_array([words])).value == 1
