"""A known rigid transform of a real MR volume is found; what can't be found is not claimed."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from hc_assets.imaging.volumes.geometry import ras_from_lps
from hc_assets.imaging.volumes.registration import register, size_of, transform_of
from hc_assets.imaging.volumes.volume import Volume, from_image, to_image


@pytest.fixture(scope="module")
def head() -> Volume:
    """The real MR head that nibabel's wheel carries: 128 by 96 by 24 voxels of 2 by 2 by 2.2 mm."""
    path = Path(nibabel.__file__).parent / "tests" / "data" / "example4d.nii.gz"
    image = nibabel.load(path)
    voxels = image.get_fdata(dtype=np.float32)[..., 0].transpose(2, 1, 0)
    return Volume(np.ascontiguousarray(voxels), ras_from_lps(image.affine), 0.0)


def centre_of(volume: Volume) -> np.ndarray:
    return (volume.affine @ [*((np.array(volume.voxels.shape[::-1]) - 1) / 2), 1])[:3]


def moved(volume: Volume, angles_deg: tuple, shift_mm: tuple) -> tuple[Volume, np.ndarray]:
    """The volume as if the patient had moved, and the matrix from fixed to moved points."""
    transform = sitk.Euler3DTransform()
    transform.SetCenter(centre_of(volume).tolist())
    transform.SetRotation(*np.radians(angles_deg))
    transform.SetTranslation(shift_mm)
    image = to_image(volume)
    made = sitk.Resample(image, image, transform.GetInverse(), sitk.sitkBSpline, 0.0)
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(transform.GetMatrix()).reshape(3, 3)
    matrix[:3, 3] = transform.TransformPoint((0.0, 0.0, 0.0))
    return from_image(made, 0.0), matrix


def other_contrast(voxels: np.ndarray) -> np.ndarray:
    """Dark where tissue was bright, as T2 is to T1, with noise of 2 %."""
    top = np.percentile(voxels, 99.5)
    inverted = np.where(voxels > 0.08 * top, 1.2 * top - np.minimum(voxels, top), voxels * 0.5)
    noise = np.random.default_rng(0).normal(0, 0.02 * top, voxels.shape)
    return (inverted + noise).astype(np.float32)


@pytest.mark.parametrize(
    ("angles", "shift"),
    [((4, -3, 5), (3, -4, 2.5)), ((0, 0, 8), (8, 2, -3)), ((-6, 4, 2), (-2, 6, 4))],
)
@pytest.mark.parametrize("contrast", [np.asarray, other_contrast])
def test_a_known_transform_is_recovered_within_half_a_millimetre_and_half_a_degree(
    head, angles, shift, contrast
):
    moving, truth = moved(head, angles, shift)
    found = register(head, Volume(contrast(moving.voxels), moving.affine, 0.0), is_same_frame=True)
    assert found.verdict == "registered"
    centre = centre_of(head)
    error = found.matrix @ np.linalg.inv(truth)
    angle, distance = size_of(error, (truth @ [*centre, 1])[:3])
    assert angle < 0.5
    assert distance < 0.5
    # It was no accident of a start that was near
    start_angle, start_distance = size_of(truth, centre)
    assert start_angle > 5
    assert start_distance > 5


def test_resampling_by_the_transform_lays_the_moved_on_the_fixed(head):
    moving, truth = moved(head, (0, 0, 8), (8, 2, -3))
    image = sitk.Resample(to_image(moving), to_image(head), transform_of(truth), sitk.sitkLinear)
    back = sitk.GetArrayFromImage(image)[6:18, 20:76, 20:108]
    assert np.corrcoef(back.ravel(), head.voxels[6:18, 20:76, 20:108].ravel())[0, 1] > 0.98
    apart = moving.voxels[6:18, 20:76, 20:108]
    assert np.corrcoef(apart.ravel(), head.voxels[6:18, 20:76, 20:108].ravel())[0, 1] < 0.9


def test_the_same_input_gives_the_same_transform(head):
    moving, _ = moved(head, (0, 0, 8), (8, 2, -3))
    first, second = (register(head, moving, is_same_frame=True) for _ in range(2))
    np.testing.assert_array_equal(first.matrix, second.matrix)


def test_a_volume_that_is_in_place_stays_there(head):
    found = register(head, head, is_same_frame=True)
    assert size_of(found.matrix, centre_of(head))[0] < 0.1
    assert size_of(found.matrix, centre_of(head))[1] < 0.1


def test_too_few_voxels_are_not_registered(head):
    small = Volume(head.voxels[:3], head.affine, 0.0)
    found = register(head, small, is_same_frame=True)
    assert (found.verdict, found.information_after) == ("too_small", None)
    np.testing.assert_array_equal(found.matrix, np.eye(4))
