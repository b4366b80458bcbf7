"""Random FHIRPath over random resources, for comparison with another evaluator.

Belongs here: what is drawn. It keeps to what both evaluators define alike: numbers that a double
holds, dates without the rules in which versions of the standard differ.
"""

import random
from typing import Any

_FAMILIES = ("Chalmers", "Windsor", "O'Neil", "Z", "")
_GIVEN = ("Peter", "James", "Jim", "jim")
_USES = ("official", "usual", "old")
_UNITS = (("g", "g"), ("mg", "mg"), ("kg", "kg"), ("cm", "cm"), ("[in_i]", "in"))
_DATES = ("1974", "1974-12", "1974-12-25", "1980-01-01", "1980-02-29")
_TIMES = ("2015-02-07T13:28:17Z", "2015-02-07T13:28:17.239+02:00", "2015-02-07T13:28:17-05:00")


def resource(chance: random.Random) -> dict[str, Any]:
    """A Patient or an Observation with some of their elements."""
    return _patient(chance) if chance.random() < 0.5 else _observation(chance)


def _some(chance: random.Random, most: int, make: Any) -> list[Any]:
    return [make() for _ in range(chance.randint(0, most))]


def _kept(members: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """Members that hold anything, less some."""
    return {name: value for name, value in members.items() if value and chance.random() < 0.8}


def _patient(chance: random.Random) -> dict[str, Any]:
    def name() -> dict[str, Any]:
        given = _some(chance, 3, lambda: chance.choice(_GIVEN))
        members = {"use": chance.choice(_USES), "family": chance.choice(_FAMILIES), "given": given}
        return _kept(members, chance) or {"text": "t"}

    def telecom() -> dict[str, Any]:
        system, rank = chance.choice(("phone", "email")), chance.randint(1, 3)
        return {"system": system, "value": str(chance.randint(1, 9)), "rank": rank}

    members = {
        "id": "p1",
        "active": chance.random() < 0.5,
        "gender": chance.choice(("male", "female")),
        "birthDate": chance.choice(_DATES),
        "multipleBirthInteger": chance.randint(1, 3),
        "name": _some(chance, 3, name),
        "telecom": _some(chance, 3, telecom),
        "link": _some(chance, 2, lambda: {"other": {"reference": "Patient/p1"}, "type": "refer"}),
    }
    return {"resourceType": "Patient", **_kept(members, chance)}


def _observation(chance: random.Random) -> dict[str, Any]:
    def quantity() -> dict[str, Any]:
        code, unit = chance.choice(_UNITS)
        system = "http://unitsofmeasure.org"
        value = chance.choice((1, 2, 1000, 0.5, 2.54, 100))
        return {"value": value, "unit": unit, "system": system, "code": code}

    def coding() -> dict[str, Any]:
        return {"system": "s", "code": chance.choice("abc")}

    def component() -> dict[str, Any]:
        return {"code": {"coding": [coding()]}, "valueQuantity": quantity()}

    members = {
        "status": chance.choice(("final", "amended")),
        "code": {"coding": _some(chance, 2, coding) or [coding()], "text": "t"},
        "effectiveDateTime": chance.choice(_TIMES + _DATES),
        "valueQuantity": quantity(),
        "component": _some(chance, 3, component),
    }
    return {"resourceType": "Observation", **_kept(members, chance)}


_TEXTS = (
    *("name.given", "name.family", "gender", "telecom.value", "status", "code.coding.code"),
    *("component.code.coding.code", "code.text", "telecom.system", "name.use", "'Jim'", "''"),
)
_NUMBERS = (
    *("telecom.rank", "value.value", "component.value.value", "multipleBirth", "1", "2.5", "-3"),
    *(
        "name.count()",
        "0",
        "value.value.lowBoundary()",
        "2.54.highBoundary(1)",
        "name.given.count()",
    ),
)
_TRUTHS = ("active", "true", "false", "{}", "name.exists()", "component.value.empty()")
_TEMPORALS = (
    *("birthDate", "effective", "@1974-12-25", "@1980", "@1980-02"),
    *("@2015-02-07T13:28:17Z", "@T10:30:00"),
)
_QUANTITIES = (
    *("value", "component.value", "1 'kg'", "1000 'g'", "2.54 'cm'", "1 '[in_i]'", "7 days"),
    *("1 week", "1 year", "12 months"),
)
_COMPLEX = ("name", "telecom", "component", "code.coding", "$this", "name[0]")
_TO_TEXT = (
    *("upper()", "lower()", "substring(1)", "substring(0, 2)", "trim()", "replace('i', '-')"),
    *("replaceMatches('[a-m]+', 'x')", "toString()", "encode('base64')", "encode('hex')"),
    *("escape('html')", "first()", "last()", "single()"),
)
_TO_NUMBER = (*("abs()", "ceiling()", "floor()", "truncate()", "first()", "sqrt()", "power(2)"),)
_OF_MANY = (
    *("distinct()", "first()", "last()", "tail()", "skip(1)", "take(2)", "where($index > 0)"),
    *("where(true)", "select($this)", "trace('t')", "repeat({})", "combine({})", "union({})"),
    *("intersect($this)", "exclude($this)", "ofType(string)", "ofType(HumanName)"),
)
_BELOW = ("children()", "descendants()", "descendants().ofType(Coding)")


class Expressions:
    """Draws expressions, each of a kind of value."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def any(self, depth: int = 3) -> str:
        """An expression of any kind."""
        kinds = (self.text, self.number, self.truth, self.temporal)
        if depth and self._chance.random() < 0.2:
            one, other = self._chance.choice(kinds), self._chance.choice(kinds)
            return f"({one(depth - 1)} | {other(depth - 1)})"
        return self._chance.choice((*kinds, self.quantity, self.items))(depth)

    def _pick(self, depth: int, leaves: tuple[str, ...], *forms: Any) -> str:
        if depth <= 0 or self._chance.random() < 0.2:
            return self._chance.choice(leaves)
        return str(self._chance.choice(forms)())

    def text(self, depth: int) -> str:
        """Strings."""
        below = depth - 1
        return self._pick(
            depth,
            _TEXTS,
            lambda: f"{self.text(below)}.select({self._chance.choice(_TO_TEXT)})",
            lambda: f"({self.text(below)}).{self._chance.choice(_TO_TEXT)}",
            lambda: f"({self.text(below)} & {self.text(below)})",
            lambda: f"{self.text(below)}.join('-')",
            lambda: f"{self.text(below)}.select(split('i'))",
            lambda: f"({self.text(below)}).{self._chance.choice(_OF_MANY)}",
            lambda: f"iif({self.truth(below)}, {self.text(below)}, {self.text(below)})",
        )

    def number(self, depth: int) -> str:
        """Numbers."""
        below = depth - 1
        sign = self._chance.choice(("+", "-", "*", "/", "div", "mod"))
        return self._pick(
            depth,
            _NUMBERS,
            lambda: f"({self.number(below)} {sign} {self.number(below)})",
            lambda: f"({self.number(below)}).first().{self._chance.choice(_TO_NUMBER)}",
            lambda: f"({self.items(below)}).count()",
            lambda: f"({self.items(below)}).{self._chance.choice(_BELOW)}.count()",
            lambda: f"({self.text(below)}).select(length())",
            lambda: f"({self.text(below)}).select(indexOf('i'))",
            lambda: f"({self.number(below)}).aggregate($this + $total, 0)",
            lambda: f"({self.number(below)}).{self._chance.choice(_OF_MANY)}",
        )

    def truth(self, depth: int) -> str:
        """Truth values."""
        below = depth - 1
        logic = self._chance.choice(("and", "or", "xor", "implies"))
        order = self._chance.choice(("<", "<=", ">", ">="))
        kind = self._chance.choice((self.number, self.text, self.temporal, self.quantity))
        # To which precision quantities of different units are equivalent is left open.
        same = self._chance.choice(("=", "!=") + ("~", "!~") * (kind != self.quantity))
        return self._pick(
            depth,
            _TRUTHS,
            lambda: f"({self.truth(below)} {logic} {self.truth(below)})",
            lambda: f"({kind(below)} {order} {kind(below)})",
            lambda: f"({kind(below)} {same} {kind(below)})",
            lambda: f"({self.items(below)}).exists({self.truth(below)})",
            lambda: f"({self.items(below)}).all({self.truth(below)})",
            lambda: f"({self.truth(below)}).not()",
            lambda: f"(({self.text(below)}).first() in {self.text(below)})",
            lambda: f"({self.text(below)}).first().matches('^[A-J]')",
            lambda: f"({self.items(below)}).isDistinct()",
            lambda: f"({self.items(below)}).subsetOf({self.items(below)})",
            lambda: f"({self.any(below)}).first().is(System.String)",
        )

    def temporal(self, depth: int) -> str:
        """Dates and times."""
        below = depth - 1
        sign, count = self._chance.choice("+-"), self._chance.randint(0, 40)
        unit = self._chance.choice(("years", "months", "weeks", "days"))
        return self._pick(
            depth,
            _TEMPORALS,
            lambda: f"(birthDate {sign} {count} {unit})",
            lambda: f"(@2015-02-07T13:28:17Z {sign} {count} {unit})",
            lambda: f"(@T10:30:00 {sign} {count} minutes)",
            lambda: f"({self.temporal(below)}).{self._chance.choice(_OF_MANY)}",
        )

    def quantity(self, depth: int) -> str:
        """Quantities."""
        below = depth - 1
        return self._pick(
            depth,
            _QUANTITIES,
            lambda: f"({self.quantity(below)}).first()",
            lambda: f"{self._chance.randint(1, 9)} '{self._chance.choice(_UNITS)[0]}'",
        )

    def items(self, depth: int) -> str:
        """Elements."""
        below = depth - 1
        return self._pick(
            depth,
            _COMPLEX,
            lambda: f"({self.items(below)}).where({self.truth(below)})",
            lambda: f"({self.items(below)}).select({self.any(below)})",
            lambda: f"({self.items(below)}).{self._chance.choice(_OF_MANY)}",
        )
