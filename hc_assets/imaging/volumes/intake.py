"""Which batches the volumes are made from, and what they have not taken in yet.

Belongs here: choosing them, and keeping earlier rows. What is
done with them is in `workers.py`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import merge

from hc_assets.imaging.series.refreshing import failed_studies, rows_of_other_studies
from hc_assets.imaging.volumes.rows import Row
from hc_assets.lake.incremental import Update
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import read_commit
from hc_assets.lake.tables import LakeTable, read_partition

PARAMETERS = "parameters"


@dataclass(frozen=True)
class Intake:
    """Batches to take in.

    Attributes:
        index: the index, of the batches whose metrics are committed too.
        metrics: the quality metrics of the same batches.
        added: parts of the index that are new; None where everything is to be rebuilt.
        again: StudyInstanceUIDs of studies of which a volume failed with an internal error: they
            are rebuilt, too, for what failed once may not fail again.
        inputs: for the commit.
    """

    index: LakeTable
    metrics: LakeTable
    added: list[str] | None
    again: frozenset[str]
    inputs: dict[str, str]


def intake(
    layout: Layout,
    table: str,
    index: LakeTable,
    metrics: LakeTable,
    *,
    parameters: str,
    code_version: str,
) -> Intake:
    """Find the batches that a table does not know.

    Args:
        layout: where the lake is.
        table: the one whose commit is written last.
        index: all committed batches.
        metrics: all committed batches.
        parameters: that the rows depend on; others than before rebuild everything.
        code_version: of the table; another than before rebuilds everything.
    """
    scored = [str(made.batch) for _, made in metrics.partitions]
    index = index.only(scored)
    metrics = metrics.only(str(made.batch) for _, made in index.partitions)
    update = Update.since(
        read_commit(layout.partition(table, None)),
        [index, metrics],
        code_version=code_version,
        options={PARAMETERS: parameters},
    )
    added = update.added_parts(index)
    again: frozenset[str] = frozenset()
    if added is not None:
        again = failed_studies(read_partition(layout, table, None), "verdict")
    return Intake(index, metrics, added, again, update.inputs)


def merged(
    layout: Layout, table: str, rebuilt: Iterable[Row], added: Iterable[str], again: Collection[str]
) -> Iterator[Row]:
    """Rebuilt rows, and those of other studies as they were, in the order of the table.

    Args:
        layout: where the lake is.
        table: with rows sorted by study, series and volume.
        rebuilt: rows, sorted so.
        added: parts of the index whose studies were rebuilt.
        again: further studies that were rebuilt.
    """
    kept = rows_of_other_studies(read_partition(layout, table, None), added, again)
    return merge(kept, rebuilt, key=_order)


def _order(row: Mapping[str, object]) -> tuple[str, str, int]:
    number = row["volume"]
    return (
        str(row["study_instance_uid"]),
        str(row["series_instance_uid"]),
        number if isinstance(number, int) else 0,
    )
