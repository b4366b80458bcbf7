"""Quality of one frame: five metrics, their parts, one score, and why.

Belongs here: bringing the metrics together. Each is measured in a module of its own: `noise.py`
(snr, cnr), `sharpness.py`, `uniformity.py`, `artifacts/`, in the regions of `regions.py`; what
counts as good is in `scale.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hc_assets.imaging.pixels.frames import Frame
from hc_assets.imaging.quality.artifacts import Artifacts, find_artifacts
from hc_assets.imaging.quality.causes import Factors, costs_by_cause
from hc_assets.imaging.quality.detectability import structure_over_disturbance
from hc_assets.imaging.quality.magnetic_resonance import (
    MrMetrics,
    is_background_zeroed,
    mr_metrics,
    not_mr,
)
from hc_assets.imaging.quality.noise import SignalAndNoise, signal_and_noise, zero_level
from hc_assets.imaging.quality.regions import NotMeasurableError, Regions, divide
from hc_assets.imaging.quality.scale import (
    OTHER,
    SCALES,
    WEIGHTS,
    QualityScale,
)
from hc_assets.imaging.quality.sharpness import edge_width, half_contrast_frequency
from hc_assets.imaging.quality.uniformity import integral_uniformity

METHODS: Mapping[str, str] = {
    "snr": "object_median_over_quiet_windows",
    "cnr": "tissue_medians_over_quiet_windows",
    "sharpness": "half_contrast_frequency_of_edges",
    "uniformity": "integral_uniformity_of_fitted_surface",
    "artifacts_score": "product_over_detectors",
}
"""How each metric is measured; the modules that measure it say more."""

# What plateaus cost the rest at most. Ours: chosen on the images of `benchmarks/quality_ranking.py`
# and their clipped copies
_HIDDEN_BY_PLATEAUS = 0.5


@dataclass(frozen=True)
class Metric:
    """A metric of a frame.

    Attributes:
        value: in its unit; None where it has no meaning for the frame.
        part: what it gives to the score before weighting, 0 to 1; None where value is.
        reason: why value is None, as one word with underscores; None where it is not.
        caveat: what the value rests on in place of what it should, as one word; None where all is
            as it should be.
    """

    value: float | None = None
    part: float | None = None
    reason: str | None = None
    caveat: str | None = None

    @property
    def validity(self) -> str:
        """`valid`, the caveat, or the reason."""
        return self.reason or self.caveat or "valid"


@dataclass(frozen=True)
class Quality:
    """What was measured of a frame.

    Attributes:
        metrics: snr, cnr, sharpness, uniformity and artifacts_score by name.
        noise_sd: standard deviation of the noise, in modality units.
        edge_width: blur of the edges as a Gaussian's standard deviation, in pixels.
        artifacts: severities of single artifacts.
        measurable_share: share of the object that is not saturated, 0 to 1.
        magnetic_resonance: metrics of MR frames.
        weights: of the parts that there are, rescaled so that they add up to 1.
        overall: weighted mean of the parts, 0 to 1; None where there is none.
        structure_ratio: how far structure stands out of noise, stripes and ghosts.
        costs: what the score lacks of 1, by the metric that is the cause: a blurred image lacks in
            every part, and sharpness is why.
    """

    metrics: Mapping[str, Metric]
    noise_sd: float | None = None
    edge_width: float | None = None
    artifacts: Artifacts | None = None
    measurable_share: float | None = None
    magnetic_resonance: MrMetrics = field(default_factory=not_mr)
    weights: Mapping[str, float] = field(default_factory=dict)
    overall: float | None = None
    structure_ratio: float | None = None
    costs: Mapping[str, float] = field(default_factory=dict)

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
        scales: by modality, and of `other`.
        weights: of the parts, by metric.

    Returns:
        The metrics, each with a value or a reason, and the score: the weighted mean of the parts.

    A part is what its scale gives, times what no metric can make up for:

    - snr: on its scale stands the structure over all that disturbs it (`detectability.py`): noise
      together with stripes, rings and ghosts, as all of them hide what is to be seen;
    - cnr: the same of the contrast inside the object;
    - sharpness: on its scale; artifacts_score as it is;
    - uniformity: on its scale, times artifacts_score: ghosts and stripes look like shading.

    Each is multiplied by the part of sharpness, because noise that was smoothed away with the
    detail is no gain; by the share of the object that is not saturated, as it was measured there
    only, and less where the plateaus are many, because they cut off the strongest edges; and,
    where it does not hold it already, by the part of snr, at which it is seen at all.
    So the score falls where an image gets worse, in whichever way.
    """
    modality = frame.context.modality
    scale = scales[modality] if modality in scales else scales[OTHER]
    try:
        regions = divide(frame)
        found = signal_and_noise(regions, modality)
    except NotMeasurableError as error:
        return Quality({name: Metric(reason=error.reason) for name in weights})
    zero = zero_level(regions, modality)
    width, sharpness = _sharpness(regions, found.fine_sd)
    uniformity = _uniformity(regions, zero, scale, found.noise_sd)
    disturbance = find_artifacts(regions, noise_sd=found.fine_sd, zero=zero, context=frame.context)
    seen = 1 - disturbance.saturated_share
    # A plateau hides the strongest edges, and ends in edges of its own
    resolved_share = seen * (1 - _HIDDEN_BY_PLATEAUS * (disturbance.artifacts.clipping or 0.0))
    contrasts = structure_over_disturbance(
        regions,
        noise_sd=found.fine_sd,
        amplitude=disturbance.amplitude,
    )
    visible = scale.snr.part(contrasts.structure)
    # Edges that noise hides are no proof of sharpness, and those it roughens look sharper
    roughness = 1 + 2 / contrasts.structure if contrasts.structure > 0 else float("inf")
    sharp, resolved = 1.0, visible
    if sharpness.value is not None:
        sharp = scale.sharpness.part(sharpness.value)
        resolved = scale.sharpness.part(sharpness.value / roughness)
    discernible = visible * resolved * resolved_share
    clean = disturbance.artifacts.score
    is_mr = modality == "MR"
    caveats = _caveats(regions, found, is_mr=is_mr)
    contrast = scale.cnr.part(contrasts.contrast)
    even = 1.0
    if uniformity.value is not None and scale.uniformity is not None:
        even = scale.uniformity.part(uniformity.value)
        uniformity = Metric(uniformity.value, even * clean * discernible)
    metrics = {
        "snr": _put(found.snr, discernible, "no_signal_above_air", caveats.get("snr")),
        "cnr": _put(
            found.cnr,
            contrast * resolved * resolved_share,
            "one_tissue_and_no_surroundings",
            caveats.get("cnr"),
        ),
        "sharpness": sharpness if sharpness.value is None else Metric(sharpness.value, discernible),
        "uniformity": uniformity,
        "artifacts_score": Metric(clean, clean * discernible),
    }
    # What structure has to stand out of is noise in part, and artifacts in part
    factors = Factors(
        visible=visible,
        noisy=found.fine_sd**2 / (found.fine_sd**2 + disturbance.amplitude**2),
        sharp=sharp,
        resolved=resolved,
        unsaturated=resolved_share,
        contrast=contrast,
        even=even,
        clean=clean,
    )
    shares = _rescaled(metrics, weights)
    return Quality(
        metrics=metrics,
        noise_sd=found.noise_sd,
        edge_width=width,
        artifacts=disturbance.artifacts,
        measurable_share=seen,
        magnetic_resonance=mr_metrics(regions) if is_mr else not_mr(),
        weights=shares,
        overall=float(sum(share * (metrics[name].part or 0.0) for name, share in shares.items())),
        structure_ratio=contrasts.structure,
        costs=costs_by_cause(
            factors, {n: share * (1 - (metrics[n].part or 0.0)) for n, share in shares.items()}
        ),
    )


