"""What all domains' assets have in common: their specs, and work fanned out over chunks.

Belongs here: the part of the wiring that would otherwise be written in each domain's `specs.py`.
"""

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, TypedDict, TypeVar

import dagster as dg
import pyarrow as pa

from hc_assets.core.columns import note
from hc_assets.core.compute import executor, in_order
from hc_assets.core.lineage import Source, described
from hc_assets.core.progress import reported
from hc_assets.core.redaction import with_redacted_errors
from hc_assets.core.transient import is_transient
from hc_assets.domains import CATALOG
from hc_assets.lake.layout import Layout, name_in_warehouse
from hc_assets.orchestration import internals
from hc_assets.orchestration.io_manager import (
    COLUMN_LINEAGE,
    Content,
    commit_content,
    describe_commits,
)

# Single-run backfills and partitioned checks are marked beta and preview; Dagster would say so for
# every asset on every load. Whoever defines assets imports this module first.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

OWNERS = ["team:data-engineering"]

T = TypeVar("T")
R = TypeVar("R")
D = TypeVar("D", bound=dg.AssetsDefinition)


class AssetArguments(TypedDict):
    """What `@dg.asset` and `dg.AssetSpec` take alike of a declaration."""

    key: dg.AssetKey
    group_name: str
    kinds: set[str]
    owners: list[str]
    tags: dict[str, str]
    code_version: str
    description: str
    metadata: dict[str, Any]


class PartitionArguments(TypedDict, total=False):
    """What an asset that is made batch by batch has besides; nothing for one over all batches."""

    partitions_def: dg.DynamicPartitionsDefinition
    backfill_policy: dg.BackfillPolicy


class PoolArguments(TypedDict, total=False):
    """The pool of an asset over all batches; nothing for one that is made batch by batch."""

    pool: str


def asset_key(table: str) -> dg.AssetKey:
    """Key of the asset that keeps a table."""
    return dg.AssetKey(table.split("/"))


def code_version(table: str) -> str:
    """Version of the code that makes a table, as declared."""
    return CATALOG.tables[table].code_version


def arguments(table: str) -> AssetArguments:
    """Return what an asset says about itself, from its table's declaration.

    Args:
        table: `<domain>/<plural noun>`, declared in its domain's `domain.py`.

    Raises:
        KeyError: it is not declared.
    """
    declared = CATALOG.tables[table]
    contents, made_from = declared.contents, CATALOG.column_sources(table)
    metadata: dict[str, Any] = {
        "dagster/column_schema": column_schema(contents.schema, made_from),
        "dagster/table_name": ".".join(name_in_warehouse(table)),
    }
    if any(made_from.values()):
        metadata[COLUMN_LINEAGE] = column_lineage(made_from)
    return AssetArguments(
        key=asset_key(table),
        group_name=table.partition("/")[0],
        kinds=set(declared.kinds),
        owners=OWNERS,
        tags={"layer": declared.layer},
        code_version=contents.code_version,
        description=declared.row,
        metadata=metadata,
    )


def partitions(table: str) -> PartitionArguments:
    """Return the partitions of an asset: batches of its kind, a range of which is one run."""
    landing = CATALOG.landing_of(table)
    if landing is None or table not in landing.batch_tables:
        return PartitionArguments()
    return PartitionArguments(
        partitions_def=dg.DynamicPartitionsDefinition(name=landing.kind.partitions),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )


def table_asset(table: str, **options: Any) -> Callable[..., dg.AssetsDefinition]:
    """Decorate the body of the asset of a declared table.

    Args:
        table: `<domain>/<plural noun>`.
        options: further ones of `@dg.asset`: `ins`, `deps`, `pool`.
    """
    decorate: Callable[..., dg.AssetsDefinition] = dg.asset(
        **arguments(table), **partitions(table), **_pool(table, table), **options
    )
    return decorate


