"""Magnetic resonance phantoms: axial slices of a head, weighted by T1 or by T2.

Belongs here: the head's geometry, the signal of its tissues, and the noise of a magnitude image.
How a slice becomes stored values is in `dicom_images.py`.
"""

from typing import Literal

import numpy as np

from hc_assets.sample_data.phantoms import Grid, Image, Mask, blur, grid, noise, texture

Weighting = Literal["T1", "T2"]

# Signal in scanner units by tissue, in the order that is usual at 1.5 T: T1 has white matter
# brighter than gray and dark fluid; T2 the reverse.
_SIGNAL: dict[Weighting, dict[str, float]] = {
    "T1": {"fat": 1500, "bone": 60, "fluid": 200, "gray": 640, "white": 900, "lesion": 560},
    "T2": {"fat": 900, "bone": 50, "fluid": 1500, "gray": 800, "white": 560, "lesion": 1250},
}
_POINT_SPREAD_PX = 0.6
_SHADING = 0.12  # share by which the coil's sensitivity falls from one side to the other


def head_slice(
    size: int,
    height: float,
    weighting: Weighting,
    anatomy: np.random.Generator,
    rng: np.random.Generator,
    *,
    noise_level: float,
) -> Image:
    """Draw an axial head slice.

    Args:
        size: rows and columns.
        height: 0 at the lowest slice to 1 at the vertex: ventricles first grow, then vanish.
        weighting: T1 or T2.
        anatomy: folds; the same stream for both weightings gives the same head.
        rng: texture and noise.
        noise_level: deviation of the noise in each channel, in scanner units.

    Returns:
        float32 magnitude, never negative, with the Rician noise of a single coil, shape
        (size, size).
    """
    place = grid(size, size)
    signal = _SIGNAL[weighting]
    scale = 1 - 0.35 * max(height - 0.5, 0) * 2
    head = (0.68 * scale, 0.86 * scale)
    image = np.zeros(place.shape, np.float32)
    place.paint(image, signal["fat"], (0, 0), head)
    place.paint(image, signal["bone"], (0, 0), (head[0] * 0.94, head[1] * 0.95))
    place.paint(image, signal["fluid"], (0, 0), (head[0] * 0.87, head[1] * 0.89))
    image[_folded(place, (head[0] * 0.84, head[1] * 0.86), 0.03, anatomy)] = signal["gray"]
    image[_folded(place, (head[0] * 0.72, head[1] * 0.75), 0.10, anatomy)] = signal["white"]
    image[(abs(place.x) < 0.012) & place.ellipse((0, 0), (1, head[1] * 0.84))] = signal["fluid"]
    _deep_structures(place, image, height, scale, signal)
    image += (image > signal["bone"] * 1.5) * texture(place.shape, 3, 12, rng)
    image = blur(image, _POINT_SPREAD_PX) * _coil(place)
    real = image + noise(place.shape, noise_level, rng)
    magnitude: Image = np.hypot(real, noise(place.shape, noise_level, rng)).astype(np.float32)
    return magnitude


def _deep_structures(
    place: Grid, image: Image, height: float, scale: float, signal: dict[str, float]
) -> None:
    ventricle = max(0.2 * (1 - 2.4 * abs(height - 0.5)), 0.0) * scale
    for side in (-1, 1):
        place.paint(image, signal["gray"], (0.20 * side, 0.02), (0.10 * scale, 0.16 * scale))
        if ventricle > 0.02:
            centre = (0.09 * side, -0.04)
            radii = (ventricle * 0.4, ventricle)
            place.paint(image, signal["fluid"], centre, radii, 0.18 * side)
    if abs(height - 0.6) < 0.15:
        place.paint(image, signal["lesion"], (0.30, -0.30), (0.04, 0.035))


def _folded(
    place: Grid, radii: tuple[float, float], depth: float, anatomy: np.random.Generator
) -> Mask:
    """Fill an ellipse whose rim is folded like the cortex."""
    angle = np.arctan2(place.y / radii[1], place.x / radii[0])
    rim = np.ones(place.shape, np.float32)
    for folds in (9, 17, 29):
        phase = anatomy.uniform(0, 2 * np.pi)
        rim += np.float32(depth / 2) * np.sin(folds * angle + phase).astype(np.float32)
    inside: Mask = np.hypot(place.x / radii[0], place.y / radii[1]) <= rim
    return inside


def _coil(place: Grid) -> Image:
    shading: Image = 1 + np.float32(_SHADING / 2) * (place.x * 0.6 - place.y * 0.8)
    return shading
