"""A volume in memory: voxels, where they lie in the patient, and as an image of SimpleITK.

Belongs here: the value that the modules of this package hand to one another. How it is made is in
`assembly.py`; as rows it is in `rows.py`.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from hc_assets.imaging.volumes.geometry import Matrix, directions_of, spacing_of

Voxels = NDArray[np.float32]


@dataclass(frozen=True)
class Volume:
    """A scalar volume.

    Attributes:
        voxels: slices by rows by columns, float32, in modality units, all finite.
        affine: column, row, slice, 1 to LPS millimetres.
        fill: value of voxels that no slice covers, and of what a scanner padded.
    """

    voxels: Voxels
    affine: Matrix
    fill: float

    def content_sha256(self) -> str:
        """SHA-256 of the affine as little-endian float64, then the voxels as float32."""
        digest = hashlib.sha256(self.affine.astype("<f8").tobytes())
        for part in self.voxels:
            digest.update(part.astype("<f4").tobytes())
        return digest.hexdigest()


def to_image(volume: Volume) -> sitk.Image:
    """Return a volume as SimpleITK has it, in LPS; the voxels are copied."""
    image = sitk.GetImageFromArray(volume.voxels)
    image.SetSpacing(spacing_of(volume.affine))
    image.SetDirection(directions_of(volume.affine).ravel().tolist())
    image.SetOrigin(volume.affine[:3, 3].tolist())
    return image


def from_image(image: sitk.Image, fill: float) -> Volume:
    """Take a volume from a scalar image of SimpleITK."""
    affine = np.eye(4)
    directions = np.array(image.GetDirection()).reshape(3, 3)
    affine[:3, :3] = directions * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    voxels = sitk.GetArrayFromImage(sitk.Cast(image, sitk.sitkFloat32))
    return Volume(voxels, affine, fill)
