"""What an index holds of a resource: one value of a search parameter, by the parameter's type.

Belongs here: the shapes of values. How elements become values is in the modules named for them.
"""

from decimal import Decimal
from typing import NamedTuple


class Token(NamedTuple):
    """A code, or what is searched like one.

    Attributes:
        system: of the code; None where it has none.
        code: None for a text alone.
        text: that people see: a display, the text of a concept or of an identifier's type.
        types: of an identifier: system and code of each coding of its type.
    """

    system: str | None
    code: str | None
    text: str | None = None
    types: tuple[tuple[str | None, str | None], ...] = ()


class Text(NamedTuple):
    """A string.

    Attributes:
        normal: without case, accents and widths of spaces: what a plain search looks at.
        exact: as it stands.
    """

    normal: str
    exact: str


class Reference(NamedTuple):
    """A reference to another resource.

    Attributes:
        type: of the resource, as far as the reference says it.
        id: of a resource of this server; None for any other reference.
        version: that the reference names, if any.
        url: an absolute or canonical URL without its version, or `#id`; None for `Type/id`.
        identifier: system and value of its identifier; None without one.
    """

    type: str | None
    id: str | None
    version: str | None = None
    url: str | None = None
    identifier: tuple[str | None, str | None] | None = None


class Interval(NamedTuple):
    """A time.

    Attributes:
        low: its first microsecond since 1970 in UTC; None where it has no beginning.
        high: the first microsecond after it; None where it has no end.
    """

    low: int | None
    high: int | None


class Number(NamedTuple):
    """A number, as an interval: all that round to it as it is written.

    Attributes:
        low: the least of them; None where a range is open.
        high: what all of them are below; None where a range is open.
        value: the number itself; None for a range.
    """

    low: Decimal | None
    high: Decimal | None
    value: Decimal | None = None


class Amount(NamedTuple):
    """A quantity, as an interval.

    Attributes:
        low: the least number; None where there is none below.
        high: what all are below; None where there is none above.
        system: of the unit's code.
        code: of the unit, or a currency.
        unit: for people.
        base_low: the least in base units; None where the unit is not UCUM's, too.
        base_high: what all are below in base units.
        base_unit: such as `g.m-3`; None where the unit is not UCUM's.
        value: the number itself; None for a range, and where a comparator opens it.
        base_value: that number in base units.
    """

    low: Decimal | None
    high: Decimal | None
    system: str | None
    code: str | None
    unit: str | None
    base_low: Decimal | None = None
    base_high: Decimal | None = None
    base_unit: str | None = None
    value: Decimal | None = None
    base_value: Decimal | None = None


class Uri(NamedTuple):
    """A URI, as it stands."""

    uri: str


Simple = Token | Text | Reference | Interval | Number | Amount | Uri


class Composite(NamedTuple):
    """Values that belong together, one of each component."""

    parts: tuple[Simple, ...]


Value = Simple | Composite
