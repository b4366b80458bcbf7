"""Structure that is as fine as the pixels: what the sampling has folded.

Belongs here: the spectrum near the Nyquist frequency.
"""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.quality.regions import LEAST_SIDE, Regions

# Pixels a side that are looked at: a power of two, for the speed of the transform
_SIDE = 256
# Bands in cycles a pixel, of which 0.5 is Nyquist's: as near to it as there is a full band of, and
# half as far, where a smoothed image still has its edges. Ours; what they separate is with the
# scale of `aliasing` in `artifacts/__init__.py`
_AT_NYQUIST, _MIDDLE = (0.45, 0.5), (0.2, 0.25)
# The power of edges falls with the square of the frequency (a step's transform is 1 / frequency):
# from the middle of the one band, 0.225, to that of the other, 0.475
_FALL_OF_EDGES = (0.225 / 0.475) ** 2


def power_at_nyquist(regions: Regions, noise_sd: float) -> float | None:
    """Power just below the Nyquist frequency, over that of edges which nothing has smoothed.

    Args:
        regions: of the frame.
        noise_sd: deviation of the noise, in modality units.

    Returns:
        0 where the image was smoothed before it was sampled, as it should be; 1 and more where not;
        None where the image is too small.

    The spectrum is that of the middle of the object. The power of noise is taken off; where it is
    less in the corners of the spectrum, beyond the Nyquist circle, it is smooth, and that counts.
    """
    patch = _patch(regions)
    if patch is None:
        return None
    spectrum = cv2.dft(patch, flags=cv2.DFT_COMPLEX_OUTPUT)
    power = spectrum[..., 0] ** 2 + spectrum[..., 1] ** 2
    finest, middle, beyond = (float(power[band].mean()) for band in _bands(len(patch)))
    white = noise_sd**2 * float(np.square(_window(len(patch))).sum())
    noise = min(beyond, white)
    # Where noise has most of the power, or rounding all of it, edges can't be measured
    edges = max(0.0, middle - noise) * _FALL_OF_EDGES + 2 * noise + 1e-6 * float(power.mean())
    return max(0.0, finest - noise) / edges if edges > 0 else 0.0


def _patch(regions: Regions) -> NDArray[np.float32] | None:
    rows, columns = regions.image.shape
    side = min(_SIDE, 2 * (min(rows, columns) // 2))
    if side < 2 * LEAST_SIDE:
        return None
    lines = [np.count_nonzero(regions.objects, axis=axis) for axis in (1, 0)]
    middle = [float(np.average(np.arange(line.size), weights=line)) for line in lines]
    top = int(np.clip(middle[0] - side / 2, 0, rows - side))
    left = int(np.clip(middle[1] - side / 2, 0, columns - side))
    patch = regions.image[top : top + side, left : left + side]
    # Without a window the jump from border to border would count as structure
    return np.asarray((patch - patch.mean()) * _window(side), np.float32)


@lru_cache(maxsize=8)
def _window(side: int) -> NDArray[np.float32]:
    line = np.hanning(side)
    return np.outer(line, line).astype(np.float32)


@lru_cache(maxsize=8)
def _bands(side: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    frequency = np.fft.fftfreq(side)
    radius = np.hypot(frequency[:, None], frequency[None, :])
    return (
        (radius >= _AT_NYQUIST[0]) & (radius < _AT_NYQUIST[1]),
        (radius >= _MIDDLE[0]) & (radius < _MIDDLE[1]),
        radius >= 0.6,
    )
