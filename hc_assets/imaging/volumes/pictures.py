"""Pictures of volumes: the middle slices of three planes, small, from intensities only.

Belongs here: drawing. No text, no header value, no overlay goes into a picture, and it is too
coarse for text that was burnt in to be read.
"""

import logging

import cv2
import numpy as np
from numpy.typing import NDArray

from hc_assets.core.fence import InternalError, fenced
from hc_assets.imaging.volumes.geometry import directions_of, spacing_of
from hc_assets.imaging.volumes.volume import Volume

PICTURE_BYTES = 64 * 1024
_LOG = logging.getLogger(__name__)
_SIDE = 128
_GAP = 4


def picture_of(volume: Volume) -> bytes | None:
    """As `three_planes`; None where that fails, for a picture only decorates."""
    drawn = fenced(three_planes, volume)
    if isinstance(drawn, InternalError):
        _LOG.warning("no picture of a volume: %s", drawn.text)
        return None
    return drawn


def three_planes(volume: Volume) -> bytes:
    """Draw the middle slice of each plane, side by side.

    Args:
        volume: of any orientation.

    Returns:
        A greyscale PNG of at most 392 by 128 pixels: axial, coronal, sagittal as the volume's axes
        are nearest to them; head up, front up in the axial plane, the patient's left on the
        viewer's right. From the 1st to the 99th percentile of the voxels; all aspects true.
    """
    voxels, spacing = _to_patient(volume)
    low, high = np.percentile(voxels[::2, ::2, ::2], [1, 99])
    scale = 255.0 / max(float(high - low), 1e-12)
    planes = [
        (voxels[voxels.shape[0] // 2], (spacing[1], spacing[2])),
        (voxels[::-1, voxels.shape[1] // 2], (spacing[0], spacing[2])),
        (voxels[::-1, :, voxels.shape[2] // 2], (spacing[0], spacing[1])),
    ]
    canvas = np.zeros((_SIDE, 3 * _SIDE + 2 * _GAP), np.uint8)
    longest = max(max(np.array(plane.shape) * mm) for plane, mm in planes)
    for number, (plane, mm) in enumerate(planes):
        size = np.maximum(1, np.array(plane.shape) * mm / longest * _SIDE).astype(int)
        grey = np.clip((plane.astype(np.float32) - low) * scale, 0, 255)
        drawn = cv2.resize(
            grey.astype(np.uint8), (int(size[1]), int(size[0])), interpolation=cv2.INTER_AREA
        )
        top = (_SIDE - size[0]) // 2
        left = number * (_SIDE + _GAP) + (_SIDE - size[1]) // 2
        canvas[top : top + size[0], left : left + size[1]] = drawn
    done, encoded = cv2.imencode(".png", canvas)
    if not done or encoded.nbytes > PICTURE_BYTES:  # 50 KB uncompressed: it can't be
        raise ValueError("the picture could not be made small enough")
    return encoded.tobytes()


def _to_patient(volume: Volume) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Turn axes so that they are nearest to head, back, left (LPS from slice to column)."""
    directions = directions_of(volume.affine)[:, ::-1]  # by array axis: slice, row, column
    spacing = np.array(spacing_of(volume.affine))[::-1]
    order: list[int] = []
    strength = np.abs(directions)
    for axis in (2, 1, 0):  # head, back, left
        free = [a for a in range(3) if a not in order]
        order.append(free[int(strength[axis, free].argmax())])
    voxels = np.transpose(volume.voxels, order)
    for at, axis in enumerate((2, 1, 0)):
        if directions[axis, order[at]] < 0:
            voxels = np.flip(voxels, at)
    return voxels, spacing[order]
