"""CT: Hounsfield units through a window.

Belongs here: what is done to the values of CT frames.
"""

import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.display import apply_window
from hc_assets.imaging.frame_context import Window
from hc_assets.imaging.pixels import Frame
from hc_assets.imaging.preprocessing.pipeline import Parameters, Pipeline
from hc_assets.imaging.preprocessing.radiograph import sharpened_contrast

# Window centre and width in HU by BodyPartExamined, as radiology texts commonly give them; they are
# taken where the file sends no window.
_PRESETS = {
    "HEAD": (40, 80),
    "BRAIN": (40, 80),
    "CHEST": (40, 400),
    "LUNG": (-600, 1500),
    "ABDOMEN": (40, 400),
    "PELVIS": (40, 400),
    "SPINE": (300, 1500),
    "EXTREMITY": (300, 1500),
}
_SOFT_TISSUE = (40, 400)


def _windowed(values: NDArray[np.float32], frame: Frame, _: Parameters) -> NDArray[np.float32]:
    context = frame.context
    if context.windows:
        return apply_window(values, context.windows[0])
    center, width = _PRESETS.get(context.body_part, _SOFT_TISSUE)
    return apply_window(values, Window(center, width, "LINEAR"))


PIPELINE = Pipeline(
    name="ct",
    version=1,
    shape=(512, 512),
    parameters={"clahe_clip_limit": 2.0, "clahe_tiles": 8},
    normalise=_windowed,
    enhance=sharpened_contrast,
)
