"""Imaging as the rest of the house knows it: its files, its tables, and where the rest of it is.

Belongs here: the declaration only. Columns are in the rooms' schemas, bodies of assets in
`assets.py` and in those of `volumes/` and `training/`. Imports neither Dagster nor NumPy.
"""

from hc_assets.core.domain import Domain, Kind, Table
from hc_assets.imaging.settings import ImagingSettings

STUDIES_FOLDER = "imaging_studies"
"""Below the FHIR landing folder: where the ImagingStudies made of DICOM files are put."""

_PREAMBLE = 128
_INDEX = "hc_assets.imaging.schemas.index:TABLES"
_QUALITY = "hc_assets.imaging.schemas.quality:TABLES"
_SERIES = "hc_assets.imaging.schemas.series:TABLES"
_VOLUMES = "hc_assets.imaging.volumes.schemas:TABLES"
_TRAINING = "hc_assets.imaging.training.schemas:TABLES"


def _is_dicom(head: bytes) -> bool:
    """Whether a file begins as PS3.10 section 7.1 says."""
    return head[_PREAMBLE : _PREAMBLE + 4] == b"DICM"


DICOM_FILES = Kind("dicom", suffixes={".dcm": "application/dicom"}, looks_like=_is_dicom)

_TABLES = (
    Table(
        "imaging/dicom_index",
        _INDEX,
        row="One row per DICOM file, image or not: its identifiers, geometry and display "
        "attributes, and the header as DICOM JSON.",
        layer="raw",
        per="batch",
        kinds=frozenset({"dicom", "parquet"}),
    ),
    Table(
        "imaging/unreadable_files",
        _INDEX,
        row="One row per landed file whose header can't be read, or for which an error of ours was"
        " raised, with the reason.",
        layer="raw",
        per="batch",
        kinds=frozenset({"dicom", "parquet"}),
    ),
    Table(
        "imaging/quality_metrics",
        _QUALITY,
        row="One row per decoded frame: how good the image is, part by part, whether it "
        "passes the gate, and whether text is probably burned in.",
        layer="core",
        per="batch",
        kinds=frozenset({"dicom", "parquet"}),
    ),
    Table(
        "imaging/undecodable_frames",
        _INDEX,
        row="One row per frame whose pixels can't be decoded, with each decoder's own words; or"
        " for which an error of ours was raised.",
        layer="core",
        per="batch",
        kinds=frozenset({"dicom", "parquet"}),
    ),
    Table(
        "imaging/series_quality",
        _QUALITY,
        row="One row per series: how steady the quality is from slice to slice, and which "
        "slices stand out.",
        layer="core",
        per="batch",
        kinds=frozenset({"parquet"}),
    ),
    Table(
        "imaging/failed_arrays",
        _INDEX,
        row="One row per frame that passes the gate and became no array, with the reason.",
        layer="out",
        per="batch",
        kinds=frozenset({"dicom", "parquet"}),
    ),
    Table(
        "imaging/preprocessed_arrays",
        _INDEX,
        row="One row per frame that passes the gate: an array from 0 to 1 of its pipeline's"
        " fixed shape.",
        layer="out",
        per="batch",
        kinds=frozenset({"dicom", "numpy", "parquet"}),
    ),
    Table(
        "imaging/series",
        _SERIES,
        row="One row per series, over all batches: slices, spacing, gaps, duplicates, tilt,"
        " and how many instances were expected and found.",
        layer="core",
        per="all",
        kinds=frozenset({"dicom", "parquet"}),
    ),
    Table(
        "imaging/imaging_studies",
        _SERIES,
        row="One row per study, over all batches: its FHIR R4 ImagingStudy. What is new or "
        "changed is put into the FHIR landing folder.",
        layer="out",
        per="all",
        kinds=frozenset({"dicom", "fhir", "parquet"}),
    ),
    Table(
        "imaging/volume_slices",
        _VOLUMES,
        row="One row per slice of a volume: where it lies, what is wrong with it, and its voxels.",
        layer="core",
        per="all",
        kinds=frozenset({"dicom", "parquet"}),
    ),
    Table(
        "imaging/volumes",
        _VOLUMES,
        row="One row per volume of a series with its place in the patient, and one for "
        "frames that make none, with the verdict why; over all batches.",
        layer="core",
        per="all",
        kinds=frozenset({"dicom", "parquet"}),
    ),
    Table(
        "imaging/aligned_slices",
        _VOLUMES,
        row="One row per slice of an aligned volume: its voxels.",
        layer="out",
        per="all",
        kinds=frozenset({"parquet"}),
    ),
    Table(
        "imaging/aligned_volumes",
        _VOLUMES,
        row="One row per volume on an isotropic grid: the MR sequences of a study on one, "
        "laid on each other and scaled to 0 to 1; other volumes by themselves.",
        layer="out",
        per="all",
        kinds=frozenset({"parquet"}),
    ),
    Table(
        "imaging/nifti_exports",
        _VOLUMES,
        row="One row per file in exports/nifti: the NIfTI of a volume, of an aligned volume or of"
        " several as one 4-D image, or the b-values or directions of one.",
        layer="out",
        per="all",
        kinds=frozenset({"nifti", "parquet"}),
    ),
    Table(
        "imaging/training_set",
        _TRAINING,
        row="One row per sample of the training set in exports/training_set, over all "
        "batches: its split, labels, and where its pixels are.",
        layer="out",
        per="all",
        kinds=frozenset({"numpy", "parquet", "pytorch"}),
    ),
    Table(
        "imaging/quality_report",
        _QUALITY,
        row="One row per group of frames (all, by modality, scanner and batch): how their "
        "scores lie, and what a threshold would keep. As a page it is in the reports "
        "folder.",
        layer="out",
        per="all",
        kinds=frozenset({"html", "parquet"}),
    ),
)

DOMAIN = Domain(
    name="imaging",
    kinds=(DICOM_FILES,),
    tables=_TABLES,
    settings=ImagingSettings,
    wiring=(
        "hc_assets.imaging.assets",
        "hc_assets.imaging.checks",
        "hc_assets.imaging.volumes.assets",
        "hc_assets.imaging.volumes.checks",
        "hc_assets.imaging.training.assets",
        "hc_assets.imaging.training.checks",
    ),
    commands="hc_assets.imaging.commands",
    sample="hc_assets.sample_data.write:write_and_describe",
    exports="hc_assets.imaging.exported_files:exports",
    reads=("fhir/current_resources",),
    feeds={"fhir": STUDIES_FOLDER},
)
