"""The FHIR R4 ImagingStudy of the files of a study.

Belongs here: which DICOM attribute becomes which element, after the mapping that R4's ImagingStudy
gives (DICOM Tag Mapping). When it started is in `study_times.py`; which studies become resources
is in `imaging_studies.py`.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from hc_assets.imaging.series.instances import Instance
from hc_assets.imaging.series.study_times import earliest, start

SOURCE = "urn:hc-assets:imaging"
"""meta.source of the resources, which distinguishes them from those that others send."""

_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_DICOM_UID = "urn:dicom:uid"
_URI = "urn:ietf:rfc:3986"
_SNOMED = "http://snomed.info/sct"
_HL7_IDENTIFIER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"
_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_LATERALITY = {"L": ("7771000", "Left"), "R": ("24028007", "Right")}
# PS3.5 9.1: components of digits without leading zeros, 64 characters
_UID = re.compile(r"(?=.{1,64}$)[0-2](\.(0|[1-9][0-9]*))+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_UNSIGNED = 2**31

Resource = dict[str, Any]


def resource_id(study_uid: str) -> str:
    """Id of a study's resource: its UID, which is a valid id, else the start of the UID's hash."""
    if _UID.fullmatch(study_uid):
        return study_uid
    return hashlib.sha256(study_uid.encode()).hexdigest()[:40]


def imaging_study(
    uid: str,
    series: Sequence[Sequence[Instance]],
    patient_system: str = "",
    *,
    listed: Sequence[Sequence[Instance]] | None = None,
) -> Resource:
    """Make an ImagingStudy.

    Args:
        uid: StudyInstanceUID.
        series: the instances of each series, at least one of each.
        patient_system: as for `study_rows`.
        listed: those that the resource lists; all where None.

    Returns:
        The resource; the same for the same instances. The subject is named by its PatientID as an
        identifier, never by an id that was only guessed; where the files name none, or several, it
        is declared unknown.
    """
    files = [file for of_series in series for file in of_series]
    resource: Resource = _without_empty(
        {
            "resourceType": "ImagingStudy",
            "id": resource_id(uid),
            "meta": {"source": SOURCE},
            "identifier": [
                {"use": "official", "system": _DICOM_UID, "value": f"urn:oid:{uid}"},
                *(_accession(number) for number in _texts(files, "accession_number")),
            ],
            "status": "available",
            "modality": [_modality(code) for code in _texts(files, "modality")],
            "subject": _subject(files, patient_system),
            "started": _started(files, "study_date", "study_time"),
            # Of the study: R4 has it that they may be more than are listed
            "numberOfSeries": len(series),
            "numberOfInstances": len(files),
            "description": next(iter(_texts(files, "study_description")), None),
            "series": [_series(each) for each in (series if listed is None else listed)],
        }
    )
    return resource


def _series(instances: Sequence[Instance]) -> Resource:
    modalities = _texts(instances, "modality")
    laterality = _texts(instances, "laterality")
    body_parts = _texts(instances, "body_part")
    return {
        "uid": instances[0]["series_instance_uid"],
        "number": _unsigned(instances[0]["series_number"]),
        "modality": _modality(modalities[0]) if len(modalities) == 1 else _unknown(),
        "description": next(iter(_texts(instances, "series_description")), None),
        "numberOfInstances": len(instances),
        # A display only: BodyPartExamined is a word of DICOM's, and often of the technician's
        "bodySite": {"display": body_parts[0]} if len(body_parts) == 1 else None,
        "laterality": _side(laterality),
        "started": _started(instances, "series_date", "series_time"),
        "instance": [_instance(instance) for instance in instances if instance["sop_instance_uid"]],
    }


def _instance(instance: Instance) -> Resource:
    return {
        "uid": instance["sop_instance_uid"],
        "sopClass": (
            {"system": _URI, "code": f"urn:oid:{instance['sop_class_uid']}"}
            if instance["sop_class_uid"]
            else _unknown()
        ),
        "number": _unsigned(instance["instance_number"]),
    }


def _accession(number: str) -> Resource:
    return {
        "type": {"coding": [{"system": _HL7_IDENTIFIER_TYPE, "code": "ACSN"}]},
        "value": number,
    }


def _subject(files: Sequence[Instance], patient_system: str) -> Resource:
    ids = _texts(files, "patient_id")
    if len(ids) != 1:
        return _unknown()
    issuers = _texts(files, "issuer_of_patient_id")
    issuer = {"display": issuers[0]} if len(issuers) == 1 else None
    system = patient_system if patient_system and not issuers else None
    identifier = {"system": system, "value": ids[0], "assigner": issuer}
    return {"type": "Patient", "identifier": identifier}


def _unknown() -> Resource:
    return {"extension": [{"url": _ABSENT, "valueCode": "unknown"}]}


def _modality(code: str) -> Resource:
    return {"system": _DCM, "code": " ".join(code.split())}


def _side(found: Sequence[str]) -> Resource | None:
    if len(found) != 1 or found[0] not in _LATERALITY:
        return None
    code, display = _LATERALITY[found[0]]
    return {"system": _SNOMED, "code": code, "display": display}


def _started(files: Sequence[Instance], date_name: str, time_name: str) -> str | None:
    found = (start(file[date_name], file[time_name], file["timezone"]) for file in files)
    return earliest(each for each in found if each is not None)


def _unsigned(value: int | None) -> int | None:
    return value if value is not None and 0 <= value < _UNSIGNED else None


def values_of(files: Iterable[Instance], name: str) -> list[str]:
    """Distinct values of a column, sorted, without empty ones."""
    return sorted({file[name] for file in files if file[name]})


def _texts(files: Iterable[Instance], name: str) -> list[str]:
    """Distinct values as FHIR strings: no control characters, never empty."""
    cleaned = {_CONTROL.sub(" ", value).strip() for value in values_of(files, name)}
    return sorted(cleaned - {""})


def _without_empty(value: Any) -> Any:
    """Leave out members that are None or empty lists: FHIR has no such thing."""
    if isinstance(value, dict):
        kept = {name: _without_empty(member) for name, member in value.items()}
        return {name: member for name, member in kept.items() if member not in (None, [], {})}
    if isinstance(value, list):
        return [_without_empty(member) for member in value]
    return value
