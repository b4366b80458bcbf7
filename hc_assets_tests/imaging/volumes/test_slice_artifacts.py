"""Slices that are spoilt on purpose are found, and no others; what can be mended is."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from hc_assets.imaging.volumes.geometry import ras_from_lps
from hc_assets.imaging.volumes.intensities import normalised, tissue_range, without_bias
from hc_assets.imaging.volumes.slice_artifacts import destriped, evened, examine
from hc_assets.imaging.volumes.volume import Volume


@pytest.fixture(scope="module")
def head() -> np.ndarray:
    """The real MR head that nibabel's wheel carries: 24 slices of 96 by 128."""
    path = Path(nibabel.__file__).parent / "tests" / "data" / "example4d.nii.gz"
    voxels = nibabel.load(path).get_fdata(dtype=np.float32)[..., 0].transpose(2, 1, 0)
    return np.ascontiguousarray(voxels)


def test_a_good_volume_has_no_findings(head):
    found = examine(head)
    assert not found.is_outlier.any()
    assert not found.is_striped.any()
    assert not found.is_uneven


@pytest.mark.parametrize("number", [6, 12, 17])
@pytest.mark.parametrize("left", [0.0, 0.5])
def test_a_slice_that_lost_its_signal_is_the_outlier(head, number, left):
    spoilt = head.copy()
    spoilt[number] *= left
    assert np.flatnonzero(examine(spoilt).is_outlier).tolist() == [number]


def test_a_slice_from_elsewhere_is_an_outlier(head):
    spoilt = head.copy()
    spoilt[12] = head[12, ::-1]
    assert np.flatnonzero(examine(spoilt).is_outlier).tolist() == [12]


@pytest.mark.parametrize("number", [8, 13])
def test_stripes_are_found_and_taken_out(head, number):
    spoilt = head.copy()
    spoilt[number, ::9] += 0.3 * np.percentile(head, 99)
    found = examine(spoilt)
    assert np.flatnonzero(found.is_striped).tolist() == [number]
    mended = destriped(spoilt, found)
    inside = head[number] > 0.2 * np.percentile(head, 99)
    before = np.abs(spoilt[number] - head[number])[inside].mean()
    after = np.abs(mended[number] - head[number])[inside].mean()
    assert after < 0.5 * before
    others = np.arange(len(head)) != number
    np.testing.assert_array_equal(mended[others], spoilt[others])


def test_swinging_brightness_is_evened_out(head):
    spoilt = head.copy()
    spoilt[::2] *= 1.25
    found = examine(spoilt)
    assert found.is_uneven
    mended = evened(spoilt, found)
    assert not examine(mended).is_uneven
    assert examine(mended).gain_spread < found.gain_spread / 5


def test_a_good_volume_is_left_as_it_is(head):
    found = examine(head)
    assert destriped(head, found) is head
    assert evened(head, found) is head


def test_of_few_slices_nothing_is_claimed(head):
    found = examine(head[8:13])
    assert np.isnan(found.gain).all()
    assert not found.is_outlier.any()


def test_a_bias_field_is_taken_out(head):
    slope = np.linspace(0.6, 1.6, head.shape[2], dtype=np.float32)
    affine = ras_from_lps(np.diag([2.0, 2.0, 2.2, 1.0]))
    even, biased = (without_bias(Volume(v, affine, 0.0)).voxels for v in (head, head * slope))
    tissue = head > 0.3 * np.percentile(head, 99)

    def unevenness(voxels: np.ndarray) -> float:
        share = np.log(voxels[tissue] / even[tissue])
        return float(share.std())

    assert unevenness(biased) < 0.4 * unevenness(even * slope)


def test_values_are_scaled_by_the_tissue(head):
    low, high = tissue_range(head)
    scaled = normalised(head, low, high)
    assert (scaled.min(), scaled.max()) == (0, 1)
    np.testing.assert_allclose(normalised(head * 7, *tissue_range(head * 7)), scaled, atol=1e-3)
