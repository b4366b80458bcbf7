"""What a preprocessing pipeline is: a name, a version, a shape, parameters, and one function.

Belongs here: what all pipelines do alike: grey, proportions, range, hashes. What is done to the
values of a modality is in the module of that modality.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.pixels import Frame
from hc_assets.imaging.preprocessing.contrast import luminance
from hc_assets.imaging.preprocessing.geometry import letterbox

Parameters = Mapping[str, float | int | str]
Normalise = Callable[[NDArray[np.float32], Frame, Parameters], NDArray[np.float32]]
Enhance = Callable[[NDArray[np.float32], Parameters], NDArray[np.float32]]
_LIBRARIES = ("numpy", "opencv-python-headless", "pydicom")


@dataclass(frozen=True)
class Preprocessed:
    """An array ready for training.

    Attributes:
        pixels: float32, 0 to 1, finite, of the pipeline's shape.
        source_to_array: as in `geometry.Placed`.
        content_sha256: of the pixels as little-endian float32, row by row, in hex.
    """

    pixels: NDArray[np.float32]
    source_to_array: tuple[float, float, float, float, float, float]
    content_sha256: str


@dataclass(frozen=True)
class Pipeline:
    """How frames of a modality become arrays.

    Attributes:
        name: of the pipeline.
        version: counted up when the same frame gives another array.
        shape: rows and columns of every array.
        parameters: what its steps are told.
        normalise: frame values in modality units, finite, to 0 to 1.
        enhance: resampled values without the margins, to 0 to 1; None where nothing is done.
    """

    name: str
    version: int
    shape: tuple[int, int]
    parameters: Parameters
    normalise: Normalise
    enhance: Enhance | None = None

    @property
    def label(self) -> str:
        """Name and version, as rows state them."""
        return f"{self.name}/{self.version}"

    def parameters_json(self) -> str:
        """The parameters as JSON, by name."""
        return json.dumps(dict(self.parameters), sort_keys=True)

    def run(self, frame: Frame) -> Preprocessed:
        """Make the array of a frame.

        Colour becomes luminance. Values that are not finite take the lowest that is. Padding is 0,
        as are the margins of the letterbox.
        """
        if frame.is_color:
            values = luminance(frame.pixels, frame.limits[1])
        else:
            values = self.normalise(_finite(frame.pixels), frame, self.parameters)
        if frame.padding is not None:
            values = np.where(frame.padding, np.float32(0), values)
        placed = letterbox(values, self.shape, frame.context.spacing)
        pixels = placed.pixels
        if self.enhance is not None:
            # The frame alone: margins would count as dark tissue
            content = pixels[placed.window]
            enhanced = self.enhance(content, self.parameters)
            # Padding, air and what was taken out stay black
            pixels[placed.window] = np.where(content > 0, enhanced, np.float32(0))
        pixels = np.ascontiguousarray(np.clip(pixels, 0, 1), "<f4")
        return Preprocessed(
            pixels, placed.source_to_array, hashlib.sha256(pixels.tobytes()).hexdigest()
        )


def library_versions() -> str:
    """Versions of what computes the arrays, as JSON by name."""
    return json.dumps({name: version(name) for name in _LIBRARIES}, sort_keys=True)


def _finite(values: NDArray[np.generic]) -> NDArray[np.float32]:
    x = values.astype(np.float32)
    finite = np.isfinite(x)
    if finite.all():
        return x
    lowest = x[finite].min() if finite.any() else np.float32(0)
    return np.where(finite, x, lowest)
