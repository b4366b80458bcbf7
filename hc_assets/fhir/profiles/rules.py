"""A compiled profile, and the walk of an instance along it.

Belongs here: cardinality, types, the way down, and which slice a value is in. What is asked of
single values is in the checks that a rule holds; they are made in `compiling.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from hc_assets.fhir.fhirpath import Node
from hc_assets.fhir.profiles.elements import is_a
from hc_assets.fhir.profiles.instance import Placed, Setting, values_of
from hc_assets.fhir.profiles.specs import UNBOUNDED

Check = Callable[[Node, str, Setting], None]
Matcher = Callable[[Node, str, Setting], bool | None]


@dataclass(slots=True, eq=False)
class Rule:
    """What a profile demands of an element or a slice, beyond what R4 does.

    Attributes:
        name: the element's name, without `[x]`.
        source: the profile and the element's id in it, for diagnostics.
        slice_name: the slice's name; "" for an element.
        min: least number of values.
        max: greatest number of values.
        types: names of the types allowed; empty where R4's are.
        checks: what is asked of each value.
        children: the rules of the elements below.
        slicing: how values are distinguished; None where they aren't.
        same_as: the rule whose children are this one's (a content reference).
        is_resource: the values are resources.
    """

    name: str
    source: str
    slice_name: str = ""
    min: int = 0
    max: int = UNBOUNDED
    types: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    children: "tuple[Rule, ...]" = ()
    slicing: "Slicing | None" = None
    same_as: "Rule | None" = None
    is_resource: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing is demanded."""
        return (
            self.min == 0
            and self.max == UNBOUNDED
            and not (self.types or self.checks or self.children)
            and self.slicing is None
            and self.same_as is None
        )


@dataclass(slots=True, eq=False)
class Slicing:
    """The slices of an element, each with the question whether a value is in it."""

    slices: list[tuple[Matcher, Rule]]
    rules: Literal["closed", "open", "openAtEnd"]
    is_ordered: bool


class Profile(NamedTuple):
    """A compiled profile.

    Attributes:
        url: its canonical URL.
        type_name: the R4 type that it constrains.
        rule: the rule of its root.
        gaps: what of it can't be checked, in words.
    """

    url: str
    type_name: str
    rule: Rule
    gaps: tuple[str, ...] = ()


def check_value(rule: Rule, node: Node, path: str, setting: Setting) -> None:
    """Check one value and all below it.

    Raises:
        TooManyIssuesError: see `Findings`.
    """
    if rule.types and not any(is_a(node.type_name, name) for name in rule.types):
        text = f"found {node.type_name}, expected {' or '.join(rule.types)}"
        setting.run.add("error", "structure", path, "profile-type", text, source=rule.source)
        return
    for check in rule.checks:
        check(node, path, setting)
    children = rule.children if rule.same_as is None else rule.same_as.children
    for child in children:
        _check_element(child, values_of(node, path, child.name), path, setting)


def _check_element(rule: Rule, values: Sequence[Placed], parent: str, setting: Setting) -> None:
    count = len(values)
    if count < rule.min:
        text = f"found {count}, expected at least {rule.min}"
        _count_error(rule, "required", f"{parent}.{rule.name}", text, setting)
    elif count > rule.max:
        wanted = f"at most {rule.max}" if rule.max else "none"
        _count_error(
            rule, "structure", values[rule.max][1], f"found {count}, expected {wanted}", setting
        )
    for node, path in values:
        inner = setting.within(node, rule.name == "contained") if rule.is_resource else setting
        check_value(rule, node, path, inner)
    if rule.slicing is not None:
        _check_slicing(rule, rule.slicing, values, parent, setting)


def _count_error(
    rule: Rule, code: Literal["required", "structure"], path: str, text: str, setting: Setting
) -> None:
    what = f"slice {rule.slice_name}: " if rule.slice_name else ""
    setting.run.add("error", code, path, "profile-cardinality", f"{what}{text}", source=rule.source)


def _slice_of(
    slicing: Slicing, node: Node, path: str, setting: Setting
) -> tuple[int | None, list[str]]:
    """The slice that a value is in, and the names of those that it may be in for all one knows."""
    unsure = []
    for index, (matches, rule) in enumerate(slicing.slices):
        verdict = matches(node, path, setting)
        if verdict:
            return index, []
        if verdict is None:
            unsure.append(rule.slice_name)
    return None, unsure


def _check_slicing(
    rule: Rule, slicing: Slicing, values: Sequence[Placed], parent: str, setting: Setting
) -> None:
    run = setting.run
    members: list[list[Placed]] = [[] for _ in slicing.slices]
    open_slices: set[str] = set()
    last, has_stranger = -1, False
    for node, path in values:
        inner = setting.within(node, rule.name == "contained") if rule.is_resource else setting
        index, unsure = _slice_of(slicing, node, path, inner)
        if unsure:
            open_slices.update(unsure)
            text = f"whether this is slice {' or '.join(unsure)} can't be decided offline"
            run.note("information", path, "profile-slicing", rule.source, text, source=rule.source)
        elif index is None:
            has_stranger = True
            if slicing.rules == "closed":
                names = ", ".join(slice_rule.slice_name for _, slice_rule in slicing.slices)
                text = f"found a value of no slice, expected one of {names}"
                run.add("error", "structure", path, "profile-slicing", text, source=rule.source)
        else:
            slice_rule = slicing.slices[index][1]
            members[index].append((node, path))
            name = slice_rule.slice_name
            if slicing.is_ordered and index < last:
                text = f"found slice {name} out of order"
                run.add("error", "structure", path, "profile-slicing", text, source=rule.source)
            elif has_stranger and slicing.rules == "openAtEnd":
                text = f"found slice {name} after values of no slice, which belong at the end"
                run.add("error", "structure", path, "profile-slicing", text, source=rule.source)
            last = max(last, index)
            check_value(slice_rule, node, path, inner)
    for found, (_, slice_rule) in zip(members, slicing.slices, strict=True):
        _check_count(slice_rule, found, parent, slice_rule.slice_name in open_slices, setting)
        if slice_rule.slicing is not None:
            _check_slicing(slice_rule, slice_rule.slicing, found, parent, setting)


def _check_count(
    rule: Rule, found: list[Placed], parent: str, is_open: bool, setting: Setting
) -> None:
    """The number of values in a slice; where some can't be decided, too few is no error."""
    if len(found) < rule.min and not is_open:
        text = f"found {len(found)}, expected at least {rule.min}"
        _count_error(rule, "required", f"{parent}.{rule.name}", text, setting)
    elif len(found) > rule.max:
        wanted = f"at most {rule.max}" if rule.max else "none"
        path = found[rule.max][1]
        _count_error(rule, "structure", path, f"found {len(found)}, expected {wanted}", setting)
