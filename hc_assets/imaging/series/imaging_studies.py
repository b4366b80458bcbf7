"""Studies as FHIR R4 ImagingStudy resources: a row of each, and the way to the FHIR assets.

Belongs here: what a resource leaves out so that it is valid, and how it is handed over. What it
says is in `study_resource.py`, reading the files in `instances.py`.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec
from upath import UPath

from hc_assets.core.fence import InternalError, fenced
from hc_assets.fhir.validation import has_errors, validate
from hc_assets.imaging.domain import STUDIES_FOLDER
from hc_assets.imaging.schemas.series import IMAGING_STUDIES
from hc_assets.imaging.series.instances import Instance, distinct
from hc_assets.imaging.series.study_resource import imaging_study, resource_id, values_of
from hc_assets.lake.atomic import HashingSink, atomic_file, write_bytes
from hc_assets.lake.incremental import compare
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import read_commit
from hc_assets.lake.tables import opened_part, verified_part

HANDED_OVER = "handed_to_fhir"
"""Input in the table's commit that is there where its resources were handed over."""

# What the datatype id takes, as which R4 has series.uid and instance.uid
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_ROWS = 500


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
        "left_out": [],
        "is_valid": False,
        "reason": error.text,
    }


def _study_row(
    uid: str, members: Sequence[Sequence[Instance]], patient_system: str
) -> dict[str, Any]:
    series = [distinct(files) for files in members]
    files = [file for of_series in series for file in of_series]
    resource, left_out = sound_study(uid, series, patient_system)
    patients = values_of(files, "patient_id")
    return {
        "study_instance_uid": uid,
        "resource_id": resource_id(uid),
        "patient_id": patients[0] if len(patients) == 1 else None,
        "patient_ids": len(patients),
        "modalities": values_of(files, "modality"),
        "series": len(series),
        "instances": len(files),
        "left_out": left_out,
        "is_valid": not has_errors(validate(resource)),
        "content_sha256": hashlib.sha256(resource).hexdigest(),
        "resource": resource,
        "reason": next((each["reason"] for each in left_out if _is_internal(each)), None),
    }


def _is_internal(left_out: dict[str, Any]) -> bool:
    return InternalError.of_text(left_out["reason"]) is not None


def sound_study(
    uid: str, series: Sequence[Sequence[Instance]], patient_system: str = ""
) -> tuple[bytes, list[dict[str, Any]]]:
    """Make an ImagingStudy without what would make it invalid.

    Args:
        uid: as for `imaging_study`.
        series: as for `imaging_study`.
        patient_system: as for `study_rows`.

    Returns:
        The resource as JSON, and what it does not list, as `schemas.IMAGING_STUDIES` has it: whole
        series, or instances of one. Where leaving out mends nothing, all of it is listed.
    """
    whole = fenced(_encoded, uid, series, patient_system, series)
    if not isinstance(whole, InternalError) and not has_errors(validate(whole)):
        return whole, []
    listed: list[Sequence[Instance]] = []
    left_out: list[dict[str, Any]] = []
    for instances in series:
        reason = _what_is_wrong(uid, instances, patient_system)
        if not reason:
            listed.append(instances)
            continue
        fit = [each for each in instances if _ID.fullmatch(each["sop_instance_uid"] or "-")]
        is_mended = len(fit) < len(instances) and not _what_is_wrong(uid, fit, patient_system)
        if is_mended:
            listed.append(fit)
        left_out.append(
            {
                "series_instance_uid": instances[0]["series_instance_uid"],
                "instances": len(instances) - (len(fit) if is_mended else 0),
                "reason": reason,
            }
        )
    resource = _encoded(uid, series, patient_system, listed)
    if isinstance(whole, InternalError) or not has_errors(validate(resource)):
        return resource, left_out
    return whole, []


def _what_is_wrong(uid: str, instances: Sequence[Instance], patient_system: str) -> str:
    """Why a study of one series is not valid; "" where it is."""
    made = fenced(_encoded, uid, [instances], patient_system, [instances])
    if isinstance(made, InternalError):
        return made.text
    rules = {issue.rule for issue in validate(made) if has_errors([issue])}
    return f"not valid R4: {', '.join(sorted(rules))}" if rules else ""


def _encoded(
    uid: str,
    series: Sequence[Sequence[Instance]],
    patient_system: str,
    listed: Sequence[Sequence[Instance]],
) -> bytes:
    return msgspec.json.encode(imaging_study(uid, series, patient_system, listed=listed))


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
