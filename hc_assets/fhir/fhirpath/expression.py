"""One FHIRPath expression, read and compiled, ready to be asked of any node.

Belongs here: evaluation and its errors. The public face is the package's; whoever has resources and
no nodes takes `evaluator.py`.
"""

from collections.abc import Mapping

from hc_assets.fhir.fhirpath.compiler import NO_VARIABLES, Compiler
from hc_assets.fhir.fhirpath.errors import EvaluationError
from hc_assets.fhir.fhirpath.model import Collection, Environment, Node, Scope, TypeView
from hc_assets.fhir.fhirpath.parser import parse


class CompiledExpression:
    """An expression ready to be evaluated any number of times.

    Attributes:
        text: the expression as written.
    """

    __slots__ = ("_collect", "_truth", "text")

    def __init__(
        self,
        text: str,
        types: TypeView,
        shortcuts: bool = True,
        variables: Mapping[str, Collection] = NO_VARIABLES,
    ) -> None:
        """Compile; see `compile_expression`."""
        tree = parse(text)
        compiler = Compiler(tree, types, shortcuts, variables)
        self.text = text
        self._collect = compiler.collect(tree)
        self._truth = compiler.truth(tree)

    def evaluate(self, node: Node, environment: Environment) -> Collection:
        """All values of the expression on a node, in order.

        Args:
            node: what the expression looks at; also `%context`.
            environment: the node's context.

        Returns:
            Nodes for values of the data; str, bool, int, Decimal, Temporal and Quantity for
            computed ones.

        Raises:
            EvaluationError: the expression has no value on this data.
            UndecidableError: its value depends on what isn't at hand.
        """
        items: Collection = [node]
        try:
            return self._collect(items, Scope(environment, items))
        except RecursionError as error:
            raise EvaluationError("the data nests too deep") from error
        except ArithmeticError as error:
            raise EvaluationError("a number beyond what can be calculated with") from error

    def holds(self, node: Node, environment: Environment) -> bool:
        """Whether the expression, as an invariant, holds for a node.

        Only true counts: HL7's validator takes false and no value at all for a broken rule, and
        the published invariants are written for that (`x.empty() or …`). So a Period from
        2023-06-21 to 2023-06-21T06:20:00Z breaks per-1, since which of the two is earlier can't
        be decided (the validator's published test case encounter-period has it so).

        Raises:
            EvaluationError: the expression has no value on this data; HL7's validator counts that
                as broken too.
            UndecidableError: its value depends on what isn't at hand.
        """
        items: Collection = [node]
        try:
            return self._truth(items, Scope(environment, items)) is True
        except RecursionError as error:
            raise EvaluationError("the data nests too deep") from error
        except ArithmeticError as error:
            raise EvaluationError("a number beyond what can be calculated with") from error


def compile_expression(
    text: str,
    types: TypeView,
    shortcuts: bool = True,
    variables: Mapping[str, Collection] = NO_VARIABLES,
) -> CompiledExpression:
    """Compile an expression.

    Args:
        text: FHIRPath.
        types: the types of the data that it will look at.
        shortcuts: False to compile without the short cuts, for comparison; the meaning is the same.
        variables: values of constants of the caller's, without the percent sign.

    Raises:
        FhirPathSyntaxError: it isn't FHIRPath, is too large, or uses a function, constant or type
            that isn't known here.
    """
    return CompiledExpression(text, types, shortcuts, variables)
