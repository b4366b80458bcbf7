"""From a metric to its part of a score: the tables of each modality, the weights.

Belongs here: what counts as good. The metrics are in the modules that `measure.py` names.

The scales of CT, MR, US, CR and DX are our own, chosen on the clean images and the spoiled copies
of `benchmarks/quality_ranking.py` so that the former pass the gate of 0.5 and heavy copies do not;
docs/quality-score.md has how far that holds. Those of NM and PT were
not held against spoiled copies: the benchmark has none of these modalities.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

WEIGHTS: Mapping[str, float] = {
    "snr": 0.25,
    "cnr": 0.25,
    "sharpness": 0.20,
    "uniformity": 0.20,
    "artifacts_score": 0.10,
}
"""What each part counts; where one is missing, the others share its weight.

A decision of ours (docs/decisions.md, "Every part is multiplied by the part of sharpness")."""


@dataclass(frozen=True)
class Scale:
    """How a metric becomes a part of a score.

    Attributes:
        half: the value that gives half a part, in the metric's unit, above 0.
        steepness: how fast the part rises around it.
    """

    half: float
    steepness: float

    def __post_init__(self) -> None:
        if not (self.half > 0 and self.steepness > 0):
            raise ValueError(
                f"half and steepness must be above 0, found {self.half} and {self.steepness}"
            )

    def part(self, value: float) -> float:
        """Return the part of a value, 0 to 1: a Hill curve, which never stands still.

        A metric above what matters raises the score less and less, yet a worse image never has
        the same score as a better one.
        """
        if value <= 0:
            return 0.0
        return 1 / (1 + float((self.half / value) ** self.steepness))


@dataclass(frozen=True)
class QualityScale:
    """Scales of one modality.

    Attributes:
        snr: by structure over disturbance, at which structures are distinguished.
        cnr: by contrast over disturbance, at which they are seen: 3 to 5 (Rose, JOSA 38:196, 1948).
        sharpness: by the share of the Nyquist frequency.
        uniformity: in percent; None where shading can't be decided from anatomy, as in projections.
    """

    snr: Scale
    cnr: Scale
    sharpness: Scale
    uniformity: Scale | None


# Detectors of radiography sample finer than the tube's focus and the screen resolve
_PROJECTION = QualityScale(Scale(4.0, 3.0), Scale(2.0, 2.0), Scale(0.07, 3.0), None)

OTHER = "other"
"""Key of the scales of modalities that have none of their own."""

_GENERIC = QualityScale(Scale(3.5, 3.0), Scale(2.0, 2.0), Scale(0.13, 3.0), None)
SCALES: Mapping[str, QualityScale] = {
    "CT": QualityScale(Scale(4.0, 3.0), Scale(2.0, 2.0), Scale(0.12, 3.0), Scale(40.0, 3.0)),
    "MR": QualityScale(Scale(3.5, 3.0), Scale(2.0, 2.0), Scale(0.15, 3.0), Scale(40.0, 2.0)),
    OTHER: _GENERIC,
    "CR": _PROJECTION,
    "DX": _PROJECTION,
    "RF": _PROJECTION,
    "XA": _PROJECTION,
    "MG": _PROJECTION,
    "PX": _PROJECTION,
    "IO": _PROJECTION,
    "RG": _PROJECTION,
    "RTIMAGE": _PROJECTION,
    # Speckle is the signal's own: fully developed, it leaves a signal over noise of 1.9, the mean
    # over the deviation of a Rayleigh distribution
    "US": QualityScale(Scale(2.5, 3.0), Scale(1.5, 2.0), Scale(0.13, 3.0), None),
    # Few counts and wide pixels are in the nature of these
    "NM": QualityScale(Scale(2.5, 3.0), Scale(1.5, 2.0), Scale(0.08, 3.0), None),
    "PT": QualityScale(Scale(2.5, 3.0), Scale(1.5, 2.0), Scale(0.10, 3.0), None),
}
"""Scales by modality: the table that settings start from."""


def merged(
    changes: Mapping[str, QualityScale | Mapping[str, object]],
) -> dict[str, dict[str, object]]:
    """Lay changes over the table.

    Args:
        changes: by modality, then by metric; plain values, or scales as they are.

    Returns:
        The whole table as plain values, for a settings class to check.

    Raises:
        ValueError: what is named for a modality is no object.
    """
    table: dict[str, dict[str, object]] = {name: asdict(scale) for name, scale in SCALES.items()}
    for modality, scales in changes.items():
        plain = asdict(scales) if isinstance(scales, QualityScale) else scales
        if not isinstance(plain, Mapping):
            raise ValueError(f"expected an object of scales by metric for {modality}")
        table[modality] = {**table.get(modality, table[OTHER]), **plain}
    return table
