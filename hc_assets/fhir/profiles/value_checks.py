"""What a profile asks of a single value: fixed and pattern, ranges, length, codes, constraints.

Belongs here: one function per kind of demand, which gives the check. Which demands stand on which
element belongs to `compiling.py`; references have `reference_checks.py`.
"""

from typing import Any

from hc_assets.fhir.fhirpath import (
    EvaluationError,
    FhirPathSyntaxError,
    Item,
    Node,
    UndecidableError,
    compile_expression,
)
from hc_assets.fhir.fhirpath.equality import compare
from hc_assets.fhir.profiles.elements import type_view
from hc_assets.fhir.profiles.instance import Setting
from hc_assets.fhir.profiles.matching import as_json, has_pattern, is_fixed, is_number
from hc_assets.fhir.profiles.rules import Check
from hc_assets.fhir.profiles.specs import BindingSpec, Constraint
from hc_assets.fhir.profiles.terminology import Terminology, Verdict, any_of

_CODED_OBJECTS = frozenset({"Coding", "Quantity"})


def fixed_check(wanted: Any, source: str) -> Check:
    """The value is exactly `wanted` (decoded JSON)."""
    text = f"found another value, expected exactly {as_json(wanted)}"

    def check(node: Node, path: str, setting: Setting) -> None:
        if not is_fixed(node.value, wanted):
            setting.run.add("error", "value", path, "profile-fixed", text, source=source)

    return check


def pattern_check(wanted: Any, source: str) -> Check:
    """The value contains `wanted` (decoded JSON)."""
    text = f"found a value without the pattern, expected one that contains {as_json(wanted)}"

    def check(node: Node, path: str, setting: Setting) -> None:
        if not has_pattern(node.value, wanted):
            setting.run.add("error", "value", path, "profile-pattern", text, source=source)

    return check


def length_check(limit: int, source: str) -> Check:
    """A string has at most `limit` characters."""

    def check(node: Node, path: str, setting: Setting) -> None:
        if isinstance(node.value, str) and len(node.value) > limit:
            text = f"found {len(node.value)} characters, expected at most {limit}"
            setting.run.add("error", "too-long", path, "profile-length", text, source=source)

    return check


def range_check(limit: Any, is_least: bool, source: str) -> Check:
    """A number, date, time or quantity is at least or at most `limit` (decoded JSON).

    A date less precise than the limit, or one that lies about it, is no error.
    """
    expected = f"expected at {'least' if is_least else 'most'} {as_json(limit)}"
    wrong = -1 if is_least else 1

    def check(node: Node, path: str, setting: Setting) -> None:
        if node.value is None:
            return
        try:
            order = compare(node, Node(limit, node.type_name))
        except UndecidableError:
            text = f"how the value compares can't be decided offline, {expected}"
            setting.run.note("warning", path, "profile-range", source, text, source=source)
            return
        except EvaluationError:
            return  # not of a form that has an order: that is R4's own rule
        if order == wrong:
            text = f"found a value out of range, {expected}"
            setting.run.add("error", "value", path, "profile-range", text, source=source)

    if is_number(limit) or isinstance(limit, str | dict):
        return check
    return lambda node, path, setting: None


def codes_verdict(terminology: Terminology, url: str, node: Item) -> Verdict:
    """Whether a code, Coding, Quantity or CodeableConcept is in a value set.

    Args:
        terminology: the value sets at hand.
        url: the value set.
        node: the value; True for one that has no code by its type, or no value.

    Returns:
        None where it can't be decided.
    """
    value, name = (node.value, node.type_name) if isinstance(node, Node) else (node, "code")
    if isinstance(value, str):
        return terminology.has(url, None, value)
    if not isinstance(value, dict):
        return True
    if name == "CodeableConcept":
        codings = value.get("coding")
        listed = codings if isinstance(codings, list) else ()
        return any_of(_coding_verdict(terminology, url, coding) for coding in listed)
    if name in _CODED_OBJECTS or type_view().is_a(name, "Quantity"):
        return _coding_verdict(terminology, url, value)
    return True


def _coding_verdict(terminology: Terminology, url: str, coding: Any) -> Verdict:
    if not isinstance(coding, dict):
        return False
    code, system = coding.get("code"), coding.get("system")
    if not isinstance(code, str):
        return False
    return terminology.has(url, system if isinstance(system, str) else "", code)


def binding_check(binding: BindingSpec, terminology: Terminology, source: str) -> Check:
    """The value has a code of the value set: an error where it must and hasn't."""
    url = binding.value_set
    is_known = terminology.knows(url)
    wanted = f"expected one of value set {url}"
    unknown = "at hand only in part" if is_known else "not at hand"

    def check(node: Node, path: str, setting: Setting) -> None:
        verdict = codes_verdict(terminology, url, node)
        run = setting.run
        if verdict is None and binding.is_required:
            text = f"value set {url} is {unknown}, so the code can't be checked"
            run.note("warning", path, "profile-binding", url, text, source=source)
        elif verdict is False and binding.is_required:
            text = f"found no code of the value set, {wanted}"
            run.add("error", "code-invalid", path, "profile-binding", text, source=source)
        elif verdict is False:
            text = f"found no code of the value set, {wanted} unless none of them fits"
            run.add("warning", "code-invalid", path, "profile-binding", text, source=source)

    return check


def constraint_check(rule: Constraint, source: str) -> Check:
    """A rule in FHIRPath holds; one that can't be compiled gives a warning that names it."""
    try:
        if not rule.expression:
            raise FhirPathSyntaxError("it has no FHIRPath expression")
        compiled = compile_expression(rule.expression, type_view())
    except FhirPathSyntaxError as error:
        problem = f"constraint {rule.key} can't be evaluated: {error}"

        def give_up(node: Node, path: str, setting: Setting) -> None:
            setting.run.note("warning", path, rule.key, rule.key, problem, source=source)

        return give_up
    undecided = f"can't be decided offline: {rule.human}"

    def check(node: Node, path: str, setting: Setting) -> None:
        misses = setting.misses
        try:
            holds = compiled.holds(node, setting.environment)
        except UndecidableError:
            setting.run.note("information", path, rule.key, rule.key, undecided, source=source)
            return
        except EvaluationError:
            holds = False
        if holds:
            return
        if setting.misses != misses:
            # It looked at a reference whose target isn't here: with it, it might hold.
            setting.run.note("information", path, rule.key, rule.key, undecided, source=source)
        else:
            setting.run.add(rule.severity, "invariant", path, rule.key, rule.human, source=source)

    return check
