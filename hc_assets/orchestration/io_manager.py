"""The Parquet IO manager: what an asset returns becomes a committed partition, and comes back lazy.

Belongs here: the bridge between Dagster and `lake/parts.py`, which holds the protocol itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import dagster as dg
import pyarrow as pa

from hc_assets.core.redaction import texts_redacted
from hc_assets.lake.incremental import refuse_shrinking
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import Commit, Part, PartWriter, commit
from hc_assets.lake.tables import LakeTable, read_partition, read_partitions

COLUMN_LINEAGE = "dagster/column_lineage"

Rows: TypeAlias = pa.Table | pa.RecordBatchReader | Iterable[pa.RecordBatch]


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

    Takes a `Content`, a table, a `RecordBatchReader` or an iterator of record batches (a generator
    inside a `Content` or an `Output`, since Dagster runs a bare one as the asset's own), or, from
    an asset that does several batches in one run, a mapping of batch key to one of these. Gives
    downstream a `LakeTable` of one batch, several batches or all that are committed.
    """

    def __init__(
        self, layout: Layout, schemas: Mapping[str, pa.Schema], *, error_texts: bool = False
    ) -> None:
        self._layout, self._schemas, self._error_texts = layout, schemas, error_texts

    def handle_output(
        self, context: dg.OutputContext, obj: Content | Rows | Mapping[str, Content | Rows]
    ) -> None:
        """Write the rows and commit them; tell Dagster how many there are."""
        table = "/".join(context.asset_key.path)
        batches: dict[str | None, Content | Rows]
        if isinstance(obj, Mapping):
            batches = {str(key): rows for key, rows in obj.items()}
        else:
            batches = {context.partition_key if context.has_partition_key else None: obj}
        code_version = context.asset_spec.code_version
        # Arrow's errors quote values
        with texts_redacted(enabled=not self._error_texts):
            made = [self._put(table, key, rows, code_version) for key, rows in batches.items()]
        context.add_output_metadata(describe_commits(made) | lineage_of(context.asset_spec))

    def _put(
        self, table: str, batch: str | None, obj: Content | Rows, code_version: str | None
    ) -> Commit:
        content = obj if isinstance(obj, Content) else Content(obj)
        parts = self._write(table, batch, content.rows)
        written = Content(parts, content.inputs)
        return commit_content(self._layout, table, batch, written, code_version)

    def _write(self, table: str, batch: str | None, rows: Rows | list[Part]) -> list[Part]:
        if isinstance(rows, list):
            parts = [each for each in rows if isinstance(each, Part)]
            if len(parts) == len(rows):
                return parts
        if isinstance(rows, pa.Table):
            rows = rows.to_batches()
        folder = self._layout.partition(table, batch)
        with PartWriter(folder, self._schemas[table]) as writer:
            for each in rows:
                writer.write(each)
        return writer.parts

    def load_input(self, context: dg.InputContext) -> LakeTable:
        """Return the upstream rows, unread: of the run's batches, or of all where it has none.

        All are those that the lake has committed. Dagster may know of fewer: its record can be new
        or another one, while the lake was restored or moved here.
        """
        table = "/".join(context.asset_key.path)
        if not context.has_asset_partitions:
            return read_partition(self._layout, table, None)
        keys = set(context.asset_partition_keys)
        if context.has_partition_key and keys == {context.partition_key}:
            return read_partitions(self._layout, table, keys)
        # An asset over all batches takes what is there: a batch that failed waits for its rerun.
        committed = read_partitions(self._layout, table)
        return committed if keys >= _known_keys(context) else committed.only(keys)


def _known_keys(context: dg.InputContext) -> set[str]:
    """Batches of an input that Dagster knows of."""
    batches = context.asset_partitions_def
    if not isinstance(batches, dg.DynamicPartitionsDefinition) or batches.name is None:
        return set(batches.get_partition_keys(dynamic_partitions_store=context.instance))
    return set(context.instance.get_dynamic_partitions(batches.name))


def commit_content(
    layout: Layout, table: str, batch: str | None, content: Content, code_version: str | None
) -> Commit:
    """Commit parts that are written already.

    Raises:
        TypeError: the content holds rows that are not written yet.
        ShrinkingTableError: a table over all batches would lose some that are committed.
    """
    parts = [part for part in content.rows if isinstance(part, Part)]
    if not isinstance(content.rows, list) or len(parts) != len(content.rows):
        raise TypeError(f"{table}: expected written parts, found rows")
    if batch is None:
        refuse_shrinking(layout, table, content.inputs, code_version)
    return commit(layout, table, batch, parts, inputs=content.inputs, code_version=code_version)


def lineage_of(spec: dg.AssetSpec) -> dict[str, dg.MetadataValue]:
    """What a materialization repeats of its asset, since catalogs read lineage by column there."""
    return {name: spec.metadata[name] for name in (COLUMN_LINEAGE,) if name in spec.metadata}


def describe_commits(commits: Sequence[Commit]) -> dict[str, dg.MetadataValue]:
    """Metadata of what one output committed: counts and hashes only."""
    parts = [part for made in commits for part in made.parts]
    digests = ", ".join(made.digest() for made in commits)
    return {
        "dagster/row_count": dg.MetadataValue.int(sum(made.rows for made in commits)),
        "parts": dg.MetadataValue.int(len(parts)),
        "bytes": dg.MetadataValue.int(sum(part.size for part in parts)),
        "content_sha256": dg.MetadataValue.text(digests),
    }
