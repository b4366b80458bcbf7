"""The imaging assets, in the order of the data: index, quality, arrays.

Belongs here: wiring only. What happens to a file is in the rows module of each stage, and in
the modules that it names.
"""

import base64
from collections.abc import Iterator, Mapping
from functools import partial

import dagster as dg
import pyarrow as pa

from hc_assets.core.decorations import decorations
from hc_assets.core.fence import row_seconds
from hc_assets.imaging.headers.columns import is_image_class
from hc_assets.imaging.headers.dataset_encoding import inflated_limits
from hc_assets.imaging.headers.file_work import work_of
from hc_assets.imaging.headers.workers import write_index
from hc_assets.imaging.preprocessing.comparison import Comparison, drawn
from hc_assets.imaging.preprocessing.planning import ARRAYS, FAILED_ARRAYS, plan_arrays
from hc_assets.imaging.preprocessing.workers import write_arrays
from hc_assets.imaging.quality.gates import Rules
from hc_assets.imaging.quality.ranks import add_percentiles
from hc_assets.imaging.quality.workers import write_metrics
from hc_assets.imaging.quality_report.page import as_html
from hc_assets.imaging.quality_report.pictures import batch_pictures
from hc_assets.imaging.quality_report.report import gather
from hc_assets.imaging.quality_report.statistics import report_row
from hc_assets.imaging.schemas.quality import QUALITY_REPORT, SERIES_QUALITY
from hc_assets.imaging.schemas.series import IMAGING_STUDIES, SERIES
from hc_assets.imaging.series.imaging_studies import (
    HANDED_OVER,
    delete_from_fhir,
    failed_row,
    hand_to_fhir,
    handed_over,
    study_rows,
)
from hc_assets.imaging.series.refreshing import refreshed
from hc_assets.imaging.series.series_quality import INDEX_COLUMNS, METRIC_COLUMNS, series_rows
from hc_assets.imaging.series.table import failed_row as failed_series
from hc_assets.imaging.series.table import row_or_failure
from hc_assets.imaging.settings import ImagingSettings
from hc_assets.lake.atomic import write_bytes
from hc_assets.lake.exclusions import undone
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import LandedFile, read_manifest
from hc_assets.lake.parts import PartWriter
from hc_assets.lake.tables import LakeTable
from hc_assets.orchestration.io_manager import Content
from hc_assets.orchestration.progress import to_log
from hc_assets.orchestration.specs import (
    code_version,
    fan_out,
    hand_over,
    table_asset,
    tables_asset,
)


def _key(name: str) -> dg.AssetKey:
    return dg.AssetKey(["imaging", name])


@tables_asset(
    "dicom_index_and_unreadable_files",
    ["imaging/dicom_index", "imaging/unreadable_files"],
)
def dicom_index_and_unreadable_files(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[ImagingSettings],
    layout: dg.ResourceParam[Layout],
) -> Iterator[dg.Output[Mapping[str, Content]]]:
    """Read the header of every landed file."""
    index, unreadable = {}, {}
    for batch in context.partition_keys:
        manifest = read_manifest(layout, "dicom", batch)
        work = work_of(str(layout.data_dir), batch, manifest.files, settings.chunk_bytes)
        done = fan_out(
            partial(write_index, inflated_limits=inflated_limits(settings)),
            work,
            workers=settings.workers,
            row_seconds=settings.row_seconds,
            step="imaging/dicom_index",
        )
        inputs = {"manifest": manifest.content_sha256}
        index[batch] = Content([part for parts, _ in done for part in parts], inputs)
        unreadable[batch] = Content([part for _, parts in done for part in parts], inputs)
    yield from hand_over(
        context, layout, {"imaging/dicom_index": index, "imaging/unreadable_files": unreadable}
    )


