"""Rows of a view from one resource, by FHIRPath's closures: any path, whatever the resource holds.

Belongs here: what the parts of a ViewDefinition mean. The same at full speed, for the commonest
paths, is in `fast/source.py`; a property test holds the two together.
"""

from collections.abc import Callable, Iterator
from itertools import chain, product
from typing import Any

from hc_assets.fhir.fhirpath import (
    Collection,
    Environment,
    EvaluationError,
    Item,
    Node,
    TypeView,
    resource_node,
)
from hc_assets.fhir.fhirpath.model import Scope
from hc_assets.fhir.views.compiling import ViewCompiler
from hc_assets.fhir.views.constants import ROW_INDEX
from hc_assets.fhir.views.definition import Column, Path, Select, View
from hc_assets.fhir.views.values import KEEPERS, Kept, NotKeptError

Cell = Kept | None | list[Kept]
Row = tuple[Cell, ...]
# Of an element (none in a row of `forEachOrNull` without one), and its number among those of its
# select.
_Rows = Callable[[Collection, Environment, int], list[Row]]
_Foci = Callable[[Collection, Environment], list[Collection]]


class RefusedResourceError(Exception):
    """A resource that a view can't make rows of; says where in the view and why, without values."""


class ResourceRows:
    """Makes the rows of resources, one at a time."""

    def __init__(self, view: View, types: TypeView) -> None:
        """Compile a view.

        Args:
            view: that was read without faults.
            types: of R4.
        """
        self._resource = view.resource
        self._compiler = ViewCompiler(types)
        self._wheres = [(each.place, self._compiler.truth(each.tree)) for each in view.wheres]
        self._rows = _product([self._select(each) for each in view.selects])

    def __call__(self, resource: dict[str, Any]) -> list[Row]:
        """Make the rows of a resource; none of one that is of another type or filtered out.

        Args:
            resource: decoded, with decimals kept.

        Raises:
            RefusedResourceError: a path has no value on it, or several where one must be.
        """
        if resource.get("resourceType") != self._resource:
            return []
        node = resource_node(resource)
        environment = Environment(node, node, kept={ROW_INDEX: 0})
        focus: Collection = [node]
        place = ""
        try:
            for at, holds in self._wheres:
                place = at
                if holds(focus, Scope(environment, focus)) is not True:
                    return []
            return self._rows(focus, environment, 0)
        except EvaluationError as error:
            raise RefusedResourceError(f"{place or 'where'}: {error}") from error
        except (RecursionError, ArithmeticError) as error:
            raise RefusedResourceError(f"select: {type(error).__name__}") from error

    def _select(self, select: Select) -> _Rows:
        foci = self._foci(select)
        columns = [self._column(each) for each in select.columns]
        parts: list[_Rows] = [self._select(each) for each in select.selects]
        if select.unions:
            parts.append(_union([self._select(each) for each in select.unions]))
        below = _product(parts)

        def run(focus: Collection, environment: Environment, index: int) -> list[Row]:
            environment.kept[ROW_INDEX] = index
            found = [focus] if foci is None else foci(focus, environment)
            rows: list[Row] = []
            for number, each in enumerate(found):
                at = index if foci is None else number
                environment.kept[ROW_INDEX] = at
                own = tuple(column(each, environment) for column in columns)
                if parts:
                    rows += [own + row for row in below(each, environment, at)]
                else:
                    rows.append(own)
            return rows

        return run

    def _collect(self, path: Path) -> Callable[[Collection, Environment], Collection]:
        collect, place = self._compiler.collect(path.tree), path.place

        def run(focus: Collection, environment: Environment) -> Collection:
            try:
                return collect(focus, Scope(environment, focus))
            except EvaluationError as error:
                raise RefusedResourceError(f"{place}: {error}") from error

        return run

    def _foci(self, select: Select) -> _Foci | None:
        if select.repeat:
            return _repeated([self._collect(path) for path in select.repeat])
        if select.for_each is None:
            return None
        collect, or_null = self._collect(select.for_each), select.or_null

        def run(focus: Collection, environment: Environment) -> list[Collection]:
            found: list[Collection] = [[item] for item in collect(focus, environment)]
            return found or [[]] if or_null else found

        return run

    def _column(self, column: Column) -> Callable[[Collection, Environment], Cell]:
        collect, keep, place = self._collect(column.path), KEEPERS[column.family], column.path.place
        is_collection = column.is_collection

        def run(focus: Collection, environment: Environment) -> Cell:
            found = collect(focus, environment)
            try:
                if is_collection:
                    kept = (keep(item) for item in found)
                    return [value for value in kept if value is not None]
                if len(found) > 1:
                    raise NotKeptError("several values where the column holds one")
                return keep(found[0]) if found else None
            except NotKeptError as error:
                raise RefusedResourceError(f"{place}: {error}") from error

        return run


def _product(parts: list[_Rows]) -> _Rows:
    """Each row of one part with each of the others; the first part varies slowest."""
    if len(parts) == 1:
        return parts[0]

    def run(focus: Collection, environment: Environment, index: int) -> list[Row]:
        made = [part(focus, environment, index) for part in parts]
        return [tuple(chain.from_iterable(rows)) for rows in product(*made)]

    return run


def _union(parts: list[_Rows]) -> _Rows:
    def run(focus: Collection, environment: Environment, index: int) -> list[Row]:
        return [row for part in parts for row in part(focus, environment, index)]

    return run


def _repeated(paths: list[Callable[[Collection, Environment], Collection]]) -> _Foci:
    """Elements that the paths lead to, at any depth, each before those below it."""

    def run(focus: Collection, environment: Environment) -> list[Collection]:
        found: list[Collection] = []

        def children(of: Collection) -> Iterator[Item]:
            for path in paths:
                yield from path(of, environment)

        pending = [children(focus)]
        while pending:
            item = next(pending[-1], None)
            if item is None:
                pending.pop()
                continue
            found.append([item])
            if isinstance(item, Node):  # a computed value leads nowhere
                pending.append(children([item]))
        return found

    return run
