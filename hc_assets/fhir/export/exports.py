"""An export of the warehouse's state: full, or of what came since a batch.

Belongs here: putting rows and files together, for the asset and for the command line. The rows are
in `exported_rows.py`, the files in `ndjson.py`.
"""

from datetime import UTC, datetime
from urllib.parse import urlencode

import duckdb
from upath import UPath

from hc_assets.fhir.export.exported_rows import (
    batches_since,
    current_lines,
    deleted_lines,
    outcome_lines,
)
from hc_assets.fhir.export.ndjson import (
    Compression,
    ExportedFile,
    ExportOptions,
    Stated,
    write_export,
    writing,
)
from hc_assets.fhir.settings import FhirSettings
from hc_assets.lake.layout import Layout
from hc_assets.lake.manifests import read_manifest
from hc_assets.lake.tables import read_partitions
from hc_assets.lake.warehouse import Warehouse

# R4 has no word for "nothing was ever taken in", and transactionTime is required.
_BEFORE_EVERYTHING = datetime(1970, 1, 1, tzinfo=UTC).isoformat()


def options_of(settings: FhirSettings) -> ExportOptions:
    """Take the options of exports from the settings."""
    return ExportOptions(
        settings.export_split_bytes,
        Compression(settings.export_compression),
        settings.export_base_url,
        settings.fhir_source,
    )


def export(
    connection: duckdb.DuckDBPyConnection,
    layout: Layout,
    folder: UPath,
    options: ExportOptions,
    *,
    since: str | None = None,
) -> list[ExportedFile]:
    """Export current resources, and OperationOutcomes of what is in quarantine, inside `writing`.

    Args:
        connection: to the warehouse.
        layout: of the lake that holds the quarantine.
        folder: of the export.
        options: of the files.
        since: a batch; only what batches taken in after it brought, with what they deleted. All
            current resources where None: who starts from nothing has nothing to delete.

    Returns:
        The files that were written.

    Raises:
        UnknownBatchError: the batch was not taken in.
    """
    batches = batches_since(connection, since)
    quarantined = read_partitions(layout, "fhir/quarantined_resources").only(batches)
    return write_export(
        folder,
        Stated(_landed_at(layout, batches or ([since] if since else [])), _request(layout, since)),
        output=current_lines(connection, since),
        deleted=() if since is None else deleted_lines(connection, since, source=options.source),
        errors=outcome_lines(quarantined),
        options=options,
    )


def _landed_at(layout: Layout, batches: list[str]) -> str:
    """Landing time of the last batch: the state that an export holds is as of then."""
    # Keys begin with the time of landing
    return read_manifest(layout, "fhir", max(batches)).landed_at if batches else _BEFORE_EVERYTHING


def _request(layout: Layout, since: str | None) -> str:
    """What a Bulk Data client would have asked a server for."""
    parameters = {"_outputFormat": "application/fhir+ndjson"}
    if since is not None:
        parameters["_since"] = _landed_at(layout, [since])
    return f"urn:hc-assets:$export?{urlencode(parameters)}"


def export_to(
    settings: FhirSettings, warehouse: Warehouse, folder: UPath, since: str | None
) -> list[ExportedFile]:
    """Export the current resources of a deployment to a folder.

    Args:
        settings: of the deployment.
        warehouse: that holds them.
        folder: that is written.
        since: key of a batch, where only what came after it is wanted.

    Raises:
        UnknownBatchError: `since` names a batch that was not taken in.
    """
    with writing(folder), warehouse.read() as connection:
        return export(connection, warehouse.layout, folder, options_of(settings), since=since)
