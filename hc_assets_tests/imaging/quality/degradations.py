"""Ways of spoiling an image, each by an amount: what a quality score must answer to.

Belongs here: the spoiling of pixels, for tests and benchmarks. Phantoms with flaws of their own are
in the `phantoms` modules.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.pixels.frames import Frame

Image = NDArray[np.float32]
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Degradation:
    """A way of spoiling an image.

    Attributes:
        spoil: gives a copy of an image, spoiled by an amount; the image is rows by columns.
        amounts: from slight to heavy, each visible on a clinical image.
    """

    spoil: Callable[[Image, float], Image]
    amounts: tuple[float, ...]


def spread(image: Image) -> float:
    """Difference between the 99th and the 1st percentile of an image, in its unit."""
    low, high = np.percentile(image, [1, 99])
    return float(high - low) or float(np.ptp(image))


def noisy(image: Image, amount: float) -> Image:
    """Add white Gaussian noise whose deviation is a share of the image's spread."""
    noise = np.random.default_rng(1).standard_normal(image.shape, np.float32)
    return image + np.float32(amount * spread(image)) * noise


def blurred(image: Image, amount: float) -> Image:
    """Blur with a Gaussian of so many pixels."""
    return cv2.GaussianBlur(image, (0, 0), amount).astype(np.float32, copy=False)


def striped(image: Image, amount: float) -> Image:
    """Add bands along the rows whose amplitude is a share of the image's spread."""
    wave = np.sin(2 * np.pi * np.arange(len(image)) / 8).astype(np.float32)
    return image + np.float32(amount * spread(image)) * wave[:, None]


def clipped(image: Image, amount: float) -> Image:
    """Cut off what lies above the percentile that leaves out so many percent of the pixels."""
    return np.minimum(image, np.float32(np.percentile(image, 100 - amount)))


def ghosted(image: Image, amount: float) -> Image:
    """Add a copy, half an image away along the columns, whose strength is a share."""
    low = np.float32(np.percentile(image, 1))
    return image + np.float32(amount) * (np.roll(image, len(image) // 2, axis=0) - low)


DEGRADATIONS: Mapping[str, Degradation] = {
    "noise": Degradation(noisy, (0.02, 0.05, 0.1, 0.2, 0.4)),
    "blur": Degradation(blurred, (0.7, 1.5, 3.0, 6.0)),
    "banding": Degradation(striped, (0.02, 0.05, 0.1, 0.2, 0.4)),
    "clipping": Degradation(clipped, (2.0, 10.0, 25.0, 50.0)),
    "ghosting": Degradation(ghosted, (0.05, 0.1, 0.2, 0.4)),
}
"""By name; the last amount of each is heavy."""


def spoiled(frame: Frame, degradation: Degradation, amount: float) -> Frame:
    """Return a spoiled copy of a frame; colour becomes luma."""
    return replace(frame, pixels=degradation.spoil(luma(frame), amount), is_color=False)


def luma(frame: Frame) -> Image:
    """Pixels of a frame as float32, rows by columns."""
    pixels = frame.pixels.astype(np.float32)
    return pixels @ _LUMA if frame.is_color else pixels
