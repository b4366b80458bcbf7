"""The Parquet IO manager: what an asset returns becomes a committed partition, and comes back lazy.

Belongs here: the bridge between Dagster and `parts.py`, which holds the protocol itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import dagster as dg
import pyarrow as pa

from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import (
    Commit,
    LakeTable,
    Part,
    PartWriter,
    commit,
    read_partition,
    read_partitions,
)

Rows = pa.Table | pa.RecordBatchReader | Iterable[pa.RecordBatch]


@dataclass(frozen=True)
class Content:
    """What becomes of a partition, with the hashes of what it was made from.

    Attributes:
        rows: as a table, a reader or an iterable of record batches; or parts that workers have
            already written into the partition's folder.
        inputs: hash of each input by its name, kept in the commit for the auditor.
    """

    rows: Rows | list[Part]
    inputs: dict[str, str] = field(default_factory=dict)


class ParquetIOManager(dg.IOManager):
    """Keeps assets named `<group>/<asset>` as Parquet, one partition per batch.

    Takes a `Content`, a table, a `RecordBatchReader` or an iterator of record batches; gives
    downstream a `LakeTable` of one batch, several batches or all that are committed.
    """

    def __init__(self, layout: Layout, schemas: Mapping[str, pa.Schema]) -> None:
        self._layout, self._schemas = layout, schemas

    def handle_output(self, context: dg.OutputContext, obj: Content | Rows) -> None:
        """Write the rows and commit them; tell Dagster how many there are."""
        content = obj if isinstance(obj, Content) else Content(obj)
        table = "/".join(context.asset_key.path)
        batch = context.partition_key if context.has_partition_key else None
        parts = self._write(table, batch, content.rows)
        made = commit(
            self._layout,
            table,
            batch,
            parts,
            inputs=content.inputs,
            code_version=context.asset_spec.code_version,
        )
        context.add_output_metadata(describe_commit(made))

    def _write(self, table: str, batch: str | None, rows: Rows | list[Part]) -> list[Part]:
        if isinstance(rows, list) and all(isinstance(each, Part) for each in rows):
            return rows
        if isinstance(rows, pa.Table):
            rows = rows.to_batches()
        folder = self._layout.partition(table, batch)
        with PartWriter(folder, self._schemas[table]) as writer:
            for each in rows:
                writer.write(each)
        return writer.parts

    def load_input(self, context: dg.InputContext) -> LakeTable:
        """Give the upstream rows, unread: of the run's batches, or of all where it has none."""
        table = "/".join(context.asset_key.path)
        if not context.has_asset_partitions:
            return read_partition(self._layout, table, None)
        upstream = context.upstream_output
        downstream_has_batches = context.has_partition_key
        if upstream is not None and downstream_has_batches:
            return read_partitions(self._layout, table, context.asset_partition_keys)
        # An asset over all batches takes what is there: a batch that failed waits for its rerun.
        return read_partitions(self._layout, table)


def describe_commit(made: Commit) -> dict[str, dg.MetadataValue]:
    """Metadata of a committed partition: counts and hashes only."""
    return {
        "dagster/row_count": dg.MetadataValue.int(made.rows),
        "parts": dg.MetadataValue.int(len(made.parts)),
        "bytes": dg.MetadataValue.int(sum(part.size for part in made.parts)),
        "content_sha256": dg.MetadataValue.text(made.digest()),
    }
