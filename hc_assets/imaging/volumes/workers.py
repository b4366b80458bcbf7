"""What worker processes run to make and to align volumes: Parquet parts written, rows given back.

Belongs here: one piece of work, of `series_work.py` or `study_work.py`. What becomes of rows and
parts is decided in `assets.py`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from pathlib import Path

from hc_assets.core.fence import InternalError, fenced
from hc_assets.core.places import at
from hc_assets.imaging.series.instances import Instance
from hc_assets.imaging.single_thread import single_thread
from hc_assets.imaging.volumes.aligned_rows import aligned_slices, keys_of, row_and_slices
from hc_assets.imaging.volumes.alignment import (
    BEYOND_LIMIT,
    Aligned,
    align,
    failed,
    first_series,
    groups_of,
)
from hc_assets.imaging.volumes.rows import Made, Row, failed_series, volumes_of
from hc_assets.imaging.volumes.schemas import ALIGNED_SLICES, VOLUME_SLICES
from hc_assets.imaging.volumes.series_work import SeriesWork
from hc_assets.imaging.volumes.stored_volumes import part_number
from hc_assets.imaging.volumes.study_work import StudyWork, digests_of, registration_of
from hc_assets.imaging.volumes.volume import Volume
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import LandedFile, read_manifest, verified_file
from hc_assets.lake.parts import Part, PartWriter

SLICES_TABLE = "imaging/volume_slices"
ALIGNED_SLICES_TABLE = "imaging/aligned_slices"
# One volume is in memory already; what waits to be written is kept small beside it.
_PART_BYTES = 64 * 1024**2


@dataclass(frozen=True)
class MadeVolumes:
    """What a series or a study came to: rows of volumes, and parts with their slices."""

    rows: list[Row]
    parts: list[Part]


def make_volumes(work: SeriesWork) -> MadeVolumes:
    """Make the volumes of a series; write their slices into parts of the series' own.

    Raises:
        DamagedFileError: a landed file is gone or is not what its manifest says.
    """
    layout = Layout.of(work.data_dir)
    rows = []
    number = part_number(work.files[0]["series_instance_uid"])
    with (
        at(f"the series {number:012x}"),
        PartWriter(
            layout.partition(SLICES_TABLE, None),
            VOLUME_SLICES,
            number=number,
            part_bytes=_PART_BYTES,
        ) as writer,
    ):
        for made in _volumes(work, layout):
            rows.append(made.row)
            while made.slices:
                writer.write(made.slices.pop(0))
    return MadeVolumes(rows, writer.parts)


def _volumes(work: SeriesWork, layout: Layout) -> Iterable[Made]:
    paths = fenced(_paths, layout, work.files)
    if isinstance(paths, InternalError):
        return [failed_series(work.files, paths)]
    return volumes_of(work.files, paths, work.gates, limit=work.limit)


def align_study(work: StudyWork) -> MadeVolumes:
    """Align the volumes of a study; write their slices into parts of the study's own."""
    layout = Layout.of(work.data_dir)
    number = part_number(work.rows[0]["study_instance_uid"])

    def load(row: Row) -> Volume:
        return work.stored.load(row, part_number(row["series_instance_uid"]))

    rows = []
    with (
        at(f"the study {number:012x}"),
        single_thread(),
        PartWriter(
            layout.partition(ALIGNED_SLICES_TABLE, None),
            ALIGNED_SLICES,
            number=number,
            part_bytes=_PART_BYTES,
        ) as writer,
    ):
        for made, digest in _aligned(work, load):
            if made.kept is not None:
                row = made.kept | {"inputs_sha256": work.inputs_sha256}
                slices = list(aligned_slices(work.before.volume(row), keys_of(row)))
            else:
                row, slices = row_and_slices(made, work.inputs_sha256, digest)
            rows.append(row)
            while slices:
                writer.write(slices.pop(0))
    return MadeVolumes(sorted(rows, key=itemgetter("aligned_id")), writer.parts)


def _aligned(work: StudyWork, load: Callable[[Row], Volume]) -> Iterator[tuple[Aligned, str]]:
    """The aligned volumes of a study, each with the hash of all that it depends on."""
    groups = fenced(groups_of, work.rows)
    if isinstance(groups, InternalError):
        for row in work.rows:
            yield failed(row, row, groups), ""
        return
    aligned, left_out = first_series(groups, work.most_series)
    for row in left_out:
        yield Aligned(row, row, BEYOND_LIMIT, None), ""
    digests = digests_of(aligned, work.parameters)
    for group in aligned:

        def kept(row: Row, reference: Row = group[0]) -> Aligned | None:
            before = work.before.row(row["volume_id"], digests[row["volume_id"]])
            if before is None:
                return None
            found = registration_of(before)
            return Aligned(row, reference, before["verdict"], found, kept=before)

        for made in align(
            group,
            load,
            spacing_mm=work.spacing_mm,
            correct_bias=work.correct_bias,
            per_series=work.per_series,
            kept=kept,
        ):
            yield made, digests[made.source["volume_id"]]


def _paths(layout: Layout, files: Iterable[Instance]) -> list[Path]:
    return [_path(layout, file) for file in files]


def _path(layout: Layout, file: Instance) -> Path:
    landed = _landed_files(layout, file["batch"])[file["source_file"]]
    return Path(verified_file(layout, "dicom", file["batch"], landed).path)


@lru_cache(maxsize=16)
def _landed_files(layout: Layout, batch: str) -> dict[str, LandedFile]:
    return {file.source_file: file for file in read_manifest(layout, "dicom", batch).files}
