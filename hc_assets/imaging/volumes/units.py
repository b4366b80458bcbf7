"""Units of volume work for worker processes: a series in, Parquet parts written, rows out.

Belongs here: what a worker does with one series, and which series there are to do. What becomes of
rows and parts is decided in `assets.py`. Imports neither Dagster nor anything of FHIR.
"""

import hashlib
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import duckdb

from hc_assets.imaging.series.instances import Instance, read_series
from hc_assets.imaging.volumes.placing import Gates
from hc_assets.imaging.volumes.schemas import VOLUME_SLICES
from hc_assets.imaging.volumes.steps import Row, volumes_of
from hc_assets.lake.landing import read_manifest
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import Part, PartWriter

SLICES = "imaging/volume_slices"
# One volume is in memory already; what waits to be written is kept small beside it.
_PART_BYTES = 64 * 1024**2
_ROWS = 2_000


@dataclass(frozen=True)
class SeriesUnit:
    """A series with pixels.

    Attributes:
        data_dir: folder of the lake.
        files: its index rows, those with pixels.
        gates: which of its frames are decodable, and whether they pass the gate.
        limit: bytes that the slices of one volume may take up.
    """

    data_dir: str
    files: tuple[Instance, ...]
    gates: Gates
    limit: int


@dataclass(frozen=True)
class SeriesVolumes:
    """What a series came to: rows of `imaging/volumes`, parts of `imaging/volume_slices`."""

    rows: list[Row]
    parts: list[Part]


def units_of(
    data_dir: str,
    index: Sequence[str],
    metrics: Sequence[str],
    *,
    changed: Sequence[str] | None,
    limit: int,
) -> Iterator[SeriesUnit]:
    """Find the series that have pixels.

    Args:
        data_dir: folder of the lake.
        index: paths of all parts of the index.
        metrics: paths of all parts of the quality metrics.
        changed: parts of the index whose studies are wanted; None for all.
        limit: bytes that the slices of one volume may take up.

    Yields:
        The series, sorted by StudyInstanceUID and SeriesInstanceUID.
    """
    gates = _gates(index, metrics)
    key, of_series = next(gates, (None, {}))
    for files in read_series(index, changed=changed):
        own = (files[0]["study_instance_uid"], files[0]["series_instance_uid"])
        while key is not None and key < own:
            key, of_series = next(gates, (None, {}))
        with_pixels = tuple(file for file in files if file["frames"])
        if with_pixels:
            yield SeriesUnit(data_dir, with_pixels, of_series if key == own else {}, limit)


def _gates(
    index: Sequence[str], metrics: Sequence[str]
) -> Iterator[tuple[tuple[str, str], dict[tuple[str, str], dict[int, bool | None]]]]:
    """Decoded frames by series, in the order in which `read_series` gives the series."""
    if not index or not metrics:
        return
    with (
        tempfile.TemporaryDirectory() as spill,
        duckdb.connect(config={"temp_directory": spill}) as connection,
    ):
        found = connection.execute(
            """
            SELECT files.study_instance_uid, files.series_instance_uid, batch, source_file,
                frames.frame, frames.passes_gate
            FROM read_parquet(?, hive_partitioning = false) AS files
            JOIN read_parquet(?, hive_partitioning = false) AS frames USING (batch, source_file)
            WHERE files.study_instance_uid IS NOT NULL AND files.series_instance_uid IS NOT NULL
            ORDER BY files.study_instance_uid, files.series_instance_uid
            """,
            [list(index), list(metrics)],
        )
        for key, rows in groupby(_rows(found), key=itemgetter(0, 1)):
            gates: dict[tuple[str, str], dict[int, bool | None]] = {}
            for _, _, batch, source_file, frame, passes in rows:
                gates.setdefault((batch, source_file), {})[frame] = passes
            yield key, gates


def _rows(found: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, str, str, str, int, bool]]:
    while rows := found.fetchmany(_ROWS):
        yield from rows


def gated_series(index: Sequence[str], metrics: Sequence[str]) -> frozenset[str]:
    """SeriesInstanceUIDs of the series of which a frame passes the quality gate.

    Args:
        index: paths of parts of the index.
        metrics: paths of parts of the quality metrics.
    """
    return frozenset(
        series
        for (_, series), files in _gates(index, metrics)
        if any(passes for frames in files.values() for passes in frames.values())
    )


def make_volumes(unit: SeriesUnit) -> SeriesVolumes:
    """Make the volumes of a series; write their slices into parts of the series' own."""
    layout = Layout.of(unit.data_dir)
    paths = [_path(layout, file) for file in unit.files]
    rows = []
    number = part_number(unit.files[0]["series_instance_uid"])
    with PartWriter(
        layout.partition(SLICES, None), VOLUME_SLICES, number=number, part_bytes=_PART_BYTES
    ) as writer:
        for made in volumes_of(unit.files, paths, unit.gates, limit=unit.limit):
            rows.append(made.row)
            for batch in made.slices:
                writer.write(batch)
    return SeriesVolumes(rows, writer.parts)


def part_number(series_uid: str) -> int:
    """Number of the parts of a series: of its own, so that they can stay when others change."""
    return int.from_bytes(hashlib.sha256(series_uid.encode()).digest()[:6], "big")


def kept_parts(before: Iterable[Part], anew: Collection[int]) -> list[Part]:
    """Parts of the series that are not made anew."""
    return [part for part in before if part.number not in anew]


def _path(layout: Layout, file: Instance) -> Path:
    stored = _stored_names(layout, file["batch"])[file["source_file"]]
    return Path(layout.landed_file("dicom", file["batch"], stored).path)


@lru_cache(maxsize=16)
def _stored_names(layout: Layout, batch: str) -> dict[str, str]:
    return {f.source_file: f.stored for f in read_manifest(layout, "dicom", batch).files}
