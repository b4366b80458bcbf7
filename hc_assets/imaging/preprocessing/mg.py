"""MG: the breast alone, turned one way, its range stretched, then equalised.

Belongs here: what is done to the values of mammograms.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.pixels.frames import Frame
from hc_assets.imaging.preprocessing.contrast import between_percentiles
from hc_assets.imaging.preprocessing.parameters import MammogramParameters
from hc_assets.imaging.preprocessing.radiograph import as_displayed, locally_enhanced
from hc_assets.imaging.preprocessing.recipe import Normalised, Recipe
from hc_assets.imaging.quality.samples import otsu, sample

_COARSE_SIDE = 512
_SKIN_PIXELS = 3


def breast_alone(
    values: NDArray[np.float32], frame: Frame, parameters: MammogramParameters
) -> Normalised:
    """Stretch the breast, the largest bright region, to 0 to 1; labels and air become 0."""
    visible = as_displayed(values, frame, parameters)
    breast = breast_mask(visible.pixels)
    if not breast.any():
        return Normalised(visible.pixels, (*visible.decisions, "no breast told from air"))
    flips, turns = _orientation(breast, frame, parameters)
    stretched = between_percentiles(
        visible.pixels, parameters.low_percentile, parameters.high_percentile, breast
    )
    stretched *= breast
    return Normalised(stretched, (*visible.decisions, "breast mask", *turns), flips=flips)


def breast_mask(visible: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Separate the breast from air and labels.

    The largest region above half of Otsu's threshold (the skin line is darker than tissue), found
    in a coarse image, its edge taken from the fine one.

    Args:
        visible: rows by columns, 0 to 1, tissue bright.

    Returns:
        True in the breast; False everywhere where nothing stands out.
    """
    threshold = otsu(sample(visible.ravel())) / 2
    factor = max(1, -(-max(visible.shape) // _COARSE_SIDE))
    size = tuple(max(1, side // factor) for side in visible.shape[::-1])
    coarse = cv2.resize(visible, size, interpolation=cv2.INTER_AREA).reshape(size[::-1])
    bright = (coarse > threshold).astype(np.uint8)
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(bright, connectivity=8)
    if count < 2 or bright.all():
        return np.zeros(visible.shape, np.bool_)
    largest = 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA]))
    region = (labels == largest).astype(np.uint8)
    reach = np.ones((2 * _SKIN_PIXELS + 1,) * 2, np.uint8)
    fine = visible.shape[::-1]
    # Inside, dark spots are tissue as well; at the edge each pixel speaks for itself
    core, around = (
        np.asarray(cv2.resize(each, fine, interpolation=cv2.INTER_NEAREST), np.uint8)
        for each in (cv2.erode(region, reach), cv2.dilate(region, reach))
    )
    mask = (visible > threshold).view(np.uint8)
    mask &= around.reshape(visible.shape)
    mask |= core.reshape(visible.shape)
    breast: NDArray[np.bool_] = mask.view(np.bool_)
    return breast


def _orientation(
    breast: NDArray[np.bool_], frame: Frame, parameters: MammogramParameters
) -> tuple[tuple[bool, bool], tuple[str, ...]]:
    """Return what to turn round for the chest wall to be on the left and the head on top.

    PatientOrientation decides where it is sent (PS3.3 C.7.6.1.1.1); without it the half that holds
    more breast is the one at the chest wall.
    """
    if parameters.orientation == "as_stored":
        return (False, False), ()
    along_row, along_column = (*frame.context.patient_orientation, "", "")[:2]
    if along_row[:1] in ("A", "P"):
        is_mirrored = along_row[0] == "P"
    else:
        halves = breast.shape[1] // 2
        left, right = breast[:, :halves], breast[:, -halves:]
        is_mirrored = bool(np.count_nonzero(right) > np.count_nonzero(left))
    is_upside_down = along_column[:1] == "H"
    turns = [
        f"turned {way}"
        for way, is_so in (("left to right", is_mirrored), ("upside down", is_upside_down))
        if is_so
    ]
    return (is_upside_down, is_mirrored), tuple(turns)


RECIPE = Recipe(
    name="mg",
    version=2,
    parameters=MammogramParameters(),
    normalise=breast_alone,
    enhance=locally_enhanced,
)
