"""Which columns a column is made from, declared once per table and worked out from raw to export.

Belongs here: the shape of a declaration, and reading it. What the tables' columns are made from is
declared in each domain's `lineage.py`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa


class Source(NamedTuple):
    """A column that another one is made from."""

    table: str
    column: str


class UndeclaredLineageError(Exception):
    """A declaration names what is not there, or leaves a column out."""


@dataclass(frozen=True)
class Lineage:
    """What the columns of one table are made from.

    Attributes:
        carries: tables whose columns of the same name are taken over, the first that has it.
        made: for columns that are not taken over: `<table>.<column>` of each that it is made from;
            nothing where it comes from no table: from a landed file, the run, or a count.
        rest: the same for all columns that are neither; None where there must be no such column.
    """

    carries: tuple[str, ...] = ()
    made: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rest: tuple[str, ...] | None = None


def sources(
    table: str, lineage: Mapping[str, Lineage], schemas: "Mapping[str, pa.Schema]"
) -> dict[str, tuple[Source, ...]]:
    """Return the sources of each column of a table, in the order of the columns.

    Args:
        table: `<group>/<asset>`.
        lineage: declaration of each table, by name.
        schemas: of all tables, by name.

    Raises:
        UndeclaredLineageError: the table or a column of it is not declared, or the declaration
            refers to a table or column that does not exist.
    """
    if table not in lineage:
        raise UndeclaredLineageError(f"{table}: no lineage is declared")
    declared = lineage[table]
    unknown = sorted({*declared.made} - {*schemas[table].names})
    if unknown:
        raise UndeclaredLineageError(f"{table}: {', '.join(unknown)}: no such column")
    return {
        name: tuple(_sources(f"{table}.{name}", name, declared, schemas))
        for name in schemas[table].names
    }


def _sources(
    place: str, name: str, declared: Lineage, schemas: "Mapping[str, pa.Schema]"
) -> Iterator[Source]:
    if name not in declared.made:
        carrier = next((t for t in declared.carries if name in _columns(place, t, schemas)), None)
        if carrier is not None:
            yield Source(carrier, name)
            return
    named = declared.made.get(name, declared.rest)
    if named is None:
        raise UndeclaredLineageError(f"{place}: nothing says what it is made from")
    for each in named:
        table, _, column = each.rpartition(".")
        if column not in _columns(place, table, schemas):
            raise UndeclaredLineageError(f"{place}: made from {each}, which does not exist")
        yield Source(table, column)


def _columns(place: str, table: str, schemas: "Mapping[str, pa.Schema]") -> list[str]:
    if table not in schemas:
        raise UndeclaredLineageError(f"{place}: made from {table}, which does not exist")
    return list(schemas[table].names)


def described(name: str, made_from: tuple[Source, ...]) -> str:
    """Report what a column is made from, for people: `<table>: <column>, <column>; <table>: …`.

    Returns:
        The table alone where the column is taken over as it is; "" where there is no such column.
    """
    if len(made_from) == 1 and made_from[0].column == name:
        return made_from[0].table
    columns: dict[str, list[str]] = {}
    for source in made_from:
        columns.setdefault(source.table, []).append(source.column)
    return "; ".join(f"{table}: {', '.join(names)}" for table, names in columns.items())
