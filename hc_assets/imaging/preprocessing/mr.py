"""MR: intensities have no unit and are shaded by coils.

Belongs here: what is done to the values of MR frames: noise, bias field, percentiles.
"""

import numpy as np
from numpy.typing import NDArray

from hc_assets.imaging.pixels.frames import Frame
from hc_assets.imaging.preprocessing.bias import NoFieldError, homomorphic_field, n4_field
from hc_assets.imaging.preprocessing.contrast import between, between_percentiles
from hc_assets.imaging.preprocessing.denoising import adaptive_mean, additive_noise
from hc_assets.imaging.preprocessing.parameters import MrParameters
from hc_assets.imaging.preprocessing.recipe import Normalised, Recipe
from hc_assets.imaging.quality.samples import otsu, sampled

_DENOISING_SIDE = 3
# Beyond this squares overflow; no scanner sends such values
_MOST = 1e15


def normalised(values: NDArray[np.float32], frame: Frame, parameters: MrParameters) -> Normalised:
    """Lower noise, divide out the bias field, and map air to 0 and the object's top to 1.

    Percentiles of the whole frame would follow how much air is in it. Phase and other maps with
    values below 0 have neither Rician noise nor a coil's shading: their percentiles alone apply.
    """
    counts = np.ones(values.shape, np.bool_) if frame.padding is None else ~frame.padding
    decisions: list[str] = []
    low = float(values[counts].min()) if counts.any() else 0.0
    if low < 0 or float(values.max()) > _MOST:
        decisions.append("no bias field or noise: values are no magnitudes")
    elif frame.context.is_labels:
        decisions.append("no bias field or noise: labels")
    else:
        values = _corrected(values, counts, parameters, decisions)
    objects = _object(values, counts)
    if objects.any():
        inside, tissue = (sampled(values, each).astype(np.float64) for each in (counts, objects))
        bottom = float(np.percentile(inside, parameters.low_percentile))
        top = float(np.percentile(tissue, parameters.high_percentile))
        if top > bottom:
            return Normalised(between(values, bottom, top), (*decisions, "percentiles"))
    pixels = between_percentiles(values, 0, 100, counts)
    return Normalised(pixels, (*decisions, "whole range: no object stands out"))


def _corrected(
    values: NDArray[np.float32],
    counts: NDArray[np.bool_],
    parameters: MrParameters,
    decisions: list[str],
) -> NDArray[np.float32]:
    if parameters.denoise == "wiener":
        # Zeros are what scanners put where they measured nothing
        noise = additive_noise(values, counts & (values > 0))
        values = adaptive_mean(values, noise, side=_DENOISING_SIDE, counts=counts)
        decisions.append("Wiener filter")
    objects = _object(values, counts)
    if parameters.bias == "none" or not objects.any():
        return values
    try:
        field, how = _field(values, objects, parameters)
    except NoFieldError as error:
        decisions.append(f"no bias field: {error}")
        return values
    decisions.append(how)
    return values / field


def _field(
    values: NDArray[np.float32], objects: NDArray[np.bool_], parameters: MrParameters
) -> tuple[NDArray[np.float32], str]:
    if parameters.bias == "homomorphic":
        field = homomorphic_field(values, objects, width=parameters.homomorphic_width)
        return field, "homomorphic filter"
    field = n4_field(
        values,
        objects,
        shrink=parameters.n4_shrink,
        iterations=parameters.n4_iterations,
        levels=parameters.n4_levels,
    )
    return field, "N4"


def _object(values: NDArray[np.float32], counts: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What is brighter than air, by Otsu's threshold."""
    if not counts.any():
        return counts
    # In doubles: the range of extreme floats is beyond floats
    return counts & (values > otsu(sampled(values, counts).astype(np.float64)))


RECIPE = Recipe(
    name="mr",
    version=3,
    parameters=MrParameters(),
    normalise=normalised,
    libraries=("SimpleITK",),
)
