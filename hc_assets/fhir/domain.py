"""FHIR as the rest of the house knows it: its files, its tables, and where the rest of it is.

Belongs here: the declaration only. Columns are in `schemas.py`, bodies of assets in `assets.py`.
Imports neither Dagster nor NumPy.
"""

from hc_assets.core.domain import Domain, Kind, Table
from hc_assets.fhir.bundles.formats import other_format
from hc_assets.fhir.search_index import search_tables
from hc_assets.fhir.settings import FhirSettings
from hc_assets.fhir.views.declared import view_tables

_SCHEMAS = "hc_assets.fhir.schemas:TABLES"

FHIR_FILES = Kind(
    "fhir",
    suffixes={".ndjson": "application/fhir+ndjson", ".json": "application/fhir+json"},
    looks_like=lambda head: b'"resourceType"' in head,
    has_sources=True,
    other_format=other_format,
)

_TABLES = (
    Table(
        "fhir/raw_bundles",
        _SCHEMAS,
        row="One row per bundle entry, NDJSON line or single resource, as received, Bundles and "
        "Parameters taken apart at any depth; a file that can't be split is one row with the "
        "reason, and so is a Bundle that is wrong as a whole, behind its entries.",
        layer="raw",
        per="batch",
        kinds=frozenset({"fhir", "parquet"}),
    ),
    Table(
        "fhir/validated_resources",
        _SCHEMAS,
        row="One row per resource that is valid R4, as received, with the warnings and the "
        "patient and encounter that it belongs to.",
        layer="core",
        per="batch",
        kinds=frozenset({"fhir", "parquet"}),
    ),
    Table(
        "fhir/quarantined_resources",
        _SCHEMAS,
        row="One row per entry that is not valid R4, or that is valid and no data, as received, "
        "with every reason.",
        layer="core",
        per="batch",
        kinds=frozenset({"fhir", "parquet"}),
    ),
    Table(
        "fhir/enriched_resources",
        _SCHEMAS,
        row="One row per valid resource with what the pipeline knows of it added: id and "
        "meta where it had none, age and risk factors of patients, significance of "
        "values, quality scores.",
        layer="core",
        per="batch",
        kinds=frozenset({"fhir", "parquet"}),
    ),
    Table(
        "fhir/provenance_resources",
        _SCHEMAS,
        row="One row per batch and step: the FHIR Provenance that names the version of the "
        "code, the hashes of what it read and made, and the counts.",
        layer="out",
        per="batch",
        kinds=frozenset({"fhir", "parquet"}),
    ),
    Table(
        "fhir/current_resources",
        _SCHEMAS,
        row="One row per source, resource type and id: its latest version over all batches.",
        layer="core",
        per="all",
        kinds=frozenset({"duckdb", "fhir"}),
        kept="duckdb",
    ),
    Table(
        "fhir/resource_history",
        _SCHEMAS,
        row="One row per version of a resource, its deletions among them.",
        layer="core",
        per="all",
        kinds=frozenset({"duckdb", "fhir"}),
        kept="duckdb",
    ),
    Table(
        "fhir/ndjson_exports",
        _SCHEMAS,
        row="One row per NDJSON file in exports/fhir, a Bulk Data export of the current resources.",
        layer="out",
        per="all",
        kinds=frozenset({"fhir", "parquet"}),
    ),
    Table(
        "fhir/pipeline_metrics",
        _SCHEMAS,
        row="One row per batch: entries, valid and quarantined, by type and by rule; "
        "quality, time and throughput.",
        layer="out",
        per="all",
        kinds=frozenset({"fhir", "parquet"}),
    ),
)

DOMAIN = Domain(
    name="fhir",
    kinds=(FHIR_FILES,),
    tables=(*_TABLES, *view_tables(), *search_tables()),
    settings=FhirSettings,
    wiring=(
        "hc_assets.fhir.assets",
        "hc_assets.fhir.checks",
        "hc_assets.fhir.operations.assets",
        "hc_assets.fhir.operations.checks",
        "hc_assets.fhir.search.stored.assets",
        "hc_assets.fhir.search.stored.checks",
        "hc_assets.fhir.views.assets",
        "hc_assets.fhir.views.checks",
    ),
    jobs="hc_assets.fhir.assets:JOBS",
    commands="hc_assets.fhir.commands",
    ready="hc_assets.fhir.validation.profile_rules:refuse_unusable",
    sample="hc_assets.sample_data.write:write_and_describe",
    state="hc_assets.fhir.versions.tables:create_tables",
    rebuild="hc_assets.fhir.versions.apply:rebuild",
    exports="hc_assets.fhir.export.kept_files:exports",
    taken_in="hc_assets.fhir.versions.ledger:inputs",
)
