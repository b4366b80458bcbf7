"""Tools to draw phantoms: grids, ellipses, smooth noise, blur.

Belongs here: what phantoms of several modalities share. The bodies drawn with them are in
`phantoms_ct.py`, `phantoms_mr.py`, `phantoms_xray.py` and `phantoms_us.py`.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


class Grid(NamedTuple):
    """Coordinates of pixel centres: the shorter side of the image runs from -1 to 1."""

    x: Image
    y: Image

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return np.broadcast_shapes(self.x.shape, self.y.shape)

    def ellipse(
        self, centre: tuple[float, float], radii: tuple[float, float], turn: float = 0.0
    ) -> Mask:
        """Mark the inside of an ellipse, turned by `turn` radians."""
        mask = np.zeros(self.shape, np.bool_)
        window, inside = self._inside(centre, radii, turn)
        mask[window] = inside
        return mask

    def paint(
        self,
        image: Image,
        value: float,
        centre: tuple[float, float],
        radii: tuple[float, float],
        turn: float = 0.0,
    ) -> None:
        """Set the pixels inside an ellipse to a value."""
        window, inside = self._inside(centre, radii, turn)
        image[window][inside] = value

    def _inside(
        self, centre: tuple[float, float], radii: tuple[float, float], turn: float
    ) -> tuple[tuple[slice, slice], Mask]:
        """The smallest window around an ellipse, and which of its pixels are inside.

        Most organs are small against the image, so this is what makes drawing quick.
        """
        cos, sin = math.cos(turn), math.sin(turn)
        reach_x = math.hypot(radii[0] * cos, radii[1] * sin)
        reach_y = math.hypot(radii[0] * sin, radii[1] * cos)
        columns = np.searchsorted(self.x[0], (centre[0] - reach_x, centre[0] + reach_x))
        rows = np.searchsorted(self.y[:, 0], (centre[1] - reach_y, centre[1] + reach_y))
        window = (slice(*rows), slice(*columns))
        dx = self.x[:, window[1]] - np.float32(centre[0])
        dy = self.y[window[0]] - np.float32(centre[1])
        along = (dx * np.float32(cos) + dy * np.float32(sin)) / np.float32(radii[0])
        across = (dy * np.float32(cos) - dx * np.float32(sin)) / np.float32(radii[1])
        inside: Mask = along**2 + across**2 <= 1
        return window, inside


def grid(rows: int, columns: int) -> Grid:
    """Lay a grid over an image; x grows to the right, y downwards."""
    half = min(rows, columns) / 2
    x = ((np.arange(columns) + 0.5 - columns / 2) / half).astype(np.float32)
    y = ((np.arange(rows) + 0.5 - rows / 2) / half).astype(np.float32)
    return Grid(x[np.newaxis, :], y[:, np.newaxis])


def blur(image: Image, sigma: float) -> Image:
    """Blur with a Gaussian of `sigma` pixels."""
    blurred = cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, np.float32)


def noise(shape: tuple[int, int], deviation: float, rng: np.random.Generator) -> Image:
    """Draw white Gaussian noise of a standard deviation."""
    return rng.standard_normal(shape, np.float32) * np.float32(deviation)


def texture(
    shape: tuple[int, int], sigma: float, deviation: float, rng: np.random.Generator
) -> Image:
    """Draw smooth noise: blurred over `sigma` pixels, of a standard deviation.

    Coarse textures are drawn small and enlarged, which looks the same and costs less.
    """
    step = max(int(sigma / 2), 1)
    small = (-(-shape[0] // step), -(-shape[1] // step))
    rough = blur(rng.standard_normal(small, np.float32), sigma / step)
    if step > 1:
        enlarged = cv2.resize(rough, shape[::-1], interpolation=cv2.INTER_CUBIC)
        rough = np.asarray(enlarged, np.float32)
    return rough * np.float32(deviation / float(rough.std()))
