"""The bias field of MR: slow shading by coils, estimated and divided out.

Belongs here: two ways to estimate it. N4 (`imaging/bias_field.py`) is the reference and takes some
hundredths of a second; homomorphic filtering (Brinkmann, Manduca and Robb, IEEE TMI
17:161, 1998) takes a millisecond, but takes slow differences of tissue for shading, too.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.bias_field import log_bias_field

_LEAST_SIDE = 16
_COARSE_SIDE = 128
_LEAST = 1e-30
# A field beyond these is no coil's, but a fit that ran away at the edge of the object
_LOWEST, _HIGHEST = float(np.log(0.2)), float(np.log(5.0))


class NoFieldError(Exception):
    """A fit found no field; the text says which."""


def n4_field(
    pixels: NDArray[np.float32],
    counts: NDArray[np.bool_],
    *,
    shrink: int,
    iterations: int,
    levels: int,
) -> NDArray[np.float32]:
    """Estimate the field with N4.

    Args:
        pixels: rows by columns, 0 or more, finite.
        counts: True where the object is.
        shrink: factor that both sides are divided by for the fit; less where that would leave
            fewer than 16 pixels. The field is given in full resolution all the same.
        iterations: at most, at each level.
        levels: of the B-spline mesh, each twice as fine as the last.

    Returns:
        The field, mean 1 over the object; pixels divided by it are what no coil has shaded.
        All ones where the object is too small for a fit.

    Raises:
        NoFieldError: the fit failed.
    """
    import SimpleITK as sitk  # noqa: PLC0415 - 50 MB that only N4 needs

    rows, columns = pixels.shape
    factor = max(1, min(shrink, min(rows, columns) // _LEAST_SIDE))
    mask = sitk.Shrink(sitk.GetImageFromArray(counts.astype(np.uint8)), [factor] * 2)
    tissue = np.count_nonzero(sitk.GetArrayViewFromImage(mask))
    if min(rows, columns) < _LEAST_SIDE or tissue < _LEAST_SIDE**2 // 4:
        return np.ones_like(pixels)
    # N4 works on logarithms: zeros would be taken for the deepest shadow
    floor = max(float(pixels[counts].max()) * 1e-4, _LEAST)
    image = sitk.GetImageFromArray(np.maximum(pixels, np.float32(floor)))
    coarse = sitk.GetArrayFromImage(sitk.Shrink(image, [factor] * 2))
    counted = sitk.GetArrayViewFromImage(mask).astype(np.bool_)
    logarithm = log_bias_field(coarse, counted, [iterations] * levels).on(pixels.shape)
    if not np.isfinite(logarithm).all():
        raise NoFieldError("N4 found no finite field")
    return _levelled(logarithm, counts)


def homomorphic_field(
    pixels: NDArray[np.float32], counts: NDArray[np.bool_], *, width: float
) -> NDArray[np.float32]:
    """Estimate the field as the smoothed logarithm of the object alone.

    Args:
        pixels: rows by columns, 0 or more, finite.
        counts: True where the object is; air bears on nothing.
        width: deviation of the Gaussian, as a share of the longer side.

    Returns:
        As `n4_field`.
    """
    if not counts.any():
        return np.ones_like(pixels)
    floor = max(float(pixels[counts].max()) * 1e-4, _LEAST)
    logarithm = np.where(counts, np.log(np.maximum(pixels, np.float32(floor))), np.float32(0))
    # The field is smooth, so a coarse grid holds it
    rows, columns = pixels.shape
    scale = min(1.0, _COARSE_SIDE / max(rows, columns))
    size = max(1, round(columns * scale)), max(1, round(rows * scale))
    deviation = max(0.5, width * max(size))
    smooth, weight = (
        cv2.GaussianBlur(
            cv2.resize(each.astype(np.float32), size, interpolation=cv2.INTER_AREA),
            (0, 0),
            deviation,
            borderType=cv2.BORDER_REFLECT,
        )
        for each in (logarithm, counts)
    )
    field = smooth / np.maximum(weight, np.float32(1e-3))
    fine = cv2.resize(field, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return _levelled(np.asarray(fine, np.float32).reshape(pixels.shape), counts)


def _levelled(logarithm: NDArray[np.float32], counts: NDArray[np.bool_]) -> NDArray[np.float32]:
    inside = logarithm[counts].astype(np.float64)
    centred = logarithm - np.float32(inside.mean())
    # Outside the object nothing is known: a spline goes anywhere there, and air would outshine it
    low, high = float(inside.min() - inside.mean()), float(inside.max() - inside.mean())
    field = np.exp(np.clip(centred, max(low, _LOWEST), min(high, _HIGHEST)))
    levelled: NDArray[np.float32] = (field / field[counts].mean(dtype=np.float64)).astype(
        np.float32
    )
    return levelled
