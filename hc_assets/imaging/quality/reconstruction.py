"""What of a CT image was reconstructed, and whether its values are Hounsfield units.

Belongs here: padding, whether or not the header declares it.
"""

from functools import lru_cache

import cv2
import numpy as np

from hc_assets.imaging.quality.samples import Image, Mask, extremes

# Scanners mark what lies outside the reconstruction with less than any matter has: one value, far
# below all others; where that value was blurred or noise laid over it, less than air's -1000.
# The gap in shares of the range, the value's own share of the pixels, and the share of a square
# outside of its circle (1 - pi / 4 = 0.21) that is enough; ours
_PADDING_GAP, _PADDING_SHARE, _CORNERS = 0.05, 0.002, 0.1
# Around -1000, which air has by definition of the scale, with room for the noise of a place; ours
_AIR_HOUNSFIELD = (-1100.0, -900.0)
# Share of the image that must be air, so that the values are known to be Hounsfield units; ours
_LEAST_CALIBRATED = 0.01
# Pixels: side of a place, and how far the circle lies within the image
_PLACE, _INSET = 5, 2


def reconstructed(image: Image, valid: Mask) -> tuple[Mask, bool]:
    """Leave out what a CT scanner did not reconstruct, whether or not the header says how.

    Returns:
        What is left, and whether the values are Hounsfield units.
    """
    values = image[valid]
    if not values.size:
        return valid, False
    circle = _circle(image.shape, _INSET)
    around = image[valid & ~circle]
    # Only a square is what a circle was reconstructed in
    if image.shape[0] == image.shape[1] and around.size > _CORNERS * image.size:
        # Of places, not of pixels: noise alone takes single pixels lower than padding
        known = np.where(valid, image, values.min())
        # In float64, because sums of what float32 just holds are beyond it
        places = cv2.boxFilter(known, cv2.CV_64F, (_PLACE, _PLACE))
        low, high = extremes(places[valid & _circle(image.shape, _INSET + _PLACE)])
        if float(np.median(around)) < low - _PADDING_GAP * (high - low):
            valid = valid & circle
            values = image[valid]
    lowest = float(values.min())
    rest = values[values > lowest]
    if 0 < rest.size <= int((1 - _PADDING_SHARE) * values.size):
        low, high = extremes(rest)
        if float(rest.min()) - lowest > _PADDING_GAP * (high - low):
            valid, values = valid & (image > lowest), rest
    beyond = np.count_nonzero(values < _AIR_HOUNSFIELD[0])
    air = np.count_nonzero(values < _AIR_HOUNSFIELD[1]) - beyond
    # Values that were scaled are no Hounsfield units: their air is elsewhere
    if air <= beyond or air <= _LEAST_CALIBRATED * values.size:
        return valid, False
    if not beyond:
        return valid, True
    # Of places here as well
    places = cv2.blur(np.where(valid, image, np.float32(lowest)), (_PLACE, _PLACE))
    return valid & (places >= _AIR_HOUNSFIELD[0]), True


@lru_cache(maxsize=8)
def _circle(shape: tuple[int, int], inset: int) -> Mask:
    """The circle that a scanner reconstructs, some pixels within the image's borders."""
    rows, columns = shape
    y, x = np.ogrid[:rows, :columns]
    reach = min(shape) / 2 - inset
    apart = (y - (rows - 1) / 2) ** 2 + (x - (columns - 1) / 2) ** 2
    return np.asarray(apart <= reach**2)
