"""CT: Hounsfield units through a window.

Belongs here: what is done to the values of CT frames.
"""

import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.pixels.display import apply_window
from hc_assets.imaging.pixels.frame_context import Window
from hc_assets.imaging.pixels.frames import Frame
from hc_assets.imaging.preprocessing.parameters import CtParameters
from hc_assets.imaging.preprocessing.radiograph import locally_enhanced
from hc_assets.imaging.preprocessing.recipe import Normalised, Recipe

# Window centre and width in HU (Radiopaedia, "Windowing (CT)": brain 40/80, mediastinum 50/350,
# lungs -600/1500, soft tissue of the abdomen 50/400, of the neck 40/375, bone 400/1800, liver
# 30/150), by BodyPartExamined as PS3.16 Annex L spells it.
_BRAIN, _NECK, _CHEST, _LUNG = (40, 80), (40, 375), (50, 350), (-600, 1500)
_ABDOMEN, _LIVER, _BONE = (50, 400), (30, 150), (400, 1800)
_PRESETS = {
    **dict.fromkeys(("HEAD", "BRAIN"), _BRAIN),
    **dict.fromkeys(("NECK", "HEADNECK"), _NECK),
    **dict.fromkeys(("CHEST", "HEART", "MEDIASTINUM", "BREAST", "AORTA"), _CHEST),
    "LUNG": _LUNG,
    **dict.fromkeys(("ABDOMEN", "PELVIS", "ABDOMENPELVIS", "CHESTABDOMEN"), _ABDOMEN),
    **dict.fromkeys(("CHESTABDPELVIS", "KIDNEY", "PANCREAS", "BLADDER", "PROSTATE"), _ABDOMEN),
    "LIVER": _LIVER,
    **dict.fromkeys(("SPINE", "CSPINE", "TSPINE", "LSPINE", "SSPINE", "SKULL"), _BONE),
    **dict.fromkeys(("EXTREMITY", "SHOULDER", "ELBOW", "WRIST", "HAND", "HIP", "LEG"), _BONE),
    **dict.fromkeys(("KNEE", "ANKLE", "FOOT", "ARM", "JAW", "TEMPORAL"), _BONE),
}
_SOFT_TISSUE = (40, 400)


def windowed(values: NDArray[np.float32], frame: Frame, parameters: CtParameters) -> Normalised:
    """Apply the file's first window, or the preset of the body part."""
    context = frame.context
    if context.windows and parameters.window == "file":
        return Normalised(apply_window(values, context.windows[0]), ("the file's window",))
    known = context.body_part in _PRESETS
    center, width = _PRESETS.get(context.body_part, _SOFT_TISSUE)
    which = "its body part's" if known else "soft tissue's"
    return Normalised(
        apply_window(values, Window(center, width, "LINEAR")), (f"{which} preset of the window",)
    )


RECIPE = Recipe(
    name="ct",
    version=2,
    parameters=CtParameters(),
    normalise=windowed,
    enhance=locally_enhanced,
)
