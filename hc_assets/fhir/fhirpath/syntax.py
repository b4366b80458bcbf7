"""The shape of a FHIRPath expression once read.

Belongs here: the syntax tree's nodes. How text becomes a tree belongs to `parser.py`, what
a tree means to `compiler.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from hc_assets.fhir.fhirpath.values import Quantity, Temporal


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant: string, boolean, number, date or time, quantity."""

    value: str | bool | int | Decimal | Temporal | Quantity


@dataclass(frozen=True, slots=True)
class EmptyCollection:
    """`{}`."""


@dataclass(frozen=True, slots=True)
class Variable:
    """`$this`, `$index` or `$total`; the name is kept without the dollar."""

    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    """`%resource`, `%ucum` and so on; the name is kept without the percent sign."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """A step to the children of that name; without a base it starts at what is looked at."""

    base: "Expression | None"
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function call; without a base it is applied to what is looked at."""

    base: "Expression | None"
    name: str
    arguments: tuple["Expression", ...]
    position: int


@dataclass(frozen=True, slots=True)
class Indexer:
    """`base[index]`."""

    base: "Expression"
    index: "Expression"


@dataclass(frozen=True, slots=True)
class Unary:
    """`+operand` or `-operand`."""

    operator: str
    operand: "Expression"


@dataclass(frozen=True, slots=True)
class Operation:
    """An infix operator with its operands, left to right.

    `and`, `or`, `|`, `+` and `&` have two operands or more, any other operator has two.
    """

    operator: str
    operands: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class TypeOperation:
    """`operand is type` or `operand as type`; the type may carry its namespace (`FHIR.uri`)."""

    operator: str
    operand: "Expression"
    type_name: str


Expression = (
    Literal
    | EmptyCollection
    | Variable
    | Constant
    | Member
    | Call
    | Indexer
    | Unary
    | Operation
    | TypeOperation
)


def parts(expression: Expression) -> Iterator[Expression]:
    """The expressions that this one is directly made of.

    Args:
        expression: any node of a tree.

    Yields:
        Base, index, operands and arguments, as far as it has them.
    """
    match expression:
        case Member(base, _):
            if base is not None:
                yield base
        case Call(base, _, arguments, _):
            if base is not None:
                yield base
            yield from arguments
        case Indexer(base, index):
            yield base
            yield index
        case Unary(_, operand) | TypeOperation(_, operand, _):
            yield operand
        case Operation(_, operands):
            yield from operands
        case _:
            return


def uses_variable(expression: Expression, name: str) -> bool:
    """Whether a variable such as `index` occurs anywhere in an expression."""
    pending = [expression]
    while pending:
        node = pending.pop()
        if isinstance(node, Variable) and node.name == name:
            return True
        pending.extend(parts(node))
    return False
