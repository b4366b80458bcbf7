"""Runs the invariants of the definitions over a walked resource, on the thorough path.

Belongs here: which rule is evaluated where, and what its outcome means. The rules come from the
table, their meaning from `fhir/fhirpath/__init__.py`; those compiled for the fast path come from
`fhir/r4/fast/rule_code.py`.
"""

from collections.abc import Callable, Hashable
from functools import cache
from typing import Any, NamedTuple

from hc_assets.fhir.fhirpath import (
    Environment,
    EvaluationError,
    Node,
    TypeView,
    UndecidableError,
)
from hc_assets.fhir.r4.definitions import Invariant, r4
from hc_assets.fhir.r4.issues import Findings
from hc_assets.fhir.r4.rules.errata import expression_of
from hc_assets.fhir.r4.rules.invariants import checker
from hc_assets.fhir.r4.walker import Visit, each, members_of

# Rules with a form of their own: content of elements in `fhir/r4/walker.py`, narrative in
# `value_rules.py`, extensions in `extension_rules.py`, references and absent narrative in
# `resource_rules.py`, identity of entries in `bundle_rules.py`.
_ELSEWHERE = frozenset({"ele-1", "txt-1", "txt-2", "ext-1", "ref-1", "dom-6", "bdl-7"})
_ON_CONTAINED = frozenset({"dom-2", "dom-3", "dom-4", "dom-5"})


@cache
def _type_view() -> TypeView:
    return TypeView(r4())


class _Rule(NamedTuple):
    """An invariant, and the function that checks it."""

    invariant: Invariant
    holds: Callable[[Node, Environment], bool]


@cache
def _rule(invariant: Invariant) -> _Rule:
    expression = expression_of(invariant.key, invariant.expression)
    return _Rule(invariant, checker(invariant.key, expression, _type_view()))


@cache
def _rules_of_type(type_name: str) -> tuple[_Rule, ...]:
    return tuple(
        _rule(invariant)
        for base in r4().bases(type_name)
        for invariant in r4().type(base).invariants
        if invariant.key not in _ELSEWHERE
    )


@cache
def _rules_of_elements(type_name: str) -> tuple[tuple[str, str, _Rule], ...]:
    """Member, type and rule of the elements of a type that rules of their own stand on."""
    return tuple(
        (name, member.ref.code, _rule(invariant))
        for name, member in members_of(type_name).items()
        for invariant in member.element.invariants
        if invariant.key not in _ELSEWHERE
    )


def _judge(
    rule: _Rule, node: Node, environment: Environment, path: str, findings: Findings
) -> None:
    invariant = rule.invariant
    try:
        holds = rule.holds(node, environment)
    except UndecidableError:
        text = f"can't be decided offline: {invariant.human}"
        findings.add("information", "incomplete", path, invariant.key, text)
        return
    except EvaluationError:
        holds = False
    if not holds:
        findings.add(invariant.severity, "invariant", path, invariant.key, invariant.human)


def _environment(visit: Visit, kept: dict[Hashable, Any]) -> Environment:
    resource = visit.resource
    root = resource
    # A contained resource's root is its container; a bundle's entry is a root itself.
    if resource.parent is not None and resource.path.rpartition(".")[2].startswith("contained["):
        root = resource.parent
    own = Node(resource.value, resource.type_name)
    return Environment(own, Node(root.value, root.type_name), kept=kept)


def check_invariants(visits: list[Visit], findings: Findings) -> None:
    """Evaluate the invariants on every object of a resource.

    Args:
        visits: what the walk met.
        findings: takes the issues; severity and text are those of the definitions.
    """
    environments: dict[int, Environment] = {}
    kept: dict[Hashable, Any] = {}
    for visit in visits:
        rules = _rules_of_type(visit.type_name)
        of_elements = _rules_of_elements(visit.type_name)
        if not rules and not of_elements:
            continue
        environment = environments.get(id(visit.resource))
        if environment is None:
            environment = environments[id(visit.resource)] = _environment(visit, kept)
        node = Node(visit.value, visit.type_name)
        for rule in rules:
            if rule.invariant.key not in _ON_CONTAINED or "contained" in visit.value:
                _judge(rule, node, environment, visit.path, findings)
        for name, type_name, rule in of_elements:
            if name in visit.value:
                for one, path in each(visit.value[name], f"{visit.path}.{name}"):
                    _judge(rule, Node(one, type_name), environment, path, findings)
        if visit.element is not None and "." in visit.type_name:
            for invariant in visit.element.invariants:
                if invariant.key not in _ELSEWHERE:
                    _judge(_rule(invariant), node, environment, visit.path, findings)
