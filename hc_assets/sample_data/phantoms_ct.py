"""Computed tomography phantoms: axial slices of a chest and of an abdomen, in Hounsfield units.

Belongs here: geometry and HU of the organs, and the noise of a scanner. How a slice becomes stored
values is in `dicom_images.py`.
"""

import numpy as np

from hc_assets.sample_data.phantoms import Grid, Image, blur, grid, noise, texture

AIR, FAT, MUSCLE, LUNG, BLOOD, BONE, MARROW = -1000, -95, 50, -850, 160, 700, 220
_POINT_SPREAD_PX = 0.7
_NOISE_GRAIN_PX = 0.6


def chest_slice(
    size: int, height: float, rng: np.random.Generator, *, noise_hu: float, streaks: float = 0.0
) -> Image:
    """Draw an axial chest slice.

    Args:
        size: rows and columns.
        height: 0 at the lowest slice to 1 at the highest: lungs taper to the top.
        rng: texture, vessels and noise.
        noise_hu: standard deviation of the noise in HU.
        streaks: amplitude in HU of horizontal streaks, as from too little dose at the shoulders.

    Returns:
        float32 HU, shape (size, size).
    """
    place = grid(size, size)
    hu = _trunk(place)
    taper = 0.75 + 0.25 * np.cos(1.9 * (height - 0.35))
    heart_size = max(0.24 * (1 - 1.2 * abs(height - 0.3)), 0.08)
    for side in (-1, 1):
        lung = place.ellipse((0.41 * side, -0.02), (0.31 * taper, 0.44 * taper))
        hu[lung] = LUNG
        for _ in range(26):  # vessels, seen across
            angle, radius = rng.uniform(0, 2 * np.pi), np.sqrt(rng.uniform(0.02, 0.8))
            x = 0.41 * side + 0.29 * taper * radius * np.cos(angle)
            y = -0.02 + 0.41 * taper * radius * np.sin(angle)
            thickness = rng.uniform(0.006, 0.022)
            place.paint(hu, 35, (x, y), (thickness, thickness * rng.uniform(1, 1.8)), angle)
    place.paint(hu, BLOOD, (0.07, -0.14), (heart_size * 1.1, heart_size))
    place.paint(hu, BLOOD, (0.09, 0.26), (0.06, 0.06))
    if height > 0.6:
        place.paint(hu, AIR, (0.0, 0.05), (0.035, 0.04))  # trachea
    _skeleton(place, hu, ribs=True)
    place.paint(hu, BONE, (0.0, -0.55), (0.09, 0.028))
    return _scanned(place, hu, rng, noise_hu, streaks)


def abdomen_slice(size: int, height: float, rng: np.random.Generator, *, noise_hu: float) -> Image:
    """Draw an axial abdomen slice; arguments and result as of `chest_slice`."""
    place = grid(size, size)
    hu = _trunk(place)
    place.paint(hu, FAT - 5, (0.05, -0.05), (0.62, 0.40))
    liver = 0.36 * (0.7 + 0.3 * height)
    place.paint(hu, 110, (-0.36, -0.06), (liver, 0.36), 0.25)
    place.paint(hu, 8, (-0.40, 0.02), (0.07, 0.06))  # a simple cyst
    place.paint(hu, 120, (0.50, 0.10), (0.13, 0.20), -0.4)
    place.paint(hu, 30, (0.26, -0.20), (0.19, 0.13))  # stomach
    place.paint(hu, AIR, (0.26, -0.26), (0.12, 0.05))
    for side in (-1, 1):
        place.paint(hu, 180, (0.30 * side, 0.26), (0.10, 0.13), 0.3 * side)
        place.paint(hu, FAT, (0.27 * side, 0.26), (0.04, 0.06), 0.3 * side)
        place.paint(hu, MUSCLE + 10, (0.16 * side, 0.40), (0.09, 0.10))
    place.paint(hu, BLOOD + 30, (0.06, 0.20), (0.055, 0.055))
    place.paint(hu, BLOOD, (-0.08, 0.20), (0.06, 0.045))
    for _ in range(7):  # bowel with some gas
        x, y, radius = rng.uniform(-0.1, 0.45), rng.uniform(-0.30, 0.12), rng.uniform(0.04, 0.07)
        place.paint(hu, 35, (x, y), (radius, radius))
        if rng.random() < 0.4:
            place.paint(hu, -800, (x, y - radius / 3), (radius / 2, radius / 3))
    _skeleton(place, hu, ribs=False)
    return _scanned(place, hu, rng, noise_hu, 0.0)


def outside_field(size: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Mark the pixels outside the round field of view, which scanners pad."""
    place = grid(size, size)
    return ~place.ellipse((0, 0), (1, 1))


def _trunk(place: Grid) -> Image:
    hu = np.full(place.shape, AIR, np.float32)
    place.paint(hu, FAT, (0, 0), (0.88, 0.66))
    place.paint(hu, MUSCLE, (0, 0.01), (0.82, 0.59))
    table = place.ellipse((0, 0.40), (1.1, 0.42)) & ~place.ellipse((0, 0.38), (1.1, 0.42))
    hu[table & (place.y > 0.67)] = -250
    return hu


def _skeleton(place: Grid, hu: Image, *, ribs: bool) -> None:
    place.paint(hu, BONE, (0, 0.38), (0.115, 0.105))
    place.paint(hu, MARROW, (0, 0.38), (0.095, 0.085))
    place.paint(hu, 25, (0, 0.52), (0.05, 0.05))  # spinal canal
    place.paint(hu, BONE, (0, 0.585), (0.02, 0.035))
    if not ribs:
        return
    for angle in np.deg2rad(np.arange(-60, 241, 30)):
        x, y = 0.76 * np.cos(angle), 0.01 + 0.53 * np.sin(angle)
        if abs(x) > 0.2:
            place.paint(hu, BONE, (x, y), (0.055, 0.018), angle + np.pi / 2)


def _scanned(
    place: Grid, hu: Image, rng: np.random.Generator, noise_hu: float, streaks: float
) -> Image:
    """Blur by the point spread; add tissue texture, grainy noise and streaks."""
    shape = place.shape
    solid = hu > AIR / 2
    hu += solid.astype(np.float32) * texture(shape, 4 * shape[0] / 256, 5, rng)
    hu = blur(hu, _POINT_SPREAD_PX)
    grain = blur(noise(shape, 1, rng), _NOISE_GRAIN_PX)
    hu += grain * np.float32(noise_hu / float(grain.std()))
    if streaks:
        rows = noise((shape[0], 1), streaks, rng)
        hu += rows * place.ellipse((0, 0), (0.88, 0.66)).astype(np.float32)
    return np.clip(hu, -1024, 3071).astype(np.float32)
