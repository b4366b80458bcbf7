"""MR: intensities have no unit, so each frame is stretched between percentiles of the object.

Belongs here: what is done to the values of MR frames.
"""

import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.pixels import Frame
from hc_assets.imaging.preprocessing.contrast import between_percentiles
from hc_assets.imaging.preprocessing.pipeline import Parameters, Pipeline
from hc_assets.imaging.samples import otsu


def _normalised(
    values: NDArray[np.float32], frame: Frame, parameters: Parameters
) -> NDArray[np.float32]:
    """Map air to 0: percentiles of the whole frame would follow how much air is in it."""
    counts = np.ones(values.shape, np.bool_) if frame.padding is None else ~frame.padding
    # In doubles: the range of extreme floats is beyond floats
    wide = values.astype(np.float64)
    inside = wide[counts] if counts.any() else wide.ravel()
    objects = counts & (wide > otsu(inside))
    if objects.any():
        low = np.percentile(inside, float(parameters["low_percentile"]))
        high = np.percentile(wide[objects], float(parameters["high_percentile"]))
        if high > low:
            clipped: NDArray[np.float32] = np.clip((wide - low) / (high - low), 0, 1).astype(
                np.float32
            )
            return clipped
    return between_percentiles(values, 0, 100, counts)


PIPELINE = Pipeline(
    name="mr",
    version=1,
    shape=(256, 256),
    parameters={"low_percentile": 1.0, "high_percentile": 99.0},
    normalise=_normalised,
)
