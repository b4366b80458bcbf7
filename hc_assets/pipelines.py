"""Kinds of landing: which tables are made of each batch, and which of all batches.

Belongs here: one declaration for each kind. Everything else of a kind follows from it: the choice
of `--kind`, the sensor, the partitions, the jobs and the freshness checks. How its tables are made
is in the domain's `orchestration/specs.py`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pipeline:
    """The way of one kind of data: from batches to what is made of all of them.

    Attributes:
        kind: of the landed files.
        batch_tables: assets with a partition per batch, `<group>/<asset>`, in order.
        publish_tables: assets over all batches.
    """

    kind: str
    batch_tables: tuple[str, ...]
    publish_tables: tuple[str, ...] = ()

    @property
    def partitions_name(self) -> str:
        """Name of the dynamic partitions that its batches are."""
        return f"{self.kind}_batches"

    @property
    def sensor(self) -> str:
        """Name of what looks at the landing folder and runs the job for each new batch."""
        return f"new_{self.kind}_files"

    @property
    def ingest_job(self) -> str:
        """Name of the job over the tables of one batch."""
        return f"ingest_{self.kind}"

    @property
    def check_job(self) -> str:
        """Name of the job that only checks one batch."""
        return f"check_{self.kind}_batch"

    @property
    def publish_job(self) -> str:
        """Name of the job over all batches; "" where nothing is made of them."""
        return f"publish_{self.kind}" if self.publish_tables else ""


_DECLARED = (
    Pipeline(
        kind="fhir",
        batch_tables=(
            "fhir/raw_bundles",
            "fhir/validated_resources",
            "fhir/quarantined_resources",
            "fhir/enriched_resources",
            "fhir/provenance_resources",
        ),
        publish_tables=(
            "fhir/current_resources",
            "fhir/resource_history",
            "fhir/ndjson_exports",
            "fhir/pipeline_metrics",
        ),
    ),
    Pipeline(
        kind="dicom",
        batch_tables=(
            "imaging/dicom_index",
            "imaging/unreadable_files",
            "imaging/quality_metrics",
            "imaging/undecodable_frames",
            "imaging/series_quality",
            "imaging/preprocessed_arrays",
        ),
        publish_tables=(
            "imaging/series",
            "imaging/imaging_studies",
            "imaging/volume_slices",
            "imaging/volumes",
            "imaging/aligned_slices",
            "imaging/aligned_volumes",
            "imaging/nifti_exports",
            "imaging/training_set",
            "imaging/quality_report",
        ),
    ),
)
PIPELINES = {pipeline.kind: pipeline for pipeline in _DECLARED}
