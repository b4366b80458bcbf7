"""What a table over all batches has not taken in yet, told by the commit it wrote last.

Belongs here: comparing commits. Which rows follow from that is in `units.py`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import merge

import pyarrow.parquet as pq

from hc_assets.imaging.volumes.steps import Row
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
        changed: parts of the index that are new; None where all is to be made anew.
        inputs: for the commit.
    """

    index: LakeTable
    metrics: LakeTable
    changed: list[str] | None
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
        parameters: that the rows depend on; others than before make everything anew.
        code_version: of the table; another than before makes everything anew.
    """
    scored = [str(made.batch) for _, made in metrics.partitions]
    index = index.only(scored)
    metrics = metrics.only(str(made.batch) for _, made in index.partitions)
    inputs = {**index.digests(), **metrics.digests(), PARAMETERS: parameters}
    before = read_commit(layout.partition(table, None))
    if (
        before is None
        or before.code_version != code_version
        or any(inputs.get(name) != digest for name, digest in before.inputs.items())
    ):
        return Intake(index, metrics, None, inputs)
    changed = [
        str(folder / part.name)
        for folder, made in index.partitions
        if f"{index.table}/{made.batch}" not in before.inputs
        for part in made.parts
    ]
    return Intake(index, metrics, changed, inputs)


def merged(
    layout: Layout, table: str, anew: Iterable[Row], changed: Iterable[str]
) -> Iterator[Row]:
    """Rows made anew, and those of other studies as they were, in the order of the table.

    Args:
        layout: where the lake is.
        table: with rows sorted by study, series and volume.
        anew: rows, sorted so.
        changed: parts of the index whose studies were made anew.
    """
    studies: set[str | None] = set()
    for path in changed:
        column = pq.read_table(path, columns=["study_instance_uid"], partitioning=None)
        studies.update(column["study_instance_uid"].to_pylist())
    kept = (
        row
        for batch in read_partition(layout, table, None).batches()
        for row in batch.to_pylist()
        if row["study_instance_uid"] not in studies
    )
    return merge(kept, anew, key=_order)


def _order(row: Mapping[str, object]) -> tuple[str, str, int]:
    number = row["volume"]
    return (
        str(row["study_instance_uid"]),
        str(row["series_instance_uid"]),
        number if isinstance(number, int) else 0,
    )
