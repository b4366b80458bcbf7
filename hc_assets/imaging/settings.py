"""Imaging's section of the settings.

Belongs here: every number or folder of imaging's stages that a user may want to change.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from hc_assets.core.settings import CoreSettings
from hc_assets.imaging.preprocessing.parameters import Preprocessing
from hc_assets.imaging.quality.scale import SCALES, QualityScale, merged
from hc_assets.imaging.training.splits import DEFAULT_SPLITS, SelectionError, check_splits


class ImagingSettings(CoreSettings):
    """What the imaging assets and commands take from the environment (prefix `HC_`)."""

    dicom_patient_system: str = Field(
        default="",
        description="Identifier system of PatientIDs whose DICOM header names no issuer: makes the"
        " subject of ImagingStudy resources a business identifier of FHIR Patients.",
    )
    imaging_studies_to_fhir: bool = Field(
        default=True,
        description="Whether ImagingStudy resources made from DICOM go to the FHIR assets.",
    )
    quality_gate: float = Field(
        default=0.5, ge=0, le=1, description="overall_quality from which a frame passes."
    )
    quality_training_gate: float = Field(
        default=0.7, ge=0, le=1, description="overall_quality that a training set asks for."
    )
    quality_pictures: bool = Field(
        default=True,
        description="Whether small pictures of frames are shown in Dagster and in the quality"
        " report; text and faces are blurred.",
    )
    quality_scales: dict[str, QualityScale] = Field(
        default_factory=lambda: dict(SCALES),
        description="What counts as good by modality and metric, as JSON; what it names replaces"
        " what the table in imaging/quality/scale.py has, `other` stands for modalities without"
        " scales of their own.",
    )
    preprocessing: Preprocessing = Field(
        default=Preprocessing(),
        description="How frames become arrays, as a JSON object: `aspect`, `dtype`, and an object"
        " of parameters for each pipeline; what is left out keeps its default.",
    )
    quality_drift_threshold: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="Most that a scanner's median overall_quality may fall below what it was.",
    )
    quality_outlier_threshold: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Most of a series' slices that may stand out from their neighbours.",
    )
    quality_pass_rate_threshold: float = Field(
        default=0.8, ge=0, le=1, description="Share of scored frames that must pass the gate."
    )
    decodable_rate_threshold: float = Field(
        default=0.95, ge=0, le=1, description="Share of a batch's frames that must be decodable."
    )
    patient_match_threshold: float = Field(
        default=1.0, ge=0, le=1, description="Share of PatientIDs that FHIR Patients must have."
    )

    # Volumes
    volume_bytes: int = Field(
        default=2 * 1024**3, ge=1, description="Bytes of the slices of one volume, at most."
    )
    volume_spacing_mm: float = Field(
        default=1.0, ge=0.2, le=10, description="Side of the cubic voxels of aligned volumes."
    )
    volume_bias_correction: bool = Field(
        default=True, description="Whether aligned MR volumes are freed of the coils' shading (N4)."
    )
    volume_aligned_per_series: int = Field(
        default=8,
        ge=1,
        description="Volumes of one MR series (echoes, b-values, times) that are brought onto the"
        " study's grid, at most; of the others, the transform is recorded.",
    )

    nifti_4d: bool = Field(
        default=True,
        description="Whether volumes of a series that share a grid (times, directions of diffusion)"
        " are exported as one 4-D NIfTI file, too: tools for fMRI and diffusion take no other.",
    )
    volume_aligned_series: int = Field(
        default=64,
        ge=1,
        description="Series of one study whose volumes are aligned, at most: MR first, the finest"
        " in front; the others have a row that says so.",
    )

    # Training set: what it asks of a frame is here and in quality_training_gate
    training_modalities: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Modalities in a training set, separated by commas; all where none."
    )
    training_body_parts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Values of BodyPartExamined in it, separated by commas; all where none.",
    )
    training_maximum: int | None = Field(
        default=None, ge=1, description="Samples in it, at most; drawn by their hash."
    )
    training_burned_in: bool = Field(
        default=False, description="Whether frames with probable burned-in text may be in it."
    )
    training_splits: dict[str, float] = Field(
        default_factory=lambda: dict(DEFAULT_SPLITS),
        description="Share of the patients by split, as a JSON object; they add up to 1.",
    )
    training_split_seed: str = Field(
        default="", description="Another text here draws other patients for each split."
    )
    training_salt: str = Field(
        default="",
        repr=False,
        description="Secret that pseudonyms are made with; where none, one is made at random and"
        " kept in <data>/secrets.",
    )
    training_labels: Path | None = Field(
        default=None,
        description="CSV file of labels: a column label, and sop_instance_uid, series_instance_uid,"
        " study_instance_uid, accession_number or patient_id.",
    )
    training_label_codes: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="FHIR codes by label, in place of a file: a JSON object of lists of"
        " `system|code`.",
    )
    training_label_scope: Literal["patient", "study"] = Field(
        default="patient",
        description="What a FHIR code labels: all studies of the `patient`, or the `study` that the"
        " report, finding or condition refers to.",
    )
    training_balance_threshold: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Least that the rarest class may have of the samples of the commonest, in each"
        " split.",
    )

    # Receiving
    receive_host: str = Field(
        default="127.0.0.1", description="Address that `receive` listens on; loopback by default."
    )
    receive_port: int = Field(default=11112, ge=0, le=65535, description="Its TCP port.")
    receive_ae_title: str = Field(
        default="HC_ASSETS",
        min_length=1,
        max_length=16,
        description="AE title that peers must call it by.",
    )
    receive_allowed: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="AE titles of the peers that may send, separated by commas; all others are"
        " rejected.",
    )
    receive_tls_certificate: Path | None = Field(
        default=None,
        description="PEM file of the certificate that `receive` shows; with it, TLS 1.2 or 1.3 is"
        " required.",
    )
    receive_tls_key: Path | None = Field(
        default=None, description="PEM file of its private key, without a password."
    )
    receive_tls_peers: Path | None = Field(
        default=None,
        description="PEM file of the certificates that those of peers must be issued by, or be;"
        " without it, peers need none.",
    )
    receive_associations: int = Field(default=10, ge=1, description="Associations at once.")
    receive_object_bytes: int = Field(
        default=4 * 1024**3, ge=1, description="Bytes of one received object, at most."
    )
    receive_free_bytes: int = Field(
        default=1024**3, ge=0, description="Bytes of disk below which objects are refused."
    )
    receive_idle_seconds: float = Field(
        default=5.0, ge=0, description="Quiet seconds after which what came is landed."
    )
    receive_timeout_seconds: float = Field(
        default=30.0, gt=0, description="Seconds that a peer may be silent for."
    )

    @field_validator("quality_scales", mode="before")
    @classmethod
    def _merge_scales(cls, value: object) -> object:
        return merged(value) if isinstance(value, dict) else value

    @field_validator("training_splits")
    @classmethod
    def _check_splits(cls, value: dict[str, float]) -> dict[str, float]:
        try:
            check_splits(value)
        except SelectionError as error:
            raise ValueError(str(error)) from error
        return value

    @field_validator("receive_allowed", "training_modalities", "training_body_parts", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(title.strip() for title in value.split(",") if title.strip())
        return value
