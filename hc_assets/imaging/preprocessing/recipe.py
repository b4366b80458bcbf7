"""What a preprocessing recipe is: a name, a version, parameters, and one function or two.

Belongs here: what all recipes do alike: grey, proportions, range, hashes. What is done to the
values of a modality is in the module of that modality.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.pixels.frames import Frame
from hc_assets.imaging.preprocessing.contrast import luminance
from hc_assets.imaging.preprocessing.geometry import Affine, Plane, array_to_patient, placed
from hc_assets.imaging.preprocessing.parameters import Aspect, DataType, Parameters

# What decodes and resamples frames of every recipe
_LIBRARIES = (
    "numpy",
    "opencv-python-headless",
    "pydicom",
    *("imagecodecs", "pyjpegls", "python-gdcm"),
    *("pylibjpeg-libjpeg", "pylibjpeg-openjpeg", "pylibjpeg-rle"),
)
_IN_PATIENT = "PixelSpacing"


@dataclass(frozen=True)
class Normalised:
    """A frame's values from 0 to 1, in its own matrix.

    Attributes:
        pixels: rows by columns, float32, 0 to 1.
        decisions: what was decided for this frame, such as which window was taken.
        overlay: True where colour lies over the image; None where there is none.
        flips: whether rows and whether columns are to be turned round.
    """

    pixels: NDArray[np.float32]
    decisions: tuple[str, ...] = ()
    overlay: NDArray[np.bool_] | None = None
    flips: tuple[bool, bool] = (False, False)


P = TypeVar("P", bound=Parameters)
Normalise = Callable[[NDArray[Any], Frame, P], Normalised]
Enhance = Callable[[NDArray[np.float32], P], NDArray[np.float32]]


@dataclass(frozen=True)
class Preprocessed:
    """An array ready for training.

    Attributes:
        pixels: float32 or float16, 0 to 1, finite, of the recipe's shape.
        source_to_array: as in `geometry.Placed`.
        array_to_patient: as `geometry.array_to_patient`; None where the frame has no place in a
            patient.
        decisions: as in `Normalised`.
        overlay: bits of the array's pixels over which colour lies, row by row, most significant
            first; None where there is none.
        content_sha256: of the pixels as little-endian floats, row by row, in hex.
    """

    pixels: NDArray[np.floating[Any]]
    source_to_array: Affine
    array_to_patient: Plane | None
    decisions: tuple[str, ...]
    overlay: bytes | None
    content_sha256: str


@dataclass(frozen=True)
class Recipe(Generic[P]):
    """How frames of a modality become arrays.

    Attributes:
        name: of the recipe.
        version: counted up when the same frame gives another array.
        parameters: of its functions.
        normalise: frame values in modality units, finite, to 0 to 1.
        enhance: resampled values without the margins, to 0 to 1; None where nothing is done.
        takes_colour: whether `normalise` takes RGB frames; else they become luminance.
        libraries: distributions that compute, besides those of all recipes.
        aspect: as in `parameters.Preprocessing`.
        dtype: as in `parameters.Preprocessing`.
    """

    name: str
    version: int
    parameters: P
    normalise: Normalise[P]
    enhance: Enhance[P] | None = None
    takes_colour: bool = False
    libraries: tuple[str, ...] = ()
    aspect: Aspect = "letterbox"
    dtype: DataType = "float32"

    @property
    def label(self) -> str:
        """Name and version, as rows state them."""
        return f"{self.name}/{self.version}"

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of every array."""
        return self.parameters.rows, self.parameters.columns

    def with_parameters(self, parameters: P, aspect: Aspect, dtype: DataType) -> "Recipe[P]":
        """The same recipe with other parameters."""
        return replace(self, parameters=parameters, aspect=aspect, dtype=dtype)

    def parameters_json(self) -> str:
        """All of its parameters, as JSON by name."""
        every = {"aspect": self.aspect, "dtype": self.dtype, **self.parameters.model_dump()}
        return json.dumps(every, sort_keys=True)

    def libraries_json(self) -> str:
        """Versions of what computes the arrays, as JSON by name."""
        return _versions((*_LIBRARIES, *self.libraries))

    def run(self, frame: Frame) -> Preprocessed:
        """Make the array of a frame.

        Colour becomes luminance. Values that are not finite take the lowest that is. Padding is 0,
        as are the margins of the letterbox.
        """
        made = self._normalised(frame)
        values = made.pixels
        if frame.padding is not None:
            values = np.where(frame.padding, np.float32(0), values)
        place = placed(
            values, self.shape, frame.context.spacing, aspect=self.aspect, flips=made.flips
        )
        pixels = place.pixels
        if self.enhance is not None:
            # The frame alone: margins would count as dark tissue
            pixels[place.window] = self.enhance(pixels[place.window], self.parameters)
        clipped = np.clip(pixels, 0, 1, out=pixels)
        stored = np.ascontiguousarray(clipped, "<f4" if self.dtype == "float32" else "<f2")
        return Preprocessed(
            pixels=stored,
            source_to_array=place.source_to_array,
            array_to_patient=_to_patient(frame, place.source_to_array),
            decisions=made.decisions,
            overlay=self._packed(made, frame),
            content_sha256=hashlib.sha256(stored.data).hexdigest(),
        )

    def _normalised(self, frame: Frame) -> Normalised:
        if not frame.is_color:
            return self.normalise(_finite(frame.pixels), frame, self.parameters)
        if self.takes_colour:
            return self.normalise(frame.pixels, frame, self.parameters)
        return Normalised(luminance(frame.pixels, frame.limits[1]), ("colour became luminance",))

    def _packed(self, made: Normalised, frame: Frame) -> bytes | None:
        if made.overlay is None:
            return None
        place = placed(
            made.overlay.astype(np.float32),
            self.shape,
            frame.context.spacing,
            aspect=self.aspect,
            flips=made.flips,
        )
        return np.packbits(place.pixels >= 0.5).tobytes()


@cache
def _versions(names: tuple[str, ...]) -> str:
    return json.dumps({name: version(name) for name in names}, sort_keys=True)


def _to_patient(frame: Frame, source_to_array: Affine) -> Plane | None:
    context = frame.context
    if context.position is None or context.orientation is None or context.spacing is None:
        return None
    # Spacing at the detector is not the patient's
    if context.spacing_source != _IN_PATIENT:
        return None
    return array_to_patient(source_to_array, context.position, context.orientation, context.spacing)


def _finite(values: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore", invalid="ignore"):
        x = values.astype(np.float32, copy=False)
        # One number that a NaN or infinity anywhere makes one of them
        is_finite = values.dtype.kind in "uib" or np.isfinite(x.sum(dtype=np.float64))
    if is_finite:
        return x
    finite = np.isfinite(x)
    lowest = x[finite].min() if finite.any() else np.float32(0)
    return np.where(finite, x, lowest)
