"""MG: the breast alone, its range stretched, then equalised in 16 bits.

Belongs here: what is done to the values of mammograms.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.pixels import Frame
from hc_assets.imaging.preprocessing.contrast import between_percentiles
from hc_assets.imaging.preprocessing.pipeline import Parameters, Pipeline
from hc_assets.imaging.preprocessing.radiograph import sharpened_contrast, shown
from hc_assets.imaging.samples import otsu


def _breast_alone(
    values: NDArray[np.float32], frame: Frame, parameters: Parameters
) -> NDArray[np.float32]:
    """Stretch the breast, the largest bright region, to 0 to 1; labels and air become 0."""
    visible = shown(values, frame, parameters)
    breast = _breast(visible)
    if not breast.any():
        return visible
    stretched = between_percentiles(
        visible, float(parameters["low_percentile"]), float(parameters["high_percentile"]), breast
    )
    return np.where(breast, stretched, np.float32(0))


def _breast(visible: NDArray[np.float32]) -> NDArray[np.bool_]:
    if visible.min() == visible.max():
        return np.zeros(visible.shape, np.bool_)
    # The skin line is darker than tissue: half of Otsu's threshold still parts it from air.
    bright = (visible > otsu(visible) / 2).astype(np.uint8)
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(bright, connectivity=8)
    if count < 2:
        return np.zeros(visible.shape, np.bool_)
    largest = 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA]))
    region: NDArray[np.bool_] = labels == largest
    return region


PIPELINE = Pipeline(
    name="mg",
    version=1,
    shape=(2048, 2048),
    parameters={
        "low_percentile": 0.5,
        "high_percentile": 99.5,
        "clahe_clip_limit": 2.0,
        "clahe_tiles": 8,
    },
    normalise=_breast_alone,
    enhance=sharpened_contrast,
)