@tables_asset(
    "quality_metrics_and_undecodable_frames",
    ["imaging/quality_metrics", "imaging/undecodable_frames"],
    ins={"index": dg.AssetIn(_key("dicom_index"))},
)
def quality_metrics_and_undecodable_frames(
    context: dg.AssetExecutionContext,
    index: LakeTable,
    settings: dg.ResourceParam[ImagingSettings],
    layout: dg.ResourceParam[Layout],
) -> Iterator[dg.Output[Mapping[str, Content]]]:
    """Decode and measure every frame of the files that are images."""
    rules = Rules(
        settings.quality_gate,
        settings.quality_training_gate,
        settings.quality_scales,
        not settings.training_burned_in,
    )
    metrics, undecodable = {}, {}
    for batch in context.partition_keys:
        of_batch = index.of(batch)
        # An image without pixels has one frame that can't be decoded
        description = ["rows", "columns", "bits_allocated"]
        images = {
            row["source_file"]
            for rows in of_batch.batches(["source_file", "has_pixels", "sop_class", *description])
            for row in rows.to_pylist()
            if row["has_pixels"]
            or is_image_class(row["sop_class"])
            or all(row[name] is not None for name in description)
        }
        files = [f for f in _landed(layout, batch) if f.source_file in images]
        work = work_of(str(layout.data_dir), batch, files, settings.chunk_bytes)
        score = partial(write_metrics, rules=rules)
        done = fan_out(
            score,
            work,
            workers=settings.workers,
            row_seconds=settings.row_seconds,
            step="imaging/quality_metrics",
        )
        inputs = {**of_batch.digests(), "rules": rules.digest()}
        folder = layout.partition("imaging/quality_metrics", batch)
        ranked = add_percentiles(
            folder,
            [part for parts, _ in done for part in parts],
            excludes_burned_in_text=not settings.training_burned_in,
        )
        metrics[batch] = Content(ranked, inputs)
        if settings.quality_pictures and _key("quality_metrics") in context.selected_asset_keys:
            pictures = decorations(partial(batch_pictures, layout, folder, ranked, rules), str)
            metadata = {name: dg.MetadataValue.md(text) for name, text in pictures.items()}
            context.add_asset_metadata(metadata, _key("quality_metrics"), partition_key=batch)
        undecodable[batch] = Content([part for _, parts in done for part in parts], inputs)
    yield from hand_over(
        context,
        layout,
        {"imaging/quality_metrics": metrics, "imaging/undecodable_frames": undecodable},
    )


def _landed(layout: Layout, batch: str) -> list[LandedFile]:
    return read_manifest(layout, "dicom", batch).files


@table_asset(
    "imaging/series_quality",
    ins={"metrics": dg.AssetIn(_key("quality_metrics")), "index": dg.AssetIn(_key("dicom_index"))},
)
def series_quality(
    context: dg.AssetExecutionContext,
    metrics: LakeTable,
    index: LakeTable,
    settings: dg.ResourceParam[ImagingSettings],
    layout: dg.ResourceParam[Layout],
) -> dict[str, Content]:
    """Compare the slices of every series with their neighbours."""
    contents = {}
    for batch in context.partition_keys:
        of_batch, files = metrics.of(batch), index.of(batch)
        folder = layout.partition("imaging/series_quality", batch)
        with row_seconds(settings.row_seconds), PartWriter(folder, SERIES_QUALITY) as writer:
            for rows in series_rows(
                batch, of_batch.to_table(METRIC_COLUMNS), files.to_table(INDEX_COLUMNS)
            ):
                writer.write(rows)
        contents[batch] = Content(writer.parts, {**of_batch.digests(), **files.digests()})
    return contents


@tables_asset(
    "preprocessed_and_failed_arrays",
    [FAILED_ARRAYS, ARRAYS],
    ins={"metrics": dg.AssetIn(_key("quality_metrics"))},
)
def preprocessed_and_failed_arrays(
    context: dg.AssetExecutionContext,
    metrics: LakeTable,
    settings: dg.ResourceParam[ImagingSettings],
    layout: dg.ResourceParam[Layout],
) -> Iterator[dg.Output[Mapping[str, Content]]]:
    """Bring every frame that passes the gate into the shape that training wants.

    Arrays that were made of the same frames in the same way stay as they are.
    """
    contents, failed = {}, {}
    preprocessing = settings.preprocessing
    kept = made = 0
    comparisons: dict[str, Comparison] = {}
    for batch in context.partition_keys:
        of_batch = metrics.of(batch)
        landed = _landed(layout, batch)
        plan = plan_arrays(
            layout,
            batch,
            landed,
            of_batch,
            preprocessing=preprocessing,
            chunk_bytes=settings.chunk_bytes,
        )
        make = partial(write_arrays, preprocessing=preprocessing)
        done = fan_out(
            make,
            plan.work,
            workers=settings.workers,
            row_seconds=settings.row_seconds,
            step=ARRAYS,
        )
        contents[batch] = Content(plan.parts_with(done), of_batch.digests())
        failed[batch] = Content([part for each in done for part in each.failed], of_batch.digests())
        kept += plan.kept_rows()
        for arrays in done:
            made += sum(part.rows for parts in arrays.parts.values() for part in parts)
            comparisons = arrays.comparisons | comparisons
    if _key("preprocessed_arrays") in context.selected_asset_keys:
        pictures = decorations(partial(_compared, comparisons), dg.MetadataValue.text)
        context.add_output_metadata(
            {"rebuilt": made, "kept": kept, **pictures}, output_name="preprocessed_arrays"
        )
    yield from hand_over(context, layout, {FAILED_ARRAYS: failed, ARRAYS: contents})


