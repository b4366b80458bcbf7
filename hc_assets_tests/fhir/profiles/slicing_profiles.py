"""Profiles with slices, and resources for tests of them."""

from collections.abc import Callable
from typing import Any

Json = dict[str, Any]
Findings = Callable[..., list[tuple[str, str, str]]]
Profile = Callable[..., Json]
BASE = "https://example.org/StructureDefinition/"


def coding_of(code: str, system: str = "http://loinc.org") -> Json:
    return {"system": system, "code": code}


def concept_of(*codes: str) -> Json:
    return {"coding": [coding_of(code) for code in codes]}


def observed(**members: Any) -> Json:
    return {"resourceType": "Observation", "status": "final", "code": concept_of("1-8")} | members


def slicing_by(kind: str, path: str, rules: str = "open", **others: Any) -> Json:
    return {"discriminator": [{"type": kind, "path": path}], "rules": rules} | others


def components_of(*codes: str) -> list[Json]:
    return [{"code": concept_of(code), "valueInteger": 1} for code in codes]


def slice_of(name: str, below: str = "", **demands: Any) -> Json:
    return {
        "id": f"Observation.component:{name}{below}",
        "path": f"Observation.component{below}",
        **({} if below else {"sliceName": name}),
    } | demands


def sliced_by(profile: Profile, kind: str, path: str, *slices: Json, **slicing: Any) -> Json:
    component = {
        "id": "Observation.component",
        "path": "Observation.component",
        "slicing": slicing_by(kind, path, **slicing),
    }
    return profile("Observation", component, *slices)
