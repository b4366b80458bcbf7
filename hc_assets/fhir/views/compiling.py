"""Paths of a view as closures: FHIRPath's compiler, with what SQL on FHIR has otherwise.

Belongs here: `%rowIndex`, and `join` of nothing. All else that paths mean is in `fhir/fhirpath`.
"""

from dataclasses import dataclass

from hc_assets.fhir.fhirpath import TypeView
from hc_assets.fhir.fhirpath.compiler import Compiler
from hc_assets.fhir.fhirpath.functions.strings import VALUES as STRINGS
from hc_assets.fhir.fhirpath.model import Collection, Scope
from hc_assets.fhir.fhirpath.operators import Collect, Truth
from hc_assets.fhir.fhirpath.syntax import Constant, Expression, all_in
from hc_assets.fhir.views.constants import ROW_INDEX


def joined(scope: Scope, items: Collection, separator: Collection | None = None) -> Collection:
    """`join()`; of nothing it is an empty text, as SQL on FHIR's suite has it, and not nothing."""
    return STRINGS["join"].apply(scope, items, *([] if separator is None else [separator])) or [""]


class _PathCompiler(Compiler):
    """A compiler of paths of views."""

    def __init__(self, tree: Expression, types: TypeView, shortcuts: bool = True) -> None:
        super().__init__(tree, types, shortcuts)
        self._values = {**self._values, "join": STRINGS["join"]._replace(apply=joined)}


class _RowCompiler(_PathCompiler):
    """A compiler for which `%rowIndex` is what its environment keeps under that name."""

    def collect(self, expression: Expression) -> Collect:
        if expression == Constant(ROW_INDEX):
            return _row_index
        return super().collect(expression)


def _row_index(_: Collection, scope: Scope) -> Collection:
    return [scope.environment.kept[ROW_INDEX]]


@dataclass(frozen=True)
class ViewCompiler:
    """Compiles the paths of a view.

    What depends on the resource alone is otherwise evaluated once; with the number of a row in it,
    it is evaluated for each.

    Attributes:
        types: that the paths look at.
    """

    types: TypeView

    def _for(self, tree: Expression) -> Compiler:
        # One for each: it knows parts by their identity, which lasts only as long as the tree
        if Constant(ROW_INDEX) in all_in(tree):
            return _RowCompiler(tree, self.types, shortcuts=False)
        return _PathCompiler(tree, self.types)

    def collect(self, tree: Expression) -> Collect:
        """The closure that gives the collection of an expression.

        Raises:
            FhirPathSyntaxError: a function, constant or type that isn't known, or a wrong number of
                arguments.
        """
        return self._for(tree).collect(tree)

    def truth(self, tree: Expression) -> Truth:
        """The closure that gives the truth value of an expression.

        Raises:
            FhirPathSyntaxError: as for `collect`.
        """
        return self._for(tree).truth(tree)