def _compared(comparisons: Mapping[str, Comparison]) -> dict[str, dg.MetadataValue]:
    return {
        f"before_and_after_{name}": _picture(name, comparisons[name])
        for name in sorted(comparisons)
    }


def _picture(name: str, comparison: Comparison) -> dg.MetadataValue:
    encoded = base64.b64encode(drawn(comparison)).decode()
    return dg.MetadataValue.md(f"![{name}: before, after](data:image/png;base64,{encoded})")


@table_asset(
    "imaging/series",
    ins={"index": dg.AssetIn(_key("dicom_index"))},
)
def series(
    context: dg.AssetExecutionContext,
    index: LakeTable,
    settings: dg.ResourceParam[ImagingSettings],
    layout: dg.ResourceParam[Layout],
) -> Content:
    """Describe every series; those of studies without new files are taken over."""
    made = refreshed(
        layout,
        "imaging/series",
        SERIES,
        index,
        lambda groups: map(row_or_failure, groups),
        sorted_by=("study_instance_uid", "series_instance_uid"),
        code_version=code_version("imaging/series"),
        options={},
        failed=failed_series,
        reasons="warnings",
        seconds=settings.row_seconds,
        listener=to_log(context),
    )
    context.add_output_metadata({"rebuilt": made.rebuilt})
    return Content(made.parts, made.inputs)


@table_asset(
    "imaging/imaging_studies",
    ins={"index": dg.AssetIn(_key("dicom_index"))},
)
def imaging_studies(
    context: dg.AssetExecutionContext,
    index: LakeTable,
    settings: dg.ResourceParam[ImagingSettings],
    layout: dg.ResourceParam[Layout],
) -> Content:
    """Make an ImagingStudy of every study; hand over to FHIR those that are new or changed."""
    table = "imaging/imaging_studies"
    known = handed_over(layout)
    made = refreshed(
        layout,
        table,
        IMAGING_STUDIES,
        index,
        lambda groups: study_rows(groups, settings.dicom_patient_system),
        sorted_by=("study_instance_uid",),
        code_version=code_version(table),
        options={"patient_system": settings.dicom_patient_system},
        failed=lambda row, error: failed_row(row["study_instance_uid"], error),
        reasons="reason",
        seconds=settings.row_seconds,
        listener=to_log(context),
    )
    # Before the commit: after a kill in between, the next run puts the same file there again
    count, deleted, inputs = 0, 0, dict(made.inputs)
    if settings.imaging_studies_to_fhir:
        paths = [layout.partition(table, None) / part.name for part in made.parts]
        landing, again = layout.landing("fhir"), undone(layout, "dicom")
        _, count = hand_to_fhir(landing, paths, known, undone=again)
        deleted = delete_from_fhir(landing, paths, known, undone=again)
        inputs[HANDED_OVER] = str(True)
    context.add_output_metadata(
        {"rebuilt": made.rebuilt, "handed_to_fhir": count, "deleted_from_fhir": deleted}
    )
    return Content(made.parts, inputs)


@table_asset(
    "imaging/quality_report",
    ins={"metrics": dg.AssetIn(_key("quality_metrics"))},
)
def quality_report(
    context: dg.AssetExecutionContext,
    metrics: LakeTable,
    settings: dg.ResourceParam[ImagingSettings],
    layout: dg.ResourceParam[Layout],
) -> Content:
    """Count the scores of all frames, and write the page."""
    gates = {"gate": settings.quality_gate, "training_gate": settings.quality_training_gate}
    report = gather(layout, metrics, **gates, pictures=settings.quality_pictures)
    page = layout.reports() / "quality.html"
    write_bytes(page, as_html(report).encode())
    scored = report.all_frames().scored
    context.add_output_metadata({"page": dg.MetadataValue.path(str(page)), "scored_frames": scored})
    rows = [report_row(group, of_group) for group, of_group in report.groups.items()]
    return Content(pa.Table.from_pylist(rows, QUALITY_REPORT), metrics.digests())


ASSETS = [
    dicom_index_and_unreadable_files,
    quality_metrics_and_undecodable_frames,
    series_quality,
    preprocessed_and_failed_arrays,
    series,
    imaging_studies,
    quality_report,
]
