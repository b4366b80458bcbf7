"""Volumes as NIfTI-1 files, by nibabel.

Belongs here: the bytes of one file. Which volumes are exported, and under which name, is in
`exports.py`.
"""

import gzip
import io

import nibabel
import numpy as np

from hc_assets.imaging.volumes.geometry import ras_from_lps
from hc_assets.imaging.volumes.volume import Volume

_SCANNER = 1
_FAST = 1
"""Level 6 takes twice the time for files that are one or two hundredths smaller."""


def nifti_bytes(volume: Volume) -> bytes:
    """Write a volume as a gzipped NIfTI-1 file.

    Args:
        volume: in LPS.

    Returns:
        The bytes: axes column, row, slice; the affine in RAS as sform and, where the axes are at
        right angles, as qform, both in scanner coordinates; millimetres. Voxels are int16 where
        all are whole numbers in its range, else float32. The header says nothing of the patient;
        the same volume gives the same bytes.
    """
    voxels = volume.voxels.transpose(2, 1, 0)
    as_integers = voxels.astype(np.int16)
    data = as_integers if np.array_equal(as_integers, voxels) else voxels
    image = nibabel.Nifti1Image(data, ras_from_lps(volume.affine))
    image.set_sform(ras_from_lps(volume.affine), code=_SCANNER)
    image.set_qform(ras_from_lps(volume.affine), code=_SCANNER, strip_shears=True)
    image.header.set_xyzt_units(xyz="mm")
    target = io.BytesIO()
    # No time and no name in the gzip header
    with gzip.GzipFile(
        fileobj=target, mode="wb", compresslevel=_FAST, mtime=0, filename=""
    ) as file:
        file.write(image.to_bytes())
    return target.getvalue()
