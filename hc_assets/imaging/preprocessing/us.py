"""US: speckle reduced by a median, edges kept.

Belongs here: what is done to the values of ultrasound frames.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.preprocessing.pipeline import Parameters, Pipeline
from hc_assets.imaging.preprocessing.radiograph import shown


def _despeckled(pixels: NDArray[np.float32], parameters: Parameters) -> NDArray[np.float32]:
    return cv2.medianBlur(pixels, int(parameters["median_pixels"])).astype(np.float32)


PIPELINE = Pipeline(
    name="us",
    version=1,
    shape=(256, 256),
    parameters={"low_percentile": 0.0, "high_percentile": 100.0, "median_pixels": 3},
    normalise=shown,
    enhance=_despeckled,
)
