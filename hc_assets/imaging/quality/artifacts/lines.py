"""Rows and columns that are missing: those of a dead detector line or a lost packet.

Belongs here: single lines. Stripes, of which there are many, are in `stripes.py`.

Thresholds are our own: by them none of 61 clean images has a missing line, and the detectors' tests
hold phantoms with dead lines against them.
"""

import numpy as np

from hc_assets.imaging.quality.regions import Regions
from hc_assets.imaging.quality.samples import Image, Mask

# Pixels of a line that are looked at: bounds the work
_MOST_COLUMNS = 128
# How far a line lies from both of its neighbours, in shares of what there is to be seen
_APART = 0.1
# Share of a line's pixels that lie so, to the same side
_AGREEING = 0.9
# Lines that count: half as long as the longest, of so many pixels, and so many of them
_LEAST_LENGTH, _LEAST_PIXELS, _LEAST_LINES = 0.5, 32, 32


def missing_lines(regions: Regions) -> float:
    """Share of the lines through the object that are missing, 0 to 1.

    A line is missing where nearly all of its pixels differ from both neighbours, to the same side,
    by a tenth of what there is to be seen; rows or columns, whichever has more. Lines that only
    touch the object don't count: a flat rim of it would look the same.
    """
    least = np.float32(2 * _APART * regions.spread)
    image, mask = regions.image, regions.objects
    return max(_missing(image, mask, least), _missing(image.T, mask.T, least))


def _missing(image: Image, mask: Mask, least: np.float32) -> float:
    step = max(1, image.shape[1] // _MOST_COLUMNS)
    # A dark line through the object is not of the object itself, its neighbours are
    inside = mask[:-2, ::step] & mask[2:, ::step]
    thinned = image[:, ::step]
    before, line, after = thinned[:-2], thinned[1:-1], thinned[2:]
    above = np.count_nonzero(inside & (line - np.maximum(before, after) > least), axis=1)
    below = np.count_nonzero(inside & (np.minimum(before, after) - line > least), axis=1)
    length = np.count_nonzero(inside, axis=1)
    counted = length >= max(_LEAST_PIXELS / step, _LEAST_LENGTH * length.max())
    if np.count_nonzero(counted) < _LEAST_LINES:
        return 0.0
    agreeing = np.where(counted, np.abs(above - below) / np.maximum(length, 1), 0.0)
    return float(np.count_nonzero(agreeing > _AGREEING) / np.count_nonzero(counted))
