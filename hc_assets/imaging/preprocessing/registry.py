"""Which pipeline a modality gets.

Belongs here: the one table. A further modality is a module and a line.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from hc_assets.imaging.preprocessing import ct, generic, mg, mr, nuclear, radiograph, us
from hc_assets.imaging.preprocessing.parameters import Preprocessing
from hc_assets.imaging.preprocessing.pipeline import Pipeline

AnyPipeline = Pipeline[Any]

PIPELINES: Mapping[str, AnyPipeline] = {
    "CT": ct.PIPELINE,
    "MR": mr.PIPELINE,
    "CR": radiograph.PIPELINE,
    "DX": radiograph.PIPELINE,
    "US": us.PIPELINE,
    "MG": mg.PIPELINE,
    "PT": nuclear.PIPELINE,
    "NM": nuclear.PIPELINE,
}


def pipeline_for(modality: str, told: Preprocessing | None = None) -> AnyPipeline:
    """Give the pipeline of a modality.

    Args:
        modality: (0008,0060); the generic pipeline takes those that have none of their own.
        told: parameters in place of the defaults.
    """
    pipeline = PIPELINES.get(modality, generic.PIPELINE)
    return pipeline if told is None else _told(pipeline.name, told)


def pipelines(told: Preprocessing) -> Mapping[str, AnyPipeline]:
    """Give every pipeline by its label, with its parameters."""
    every = {each.name for each in PIPELINES.values()} | {generic.PIPELINE.name}
    made = [_told(name, told) for name in sorted(every)]
    return {pipeline.label: pipeline for pipeline in made}


@cache
def _told(name: str, told: Preprocessing) -> AnyPipeline:
    every = {each.name: each for each in (*PIPELINES.values(), generic.PIPELINE)}
    return every[name].told(getattr(told, name), told.aspect, told.dtype)
