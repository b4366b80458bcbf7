"""What a ViewDefinition says once read: columns, what they are repeated for, what is filtered.

Belongs here: the shape alone. Reading it from JSON, with all that can be wrong with it, is in
`reading.py`; running it is in `rows.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from hc_assets.core.errors import UsageError
from hc_assets.fhir.fhirpath.syntax import Expression

Family = Literal["text", "boolean", "integer", "decimal"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a view, and where.

    Attributes:
        place: path in the document, as `select[0].column[1].path`; "" for the document itself.
        text: what was found and what was expected.
    """

    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" if self.place else self.text


class ViewFaultsError(UsageError):
    """A ViewDefinition is faulty.

    Attributes:
        view: its name, or the file's.
        faults: all that was found.
    """

    def __init__(self, view: str, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(f"{view}: {fault}" for fault in faults))
        self.view, self.faults = view, faults


@dataclass(frozen=True, slots=True)
class Path:
    """A FHIRPath expression of a view, its constants put in.

    Attributes:
        text: as written.
        tree: as parsed.
        place: where in the document it stands.
    """

    text: str
    tree: Expression
    place: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a view.

    Attributes:
        name: of it.
        path: of its value.
        type: FHIR type that is stated; "" where none is.
        family: how values are kept: text, as which decimals and dates keep all that was written,
            whole numbers or booleans; `decimal` is text that is a number.
        is_collection: whether it may hold several values.
        description: in the author's words; "" where there are none.
    """

    name: str
    path: Path
    type: str
    family: Family
    is_collection: bool
    description: str


@dataclass(frozen=True, slots=True)
class Select:
    """Columns that are made from the same element, with those below it.

    Attributes:
        for_each: what is repeated for; None where rows are made of the element itself.
        or_null: whether there is a row without an element where `for_each` gives none.
        repeat: paths that are followed from each element that they lead to, at any depth.
        columns: of each element.
        selects: whose rows are combined with those of the columns.
        unions: whose rows stand one below the other.
    """

    for_each: Path | None
    or_null: bool
    repeat: tuple[Path, ...]
    columns: tuple[Column, ...]
    selects: tuple["Select", ...]
    unions: tuple["Select", ...]

    def all_columns(self) -> Iterator[Column]:
        """Columns of its rows, in order."""
        yield from self.columns
        for each in self.selects:
            yield from each.all_columns()
        if self.unions:
            yield from self.unions[0].all_columns()


@dataclass(frozen=True, slots=True)
class View:
    """A ViewDefinition.

    Attributes:
        name: of the view; "" where it has none.
        resource: type of the resources that it is made of.
        title: what a row is, in the author's words; "" where there are none.
        selects: whose rows are combined.
        wheres: what must be true of a resource.
    """

    name: str
    resource: str
    title: str
    selects: tuple[Select, ...]
    wheres: tuple[Path, ...]

    def columns(self) -> tuple[Column, ...]:
        """Columns of its rows, in order."""
        return tuple(column for select in self.selects for column in select.all_columns())
