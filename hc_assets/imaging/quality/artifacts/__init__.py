"""Detectors of single artifacts, one module each, and what they find together.

Belongs here: bringing the detectors together. Noise and blur are no artifacts: they have metrics of
their own in `imaging/quality/noise.py` and `imaging/quality/sharpness.py`.

Thresholds that name no other source are our own, chosen on the clean images of
`benchmarks/quality_ranking.py` and their spoiled copies; docs/quality-score.md has what the score
that rests on them separates.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from hc_assets.imaging.pixels.frame_context import FrameContext
from hc_assets.imaging.quality.artifacts.aliasing import power_at_nyquist
from hc_assets.imaging.quality.artifacts.field_of_view import metal_share, truncated_share
from hc_assets.imaging.quality.artifacts.ghosts import ghost_ratio
from hc_assets.imaging.quality.artifacts.lines import missing_lines
from hc_assets.imaging.quality.artifacts.stripes import ring_amplitude, stripe_amplitude
from hc_assets.imaging.quality.regions import Regions

# A severity reaches 0.63 here. Stripes, rings and ghosts in shares of the signal, the others in
# shares of the object, of its lines, or of the border. Ghosts: twice what the ACR allows (0.025,
# MRI Quality Control Manual, 2015). The others are ours; measured over
# 61 clean images, then over their slightest and their heaviest copies:
# - banding: up to 0.0012 in 9 of 10 (at most 0.10, of drawn screens); 0.028, 0.36 in the median;
# - ghosting: at most 0.010; 0.025 in the median, 0.49 or more in 9 of 10;
# - clipping: at most 0.0023; 0.041 in the median, 0.62 or more in 9 of 10;
# - rings, missing lines, metal: at most 0.00005; held against phantoms in the detectors' tests;
# - truncation: up to 0.009 in 9 of 10, 0.66 where the body is cut off;
# - aliasing: 0.006 in the median, 0.74 in 9 of 10, 4.5 at most: sharp reconstructions have it.
_SCALES: Mapping[str, float] = {
    "banding": 0.05,
    "rings": 0.05,
    "ghosting": 0.05,
    "clipping": 0.05,
    "missing_lines": 0.01,
    "metal": 0.005,
    "truncation": 0.5,
    "aliasing": 0.5,
}
# What lies beyond the field of view, or between the pixels, leaves the rest as good as it is: a
# decision of ours, in docs/decisions.md ("Aliasing and a body beyond the field of view")
_MILD: Mapping[str, float] = {"truncation": 0.25, "aliasing": 0.05}
# What little any clean image shows of these (above) counts less than in proportion
_STEEPNESS: Mapping[str, float] = {"banding": 1.5, "rings": 1.5, "ghosting": 1.5, "clipping": 1.5}
# Stripes and ghosts have a shape, so that the eye takes them for structure; noise averages out. A
# decision of ours, in docs/decisions.md ("The quality score rests on ratios of variances")
_STRUCTURED = 2.0


@dataclass(frozen=True)
class Artifacts:
    """Severities of artifacts, 0 (none) to 1; None where a detector does not apply.

    Attributes:
        ghosting: copies of the object that motion or the readout displaced.
        banding: stripes along rows or columns.
        rings: rings about the middle of a CT image.
        clipping: saturation of the object.
        aliasing: structure as fine as the pixels, that they can't render.
        missing_lines: rows or columns of a dead detector line.
        metal: of CT in Hounsfield units: what is denser than any tissue.
        truncation: of CT: the body reaches beyond the field of view.
    """

    ghosting: float | None
    banding: float | None
    rings: float | None
    clipping: float | None
    aliasing: float | None
    missing_lines: float | None
    metal: float | None
    truncation: float | None

    @property
    def score(self) -> float:
        """1 where nothing was found, 0 at worst: the product of what each detector leaves."""
        left = 1.0
        for name in ARTIFACTS:
            left *= 1 - _MILD.get(name, 1.0) * (getattr(self, name) or 0.0)
        return left


ARTIFACTS = tuple(field.name for field in fields(Artifacts))
"""Names of the detectors."""


@dataclass(frozen=True)
class Disturbance:
    """What the detectors measured, in the image's own terms.

    Attributes:
        artifacts: severities.
        amplitude: of stripes, rings and ghosts together, in modality units, twice what it is:
            what structure has to stand out of, besides noise.
        saturated_share: share of the object's pixels that are saturated, 0 to 1.
    """

    artifacts: Artifacts
    amplitude: float
    saturated_share: float


def find_artifacts(
    regions: Regions, *, noise_sd: float, zero: float, context: FrameContext
) -> Disturbance:
    """Run every detector.

    Args:
        regions: of the frame.
        noise_sd: deviation of the noise, in modality units.
        zero: the value that stands for no signal.
        context: of the frame.
    """
    spread = 2 * regions.spread
    is_ct = context.modality == "CT"
    stripes = stripe_amplitude(regions)
    rings = ring_amplitude(regions) if is_ct else None
    ghosts = ghost_ratio(
        regions,
        zero,
        has_dark_air=regions.has_air and context.modality == "MR",
    )
    saturated = regions.saturated_share
    found = {
        "banding": stripes / spread,
        "rings": None if rings is None else rings / spread,
        "ghosting": ghosts,
        "clipping": saturated,
        # Ultrasound has no detector lines; what is drawn around it has
        "missing_lines": None if context.modality == "US" else missing_lines(regions),
        "metal": metal_share(regions) if is_ct else None,
        "truncation": truncated_share(regions) if is_ct else None,
        "aliasing": power_at_nyquist(regions, noise_sd),
    }
    severities = {
        name: None if value is None else _severity(value, _SCALES[name], _STEEPNESS.get(name, 1.0))
        for name, value in found.items()
    }
    parts = (np.sqrt(2) * stripes, np.sqrt(2) * (rings or 0.0), ghosts * spread)
    return Disturbance(
        artifacts=Artifacts(**severities),
        amplitude=_STRUCTURED * float(np.sqrt(sum(part**2 for part in parts))),
        saturated_share=saturated,
    )


def _severity(value: float, scale: float, steepness: float) -> float:
    return float(1 - np.exp(-((value / scale) ** steepness)))
