"""Every table of the project with its schema, for the IO manager, the views and the docs.

Belongs here: collecting them. Each domain's `schemas.py` says what is in its own.
"""

from collections.abc import Mapping

import pyarrow as pa

from hc_assets.fhir import schemas as fhir
from hc_assets.imaging import schemas as imaging

PARQUET_TABLES: Mapping[str, pa.Schema] = {**fhir.TABLES, **imaging.TABLES}
STATE_TABLES: Mapping[str, pa.Schema] = {**fhir.STATE_TABLES}
