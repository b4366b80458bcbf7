"""Quality of one frame: five metrics, their parts, one score, and why.

Belongs here: bringing the metrics together. Each is measured in a module of its own: `noise.py`
(snr, cnr), `sharpness.py`, `uniformity.py`, `artifacts.py`, in the regions of `regions.py`; what
counts as good is in `quality_scale.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hc_assets.imaging.artifacts import Artifacts, find_artifacts
from hc_assets.imaging.noise import SignalAndNoise, signal_and_noise, zero_level
from hc_assets.imaging.pixels import Frame
from hc_assets.imaging.quality_scale import (
    GENERIC,
    SCALES,
    WEIGHTS,
    QualityScale,
    Scale,
)
from hc_assets.imaging.regions import NotMeasurableError, Regions, divide
from hc_assets.imaging.sharpness import edge_width, half_contrast_frequency
from hc_assets.imaging.uniformity import integral_uniformity


@dataclass(frozen=True)
class Metric:
    """A metric of a frame.

    Attributes:
        value: in its unit; None where it has no meaning for the frame.
        part: what it gives to the score before weighting, 0 to 1; None where value is.
        reason: why value is None, as one word with underscores; None where it is not.
    """

    value: float | None = None
    part: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Quality:
    """What was measured of a frame.

    Attributes:
        metrics: snr, cnr, sharpness, uniformity and artifacts_score by name.
        noise_sd: standard deviation of the noise, in modality units.
        edge_width: blur of the edges as a Gaussian's standard deviation, in pixels.
        artifacts: severities of single artifacts.
        measurable_share: share of the object that is not saturated, 0 to 1.
        overall: weighted mean of the parts, 0 to 1; None where there is none.
        explanation: why there is no score, or which part holds it down most.
    """

    metrics: Mapping[str, Metric]
    noise_sd: float | None = None
    edge_width: float | None = None
    artifacts: Artifacts | None = None
    measurable_share: float | None = None
    overall: float | None = None
    explanation: str | None = None

    @property
    def weights_rescaled(self) -> bool:
        """Whether a part is missing, so that the others share its weight."""
        return any(metric.part is None for metric in self.metrics.values())


def measure(
    frame: Frame,
    *,
    scales: Mapping[str, QualityScale] = SCALES,
    weights: Mapping[str, float] = WEIGHTS,
) -> Quality:
    """Measure the quality of a frame.

    Args:
        frame: in modality units.
        scales: by modality; others have `quality_scale.GENERIC`.
        weights: of the parts, by metric.

    Returns:
        The metrics, each with a value or a reason, and the score: the weighted mean of

        - snr and cnr on their scales, times the part of sharpness, because noise that was smoothed
          away with the detail is no gain;
        - sharpness on its scale, times the part of snr at which details are seen at all;
        - uniformity on its scale;
        - artifacts_score as it is;

        all but the last times the share of the object that is not saturated, since they are
        measured on that share only.
    """
    modality = frame.context.modality
    scale = scales.get(modality, GENERIC)
    try:
        regions = divide(frame)
        found = signal_and_noise(regions, modality)
    except NotMeasurableError as error:
        nothing = {name: Metric(reason=error.reason) for name in weights}
        return Quality(nothing, explanation=f"no score: {error.reason}")
    zero = zero_level(regions, modality)
    width, sharpness = _sharpness(regions, found.noise_sd)
    uniformity = _uniformity(regions, zero, scale)
    artifacts = find_artifacts(regions, signal=_reference(regions, found), zero=zero)
    seen = 1 - artifacts.saturated_share
    resolved = 1.0
    if sharpness.value is not None:
        resolved = scale.sharpness.part(sharpness.value)
        visible = 1.0 if found.snr is None else scale.visibility.part(found.snr)
        sharpness = Metric(sharpness.value, resolved * visible * seen)
    if uniformity.value is not None and scale.uniformity is not None:
        uniformity = Metric(uniformity.value, scale.uniformity.part(uniformity.value) * seen)
    metrics = {
        "snr": _ratio(found.snr, "no_signal_above_air", scale.snr, resolved * seen),
        "cnr": _ratio(found.cnr, "one_tissue_and_no_surroundings", scale.cnr, resolved * seen),
        "sharpness": sharpness,
        "uniformity": uniformity,
        "artifacts_score": Metric(artifacts.score, artifacts.score),
    }
    return Quality(
        metrics=metrics,
        noise_sd=found.noise_sd,
        edge_width=width,
        artifacts=artifacts,
        measurable_share=seen,
        overall=_overall(metrics, weights),
        explanation=_explanation(metrics, weights),
    )


def _ratio(value: float | None, reason: str, scale: Scale, share: float) -> Metric:
    if value is None:
        return Metric(reason=reason)
    return Metric(value, scale.part(value) * share)


def _sharpness(regions: Regions, noise_sd: float) -> tuple[float | None, Metric]:
    try:
        width = edge_width(regions, noise_sd)
    except NotMeasurableError as error:
        return None, Metric(reason=error.reason)
    return width, Metric(half_contrast_frequency(width))


def _uniformity(regions: Regions, zero: float, scale: QualityScale) -> Metric:
    if scale.uniformity is None:
        return Metric(reason="anatomy_not_told_from_shading")
    try:
        return Metric(integral_uniformity(regions, zero))
    except NotMeasurableError as error:
        return Metric(reason=error.reason)


def _reference(regions: Regions, found: SignalAndNoise) -> float:
    """What artifacts are held against: the signal, else the spread of the object."""
    if found.snr is not None:
        return found.snr * found.noise_sd
    low, high = np.quantile(regions.image[regions.objects], [0.05, 0.95])
    return max(float(high - low), found.noise_sd)


def _overall(metrics: Mapping[str, Metric], weights: Mapping[str, float]) -> float | None:
    parts = [(weights[name], m.part) for name, m in metrics.items() if m.part is not None]
    total = sum(weight for weight, _ in parts)
    return sum(weight * part for weight, part in parts) / total if total > 0 else None


def _explanation(metrics: Mapping[str, Metric], weights: Mapping[str, float]) -> str:
    lost = {
        name: weights[name] * (1 - metric.part)
        for name, metric in metrics.items()
        if metric.part is not None
    }
    worst = max(lost, key=lambda name: lost[name])
    return f"{worst} holds the score down most: its part is {metrics[worst].part:.2f}"
