"""The shape of a FHIRPath expression once read.

Belongs here: the syntax tree's nodes. How text becomes a tree belongs to `parser.py`, what
a tree means to `compiler.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
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
    position: int = field(compare=False, repr=False)


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


# Functions whose arguments are worked out for each item, or for all, of what they are applied to.
LOOKING_AT_EACH = frozenset(
    {
        *("where", "select", "all", "exists", "repeat", "repeatAll", "aggregate", "iif", "trace"),
        *("sort", "coalesce"),
    }
)
DECIDING = frozenset({"resource", "rootResource", "context"})
# Constants that are texts: FHIRPath's and FHIR's URLs.
TEXTS = frozenset({"ucum", "sct", "loinc"})
TEXT_PREFIXES = ("vs-", "ext-")


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


def all_in(expression: Expression) -> Iterator[Expression]:
    """An expression and all that it is made of."""
    pending = [expression]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(parts(node))


def uses_variable(expression: Expression, name: str) -> bool:
    """Whether a variable such as `index` occurs anywhere in an expression."""
    return any(isinstance(node, Variable) and node.name == name for node in all_in(expression))


def fixed_by(expression: Expression) -> frozenset[str]:
    """The constants that alone decide what an expression gives, wherever it is evaluated.

    Args:
        expression: any node of a tree.

    Returns:
        Of `resource`, `rootResource` and `context` those that it depends on; none where it depends
        on what is looked at, or is a constant as it stands.
    """
    pending = [expression]
    found: set[str] = set()
    while pending:
        match pending.pop():
            case Variable() | Member(None, _) | Call(None, _, _, _):
                return frozenset()
            case node if _is_followed(node):
                return frozenset()
            case Constant(name) if _is_text(name) or name in DECIDING:
                found.add(name)
            case Constant():
                return frozenset()  # a variable: what it gives isn't known here
            case Call(base, name, arguments, _) if name in LOOKING_AT_EACH and base is not None:
                pending.append(base)
                for argument in arguments:
                    # Its members and $this are those of each item; $index and $total may be of
                    # a function around it.
                    if uses_variable(argument, "index") or uses_variable(argument, "total"):
                        return frozenset()
                    if any(_is_followed(each) or _varies(each) for each in all_in(argument)):
                        return frozenset()
                    found |= {e.name for e in all_in(argument) if isinstance(e, Constant)}
            case Call(base, "as" | "ofType" | "is" | "getReferenceKey", _, _) if base is not None:
                pending.append(base)
            case node:
                pending.extend(parts(node))
    return frozenset(found & DECIDING)


def _is_followed(expression: Expression) -> bool:
    """Whether it leads to what may not be at hand, which whoever asks counts."""
    return isinstance(expression, Call) and expression.name in ("resolve", "conformsTo")


def _is_text(name: str) -> bool:
    return name in TEXTS or name.startswith(TEXT_PREFIXES)


def _varies(expression: Expression) -> bool:
    """Whether it is a variable of the caller's, or of `defineVariable`."""
    if not isinstance(expression, Constant):
        return False
    return not _is_text(expression.name) and expression.name not in DECIDING


def defined_in(expression: Expression) -> frozenset[str]:
    """Names of the variables that an expression defines."""
    return frozenset(
        str(call.arguments[0].value)
        for call in all_in(expression)
        if isinstance(call, Call)
        and call.name == "defineVariable"
        and call.arguments
        and isinstance(call.arguments[0], Literal)
    )
