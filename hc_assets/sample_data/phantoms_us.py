"""Ultrasound phantoms: a convex sector of liver with a cyst, gray or with Doppler colour.

Belongs here: speckle, sector and colour overlay, as 8-bit pixels, since scanners store these. The
DICOM file around them is made in `dicom_images.py`.
"""

import numpy as np
import numpy.typing as npt

from hc_assets.sample_data.phantoms import Image, blur, grid

Bytes = npt.NDArray[np.uint8]
_DYNAMIC_RANGE_DB = 60


def gray_frames(rows: int, columns: int, frames: int, rng: np.random.Generator) -> Bytes:
    """Draw frames in which the liver moves with the breath.

    Returns:
        uint8, shape (frames, rows, columns); 0 outside the sector.
    """
    return np.stack([_frame(rows, columns, index / frames, rng) for index in range(frames)])


def color_frames(rows: int, columns: int, frames: int, rng: np.random.Generator) -> Bytes:
    """Draw the same with a vessel in Doppler red to blue.

    Returns:
        uint8 RGB, shape (frames, rows, columns, 3).
    """
    gray = gray_frames(rows, columns, frames, rng)
    rgb = np.repeat(gray[..., np.newaxis], 3, axis=3)
    place = grid(rows, columns)
    for index in range(frames):
        vessel = place.ellipse((-0.25, 0.25 + 0.03 * _breath(index / frames)), (0.30, 0.06), 0.35)
        speed = blur(rng.standard_normal(vessel.shape, np.float32), 4) * 6 + np.sin(2 * index)
        warm = np.clip(150 + 60 * speed, 60, 255).astype(np.uint8)
        rgb[index, ..., 0] = np.where(vessel & (speed > 0), warm, rgb[index, ..., 0])
        rgb[index, ..., 1] = np.where(vessel, 30, rgb[index, ..., 1])
        rgb[index, ..., 2] = np.where(vessel & (speed <= 0), warm, rgb[index, ..., 2])
    return rgb


def _breath(phase: float) -> float:
    return float(np.sin(2 * np.pi * phase))


def _frame(rows: int, columns: int, phase: float, rng: np.random.Generator) -> Bytes:
    place = grid(rows, columns)
    shift = 0.03 * _breath(phase)
    depth = np.hypot(place.x, place.y + 1.35)
    sector = (depth > 0.42) & (depth < 2.2) & (np.abs(place.x) < 0.75 * (place.y + 1.35))
    echo = np.full(place.shape, 2e-3, np.float32)
    place.paint(echo, 6e-3, (0.1, 0.0 + shift), (0.85, 0.55))
    place.paint(echo, 4e-6, (0.30, -0.05 + shift), (0.16, 0.15))  # cyst
    echo[place.ellipse((0.30, 0.22 + shift), (0.13, 0.12))] *= 2.5  # enhancement behind it
    place.paint(echo, 1e-5, (-0.25, 0.25 + shift), (0.30, 0.06), 0.35)  # vessel
    bow = place.y - 0.62 - shift + 0.25 * place.x**2
    echo[np.abs(bow) < 0.018] = 0.15  # diaphragm
    amplitude = np.sqrt(echo) * _speckle(place.shape, rng) * np.exp(-0.25 * (depth - 0.42))
    decibels = 20 * np.log10(np.maximum(amplitude, 1e-4))
    level = np.clip((decibels + _DYNAMIC_RANGE_DB) / _DYNAMIC_RANGE_DB * 255, 0, 255)
    return np.where(sector, level, 0).astype(np.uint8)


def _speckle(shape: tuple[int, int], rng: np.random.Generator) -> Image:
    """Envelope of many small echoes: Rayleigh distributed, of mean near 1."""
    real = blur(rng.standard_normal(shape, np.float32), 1.3)
    imaginary = blur(rng.standard_normal(shape, np.float32), 1.3)
    envelope = np.hypot(real, imaginary)
    speckle: Image = (envelope / np.float32(envelope.mean())).astype(np.float32)
    return speckle
