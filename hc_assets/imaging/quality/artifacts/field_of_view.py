"""What of a CT image lies beyond what the scanner can measure: metal, and a body cut off.

Belongs here: shares of the object and of the border of the image.
"""

import numpy as np

from hc_assets.imaging.quality.regions import Regions

# Cortical bone is the densest tissue of Schneider et al. (PMB 45:459, 2000) and lies below 2000;
# teeth are denser. Ours: near the top of a scale of 12 bits, 3071, which metal exceeds; of 61 clean
# images less than 0.00005 of the object is above it
_METAL_HOUNSFIELD = 3000.0


def metal_share(regions: Regions) -> float | None:
    """Share of the object that is denser than any tissue, 0 to 1; None without Hounsfield units."""
    if not regions.is_hounsfield:
        return None
    dense = np.count_nonzero(regions.image[regions.objects] >= _METAL_HOUNSFIELD)
    return dense / np.count_nonzero(regions.objects)


def truncated_share(regions: Regions) -> float:
    """Share of the border of what was reconstructed that is object, 0 to 1."""
    valid = regions.valid
    rows, columns = np.flatnonzero(valid.any(axis=1)), np.flatnonzero(valid.any(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    body, there = regions.objects[box], valid[box]
    edges = np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]
    length = sum(np.count_nonzero(there[edge]) for edge in edges)
    return sum(np.count_nonzero(body[edge]) for edge in edges) / max(length, 1)
