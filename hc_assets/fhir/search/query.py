"""A search as typed values: what a resource must be, and how the answer is to look.

Belongs here: the shapes only. They come from text in `parsing.py` and become SQL in `selection.py`.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from hc_assets.fhir.search.parameters import Parameter
from hc_assets.fhir.search.problems import Problem


class TokenTest(NamedTuple):
    """A code as it is asked for.

    Attributes:
        system: None where any will do, "" where there must be none.
        code: None where any will do; for `:text` the text, for `:in` the URL of the value set.
        value: for `:of-type`: the identifier's value; system and code are its type's.
    """

    system: str | None
    code: str | None
    value: str | None = None


class TextTest(NamedTuple):
    """A string as it is asked for."""

    text: str


class UriTest(NamedTuple):
    """A URI as it is asked for."""

    uri: str


class ReferenceTest(NamedTuple):
    """A reference as it is asked for; parts that are None may be anything."""

    type: str | None
    id: str | None
    url: str | None = None
    version: str | None = None


class DateTest(NamedTuple):
    """A time as it is asked for: microseconds from `low` to below `high`."""

    prefix: str
    low: int
    high: int


class NumberTest(NamedTuple):
    """A number as it is asked for.

    Attributes:
        prefix: such as `ge`; `eq` where none is written.
        low: the least number that rounds to it.
        high: what all that round to it are below.
        value: the number itself, which all prefixes but eq, ne and ap look at.
    """

    prefix: str
    low: Decimal
    high: Decimal
    value: Decimal


class QuantityTest(NamedTuple):
    """A quantity as it is asked for.

    Attributes:
        number: as it is written.
        system: of the unit; None where any will do.
        code: of the unit; None where any will do.
        base: the number in base units; None where the unit is not UCUM's.
        base_unit: what those are.
    """

    number: NumberTest
    system: str | None
    code: str | None
    base: NumberTest | None = None
    base_unit: str | None = None


SimpleTest = TokenTest | TextTest | UriTest | ReferenceTest | DateTest | NumberTest | QuantityTest


class CompositeTest(NamedTuple):
    """Values that must belong together, one of each component."""

    parts: tuple[SimpleTest, ...]


Test = SimpleTest | CompositeTest


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """A parameter has one of some values.

    Attributes:
        type: of the resource.
        parameter: that is looked at.
        modifier: without the colon; "" where there is none.
        tests: one of which must hold.
    """

    type: str
    parameter: Parameter
    modifier: str
    tests: tuple[Test, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Missing:
    """A parameter has no value, or has one."""

    type: str
    parameter: Parameter
    is_missing: bool


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """A reference leads to a resource of which one of some conditions holds."""

    type: str
    parameter: Parameter
    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True, eq=False)
class Has:
    """A resource of another type refers to it, of which a condition holds."""

    type: str
    parameter: Parameter
    condition: "Condition"
    target: str


Condition = Match | Missing | Chain | Has


@dataclass(frozen=True, slots=True)
class Compartment:
    """All resources of a type that belong to one resource.

    Attributes:
        type: of the resource that they belong to.
        id: its id.
        parameters: references of the other type, one of which must lead to it; none where only the
            resource itself belongs to its compartment.
    """

    type: str
    id: str
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class Sort:
    """A parameter that the answer is in the order of."""

    parameter: Parameter
    descending: bool


@dataclass(frozen=True, slots=True)
class Include:
    """Resources that the answer holds beside the matches.

    Attributes:
        type: of the resources whose references are followed.
        parameters: the references.
        target: type of what they lead to; None for any.
        reverse: whether the resources that refer are included, and not those referred to.
        iterate: whether to follow the references of what was included as well.
    """

    type: str
    parameters: tuple[Parameter, ...]
    target: str | None
    reverse: bool
    iterate: bool


@dataclass(frozen=True)
class Query:
    """A whole search.

    Attributes:
        type: of the matches.
        id: of the only match; None for any.
        compartment: that the matches belong to.
        conditions: all of which must hold.
        sorts: first first.
        count: matches a page; 0 for the total alone.
        total: whether the total is wanted.
        summary: `false`, `text`, `data` or `count`.
        elements: members that are wanted; none for all.
        includes: what else the answer holds.
        page: from the link of the page before; None for the first.
        link: the search without its page, as it was understood.
        dropped: what a lenient search goes on without.
    """

    type: str
    id: str | None = None
    compartment: Compartment | None = None
    conditions: tuple[Condition, ...] = ()
    sorts: tuple[Sort, ...] = ()
    count: int = 50
    total: bool = True
    summary: str = "false"
    elements: tuple[str, ...] = ()
    includes: tuple[Include, ...] = ()
    page: str | None = None
    link: str = ""
    dropped: tuple[Problem, ...] = field(default=())
