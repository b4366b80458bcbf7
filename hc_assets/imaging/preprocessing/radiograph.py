"""CR and DX: the display pipeline of the file, so that bone is white whatever it was stored as.

Belongs here: what is done to the values of projection radiographs other than mammograms.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.pixels.display import apply_window
from hc_assets.imaging.pixels.frames import Frame
from hc_assets.imaging.preprocessing.contrast import between_percentiles
from hc_assets.imaging.preprocessing.local_contrast import equalised
from hc_assets.imaging.preprocessing.parameters import RadiographParameters
from hc_assets.imaging.preprocessing.recipe import Normalised, Recipe


class Percentiles(Protocol):
    """Parameters with two percentiles."""

    @property
    def low_percentile(self) -> float:
        """What becomes 0."""

    @property
    def high_percentile(self) -> float:
        """What becomes 1."""


class LocalContrast(Protocol):
    """Parameters of local equalisation."""

    @property
    def clahe_clip_limit(self) -> float:
        """As `clip_limit` of `equalised`; 0 leaves it out."""

    @property
    def clahe_tiles(self) -> int:
        """Tiles along each side."""

    @property
    def clahe_bins(self) -> int:
        """Bins of each histogram."""


def as_displayed(values: NDArray[np.float32], frame: Frame, parameters: Percentiles) -> Normalised:
    """VOI LUT or window where the file sends one, else percentiles; MONOCHROME1 inverted last."""
    context = frame.context
    if context.voi_tables:
        table = context.voi_tables[0]
        top = np.float32(2.0**table.bits - 1)
        pixels = np.clip(table.apply(frame.pixels) / top, 0, 1).astype(np.float32)
        decision = "the file's VOI LUT"
    elif context.windows:
        pixels, decision = apply_window(values, context.windows[0]), "the file's window"
    else:
        counts = None if frame.padding is None else ~frame.padding
        pixels = between_percentiles(
            values, parameters.low_percentile, parameters.high_percentile, counts
        )
        decision = "percentiles"
    if not context.is_inverted:
        return Normalised(pixels, (decision,))
    return Normalised(1 - pixels, (decision, "MONOCHROME1 inverted"))


def locally_enhanced(pixels: NDArray[np.float32], parameters: LocalContrast) -> NDArray[np.float32]:
    """CLAHE in full precision; padding, air and what was taken out stay black."""
    if parameters.clahe_clip_limit == 0:
        return pixels
    return equalised(
        pixels,
        clip_limit=parameters.clahe_clip_limit,
        tiles=parameters.clahe_tiles,
        bins=parameters.clahe_bins,
        skip_zeros=True,
    )


RECIPE = Recipe(
    name="radiograph",
    version=2,
    parameters=RadiographParameters(),
    normalise=as_displayed,
    enhance=locally_enhanced,
)
