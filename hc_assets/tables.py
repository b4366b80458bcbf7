"""Every table of the project with its schema and lineage, for the IO manager, views, UI and docs.

Belongs here: collecting them. Each domain's `schemas.py` says what is in its own, its `lineage.py`
what that is made from.
"""

from collections.abc import Mapping

import pyarrow as pa

from hc_assets.fhir import lineage as fhir_lineage
from hc_assets.fhir import schemas as fhir
from hc_assets.imaging.schemas import index as imaging
from hc_assets.imaging.schemas import lineage as imaging_lineage
from hc_assets.lake.lineage import Lineage, Source, sources

PARQUET_TABLES: Mapping[str, pa.Schema] = {**fhir.TABLES, **imaging.TABLES}
STATE_TABLES: Mapping[str, pa.Schema] = {**fhir.STATE_TABLES}
LINEAGE: Mapping[str, Lineage] = {**fhir_lineage.LINEAGE, **imaging_lineage.LINEAGE}


def column_sources(table: str) -> dict[str, tuple[Source, ...]]:
    """Give the columns that each column of a table is made from; {} where none are declared."""
    if table not in LINEAGE:
        return {}
    return sources(table, LINEAGE, {**PARQUET_TABLES, **STATE_TABLES})
