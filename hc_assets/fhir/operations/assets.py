"""Assets about the FHIR pipeline itself: provenance by batch, metrics over all batches.

Belongs here: wiring, and asking Dagster how long its steps took. What is counted and written is in
the modules beside this one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import dagster as dg
import pyarrow as pa

from hc_assets.core.decorations import decorations
from hc_assets.fhir.operations import batch_provenance, pipeline_metrics
from hc_assets.fhir.operations.schemas import PIPELINE_METRICS
from hc_assets.fhir.operations.trend_plots import trend_markdown
from hc_assets.fhir.settings import FhirSettings
from hc_assets.lake.incremental import reusable_commit
from hc_assets.lake.layout import Layout
from hc_assets.lake.parts import read_commit
from hc_assets.lake.tables import read_partition, read_partitions
from hc_assets.orchestration.io_manager import Content
from hc_assets.orchestration.specs import code_version, table_asset

_PROVENANCE, _METRICS = "fhir/provenance_resources", "fhir/pipeline_metrics"


def _key(table: str) -> dg.AssetKey:
    return dg.AssetKey(table.split("/"))


@table_asset(
    _PROVENANCE,
    deps=[_key(table) for table in batch_provenance.TABLES],
)
def provenance_resources(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[FhirSettings],
    layout: dg.ResourceParam[Layout],
) -> dict[str, pa.Table]:
    """Read from the commits how each batch's tables came to be."""
    return {
        batch: batch_provenance.batch_provenance(layout, batch, settings.fhir_extension_base)
        for batch in context.partition_keys
    }


@table_asset(
    _METRICS,
    deps=[_key(table) for table in pipeline_metrics.TABLES],
)
def metrics(context: dg.AssetExecutionContext, layout: dg.ResourceParam[Layout]) -> Content:
    """Count the batches that are new or rebuilt; the rows of the others stay as they are."""
    tables = [read_partitions(layout, name) for name in pipeline_metrics.TABLES]
    digests = {key: value for table in tables for key, value in table.digests().items()}
    whole = set.intersection(*({made.batch for _, made in t.partitions} for t in tables)) - {None}
    rows = _known_rows(layout, digests)
    new = sorted(str(batch) for batch in whole if batch not in rows)
    seconds = _seconds(context.instance, new)
    for batch in new:
        rows[batch] = pipeline_metrics.batch_metrics(layout, batch, seconds[batch])
    listed = [rows[str(batch)] for batch in sorted(whole, key=str)]
    context.add_output_metadata(
        {
            "batches_counted": len(new),
            **{
                f"total_{name}" if isinstance(value, int) else name: value
                for name, value in pipeline_metrics.totals(listed).items()
                if value is not None
            },
            **decorations(
                lambda: {"trends": dg.MetadataValue.md(trend_markdown(listed))},
                dg.MetadataValue.md,
            ),
        }
    )
    table = pa.Table.from_pylist(listed, PIPELINE_METRICS)
    return Content(table, dict(sorted(digests.items())))


def _known_rows(layout: Layout, digests: Mapping[str, str]) -> dict[str, Mapping[str, object]]:
    """Rows that were counted before, of batches whose tables are the same still."""
    last = read_commit(layout.partition(_METRICS, None))
    kept = reusable_commit(last, code_version(_METRICS))
    if kept is None:
        return {}
    rows = read_partition(layout, _METRICS, None).to_table().to_pylist()
    return pipeline_metrics.reusable(rows, kept.inputs, digests)


def _seconds(instance: dg.DagsterInstance, batches: Iterable[str]) -> dict[str, dict[str, float]]:
    """How long the last run of each step over each batch took, by batch and table.

    A step that did several batches at once is shared out among them evenly: Dagster knows no more.
    """
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for batch in batches:
        for table in pipeline_metrics.STEPS:
            wanted = dg.AssetRecordsFilter(_key(table), asset_partitions=[batch])
            for record in instance.fetch_materializations(wanted, limit=1).records:
                entry = record.event_log_entry
                took = _took(instance, entry.run_id, entry.step_key, table)
                if took is not None:
                    found[batch][table] = took
    return found


def _took(
    instance: dg.DagsterInstance, run_id: str, step_key: str | None, table: str
) -> float | None:
    if step_key is None:
        return None  # reported from outside of a run
    for stats in instance.get_run_step_stats(run_id, [step_key]):
        if stats.start_time is None or stats.end_time is None:
            continue
        made = stats.end_time - stats.start_time
        together = instance.get_records_for_run(
            run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
        ).records
        shared = sum(record.asset_key == _key(table) for record in together)
        return float(made) / max(1, shared)
    return None


ASSETS = [provenance_resources, metrics]
