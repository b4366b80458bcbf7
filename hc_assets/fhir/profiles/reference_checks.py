"""What a profile asks of a reference: the type and the profile of what it leads to.

Belongs here: targetProfile, as far as the instance itself shows. The form of a reference is
R4's own rule, in `fhir/r4/rules/value_rules.py`.
"""

from typing import NamedTuple

from hc_assets.fhir.fhirpath import Node
from hc_assets.fhir.profiles.elements import is_a
from hc_assets.fhir.profiles.instance import Missed, Setting
from hc_assets.fhir.profiles.rules import Check
from hc_assets.fhir.r4.issues import Severity
from hc_assets.fhir.r4.references import parse_reference

_RULE = "profile-reference-target"


class Target(NamedTuple):
    """What a reference may lead to.

    Attributes:
        url: canonical URL of the type or profile.
        type_name: the R4 type; "" for a profile that isn't at hand.
        is_type: any resource of the type will do.
    """

    url: str
    type_name: str
    is_type: bool


def target_check(targets: tuple[Target, ...], source: str) -> Check:
    """A Reference leads to one of the targets."""
    names = " or ".join(target.type_name if target.is_type else target.url for target in targets)
    expected = f"expected one to {names}"

    def check(node: Node, path: str, setting: Setting) -> None:
        if node.type_name != "Reference" or not isinstance(node.value, dict):
            return
        found = setting.follow(node)
        if not found.type_name:
            if "reference" in node.value:
                text = f"the target isn't at hand, so it can't be decided whether it is {names}"
                setting.run.note("information", path, _RULE, source, text, source=source)
            return
        fitting = [
            target
            for target in targets
            if not target.type_name or is_a(found.type_name, target.type_name)
        ]
        if not fitting:
            # An absolute URL may be laid out in another way than FHIR's servers do.
            text = f"found a reference to {found.type_name}, {expected}"
            is_sure = not isinstance(found, Missed) or _is_relative(node)
            severity: Severity = "error" if is_sure else "warning"
            setting.run.add(severity, "structure", path, _RULE, text, source=source)
        elif not any(target.is_type for target in fitting):
            _check_profiles(found, fitting, path, source, setting)

    return check


def _is_relative(node: Node) -> bool:
    text = node.value.get("reference")
    parsed = parse_reference(text) if isinstance(text, str) else None
    return parsed is None or parsed.kind != "absolute"


def _check_profiles(
    found: Node | Missed, fitting: list[Target], path: str, source: str, setting: Setting
) -> None:
    """What the reference leads to conforms to one of the profiles of its type."""
    names = " or ".join(target.url for target in fitting)
    verdicts: list[bool | None] = [None]
    if isinstance(found, Node):
        verdicts = [setting.run.conforms(found, target.url, setting) for target in fitting]
    if any(verdicts):
        return
    if None in verdicts:
        text = f"whether the target conforms to {names} can't be decided from what is at hand"
        setting.run.note("information", path, _RULE, source, text, source=source)
    else:
        text = f"found a {found.type_name} that does not conform, expected one of {names}"
        setting.run.add("error", "structure", path, _RULE, text, source=source)