def _pool(name: str, table: str) -> PoolArguments:
    """Let one run at a time make what is over all batches, from reading on until it is committed.

    Two would each keep rows that the other removes, and the one that has read less may end last.
    """
    return PoolArguments() if partitions(table) else PoolArguments(pool=name)


def tables_asset(
    name: str, tables: Sequence[str], **options: Any
) -> Callable[..., dg.AssetsDefinition]:
    """Decorate the body that fills several declared tables in one pass over the data.

    Each output is named as the last part of its table's name, and may be left out by a run.

    Args:
        name: of the step.
        tables: `<domain>/<plural noun>` each, all of the same partitions.
        options: further ones of `@dg.multi_asset`.
    """
    outs = {
        table.rpartition("/")[2]: dg.AssetOut(is_required=False, **arguments(table))
        for table in tables
    }
    return dg.multi_asset(
        name=name,
        can_subset=True,
        outs=outs,
        **partitions(tables[0]),
        **_pool(name, tables[0]),
        **options,
    )


def table_spec(table: str, **options: Any) -> dg.AssetSpec:
    """Specify the asset of a declared table, for a step that keeps its rows by itself."""
    return dg.AssetSpec(skippable=True, **arguments(table), **options)


def column_schema(schema: pa.Schema, made_from: Mapping[str, tuple[Source, ...]]) -> dg.TableSchema:
    """Turn an Arrow schema with notes into the table that the UI shows.

    Args:
        schema: of the rows.
        made_from: columns that each one is made from. Only Dagster+ draws lineage by column, so the
            description says it too.
    """
    return dg.TableSchema(
        columns=[_table_column(field, made_from.get(field.name, ())) for field in schema]
    )


def column_lineage(made_from: Mapping[str, tuple[Source, ...]]) -> dg.TableColumnLineage:
    """Turn the columns that each one is made from into Dagster's terms."""
    return dg.TableColumnLineage(
        {
            name: [dg.TableColumnDep(asset_key(source.table), source.column) for source in sources]
            for name, sources in made_from.items()
            if sources
        }
    )


def _table_column(field: pa.Field, made_from: tuple[Source, ...]) -> dg.TableColumn:
    noted = note(field)
    origin = described(field.name, made_from)
    return dg.TableColumn(
        name=field.name,
        type=_type_name(field.type),
        description=f"{noted.description} (from {origin})" if origin else noted.description,
        constraints=dg.TableColumnConstraints(
            nullable=field.nullable, other=[f"unit: {noted.unit}"] if noted.unit else []
        ),
    )


def _type_name(type_: pa.DataType) -> str:
    """Name a type as a reader would; the fields of a struct are in the data dictionary."""
    if pa.types.is_struct(type_):
        return "struct"
    if pa.types.is_list(type_) or pa.types.is_fixed_size_list(type_):
        return f"list of {_type_name(type_.value_type)}"
    return str(type_)


class RetryTransient(dg.RetryPolicy):
    """Tries a step again after a fault that passes by itself, and after no other.

    Dagster asks a policy for `max_retries` while it handles the step's exception.
    """

    @property
    def max_retries(self) -> int:
        """How often to try again what just failed: never, where that would change nothing."""
        error = sys.exception()
        return super().max_retries if error is None or is_transient(error) else 0


# 15, 45, 105 s: longer than a writer holds the warehouse, shorter than anybody would wait.
RETRIES = RetryTransient(
    max_retries=3, delay=15, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
)


def with_retries(definition: D) -> D:
    """Set the project's retry policy for assets or checks; where they have one, that stays."""
    if definition.op.retry_policy is not None:
        return definition
    return internals.with_retry_policy(definition, RETRIES)


def with_redacted_texts(definition: D) -> D:
    """Keep the texts of libraries' errors out of Dagster's record: they may quote rows."""
    return internals.with_body(definition, with_redacted_errors)


