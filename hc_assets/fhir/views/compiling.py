"""Paths of a view as closures: FHIRPath's compiler, which besides knows the number of a row.

Belongs here: `%rowIndex`. All else that paths mean is in `fhir/fhirpath`.
"""

from dataclasses import dataclass

from hc_assets.fhir.fhirpath import TypeView
from hc_assets.fhir.fhirpath.compiler import Compiler
from hc_assets.fhir.fhirpath.model import Collection, Scope
from hc_assets.fhir.fhirpath.operators import Collect, Truth
from hc_assets.fhir.fhirpath.syntax import Constant, Expression, all_in
from hc_assets.fhir.views.constants import ROW_INDEX


class _RowCompiler(Compiler):
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
            return _RowCompiler(self.types, shortcuts=False)
        return Compiler(self.types)

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
