"""Studies as FHIR R4 ImagingStudy resources, from the index of their files.

Belongs here: which DICOM attribute becomes which element, after the mapping that R4's ImagingStudy
gives (DICOM Tag Mapping), and how the resources reach the FHIR assets. Reading the files is in
`instances.py`.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Any

import msgspec
from upath import UPath

from hc_assets.core.fence import InternalError, fenced
from hc_assets.fhir.validation import has_errors, validate
from hc_assets.imaging.domain import STUDIES_FOLDER
from hc_assets.imaging.schemas.series import IMAGING_STUDIES
from hc_assets.imaging.series.instances import Instance, distinct
from hc_assets.lake.atomic import HashingSink, atomic_file, write_bytes
from hc_assets.lake.incremental import compare
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import read_commit
from hc_assets.lake.tables import opened_part, verified_part

HANDED_OVER = "handed_to_fhir"
"""Input in the table's commit that is there where its resources were handed over."""
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
_TIME = re.compile(r"([01][0-9]|2[0-3])([0-5][0-9])([0-5][0-9])?(\.[0-9]{1,6})?")
_OFFSET = re.compile(r"[+-](0[0-9]|1[0-4])([0-5][0-9])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_UNSIGNED = 2**31
_ROWS = 500

Resource = dict[str, Any]


def study_rows(
    series: Iterable[Sequence[Instance]], patient_system: str = ""
) -> Iterator[dict[str, Any]]:
    """Make a row, with its resource, of each study.

    Args:
        series: files of each series, sorted by study, as `instances.read_series` gives them.
        patient_system: identifier system of PatientIDs whose header names no issuer; "" where
            there is no such thing.

    Yields:
        The columns of `schemas.IMAGING_STUDIES`; for a study for which anything is raised
        (`core/fence.py`), without a resource and with the reason.
    """
    for uid, members in groupby(series, key=lambda files: str(files[0]["study_instance_uid"])):
        made = fenced(_study_row, uid, list(members), patient_system)
        yield failed_row(uid, made) if isinstance(made, InternalError) else made


def failed_row(uid: str, error: InternalError) -> dict[str, Any]:
    """Row of a study of which no resource could be made."""
    return dict.fromkeys(IMAGING_STUDIES.names) | {
        "study_instance_uid": uid,
        "resource_id": resource_id(uid),
        "patient_ids": 0,
        "modalities": [],
        "series": 0,
        "instances": 0,
        "is_valid": False,
        "reason": error.text,
    }


def _study_row(
    uid: str, members: Sequence[Sequence[Instance]], patient_system: str
) -> dict[str, Any]:
    series = [distinct(files) for files in members]
    files = [file for of_series in series for file in of_series]
    resource = msgspec.json.encode(imaging_study(uid, series, patient_system))
    patients = _values(files, "patient_id")
    return {
        "study_instance_uid": uid,
        "resource_id": resource_id(uid),
        "patient_id": patients[0] if len(patients) == 1 else None,
        "patient_ids": len(patients),
        "modalities": _values(files, "modality"),
        "series": len(series),
        "instances": len(files),
        "is_valid": not has_errors(validate(resource)),
        "content_sha256": hashlib.sha256(resource).hexdigest(),
        "resource": resource,
        "reason": None,
    }


def resource_id(study_uid: str) -> str:
    """Id of a study's resource: its UID, which is a valid id, else the start of the UID's hash."""
    if _UID.fullmatch(study_uid):
        return study_uid
    return hashlib.sha256(study_uid.encode()).hexdigest()[:40]


def imaging_study(
    uid: str, series: Sequence[Sequence[Instance]], patient_system: str = ""
) -> Resource:
    """Make an ImagingStudy.

    Args:
        uid: StudyInstanceUID.
        series: the instances of each series, at least one of each.
        patient_system: as for `study_rows`.

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
            "numberOfSeries": len(series),
            "numberOfInstances": len(files),
            "description": next(iter(_texts(files, "study_description")), None),
            "series": [_series(instances) for instances in series],
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
    """The earliest date and time; the date alone where there is no time, or no offset from UTC.

    FHIR demands an offset with a time, and TimezoneOffsetFromUTC (0008,0201) is mostly absent.
    """
    found = []
    for file in files:
        day = _day(file[date_name])
        if day is None:
            continue
        time, offset = _TIME.fullmatch(file[time_name] or ""), file["timezone"] or ""
        if time and _OFFSET.fullmatch(offset):
            hour, minute, second, fraction = time.groups()
            clock = f"{hour}:{minute}:{second or '00'}{fraction or ''}"
            found.append(f"{day}T{clock}{offset[:3]}:{offset[3:]}")
        else:
            found.append(day)
    return min(found, default=None)


def _day(value: date | str | None) -> str | None:
    if value is None:
        return None
    text = value.isoformat() if isinstance(value, date) else f"{value[:4]}-{value[4:6]}-{value[6:]}"
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return None  # the index notes it


def _unsigned(value: int | None) -> int | None:
    return value if value is not None and 0 <= value < _UNSIGNED else None


def _values(files: Iterable[Instance], name: str) -> list[str]:
    return sorted({file[name] for file in files if file[name]})


def _texts(files: Iterable[Instance], name: str) -> list[str]:
    """Distinct values as FHIR strings: no control characters, never empty."""
    cleaned = {_CONTROL.sub(" ", value).strip() for value in _values(files, name)}
    return sorted(cleaned - {""})


def _without_empty(value: Any) -> Any:
    """Leave out members that are None or empty lists: FHIR has no such thing."""
    if isinstance(value, dict):
        kept = {name: _without_empty(member) for name, member in value.items()}
        return {name: member for name, member in kept.items() if member not in (None, [], {})}
    if isinstance(value, list):
        return [_without_empty(member) for member in value]
    return value


def hand_to_fhir(
    landing: UPath, parts: Iterable[UPath], known: Mapping[str, str], *, undone: int = 0
) -> tuple[UPath | None, int]:
    """Put the resources that are new or changed where FHIR resources are landed from.

    From there they go the way of all others: validated, versioned, searched, exported.

    Args:
        landing: the FHIR landing folder.
        parts: Parquet files with the rows of all studies.
        known: content_sha256 of each study that was handed over before, by its UID.
        undone: how often batches were taken in again that had been left out: so many empty lines
            are added, since what was landed once, and deleted since, would not be landed again.

    Returns:
        The NDJSON file, named by its content, and how many resources it holds; no file where
        nothing is new.
    """
    folder = landing / STUDIES_FOLDER
    paths = list(parts)
    keys = ["study_instance_uid", "content_sha256"]
    present = {
        row["study_instance_uid"]: row["content_sha256"]
        for path in paths
        for row in _rows(path, keys)
        if row["content_sha256"] is not None
    }
    due = compare(known, present).to_take_in()
    if not due:
        return None, 0
    count = 0

    def name(sink: HashingSink) -> UPath:
        return folder / f"imaging-studies-{sink.hexdigest()[:12]}.ndjson"

    with atomic_file(folder, name) as sink:
        for path in paths:
            for row in _rows(path, ["study_instance_uid", "resource"]):
                if row["study_instance_uid"] in due:
                    sink.write(row["resource"] + b"\n")
                    count += 1
        sink.write(b"\n" * undone)
    return name(sink), count


def delete_from_fhir(
    landing: UPath, parts: Iterable[UPath], known: Mapping[str, str], *, undone: int
) -> int:
    """Have the resources deleted of studies that there no longer are.

    A study goes when all the batches that brought it are retracted.

    Args:
        landing: the FHIR landing folder.
        parts: Parquet files with the rows of all studies.
        known: content_sha256 of each study that was handed over before, by its UID.
        undone: as for `hand_to_fhir`.

    Returns:
        How many those are; a Bundle that asks for it is put where FHIR resources are landed from.
    """
    keys = ["study_instance_uid"]
    present = {row["study_instance_uid"] for path in parts for row in _rows(path, keys)}
    gone = sorted(known.keys() - present)
    if gone:
        requests = [{"method": "DELETE", "url": f"ImagingStudy/{resource_id(uid)}"} for uid in gone]
        bundle = {
            "resourceType": "Bundle",
            "id": f"left-out-{undone}",
            "type": "transaction",
            "entry": [{"request": request} for request in requests],
        }
        encoded = msgspec.json.encode(bundle)
        name = f"imaging-studies-deleted-{hashlib.sha256(encoded).hexdigest()[:12]}.json"
        write_bytes(landing / STUDIES_FOLDER / name, encoded)
    return len(gone)


def handed_over(layout: Layout) -> dict[str, str]:
    """content_sha256 of each study that was handed over, by its UID: those of the committed table.

    None where that was made without handing them over, which its commit says.
    """
    folder = layout.partition("imaging/imaging_studies", None)
    made = read_commit(folder)
    if made is None or HANDED_OVER not in made.inputs:
        return {}
    keys = ["study_instance_uid", "content_sha256"]
    rows = (row for part in made.parts for row in _rows(verified_part(folder, part), keys))
    return {
        row["study_instance_uid"]: row["content_sha256"]
        for row in rows
        if row["content_sha256"] is not None
    }


def _rows(path: UPath, columns: list[str]) -> Iterator[dict[str, Any]]:
    with opened_part(path) as file:
        for batch in file.iter_batches(_ROWS, columns=columns):
            yield from batch.to_pylist()
