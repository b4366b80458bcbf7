"""One settings class: folders, thresholds, limits. Read when built, never at import.

Belongs here: every number or folder that a user may want to change. What a threshold means is said
beside the function that applies it.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from hc_assets.imaging.preprocessing.parameters import Preprocessing
from hc_assets.imaging.quality.scale import SCALES, QualityScale, merged
from hc_assets.imaging.training.splits import DEFAULT_SPLITS, check_splits


class Settings(BaseSettings):
    """Settings of one deployment, from the environment (prefix `HC_`)."""

    model_config = SettingsConfigDict(env_prefix="HC_", extra="ignore", frozen=True)

    data_dir: Path = Field(
        default=Path("data"), description="Folder of landing/, batches/, lake/, exports/."
    )

    # Landing
    batch_files: int = Field(default=10_000, ge=1, description="Files in one batch, at most.")
    batch_bytes: int = Field(default=2 * 1024**3, ge=1, description="Bytes in one batch, at most.")
    archive_files: int = Field(
        default=1_000_000, ge=1, description="Members that an archive may hold."
    )
    archive_bytes: int = Field(
        default=64 * 1024**3, ge=1, description="Bytes that an archive may unpack to."
    )
    archive_ratio: int = Field(
        default=200,
        ge=1,
        description="How many times its own size an archive may unpack to; up to 1 GiB it may.",
    )
    landing_folders: dict[str, str] = Field(
        default={},
        description="Landing folder by kind, as a JSON object: a path or an fsspec URL; in place of"
        " <data>/landing/<kind>.",
    )
    landing_settle_seconds: float = Field(
        default=10, ge=0, description="How long a file must not have changed to be landed."
    )
    landing_seconds: float = Field(
        default=4, gt=0, description="Time that one look at a landing folder may land files for."
    )

    # Automation
    automation: bool = Field(
        default=True,
        description="Whether sensors and schedules run from the start; the UI switches each.",
    )
    sensor_seconds: int = Field(
        default=30, ge=1, description="Least time between two looks at a landing folder."
    )
    sensor_batches: int = Field(
        default=8, ge=1, description="Runs that one look may start; the next starts the others."
    )
    quiet_cron: str = Field(
        default="*/2 * * * *",
        description="What is made of all batches is made when a tick of this passes without a new"
        " batch.",
    )
    latest_cron: str = Field(
        default="0 * * * *",
        description="When it is made at the latest, should batches never cease to come.",
    )
    report_cron: str = Field(default="0 6 * * *", description="When the check report is written.")
    freshness_cron: str = Field(
        default="30 * * * *", description="When batches are looked for that are left behind."
    )
    freshness_hours: float = Field(
        default=6, gt=0, description="Within which a batch must be finished and taken in."
    )
    alert_urls: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        repr=False,
        description="Whom to tell of a failed run: Apprise URLs (mailtos://, slack:// and others),"
        " separated by spaces.",
    )
    error_texts: bool = Field(
        default=False,
        description="Whether errors of libraries keep their text in Dagster's record. It helps to"
        " find a fault, and may quote what patients' files hold.",
    )
    ui_url: str = Field(
        default="http://127.0.0.1:3000", description="Dagster's UI, for links in reports."
    )
    report_url: str = Field(
        default="",
        description="URL under which <data>/reports is served, for links from Dagster's UI to the"
        " check report; where empty, the UI shows its path.",
    )

    # Compute
    workers: int = Field(
        default=0, ge=0, description="Worker processes; 0 means one per available core."
    )
    chunk_bytes: int = Field(
        default=16 * 1024**2, ge=1, description="Bytes of input that one unit of work takes."
    )

    # FHIR
    fhir_source: str = Field(
        default="urn:hc-assets:ingest", description="meta.source of resources that name none."
    )
    fhir_extension_base: str = Field(
        default="https://hc-assets.org/fhir/StructureDefinition",
        description="Base URL of the extensions that enrichment adds.",
    )
    fhir_expected_elements: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="Elements that completeness is judged by, as a JSON object of lists by type:"
        " each type named here replaces that of the built-in table. `value[x]` is any of a choice,"
        " `a|b` one of two.",
    )
    quarantine_rate_threshold: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Share of a batch's entries that one rule may send to quarantine.",
    )
    quality_score_threshold: float = Field(
        default=0.8, ge=0, le=1, description="Mean quality score that a batch must reach."
    )
    fhir_rules_as_errors: frozenset[str] = Field(
        default=frozenset(),
        description="Business rules whose breach quarantines a resource, as a JSON list; that of"
        " the others is a warning.",
    )
    fhir_profiles: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(),
        description="Files and folders of StructureDefinitions that resources are held against"
        " where they name them, separated as in PATH.",
    )
    export_split_bytes: int = Field(
        default=1024**3, ge=1, description="NDJSON bytes from which a file of an export is full."
    )
    export_compression: Literal["none", "gzip", "zstd"] = Field(
        default="none", description="How the files of an export are packed: none, gzip or zstd."
    )
    export_base_url: str = Field(
        default="", description="URL of the export folder, put before the names in its manifest."
    )
    validation_rate_threshold: float = Field(
        default=0.95, ge=0, le=1, description="Share of a batch's entries that must be valid."
    )

    # Imaging
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
        " study's grid, at most; of the others, the transform is told.",
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
        " report, finding or condition speaks of.",
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

    @property
    def archive_limits(self) -> tuple[int, int, int]:
        """Limits of archives: members, bytes, ratio; in the order of `ArchiveLimits`."""
        return self.archive_files, self.archive_bytes, self.archive_ratio

    @field_validator("quality_scales", mode="before")
    @classmethod
    def _merge_scales(cls, value: object) -> object:
        return merged(value) if isinstance(value, dict) else value

    @field_validator("training_splits")
    @classmethod
    def _check_splits(cls, value: dict[str, float]) -> dict[str, float]:
        check_splits(value)
        return value

    @field_validator("receive_allowed", "training_modalities", "training_body_parts", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(title.strip() for title in value.split(",") if title.strip())
        return value

    @field_validator("fhir_profiles", mode="before")
    @classmethod
    def _split_paths(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part for part in value.split(os.pathsep) if part)
        return value

    @field_validator("alert_urls", mode="before")
    @classmethod
    def _split_urls(cls, value: object) -> object:
        return tuple(value.split()) if isinstance(value, str) else value
