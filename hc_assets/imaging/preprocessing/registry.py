"""Which pipeline a modality gets.

Belongs here: the one table. A further modality is a module and a line.
"""

from collections.abc import Mapping

from hc_assets.imaging.preprocessing import ct, generic, mg, mr, radiograph, us
from hc_assets.imaging.preprocessing.pipeline import Pipeline

PIPELINES: Mapping[str, Pipeline] = {
    "CT": ct.PIPELINE,
    "MR": mr.PIPELINE,
    "CR": radiograph.PIPELINE,
    "DX": radiograph.PIPELINE,
    "US": us.PIPELINE,
    "MG": mg.PIPELINE,
}


def pipeline_for(modality: str) -> Pipeline:
    """Give the pipeline of a modality (0008,0060); the generic one where it has none of its own."""
    return PIPELINES.get(modality, generic.PIPELINE)
