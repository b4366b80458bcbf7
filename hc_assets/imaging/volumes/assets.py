"""The volume assets, in the order of the data: volumes with their slices, aligned ones, exports.

Belongs here: wiring only. What happens to a series is in `workers.py` and the modules it names.
"""

import base64
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from heapq import merge
from itertools import chain, islice
from typing import TypeVar

import dagster as dg
import pyarrow as pa
from loky import cpu_count
from upath import UPath

from hc_assets.core.compute import executor, in_order
from hc_assets.core.fence import row_seconds
from hc_assets.core.progress import Listener, reported, short_hash
from hc_assets.imaging.schemas.nifti import NIFTI_EXPORTS
from hc_assets.imaging.series.refreshing import failed_studies
from hc_assets.imaging.settings import ImagingSettings
from hc_assets.imaging.volumes.exports import (
    ExportedFile,
    exported,
    exported_series,
    remove_others,
)
from hc_assets.imaging.volumes.intake import intake, merged
from hc_assets.imaging.volumes.rows import Row
from hc_assets.imaging.volumes.schemas import ALIGNED_VOLUMES, VOLUMES
from hc_assets.imaging.volumes.series_work import work_of
from hc_assets.imaging.volumes.stored_volumes import StoredVolumes, part_number, rows_of
from hc_assets.imaging.volumes.study_work import Before, StudyWork, inputs_of, studies_of
from hc_assets.imaging.volumes.workers import (
    ALIGNED_SLICES_TABLE,
    SLICES_TABLE,
    MadeVolumes,
    align_study,
    make_volumes,
)
from hc_assets.lake.incremental import compare
from hc_assets.lake.layout import Layout
from hc_assets.lake.locks import exclusive
from hc_assets.lake.parts import Part, PartWriter, read_commit
from hc_assets.lake.tables import LakeTable, read_partition
from hc_assets.orchestration.io_manager import Content, commit_content, describe_commits
from hc_assets.orchestration.progress import to_log
from hc_assets.orchestration.specs import code_version, table_asset, tables_asset

_VOLUMES = "imaging/volumes"
_ALIGNED = "imaging/aligned_volumes"
_EXPORTS = "imaging/nifti_exports"
_Work = TypeVar("_Work")
_ROWS = 500
_IN_FLIGHT = 4


def _key(name: str) -> dg.AssetKey:
    return dg.AssetKey(["imaging", name])


@tables_asset(
    "volumes_and_slices",
    [SLICES_TABLE, _VOLUMES],
    ins={"index": dg.AssetIn(_key("dicom_index")), "metrics": dg.AssetIn(_key("quality_metrics"))},
)
def volumes_and_slices(
    context: dg.AssetExecutionContext,
    index: LakeTable,
    metrics: LakeTable,
    settings: dg.ResourceParam[ImagingSettings],
    layout: dg.ResourceParam[Layout],
) -> Iterator[dg.Output[Content]]:
    """Make the volumes of every series; those of studies without new files are kept."""
    taken = intake(
        layout,
        _VOLUMES,
        index,
        metrics,
        parameters=f"limit {settings.volume_bytes}",
        code_version=code_version(_VOLUMES),
    )
    work = work_of(
        str(layout.data_dir),
        [str(path) for path in taken.index.parts()],
        [str(path) for path in taken.metrics.parts()],
        changed=taken.added,
        studies=taken.again,
        limit=settings.volume_bytes,
    )
    done = _Done("series_instance_uid", _VOLUMES, "series", to_log(context))
    rows: Iterator[Row] = done.rows_of(make_volumes, work, settings)
    if taken.added is not None:
        rows = merged(layout, _VOLUMES, rows, taken.added, taken.again)
    with PartWriter(layout.partition(_VOLUMES, None), VOLUMES) as writer:
        while group := list(islice(rows, _ROWS)):
            writer.write(pa.RecordBatch.from_pylist(group, VOLUMES))
    before = read_commit(layout.partition(SLICES_TABLE, None)) if taken.added is not None else None
    kept = [part for part in before.parts if part.number not in done.numbers] if before else []
    slices = sorted([*done.parts, *kept], key=lambda part: part.name)
    # The volumes last: their commit is what the next run goes by, so a kill in between loses none
    contents = {
        SLICES_TABLE: Content(slices, taken.inputs),
        _VOLUMES: Content(writer.parts, taken.inputs),
    }
    yield from _hand_over(context, layout, contents, {_VOLUMES: done.metadata()})


