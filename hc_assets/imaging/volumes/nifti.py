"""Volumes as NIfTI-1 files, by nibabel.

Belongs here: the bytes of one file, of a volume or of several on one grid. Which are exported, and
under which name, is in `exports.py`.
"""

import gzip
import io
from collections.abc import Iterable
from typing import Any

import nibabel
import numpy as np

from hc_assets.imaging.volumes.geometry import Matrix, ras_from_lps
from hc_assets.imaging.volumes.volume import Volume, Voxels

_SCANNER = 1
_FAST = 1
"""Level 6 takes twice the time for files that are one or two hundredths smaller."""
_SINGLE_FILE = 352
_INT16 = np.iinfo(np.int16)


def nifti_bytes(volume: Volume) -> bytes:
    """Write a volume as a gzipped NIfTI-1 file.

    Args:
        volume: in LPS.

    Returns:
        The bytes, as `write_nifti` has them; voxels are int16 where all are whole numbers in its
        range, else float32.
    """
    target = io.BytesIO()
    write_nifti(
        target,
        [volume.voxels],
        volume.affine,
        shape=volume.voxels.shape,
        is_integral=fits_int16(volume.voxels),
    )
    return target.getvalue()


def fits_int16(voxels: Voxels) -> bool:
    """Whether all voxels are whole numbers in the range of int16."""
    in_range = _INT16.min <= voxels.min() and voxels.max() <= _INT16.max
    return bool(in_range and np.array_equal(voxels, np.rint(voxels)))


def write_nifti(
    sink: Any,
    volumes: Iterable[Voxels],
    affine: Matrix,
    *,
    shape: tuple[int, ...],
    is_integral: bool,
    count: int = 1,
    seconds: float | None = None,
) -> None:
    """Write volumes on one grid as a gzipped NIfTI-1 file, one after the other.

    Args:
        sink: takes the bytes: axes column, row, slice and, of several volumes, volume; the affine
            in RAS as sform and, where the axes are at right angles, as qform, both in scanner
            coordinates; millimetres and seconds. The header says nothing of the patient; the same
            volumes give the same bytes.
        volumes: slices by rows by columns, each.
        affine: of all, into LPS.
        shape: of each.
        is_integral: whether voxels are written as int16, which all have to fit; else as float32.
        count: how many volumes there are.
        seconds: from one to the next; None where unknown.
    """
    header = nibabel.Nifti1Header(endianness="<")
    header.set_data_dtype(np.dtype("<i2") if is_integral else np.dtype("<f4"))
    header.set_data_shape(shape[::-1] if count == 1 else (*shape[::-1], count))
    header.set_slope_inter(1, 0)
    header.set_sform(ras_from_lps(affine), code=_SCANNER)
    header.set_qform(ras_from_lps(affine), code=_SCANNER, strip_shears=True)
    if count == 1:
        header.set_xyzt_units(xyz="mm")
    else:
        header["pixdim"][4] = seconds or 0.0
        header.set_xyzt_units(xyz="mm", t="sec" if seconds else "unknown")
    header.set_data_offset(_SINGLE_FILE)
    # No time and no name in the gzip header
    with gzip.GzipFile(fileobj=sink, mode="wb", compresslevel=_FAST, mtime=0, filename="") as file:
        file.write(header.binaryblock)
        file.write(bytes(_SINGLE_FILE - len(header.binaryblock)))
        for voxels in volumes:
            for part in voxels:
                file.write(np.ascontiguousarray(part, header.get_data_dtype()).data)
