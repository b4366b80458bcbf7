"""Projection phantoms: a chest radiograph and a mammogram, as attenuation along the beam.

Belongs here: path lengths through simple bodies, and the noise of counted photons. How attenuation
becomes stored values, bright or dark, is in `dicom_images.py`.
"""

import cv2
import numpy as np

from hc_assets.sample_data.phantoms import Grid, Image, blur, grid, texture

_TISSUE_PER_CM = 0.20  # 1/cm near 70 keV, water-like tissue
_LUNG_PER_CM = 0.06
_BONE_PER_CM = 0.45
_BREAST_FAT_PER_CM = 0.45  # near 20 keV
_BREAST_GLAND_PER_CM = 0.75


def chest_attenuation(
    rows: int, columns: int, rng: np.random.Generator, *, photons: float, is_lateral: bool = False
) -> Image:
    """Draw the attenuation of a chest.

    Args:
        rows: of the image.
        columns: of the image.
        rng: vessels and noise.
        photons: counted per pixel without a body: more is less noise.
        is_lateral: seen from the side instead of from the back.

    Returns:
        float32 -ln(counted / sent), shape (rows, columns); near 0 in open air.
    """
    place = grid(rows, columns)
    wide = 0.72 if is_lateral else 0.92
    body = _thickness(place, (0, 0.25), (wide, 1.35)) * 22
    shoulders = _thickness(place, (0, 1.05), (wide * 1.05, 0.65)) * 10
    cm = body + shoulders
    attenuation = cm * _TISSUE_PER_CM
    lung_sites = ((0.05, -0.05),) if is_lateral else ((-0.42, -0.08), (0.42, -0.08))
    lungs = np.zeros_like(attenuation)
    for x, y in lung_sites:
        lungs = np.maximum(lungs, _thickness(place, (x, y), (0.34, 0.66)))
    attenuation -= lungs * 14 * (_TISSUE_PER_CM - _LUNG_PER_CM)
    heart = _thickness(place, (0.12, 0.22), (0.30, 0.30)) * 9
    attenuation += heart * (_TISSUE_PER_CM - _LUNG_PER_CM)
    spine = (0.40 if is_lateral else 0.0, 0.0)
    attenuation += _thickness(place, spine, (0.08, 3.0)) * 2.5 * _BONE_PER_CM
    attenuation += _ribs(place, wide * 0.88) * _BONE_PER_CM
    vessels = texture(place.shape, rows / 90, 0.05, rng) + texture(
        place.shape, rows / 260, 0.02, rng
    )
    attenuation += vessels * (lungs > 0.1)
    return _counted(blur(attenuation.astype(np.float32), 1.0), photons, rng)


def breast_attenuation(
    rows: int, columns: int, rng: np.random.Generator, *, is_left: bool, photons: float
) -> Image:
    """Draw the attenuation of a compressed breast, mediolateral oblique view.

    The chest wall is at the image's left edge for a left breast, and at the right for a right one.
    Arguments and result as of `chest_attenuation`.
    """
    place = grid(rows, columns)
    reach = np.float32(columns / min(rows, columns))
    from_wall = place.x + reach
    tall = np.float32(rows / min(rows, columns))
    outline = ((from_wall / (1.45 * reach)) ** 2 + ((place.y - 0.12) / (0.80 * tall)) ** 2) <= 1
    soft = blur(outline.astype(np.float32), rows / 40)
    cm = 4.5 * np.clip(soft * 1.25 - 0.2, 0, 1) * outline
    dense = texture(place.shape, rows / 28, 0.30, rng) + texture(place.shape, rows / 110, 0.16, rng)
    towards_nipple = np.exp(
        -(((from_wall / reach - 0.55) / 0.42) ** 2) - ((place.y - 0.1) / 0.55) ** 2
    )
    gland = np.clip(0.45 + dense, 0, 1) * towards_nipple
    attenuation = cm * (_BREAST_FAT_PER_CM + (_BREAST_GLAND_PER_CM - _BREAST_FAT_PER_CM) * gland)
    muscle = (from_wall / (0.75 * reach) + (place.y + tall) / (1.25 * tall)) < 1
    attenuation += 0.55 * blur(muscle.astype(np.float32), rows / 200) * outline
    for _ in range(14):  # a cluster of fine calcifications
        x = rng.normal(-0.25, 0.035) - float(reach) + 1
        y, radius = rng.normal(0.2, 0.035), rng.uniform(0.0025, 0.006)
        attenuation[place.ellipse((x, y), (radius, radius))] += 0.35
    attenuation = _counted(blur(attenuation.astype(np.float32), 0.7), photons, rng)
    return attenuation if is_left else np.ascontiguousarray(attenuation[:, ::-1])


def shaken(attenuation: Image, length: int) -> Image:
    """Smear an image along a slanted line of `length` pixels, as when the patient moves."""
    kernel = np.zeros((length, length), np.float32)
    cv2.line(kernel, (0, length // 3), (length - 1, length - 1 - length // 3), 1.0)
    smeared = cv2.filter2D(attenuation, -1, kernel / kernel.sum())
    return blur(np.asarray(smeared, np.float32), length / 8)


def _thickness(place: Grid, centre: tuple[float, float], radii: tuple[float, float]) -> Image:
    """Path length through an ellipsoid, 1 at its centre."""
    square = ((place.x - centre[0]) / radii[0]) ** 2 + ((place.y - centre[1]) / radii[1]) ** 2
    length: Image = np.sqrt(np.clip(1 - square, 0, None)).astype(np.float32)
    return length


def _ribs(place: Grid, wide: float) -> Image:
    """Thickness in cm of eight pairs of ribs, arcs that fall outwards."""
    cm = np.zeros(place.shape, np.float32)
    bow = 0.32 * np.abs(place.x) ** 1.6
    inside = (np.abs(place.x) < wide) & (np.abs(place.x) > 0.05)
    for number in range(8):
        distance = (place.y - (-0.78 + 0.19 * number) - bow) / 0.03
        cm += np.where(inside, 0.7 * np.exp(-(distance**2)), 0).astype(np.float32)
    return cm


def _counted(attenuation: Image, photons: float, rng: np.random.Generator) -> Image:
    """Replace the expected count of photons by a drawn one, in the Gaussian limit of Poisson."""
    expected = np.float32(photons) * np.exp(-attenuation)
    drawn = expected + np.sqrt(expected) * rng.standard_normal(attenuation.shape, np.float32)
    counted: Image = -np.log(np.maximum(drawn, 1) / np.float32(photons))
    return counted