@tables_asset(
    "aligned_volumes_and_slices",
    [ALIGNED_SLICES_TABLE, _ALIGNED],
    ins={"volumes": dg.AssetIn(_key("volumes")), "slices": dg.AssetIn(_key("volume_slices"))},
)
def aligned_volumes_and_slices(
    context: dg.AssetExecutionContext,
    volumes: LakeTable,
    slices: LakeTable,
    settings: dg.ResourceParam[ImagingSettings],
    layout: dg.ResourceParam[Layout],
) -> Iterator[dg.Output[Content]]:
    """Align the volumes of every study; those of studies with the same volumes are kept."""
    spacing, bias = settings.volume_spacing_mm, settings.volume_bias_correction
    per_series, most_series = settings.volume_aligned_per_series, settings.volume_aligned_series
    parameters = f"{code_version(_ALIGNED)} {spacing} {bias} {per_series} {most_series}"
    stored = StoredVolumes.of(slices, "volume_id")
    digests = {study: inputs_of(rows, parameters) for study, rows in studies_of(volumes)}
    known = _aligned_before(layout)
    kept = compare(known, digests).unchanged
    before = _changed_studies(layout, known.keys() & digests.keys() - kept, parameters)

    def work() -> Iterator[StudyWork]:
        for study, rows in studies_of(volumes):
            if study in kept:
                continue
            numbers = {part_number(row["series_instance_uid"]) for row in rows}
            own = stored.only(*numbers)
            digest = digests[study]
            yield StudyWork(
                str(layout.data_dir),
                tuple(rows),
                own,
                inputs_sha256=digest,
                spacing_mm=spacing,
                correct_bias=bias,
                per_series=per_series,
                most_series=most_series,
                parameters=parameters,
                before=before.get(study, Before()),
            )

    done = _Done("study_instance_uid", _ALIGNED, "studies", to_log(context))
    total = len(digests) - len(kept)
    rows: Iterator[Row] = done.rows_of(align_study, work(), settings, total=total)
    if kept:
        rows = merge(_rows_of_studies(layout, kept), rows, key=_study_order)
    with PartWriter(layout.partition(_ALIGNED, None), ALIGNED_VOLUMES) as writer:
        while group := list(islice(rows, _ROWS)):
            writer.write(pa.RecordBatch.from_pylist(group, ALIGNED_VOLUMES))
    committed = read_commit(layout.partition(ALIGNED_SLICES_TABLE, None))
    still = {part_number(study) for study in kept}
    parts = [part for part in committed.parts if part.number in still] if committed else []
    inputs = {**volumes.digests(), **slices.digests(), "parameters": parameters}
    contents = {
        ALIGNED_SLICES_TABLE: Content(
            sorted([*done.parts, *parts], key=lambda part: part.name), inputs
        ),
        _ALIGNED: Content(writer.parts, inputs),
    }
    yield from _hand_over(context, layout, contents, {_ALIGNED: done.metadata()})


@table_asset(
    _EXPORTS,
    deps=[_key(name) for name in ("volumes", "volume_slices", "aligned_volumes", "aligned_slices")],
)
def nifti_exports(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[ImagingSettings],
    layout: dg.ResourceParam[Layout],
) -> Content:
    """Write the volumes as NIfTI; files of volumes that there no longer are go."""
    folder = layout.exports("nifti")
    with exclusive(folder.parent / ".nifti.lock"):
        return _export_nifti(
            layout,
            folder,
            settings.row_seconds,
            to_log(context),
            is_four_dimensional=settings.nifti_4d,
        )


def _export_nifti(
    layout: Layout, folder: UPath, seconds: float, listener: Listener, *, is_four_dimensional: bool
) -> Content:
    before = _exported_before(layout)
    volumes, aligned_volumes = (read_partition(layout, t, None) for t in (_VOLUMES, _ALIGNED))
    volume_slices, aligned_slices = (
        read_partition(layout, table, None) for table in (SLICES_TABLE, ALIGNED_SLICES_TABLE)
    )
    sources = [
        (volumes, StoredVolumes.of(volume_slices, "volume_id"), False),
        (aligned_volumes, StoredVolumes.of(aligned_slices, "aligned_id"), True),
    ]
    rows: Iterator[Row] = (
        row
        for table, stored, is_aligned in sources
        for row in exported(folder, rows_of(table), stored, before, is_aligned=is_aligned)
    )
    together = exported_series(
        folder, rows_of(volumes), sources[0][1], before, is_four_dimensional=is_four_dimensional
    )
    rows = reported(
        chain(rows, together),
        _EXPORTS,
        "files",
        name=lambda row: str(row["volume_id"]),
        listener=listener,
    )
    files: set[str] = set()
    with (
        row_seconds(seconds),
        PartWriter(layout.partition(_EXPORTS, None), NIFTI_EXPORTS) as writer,
    ):
        while group := list(islice(rows, _ROWS)):
            files.update(row["file"] for row in group if row["file"] is not None)
            writer.write(pa.RecordBatch.from_pylist(group, NIFTI_EXPORTS))
    remove_others(folder, files)
    return Content(writer.parts, volumes.digests() | aligned_volumes.digests())


def _exported_before(layout: Layout) -> dict[str, ExportedFile]:
    """The files of the last export by name."""
    if read_commit(layout.partition(_EXPORTS, None)) is None:
        return {}
    table = read_partition(layout, _EXPORTS, None)
    return {
        row.pop("file"): ExportedFile(**row)
        for batch in table.batches(["file", *ExportedFile._fields])
        for row in batch.to_pylist()
        if row["file"] is not None
    }


