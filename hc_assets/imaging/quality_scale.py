"""From a metric to its part of a score: the tables of each modality, the weights.

Belongs here: what counts as good. The metrics are in the modules that `quality.py` names.
"""

from collections.abc import Mapping
from dataclasses import dataclass

WEIGHTS: Mapping[str, float] = {
    "snr": 0.25,
    "cnr": 0.25,
    "sharpness": 0.20,
    "uniformity": 0.20,
    "artifacts_score": 0.10,
}
"""What each part counts; where one is missing, the others share its weight."""


@dataclass(frozen=True)
class Scale:
    """How a metric becomes a part of a score.

    Attributes:
        half: the value that gives half a part, in the metric's unit, above 0.
        steepness: how fast the part rises around it.
    """

    half: float
    steepness: float

    def part(self, value: float) -> float:
        """Give the part of a value, 0 to 1: a Hill curve, which never stands still.

        A metric above what matters raises the score less and less, yet a worse image never has
        the same score as a better one.
        """
        if value <= 0:
            return 0.0
        return 1 / (1 + float((self.half / value) ** self.steepness))


VISIBILITY = Scale(5.0, 2.0)
"""Signal over noise at which a detail is seen half the time (Rose, JOSA 38:196, 1948)."""


@dataclass(frozen=True)
class QualityScale:
    """Scales of one modality.

    Attributes:
        snr: by the signal over noise at which structures are told apart.
        cnr: by the contrast over noise at which they are seen: 3 to 5 (Rose, JOSA 38:196, 1948).
        sharpness: by the share of the Nyquist frequency.
        uniformity: in percent; None where shading can't be told from anatomy, as in projections.
        visibility: by the signal over noise at which a detail is seen: what sharpness is worth.
    """

    snr: Scale
    cnr: Scale
    sharpness: Scale
    uniformity: Scale | None
    visibility: Scale = VISIBILITY


_SHARPNESS = Scale(0.17, 3.0)
# Detectors of radiography sample finer than the tube's focus and the screen resolve
_PROJECTION = QualityScale(Scale(12.0, 2.0), Scale(4.0, 2.0), Scale(0.11, 3.0), None)

GENERIC = QualityScale(Scale(8.0, 2.0), Scale(4.0, 2.0), _SHARPNESS, None)
SCALES: Mapping[str, QualityScale] = {
    "CT": QualityScale(Scale(12.0, 2.0), Scale(4.0, 2.0), _SHARPNESS, Scale(40.0, 3.0)),
    "MR": QualityScale(Scale(8.0, 2.0), Scale(3.0, 2.0), _SHARPNESS, Scale(40.0, 2.0)),
    "CR": _PROJECTION,
    "DX": _PROJECTION,
    "RF": _PROJECTION,
    "XA": _PROJECTION,
    "MG": _PROJECTION,
    # Speckle is the signal's own: fully developed, it leaves a signal over noise of 1.9
    "US": QualityScale(Scale(2.0, 2.0), Scale(2.0, 2.0), _SHARPNESS, None, Scale(1.5, 2.0)),
    # Few counts and wide pixels are in the nature of these
    "NM": QualityScale(Scale(3.0, 2.0), Scale(3.0, 2.0), Scale(0.10, 3.0), None),
    "PT": QualityScale(Scale(3.0, 2.0), Scale(3.0, 2.0), Scale(0.10, 3.0), None),
}
"""Scales by modality; others have `GENERIC`."""
