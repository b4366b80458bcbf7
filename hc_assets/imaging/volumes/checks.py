"""The volume checks: which evaluator judges which asset, and how bad a failure is.

Belongs here: wiring only. Blocking where a wrong result would flow on: a series that is lost, a
grid that is none, a slice that is missing. How odd the stacks are is a warning.
"""

import dagster as dg
import pyarrow as pa

from hc_assets.imaging.verdicts import volumes as accounting
from hc_assets.imaging.verdicts.internal_errors import (
    NO_INTERNAL,
    NO_INTERNAL_DESCRIPTION,
    none_in,
)
from hc_assets.imaging.volumes.series_work import gated_series
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import read_commit
from hc_assets.lake.tables import LakeTable, read_partition, read_partitions
from hc_assets.orchestration.checks import WARN, column_check, result, table_check

_VOLUMES = "imaging/volumes"
_SLICES = "imaging/volume_slices"


def _rows(layout: Layout, columns: list[str]) -> pa.Table:
    return read_partition(layout, "imaging/volumes", None).to_table(columns)


@table_check(
    _VOLUMES,
    reads=["imaging/quality_metrics"],
    blocking=True,
    description="Each series with a frame that passes the quality gate has a volume or a verdict.",
)
def every_gated_series_has_a_volume_or_verdict(
    layout: dg.ResourceParam[Layout],
) -> dg.AssetCheckResult:
    """Compare the series of the batches that were taken in with those of the table."""
    made = read_commit(layout.partition("imaging/volumes", None))
    known = {name.rpartition("/")[2] for name in made.inputs} if made is not None else set()

    def parts(table: str) -> list[str]:
        of_batches: LakeTable = read_partitions(layout, table).only(known)
        return [str(path) for path in of_batches.parts()]

    gated = gated_series(parts("imaging/dicom_index"), parts("imaging/quality_metrics"))
    volumes = _rows(layout, ["series_instance_uid"])["series_instance_uid"]
    return result(accounting.series_accounted_for(gated, volumes))


@table_check(
    _VOLUMES,
    blocking=True,
    description="Each volume is a right-handed grid with axes at right angles, and its columns"
    " agree on where it lies.",
)
def volume_geometry_sound(layout: dg.ResourceParam[Layout]) -> dg.AssetCheckResult:
    """Look at the affines."""
    columns = ["verdict", "shape", "spacing_mm", "affine_lps", "affine_ras"]
    volumes = read_partition(layout, "imaging/volumes", None).batches(columns)
    return result(accounting.geometry_sound(volumes))


@table_check(
    _SLICES,
    reads=[_VOLUMES],
    blocking=True,
    description="Each volume has all its slices, each finite and of the shape that its row states.",
)
def volume_slices_whole(layout: dg.ResourceParam[Layout]) -> dg.AssetCheckResult:
    """Look at every slice, a row group at a time."""
    slices = read_partition(layout, "imaging/volume_slices", None)
    return result(
        accounting.slices_whole(
            _rows(layout, ["volume_id", "shape"]), slices.batches(["volume_id", "voxels"])
        )
    )


@table_check(
    _VOLUMES,
    description="No stack has a gap, or slices that lie too irregularly to be a volume.",
)
def stacks_without_gaps(layout: dg.ResourceParam[Layout]) -> dg.AssetCheckResult:
    """Count verdicts and findings; what is missing may still come, so this only warns."""
    rows = _rows(layout, ["verdict", "findings"])
    return result(accounting.stacks_usable(rows["verdict"], rows["findings"]), WARN)


@table_check(
    "imaging/aligned_volumes",
    description="Each MR volume that shares a study with others was laid on the reference.",
)
def volumes_registered(layout: dg.ResourceParam[Layout]) -> dg.AssetCheckResult:
    """Count registrations that failed; such a volume stays where its coordinates put it."""
    rows = read_partition(layout, "imaging/aligned_volumes", None).to_table(["verdict"])
    return result(accounting.volumes_registered(rows["verdict"]), WARN)


NO_INTERNAL_ERRORS = [
    column_check(table, column, none_in, name=NO_INTERNAL, description=NO_INTERNAL_DESCRIPTION)
    for table, column in {
        _VOLUMES: "verdict",
        "imaging/aligned_volumes": "verdict",
        "imaging/nifti_exports": "reason",
    }.items()
]

CHECKS = [
    *NO_INTERNAL_ERRORS,
    volumes_registered,
    every_gated_series_has_a_volume_or_verdict,
    volume_geometry_sound,
    volume_slices_whole,
    stacks_without_gaps,
]
