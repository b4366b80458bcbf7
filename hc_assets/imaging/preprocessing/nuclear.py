"""PT and NM: uptake on a fixed scale where the tags allow SUV, else each frame on its own.

Belongs here: what is done to the values of emission tomograms and scintigrams.
"""

import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.pixels.frames import Frame
from hc_assets.imaging.preprocessing.contrast import between, between_percentiles
from hc_assets.imaging.preprocessing.parameters import NuclearParameters
from hc_assets.imaging.preprocessing.recipe import Normalised, Recipe
from hc_assets.imaging.preprocessing.suv import suv_factor


def uptake_scaled(
    values: NDArray[np.float32], frame: Frame, parameters: NuclearParameters
) -> Normalised:
    """Map SUV from 0 to `suv_top` to 0 to 1; windows of the file are for the eye, and left aside.

    Without SUV percentiles of the frame are mapped, so that arrays of different patients do not
    compare; the decision says why.
    """
    factor = suv_factor(frame.context.uptake)
    if factor.value is not None:
        top = parameters.suv_top / factor.value
        return Normalised(between(values, 0.0, top), (f"SUV: {factor.reason}",))
    counts = None if frame.padding is None else ~frame.padding
    pixels = between_percentiles(
        values, parameters.low_percentile, parameters.high_percentile, counts
    )
    # MONOCHROME1 is how an inverted grey scale is shown, not another meaning of the values
    return Normalised(pixels, (f"no SUV: {factor.reason}", "percentiles"))


RECIPE = Recipe(
    name="nuclear",
    version=1,
    parameters=NuclearParameters(),
    normalise=uptake_scaled,
)
