"""The text of a search as a `Query`: paths, names with modifiers and chains, parameters of results.

Belongs here: names. Values are in `operands.py`, the shapes in `query.py`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import quote_plus, unquote_to_bytes

from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.search.compartments import compartments
from hc_assets.fhir.search.known import known_parameters
from hc_assets.fhir.search.operands import OperandError, split, test_of
from hc_assets.fhir.search.parameters import Parameter
from hc_assets.fhir.search.problems import Problem, SearchError, refusal
from hc_assets.fhir.search.query import (
    Chain,
    Compartment,
    Condition,
    Has,
    Include,
    Match,
    Missing,
    Query,
    Sort,
    Test,
)

MODIFIERS: Mapping[str, tuple[str, ...]] = {
    "token": ("not", "text", "in", "not-in", "of-type", "missing"),
    "string": ("exact", "contains", "missing"),
    "reference": ("identifier", "missing"),
    "uri": ("above", "below", "missing"),
    **dict.fromkeys(("date", "number", "quantity", "composite"), ("missing",)),
}
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_RESULTS = ("_sort", "_count", "_total", "_summary", "_elements", "_include", "_revinclude")


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """What a search may ask for at most; more is refused before anything is looked up.

    Attributes:
        characters: of the text.
        parameters: in it.
        alternatives: of one parameter.
        steps: of one chain, `_has` among them.
        conditions: on all resources that its chains lead over.
        count: matches a page.
    """

    characters: int = 65_536
    parameters: int = 200
    alternatives: int = 500
    steps: int = 20
    conditions: int = 400
    count: int = 10_000


_LIMITS = QueryLimits()


@cache
def searchable(resource_type: str) -> dict[str, Parameter]:
    """Parameters of a resource type that can be searched by, by their names."""
    return {
        each.code: each
        for each in known_parameters(resource_type)
        if each.expression and each.type != "special"
    }


@cache
def _referring(resource_type: str) -> dict[str, Parameter]:
    return {c: p for c, p in searchable(resource_type).items() if p.type == "reference"}


def parse_query(text: str, *, lenient: bool = False, limits: QueryLimits = _LIMITS) -> Query:
    """Read a search, such as `Observation?code=8480-6&date=ge2024`.

    Args:
        text: a type, `Type/id`, or `Type/id/Type` for a compartment, and parameters behind a `?`;
            percent-encoded where they have to be.
        lenient: go on without parameters and modifiers that are unknown.
        limits: on what is asked for.

    Raises:
        SearchError: with all that is wrong with it.
    """
    if len(text) > limits.characters:
        raise refusal("too-long", f"a search has at most {limits.characters} characters")
    path, _, parameters = text.partition("?")
    type_, id_, compartment = _path(path.strip("/"))
    pairs = [pair for pair in parameters.split("&") if pair]
    if len(pairs) > limits.parameters:
        raise refusal("too-costly", f"a search has at most {limits.parameters} parameters")
    reading = _Reading(type_, limits)
    for pair in pairs:
        reading.take(pair)
    kept = [each for each in reading.problems if not (lenient and each.droppable)]
    if kept:
        raise SearchError(kept)
    results = reading.results
    link = path.strip("/") + ("?" + "&".join(reading.accepted) if reading.accepted else "")
    return Query(
        type_,
        id_,
        compartment,
        tuple(reading.conditions),
        tuple(results.sorts),
        results.count,
        results.total,
        results.summary,
        tuple(results.elements),
        tuple(results.includes),
        results.page,
        link,
        tuple(reading.problems),
    )


def _path(path: str) -> tuple[str, str | None, Compartment | None]:
    parts = path.split("/")
    names = [part for part in (parts[0], *parts[2:3]) if part not in r4().resource_names]
    if names or len(parts) > 3 or not all(_ID.fullmatch(part) for part in parts[1:2]):
        raise refusal("not-found", "expected a resource type, Type/id or Type/id/Type before the ?")
    if len(parts) < 3:
        return parts[0], parts[1] if len(parts) == 2 else None, None
    owner, id_, type_ = parts
    known = compartments()
    if owner not in known:
        raise refusal("not-found", f"compartments are those of {', '.join(sorted(known))}")
    if type_ not in known[owner] and type_ != owner:
        raise refusal("not-found", f"no {type_} is in a compartment of {owner}")
    codes = known[owner].get(type_, [])
    found = tuple(_referring(type_)[code] for code in codes if code in _referring(type_))
    return type_, None, Compartment(owner, id_, found)


@dataclass
class _Results:
    """How the answer is to look, as far as it was read."""

    sorts: list[Sort] = field(default_factory=list)
    count: int = 50
    total: bool = True
    summary: str = "false"
    elements: list[str] = field(default_factory=list)
    includes: list[Include] = field(default_factory=list)
    page: str | None = None


def _decoded(text: str) -> str:
    try:
        found = unquote_to_bytes(text.replace("+", " ")).decode()
    except UnicodeError as error:
        raise refusal("invalid", "a parameter is not UTF-8 when percent-decoded") from error
    if "\0" in found:
        raise refusal("invalid", "a parameter holds a NUL")
    return found


class _Reading:
    """Takes one parameter after the other."""

    def __init__(self, type_: str, limits: QueryLimits) -> None:
        self._type, self._limits = type_, limits
        self._known: dict[tuple[str, str, str], Condition | SearchError] = {}
        self.results = _Results()
        self.conditions: list[Condition] = []
        self.problems: list[Problem] = []
        self.accepted: list[str] = []

    def take(self, pair: str) -> None:
        """Read one parameter with its value."""
        raw_name, _, raw_value = pair.partition("=")
        try:
            name, value = _decoded(raw_name), _decoded(raw_value)
            if name == "_page":
                self.results.page = value
                return
            bare = name.partition(":")[0]
            if bare in _RESULTS:
                self._result(bare, name[len(bare) + 1 :], value)
            elif name != "_format":
                self.conditions.append(self.condition(self._type, name, value))
            self.accepted.append(f"{quote_plus(name, safe=':.-')}={quote_plus(value, safe=':/,|')}")
        except SearchError as error:
            self.problems.extend(error.problems)

    def condition(self, type_: str, name: str, value: str) -> Condition:
        """What a parameter asks of resources of a type.

        Raises:
            SearchError: it can't be asked.
        """
        if name.count(".") + name.count("_has:") > self._limits.steps:
            raise refusal("too-costly", f"a chain has at most {self._limits.steps} steps")
        key = (type_, name, value)
        if key not in self._known:
            if len(self._known) >= self._limits.conditions:
                raise refusal("too-costly", "chains lead over too many resource types: name them")
            try:
                self._known[key] = self._condition(type_, name, value)
            except SearchError as error:
                self._known[key] = error
        found = self._known[key]
        if isinstance(found, SearchError):
            raise found
        return found

    def _condition(self, type_: str, name: str, value: str) -> Condition:
        if name.startswith("_has:"):
            return self._has(type_, name, value)
        head, dot, rest = name.partition(".")
        code, _, modifier = head.partition(":")
        parameter = searchable(type_).get(code)
        if parameter is None:
            raise _unknown(f"{type_} has no search parameter {_quoted(code)}", searchable(type_))
        if dot:
            return self._chain(type_, parameter, modifier, rest, value)
        if modifier == "missing":
            if value not in ("true", "false"):
                raise refusal("invalid", f"{code}:missing: expected true or false")
            return Missing(type_, parameter, value == "true")
        self._check_modifier(parameter, modifier)
        return Match(type_, parameter, modifier, tuple(self._tests(parameter, modifier, value)))

    def _check_modifier(self, parameter: Parameter, modifier: str) -> None:
        known = MODIFIERS[parameter.type]
        targets = parameter.targets if parameter.type == "reference" else ()
        if modifier and modifier not in known and modifier not in targets:
            raise _unknown(
                f"{parameter.code} has no modifier {_quoted(modifier)}", (*known, *targets)
            )

    def _tests(self, parameter: Parameter, modifier: str, value: str) -> Iterator[Test]:
        values = split(value, ",")
        if len(values) > self._limits.alternatives:
            most = self._limits.alternatives
            raise refusal("too-costly", f"{parameter.code}: at most {most} values with commas")
        for each in values:
            try:
                yield test_of(parameter, modifier, each)
            except OperandError as error:
                raise refusal("invalid", f"{parameter.code}: {error}") from error

    def _chain(
        self, type_: str, parameter: Parameter, modifier: str, rest: str, value: str
    ) -> Chain:
        if parameter.type != "reference":
            raise _unknown(f"{parameter.code} is no reference to go on from", _referring(type_))
        targets = _targets(parameter)
        if modifier and modifier not in targets:
            raise _unknown(f"{parameter.code} leads to no {_quoted(modifier)}", targets)
        found: list[Condition] = []
        errors: list[SearchError] = []
        for target in [modifier] if modifier else targets:
            try:
                found.append(self.condition(target, rest, value))
            except SearchError as error:
                errors.append(error)
        # One target that has no such parameter is passed over; anything else is wrong for all.
        fatal = [e for e in errors if not all(p.droppable for p in e.problems)]
        if fatal or not found:
            raise (fatal or errors)[0]
        return Chain(type_, parameter, tuple(found))

    def _has(self, type_: str, name: str, value: str) -> Has:
        parts = name.split(":", 3)
        if len(parts) < 4:
            raise refusal("invalid", "expected _has:Type:reference:parameter", droppable=True)
        other, code, rest = parts[1:]
        if other not in r4().resource_names:
            raise _unknown("_has: R4 has no resource type of that name", ())
        parameter = _referring(other).get(code)
        if parameter is None or type_ not in _targets(parameter):
            known = [c for c, p in _referring(other).items() if type_ in _targets(p)]
            raise _unknown(f"_has: no reference {_quoted(code)} of {other} leads to {type_}", known)
        return Has(other, parameter, self.condition(other, rest, value), type_)

    def _result(self, name: str, modifier: str, value: str) -> None:
        if name in ("_include", "_revinclude"):
            if modifier not in ("", "iterate", "recurse"):
                raise _unknown(f"{name} has no modifier {_quoted(modifier)}", ("iterate",))
            self.results.includes.append(
                _include(self._type, name == "_revinclude", bool(modifier), value)
            )
        elif modifier:
            raise _unknown(f"{name} has no modifiers", ())
        else:
            _SET[name](self, value)

    def _sort(self, value: str) -> None:
        for each in value.split(","):
            code = each.removeprefix("-")
            parameter = searchable(self._type).get(code)
            if parameter is None or parameter.type == "composite":
                known = [c for c, p in searchable(self._type).items() if p.type != "composite"]
                raise _unknown(f"_sort: {self._type} can't be put in that order", known)
            self.results.sorts.append(Sort(parameter, each.startswith("-")))

    def _count(self, value: str) -> None:
        if not re.fullmatch("[0-9]{1,9}", value):
            raise refusal("invalid", "_count: expected a whole number")
        self.results.count = min(int(value), self._limits.count)

    def _total(self, value: str) -> None:
        if value not in ("none", "estimate", "accurate"):
            raise refusal("invalid", "_total: expected none, estimate or accurate")
        self.results.total = value != "none"

    def _summary(self, value: str) -> None:
        if value == "true":
            raise refusal(
                "not-supported", "_summary=true is not known here: name members with _elements"
            )
        if value not in ("text", "data", "count", "false"):
            raise refusal("invalid", "_summary: expected text, data, count or false")
        self.results.summary = value

    def _elements(self, value: str) -> None:
        known = {name for element in r4().type(self._type).elements for name in [element.name]}
        names = [each.removeprefix(f"{self._type}.") for each in value.split(",") if each]
        if not names or not known.issuperset(each.removesuffix("[x]") for each in names):
            raise _unknown("_elements: expected top members of the type", known)
        self.results.elements.extend(names)


_SET: Mapping[str, Callable[[_Reading, str], None]] = {
    "_sort": _Reading._sort,
    "_count": _Reading._count,
    "_total": _Reading._total,
    "_summary": _Reading._summary,
    "_elements": _Reading._elements,
}


def _targets(parameter: Parameter) -> list[str]:
    """Resource types that a reference may lead to."""
    named = [name for name in parameter.targets if name in r4().resource_names]
    return named or sorted(r4().resource_names)


def _include(type_: str, reverse: bool, iterate: bool, value: str) -> Include:
    name = "_revinclude" if reverse else "_include"
    parts = value.split(":")
    if parts == ["*"] and not reverse:
        return Include(type_, tuple(_referring(type_).values()), None, reverse, iterate)
    if len(parts) not in (2, 3) or parts[0] not in r4().resource_names:
        raise refusal("invalid", f"{name}: expected Type:reference or Type:reference:Type")
    known = _referring(parts[0])
    if parts[1] != "*" and parts[1] not in known:
        raise _unknown(f"{name}: {parts[0]} has no reference {_quoted(parts[1])}", known)
    chosen = tuple(known.values()) if parts[1] == "*" else (known[parts[1]],)
    target = parts[2] if len(parts) == 3 else None
    if target is not None and target not in r4().resource_names:
        raise _unknown(f"{name}: R4 has no resource type of that name", ())
    return Include(parts[0], chosen, target, reverse, iterate)


def _quoted(name: str) -> str:
    return repr(name[:40])


def _unknown(text: str, known: object) -> SearchError:
    names = ", ".join(sorted(known))  # type: ignore[call-overload]
    listed = f"; there are {names}" if names else ""
    return refusal("not-supported", text + listed, droppable=True)
