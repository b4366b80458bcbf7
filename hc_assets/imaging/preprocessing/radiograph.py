"""CR and DX: the display pipeline of the file, so that bone is white whatever it was stored as.

Belongs here: what is done to the values of projection radiographs other than mammograms.
"""

import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.display import displayed
from hc_assets.imaging.pixels import Frame
from hc_assets.imaging.preprocessing.contrast import between_percentiles, equalised
from hc_assets.imaging.preprocessing.pipeline import Parameters, Pipeline


def shown(values: NDArray[np.float32], frame: Frame, parameters: Parameters) -> NDArray[np.float32]:
    """VOI LUT or window where the file sends one, else percentiles; MONOCHROME1 inverted last."""
    context = frame.context
    if context.voi_tables or context.windows:
        return displayed(frame)
    counts = None if frame.padding is None else ~frame.padding
    low, high = float(parameters["low_percentile"]), float(parameters["high_percentile"])
    stretched = between_percentiles(values, low, high, counts)
    return 1 - stretched if context.is_inverted else stretched


def sharpened_contrast(pixels: NDArray[np.float32], parameters: Parameters) -> NDArray[np.float32]:
    """CLAHE in 16 bits."""
    return equalised(
        pixels,
        clip_limit=float(parameters["clahe_clip_limit"]),
        tiles=int(parameters["clahe_tiles"]),
    )


PIPELINE = Pipeline(
    name="radiograph",
    version=1,
    shape=(1024, 1024),
    parameters={
        "low_percentile": 0.5,
        "high_percentile": 99.5,
        "clahe_clip_limit": 2.0,
        "clahe_tiles": 8,
    },
    normalise=shown,
    enhance=sharpened_contrast,
)
