"""Measurements of a visit as FHIR Observations and the reports that gather them.

Belongs here: how a value, a blood pressure panel and a laboratory report look in FHIR R4. Which
values there are is decided in `histories.py`.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hc_assets.sample_data.analytes import ANALYTES, PANELS, Analyte
from hc_assets.sample_data.codes import HL7_CODES, LOINC, SNOMED, UCUM, coding, concept
from hc_assets.sample_data.histories import History, Visit
from hc_assets.sample_data.seeded import uuid_of

Resource = dict[str, Any]
Refer = Callable[[str, str], dict[str, Any]]
"""Returns a Reference to a resource type and an id, in the way of the file it is written to."""

_CATEGORIES = {
    "vital-signs": "Vital Signs",
    "laboratory": "Laboratory",
    "social-history": "Social History",
}
_INTERPRETATIONS = {"H": "High", "L": "Low", "N": "Normal"}
_BLOOD_PRESSURE = ("systolic", "diastolic")


def visit_observations(seed: int, history: History, visit: Visit, refer: Refer) -> list[Resource]:
    """Build the Observations of a visit: blood pressure, other vital signs, labs, smoking."""
    observations = []
    if visit.vitals:
        observations.append(_blood_pressure(seed, history, visit, refer))
    for key, value in (visit.vitals | visit.labs).items():
        if key not in _BLOOD_PRESSURE:
            measurement = _start(seed, visit, key, ANALYTES[key].category)
            measurement |= _measured(history, visit, refer, key, value)
            observations.append(measurement)
    if visit.kind == "checkup" and visit.labs:
        observations.append(_smoking(seed, history, visit, refer))
    return observations


def visit_reports(seed: int, history: History, visit: Visit, refer: Refer) -> list[Resource]:
    """Build one DiagnosticReport per panel of which the visit has a value."""
    reports = []
    for panel, (loinc, display, members) in PANELS.items():
        results = [key for key in members if key in visit.labs]
        if not results:
            continue
        report = {
            "resourceType": "DiagnosticReport",
            "id": uuid_of(seed, "report", visit.id, panel),
            "status": "final",
            "category": [concept(HL7_CODES + "v2-0074", "LAB", "Laboratory")],
            "code": concept(LOINC, loinc, display),
        }
        report |= _context(history, visit, refer)
        report["result"] = [
            refer("Observation", observation_id(seed, visit, key))
            | {"display": ANALYTES[key].display}
            for key in results
        ]
        reports.append(report)
    return reports


def observation_id(seed: int, visit: Visit, key: str) -> str:
    """Return the id of the Observation of a key at a visit."""
    return uuid_of(seed, "observation", visit.id, key)


def _blood_pressure(seed: int, history: History, visit: Visit, refer: Refer) -> Resource:
    observation = _start(seed, visit, "blood_pressure", "vital-signs")
    observation["code"] = concept(
        LOINC, "85354-9", "Blood pressure panel with all children optional"
    )
    observation |= _context(history, visit, refer)
    observation["component"] = [
        {
            "code": concept(LOINC, ANALYTES[key].loinc, ANALYTES[key].display),
            "valueQuantity": quantity(visit.vitals[key], ANALYTES[key]),
            **_judged(visit.vitals[key], ANALYTES[key], history.person.gender),
        }
        for key in _BLOOD_PRESSURE
    ]
    return observation


def _measured(history: History, visit: Visit, refer: Refer, key: str, value: Decimal) -> Resource:
    analyte = ANALYTES[key]
    observation: Resource = {"code": concept(LOINC, analyte.loinc, analyte.display)}
    observation |= _context(history, visit, refer)
    observation["valueQuantity"] = quantity(value, analyte)
    if history.person.age_on(visit.start.date()) >= 18:  # the ranges are those of adults
        observation |= _judged(value, analyte, history.person.gender)
    return observation


def _smoking(seed: int, history: History, visit: Visit, refer: Refer) -> Resource:
    observation = _start(seed, visit, "smoking", "social-history")
    observation["code"] = concept(LOINC, "72166-2", "Tobacco smoking status")
    observation |= _context(history, visit, refer)
    observation["valueCodeableConcept"] = concept(SNOMED, *history.smoking)
    return observation


def _start(seed: int, visit: Visit, key: str, category: str) -> Resource:
    return {
        "resourceType": "Observation",
        "id": observation_id(seed, visit, key),
        "status": "final",
        "category": [concept(HL7_CODES + "observation-category", category, _CATEGORIES[category])],
    }


def _context(history: History, visit: Visit, refer: Refer) -> Resource:
    return {
        "subject": refer("Patient", history.person.id),
        "encounter": refer("Encounter", visit.id),
        "effectiveDateTime": visit.start.isoformat(),
        "issued": visit.end.isoformat(timespec="milliseconds"),
    }


def quantity(value: Decimal, analyte: Analyte) -> dict[str, Any]:
    """Build a Quantity in UCUM units; the decimal keeps its digits."""
    return {"value": value, "unit": analyte.unit, "system": UCUM, "code": analyte.ucum}


def _judged(value: Decimal, analyte: Analyte, gender: str) -> dict[str, Any]:
    """Interpretation and reference range; nothing where the measurement has no range."""
    low, high = analyte.bounds(gender)
    if low is None and high is None:
        return {}
    code = "L" if low is not None and value < low else "N"
    if high is not None and value > high:
        code = "H"
    range_: dict[str, Any] = {}
    if low is not None:
        range_["low"] = quantity(low, analyte)
    if high is not None:
        range_["high"] = quantity(high, analyte)
    interpretation = coding(
        HL7_CODES + "v3-ObservationInterpretation", code, _INTERPRETATIONS[code]
    )
    return {"interpretation": [{"coding": [interpretation]}], "referenceRange": [range_]}
