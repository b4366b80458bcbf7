"""Whether headers say what they must: the evaluators behind the checks of the DICOM index.

Belongs here: counting and comparing. Whether every file and frame is accounted for is judged in
`accounting.py`; which check uses what, and how bad a failure is, is said in `checks.py`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc
from pydicom.sr.codedict import codes
from pydicom.uid import (
    CTImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    EnhancedPETImageStorage,
    MediaStorageDirectoryStorage,
    MRImageStorage,
    NuclearMedicineImageStorage,
    ParametricMapStorage,
    PositronEmissionTomographyImageStorage,
    RTDoseStorage,
    SegmentationStorage,
    XRayAngiographicImageStorage,
)

from hc_assets.verdicts import Verdict, none_of, rate_at_least

# Type 1 of PS3.3 C.12.1 (SOP Common), C.7.2.1 (General Study), C.7.3.1 (General Series)
_ALWAYS = ("sop_class_uid", "sop_instance_uid")
_OF_A_SERIES = ("study_instance_uid", "series_instance_uid", "modality")
# C.7.6.3.1 (Image Pixel); floating point pixels (C.7.6.24) have no stored bits and no sign
_PIXELS = (
    *("samples_per_pixel", "photometric_interpretation", "rows", "columns"),
    *("bits_allocated", "bits_stored", "pixel_representation"),
)
_FLOAT_PIXELS = ("samples_per_pixel", "photometric_interpretation", "rows", "columns")
# C.7.6.2 (Image Plane) and C.7.4.1 (Frame of Reference)
_PLANE = ("frame_of_reference_uid", "pixel_spacing", "image_orientation", "image_position")
_RESCALED = ("rescale_slope", "rescale_intercept")

_BY_CLASS: Mapping[str, tuple[str, ...]] = {
    CTImageStorage: ("image_type", *_PLANE, *_RESCALED),  # C.8.2.1
    MRImageStorage: ("image_type", *_PLANE),  # C.8.3.1
    PositronEmissionTomographyImageStorage: ("image_type", *_PLANE, *_RESCALED),  # C.8.9.4
    EnhancedCTImageStorage: ("image_type", "frame_of_reference_uid"),  # C.8.15.2
    EnhancedMRImageStorage: ("image_type", "frame_of_reference_uid"),  # C.8.13.1
    EnhancedPETImageStorage: ("image_type", "frame_of_reference_uid"),  # C.8.22.3
    NuclearMedicineImageStorage: ("image_type",),  # C.8.4.9
    XRayAngiographicImageStorage: ("image_type",),  # C.8.7.1
    SegmentationStorage: ("image_type",),  # C.8.20.2
    RTDoseStorage: ("frame_of_reference_uid",),  # A.18.3
    # C.8.11.3 (DX Image) and C.8.11.4 (DX Detector)
    DigitalXRayImageStorageForPresentation: ("image_type", "imager_pixel_spacing"),
    DigitalXRayImageStorageForProcessing: ("image_type", "imager_pixel_spacing"),
    DigitalMammographyXRayImageStorageForPresentation: ("image_type", "imager_pixel_spacing"),
    DigitalMammographyXRayImageStorageForProcessing: ("image_type", "imager_pixel_spacing"),
}

REQUIRED_COLUMNS = sorted(
    {
        "has_pixels",
        *(*_ALWAYS, *_OF_A_SERIES, *_PIXELS, *_PLANE, *_RESCALED),
        *(name for names in _BY_CLASS.values() for name in names),
    }
)
"""Columns of the index that `required_attributes_present` looks at."""

# Of C.7.3.1.1.1 what CID 33 lacks: newer terms, and retired ones that archives hold
_MORE_MODALITIES = frozenset(
    (
        *("ANN", "RTINTENT", "RTRAD", "RTSEGANN", "XAPROTOCOL"),
        *("AS", "CD", "CF", "CP", "CS", "DD", "DF", "DM", "DS", "EC", "FA", "FS", "LP", "MA"),
        *("MS", "OPR", "ST", "VF"),
    )
)


def required_attributes_present(rows: Iterable[pa.RecordBatch]) -> Verdict:
    """Judge that each file has the attributes that the standard requires of its SOP class.

    Of an attribute that is of type 1 (PS3.5 7.4.1) in the class's modules, a column of the index
    must hold a value; in multi-frame objects one may be in functional groups.

    Args:
        rows: of the index, with `REQUIRED_COLUMNS`.

    Returns:
        A verdict whose value counts the files that lack any; `counts` says how many lack which.
    """
    offending = total = 0
    lacking: dict[str, int] = {}
    for batch in rows:
        table = pa.Table.from_batches([batch])
        kinds = table.group_by(["sop_class_uid", "has_pixels"]).aggregate([])
        for kind in kinds.to_pylist():
            of_kind = table.filter(
                pc.and_(
                    pc.equal(table["has_pixels"], kind["has_pixels"]),
                    pc.fill_null(pc.equal(table["sop_class_uid"], kind["sop_class_uid"]), False)
                    if kind["sop_class_uid"] is not None
                    else pc.is_null(table["sop_class_uid"]),
                )
            )
            total += of_kind.num_rows
            lacks = pa.array([False] * of_kind.num_rows)
            for name in _required(kind["sop_class_uid"], has_pixels=kind["has_pixels"]):
                missing = pc.is_null(of_kind[name])
                count = pc.sum(missing).as_py()
                if count:
                    lacking[f"without_{name}"] = lacking.get(f"without_{name}", 0) + count
                lacks = pc.or_(lacks, missing)
            offending += pc.sum(lacks).as_py() or 0
    verdict = none_of(offending, total, what="files that lack a required attribute")
    return replace(verdict, counts=verdict.counts | dict(sorted(lacking.items())))


def _required(sop_class: str | None, *, has_pixels: bool) -> tuple[str, ...]:
    if sop_class == MediaStorageDirectoryStorage:
        return _ALWAYS
    pixels = _FLOAT_PIXELS if sop_class == ParametricMapStorage else _PIXELS
    of_class = _BY_CLASS.get(sop_class or "", ()) if has_pixels else ()
    return (*_ALWAYS, *_OF_A_SERIES, *(pixels if has_pixels else ()), *of_class)


def identifiers_unique(
    rows: pa.Table, others: Iterable[pa.RecordBatch], same_bytes: int
) -> Verdict:
    """Judge that no SOPInstanceUID stands for files with different bytes.

    Args:
        rows: sop_instance_uid and file_sha256 of the files in question; null does not count.
        others: the same columns of the files that they are held against.
        same_bytes: how many files were not landed since their bytes were known: no fault.
    """
    uids = rows["sop_instance_uid"].combine_chunks().drop_null().unique()
    contents: dict[str, set[str]] = {}
    for table in (rows, *map(_as_table, others)):
        shared = table.filter(pc.is_in(table["sop_instance_uid"], value_set=uids))
        for uid, sha256 in zip(
            shared["sop_instance_uid"].to_pylist(), shared["file_sha256"].to_pylist(), strict=True
        ):
            contents.setdefault(uid, set()).add(sha256)
    conflicting = sum(len(each) > 1 for each in contents.values())
    what = "SOPInstanceUIDs that stand for files with different bytes"
    verdict = none_of(conflicting, len(contents), what=what)
    return replace(verdict, counts=verdict.counts | {"same_bytes": same_bytes})


def _as_table(batch: pa.RecordBatch) -> pa.Table:
    return pa.Table.from_batches([batch])


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
    asked = pc.filter(modalities, pc.invert(is_directory))
    known = pc.is_in(asked, value_set=pa.array(sorted(defined_modalities())))
    return none_of(
        len(asked) - (pc.sum(known).as_py() or 0),
        len(asked),
        what="files whose Modality is missing or no defined term",
    )


@cache
def defined_modalities() -> frozenset[str]:
    """Defined terms of Modality, retired ones included."""
    terms = codes.cid33
    return frozenset(getattr(terms, name).value for name in terms.dir()) | _MORE_MODALITIES


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
