"""MR: intensities have no unit, so each frame is stretched between percentiles of the object.

Belongs here: what is done to the values of MR frames.
"""

import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_otsu

from hc_assets.imaging.pixels import Frame
from hc_assets.imaging.preprocessing.contrast import between_percentiles
from hc_assets.imaging.preprocessing.pipeline import Parameters, Pipeline


def _normalised(
    values: NDArray[np.float32], frame: Frame, parameters: Parameters
) -> NDArray[np.float32]:
    """Map air to 0: percentiles of the whole frame would follow how much air is in it."""
    counts = np.ones(values.shape, np.bool_) if frame.padding is None else ~frame.padding
    inside = values[counts] if counts.any() else values.ravel()
    if inside.min() < inside.max():
        objects = counts & (values > threshold_otsu(inside))
        low = float(np.percentile(inside, float(parameters["low_percentile"])))
        high = float(np.percentile(values[objects], float(parameters["high_percentile"])))
        if high > low:
            scaled = (values - np.float32(low)) / np.float32(high - low)
            clipped: NDArray[np.float32] = np.clip(scaled, 0, 1).astype(np.float32)
            return clipped
    return between_percentiles(values, 0, 100, counts)


PIPELINE = Pipeline(
    name="mr",
    version=1,
    shape=(256, 256),
    parameters={"low_percentile": 1.0, "high_percentile": 99.0},
    normalise=_normalised,
)
