"""Every Parquet table of the project with its schema, for the IO manager, the views and the docs.

Belongs here: collecting them. Each domain's `schemas.py` says what is in its own.
"""

from collections.abc import Mapping

import pyarrow as pa

from hc_assets.fhir.schemas import TABLES as FHIR_TABLES

PARQUET_TABLES: Mapping[str, pa.Schema] = {**FHIR_TABLES}