def once_per_quiet_period(quiet_cron: str, latest_cron: str) -> dg.AutomationCondition[dg.AssetKey]:
    """When an asset over all batches is made again: once what it is made of rests, not per batch.

    It is wanted when a dependency was updated, or when it is missing and a dependency is not. It is
    made when a tick of `quiet_cron` has passed since the last update and no dependency is being
    made, or together with a dependency that is. Where batches never cease to come, it is made at
    each tick of `latest_cron`.
    """
    condition = dg.AutomationCondition
    newly_updated = condition.any_deps_match(condition.newly_updated())
    handled = condition.newly_requested() | condition.newly_updated()
    can_be_made = condition.any_deps_match(~condition.missing() | condition.will_be_requested())
    is_lacking = (condition.missing() & can_be_made).newly_true()
    wanted = (condition.any_deps_updated() | is_lacking).since(handled)
    rests = condition.cron_tick_passed(quiet_cron).since(newly_updated)
    is_quiet = rests & ~condition.any_deps_in_progress()
    in_one_run = condition.any_deps_match(condition.will_be_requested())
    is_late = condition.cron_tick_passed(latest_cron)
    return (
        wanted.with_label("wanted")
        & (is_quiet.with_label("quiet") | in_one_run | is_late.with_label("late"))
        & ~condition.in_progress()
    ).with_label("once per quiet period")


def automated(
    definition: dg.AssetsDefinition, condition: dg.AutomationCondition[dg.AssetKey]
) -> dg.AssetsDefinition:
    """Let assets over all batches be made when a condition holds; others are made by sensors."""
    if definition.partitions_def is not None:
        return definition
    return definition.map_asset_specs(
        lambda spec: spec.replace_attributes(
            automation_condition=spec.automation_condition or condition
        )
    )


def with_report(definition: dg.AssetsDefinition, url: str, path: str) -> dg.AssetsDefinition:
    """Let the UI lead from each asset to what the check report says about it.

    Args:
        definition: of one or several assets.
        url: of the folder of reports; "" where nothing serves it.
        path: of the report as a page.
    """

    def leading(spec: dg.AssetSpec) -> dg.AssetSpec:
        page = f"{url.rstrip('/')}/{PurePath(path).name}#{spec.key.to_user_string()}"
        to = dg.MetadataValue.url(page) if url else dg.MetadataValue.path(path)
        return spec.merge_attributes(metadata={"check_report": to})

    return definition.map_asset_specs(leading)


def hand_over(
    context: dg.AssetExecutionContext, layout: Layout, made: Mapping[str, Mapping[str, Content]]
) -> Iterator[dg.Output[Mapping[str, Content]]]:
    """Return the outputs of a multi-asset, those that the run did not select among them.

    Tables that are filled by one pass over the data must agree, so one is never left behind: where
    a run selects only some, the others are committed all the same and reported as materialized.

    Args:
        context: of the multi-asset.
        layout: where the tables are.
        made: content of each batch by table, `<group>/<asset>`; the output is named as the asset.
    """
    for table, contents in made.items():
        key = asset_key(table)
        if key in context.selected_asset_keys:
            yield dg.Output(contents, output_name=key.path[-1])
            continue
        version = context.assets_def.specs_by_key[key].code_version
        for batch, content in contents.items():
            metadata = describe_commits([commit_content(layout, table, batch, content, version)])
            context.log_event(dg.AssetMaterialization(key, partition=batch, metadata=metadata))


def fan_out(
    function: Callable[[T], R],
    units: Iterable[T],
    *,
    workers: int,
    row_seconds: float,
    step: str = "",
) -> list[R]:
    """Run a function over units, in worker processes where there are several, and keep the order.

    For results that are counts and names of parts: they are all held at once. Where `step` has a
    name, it is reported how far it is as soon as that takes a while.
    """
    listed = list(units)
    pool = executor(len(listed), workers)
    done = in_order(pool, function, listed, row_seconds=row_seconds)
    if not step:
        return list(done)
    return list(reported(done, step, "portions of files", total=len(listed), is_brief=True))
