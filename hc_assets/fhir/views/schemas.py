"""Columns of the tables of views, each from its ViewDefinition.

Belongs here: schemas and lineage, made when they are asked for: reading a view takes the
definitions of R4. Which views there are is in `declared.py`.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256

import pyarrow as pa

from hc_assets.core.columns import column
from hc_assets.core.lineage import Lineage
from hc_assets.core.table_schema import TableSchema
from hc_assets.fhir.views.declared import PREFIX, view_files
from hc_assets.fhir.views.definition import View
from hc_assets.fhir.views.reading import read_view
from hc_assets.fhir.views.table import arrow_schema

# Counted up when the same view gives other rows of the same resources.
_VERSION = "1"
_CURRENT = "fhir/current_resources"
SOURCE = column(
    "source",
    pa.string(),
    "Source that the resource is of: with a key, what tables of views are joined by; null where"
    " nothing names one",
)


@cache
def declared_view(name: str) -> View:
    """A view by the name of its table.

    Raises:
        ViewFaultsError: with all that is wrong with it.
        KeyError: there is none of that name.
    """
    file = view_files()[name]
    return read_view(file.read_bytes(), str(file))


def table_schema(view: View) -> pa.Schema:
    """Columns of a view's table: those of the view, and the source, where it has none."""
    schema = arrow_schema(view)
    return schema if SOURCE.name in schema.names else schema.append(SOURCE)


class _ViewTables(Mapping[str, TableSchema]):
    """Schema of each view's table by its name, read when it is asked for."""

    def __init__(self) -> None:
        self._read: dict[str, TableSchema] = {}

    def __getitem__(self, table: str) -> TableSchema:
        if table not in self._read:
            name = table.removeprefix(PREFIX)
            schema = table_schema(declared_view(name))
            digest = sha256(view_files()[name].read_bytes()).hexdigest()
            made = dict.fromkeys(schema.names, (f"{_CURRENT}.resource",))
            if SOURCE in schema:
                made[SOURCE.name] = (f"{_CURRENT}.{SOURCE.name}",)
            version = f"{_VERSION}.{digest[:8]}"
            self._read[table] = TableSchema(schema, Lineage(made=made), version)
        return self._read[table]

    def __iter__(self) -> Iterator[str]:
        return (f"{PREFIX}{name}" for name in view_files())

    def __len__(self) -> int:
        return len(view_files())


TABLES: Mapping[str, TableSchema] = _ViewTables()