def unmeasured(reason: str) -> Quality:
    """What a frame has that is not measured, for one reason: as one word with underscores."""
    return Quality({name: Metric(reason=reason) for name in WEIGHTS})


def _put(value: float | None, part: float, reason: str, caveat: str | None) -> Metric:
    return Metric(reason=reason) if value is None else Metric(value, part, caveat=caveat)


def _caveats(regions: Regions, found: SignalAndNoise, *, is_mr: bool) -> dict[str, str]:
    caveats = {}
    if not regions.has_air:
        caveats["snr"] = "no_air_around"
    elif is_mr and is_background_zeroed(regions):
        caveats["snr"] = "background_zeroed"
    if found.cnr_is_of_object:
        caveats["cnr"] = "object_against_surroundings"
    return caveats


def _rescaled(metrics: Mapping[str, Metric], weights: Mapping[str, float]) -> dict[str, float]:
    there = {name: weights[name] for name, m in metrics.items() if m.part is not None}
    total = sum(there.values())
    return {name: weight / total for name, weight in there.items()} if total > 0 else {}


def _sharpness(regions: Regions, noise_sd: float) -> tuple[float | None, Metric]:
    try:
        width = edge_width(regions, noise_sd)
    except NotMeasurableError as error:
        return None, Metric(reason=error.reason)
    return width, Metric(half_contrast_frequency(width))


def _uniformity(regions: Regions, zero: float, scale: QualityScale, noise_sd: float) -> Metric:
    if scale.uniformity is None:
        return Metric(reason="anatomy_not_told_from_shading")
    try:
        return Metric(integral_uniformity(regions, zero, noise_sd))
    except NotMeasurableError as error:
        return Metric(reason=error.reason)
