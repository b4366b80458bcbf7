"""Whether headers say what they must: the evaluators behind the checks of the DICOM index.

Belongs here: counting and comparing. Whether every file and frame is accounted for is judged in
`accounting.py`; which check uses what, and how bad a failure is, is stated in `imaging/checks.py`.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
from pydicom.uid import MediaStorageDirectoryStorage

from hc_assets.core.verdicts import Verdict, none_of, rate_at_least
from hc_assets.imaging.headers.defined_terms import MODALITIES
from hc_assets.imaging.headers.required_attributes import lacking_attributes

REQUIRED_COLUMNS = ["sop_class_uid", "has_pixels", "warnings", "dicom_json"]
"""Columns of the index that `required_attributes_present` looks at."""


def required_attributes_present(rows: Iterable[pa.RecordBatch]) -> Verdict:
    """Judge that each file has the attributes that the standard requires of its SOP class.

    An attribute of type 1 (PS3.5 7.4.1) of a mandatory module must have a value; a malformed one is
    a value. `imaging/headers/required_attributes.py` says which ones of which class.

    Args:
        rows: of the index, with `REQUIRED_COLUMNS`.

    Returns:
        A verdict whose value counts the files that lack any; `counts` says how many lack which.
    """
    offending = total = 0
    lacking: Counter[str] = Counter()
    for batch in rows:
        for row in batch.to_pylist():
            lacks = lacking_attributes(
                row["dicom_json"],
                row["warnings"],
                row["sop_class_uid"],
                has_pixels=row["has_pixels"],
            )
            lacking.update(f"without_{keyword}" for keyword in lacks)
            offending += bool(lacks)
        total += batch.num_rows
    verdict = none_of(offending, total, what="files that lack a required attribute")
    return replace(verdict, counts=verdict.counts | dict(sorted(lacking.items())))


def identifiers_unique(conflicting: int, total: int, same_bytes: int) -> Verdict:
    """Judge that no SOPInstanceUID stands for files with different bytes.

    Args:
        conflicting: how many do, of `shared_identifiers.count_conflicts`.
        total: how many there are.
        same_bytes: how many files were not landed since their bytes were known: no fault.
    """
    what = "SOPInstanceUIDs that stand for files with different bytes"
    verdict = none_of(conflicting, total, what=what)
    return replace(verdict, counts=verdict.counts | {"same_bytes": same_bytes})


def decodable_rate(decoded: int, undecodable: int, threshold: float) -> Verdict:
    """Judge the share of frames whose pixels can be decoded.

    Args:
        decoded: frames that were.
        undecodable: frames that were not.
        threshold: least share, 0 to 1.
    """
    return rate_at_least(decoded, decoded + undecodable, threshold, what="frames decoded")


def modality_known(modalities: pa.Array, sop_classes: pa.Array) -> Verdict:
    """Judge that each file's Modality is a defined term (PS3.3 C.7.3.1.1.1).

    Args:
        modalities: of each indexed file; null is no term.
        sop_classes: of each, in the same order; a DICOMDIR has no modality.
    """
    is_directory = pc.fill_null(pc.equal(sop_classes, str(MediaStorageDirectoryStorage)), False)
    counted = pc.filter(modalities, pc.invert(is_directory))
    known = pc.is_in(counted, value_set=pa.array(sorted(MODALITIES)))
    return none_of(
        len(counted) - (pc.sum(known).as_py() or 0),
        len(counted),
        what="files whose Modality is missing or no defined term",
    )


def patients_match(patient_ids: pa.Array, known: Iterable[str], threshold: float) -> Verdict:
    """Judge the share of PatientIDs that are the id or an identifier of a FHIR Patient.

    Args:
        patient_ids: of each indexed file; null does not count.
        known: ids and identifiers of all Patients; where there are none, nothing is compared.
        threshold: least share of the distinct PatientIDs, 0 to 1.
    """
    wanted = {patient_id.strip() for patient_id in patient_ids.unique().to_pylist() if patient_id}
    found: set[str] = set()
    compared = False
    for identifier in known:
        compared = True
        if identifier in wanted:
            found.add(identifier)
    if not compared:
        verdict = rate_at_least(0, 0, threshold, what="PatientIDs are those of FHIR Patients")
        return replace(verdict, explanation="there are no FHIR Patients to compare with")
    what = "PatientIDs are those of FHIR Patients"
    return rate_at_least(len(found), len(wanted), threshold, what=what)
