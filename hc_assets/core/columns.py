"""Columns with a description and a unit, so that one schema serves files, checks, UI and docs.

Belongs here: how a column is declared and read back. The columns themselves belong to each
domain's `fhir/schemas.py`.
"""

from dataclasses import dataclass

import pyarrow as pa

_DESCRIPTION = b"description"
_UNIT = b"unit"


@dataclass(frozen=True)
class ColumnNote:
    """What a reader should know of a column: a sentence, and the unit ("" where there is none)."""

    description: str
    unit: str


def column(
    name: str, type_: pa.DataType, description: str, *, unit: str = "", nullable: bool = True
) -> pa.Field:
    """Declare a column.

    Args:
        name: the column's name, in snake case.
        type_: its Arrow type.
        description: one sentence: what a value is, and what null means where it can be null.
        unit: UCUM unit of the values; "" where there is none.
        nullable: False where every row has a value.

    Returns:
        An Arrow field that carries description and unit in its metadata, and so into Parquet.
    """
    return pa.field(
        name, type_, nullable=nullable, metadata={_DESCRIPTION: description, _UNIT: unit}
    )


def note(field: pa.Field) -> ColumnNote:
    """Return the arguments of `column` for a field.

    Raises:
        KeyError: the field was not made by `column`.
    """
    metadata = field.metadata or {}
    return ColumnNote(metadata[_DESCRIPTION].decode(), metadata[_UNIT].decode())
