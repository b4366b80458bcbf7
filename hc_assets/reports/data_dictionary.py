"""The data dictionary: every table and column as Markdown, from the schemas.

Belongs here: rendering, and the command that writes the file. A column's meaning is stated once, in
each domain's schemas, and what it is made from beside it.
"""

import argparse
from pathlib import Path

import pyarrow as pa

from hc_assets.core.columns import note
from hc_assets.core.domain import Catalog
from hc_assets.core.lineage import described
from hc_assets.domains import CATALOG
from hc_assets.lake.layout import name_in_warehouse

_HEAD = """\
# Data dictionary

Generated from the schemas by `make docs`; a test holds it against them. Every table is a view or a
table of the same name in the DuckDB warehouse (`<group>.<asset>`), and those kept in Parquet lie in
`lake/<group>/<asset>/`; `fhir_views.<name>` in `lake/fhir/views/<name>/`. Units are UCUM codes.
`made from` names the columns that a column is made from, or the table alone where it is taken over
as it is; nothing where it comes from a landed file
or from the run, and for what is inside a struct.
"""


def render(catalog: Catalog) -> str:
    """Render all declared tables as Markdown."""
    sections = [_HEAD]
    for name in sorted(catalog.tables):
        kept = "DuckDB, changed in place" if name in catalog.state else "Parquet"
        sections.append(
            f"## {'.'.join(name_in_warehouse(name))}\n\nKept in {kept}.\n\n{_table(name, catalog)}"
        )
    return "\n".join(sections)


def _table(name: str, catalog: Catalog) -> str:
    lines = ["| column | type | unit | null | what | made from |", "| --- " * 6 + "|"]
    made_from = catalog.column_sources(name)
    for field in catalog.schemas[name]:
        lines += _lines(field, field.name, described(field.name, made_from[field.name]))
    return "\n".join(lines) + "\n"


def _lines(field: pa.Field, name: str, origin: str = "") -> list[str]:
    noted = note(field)
    struct = _struct_inside(field.type)
    type_ = "list of struct" if struct is not None else str(field.type)
    null = "yes" if field.nullable else "no"
    lines = [f"| `{name}` | {type_} | {noted.unit} | {null} | {noted.description} | {origin} |"]
    if struct is not None:
        for index in range(struct.num_fields):
            lines += _lines(struct.field(index), f"{name}[].{struct.field(index).name}")
    return lines


def _struct_inside(type_: pa.DataType) -> pa.StructType | None:
    if pa.types.is_list(type_) and pa.types.is_struct(type_.value_type):
        return type_.value_type
    return None


def main() -> None:
    """Write the dictionary to the file named on the command line."""
    parser = argparse.ArgumentParser(description="Write the data dictionary.")
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    arguments.file.write_text(render(CATALOG), encoding="utf-8")


if __name__ == "__main__":
    main()
