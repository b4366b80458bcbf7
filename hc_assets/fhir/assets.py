"""The FHIR assets, in the order of the data: raw, validated, enriched, current, exported.

Belongs here: wiring only. What happens to a row is in the module that each asset names.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial

import dagster as dg
import pyarrow as pa
from pydantic import Field

from hc_assets.fhir.bundles.text_streams import TextLimits
from hc_assets.fhir.bundles.workers import SplitWork, split_files
from hc_assets.fhir.domain import DOMAIN
from hc_assets.fhir.enrichment.enricher import EnrichmentOptions
from hc_assets.fhir.enrichment.expected_elements import EXPECTED_ELEMENTS
from hc_assets.fhir.enrichment.workers import enrich_rows, gather_facts, kept_index
from hc_assets.fhir.export import exports, kept_files
from hc_assets.fhir.export.ndjson import writing
from hc_assets.fhir.export.schemas import NDJSON_EXPORTS
from hc_assets.fhir.operations.companions import write_companions
from hc_assets.fhir.settings import FhirSettings
from hc_assets.fhir.validation.business_rules import BusinessRules
from hc_assets.fhir.validation.deletions import known_servers
from hc_assets.fhir.validation.let_through import LetThrough
from hc_assets.fhir.validation.profile_rules import digest, given_profiles
from hc_assets.fhir.validation.replay import Replay
from hc_assets.fhir.validation.resource_work import ResourceWork
from hc_assets.fhir.validation.wholes import issues_of_whole
from hc_assets.fhir.validation.workers import validate_rows
from hc_assets.fhir.versions import apply as versions
from hc_assets.fhir.versions import ledger as version_ledger
from hc_assets.lake.incremental import refuse_shrinking
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import LandedFile, read_manifest
from hc_assets.lake.tables import LakeTable, read_partition
from hc_assets.lake.warehouse import Warehouse
from hc_assets.orchestration.checks import selection
from hc_assets.orchestration.io_manager import Content, lineage_of
from hc_assets.orchestration.specs import (
    code_version,
    fan_out,
    hand_over,
    table_asset,
    table_spec,
    tables_asset,
)

_EXPORTS = "fhir/ndjson_exports"
_ENRICHED = dg.AssetKey(["fhir", "enriched_resources"])


def _key(name: str) -> dg.AssetKey:
    return dg.AssetKey(["fhir", name])


@table_asset(
    "fhir/raw_bundles",
)
def raw_bundles(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[FhirSettings],
    layout: dg.ResourceParam[Layout],
) -> dict[str, Content]:
    """Split the landed files of each batch into raw resources."""
    contents = {}
    limits = TextLimits.configured(settings)
    profiles = _profiles(settings)
    inputs = {"profiles": digest(profiles)} if profiles else {}
    for batch in context.partition_keys:
        manifest = read_manifest(layout, "fhir", batch)
        units = [
            SplitWork(str(layout.data_dir), batch, files, number, limits, manifest.source)
            for number, files in enumerate(_by_size(manifest.files, settings.chunk_bytes))
        ]
        parts = fan_out(
            partial(split_files, judge=partial(issues_of_whole, profiles=profiles)),
            units,
            workers=settings.workers,
            row_seconds=settings.row_seconds,
        )
        contents[batch] = Content(
            [part for of_unit in parts for part in of_unit],
            inputs={"manifest": manifest.content_sha256} | inputs,
        )
    return contents


def _profiles(settings: FhirSettings) -> tuple[str, ...]:
    return given_profiles(settings.fhir_profiles, settings.fhir_profile_for)


def _by_size(files: list[LandedFile], limit: int) -> list[tuple[LandedFile, ...]]:
    groups: list[list[LandedFile]] = []
    size = limit
    for file in files:
        if size >= limit:
            groups.append([])
            size = 0
        groups[-1].append(file)
        size += file.size
    return [tuple(group) for group in groups]


class JudgeConfig(dg.Config):
    """How a run judges."""

    replay: bool = Field(
        default=False,
        description="Judge only what is in quarantine; what is now valid is added to the rest.",
    )


@tables_asset(
    "validated_and_quarantined_resources",
    ["fhir/validated_resources", "fhir/quarantined_resources"],
    ins={"raw": dg.AssetIn(_key("raw_bundles"))},
)
def validated_and_quarantined_resources(
    context: dg.AssetExecutionContext,
    config: JudgeConfig,
    raw: LakeTable,
    settings: dg.ResourceParam[FhirSettings],
    layout: dg.ResourceParam[Layout],
) -> Iterator[dg.Output[Mapping[str, Content]]]:
    """Judge every raw resource against R4."""
    validated, quarantined = {}, {}
    let_through = LetThrough.of(settings.fhir_rules_as_warnings)
    rules = BusinessRules(settings.fhir_rules_as_errors, let_through)
    profiles = _profiles(settings)
    broken: Counter[str] = Counter()
    for batch in context.partition_keys:
        of_batch = raw.of(batch)
        before = Replay.of(layout, batch) if config.replay else None
        servers = known_servers(layout, of_batch)
        judging = partial(validate_rows, rules=rules, profiles=profiles, servers=servers)
        if before is not None:
            judging = partial(judging, only=before.waiting, first_number=before.first_number())
        judged = fan_out(
            judging,
            _resource_work(of_batch, batch, layout, settings),
            workers=settings.workers,
            row_seconds=settings.row_seconds,
        )
        inputs = of_batch.digests() | {
            "rules_as_errors": ",".join(sorted(rules.as_errors)),
            "rules_as_warnings": ",".join(let_through.entries()),
            "profiles": digest(profiles),
        }
        kept = [p for j in judged for p in j.validated]
        if before is None:
            validated[batch] = Content(kept, inputs)
        else:
            after = before.with_moved(kept, inputs)
            validated[batch] = Content(after.validated, after.inputs)
        quarantined[batch] = Content([p for j in judged for p in j.quarantined], inputs)
        broken.update(rule for j in judged for rule in j.broken_rules.elements())
    if _key("quarantined_resources") in context.selected_asset_keys:
        context.add_asset_metadata(
            {"issues_by_rule": dg.MetadataValue.json(dict(sorted(broken.items())))},
            asset_key=_key("quarantined_resources"),
        )
    yield from hand_over(
        context,
        layout,
        {"fhir/validated_resources": validated, "fhir/quarantined_resources": quarantined},
    )


def _resource_work(
    rows: LakeTable, batch: str, layout: Layout, settings: FhirSettings
) -> list[ResourceWork]:
    landed_at = datetime.fromisoformat(read_manifest(layout, "fhir", batch).landed_at)
    parts = tuple(str(path) for path in rows.parts())
    raw = read_partition(layout, "fhir/raw_bundles", batch)
    raw_parts = tuple(str(path) for path in raw.parts())
    return [
        ResourceWork(str(layout.data_dir), batch, unit, landed_at, parts, raw_parts)
        for unit in rows.work(settings.chunk_bytes)
    ]


@table_asset(
    "fhir/enriched_resources",
    deps=[_key("raw_bundles")],  # whose fullUrls references lead to
    ins={"validated": dg.AssetIn(_key("validated_resources"))},
)
def enriched_resources(
    context: dg.AssetExecutionContext,
    validated: LakeTable,
    settings: dg.ResourceParam[FhirSettings],
    layout: dg.ResourceParam[Layout],
) -> dict[str, Content]:
    """Add to each valid resource; change nothing else in it."""
    options = EnrichmentOptions(
        settings.fhir_source,
        settings.fhir_extension_base,
        {**EXPECTED_ELEMENTS, **settings.fhir_expected_elements},
    )
    profiles = _profiles(settings)
    of_profiles = {"profiles": digest(profiles)} if profiles else {}
    contents = {}
    for batch in context.partition_keys:
        of_batch = validated.of(batch)
        units = _resource_work(of_batch, batch, layout, settings)
        gathered = fan_out(
            gather_facts, units, workers=settings.workers, row_seconds=settings.row_seconds
        )
        with kept_index(layout, batch, gathered) as index:
            parts = fan_out(
                partial(enrich_rows, options=options, index=index, profiles=profiles),
                units,
                workers=settings.workers,
                row_seconds=settings.row_seconds,
            )
        inputs = of_batch.digests() | {"options": options.digest()} | of_profiles
        contents[batch] = Content([p for of_unit in parts for p in of_unit], inputs)
    return contents


@dg.multi_asset(
    name="resource_versions",
    can_subset=True,
    pool="warehouse",
    ins={"enriched": dg.AssetIn(_key("enriched_resources"))},
    specs=[
        table_spec("fhir/current_resources", deps=[_ENRICHED]),
        table_spec("fhir/resource_history", deps=[_ENRICHED]),
    ],
)
def resource_versions(
    context: dg.AssetExecutionContext,
    enriched: LakeTable,
    warehouse: dg.ResourceParam[Warehouse],
) -> Iterator[dg.MaterializeResult[None]]:
    """Take the batches that are new into the versions of resources."""
    with warehouse.write() as connection:
        version_ledger.refuse_lost_batches(connection, warehouse.layout, enriched)
        applied = versions.apply_batches(connection, enriched)
    batches = {
        "batches_applied": applied.batches,
        "batches_taken_back": applied.taken_back,
        "deliveries_compared": applied.compared,
        **{f"references unresolved: {error}": n for error, n in applied.unresolved.items()},
    }
    for name, rows in (("current_resources", applied.rows), ("resource_history", applied.versions)):
        counts = {"dagster/row_count": rows, "deleted": applied.deleted, **batches}
        metadata: dict[str, dg.MetadataValue] = {
            each: dg.MetadataValue.int(count) for each, count in counts.items()
        }
        metadata |= lineage_of(context.assets_def.specs_by_key[_key(name)])
        if _key(name) in context.selected_asset_keys:
            yield dg.MaterializeResult(asset_key=_key(name), metadata=metadata)
        else:  # both are views of one table
            context.log_event(dg.AssetMaterialization(_key(name), metadata=metadata))


@table_asset(
    _EXPORTS,
    deps=[
        _key("current_resources"),
        _key("quarantined_resources"),
        _key("provenance_resources"),
    ],
)
def ndjson_exports(
    layout: dg.ResourceParam[Layout],
    warehouse: dg.ResourceParam[Warehouse],
    settings: dg.ResourceParam[FhirSettings],
) -> Content:
    """Write the current resources as NDJSON by type, what is in quarantine, and a manifest.

    Beside it leave the Provenance of the batches and the definitions of our extensions.
    """
    folder = layout.exports("fhir")
    with writing(folder):
        with warehouse.read() as connection:
            inputs = version_ledger.inputs(connection)
            refuse_shrinking(layout, _EXPORTS, inputs, code_version(_EXPORTS))
            files = exports.export(connection, layout, folder, exports.options_of(settings))
        companions = write_companions(layout, settings.fhir_extension_base)
    rows = pa.Table.from_pylist([vars(file) for file in files], NDJSON_EXPORTS)
    return Content(rows, inputs | kept_files.noted(layout, companions))


ASSETS = [
    raw_bundles,
    validated_and_quarantined_resources,
    enriched_resources,
    resource_versions,
    ndjson_exports,
]

REPLAY_JOB = "replay_fhir"
_BATCH_TABLES = [table.name for table in DOMAIN.tables if table.per == "batch"]

JOBS = [
    dg.define_asset_job(
        REPLAY_JOB,
        selection=selection(_BATCH_TABLES[1:]),  # the raw rows stay
        config={"ops": {"validated_and_quarantined_resources": {"config": {"replay": True}}}},
        description="Judges a batch's quarantine again, and enriches what is now valid.",
    )
]
