"""On arbitrary JSON: no raw error, and short cuts and hand-written rules agree with the rest."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hc_assets.fhir.fhirpath import (
    CompiledExpression,
    Environment,
    EvaluationError,
    Node,
    TypeView,
    compile_expression,
    resource_node,
)
from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.r4.rules.invariants import corrected

TYPES = TypeView(r4())


def _invariants() -> list[tuple[str, str]]:
    """Key and expression of every invariant of the definitions."""
    found = {}
    for name in r4().type_names:
        definition = r4().type(name)
        for rule in definition.invariants:
            found[rule.key, rule.expression] = None
        for element in definition.elements:
            for rule in element.invariants:
                found[rule.key, rule.expression] = None
    return sorted(found)


INVARIANTS = _invariants()
COMPILED: list[tuple[CompiledExpression, CompiledExpression]] = [
    tuple(compile_expression(corrected(*rule), TYPES, way) for way in (True, False))
    for rule in INVARIANTS
]

_TEXTS = st.sampled_from(
    [
        *(
            "",
            "a",
            "#",
            "#c1",
            "c1",
            "%",
            "*",
            "3",
            "Patient",
            "Name",
            "exists",
            "group",
            "logical",
        ),
        *("document", "message", "searchset", "history", "batch", "transaction", "batch-response"),
        *("2014", "2014-01-01", "2014-01-02", "2014-02-30", "2014-1", "2014-01-02T10:00:00Z"),
        *("2014-01-02T10:00:00.5+01:00", "http://unitsofmeasure.org", "http://x/_history/1"),
        '<div xmlns="http://www.w3.org/1999/xhtml"> </div>',
    ]
)
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 200),
    st.sampled_from([Decimal("1.0"), Decimal("-0.5"), Decimal("1e400"), Decimal("100.01")]),
    _TEXTS,
    st.text(max_size=5),
)
_ANYTHING = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["id", "extension", "value", "code", "_id"]), inner),
    ),
    max_leaves=6,
)
_SIBLINGS = st.sampled_from([{}, {"id": "x"}, {"extension": [{"url": "u"}]}, [None, {"id": "y"}]])
_PRIMITIVES = st.one_of(_TEXTS, st.booleans(), st.integers(0, 9), st.just(Decimal("1.50")))


@st.composite
def _values(draw: st.DrawFn, type_name: str, depth: int) -> Any:
    """A value that mostly is of the type, and now and then something else."""
    if draw(st.integers(0, 19)) == 0:
        return draw(_ANYTHING)
    if type_name[0].islower():
        return draw(_PRIMITIVES)
    return draw(_objects(type_name, depth))


@st.composite
def _objects(draw: st.DrawFn, type_name: str, depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    if type_name == "Resource":
        type_name = draw(st.sampled_from(["Patient", "Observation", "Composition", "Bundle"]))
        value["resourceType"] = type_name
    members = TYPES.members(type_name) or {}
    if depth == 0 or not members:
        return value
    for name in draw(st.lists(st.sampled_from(sorted(members)), max_size=4, unique=True)):
        one = _values(members[name][1], depth - 1)
        value[name] = draw(st.one_of(one, st.lists(one, max_size=2)))
        if draw(st.integers(0, 9)) == 0:
            value[f"_{name}"] = draw(_SIBLINGS)
    return value


_TYPE_NAMES = sorted(name for name in r4().type_names if name[0].isupper())


@st.composite
def _nodes(draw: st.DrawFn, names: list[str] = _TYPE_NAMES) -> tuple[Node, Environment]:
    type_name = draw(st.sampled_from(names))
    node = Node(draw(_values(type_name, 4)), type_name, draw(st.sampled_from([None, {"id": "e"}])))
    if "." in type_name or type_name not in r4().resource_names:
        root = resource_node(draw(_objects("Resource", 2))) if draw(st.booleans()) else node
    else:
        root = node
    return node, Environment(root, root)


def _outcome(check: Callable[[Node, Environment], Any], node: Node, setting: Environment) -> Any:
    try:
        found = check(node, setting)
    except EvaluationError as error:
        return f"{type(error).__name__}: {error}"
    if isinstance(found, list):
        return [(n.value, n.type_name, n.extra) if isinstance(n, Node) else n for n in found]
    return found


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(_nodes())
def test_invariants_on_any_json_give_a_value_or_the_modules_own_error(
    subject: tuple[Node, Environment],
) -> None:
    for short, long in COMPILED:
        assert _outcome(short.evaluate, *subject) == _outcome(long.evaluate, *subject)
        assert _outcome(short.holds, *subject) == _outcome(long.holds, *subject)


_NAMES = ["value", "_value", "extension", "id", "_id", "url", "given", "_given", "contained", "x"]


@settings(deadline=None)
@given(
    st.sampled_from(["Extension", "Quantity", "Patient", "HumanName", "string", "Nothing", ""]),
    st.dictionaries(st.sampled_from([*_NAMES, "valueString", "_valueString"]), _ANYTHING),
)
def test_existence_and_children_are_what_navigation_finds(
    type_name: str, value: dict[str, Any]
) -> None:
    node = Node(value, type_name)
    setting = Environment(node, node)
    for name in ("value", "extension", "id", "given", "contained"):
        exists = compile_expression(f"{name}.exists()", TYPES).evaluate(node, setting)
        assert exists == [bool(TYPES.step([node], name))]
    members = TYPES.members(type_name)
    names = {name for name, _ in members.values()} if members else {k.lstrip("_") for k in value}
    stepped = [found for name in names for found in TYPES.step([node], name)]
    children = TYPES.children(node)
    assert sorted(map(_fingerprint, stepped)) == sorted(map(_fingerprint, children))


def _fingerprint(node: Any) -> str:
    return repr((node.value, node.type_name, node.extra))
