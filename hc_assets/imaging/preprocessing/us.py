"""US: speckle lowered in the grey image, and in it alone.

Belongs here: what is done to the values of ultrasound frames.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.pixels.frames import Frame
from hc_assets.imaging.preprocessing.contrast import luminance
from hc_assets.imaging.preprocessing.denoising import adaptive_mean, speckle_noise
from hc_assets.imaging.preprocessing.parameters import UltrasoundParameters
from hc_assets.imaging.preprocessing.radiograph import as_displayed
from hc_assets.imaging.preprocessing.recipe import Normalised, Recipe

# Channels of a grey pixel differ by what lossy compression of colour leaves
_LEAST_COLOUR = 0.15
# With more than this in colour the image itself is tinted, not overlaid
_MOST_OVERLAY = 0.5


def despeckled(values: NDArray[Any], frame: Frame, parameters: UltrasoundParameters) -> Normalised:
    """Lower speckle; colour (flow, calipers, text) keeps its luminance, or goes, and is marked."""
    if not frame.is_color:
        made = as_displayed(values, frame, parameters)
        return Normalised(_filtered(made.pixels, None, parameters), made.decisions)
    grey = luminance(values, frame.limits[1])
    overlay = _overlay(values, frame.limits[1])
    share = float(overlay.mean())
    if share > _MOST_OVERLAY:
        return Normalised(_filtered(grey, None, parameters), ("tinted image became luminance",))
    if share == 0:
        return Normalised(_filtered(grey, None, parameters), ("colour became luminance",))
    filtered = _filtered(grey, ~overlay, parameters)
    if parameters.overlays == "remove":
        filtered = np.where(overlay, np.float32(0), filtered)
    return Normalised(
        filtered, (f"colour overlay told apart ({parameters.overlays})",), overlay=overlay
    )


def _overlay(pixels: NDArray[Any], top: float) -> NDArray[np.bool_]:
    """Pixels whose channels differ, with single ones, which are noise, left out."""
    channels = pixels.astype(np.float32)
    spread = channels.max(axis=2) - channels.min(axis=2)
    coloured = spread > _LEAST_COLOUR * (top or 1.0)
    # Beside itself, one of its eight neighbours
    neighbours = cv2.boxFilter(
        coloured.astype(np.uint8), -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    overlay: NDArray[np.bool_] = coloured & (neighbours > 1)
    return overlay


def _filtered(
    pixels: NDArray[np.float32],
    counts: NDArray[np.bool_] | None,
    parameters: UltrasoundParameters,
) -> NDArray[np.float32]:
    side = parameters.despeckle_pixels | 1
    if side == 1:
        return pixels
    every = np.ones(pixels.shape, np.bool_) if counts is None else counts
    return adaptive_mean(pixels, speckle_noise(pixels, every, side=side), side=side, counts=counts)


RECIPE = Recipe(
    name="us",
    version=2,
    parameters=UltrasoundParameters(),
    normalise=despeckled,
    takes_colour=True,
)
