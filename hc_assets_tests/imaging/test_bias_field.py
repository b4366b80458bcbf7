"""The bias field is that of ITK's N4, and what is known of the shading is found."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from hc_assets.imaging.bias_field import log_bias_field


@pytest.fixture(scope="module")
def head() -> np.ndarray:
    """nibabel's MR head, slices by rows by columns, at about 4 mm."""
    path = Path(nibabel.__file__).parent / "tests" / "data" / "example4d.nii.gz"
    voxels = nibabel.load(path).get_fdata()[..., 0].transpose(2, 1, 0)[:, ::2, ::2]
    return np.ascontiguousarray(voxels, np.float32)


def tissue_of(values: np.ndarray) -> np.ndarray:
    mask = sitk.OtsuThreshold(sitk.GetImageFromArray(values), 0, 1, 128)
    return sitk.GetArrayFromImage(mask).astype(bool)


def itk_field(values: np.ndarray, counts: np.ndarray, iterations: list[int]) -> np.ndarray:
    image = sitk.GetImageFromArray(values)
    filter_ = sitk.N4BiasFieldCorrectionImageFilter()
    filter_.SetMaximumNumberOfIterations(iterations)
    filter_.Execute(image, sitk.GetImageFromArray(counts.astype(np.uint8)))
    return sitk.GetArrayFromImage(filter_.GetLogBiasFieldAsImage(image))


@pytest.mark.parametrize("part", ["volume", "few slices", "slice"])
def test_the_field_is_itks(head, part):
    values = {"volume": head[::2, ::2, ::2], "few slices": head[8:13], "slice": head[12]}[part]
    values = np.ascontiguousarray(values)
    ramp = np.exp(np.linspace(-0.4, 0.4, values.shape[-1], dtype=np.float32))
    shaded, counts = values * ramp, tissue_of(values)
    expected = itk_field(shaded, counts, [20, 15, 10])
    found = log_bias_field(shaded, counts, [20, 15, 10]).on(values.shape)
    assert np.ptp(expected[counts]) > 0.3
    difference = (found - expected)[counts]
    assert np.abs(difference).max() < 0.02
    assert difference.std() < 0.001


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_known_field_is_found(head, seed):
    """Of the same head, shaded and not, the estimates differ by the shading."""
    counts = tissue_of(head)
    places = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in head.shape), indexing="ij"))
    slope, bend = np.random.default_rng(seed).normal(0, 0.25, (2, 3))
    known = np.tensordot(slope, places, 1) + np.tensordot(bend, places**2, 1)
    iterations = (40, 30, 20)
    plain = log_bias_field(head, counts, iterations).on(head.shape)
    shaded = log_bias_field(head * np.exp(known), counts, iterations).on(head.shape)
    left = (shaded - plain - known)[counts]
    assert left.std() < 0.35 * known[counts].std()


def test_a_finer_grid_has_the_same_field(head):
    field = log_bias_field(head, tissue_of(head), (5, 5))
    fine = field.on([2 * n - 1 for n in head.shape])
    np.testing.assert_allclose(fine[::2, ::2, ::2], field.on(head.shape), atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_where_nothing_varies_there_is_no_field(value):
    values = np.full((8, 9, 10), value, np.float32)
    for counts in (np.ones(values.shape, bool), np.zeros(values.shape, bool)):
        assert not log_bias_field(values, counts, (5, 5)).on(values.shape).any()
