"""The names of all rules that validation knows, so that a setting can't name another by mistake.

Belongs here: names alone. What the rules ask is where they are checked: in `fhir/r4/rules/`,
`fhir/profiles/` and `business_rules.py`.
"""

import difflib
from collections.abc import Iterable
from functools import cache

from hc_assets.core.fence import RULE as INTERNAL_ERROR
from hc_assets.fhir.profiles.core_profiles import core_constraints
from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.validation.business_rules import RULES

# Without these a resource is no resource that a later stage could read.
STRUCTURAL = frozenset(
    {"duplicate-member", "json-syntax", "json-type", "nesting", "null-value", "resource-type"}
    | {"size", "too-many-issues", "unreadable", INTERNAL_ERROR}
)
# fmt: off
OTHERS = frozenset({
    "attachment-hash", "attachment-size", "bundle-first-entry", "bundle-full-url",
    "bundle-full-url-id", "bundle-link", "bundle-reference", "bundle-request", "bundle-search",
    "canonical-url", "cardinality", "choice", "code-system", "code-system-count",
    "code-system-property", "code-system-supplement", "contained-id", "control-characters",
    "document-entry", "element-id", "element-path", "empty-array", "empty-string", "enable-when",
    "extension-context", "extension-modifier", "extension-slot", "extension-url",
    "extensible-binding", "extension-value", "fhirpath-syntax", "fhirpath-variable", "id-length",
    "identifier-system", "narrative-is-self-contained",
    "primitive-format", "profile-base", "profile-binding", "profile-cardinality",
    "profile-fixed", "profile-length", "profile-pattern", "profile-range",
    "profile-reference-target", "profile-slicing", "profile-type", "profile-unknown",
    "reference-format", "reference-target", "reference-type", "required-binding", "sampled-data",
    "search-parameter", "security-label", "sibling-length", "unknown-member", "value-set-filter",
    "value-set-system",
})
# fmt: on
_NEAR = 5


@cache
def known_rules() -> frozenset[str]:
    """All of them: those above, R4's invariants, those of its profiles and the business rules."""
    invariants = {
        rule.key
        for name in r4().type_names
        for rule in (
            *r4().type(name).invariants,
            *(rule for element in r4().type(name).elements for rule in element.invariants),
        )
    }
    return STRUCTURAL | OTHERS | invariants | core_constraints() | RULES.keys()


def refuse_unknown(names: Iterable[str], also_known: Iterable[str] = ()) -> None:
    """Refuse names of rules whose breach can't be let through.

    Args:
        names: of rules.
        also_known: keys of constraints of a deployment's own profiles.

    Raises:
        ValueError: one is no rule, and what it may have meant; or a resource that breaks it could
            not be read by a later stage.
    """
    known = known_rules() | set(also_known)
    for name in sorted(names):
        if name in STRUCTURAL:
            raise ValueError(f"rule {name} can't warn: without it no later stage can go on")
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), _NEAR, 0.5)
            listed = f"near it are {', '.join(near)}" if near else "none is near it"
            raise ValueError(f"no rule {name!r}; {listed}")
