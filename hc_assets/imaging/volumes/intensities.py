"""Brightness of MR volumes made comparable: bias field taken out, scale set by the tissue.

Belongs here: what concerns a whole volume. Slices that stand out are in `slice_artifacts.py`.
"""

import numpy as np
import SimpleITK as sitk

from hc_assets.imaging.bias_field import log_bias_field
from hc_assets.imaging.volumes.volume import Volume, Voxels, to_image

_FIELD_MM = 4.0
"""Spacing at which the bias field is estimated: it varies over centimetres (Tustison and others,
IEEE TMI 2010, doi:10.1109/TMI.2010.2046908), so nothing is lost."""
_ITERATIONS = (40, 30, 20)
_TOP_PERCENTILE = 99.5
"""Of the tissue: above it are vessels and flow artifacts, whose brightness says nothing of it."""
_LEAST_SIDE = 4


def without_bias(volume: Volume) -> Volume:
    """Take the smooth shading of the receive coils out of an MR magnitude volume, by N4.

    Args:
        volume: magnitudes, none negative.

    Returns:
        The volume over the estimated field, on the same grid. A volume too small for a field, or
        without any tissue, comes back as it is.
    """
    image = to_image(volume)
    shrink = [
        max(1, min(int(_FIELD_MM / spacing), size // _LEAST_SIDE))
        for spacing, size in zip(image.GetSpacing(), image.GetSize(), strict=True)
    ]
    if min(image.GetSize()) < _LEAST_SIDE or float(volume.voxels.max()) <= volume.fill:
        return volume
    small = sitk.Shrink(image, shrink)
    tissue = sitk.OtsuThreshold(small, 0, 1, 128)
    counts = sitk.GetArrayViewFromImage(tissue).astype(np.bool_)
    if not counts.any():
        return volume
    coarse = sitk.GetArrayViewFromImage(small)
    field = log_bias_field(coarse, counts, _ITERATIONS).on(volume.voxels.shape)
    voxels = volume.voxels / np.exp(field)
    if not np.isfinite(voxels).all():
        return volume
    return Volume(voxels.astype(np.float32), volume.affine, volume.fill)


def tissue_range(voxels: Voxels) -> tuple[float, float]:
    """Find the values that become 0 and 1.

    Args:
        voxels: magnitudes.

    Returns:
        The 1st percentile of all voxels, which is air, and the 99.5th of those brighter than
        Otsu's threshold between air and tissue.
    """
    low = float(np.percentile(voxels, 1))
    image = sitk.GetImageFromArray(voxels)
    mask = sitk.GetArrayFromImage(sitk.OtsuThreshold(image, 0, 1, 128)).astype(bool)
    tissue = voxels[mask] if mask.any() else voxels
    high = float(np.percentile(tissue, _TOP_PERCENTILE))
    return low, max(high, low + 1e-6)


def normalised(voxels: Voxels, low: float, high: float) -> Voxels:
    """Map a range to 0 to 1; what lies outside becomes 0 or 1."""
    scaled: Voxels = np.clip((voxels - np.float32(low)) / np.float32(high - low), 0, 1)
    return scaled