def _aligned_before(layout: Layout) -> dict[str, str]:
    """What the aligned volumes of each study were made of, but of those in which one failed."""
    if read_commit(layout.partition(_ALIGNED, None)) is None:
        return {}
    table = read_partition(layout, _ALIGNED, None)
    again = failed_studies(table, "verdict")
    return {
        row["study_instance_uid"]: row["inputs_sha256"]
        for batch in table.batches(["study_instance_uid", "inputs_sha256"])
        for row in batch.to_pylist()
        if row["study_instance_uid"] not in again
    }


def _changed_studies(layout: Layout, studies: Set[str], parameters: str) -> dict[str, Before]:
    """What is known of studies of which some volumes may be as they were."""
    made = read_commit(layout.partition(_ALIGNED, None)) if studies else None
    if made is None or made.inputs.get("parameters") != parameters:
        return {}
    table = read_partition(layout, ALIGNED_SLICES_TABLE, None)
    stored = StoredVolumes.of(table, "aligned_id")
    rows: dict[str, dict[str, Row]] = {}
    for row in _rows_of_studies(layout, studies):
        rows.setdefault(row["study_instance_uid"], {})[row["volume_id"]] = row
    return {
        study: Before(of_study, stored.only(part_number(study))) for study, of_study in rows.items()
    }


def _rows_of_studies(layout: Layout, studies: Set[str]) -> Iterator[Row]:
    for batch in read_partition(layout, _ALIGNED, None).batches():
        yield from (row for row in batch.to_pylist() if row["study_instance_uid"] in studies)


def _study_order(row: Row) -> tuple[str, str]:
    return row["study_instance_uid"], row["aligned_id"]


@dataclass
class _Done:
    """What has been made so far; the rows themselves flow on.

    Attributes:
        writer: column whose value has parts of its own.
        table: that is made.
        piece: what a piece of work is, in the plural.
        listener: that hears how far it is.
        parts: of the slices.
        numbers: of the series' parts.
        volumes: how many there are.
        left_out: volumes without voxels, by their verdict.
        picture: of the largest volume.
    """

    writer: str
    table: str
    piece: str
    listener: Listener
    parts: list[Part] = field(default_factory=list)
    numbers: set[int] = field(default_factory=set)
    volumes: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    picture: bytes | None = None
    _largest: int = 0

    def rows_of(
        self,
        make: Callable[[_Work], MadeVolumes],
        work: Iterator[_Work],
        settings: ImagingSettings,
        *,
        total: int | None = None,
    ) -> Iterator[Row]:
        """Do pieces of work in worker processes, and give their rows in order."""
        first = list(islice(work, 2))
        workers = settings.workers
        pool = executor(len(first) if len(first) < 2 else workers or cpu_count(), workers)
        made_of_each = in_order(
            pool,
            make,
            chain(first, work),
            in_flight=_IN_FLIGHT,
            row_seconds=settings.row_seconds,
        )
        for made in reported(
            made_of_each,
            self.table,
            self.piece,
            total=total,
            name=lambda made: short_hash(made.rows[0][self.writer]) if made.rows else "",
            listener=self.listener,
        ):
            self.parts += made.parts
            for row in made.rows:
                self.numbers.add(part_number(row[self.writer]))
                self._note(row)
                yield row

    def metadata(self) -> dict[str, dg.MetadataValue]:
        """How many volumes were made, how many were not and why, and a picture."""
        counts = {"rebuilt": self.volumes}
        counts |= {f"left out: {verdict}": n for verdict, n in sorted(self.left_out.items())}
        return {
            **{name: dg.MetadataValue.int(count) for name, count in counts.items()},
            **_pictured(self.picture),
        }

    def _note(self, row: Row) -> None:
        if row["shape"] is None:
            self.left_out[row["verdict"]] += 1
        if row["picture"] is None:
            return
        self.volumes += 1
        slices, rows, columns = row["shape"]
        if slices * rows * columns > self._largest:
            self._largest, self.picture = slices * rows * columns, row["picture"]


def _pictured(picture: bytes | None) -> Mapping[str, dg.MetadataValue]:
    """Three planes of the largest volume that was made: intensities alone, under 64 KB."""
    if picture is None:
        return {}
    encoded = base64.b64encode(picture).decode()
    return {
        "three_planes": dg.MetadataValue.md(
            f"![axial, coronal and sagittal middle slices](data:image/png;base64,{encoded})"
        )
    }


def _hand_over(
    context: dg.AssetExecutionContext,
    layout: Layout,
    contents: Mapping[str, Content],
    notes: Mapping[str, Mapping[str, dg.MetadataValue]],
) -> Iterator[dg.Output[Content]]:
    """Return the outputs in order; commit and report those that the run did not select, too."""
    for table, content in contents.items():
        key = dg.AssetKey(table.split("/"))
        metadata = dict(notes.get(table, {}))
        if key in context.selected_asset_keys:
            yield dg.Output(content, output_name=key.path[-1], metadata=metadata)
            continue
        version = context.assets_def.specs_by_key[key].code_version
        made = describe_commits([commit_content(layout, table, None, content, version)])
        context.log_event(dg.AssetMaterialization(key, metadata={**made, **metadata}))


ASSETS = [volumes_and_slices, aligned_volumes_and_slices, nifti_exports]
